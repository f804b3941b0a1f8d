"""The study: Optuna proposes in batches, a function evaluates, the storage remembers.

A batch depends on the seed, its number and the trials of the batches before it, and on nothing
else: not on how many processes evaluated, nor on whether the study was stopped in the middle and
loaded again. Proposals are drawn in memory, from a study that holds only what the sampler reads;
so they take no longer after many than after few, but for TPE's, which read all.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState, create_trial

from archscout.errors import InputError
from archscout.runs.search_settings import Direction
from archscout.runs.storage import (
    close_storage,
    open_storage,
    storage_errors,
    write_persistently,
)

_RESULT, _PROPOSAL, _BRED = "result", "proposal", "bred"
# Of TPE, which learns from a batch only when it is done; of random proposals any would do.
_BATCH = {"tpe": 10, "random": 50}

Genes = Mapping[str, Any]
# Genes of the first proposals of a batch, by its number and how many proposals it has.
GivenGenes = Callable[[int, int], Sequence[Genes]]


@dataclass(frozen=True)
class Evaluation:
    """What became of a proposal.

    Attributes:
        values: one for each objective; None if one of them is not finite.
        violations: by what part of it each limit is exceeded; none is positive if all hold.
        result: everything that is to be remembered, as JSON types.
    """

    values: Sequence[float] | None
    violations: dict[str, float]
    result: dict[str, Any]

    @classmethod
    def of(cls, trial: FrozenTrial) -> Evaluation:
        """What became of a trial that was evaluated earlier."""
        values = trial.values if trial.state is TrialState.COMPLETE else None
        return cls(values, dict(trial.constraints), result_of(trial))


class Study:
    """An Optuna study that lies in a storage and is drawn from in memory.

    Args:
        storage: an address, see `storage.open_storage`.
        name: of the study in the storage.
        directions: `maximize` or `minimize` for each objective.
        sampler: `nsga2`, `random` or `tpe`.
        seed: of the sampler.
        population_size: of NSGA-II, whose batches are its generations.
        given: genes of the first proposals of a batch, by its number and size.
        create: whether a study that is not there is made, and proposals will be stored.
        warn: called with what the user should know.
        planned: proposals that there were to be at first. Earlier versions added others after so
            many without a mark.

    Attributes:
        trials: all that are stored, in order.
        proposed: those of them that the sampler proposed; the others were added.

    Raises:
        InputError: the storage cannot be opened, is locked or damaged, or lacks the study.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        directions: Sequence[Direction],
        sampler: str,
        seed: int,
        population_size: int,
        given: GivenGenes = lambda *_: (),
        create: bool = False,
        warn: Callable[[str], None] | None = None,
        planned: int | None = None,
    ) -> None:
        self._address, self._sampler, self._seed, self._warn = storage, sampler, seed, warn
        self._population_size, self._given = population_size, given
        self._batch_size = _BATCH.get(sampler, population_size)
        self._directions = list(directions)
        self._opened = open_storage(storage, name if create else None, warn)
        self._verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        try:
            with storage_errors(storage):
                self._storage = optuna.storages.get_storage(self._opened)
                self._id = self._study_id(name, create)
                trials = _ours(self._storage.get_all_trials(self._id, deepcopy=False))
        except BaseException:
            self.close()
            raise
        self.trials: list[FrozenTrial] = []
        self.proposed: list[FrozenTrial] = []
        self._genes: dict[str, BaseDistribution] | None = None
        self._kinds: dict[tuple[str, ...], dict[str, BaseDistribution]] = {}
        self._results: dict[str, dict[str, Any]] = {}
        self._parents: list[FrozenTrial] = []
        self._memory = self._in_memory()
        for trial in trials:
            if planned is not None and _BRED not in trial.user_attrs:
                trial.set_user_attr(_BRED, len(self.proposed) >= planned)
            self._append(trial)
        if sampler == "tpe":
            done = len(self.proposed)
            self._memory.add_trials(self.proposed[: done - done % self._batch_size])

    def close(self) -> None:
        """Let go of the storage; nothing can be stored any more."""
        close_storage(self._opened)
        optuna.logging.set_verbosity(self._verbosity)

    def _study_id(self, name: str, create: bool) -> int:
        """What the storage calls the study."""
        try:
            return self._storage.get_study_id_from_name(name)
        except KeyError:
            if not create:
                raise
        ways = [StudyDirection[direction.upper()] for direction in self._directions]
        return self._storage.create_new_study(ways, name)

    def run(
        self,
        trials: int,
        suggest: Callable[[optuna.Trial], Any],
        evaluate: Callable[[Iterable[Any]], Iterable[Evaluation]],
    ) -> Iterator[FrozenTrial]:
        """Propose, evaluate and store until there are so many proposals, yielding each new one.

        Args:
            trials: how many proposals the study shall have.
            suggest: an architecture from a trial's suggestions.
            evaluate: what becomes of architectures, in their order, as it is known; each is drawn
                when it is asked for.

        Raises:
            InputError: a trial cannot be stored; those before it are.
        """
        while len(self.proposed) < trials:
            done = len(self.proposed)
            start = done - done % self._batch_size
            batch = self._asked(start // self._batch_size)
            # Drawn in order and from the first, whatever of the batch is stored already.
            for trial in batch[: done - start]:
                suggest(trial)
            new = batch[done - start : trials - start]
            for trial, evaluation in zip(new, evaluate(map(suggest, new)), strict=True):
                yield self._store(trial, evaluation)
            if self._sampler == "tpe":
                for trial, frozen in zip(batch, self.proposed[start:], strict=False):
                    self._tell(trial, frozen)

    def add(
        self,
        genes: Sequence[Genes],
        suggest: Callable[[optuna.Trial], Any],
        evaluate: Callable[[Iterable[Any]], Iterable[Evaluation]],
    ) -> None:
        """Evaluate and store proposals of given genes; missing ones are drawn by the study's seed.

        Those with which the study ends already, for it was stopped among them, are not added again.

        Args:
            genes: of each proposal, by name.
            suggest: as of `run`.
            evaluate: as of `run`.

        Raises:
            InputError: a trial cannot be stored; those before it are.
        """
        memory = self._in_memory()
        memory.sampler = optuna.samplers.RandomSampler(seed=self._seed)
        for each in genes:
            memory.enqueue_trial(dict(each))
        trials = [memory.ask() for _ in genes]
        architectures = [suggest(trial) for trial in trials]
        asked = [trial.params for trial in trials]
        stored = [trial.params for trial in self.trials if is_bred(trial)]
        most = min(len(asked), len(stored))
        done = next(n for n in range(most, -1, -1) if stored[len(stored) - n :] == asked[:n])
        for trial, evaluation in zip(trials[done:], evaluate(architectures[done:]), strict=True):
            self._store(trial, evaluation, is_bred=True)

    def _store(
        self, trial: optuna.Trial, evaluation: Evaluation, is_bred: bool = False
    ) -> FrozenTrial:
        """The trial with what became of it, which the storage holds now."""
        finished = _finished(trial, evaluation, len(self.trials), is_bred)
        ids: list[int] = []

        def write() -> None:
            ids.append(self._storage.create_new_trial(self._id, finished))

        try:
            write_persistently(self._address, write, self._warn)
        except InputError as error:
            raise InputError(
                f"{error}. Stopped after {len(self.proposed)} proposals; everything scored is "
                "kept, and --resume goes on"
            ) from error
        # The storage's own, with the result that the evaluation has: two of each fill the memory.
        self._results[evaluation.result["fingerprint"]] = evaluation.result
        stored = self._storage.get_trial(ids[-1])
        stored.number = len(self.trials)
        self._append(stored)
        return stored

    def _asked(self, number: int) -> list[optuna.Trial]:
        """The trials of the batch of that number, which suggest the architectures in turn."""
        if self._sampler != "tpe":
            self._memory = self._in_memory()
        self._memory.sampler = self._make_sampler(number)
        for genes in self._given(number, self._batch_size):
            self._memory.enqueue_trial(dict(genes))
        return [self._memory.ask() for _ in range(self._batch_size)]

    def _tell(self, trial: optuna.Trial, frozen: FrozenTrial) -> None:
        for name, violation in frozen.constraints.items():
            trial.set_constraint(name, violation)
        if frozen.state is TrialState.COMPLETE:
            self._memory.tell(trial, frozen.values)
        else:
            self._memory.tell(trial, state=frozen.state)

    def _in_memory(self) -> optuna.Study:
        return optuna.create_study(directions=self._directions)

    def _append(self, trial: FrozenTrial) -> None:
        self._share(trial)
        self.trials.append(trial)
        if is_bred(trial):
            return
        self.proposed.append(trial)
        genes = trial.distributions
        if self._genes is None:
            self._genes = genes
        elif genes is not self.proposed[-2].distributions:
            known = self._genes.items()
            self._genes = {name: kind for name, kind in known if genes.get(name) == kind}
        if self._sampler == "nsga2" and len(self.proposed) % self._batch_size == 0:
            generation = self.proposed[-self._batch_size :]
            selection = _NSGAIISampler(self._parents, {}, self._population_size, generation)
            self._parents = selection.select_parent(self._memory, 1)

    def _share(self, trial: FrozenTrial) -> None:
        """Let a trial hold what others hold, too, in place of what is equal."""
        genes = trial.distributions
        if (known := self._kinds.setdefault(tuple(genes), genes)) == genes:
            trial.distributions = known
        trial.params = {sys.intern(name): value for name, value in trial.params.items()}
        result = result_of(trial)
        held = self._results.get(result["fingerprint"])
        if held != result:
            held = self._results[result["fingerprint"]] = _shared(result)
        trial.set_user_attr(_RESULT, held)

    def _make_sampler(self, batch: int) -> optuna.samplers.BaseSampler:
        digest = hashlib.blake2b(f"{self._seed}/{batch}".encode(), digest_size=4).digest()
        seed = int.from_bytes(digest, "big")
        if self._sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if self._sampler == "tpe":
            # The batch's own proposals are the only ones that run: its later ones keep away.
            return optuna.samplers.TPESampler(seed=seed, constant_liar=True)
        return _NSGAIISampler(self._parents, self._genes or {}, self._population_size, seed=seed)


class _NSGAIISampler(optuna.samplers.NSGAIISampler):
    """NSGA-II that is told what Optuna's looks for among all trials, each time.

    Args:
        parents: of the generation that is sampled, or, where one is to be selected from, of that.
        genes: which all trials share.
        population_size: as many are selected as parents of the next generation.
        generation: to select from, beside its parents.
        seed: of the sampling.
    """

    def __init__(
        self,
        parents: Sequence[FrozenTrial],
        genes: dict[str, BaseDistribution],
        population_size: int,
        generation: Sequence[FrozenTrial] = (),
        seed: int | None = None,
    ) -> None:
        super().__init__(population_size=population_size, seed=seed)
        self._parents, self._generation = list(parents), list(generation)
        self._genes = dict(sorted(genes.items()))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {name: kind for name, kind in self._genes.items() if not kind.single()}

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        return int(bool(self._parents))

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        # A crossover takes two; before there are as many, proposals are random.
        return self._parents if len(self._parents) > 1 else []

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return [trial for trial in self._generation if trial.state is TrialState.COMPLETE]

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        # In the order of their numbers, not of ranks: ties of rank would depend on sorting.
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)


