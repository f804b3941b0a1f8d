"""From a run to a proof: the same budget is spent in several ways, from several seeds.

The run itself is the first seed; those that follow are runs of their own, in `seeds/` of its
folder. All ways share their trainings: a candidate is trained once from each seed, as far as any of
them asks, and each way is charged for what it asked for.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from pydantic import BaseModel

from archscout.comparison.proof import PROOF, Found, Proof
from archscout.execution import Cluster
from archscout.files import write_json
from archscout.promotion import FORMAT, Asked, Promotion, Trainings, promote, trainings_of
from archscout.promotion import Progress as Spending
from archscout.promotion.breeding import breed
from archscout.promotion.features import features_of, order_of, place_in_draw, ranked
from archscout.promotion.halving import Rung
from archscout.promotion.promoting import Fruitless, fronts_by
from archscout.promotion.strategies import STRATEGIES, Strategy, strategies
from archscout.runs import Run, search_from
from archscout.scoring import check_count
from archscout.training import comparison_settings, find_trainer
from archscout.training.outcome import bits_per_byte

SEEDS = "seeds"


@dataclasses.dataclass(frozen=True)
class Progress:
    """Where a proof stands.

    Attributes:
        done: what was spent so far, in full trainings, in all ways from all seeds; what was trained
            before counts from the first segment on, so that it is no part of the speed.
        total: what may be spent.
        doing: what is being done, in words.
    """

    done: float
    total: float
    doing: str


@dataclasses.dataclass
class _Standing:
    """Tells the progress of a proof.

    Attributes:
        told: is called with it.
        seed: from which is searched now.
        total: as of `Progress`.
        before: what the seeds before this one may spend.
    """

    told: Callable[[Progress], None]
    seed: int
    total: float = 0.0
    before: float = 0.0
    _way: str = STRATEGIES[0]
    _ways_before: float = 0.0
    _done: float = 0.0

    def begin(self, way: str, before: float = 0.0) -> None:
        """A way of spending begins, after others that may spend so much from the same seed."""
        self._way, self._ways_before = way, before
        self._tell()

    def spent(self, spent: float) -> None:
        """The way has spent so much."""
        done = self.before + self._ways_before + spent
        self._done = min(self.total, max(self._done, done))
        self._tell()

    def _tell(self) -> None:
        self.told(Progress(self._done, self.total, f"seed {self.seed}: {self._way}"))


_NOTHING: Mapping[str, Any] = {"fingerprint": None, "title": "", "cost": 0.0, "trained": 0}
"""What is found where no proposal is within the limits with a finite score."""


def prove(
    run: Run,
    budget: float | str,
    seeds: int,
    settings: BaseModel | str = "quick",
    workers: int | Cluster = 1,
    on_progress: Callable[[Progress], None] | None = None,
    on_warning: Callable[[str], None] | None = None,
) -> Proof:
    """Spend a budget as the search does, and in other ways, over seeds.

    After each seed proof.json is written, of those that are done.

    The other ways are random architectures trained whole, random ones by the same halving, the best
    by score trained whole, and each named architecture trained whole, at their own cost. Called
    again it goes on where it was stopped, and trains nothing twice.

    Args:
        run: of the first seed.
        budget: in full trainings, or a time, see `promotion.promote`.
        seeds: how many, from the run's own on.
        settings: the recipe, or the name of a preset.
        workers: processes, or a cluster, that score and train.
        on_progress: called now and then.
        on_warning: called with what the user should know.

    Raises:
        InputError: as of `promotion.promote`, or seeds is below 1.
        KeyboardInterrupt: Ctrl-C; what was at hand can be gone on with.
    """
    count, first = check_count("seeds", seeds), run.settings.seed
    recipe = comparison_settings(settings, run.space.name)
    standing = _Standing(on_progress or (lambda _: None), first)

    def from_a_seed(budget: float) -> float:
        return len(STRATEGIES) * budget + len(run.names)

    def on_search(now: Spending) -> None:
        standing.total = count * from_a_seed(now.budget)
        standing.spent(now.spent)

    found: list[Found] = []
    drawn: list[int] = []
    promotion = promote(run, budget, recipe, workers, on_search, on_warning)
    standing.total = count * from_a_seed(promotion.budget)
    for seed in range(first, first + count):
        standing.seed, standing.before = seed, (seed - first) * from_a_seed(promotion.budget)
        standing.begin(STRATEGIES[0])
        each = run
        if seed != first:
            place = run.folder.path / SEEDS / str(seed)
            each = search_from(run, seed, place, workers, None, on_warning)
        with suppress(Fruitless):  # from the first one there was something
            promote(each, promotion.budget, recipe, workers, on_search, on_warning)
        pool = random_candidates(each)
        drawn.append(len(pool))
        if len(ranked(each.proposed)):
            found += _found(each, promotion.budget, pool, recipe, workers, standing, on_warning)
        else:
            found.append(Found(strategy=STRATEGIES[0], seed=seed, **_NOTHING))
        proof = _proof(promotion, list(range(first, seed + 1)), drawn, found)
        write_json(run.folder.path / PROOF, {"format": FORMAT, **proof.model_dump()})
    standing.spent(standing.total)  # some ended early
    return proof


def random_candidates(run: Run) -> list[str]:
    """Fingerprints of what was proposed before the sampler had seen a score, in a random order.

    They stand for what there would be without a score: everything of `random`, the first population
    of `nsga2`, the start of `tpe`, as far as it is within the limits, but for named architectures.
    The order follows from the run's seed.
    """
    table = run.proposed
    early = table[(table["trial"] < run.settings.random_proposals) & table["within_limits"]]
    marks = early[~early["fingerprint"].isin(run.names)]["fingerprint"]
    return sorted(marks, key=lambda mark: place_in_draw(run.settings.seed, mark))


def _found(
    run: Run,
    budget: float,
    pool: Sequence[str],
    recipe: BaseModel,
    workers: int | Cluster,
    standing: _Standing,
    on_warning: Callable[[str], None] | None,
) -> list[Found]:
    """What every strategy finds from one seed, the search, which is done already, first."""
    # Children came of trainings, which the other ways know nothing of.
    features = features_of(run, run.proposed, workers)
    order = order_of(run, features)
    best = ranked(run.proposed)["fingerprint"].tolist()
    named = {mark: name for mark, name in run.names.items() if mark in set(best)}
    classics = [
        Strategy(f"{name} (included)" if name in STRATEGIES else name, [mark], [Rung(1.0, 1)])
        for mark, name in named.items()
    ]
    everyone = list(dict.fromkeys([*ranked(run.table)["fingerprint"], *pool]))
    found = []
    with trainings_of(run, everyone, recipe, workers, on_warning) as trainings:
        bred = partial(breed, run, folder=trainings.folder.path)  # which it did, and wrote down
        ways = strategies(order, features, best, pool, budget, breed=bred)
        for ended, way in enumerate(ways):
            if way.order:  # a random one may be within the limits, or none
                standing.begin(way.name, ended * budget)
                found.append(_spent(run, way, trainings, named, standing))
        if named:  # together, so that no worker waits
            standing.begin(", ".join(named.values()), len(ways) * budget)
            took = Asked(trainings)
            trainings.told = lambda *_: standing.spent(took.spent)
            took.train(list(named), 1.0)
        found += [_spent(run, way, trainings, named, standing) for way in classics]
    return found


def _spent(
    run: Run,
    way: Strategy,
    trainings: Trainings,
    named: Mapping[str, str],
    standing: _Standing,
) -> Found:
    """What a strategy finds, what it costs by itself, and what it had found on its way."""
    took, whole = Asked(trainings), list[str]()
    trainings.told = lambda *_: standing.spent(took.spent)

    def train(marks: Sequence[str], part: float) -> Mapping[str, float]:
        losses = took.train(marks, part)
        if part == 1:
            whole.extend(marks)
        return losses

    winner = way.spend(train, fronts_by(run) if way.name == "search" else None)
    outcomes = trainings.folder.outcomes()
    trainer, plan = find_trainer(run.space.name), trainings.folder.plan

    def parts(mark: str) -> Mapping[str, Any]:
        result: Mapping[str, Any] = outcomes[mark].result if mark in outcomes else {}
        found: Mapping[str, Any] = result.get("losses", {})
        return found

    def losses(mark: str) -> dict[str, float]:
        return {part: trainer.loss(at, plan.settings) for part, at in parts(mark).items()}

    costs = {mark: took.cost(mark) for mark in took.until}
    cost = sum(costs[mark] for mark in costs if mark not in whole)
    steps, best = [], None
    for mark in whole:
        cost, reached = cost + costs[mark], losses(mark)
        if reached and (best is None or reached["valid"] < best["valid"]):
            best = reached
        if best is not None:
            steps.append((cost, best.get("test", best["valid"])))
    title = winner or ""
    if title in named:
        title = f"{named[title]} ({title})"
    return Found(
        strategy=way.name,
        seed=run.settings.seed,
        fingerprint=winner,
        title=title,
        cost=cost,
        trained=len(took.until),
        losses={} if winner is None else losses(winner),
        bits_per_byte={} if winner is None else bits_per_byte(parts(winner)),
        steps=steps,
    )


def _proof(promotion: Promotion, seeds: list[int], drawn: list[int], found: list[Found]) -> Proof:
    return Proof(
        budget=promotion.budget,
        seeds=seeds,
        measure=promotion.measure,
        is_exponential=promotion.is_exponential,
        part="test" if any("test" in each.losses for each in found) else "valid",
        drawn=drawn,
        plan=json.loads(json.dumps(promotion.plan)),
        found=found,
    )
