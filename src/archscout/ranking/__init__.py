"""Learned ranking: a supervised model of trained results, offered beside the label-free metrics."""

from archscout.ranking.examples import MINIMUM_LABELS, split
from archscout.ranking.features import forward_metrics
from archscout.ranking.fitting import fit
from archscout.ranking.information import Information
from archscout.ranking.judging import Judgement, judge, judge_by_folds
from archscout.ranking.ranker import Ranker

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
