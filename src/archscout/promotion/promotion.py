"""What became of a budget of training; `promoted.json` of a run holds it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from archscout.errors import InputError, first_fault
from archscout.training.outcome import Loss

FORMAT = 1
PROMOTED = "promoted.json"

Document = TypeVar("Document", bound=BaseModel)


class Promoted(BaseModel):
    """A candidate that was trained, whole or in part.

    Attributes:
        fingerprint: of the architecture.
        name: in the literature, where it has one.
        rank: by score, from 1.
        architecture: the genotype as JSON.
        parameters: number of them.
        scores: its values in the run's objectives.
        reached: part of a full training that it was trained for.
        losses: of the validation part, nats, by the part of a full training after which they were
            measured (as text, for JSON has no other keys).
        problem: why its training failed; None where it did not.
        results: of one that was trained whole, losses by part of the text, nats, at the best
            evaluation.
        bits_per_byte: the same in bits a byte of the text, where it is a code of the text.
    """

    model_config = ConfigDict(frozen=True)

    fingerprint: str
    name: str | None
    rank: int
    architecture: dict[str, Any]
    parameters: int
    scores: dict[str, float]
    reached: float
    losses: dict[str, float]
    problem: str | None = None
    results: dict[str, float] = Field(default_factory=dict)
    bits_per_byte: dict[str, float] = Field(default_factory=dict)

    @property
    def title(self) -> str:
        """Its name and fingerprint, as tables have them."""
        return self.fingerprint if self.name is None else f"{self.name} ({self.fingerprint})"


class Told(BaseModel):
    """How far what is known without training agreed with short trainings.

    Attributes:
        name: `rank` (the run's own ranking), a metric, `parameters`, or a trait of the space.
        kendall: Kendall's τ-b with the validation loss after the first rung, 1 where what is better
            by it (or larger) trains better.
        p_value: two-sided, for no agreement.
        n: candidates.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    kendall: float
    p_value: float
    n: int


class Promotion(BaseModel):
    """How a budget was spent, and on whom.

    Attributes:
        budget: in full trainings, as asked for.
        spent: in full trainings.
        seconds: that the trainings took.
        measure: what trained networks are compared by, such as `perplexity`.
        is_exponential: whether that is e to the power of the loss.
        plan: what the trainings have in common: text, recipe, sizes.
        told: how far scores and size agreed with the trainings of the first rung.
        bred: candidates that were proposed after the first trainings, near those that did best.
        candidates: all that were trained, the winner first, then by how long and how well.
    """

    model_config = ConfigDict(frozen=True)

    budget: float
    spent: float
    seconds: float
    measure: str
    is_exponential: bool
    plan: dict[str, Any]
    told: list[Told] = Field(default_factory=list)
    bred: int = 0
    candidates: list[Promoted]

    @property
    def winner(self) -> Promoted:
        """The one that was trained whole."""
        return self.candidates[0]

    def result(self, loss: float) -> float:
        """A loss as the measure has it: perplexities are e to the power of it."""
        return Loss(loss, 1).perplexity if self.is_exponential else loss


def load_promotion(folder: str | os.PathLike[str]) -> Promotion | None:
    """What promoted.json of a run folder holds; None where there is none.

    Raises:
        InputError: it is damaged, or of another format.
    """
    return read_document(Path(folder) / PROMOTED, Promotion)


def read_document(path: Path, kind: type[Document]) -> Document | None:
    """What a JSON file of this format holds; None where there is none.

    Raises:
        InputError: it is damaged, or of another format.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        if document["format"] != FORMAT:
            raise InputError(f"{path} is of format {document['format']}; accepted is {FORMAT}")
        return kind.model_validate(document)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except ValidationError as error:
        raise InputError(f"{path} is damaged: {first_fault(error)}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
