"""What a proof says: each way of spending the budget beside the search."""

from __future__ import annotations

import dataclasses
import math

from archscout.comparison.proof import Proof

SEARCH = "search"

# Losses in nats that are no further apart than this, one per cent of a perplexity, may change
# places with another seed of the training.
EQUAL = 0.01


@dataclasses.dataclass(frozen=True)
class Standing:
    """A strategy over all seeds.

    Attributes:
        strategy: its name.
        mean: loss of what it found, nats, over the seeds from which it found something; None where
            it never did.
        bits_per_byte: the same in bits a byte of the text; None where it is no code of the text.
        cost: mean, in full trainings.
        trained: mean number of architectures that were trained, whole or in part.
        won: seeds from which the search found a lower loss than it; None of the search itself.
        equal: seeds from which both are no further apart than another seed of the training may
            bring them; they may be among those won.
        failed: seeds from which nothing was found.
        seeds: from which it was tried; a named architecture, or random ones, are not where a limit
            forbids them.
    """

    strategy: str
    mean: float | None
    bits_per_byte: float | None
    cost: float
    trained: float
    won: int | None
    equal: int | None
    failed: int
    seeds: int


def compare(proof: Proof) -> list[Standing]:
    """Every strategy beside the search, in the order of the proof."""
    ours = {seed: proof.loss(found) for seed, found in proof.of(SEARCH).items()}
    return [_standing(proof, name, ours) for name in proof.strategies]


def _standing(proof: Proof, name: str, ours: dict[int, float | None]) -> Standing:
    found = proof.of(name)
    losses = {seed: proof.loss(each) for seed, each in found.items()}
    there = [loss for loss in losses.values() if loss is not None]
    mean = math.fsum(there) / len(there) if there else None
    bits = [
        each.bits_per_byte[proof.part]
        for each in found.values()
        if proof.part in each.bits_per_byte
    ]
    pairs = [(_known(ours[seed]), _known(loss)) for seed, loss in losses.items()]
    is_other = name != SEARCH
    return Standing(
        strategy=name,
        mean=mean,
        bits_per_byte=math.fsum(bits) / len(bits) if bits and len(bits) == len(there) else None,
        cost=math.fsum(each.cost for each in found.values()) / len(found),
        trained=sum(each.trained for each in found.values()) / len(found),
        won=sum(a < b for a, b in pairs) if is_other else None,
        equal=sum(a == b or abs(a - b) < EQUAL for a, b in pairs) if is_other else None,
        failed=len(losses) - len(there),
        seeds=len(losses),
    )


def _known(loss: float | None) -> float:
    return math.inf if loss is None else loss
