"""What is known of a ranker beside its model: what it was fitted on, how its scores are made."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from archscout import spaces
from archscout.analysis.evaluation_folder import EvaluationSettings
from archscout.errors import InputError
from archscout.predictors.features import RankFeatures
from archscout.recording import Kind
from archscout.scoring import resolve_scale
from archscout.spaces import Scale

FORMAT = 2
_PASSED_ON = ("objective", "split", "vocabulary_limit", "tokenizer")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scoring(_Frozen):
    """How scores are made. A ranker's features mean something under its own settings only.

    Attributes:
        space: of the architectures.
        text: the corpus, as given.
        text_sha256: of the corpus.
        scale: sizes of networks and minibatch.
        seeds: of the initialisations.
        minibatches: which of the text, from 0.
        objective: what gradients are taken of.
        split: of the corpus, None for the default.
        vocabulary_limit: of the vocabulary.
        tokenizer: of encoders, where it is not trained on the text.
    """

    space: str
    text: tuple[str, ...]
    text_sha256: str
    scale: dict[str, Any]
    seeds: Annotated[tuple[int, ...], Field(min_length=1)]
    minibatches: Annotated[tuple[int, ...], Field(min_length=1)]
    objective: Literal["sum", "cotangent", "loss"]
    split: str | None
    vocabulary_limit: int | None
    tokenizer: str | None

    @classmethod
    def of(cls, settings: EvaluationSettings) -> Self:
        """The scoring of an evaluation."""
        return cls(**{name: getattr(settings, name) for name in cls.model_fields})

    @property
    def built_at(self) -> Scale:
        """The scale with its sizes."""
        scale: Scale = resolve_scale(spaces.get(self.space), None).resized(**self.scale)
        return scale

    def arguments(self) -> dict[str, Any]:
        """What `evaluate` takes to make scores in this way, but for the text."""
        return {
            "scale": self.built_at,
            "seeds": len(self.seeds),
            "minibatches": len(self.minibatches),
            "seed": self.seeds[0],
            **{name: getattr(self, name) for name in _PASSED_ON},
        }

    def check_same(self, other: Scoring, place: str) -> None:
        """Make sure that other scores were made in this way.

        Args:
            other: how they were made.
            place: what they are, for the message.

        Raises:
            InputError: they were not; the message names what differs.
        """
        for name in type(self).model_fields:
            ours, theirs = getattr(self, name), getattr(other, name)
            if name != "text" and ours != theirs:
                raise InputError(
                    f"{place} has scores of {name} {theirs!r}, the ranker was fitted on those of "
                    f"{name} {ours!r}; only scores made alike are accepted"
                )


class Origin(_Frozen):
    """Where some labels come from.

    Attributes:
        benchmark: its name.
        dataset: what its networks were trained on.
        target: the column of its results.
        labels: how many architectures with a result were learned from.
        modified: the benchmark's files that are not as published.
    """

    benchmark: str
    dataset: str
    target: str
    labels: int
    modified: tuple[str, ...]


class CrossValidation(_Frozen):
    """How the estimator was chosen, on the training alone.

    Attributes:
        folds: of architectures.
        repeats: of the splitting.
        kendall: Kendall's τ-b of the chosen one, of predictions for architectures that it was not
            fitted on, each architecture counted once; as the largest of several, a little too
            large.
        low: lower end of its bootstrap 95 % interval.
        high: upper end.
        candidates: τ-b by estimator; None where predictions do not vary.
    """

    folds: int
    repeats: int
    kendall: FiniteFloat
    low: FiniteFloat
    high: FiniteFloat
    candidates: dict[str, FiniteFloat | None]


class Information(_Frozen):
    """Everything of a ranker but the fitted estimator.

    Attributes:
        kind: of the networks.
        scoring: how its scores are made.
        metrics: those that are its features.
        features: what was learned of them.
        metric_kendall: by column of scores, τ-b with the same labels in the direction that its
            metric claims, where there is one.
        origins: of the labels.
        fingerprints: of the networks that were learned from.
        seed: of folds and estimator.
        estimator: the one that was chosen.
        cross_validation: that chose it.
        versions: of what made it.
        format: of the file.
    """

    kind: Kind
    scoring: Scoring
    metrics: tuple[str, ...]
    features: RankFeatures
    metric_kendall: dict[str, FiniteFloat]
    origins: tuple[Origin, ...]
    fingerprints: tuple[str, ...]
    seed: int
    estimator: str
    cross_validation: CrossValidation
    versions: dict[str, str]
    format: int = FORMAT

    @property
    def labels(self) -> int:
        """The number of trained results that were learned from."""
        return sum(origin.labels for origin in self.origins)

    @property
    def architectures(self) -> int:
        """The number of different networks among them; one may have been trained repeatedly."""
        return len(self.fingerprints)
