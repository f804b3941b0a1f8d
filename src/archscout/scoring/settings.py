"""The settings of a scoring, as a value that is stored, passed on and compared."""

from typing import Any, Literal, NamedTuple

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from archscout import spaces
from archscout.scoring.arguments import resolve_scale
from archscout.spaces.base import Scale


class Draw(NamedTuple):
    """One initialisation and one minibatch."""

    seed: int
    minibatch: int


class ScoringSettings(BaseModel):
    """Everything that decides the scores of architectures.

    Attributes:
        space: of the architectures.
        text: from where the corpus is loaded: its name, or absolute paths.
        text_sha256: of the corpus.
        metrics: names, as asked for.
        metric_files: files of Python that define metrics.
        metric_sha256: of these.
        scale: sizes of networks and minibatch.
        seeds: of the initialisations.
        minibatches: which of the text, from 0.
        objective: what gradients are taken of.
        split: of the corpus, None for the default.
        vocabulary_size: limit of the vocabulary's size.
        tokenizer: of encoders, where it is not trained on the text.
        device: where networks run.
    """

    model_config = ConfigDict(frozen=True)

    space: str
    text: tuple[str, ...]
    text_sha256: str = ""
    metrics: tuple[str, ...] = ()
    metric_files: tuple[str, ...] = ()
    metric_sha256: tuple[str, ...] = ()
    scale: dict[str, Any]
    seeds: tuple[int, ...] = Field((0,), min_length=1)
    minibatches: tuple[int, ...] = Field((0,), min_length=1)
    objective: Literal["sum", "cotangent", "loss"] = "sum"
    split: str | None = None
    vocabulary_size: int | None = Field(
        None, validation_alias=AliasChoices("vocabulary_size", "vocabulary_limit")
    )
    tokenizer: str | None = None
    device: str = "cpu"

    @property
    def draws(self) -> list[Draw]:
        """Every initialisation with every minibatch, in the order in which they are scored."""
        return [Draw(seed, batch) for seed in self.seeds for batch in self.minibatches]

    @property
    def built_at(self) -> Scale:
        """The scale with its sizes."""
        scale: Scale = resolve_scale(spaces.get(self.space), None).resized(**self.scale)
        return scale
