"""The study: Optuna proposes, a function evaluates, the database remembers.

Proposals are drawn in memory, where that is fast, and each finished trial is handed over to be
stored in one transaction. The sampler is made anew for every trial, from the seed and the trial's
number, so a trial depends on the trials before it and on nothing else: a study that was stopped
and loaded again goes on as if it had not been.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial, TrialState

from archscout.runs.database import database_errors
from archscout.runs.search_settings import Direction

_RESULT = "result"


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
    """An Optuna study that lives in a database and is drawn from in memory.

    Args:
        storage: an Optuna storage address.
        name: of the study in the database.
        directions: `maximize` or `minimize` for each objective.
        sampler: `nsga2`, `random` or `tpe`.
        seed: of the sampler.
        population_size: of NSGA-II.
        create: whether a study that is not there is made.

    Raises:
        InputError: the database cannot be opened, is locked or damaged, or lacks the study.
    """

    def __init__(
        self,
        storage: str,
        name: str,
        directions: Sequence[Direction],
        sampler: str,
        seed: int,
        population_size: int,
        create: bool = False,
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._sampler = sampler
        self._seed = seed
        self._population_size = population_size
        with database_errors(storage):
            if create:
                stored = optuna.create_study(
                    storage=storage, study_name=name, directions=directions, load_if_exists=True
                )
            else:
                stored = optuna.load_study(storage=storage, study_name=name)
            trials = stored.get_trials(deepcopy=False)
        self._memory = optuna.create_study(directions=directions)
        self._memory.add_trials(trials)
        self.trials: list[FrozenTrial] = []
        self._genes: dict[str, BaseDistribution] | None = None
        for trial in trials:
            self._append(trial)

    def run(
        self,
        trials: int,
        suggest: Callable[[optuna.Trial], Any],
        evaluate: Callable[[Any], Evaluation],
        store: Callable[[FrozenTrial], None],
    ) -> Iterator[FrozenTrial]:
        """Propose and evaluate until the study has so many trials, yielding each new one.

        Args:
            trials: how many the study shall have.
            suggest: an architecture from a trial's suggestions.
            evaluate: what becomes of it.
            store: is given each finished trial, in order.
        """
        while len(self.trials) < trials:
            self._memory.sampler = self._make_sampler(len(self.trials))
            trial = self._memory.ask()
            evaluation = evaluate(suggest(trial))
            # Every attribute is a row of the database, and rows cost: one holds all.
            trial.set_user_attr(_RESULT, evaluation.result)
            for name, violation in evaluation.violations.items():
                trial.set_constraint(name, violation)
            if evaluation.values is None:
                frozen = self._memory.tell(trial, state=TrialState.FAIL)
            else:
                frozen = self._memory.tell(trial, list(evaluation.values))
            store(frozen)
            self._append(frozen)
            yield frozen

    def _append(self, trial: FrozenTrial) -> None:
        self.trials.append(trial)
        genes = trial.distributions
        if self._genes is not None:
            genes = {name: kind for name, kind in genes.items() if self._genes.get(name) == kind}
        self._genes = genes

    def _make_sampler(self, number: int) -> optuna.samplers.BaseSampler:
        digest = hashlib.blake2b(f"{self._seed}/{number}".encode(), digest_size=4).digest()
        seed = int.from_bytes(digest, "big")
        if self._sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if self._sampler == "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        return _NSGAIISampler(self._genes or {}, population_size=self._population_size, seed=seed)


class _NSGAIISampler(optuna.samplers.NSGAIISampler):
    """NSGA-II that is told which genes all trials share.

    Optuna's finds them by going through all trials, which a sampler made for one trial would have
    to do each time. It also orders a generation's parents by their rank when it first selects
    them, and by their number ever after; here it is always by number, for a study that was loaded
    again selects them anew.
    """

    def __init__(self, genes: dict[str, BaseDistribution], **options: Any) -> None:
        super().__init__(**options)
        self._genes = dict(sorted(genes.items()))

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        return {name: kind for name, kind in self._genes.items() if not kind.single()}

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return sorted(super().select_parent(study, generation), key=lambda trial: trial.number)


def result_of(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial's evaluation was given to remember."""
    result: dict[str, Any] = trial.user_attrs[_RESULT]
    return result


def is_outside(trial: FrozenTrial) -> bool:
    """Whether a trial exceeds a limit."""
    return any(violation > 0 for violation in trial.constraints.values())
