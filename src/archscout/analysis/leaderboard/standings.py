"""How metrics stand on one benchmark: how well they predict, beside what size alone predicts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from archscout.analysis.statistics import Comparison

PARAMETERS = "parameters"
BASELINES = (
    *(PARAMETERS, "flops", "depth", "width"),
    *("depth_times_width", "depth_squared_times_width"),
)
"""What needs no network, and what a metric must beat to be worth anything."""
LEVEL = 0.05
"""Below it a difference of two metrics is not put down to chance."""


def standings(
    comparison: Comparison,
    incomplete: Mapping[str, Comparison],
    milliseconds: pd.Series[float],
    reference: str,
) -> pd.DataFrame:
    """The table of a benchmark, best τ-b first.

    Args:
        comparison: of all metrics with the trained results.
        incomplete: for metrics that not every architecture has, the comparison on those that do:
            there they are tested against the baselines.
        milliseconds: by metric, NaN or missing where that is not known.
        reference: the metric whose time others are divided by.

    Returns:
        The columns of `Comparison.table`, and: `gain`, by how much τ-b exceeds that of
        `parameters`, with `gain_low`, `gain_high` (95 %) and `gain_p` of a paired bootstrap;
        `milliseconds` an architecture, and `relative_cost`, their ratio to the reference; `beats`
        and `does_not_beat`, the baselines, comma-separated, whose τ-b is significantly exceeded,
        and the others.
    """
    table = comparison.table.sort_values("kendall", ascending=False, kind="stable")
    baselines = [
        name for name in BASELINES if name in table.index and table.at[name, "problem"] is None
    ]
    rows = []
    for name in map(str, table.index):
        rivals = baselines if table.at[name, "problem"] is None else ()
        rows.append(_against(incomplete.get(name, comparison), name, rivals))
    cost = milliseconds.reindex(table.index)
    judged = pd.DataFrame(rows, index=table.index)
    judged.insert(4, "milliseconds", cost)
    judged.insert(5, "relative_cost", cost / milliseconds.get(reference, np.nan))
    return table.join(judged).rename_axis("metric")


def _against(comparison: Comparison, name: str, baselines: Sequence[str]) -> dict[str, object]:
    """The part of a metric's row that its comparison with the baselines gives."""
    gain = dict.fromkeys(("gain", "gain_low", "gain_high", "gain_p"), np.nan)
    beats: dict[bool, list[str]] = {True: [], False: []}
    for baseline in baselines:
        if baseline == name:
            continue
        test = comparison.test(name, baseline)
        if np.isnan(test.difference):  # where the metric is, all are of one depth, say
            continue
        beats[bool(test.difference > 0 and test.p_value < LEVEL)].append(baseline)
        if baseline == PARAMETERS:
            found = (test.difference, test.low, test.high, test.p_value)
            gain = dict(zip(gain, found, strict=True))
    return {**gain, "beats": ", ".join(beats[True]), "does_not_beat": ", ".join(beats[False])}


def verdicts(table: pd.DataFrame) -> Iterator[str]:
    """In words, for each row of `standings`, which baselines the metric beats."""
    for name, row in table.iterrows():
        beaten, others = (
            [part for part in str(row[column]).split(", ") if part]
            for column in ("beats", "does_not_beat")
        )
        count = len(beaten) + len(others)
        if name in BASELINES and not beaten:
            yield "(a baseline)"
        elif not count:
            yield "–"
        elif not beaten:
            yield f"does not beat {others[0] if count == 1 else f'any of {count}'}"
        elif not others:
            yield beaten[0] if count == 1 else f"all {count}"
        elif len(others) < len(beaten):
            yield f"{len(beaten)} of {count}; does not beat {', '.join(others)}"
        else:
            yield f"{', '.join(beaten)}; does not beat {', '.join(others)}"
