"""The proof: what became of the candidates that were trained; `trained.json` of a run holds it."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from archscout.errors import InputError
from archscout.training.outcome import Loss

FORMAT = 1
TRAINED = "trained.json"
TRAININGS = "trained"


Document = TypeVar("Document", bound=BaseModel)


class Trainee(BaseModel):
    """A candidate that was trained.

    Attributes:
        rank: in the run, from 1.
        fingerprint: of the architecture.
        architecture: the genotype as JSON.
        parameters: number of them.
        scores: its values in the run's objectives.
        seconds: that a worker spent on the training.
        problem: why the training failed; None where it did not.
        losses: by part of the text, `valid` and, where there is one, `test`: nats of what training
            minimised, at the best evaluation; empty where it failed.
    """

    model_config = ConfigDict(frozen=True)

    rank: int
    fingerprint: str
    architecture: dict[str, Any]
    parameters: int
    scores: dict[str, float]
    seconds: float
    problem: str | None = None
    losses: dict[str, float] = Field(default_factory=dict)

    def loss(self, part: str) -> float:
        """Of a part of the text, nats; infinite where the training failed."""
        return self.losses.get(part, math.inf)


class Proof(BaseModel):
    """The best candidates of a run and random ones, all trained under the same budget.

    Attributes:
        asked: how many of each were to be trained.
        proposals: that the run had made by then.
        sampler: of the run.
        architectures: different ones within the limits: what would have to be trained without a
            score.
        scoring_seconds: that their scoring took.
        directions: 1 for each objective of which larger is better, else -1.
        measure: what the trained results are.
        is_exponential: whether that is e to the power of the loss, as a perplexity is.
        part: of the text on which they are compared, `test`, or `valid` of a text without a test
            part.
        pool: architectures from which the random ones were drawn.
        late: of the random ones, those that the sampler proposed after it had seen scores.
        plan: what the trainings have in common: text, recipe, sizes.
        top: the best by score, best first.
        random: those drawn at random, best by score first.
    """

    model_config = ConfigDict(frozen=True)

    asked: int
    proposals: int
    sampler: str
    architectures: int
    scoring_seconds: float
    directions: dict[str, Literal[1, -1]]
    measure: str
    is_exponential: bool = True
    part: Literal["test", "valid"]
    pool: int
    late: int
    plan: dict[str, Any]
    top: list[Trainee] = Field(min_length=1)
    random: list[Trainee] = Field(min_length=1)

    @model_validator(mode="before")
    @classmethod
    def _of_older(cls, document: Any) -> Any:
        """Files of earlier versions do not say what is an exponential."""
        if isinstance(document, Mapping) and document.get("measure") == "pretraining loss":
            return {"is_exponential": False, **document}
        return document

    @property
    def trainees(self) -> list[Trainee]:
        """All that were trained, the best by score first."""
        return [*self.top, *self.random]

    @property
    def winner(self) -> Trainee | None:
        """The one with the lowest validation loss of all; None if all failed."""
        return best_of(self.trainees)

    def result(self, loss: float) -> float:
        """A loss as the measure has it: perplexities are e to the power of it."""
        return Loss(loss, 1).perplexity if self.is_exponential else loss


def best_of(group: Sequence[Trainee]) -> Trainee | None:
    """The one that its validation loss chooses, as the test part is not for choosing.

    None if all failed.
    """
    finished = [trainee for trainee in group if trainee.problem is None]
    return min(finished, key=lambda trainee: trainee.loss("valid"), default=None)


def load_proof(folder: str | os.PathLike[str]) -> Proof | None:
    """What trained.json of a run folder holds; None where there is none.

    Raises:
        InputError: it is damaged, or of another format.
    """
    return read_document(Path(folder) / TRAINED, Proof)


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
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise InputError(f"{path} is damaged: {place}: {first['msg']}") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
