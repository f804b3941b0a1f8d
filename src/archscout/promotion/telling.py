"""Which of the scores told something of this text and recipe, by the short trainings there were."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

from archscout.promotion.ledger import Ledger, loss_of
from archscout.promotion.promotion import Told

_LEAST = 3


def what_scores_told(features: pd.DataFrame, ledger: Ledger, until: float) -> list[Told]:
    """Kendall's τ-b of each feature with the validation loss after the first rung.

    Failures share the last rank. Nothing where fewer than three were trained.
    """
    from scipy.stats import kendalltau

    found = {mark: ledger.find(mark, until) for mark in features.index}
    losses = {mark: loss_of(line) for mark, line in found.items() if line is not None}
    if len(losses) < _LEAST:
        return []
    good = -np.array(list(losses.values()))
    told = []
    for name in features:
        values = features[name].loc[list(losses)].to_numpy(dtype=float)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # where all are equal, τ is not defined: no entry
            test = kendalltau(values, good)
        if math.isfinite(test.statistic):
            shown = {"kendall": float(test.statistic), "p_value": float(test.pvalue)}
            told.append(Told(name=str(name), n=len(losses), **shown))
    return told
