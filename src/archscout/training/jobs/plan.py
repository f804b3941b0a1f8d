"""What many trainings are of, what they have in common, and how each ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from archscout.scoring import resolve_scale
from archscout.spaces.base import Scale, Space
from archscout.text import Corpus, tokenizer_for


@dataclasses.dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        name: that no other has, fit for a file.
        architecture: the genotype as JSON.
        seed: of the weights and of all that is random.
    """

    name: str
    architecture: Mapping[str, Any]
    seed: int


@dataclasses.dataclass(frozen=True)
class Plan:
    """What trainings have in common.

    Attributes:
        space: name of the architectures' space.
        text: what `load_corpus` takes, one or several.
        sha256: of the text.
        parts: of the text, such as `train`; `all` for one without splits.
        settings: the recipe, as JSON.
        scale: sizes of the networks, as JSON.
        vocabulary_size: V.
        vocabulary_limit: size limit of the vocabulary.
        tokenizer: of networks that read pieces of words or bytes, where it is not trained on the
            text.
        device: where they are trained.
        threads: of each process that trains.
        keep_weights: keep the weights of finished trainings, at their best, and the models.
    """

    space: str
    text: tuple[str, ...]
    sha256: str
    parts: tuple[str, ...]
    settings: Mapping[str, Any]
    scale: Mapping[str, Any]
    vocabulary_size: int
    vocabulary_limit: int | None = None
    tokenizer: str | None = None
    device: str = "cpu"
    threads: int = 1
    keep_weights: bool = False

    def built_at(self, space: Space[Any]) -> Scale:
        """The sizes of the networks, for their space."""
        scale: Scale = dataclasses.replace(resolve_scale(space, None), **self.scale)
        return scale

    @classmethod
    def of(
        cls,
        space: Space[Any],
        corpus: Corpus,
        settings: BaseModel,
        scale: Scale,
        vocabulary_limit: int | None = None,
        tokenizer: str | None = None,
        **options: Any,
    ) -> Plan:
        """The plan for a text that is at hand; options are `device`, `threads`, `keep_weights`.

        Raises:
            InputError: the text cannot give such a vocabulary.
        """
        return cls(
            space.name,
            corpus.places,
            corpus.sha256,
            corpus.names(),
            settings.model_dump(by_alias=True),
            dataclasses.asdict(scale),
            len(tokenizer_for(space.tokenization, corpus, vocabulary_limit, tokenizer)),
            vocabulary_limit,
            tokenizer,
            **options,
        )


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a training ended.

    Attributes:
        job: its name.
        problem: why it failed; None where it did not.
        seconds: that its segments took under the last driver, evaluation included, or where that is
            more, that all of them took for its steps.
        result: what the training's result.json holds; empty where it failed.
        epochs: the training's metrics.jsonl: one record an epoch, or an evaluation, as far as it
            went.
    """

    job: str
    problem: str | None
    seconds: float
    result: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    epochs: Sequence[Mapping[str, Any]] = ()
