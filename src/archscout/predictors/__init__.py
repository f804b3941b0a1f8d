"""Learned ranking: a supervised model of trained results, offered beside the label-free metrics."""

from archscout.predictors.examples import MINIMUM_LABELS, split
from archscout.predictors.features import forward_metrics
from archscout.predictors.fitting import fit
from archscout.predictors.information import Information
from archscout.predictors.judging import Judgement, judge, judge_by_folds
from archscout.predictors.ranker import Ranker

__all__ = [
    "MINIMUM_LABELS",
    "Information",
    "Judgement",
    "Ranker",
    "fit",
    "forward_metrics",
    "judge",
    "judge_by_folds",
    "split",
]
