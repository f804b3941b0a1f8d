"""Features of a ranker: the scores of an architecture as ranks among those of the training."""

from __future__ import annotations

from typing import Self

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, FiniteFloat

from archscout.analysis.kendall import Floats
from archscout.metrics import available
from archscout.recording import Kind
from archscout.tracing.quantities import QUANTITIES


def forward_metrics(kind: Kind) -> list[str]:
    """The metrics that need no gradient of the output, the default features of a ranker.

    These are the metrics none of whose quantities needs the output.

    Args:
        kind: of the networks.
    """
    return [
        name
        for name, metric in available(kind).items()
        if not any("output" in QUANTITIES[need] for need in metric.needs)
    ]


class RankFeatures(BaseModel):
    """Scores on a scale of their own: where each stands among the training's.

    Scores of one metric may differ by orders of magnitude, and by more on another text, while
    their ranks keep what they say. A score becomes the share of the training's finite scores that
    lie below it (half of those that equal it), an infinite one 0 or 1, and one that is missing
    a half. Where the training has infinite or missing scores, a further feature marks them.

    Attributes:
        finite: by column, the training's finite scores, ascending.
        infinite: the columns whose infinite scores are marked.
        missing: the columns whose missing scores are marked.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    finite: dict[str, tuple[FiniteFloat, ...]]
    infinite: tuple[str, ...]
    missing: tuple[str, ...]

    @classmethod
    def of(cls, scores: pd.DataFrame) -> Self:
        """The features that scores (n, columns) of a training define; NaN is no such layer."""
        return cls(
            finite={
                str(name): tuple(np.sort(column[np.isfinite(column)]).tolist())
                for name, column in scores.items()
            },
            infinite=tuple(str(name) for name in scores if np.isinf(scores[name]).any()),
            missing=tuple(str(name) for name in scores if scores[name].isna().any()),
        )

    @property
    def width(self) -> int:
        """The number of features."""
        return len(self.finite) + len(self.infinite) + len(self.missing)

    def vectors(self, scores: pd.DataFrame) -> Floats:
        """Features (n, width), each from 0 to 1; a column that is not there is missing for all."""
        known = scores.reindex(columns=list(self.finite)).astype(np.float64)
        columns = [
            _ranks(np.asarray(finite, dtype=np.float64), known[name].to_numpy())
            for name, finite in self.finite.items()
        ]
        marks = [np.isinf(known[name]) for name in self.infinite]
        marks += [known[name].isna() for name in self.missing]
        return np.stack([*columns, *(mark.to_numpy(dtype=np.float64) for mark in marks)], axis=1)


def _ranks(finite: Floats, scores: Floats) -> Floats:
    """(n,) the share of ascending finite scores that lie below."""
    ranks = np.full(len(scores), 0.5)
    present = ~np.isnan(scores)
    if len(finite):
        below = np.searchsorted(finite, scores[present], side="left")
        not_above = np.searchsorted(finite, scores[present], side="right")
        ranks[present] = (below + not_above) / (2 * len(finite))
    return ranks
