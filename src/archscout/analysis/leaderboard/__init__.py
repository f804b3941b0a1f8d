"""The leaderboard: every metric on every benchmark that is at hand, told apart from size alone."""

from archscout.analysis.leaderboard.at_hand import label
from archscout.analysis.leaderboard.judging import Round, Rules
from archscout.analysis.leaderboard.making import Leaderboard, make_leaderboard

__all__ = ["Leaderboard", "Round", "Rules", "label", "make_leaderboard"]
