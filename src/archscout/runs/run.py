"""A run: what a search found, and where it lies."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pandas as pd
from optuna.trial import FrozenTrial
from torch import nn

from archscout import spaces
from archscout.errors import InputError
from archscout.metrics import sha256_of
from archscout.runs.run_folder import BEST, RUN, STUDY, VOCABULARY, RunFolder
from archscout.runs.search_settings import SearchSettings, load_metrics, parse_objectives
from archscout.runs.storage import HIDDEN, shown
from archscout.runs.study import GivenGenes, Study, is_bred, result_of
from archscout.runs.table import front, ranking
from archscout.spaces.base import Space
from archscout.text import Corpus, Tokenizer, load_corpus, load_vocabulary

STORAGE_VARIABLE = "ARCHSCOUT_STORAGE"

_FIRST_TRIALS = "first_trials"  # in run.json, once a search is to make another number


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
        storage: the address of its study, where run.json does not tell all of it.

    Raises:
        InputError: no run lies there, or it is damaged.
    """

    def __init__(self, path: str | os.PathLike[str], storage: str | None = None) -> None:
        self.folder = RunFolder(path)
        self._storage = storage
        self.information = self.folder.read()
        self.settings: SearchSettings = self.information["settings"]
        self.space: Space[Any] = spaces.get(self.settings.space, **self.settings.space_arguments)
        load_metrics(self.settings.metric_files)
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

    def load_text(self) -> Corpus:
        """Its text.

        Raises:
            InputError: it is another now, or is not there.
        """
        corpus = load_corpus(self.settings.text)
        if corpus.sha256 != self.information["text"]["sha256"]:
            raise InputError(
                f"the text {corpus.name!r} has changed since {self.folder} was started; put it back"
            )
        return corpus

    def check_metric_files(self) -> None:
        """Make sure that what its scores were made by is what its files of metrics hold.

        Raises:
            InputError: one is another now, or is not there.
        """
        files, known = self.settings.metric_files, self.settings.metric_sha256
        if known and list(sha256_of(files)) != known:
            raise InputError(
                f"a file of metrics has changed since {self.folder} was started "
                f"({', '.join(files)}); put it back"
            )

    @cached_property
    def names(self) -> dict[str, str]:
        """What architectures are called in the literature, or by who included them.

        By their fingerprints.
        """
        return self.settings.included | spaces.names(self.space)

    @property
    def address(self) -> str:
        """Where the study lies.

        Raises:
            InputError: the address has a password, which was not given.
        """
        return self._storage or address_of(self.folder, self.information)

    @cached_property
    def trials(self) -> list[FrozenTrial]:
        """Every proposal, in order.

        Raises:
            InputError: the run's database is missing or cannot be read, or its address holds a
                password, which run.json does not keep, and the environment variable
                `ARCHSCOUT_STORAGE` does not give it.
        """
        with closing(open_study(self.address, self)) as study:
            return study.trials

    @cached_property
    def table(self) -> pd.DataFrame:
        """One row an architecture, best first; what scores.parquet holds."""
        return ranking(self.trials, self.objectives)

    @cached_property
    def proposed(self) -> pd.DataFrame:
        """As `table`, of what the search itself proposed.

        What was bred from trained architectures is left out, and has no part in the ranks; `trial`
        counts the search's own proposals.
        """
        trials = [copy(trial) for trial in self.trials if not is_bred(trial)]
        if len(trials) == len(self.trials):
            return self.table
        for number, trial in enumerate(trials):
            trial.number = number
        return ranking(trials, self.objectives)

    @property
    def num_bred(self) -> int:
        """How many of the trials were bred from trained architectures."""
        return sum(map(is_bred, self.trials))

    def expect(self, trials: int) -> None:
        """Write down how many proposals the search is to make, where it was another number."""
        if trials != self.settings.trials:
            first = self.information.setdefault(_FIRST_TRIALS, self.settings.trials)
            self.settings = self.settings.model_copy(update={"trials": trials})
            # What an earlier version did not write down stays away.
            kept = self.settings.model_dump(exclude_unset=True)
            self.folder.update(settings=kept, **{_FIRST_TRIALS: first})

    def refresh(self, trials: Sequence[FrozenTrial]) -> None:
        """Take notice of more proposals."""
        self.trials = list(trials)
        for name in ("table", "proposed", "front"):
            self.__dict__.pop(name, None)

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
        """Write scores.parquet and best.json; nothing where there is no proposal."""
        if not self.trials:
            return
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


def address_of(folder: RunFolder, information: Mapping[str, Any]) -> str:
    """Where a run's study lies, its password taken from the environment.

    Args:
        folder: of the run.
        information: what its run.json says.

    Raises:
        InputError: the environment does not give the password that is needed.
    """
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


def open_study(
    address: str,
    run: Run,
    create: bool = False,
    warn: Callable[[str], None] | None = None,
    given: GivenGenes = lambda *_: (),
) -> Study:
    """The study of a run.

    Args:
        address: where it lies.
        run: the run.
        create: whether proposals will be stored, and a study that is not there is made.
        warn: called with what the user should know.
        given: genes of the first proposals of a batch, by its number and size.

    Raises:
        InputError: it cannot be opened.
    """
    if run.information["storage"] is None and not (create or run.folder.has_study):
        raise InputError(f"{run.folder} has lost its proposals ({STUDY} is missing)")
    settings = run.settings
    return Study(
        storage=address,
        name=run.information["study"],
        directions=[objective.direction for objective in run.objectives],
        sampler=settings.sampler,
        seed=settings.seed,
        population_size=settings.population_size,
        given=given,
        create=create,
        warn=warn,
        planned=run.information.get(_FIRST_TRIALS, settings.trials),
    )


def _scale(space: Space[Any], sizes: Mapping[str, Any]) -> Any:
    kind = type(space.scales[space.default_scale])
    return kind(**sizes)
