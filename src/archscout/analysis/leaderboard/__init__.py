"""The contest: every metric on every benchmark that is at hand, told apart from size alone."""

from archscout.analysis.leaderboard.at_hand import label
from archscout.analysis.leaderboard.holding import Contest, hold
from archscout.analysis.leaderboard.judging import Round, Rules

__all__ = ["Contest", "Round", "Rules", "hold", "label"]
