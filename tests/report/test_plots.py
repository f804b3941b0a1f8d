"""What the plots show."""

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from archscout.report import plots
from archscout.report.findings import Findings
from archscout.report.plots import (
    histogram,
    plot_histories,
    plot_scoring_time,
    plot_trade_offs,
)
from archscout.runs import Run


def test_every_scored_architecture_stands_once_in_the_trade_off(plain: Run) -> None:
    (plot,) = plot_trade_offs(Findings(plain))
    points = [trace for trace in plot.figure.data if trace.hovertext is not None]
    scored = plain.table[plain.table["front"].notna()]
    beside = [text for trace in points for text in trace.hovertext]
    assert len(beside) == len(scored)
    for mark, parameters in zip(scored["fingerprint"], scored["parameters"], strict=True):
        (text,) = [text for text in beside if mark in text]
        assert f"parameters {parameters:,}" in text


def test_the_front_is_a_step_line_that_only_rises(plain: Run) -> None:
    (plot,) = plot_trade_offs(Findings(plain))
    (line,) = [trace for trace in plot.figure.data if trace.mode == "lines"]
    assert line.line.shape == "hv"
    assert (np.diff(line.x) >= 0).all()
    # The axis shows magnitudes of negative scores, so a better score is a smaller number.
    assert plot.figure.layout.yaxis.autorange == "reversed"
    assert (np.diff(line.y) <= 0).all()
    assert line.x[-1] == plain.table["parameters"].max()


def test_objectives_are_drawn_against_parameters_and_each_other(several: Run) -> None:
    names = [goal.name for goal in several.objectives]
    wanted = {("parameters", name) for name in names} | set(combinations(names, 2))
    plots = plot_trade_offs(Findings(several))
    titles = [(p.figure.layout.xaxis.title.text, p.figure.layout.yaxis.title.text) for p in plots]
    assert {(x.split(" (")[0], y.split(" (")[0]) for x, y in titles} == wanted
    assert len(plots) == len(wanted)


@pytest.mark.parametrize("name", ["plain", "limited", "several", "single", "equal"])
def test_every_proposal_stands_in_the_history(name: str, request: pytest.FixtureRequest) -> None:
    run: Run = request.getfixturevalue(name)
    for plot in plot_histories(Findings(run)):
        points = [trace for trace in plot.figure.data if trace.hovertext is not None]
        numbers = sorted(int(x) for trace in points for x in trace.x)
        assert numbers == [trial.number for trial in run.trials]


def test_the_best_so_far_never_gets_worse_and_ends_at_the_best(plain: Run) -> None:
    (plot,) = plot_histories(Findings(plain))
    (line,) = [trace for trace in plot.figure.data if trace.name == "best so far"]
    magnitudes = np.array(line.y)
    assert (np.diff(magnitudes) <= 0).all()
    assert -magnitudes[-1] == pytest.approx(plain.best.scores["hidden_covariance"])


def test_proposals_outside_the_limits_stand_below_the_history(limited: Run) -> None:
    (plot,) = plot_histories(Findings(limited))
    (strip,) = [t for t in plot.figure.data if t.yaxis == "y2" and "outside" in t.y[0]]
    outside = set(limited.table.loc[~limited.table["within_limits"], "fingerprint"])
    assert {text.split("</b>")[0].removeprefix("<b>") for text in strip.hovertext} == outside
    assert "outside the limits" in plot.caption


def test_nothing_scored_has_no_plots(hopeless: Run) -> None:
    findings = Findings(hopeless)
    assert plot_trade_offs(findings) == plot_histories(findings) == []
    assert len(plot_scoring_time(findings)) == 1


def test_of_many_a_sample_is_drawn_with_all_that_the_lines_touch(
    plain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [*plot_trade_offs(Findings(plain)), *plot_histories(Findings(plain))]
    monkeypatch.setattr(plots, "_MOST_POINTS", 5)
    few = [*plot_trade_offs(Findings(plain)), *plot_histories(Findings(plain))]
    for full, drawn in zip(whole, few, strict=True):
        assert "drawn" not in full.caption
        places = [
            {place for trace in plot.figure.data if trace.mode == "markers" for place in at(trace)}
            for plot in (full, drawn)
        ]
        assert places[1] < places[0]
        lines = [[at(t) for t in p.figure.data if t.mode == "lines"] for p in (full, drawn)]
        assert lines[0] == lines[1]
    total = len(Findings(plain).scored)
    assert f" of the {total} are drawn: those on the line, and a sample." in few[0].caption


def at(trace: Any) -> list[tuple[float, float]]:
    return list(zip(trace.x, trace.y, strict=True))


def test_the_median_of_the_scoring_time_is_shown(plain: Run) -> None:
    (plot,) = plot_scoring_time(Findings(plain))
    _, line = plot.figure.data
    median = 1e3 * plain.table["seconds"].median()
    assert line.x == pytest.approx((median, median))
    assert plot.figure.data[0].y.sum() == len(plain.table)


@given(st.lists(st.floats(1e-3, 1e5), min_size=1, max_size=200))
@example([1e5, 1e5 - 1.5e-11])
def test_a_histogram_counts_every_value(values: list[float]) -> None:
    heights, edges, above = histogram(np.array(values))
    assert heights.sum() == len(values)
    assert (np.diff(edges) > 0).all()
    assert above == sum(value > edges[-1] for value in values)
