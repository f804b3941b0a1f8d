"""A run: the search itself, and what it found."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial, TrialState
from torch import nn

from archscout import spaces
from archscout.errors import InputError
from archscout.rounding import reproducible
from archscout.runs import costs
from archscout.runs.database import HIDDEN, check_storage, shown
from archscout.runs.run_folder import BEST, RUN, STUDY, VOCABULARY, RunFolder
from archscout.runs.search_settings import (
    SAMPLERS,
    Objective,
    SearchSettings,
    check_count,
    parse_limit,
    parse_objectives,
)
from archscout.runs.study import Evaluation, Study, is_outside, result_of
from archscout.runs.table import front, ranking
from archscout.runs.writer import Writer
from archscout.scoring import Scorer, TextSource, resolve_scale
from archscout.spaces.base import Scale, Space
from archscout.text import Corpus, Tokenizer, load_vocabulary
from archscout.tracing.quantities import Objective as GradientObjective

STORAGE_VARIABLE = "ARCHSCOUT_STORAGE"

_PROBES = 100
_SLOW_PROBES = 10


@dataclass
class Progress:
    """Where a search stands.

    Attributes:
        objective: the first one.
        total: proposals to make.
        done: proposals made.
        best: the best value of the first objective so far, None before there is one.
        distinct: architectures among the proposals.
        outside: architectures outside the limits.
        failed: architectures whose score is not finite.
    """

    objective: Objective
    total: int
    done: int = 0
    best: float | None = None
    distinct: int = 0
    outside: int = 0
    failed: int = 0
    _seen: set[str] = field(default_factory=set, repr=False)

    def add(self, trial: FrozenTrial) -> None:
        """Count one more proposal."""
        self.done += 1
        if result_of(trial)["fingerprint"] in self._seen:
            return
        self._seen.add(result_of(trial)["fingerprint"])
        self.distinct += 1
        if is_outside(trial):
            self.outside += 1
        elif trial.state is not TrialState.COMPLETE:
            self.failed += 1
        elif self.best is None or (trial.values[0] - self.best) * self.objective.sign > 0:
            self.best = trial.values[0]


@dataclass(frozen=True)
class Candidate:
    """An architecture that a run found.

    Attributes:
        run: where it was found.
        architecture: the genotype.
        fingerprint: its fingerprint.
        scores: metric to value.
        costs: cost to value.
    """

    run: Run
    architecture: Any
    fingerprint: str
    scores: dict[str, float]
    costs: dict[str, float]

    def build(self, seed: int | None = None) -> nn.Module:
        """The network at the run's model scale, with random weights, ready to train.

        Args:
            seed: of the weights; the run's by default.
        """
        run = self.run
        return run.space.build(
            self.architecture,
            run.vocabulary_size,
            run.model_scale,
            run.settings.seed if seed is None else seed,
        )


class Run:
    """What lies in a run folder.

    Args:
        path: the folder.

    Raises:
        InputError: no run lies there, or it is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.folder = RunFolder(path)
        self.information = self.folder.read()
        self.settings: SearchSettings = self.information["settings"]
        self.space: Space[Any] = spaces.get(self.settings.space)
        self.objectives = parse_objectives(self.settings.objectives, self.space.kind)
        try:
            self.model_scale = _scale(self.space, self.settings.model_scale)
            self.vocabulary_size = int(self.information["text"]["vocabulary_size"])
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{self.folder.path / RUN} is damaged: {error}") from error

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @cached_property
    def vocabulary(self) -> Tokenizer:
        """What turned the run's text into token ids."""
        return load_vocabulary(self.folder.path / VOCABULARY)

    @cached_property
    def trials(self) -> list[FrozenTrial]:
        """Every proposal, in order.

        Raises:
            InputError: the run's database is missing or cannot be read, or its address holds a
                password, which run.json does not keep, and the environment variable
                `ARCHSCOUT_STORAGE` does not give it.
        """
        if self.information["storage"] is None and not (self.folder.path / STUDY).exists():
            raise InputError(f"{self.folder} has lost its proposals ({STUDY} is missing)")
        storage = _address(self.folder, self.information)
        return _open_study(storage, self.information, self.objectives).trials

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row an architecture, best first; what scores.parquet holds."""
        return ranking(self.trials, self.objectives)

    @cached_property
    def front(self) -> list[Candidate]:
        """The architectures that no other beats in all objectives, best in the first one first."""
        return [self._candidate(row) for _, row in front(self.table, self.objectives).iterrows()]

    @property
    def best(self) -> Candidate:
        """The best architecture; with several objectives, the front's best in the first one.

        Raises:
            InputError: no architecture was within the limits and had a finite score.
        """
        if not self.front:
            raise InputError(
                f"{self.folder} found no architecture within the limits with a finite score"
            )
        return self.front[0]

    def candidate(self, rank: int) -> Candidate:
        """The architecture of that rank, from 1.

        Raises:
            InputError: there is none, or it has no finite score.
        """
        ranked = self.table[self.table["front"].notna()] if self.trials else self.table
        if not 1 <= rank <= len(ranked):
            raise InputError(f"rank is {rank}; {self.folder} ranks {len(ranked)} architectures")
        return self._candidate(ranked.iloc[rank - 1])

    def _candidate(self, row: pd.Series[Any]) -> Candidate:
        trial = self.trials[int(row["trial"])]
        result = result_of(trial)
        return Candidate(
            run=self,
            architecture=self.space.parse(result["architecture"]),
            fingerprint=result["fingerprint"],
            scores={k: math.nan if v is None else v for k, v in result["scores"].items()},
            costs=result["costs"],
        )

    def save(self) -> None:
        """Write scores.parquet and best.json."""
        self.folder.write_table(self.table)
        self.folder.write(
            BEST,
            {
                "space": self.settings.space,
                "objectives": self.settings.objectives,
                "front": [
                    {
                        "fingerprint": candidate.fingerprint,
                        "scores": candidate.scores,
                        "costs": candidate.costs,
                        "architecture": self.space.to_dict(candidate.architecture),
                    }
                    for candidate in self.front
                ],
            },
        )


def search(
    space: str | Space[Any],
    text: TextSource = "python-docs",
    metric: str | Iterable[str] | None = None,
    *,
    trials: int = 500,
    seed: int = 0,
    sampler: str = "nsga2",
    population_size: int = 50,
    max_parameters: float | str | None = None,
    max_flops: float | str | None = None,
    max_latency: float | str | None = None,
    max_memory: float | str | None = None,
    scale: str | Scale | None = None,
    model_scale: str | Scale | None = None,
    split: str | None = None,
    vocabulary_limit: int | None = None,
    minibatch_index: int = 0,
    device: str = "cpu",
    objective: GradientObjective | None = None,
    tokenizer: str | None = None,
    out: str | os.PathLike[str] | None = None,
    storage: str | None = None,
    resume: bool = False,
    on_progress: Callable[[Progress], None] | None = None,
) -> Run:
    """Search a space for the architectures with the best scores under limits on their costs.

    The same arguments give the same result, whether or not the run was stopped on its way.

    Args:
        space: a space or its name.
        text: a corpus, its name, a file, several files or a folder.
        metric: what to improve, one or several of: metrics, and the costs `parameters`, `flops`,
            `latency`, `memory`; a direction may follow, as in `parameters:max`. The space's
            default metric if None.
        trials: number of proposals.
        seed: of proposals, weights and noise.
        sampler: `nsga2` (evolution), `tpe` or `random`.
        population_size: of NSGA-II.
        max_parameters: upper limit, as a number or as in `10M`.
        max_flops: upper limit per token.
        max_latency: upper limit in milliseconds a step.
        max_memory: upper limit in bytes, or as in `50MB`.
        scale: at which networks are scored; the space's default for search if None.
        model_scale: at which costs are taken and the winner is built; as `scale` if None.
        split: of the corpus.
        vocabulary_limit: size limit of the vocabulary.
        minibatch_index: which minibatch of the text, from 0.
        device: where networks are scored and latency is measured.
        objective: what gradients are taken of: `sum`, `cotangent` or `loss`, see `Scorer`.
        tokenizer: of encoders: a folder, or a name on the Hugging Face hub; by default one is
            trained on the text.
        out: the run folder; `runs/<space>-<text>-<seed>` by default.
        storage: an Optuna storage address in place of the folder's own SQLite database; one with
            a password is to be given again on resuming, or by `ARCHSCOUT_STORAGE`.
        resume: go on with the run that lies in the folder; `trials` may have grown.
        on_progress: called after every proposal.

    Raises:
        InputError: an argument cannot be used, no sampled architecture meets a limit, the folder
            holds another run, or a file or database cannot be written.
    """
    space = spaces.get(space) if isinstance(space, str) else space
    limits = {
        name: parse_limit(name, value)
        for name, value in (
            ("parameters", max_parameters),
            ("flops", max_flops),
            ("latency", max_latency),
            ("memory", max_memory),
        )
        if value is not None
    }
    if sampler not in SAMPLERS:
        raise InputError(f"unknown sampler {sampler!r}; accepted: {', '.join(SAMPLERS)}")
    objectives = parse_objectives(metric or space.default_metric, space.kind)
    metrics = [o.request for o in objectives if o.request]
    scorer = Scorer(
        space,
        text,
        metrics or ["parameters"],
        scale,
        seed,
        split,
        vocabulary_limit,
        minibatch_index,
        device,
        objective,
        tokenizer,
    )
    model_scale = resolve_scale(space, model_scale) if model_scale else scorer.scale
    settings = SearchSettings(
        space=space.name,
        text=_as_given(text),
        objectives=[f"{o.name}:{o.direction[:3]}" for o in objectives],
        limits=limits,
        trials=check_count("trials", trials),
        seed=seed,
        sampler=sampler,
        population_size=check_count("population_size", population_size, 2),
        scale=vars(scorer.scale),
        model_scale=vars(model_scale),
        split=split,
        vocabulary_limit=vocabulary_limit,
        minibatch_index=minibatch_index,
        device=device,
        objective=scorer.objective,
        tokenizer=_absolute(tokenizer) if tokenizer else None,
    )
    folder = RunFolder(out or Path("runs", f"{space.name}-{Path(scorer.corpus.name).stem}-{seed}"))
    evaluator = _Evaluator(scorer, model_scale, objectives, limits)
    if resume and folder.exists:
        _check_same(folder, settings, scorer, storage)
    else:
        folder.check_free()
        if storage is not None:
            check_storage(storage)
        evaluator.check_limits(seed)
    with folder.lock():
        if not folder.exists:
            text_information = {
                "name": scorer.corpus.name,
                "sha256": scorer.corpus.sha256,
                "sources": list(scorer.corpus.sources),
                "vocabulary_size": len(scorer.vocabulary),
            }
            folder.create(settings, text_information, storage, scorer.vocabulary)
        elif trials > folder.read()["settings"].trials:
            folder.update(settings=settings.model_dump())
        return _search(folder, trials, evaluator, storage, on_progress)


def _check_same(
    folder: RunFolder, settings: SearchSettings, scorer: Scorer, storage: str | None
) -> None:
    """Make sure that the run in the folder may go on with these settings."""
    information = folder.read()
    before: SearchSettings = information["settings"]
    if differences := before.differences(settings):
        raise InputError(f"{folder} holds another run: {'; '.join(differences)}")
    if information["text"]["sha256"] != scorer.corpus.sha256:
        raise InputError(
            f"the text {scorer.corpus.name!r} has changed since {folder} was started; "
            "put it back, or start another run with --out"
        )
    if load_vocabulary(folder.path / VOCABULARY).tokens != scorer.vocabulary.tokens:
        raise InputError(
            f"the tokenizer makes other tokens than when {folder} was started; give it the "
            "tokenizer of then, or start another run with --out"
        )
    kept = information["storage"]
    if storage is not None and (kept is None or shown(storage) != shown(kept)):
        raise InputError(f"{folder} keeps its study in {shown(kept) if kept else STUDY}")


def _search(
    folder: RunFolder,
    trials: int,
    evaluator: _Evaluator,
    storage: str | None,
    on_progress: Callable[[Progress], None] | None,
) -> Run:
    run = Run(folder.path)
    address = storage or _address(folder, run.information)
    writer = Writer(address, run.information["study"], folder.writer_lock)
    run.trials = []
    before = 0
    try:
        # The writer starts up while the study is opened.
        with writer:
            study = _open_study(address, run.information, run.objectives, create=True)
            run.trials, before = study.trials, len(study.trials)
            evaluator.remember(study.trials)
            progress = Progress(run.objectives[0], trials)
            for trial in study.trials:
                progress.add(trial)
            suggest = evaluator.scorer.space.suggest
            for trial in study.run(trials, suggest, evaluator.evaluate, writer.store):
                progress.add(trial)
                if on_progress:
                    on_progress(progress)
    finally:
        # No table may hold what the database lacks.
        del run.trials[before + writer.stored :]
        if run.trials:
            run.save()
    return run


def _address(folder: RunFolder, information: Mapping[str, Any]) -> str:
    """Where a run's study lies, its password taken from the environment."""
    kept: str | None = information["storage"]
    if kept is None:
        return folder.storage
    if HIDDEN not in kept:
        return kept
    given = os.environ.get(STORAGE_VARIABLE)
    if given is None or shown(given) != kept:
        raise InputError(
            f"{folder} keeps its study in {kept}, without the password; set {STORAGE_VARIABLE} to "
            "the whole address" + (f", not {shown(given)}" if given else "")
        )
    return given


