"""The estimators that a ranker is chosen from, and the choice among them by cross-validation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.ensemble import (  # type: ignore[import-untyped]
    ExtraTreesRegressor,
    RandomForestRegressor,
)
from sklearn.kernel_ridge import KernelRidge  # type: ignore[import-untyped]
from sklearn.linear_model import Ridge  # type: ignore[import-untyped]

from archscout.analysis.statistics import Comparison, compare
from archscout.predictors.examples import Examples, split
from archscout.predictors.features import RankFeatures

Progress = Callable[[int, int], None]

FOLDS = 5
REPEATS = 2

_TREES: Mapping[str, Any] = {"n_estimators": 100, "min_samples_leaf": 3}

CANDIDATES: Mapping[str, Callable[[int], Any]] = {
    "ridge": lambda seed: Ridge(alpha=0.1),
    "kernel_ridge": lambda seed: KernelRidge(kernel="rbf", alpha=0.1, gamma=0.3),
    "random_forest": lambda seed: RandomForestRegressor(random_state=seed, **_TREES),
    "extra_trees": lambda seed: ExtraTreesRegressor(random_state=seed, **_TREES),
}
"""From a seed, a regressor of normalised ranks on features from 0 to 1; the smoothest first."""


@dataclass(frozen=True, eq=False)
class Model:
    """A fitted estimator of scikit-learn and the features that it was fitted on."""

    features: RankFeatures
    regressor: Any = field(repr=False)

    def predict(self, scores: pd.DataFrame) -> pd.Series[float]:
        """The predicted normalised rank of each row of scores, larger for a better network."""
        return pd.Series(self.regressor.predict(self.features.vectors(scores)), index=scores.index)


def fit_model(estimator: str, found: Examples, seed: int) -> Model:
    """Fit an estimator."""
    features = RankFeatures.of(found.scores)
    regressor = CANDIDATES[estimator](seed)
    regressor.fit(features.vectors(found.scores), found.targets.to_numpy())
    return Model(features, regressor)


def cross_validate(
    found: Examples, seed: int, resamples: int, progress: Progress | None = None
) -> Comparison:
    """The candidates' predictions of architectures that they were not fitted on, against results.

    `REPEATS` times the architectures are split into `FOLDS`; a prediction is the mean over
    repeats. Ranks, of scores and of results, are learned anew for each fold from the others. An
    architecture that was trained repeatedly counts once, with the means of its predictions and of
    its results' ranks.
    """
    predicted = pd.DataFrame(0.0, index=found.scores.index, columns=list(CANDIDATES))
    done, total = 0, REPEATS * FOLDS * len(CANDIDATES)
    for repeat in range(REPEATS):
        folds = split(found.fingerprints, FOLDS, seed + repeat)
        fold = found.labels["fingerprint"].map(folds).to_numpy()
        for number in range(FOLDS):
            held_out: NDArray[np.bool_] = fold == number
            for name in CANDIDATES:
                model = fit_model(name, found.where(~held_out), seed)
                predicted.loc[held_out, name] += model.predict(found.scores[held_out]) / REPEATS
                done += 1
                if progress is not None:
                    progress(done, total)
    averaged = pd.DataFrame({name: found.by_network(predicted[name]) for name in CANDIDATES})
    return compare(averaged, found.by_network(found.targets), resamples=resamples, seed=seed)


def best_of(comparison: Comparison) -> str:
    """The candidate of the largest τ-b; the first of those that are equal."""
    return str(comparison.table["kendall"].fillna(-1.0).idxmax())
