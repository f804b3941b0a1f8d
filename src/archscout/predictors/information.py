"""What is known of a ranker beside its model: what it was fitted on, how its scores are made."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, FiniteFloat

from archscout.errors import InputError
from archscout.predictors.features import RankFeatures
from archscout.recording import Kind
from archscout.scoring import ScoringSettings

FORMAT = 2
_PASSED_ON = ("objective", "split", "vocabulary_size", "tokenizer")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Scoring(ScoringSettings):
    """How scores are made. A ranker's features mean something under its own settings only.

    Its metrics are the features', which `Information` has, and the device is the user's.
    """

    model_config = ConfigDict(extra="forbid")

    @classmethod
    def of(cls, settings: ScoringSettings) -> Self:
        """The scoring of an evaluation."""
        names = set(cls.model_fields) - {"metrics", "metric_files", "metric_sha256", "device"}
        return cls(**settings.model_dump(include=names))

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
        """Make sure that other scores were made in this way."""
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
