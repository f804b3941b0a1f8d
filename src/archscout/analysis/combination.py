"""Metrics combined without labels: the ranks that several give, made into one.

Values of different metrics cannot be added up, their ranks can. Each metric ranks the architectures
that it has a value for; one that is alike for all says nothing and has no vote.

Sources: Borda 1781 (mean ranks); Lee and Ham 2024, "AZ-NAS", section 3.3 (logarithms of ranks).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd

from archscout.errors import InputError
from archscout.metrics import request
from archscout.recording import Kind

Method = Literal["mean", "median", "log"]

_METHODS: Mapping[Method, Callable[[pd.DataFrame], pd.Series[float]]] = {
    "mean": lambda ranks: ranks.mean(axis=1),
    "median": lambda ranks: ranks.median(axis=1),
    "log": lambda ranks: np.log(ranks).mean(axis=1),
}


@dataclass(frozen=True)
class Combination:
    """Metrics whose ranks are combined.

    Attributes:
        members: names of metrics, at least two, such as `linear_memory` or `linear_memory[2]`.
        method: `mean` of the ranks (Borda's count), their `median` (which a metric that fails
            cannot move far, with three or more), or the mean of their logarithms, `log` (AZ-NAS's,
            which punishes one low rank more than it rewards a high one).
    """

    members: tuple[str, ...]
    method: Method = "mean"

    @property
    def name(self) -> str:
        """The members joined by `+`, with the method where it is not the mean."""
        joined = "+".join(self.members)
        return joined if self.method == "mean" else f"{self.method}({joined})"

    def of(self, scores: pd.DataFrame, larger_is_better: Mapping[str, bool]) -> pd.Series[float]:
        """One number an architecture, larger is better.

        Args:
            scores: one row an architecture, with a column for each member; infinite on the side
                that ranks last where a score is not finite, NaN where there is none.
            larger_is_better: direction of every member.

        Returns:
            From 0 to 1 for ranks, at most 0 for logarithms; NaN for architectures of which no
            member has a value.

        Raises:
            InputError: a member is no column of the scores.
        """
        if missing := [name for name in self.members if name not in scores]:
            raise InputError(f"combination {self.name}: there are no scores of {missing[0]}")
        ranks = pd.DataFrame(
            {
                name: scores[name].rank(pct=True, ascending=larger_is_better[name])
                for name in self.members
            }
        )
        voting = [name for name in ranks if ranks[name].nunique() > 1]
        if not voting:
            return pd.Series(np.nan, index=scores.index)
        return _METHODS[self.method](ranks[voting])


# What archscout judges beside the metrics: ideas that measure different things, one metric each.
COMBINATIONS: Mapping[Kind, tuple[Combination, ...]] = {
    "other": (
        Combination(("linear_memory", "token_sensitivity")),
        Combination(("linear_memory", "token_sensitivity", "hidden_covariance[2]")),
        Combination(("linear_memory", "token_sensitivity", "hidden_covariance[2]"), "median"),
        Combination(("az_expressivity", "az_progressivity", "az_trainability", "flops"), "log"),
    ),
    "transformer": (
        Combination(("depth_squared_times_width", "parameters", "softmax_confidence")),
        Combination(("depth_squared_times_width", "l2_norm", "linear_memory_lag_0")),
        Combination(("depth_squared_times_width", "l2_norm", "linear_memory_lag_0"), "median"),
        Combination(("az_expressivity", "az_trainability", "flops"), "log"),
    ),
}


def parse_combinations(texts: Iterable[str], kind: Kind) -> tuple[Combination, ...]:
    """Combinations from texts such as `linear_memory+token_sensitivity` or `median(depth+flops)`.

    A `+` within brackets belongs to a formula, as in `formula:mean(l1(weights + weights))+depth`.

    Args:
        texts: one a combination.
        kind: of the networks.

    Raises:
        InputError: a metric is unknown or stands twice, one stands alone, or there is no such
            method.
    """
    known: tuple[Method, ...] = get_args(Method)
    found = []
    for text in texts:
        named = re.fullmatch(r"([a-z]+)\((.*)\)", text.strip())
        method, joined = named.groups() if named else ("mean", text)
        chosen = next((each for each in known if each == method), None)
        if chosen is None:
            raise InputError(f"no way {method!r} of combining; accepted: {', '.join(known)}")
        members = _members(joined)
        if len(members) < 2:
            raise InputError(
                f"combination {text!r}: two metrics or more, joined by +, are accepted"
            )
        main = [request(name, kind).main() for name in members]
        if len({(asked.metric.name, asked.layer) for asked in main}) < len(main):
            raise InputError(f"combination {text!r}: each metric may stand once")
        found.append(Combination(members, chosen))
    return tuple(found)


def _members(text: str) -> tuple[str, ...]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "([") - (character in ")]")
        if character == "+" and depth <= 0:
            parts.append("")
        else:
            parts[-1] += character
    return tuple(part.strip() for part in parts if part.strip())