def _open_study(
    storage: str,
    information: Mapping[str, Any],
    objectives: list[Objective],
    create: bool = False,
) -> Study:
    settings: SearchSettings = information["settings"]
    return Study(
        storage=storage,
        name=information["study"],
        directions=[objective.direction for objective in objectives],
        sampler=settings.sampler,
        seed=settings.seed,
        population_size=settings.population_size,
        create=create,
    )


def _as_given(text: TextSource) -> list[str]:
    if isinstance(text, Corpus):
        return list(text.given or text.sources)
    places = [text] if isinstance(text, str | os.PathLike) else text
    return [_absolute(place) for place in places]


def _absolute(place: str | os.PathLike[str]) -> str:
    """A path as it is known from everywhere; a name as it is."""
    return os.path.abspath(place) if os.path.exists(place) else os.fspath(place)


def _scale(space: Space[Any], sizes: Mapping[str, Any]) -> Any:
    kind = type(space.scales[space.default_scale])
    return kind(**sizes)


class _Evaluator:
    """Turns architectures into evaluations, and scores none twice."""

    def __init__(
        self,
        scorer: Scorer,
        model_scale: Any,
        objectives: list[Objective],
        limits: Mapping[str, float],
    ) -> None:
        self.scorer = scorer
        self._model_scale = model_scale
        self._objectives = objectives
        self._limits = limits
        wanted = [o.name for o in objectives if o.request is None]
        self._costs = list(dict.fromkeys(["parameters", *limits, *wanted]))
        self._known: dict[str, Evaluation] = {}

    def remember(self, trials: Iterable[FrozenTrial]) -> None:
        """Take over what was scored earlier."""
        for trial in trials:
            self._known.setdefault(result_of(trial)["fingerprint"], Evaluation.of(trial))

    def check_limits(self, seed: int) -> None:
        """Make sure that some sampled architecture meets the limits.

        Raises:
            InputError: none does; the message has the smallest costs seen.
        """
        if not self._limits:
            return
        probes = _SLOW_PROBES if "latency" in self._limits else _PROBES
        seen: list[dict[str, float]] = []
        for architecture in islice(self.scorer.space.samples(seed), probes):
            found = self._measure(architecture)
            if all(found[name] <= limit for name, limit in self._limits.items()):
                return
            seen.append(found)
        smallest = "; ".join(
            f"max_{name} is {limit:,g}, the smallest {name} seen is "
            f"{min(found[name] for found in seen):,.6g}"
            for name, limit in self._limits.items()
        )
        raise InputError(f"no architecture of {probes} sampled meets the limits: {smallest}")

    def evaluate(self, architecture: Any) -> Evaluation:
        """What becomes of a proposal; one that was made before keeps its scores."""
        space = self.scorer.space
        architecture = space.canonical(architecture)
        mark = space.fingerprint(architecture)
        if mark not in self._known:
            self._known[mark] = self._evaluate_new(architecture, mark)
        return self._known[mark]

    def _measure(self, architecture: Any) -> dict[str, float]:
        return costs.measure(
            self.scorer.space,
            architecture,
            len(self.scorer.vocabulary),
            self._model_scale,
            self._costs,
            self.scorer.device,
        )

    def _evaluate_new(self, architecture: Any, mark: str) -> Evaluation:
        found = self._measure(architecture)
        violations = {name: found[name] / limit - 1 for name, limit in self._limits.items()}
        scores: dict[str, float | None] = {}
        seconds, problem = 0.0, None
        # What is outside the limits is not scored: that is the point of having them.
        if all(violation <= 0 for violation in violations.values()):
            score = self.scorer.score(architecture)
            plain = score.to_dict()
            scores, seconds, problem = plain["scores"], score.seconds, score.problem
        values = [
            _compared(scores.get(o.name, -o.sign * math.inf)) if o.request else found[o.name]
            for o in self._objectives
        ]
        return Evaluation(
            values=None if None in values else [v for v in values if v is not None],
            violations=violations,
            result={
                "architecture": self.scorer.space.to_dict(architecture),
                "fingerprint": mark,
                "scores": scores,
                "costs": found,
                "seconds": seconds,
                "problem": problem,
            },
        )


def _compared(score: float | None) -> float | None:
    """What the search compares of a score; None where it is not finite."""
    return None if score is None else reproducible(score)
