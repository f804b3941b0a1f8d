"""Whether a search paid: its best candidates against random ones, as they turned out trained."""

from __future__ import annotations

import dataclasses
import math
import warnings
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from archscout.comparison.proof import FORMAT, Proof, Trainee, best_of

Floats = NDArray[np.float64]

_EXCHANGES = 20_000

# Losses in nats that are no further apart than this, one per cent of a perplexity, may change
# places with another seed.
_EQUAL = 0.01


@dataclasses.dataclass(frozen=True)
class Correlation:
    """How far a quantity ranks the trained networks as training does.

    Attributes:
        name: an objective, or `parameters`.
        kendall: Kendall's τ-b with the trained result, 1 where what is better by the quantity
            trains better; None where all are equal in one of the two.
        p_value: two-sided, for no correlation; None as above.
        n: networks.
    """

    name: str
    kendall: float | None
    p_value: float | None
    n: int


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What the trainings tell.

    Attributes:
        best_top: of the best by score, the one with the lowest validation loss; None if all failed.
        best_random: of the random ones, the same.
        paid: whether `best_top` has the lower loss of the two, on the part that is compared; None
            where they are no further apart than another seed may bring them, or all failed.
        mean_top: mean loss of the best by score, nats, where a failed training counts as the worst
            of all that did not fail; None if all failed.
        mean_random: of the random ones, the same.
        p_value: two-sided, for means that differ by chance, from the exchanges of networks between
            the groups; None if all failed, or a group has but one network.
        correlations: of each objective, and last of the number of parameters, of which more counts
            as better there.
        failed: trainings that failed.
        seconds_each: mean of a training that did not fail; None if all did.
        seconds_all: what training all architectures would take, by that mean; None as above.
        seconds_top: scoring, and training the best by score.
        seconds_spent: scoring, and training these and the random ones.
    """

    best_top: Trainee | None
    best_random: Trainee | None
    paid: bool | None
    mean_top: float | None
    mean_random: float | None
    p_value: float | None
    correlations: list[Correlation]
    failed: int
    seconds_each: float | None
    seconds_all: float | None
    seconds_top: float
    seconds_spent: float


def compare(proof: Proof) -> Comparison:
    """What the trainings of a proof tell."""
    best_top, best_random = best_of(proof.top), best_of(proof.random)
    losses = _losses(proof.trainees, proof.part)
    mean_top = mean_random = p_value = None
    if losses is not None:
        top, random = losses[: len(proof.top)], losses[len(proof.top) :]
        mean_top, mean_random = float(top.mean()), float(random.mean())
        p_value = _chance(top, random)
    top_seconds = sum(trainee.seconds for trainee in proof.top)
    random_seconds = sum(trainee.seconds for trainee in proof.random)
    times = [trainee.seconds for trainee in proof.trainees if trainee.problem is None]
    each = sum(times) / len(times) if times else None
    return Comparison(
        best_top=best_top,
        best_random=best_random,
        paid=_paid(_loss(best_top, proof.part), _loss(best_random, proof.part)),
        mean_top=mean_top,
        mean_random=mean_random,
        p_value=p_value,
        correlations=_correlations(proof),
        failed=len(proof.trainees) - len(times),
        seconds_each=each,
        seconds_all=None if each is None else each * proof.architectures,
        seconds_top=proof.scoring_seconds + top_seconds,
        seconds_spent=proof.scoring_seconds + top_seconds + random_seconds,
    )


def to_document(proof: Proof) -> dict[str, Any]:
    """What trained.json holds: the proof, and what follows from it for whoever reads the file."""
    found = compare(proof)
    statistics = dataclasses.asdict(found)
    for name, trainee in (("best_top", found.best_top), ("best_random", found.best_random)):
        statistics[name] = trainee and trainee.fingerprint
    winner = proof.winner
    return {
        "format": FORMAT,
        **proof.model_dump(),
        "winner": winner and winner.fingerprint,
        "statistics": statistics,
    }


def _loss(trainee: Trainee | None, part: str) -> float:
    return math.inf if trainee is None else trainee.loss(part)


def _paid(top: float, random: float) -> bool | None:
    return None if top == random or abs(top - random) < _EQUAL else top < random


def _losses(group: Sequence[Trainee], part: str) -> Floats | None:
    """Losses (n,) with failures as bad as the worst of the others; None if all failed."""
    losses = np.array([trainee.loss(part) for trainee in group])
    finished = np.isfinite(losses)
    if not finished.any():
        return None
    return np.where(finished, losses, losses[finished].max())


def _chance(top: Floats, random: Floats) -> float | None:
    """The share of exchanges between two groups that leave means at least as different.

    All exchanges where there are few enough, else so many at random.
    """
    k, n = len(top), len(top) + len(random)
    if min(k, n - k) < 2:
        return None
    losses = np.concatenate([top, random])
    if math.comb(n, k) <= _EXCHANGES:
        groups = np.array(list(combinations(range(n), k)))
    else:
        rng = np.random.default_rng(0)
        drawn = [rng.permutation(n)[:k] for _ in range(_EXCHANGES - 1)]
        groups = np.array([np.arange(k), *drawn])
    sums = losses[groups].sum(axis=1)
    differences = np.abs(sums / k - (losses.sum() - sums) / (n - k))
    seen = abs(top.mean() - random.mean())
    # Sums of the same losses in another order may differ in the last digit.
    return float(np.mean(differences >= seen - 1e-9))


def _correlations(proof: Proof) -> list[Correlation]:
    """Of the objectives and of the size, with failures tied in the last place."""
    group = proof.trainees
    results = -np.array([trainee.loss(proof.part) for trainee in group])
    found = []
    for name, sign in proof.directions.items():
        values = sign * np.array([trainee.scores[name] for trainee in group])
        found.append(_correlation(name, values, results))
    if "parameters" not in proof.directions:
        sizes = np.array([float(trainee.parameters) for trainee in group])
        found.append(_correlation("parameters", sizes, results))
    return found


def _correlation(name: str, values: Floats, results: Floats) -> Correlation:
    """Kendall's τ-b of values and results (n,), larger being better in both."""
    # Takes half a second, which reports of runs without trainings need not spend.
    from scipy.stats import kendalltau

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # where it is not defined, it is NaN, and that is enough
        test = kendalltau(values, results)
    tau, p_value = float(test.statistic), float(test.pvalue)
    if math.isnan(tau):
        return Correlation(name, None, None, len(values))
    return Correlation(name, tau, p_value, len(values))
