"""The contest: every metric on every benchmark that is at hand, told apart from size alone."""

from archscout.analysis.contest.at_hand import label
from archscout.analysis.contest.holding import Contest, hold
from archscout.analysis.contest.judging import Round, Rules

__all__ = ["Contest", "Round", "Rules", "hold", "label"]