def _finished(
    trial: optuna.Trial, evaluation: Evaluation, number: int, is_bred: bool
) -> FrozenTrial:
    asked = trial.study.get_trials(deepcopy=False)[trial.number]  # its own properties are copies
    return create_trial(
        state=TrialState.FAIL if evaluation.values is None else TrialState.COMPLETE,
        values=None if evaluation.values is None else list(evaluation.values),
        params=asked.params,
        distributions=asked.distributions,
        user_attrs={_RESULT: evaluation.result, _PROPOSAL: number, _BRED: is_bred},
        constraints=evaluation.violations,
    )


def _ours(trials: Sequence[FrozenTrial]) -> list[FrozenTrial]:
    """The proposals among a study's trials, each once, by their numbers.

    One whose answer was lost may have been stored twice; and who else writes to the study may have
    left trials that are no proposals.
    """
    proposals: dict[int, FrozenTrial] = {}
    for trial in trials:
        if _RESULT in trial.user_attrs and trial.state.is_finished():
            # Earlier versions wrote no numbers, and stored nothing twice.
            proposals.setdefault(trial.user_attrs.get(_PROPOSAL, len(proposals)), trial)
    found = [proposals[number] for number in sorted(proposals)]
    for number, trial in enumerate(found):
        trial.number = number
    return found


def _shared(document: Any) -> Any:
    """A JSON document whose strings are held once, however often they are there."""
    if isinstance(document, str):
        return sys.intern(document)
    if isinstance(document, list):
        return [_shared(item) for item in document]
    if isinstance(document, dict):
        return {sys.intern(name): _shared(value) for name, value in document.items()}
    return document


def result_of(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial's evaluation was given to remember."""
    result: dict[str, Any] = trial.user_attrs[_RESULT]
    return result


def is_bred(trial: FrozenTrial) -> bool:
    """Whether a trial was added to what the sampler proposed."""
    return bool(trial.user_attrs.get(_BRED))


def is_outside(trial: FrozenTrial) -> bool:
    """Whether a trial exceeds a limit."""
    return any(violation > 0 for violation in trial.constraints.values())
