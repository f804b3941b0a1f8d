"""The driver of a search: the only one that proposes, stores, and writes the run folder."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.trial import FrozenTrial, TrialState

from archscout import spaces
from archscout.errors import InputError
from archscout.execution import Cluster, Workers, check_workers
from archscout.files import finishing
from archscout.metrics import carried, sha256_of
from archscout.runs.costs import COSTS
from archscout.runs.evaluator import Evaluations, Evaluator
from archscout.runs.given_genes import given_genes
from archscout.runs.places import (
    check_latency,
    check_limits,
    check_storage_fit,
    meters,
    scoring_place,
)
from archscout.runs.run import Run, address_of, open_study
from archscout.runs.run_folder import STUDY, VOCABULARY, RunFolder
from archscout.runs.search_settings import Objective, SearchSettings, load_metrics
from archscout.runs.storage import check_storage, shown
from archscout.runs.study import Evaluation, Study, is_outside, result_of
from archscout.scoring import Scorer, TextSource
from archscout.spaces.base import Scale, Space
from archscout.text import Corpus, load_corpus, load_vocabulary
from archscout.threads import one_thread
from archscout.tracing.quantities import Objective as GradientObjective


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


def search(
    space: str | Space[Any],
    text: TextSource = "python-docs",
    metrics: str | Iterable[str] | None = None,
    *,
    metric: str | Iterable[str] | None = None,
    metric_files: Sequence[str | os.PathLike[str]] = (),
    trials: int = 500,
    seed: int = 0,
    sampler: str = "nsga2",
    population_size: int = 50,
    max_parameters: float | str | None = None,
    max_non_embedding_parameters: float | str | None = None,
    max_flops: float | str | None = None,
    max_latency: float | str | None = None,
    max_memory: float | str | None = None,
    max_prefill_latency: float | str | None = None,
    max_token_latency: float | str | None = None,
    max_cache_memory: float | str | None = None,
    scale: str | Scale | None = None,
    model_scale: str | Scale | None = None,
    split: str | None = None,
    vocabulary_size: int | None = None,
    minibatch_index: int = 0,
    device: str = "cpu",
    objective: GradientObjective | None = None,
    tokenizer: str | None = None,
    out: str | os.PathLike[str] | None = None,
    storage: str | None = None,
    resume: bool = False,
    minutes: float | None = None,
    workers: int | Cluster = 1,
    latency_on: str | None = None,
    include: Mapping[str, Any] | None = None,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Run:
    """Search a space for the architectures with the best scores under limits on their costs.

    The same arguments give the same result, whether or not the run was stopped on its way, by
    `minutes` too: what is left to propose then is proposed on resuming.

    Args:
        space: a space or its name.
        text: a corpus, its name, a file, several files or a folder.
        metrics: what to improve, one or several of: metrics, and the costs `parameters`,
            `non_embedding_parameters`, `flops`, `latency`, `memory`, `prefill_latency`,
            `token_latency`, `cache_memory`; a direction may follow, as in `parameters:max`. The
            space's default metric if None.
        metric: the same, for where one is named.
        metric_files: files of Python that define metrics with `archscout.metric`.
        trials: number of proposals.
        seed: of proposals, weights and noise.
        sampler: `nsga2` (evolution), `tpe` or `random`.
        population_size: of NSGA-II.
        max_parameters: upper limit, as a number or as in `10M`.
        max_non_embedding_parameters: upper limit of those but for tables of embeddings.
        max_flops: upper limit per token.
        max_latency: upper limit in milliseconds a step.
        max_memory: upper limit in bytes, or as in `50MB`.
        max_prefill_latency: upper limit in milliseconds of reading a text, see `costs.measure`.
        max_token_latency: upper limit in milliseconds of generating a token after that text.
        max_cache_memory: upper limit in bytes, with the key/value cache of that text.
        scale: at which networks are scored; the space's default for search if None.
        model_scale: at which costs are taken and the winner is built; as `scale` if None.
        split: of the corpus.
        vocabulary_size: size limit of the vocabulary.
        minibatch_index: which minibatch of the text, from 0.
        device: where networks are scored and latency is measured.
        objective: what gradients are taken of: `sum`, `cotangent` or `loss`, see `Scorer`.
        tokenizer: of encoders: a folder, or a name on the Hugging Face hub; by default one is
            trained on the text.
        out: the run folder; `runs/<space>-<text>-<seed>` by default.
        storage: an Optuna storage address in place of the folder's own journal; one with a
            password is to be given again on resuming, or by `ARCHSCOUT_STORAGE`.
        resume: go on with the run that lies in the folder; `trials` may have grown.
        minutes: for which it proposes, this time; by default until all proposals are made.
        workers: processes that score, once the work is worth their start, or a cluster; the result
            does not depend on their number. Latency is measured in one.
        latency_on: a custom resource of a Ray cluster: latency is measured on a node that has it,
            on which nothing else of the search runs; a run that goes on has it from before.
        include: architectures by what they are called; with the space's named ones, they are the
            first proposals, and the first that a budget trains.
        on_progress: called once the run is begun, and after every proposal.
        on_warning: called with what the user should know.

    Raises:
        InputError: an argument cannot be used, no sampled architecture meets a limit, the folder
            holds another run, or a file or database cannot be written.
    """
    if metric is not None and metrics is not None:
        raise InputError("both metric and metrics are given; name all in metrics")
    if minutes is not None and not 0 < minutes < math.inf:
        raise InputError(f"minutes is {minutes:g}; a positive number is accepted")
    space = spaces.get(space) if isinstance(space, str) else space
    sizes = (max_parameters, max_non_embedding_parameters)
    plain = (max_flops, max_latency, max_memory)
    cached = (max_prefill_latency, max_token_latency, max_cache_memory)
    limits = dict(zip(COSTS, (*sizes, *plain, *cached), strict=True))
    corpus = text if isinstance(text, Corpus) else load_corpus(text)
    files = load_metrics(metric_files)
    settings = SearchSettings.of(
        space,
        corpus,
        metrics if metric is None else metric,
        limits,
        scale,
        model_scale,
        objective,
        tokenizer,
        include or {},
        metric_files=files,
        metric_sha256=list(sha256_of(files)),
        trials=trials,
        seed=seed,
        sampler=sampler,
        population_size=population_size,
        split=split,
        vocabulary_size=vocabulary_size,
        minibatch_index=minibatch_index,
        device=str(device),
    )
    evaluator = Evaluator.of(settings, space, corpus)
    folder = RunFolder(out or _usual_folder(evaluator.scorer))
    if resume and folder.exists and latency_on is None:
        latency_on = folder.read()["settings"].latency_on
    settings = settings.model_copy(update={"latency_on": latency_on})
    _prepare(folder, settings, evaluator.scorer, storage, resume)
    check_latency(settings, evaluator, workers)
    if isinstance(workers, Cluster):
        check_storage_fit(storage or address_of(folder, folder.read()) if resume else storage)
    check_workers(scoring_place(settings, evaluator, workers), settings.device)
    if not resume:
        check_limits(settings, evaluator, workers)
    with folder.lock():
        _claim(folder, settings, evaluator.scorer, storage, resume)
        told = (on_progress, on_warning)
        return _search(folder, trials, minutes, evaluator, workers, storage, *told)


def search_from(
    run: Run,
    seed: int,
    out: str | os.PathLike[str],
    workers: int | Cluster = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Run:
    """The search of a run, from another seed, or what is there of it, gone on with.

    Args:
        run: whose settings are taken.
        seed: of proposals, weights and noise.
        out: its run folder.
        workers: as of `search`.
        on_progress: as of `search`.
        on_warning: as of `search`.

    Raises:
        InputError: as of `search`.
    """
    run.check_metric_files()
    settings = run.settings.model_copy(update={"seed": seed})
    evaluator = Evaluator.of(settings, run.space, run.load_text())
    folder = RunFolder(out)
    begun = folder.exists
    _prepare(folder, settings, evaluator.scorer, None, begun)
    with folder.lock():
        _claim(folder, settings, evaluator.scorer, None, begun)
        told = (on_progress, on_warning)
        return _search(folder, settings.trials, None, evaluator, workers, None, *told)


def propose(
    run: Run,
    genes: Sequence[Mapping[str, Any]],
    workers: int | Cluster = 1,
    on_warning: Callable[[str], None] | None = None,
) -> None:
    """Score architectures of given genes, and store them as proposals of a run.

    Args:
        run: the run, which then has them; its folder is held by the caller, where others may
            write to it.
        genes: of each architecture; what a space asks for beside them is drawn by the run's seed.
        workers: as of `search`.
        on_warning: as of `search`.

    Raises:
        InputError: the run's text is another now, or a file or database cannot be written.
    """
    settings = run.settings
    run.check_metric_files()
    evaluator = Evaluator.of(settings, run.space, run.load_text())
    _check_same(run.folder, settings, evaluator.scorer, None)
    with closing(open_study(run.address, run, True, on_warning)) as study:

        def save() -> None:
            run.refresh(study.trials)
            run.save()

        with finishing(save), _evaluating(run, study, evaluator, workers, len(genes)) as evaluate:
            study.add(genes, run.space.suggest, evaluate)


def _usual_folder(scorer: Scorer) -> Path:
    return Path("runs", f"{scorer.space.name}-{Path(scorer.corpus.name).stem}-{scorer.seed}")


def _prepare(
    folder: RunFolder,
    settings: SearchSettings,
    scorer: Scorer,
    storage: str | None,
    resume: bool,
) -> None:
    """Make sure that the run can begin, or go on, in the folder."""
    folder.check_free(resume)
    if resume:
        _check_same(folder, settings, scorer, storage)
    elif storage is not None:
        check_storage(storage)


def _claim(
    folder: RunFolder,
    settings: SearchSettings,
    scorer: Scorer,
    storage: str | None,
    resume: bool,
) -> None:
    """Write down what the run is of, in a folder that is held and was free before."""
    folder.check_free(resume)  # another process may have run in it since
    if resume:
        _check_same(folder, settings, scorer, storage)
    else:
        text_information = {
            "name": scorer.corpus.name,
            "sha256": scorer.corpus.sha256,
            "sources": list(scorer.corpus.sources),
            "vocabulary_size": len(scorer.vocabulary),
        }
        folder.create(settings, text_information, storage, scorer.vocabulary)


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
    minutes: float | None,
    evaluator: Evaluator,
    workers: int | Cluster,
    storage: str | None,
    on_progress: Callable[[Progress], None] | None,
    on_warning: Callable[[str], None] | None,
) -> Run:
    end = math.inf if minutes is None else time.monotonic() + 60 * minutes
    run, space = Run(folder.path, storage), evaluator.scorer.space
    given = given_genes(space, run.settings)
    with closing(open_study(run.address, run, True, on_warning, given)) as study:
        run.trials = study.trials
        run.expect(max(trials, len(study.proposed)))
        progress = Progress(run.objectives[0], trials)
        for trial in study.proposed:
            progress.add(trial)
        if on_progress:
            on_progress(progress)
        left = trials - progress.done
        with (
            finishing(run.save),
            _evaluating(run, study, evaluator, workers, left) as evaluate,
        ):
            for trial in study.run(trials, space.suggest, evaluate):
                progress.add(trial)
                if on_progress:
                    on_progress(progress)
                if time.monotonic() >= end:
                    break
    return run


@contextmanager
def _evaluating(
    run: Run, study: Study, evaluator: Evaluator, workers: int | Cluster, total: int
) -> Iterator[Callable[[Iterable[Any]], Iterator[Evaluation]]]:
    """What evaluates so many proposals, in workers; what the study does not take is kept aside."""
    settings, kept = run.settings, run.folder.unstored(evaluator.judged)
    files = carried(settings.metric_files, settings.metric_sha256)
    place = scoring_place(settings, evaluator, workers)
    # On more threads sums round otherwise.
    with (
        one_thread(),
        meters(settings, evaluator, workers) as metering,
        Workers(evaluator, place, total, files) as pool,
    ):
        evaluations = Evaluations(pool, metering, evaluator, study.trials, kept)
        with finishing(lambda: run.folder.keep_unstored(evaluations.unstored(study.trials))):
            yield evaluations.of
