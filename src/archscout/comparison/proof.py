"""The proof: what ways of spending a budget found, over seeds; `proof.json` of a run holds it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from archscout.promotion import read_document
from archscout.training.outcome import Loss

PROOF = "proof.json"


class Found(BaseModel):
    """What one way of spending the budget found from one seed.

    Attributes:
        strategy: its name: one of `promotion.strategies`, or a named architecture, which is
            trained whole.
        seed: of the search, the draw and the trainings.
        fingerprint: of the architecture with the lowest validation loss of those trained whole;
            None where all failed.
        title: its name and fingerprint, as tables have them.
        cost: in full trainings, as if nothing had been trained for the other strategies.
        trained: architectures that were trained, whole or in part.
        losses: of what was found, by part of the text, nats, at the best evaluation.
        bits_per_byte: the same in bits a byte of the text, where it is a code of the text.
        steps: after each architecture that was trained whole, the cost so far, and the loss, on the
            part that is compared, of the best one so far by validation.
    """

    model_config = ConfigDict(frozen=True)

    strategy: str
    seed: int
    fingerprint: str | None
    title: str
    cost: float
    trained: int
    losses: dict[str, float] = Field(default_factory=dict)
    bits_per_byte: dict[str, float] = Field(default_factory=dict)
    steps: list[tuple[float, float]] = Field(default_factory=list)


class Proof(BaseModel):
    """Ways of spending the same budget of training, over several seeds.

    Attributes:
        budget: in full trainings.
        seeds: that they were repeated from.
        measure: what the trained results are.
        is_exponential: whether that is e to the power of the loss, as a perplexity is.
        part: of the text on which they are compared, `test`, or `valid` of a text without one.
        drawn: architectures that random ones were drawn from, by seed.
        plan: what the trainings have in common: text, recipe, sizes.
        found: one for each strategy and seed.
    """

    model_config = ConfigDict(frozen=True)

    budget: float
    seeds: list[int]
    measure: str
    is_exponential: bool
    part: Literal["test", "valid"]
    drawn: list[int]
    plan: dict[str, Any]
    found: list[Found] = Field(min_length=1)

    @property
    def strategies(self) -> list[str]:
        """Their names, the search's own first."""
        return list(dict.fromkeys(each.strategy for each in self.found))

    def of(self, strategy: str) -> dict[int, Found]:
        """What a strategy found, by seed."""
        return {each.seed: each for each in self.found if each.strategy == strategy}

    def loss(self, found: Found) -> float | None:
        """On the part that is compared; None where nothing was found."""
        return found.losses.get(self.part)

    def result(self, loss: float) -> float:
        """A loss as the measure has it: perplexities are e to the power of it."""
        return Loss(loss, 1).perplexity if self.is_exponential else loss


def load_proof(folder: str | os.PathLike[str]) -> Proof | None:
    """What proof.json of a run folder holds; None where there is none.

    Raises:
        InputError: it is damaged, or of another format.
    """
    return read_document(Path(folder) / PROOF, Proof)
