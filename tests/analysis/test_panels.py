"""Figures for the browser, and that hardly any data are no error in those for print either."""

import io
import json
import math
from functools import partial

import numpy as np
import pandas as pd
import pytest

from archscout.analysis import figures, panels
from archscout.analysis.leaderboard import figures as board_figures
from archscout.analysis.leaderboard import panels as board

NAN, INF = math.nan, math.inf
VALUES = {
    "none": [],
    "one": [1.0],
    "two": [1.0, 2.0],
    "constant": [2.0] * 5,
    "missing": [NAN] * 4,
    "some": [NAN, 1.0, INF, -INF, 3.0],
    "infinite": [INF, -INF],
    "zero": [0.0] * 3,
    "tiny": [1e-300, 1e-310, 0.0],
    "one finite": [NAN, 3.0, INF],
}


def drawings(values):
    """Every figure of evaluations and leaderboards of some numbers, for print and the browser."""
    names = [f"a{i}" for i in range(len(values))]
    scores = pd.DataFrame({"m": values, "k": values[::-1]}, index=names, dtype=float)
    results = pd.Series(np.arange(len(values), dtype=float), index=names, name="loss")
    draws = pd.concat([scores, scores], keys=[0, 1], names=["draw"]).swaplevel()
    table = pd.DataFrame(
        dict.fromkeys(("kendall", "kendall_low", "kendall_high", "milliseconds"), values),
        index=names,
        dtype=float,
    )
    turned = pd.DataFrame({"n": 3, "kendall": [0.5, NAN], "spearman": NAN}, index=["m", "k"])
    found = pd.DataFrame(
        [
            {"search": search, "trained": trained, "scored": i, "mean": value}
            for search in ("random", "m")
            for trained in (1, 5)
            for i, value in enumerate(values, start=1)
        ],
        columns=["search", "trained", "scored", "mean"],
    ).astype({"trained": int, "scored": int, "mean": float})
    found = found.assign(**dict.fromkeys(("low", "lower", "upper", "high"), found["mean"]))
    budgets = scores.set_index(np.arange(1, len(values) + 1))
    words = {"m": "Words of m.", "k": "Words of k."}
    seen = {"turned": turned, "axes": words, "result_axis": "loss", "captions": words}
    labels = {"x_label": "ms", "y_label": "τ-b"}
    return {
        "grid": (
            partial(figures.metric_grid, scores, results, "loss", turned=turned),
            partial(panels.scatter, scores, results, **seen),
        ),
        "raw grid": (partial(figures.metric_grid, scores, results, "loss"), None),
        "boxes": (
            partial(figures.box_plots, draws, results),
            partial(panels.boxes, draws, results),
        ),
        "bars": (
            partial(figures.bars, table, "kendall", "τ"),
            partial(panels.bars, table, "kendall", "τ"),
        ),
        "spending": (partial(figures.spending, budgets), partial(panels.spending, budgets)),
        "lines": (partial(figures.lines, scores, "steps", "score"), None),
        "costs": (
            partial(board_figures.cost_plot, table, **labels),
            partial(board.cost_plot, table, **labels),
        ),
        "searches": (
            partial(board_figures.search_curves, found, "loss", False, 4.0),
            partial(board.search_curves, found, "loss", False, 4.0),
        ),
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("which", drawings([]))
@pytest.mark.parametrize("values", VALUES.values(), ids=VALUES)
def test_hardly_any_data_are_no_error(which, values):
    draw, drawn = drawings(values)[which]
    draw().savefig(io.BytesIO(), format="png", dpi=40)
    for panel in drawn() if drawn else ():
        json.loads(panel.to_json().replace("\\u003c", "<"), parse_constant=pytest.fail)


@pytest.fixture
def evaluated():
    names = [f"a{i}" for i in range(700)]
    losses = pd.Series(np.linspace(6, 4, 700), index=names)
    scores = pd.DataFrame({"bad": losses, "good": -losses, "less": losses}, index=names)
    turned = pd.DataFrame(
        {"n": 700, "kendall": [-1.0, 1.0, 0.5], "spearman": [-1.0, 1.0, 0.6]},
        index=list(scores),
    )
    return scores, losses, turned


def words_of(panel):
    return panel.figure.layout.annotations[0].text


def test_panels_and_pictures_say_the_signs_of_the_table(evaluated):
    scores, losses, turned = evaluated
    said = {name: f"{name} words" for name in scores}
    made = panels.scatter(
        scores, losses, turned=turned, axes=said, result_axis="loss", captions=said
    )
    assert [words_of(panel) for panel in made] == [
        "<b>good</b><br>τ 1.000   ρ 1.000   n 700",
        "<b>less</b><br>τ 0.500   ρ 0.600   n 700",
        "<b>bad</b><br>τ −1.000   ρ −1.000   n 700",
    ]
    assert made[0].figure.layout.xaxis.title.text == made[0].caption == "good words"
    picture = figures.metric_grid(scores, losses, "loss", turned=turned)
    assert [axes.get_title() for axes in picture.axes] == [
        "bad\nτ −1.000   ρ −1.000   n 700",
        "good\nτ 1.000   ρ 1.000   n 700",
        "less\nτ 0.500   ρ 0.600   n 700",
    ]


def test_a_panel_has_some_of_many_points_and_the_median_of_all(evaluated):
    scores, losses, turned = evaluated
    said = dict.fromkeys(scores, "")
    panel = panels.scatter(
        scores, losses, turned=turned, axes=said, result_axis="loss", captions=said
    )[0]
    points, line = panel.figure.data
    assert len(points.x) == 500
    assert points.y[0] == 6 and points.y[-1] == 4
    assert len(line.x) == 17
    assert line.y[0] == pytest.approx(losses.iloc[:41].median(), abs=0.01)


def test_bars_are_sorted_and_name_what_has_no_value():
    table = pd.DataFrame({"kendall": [0.3, -0.2, NAN]}, index=["a", "<b>", "c"])
    table = table.assign(kendall_low=table["kendall"] - 0.1, kendall_high=table["kendall"] + 0.1)
    (panel,) = panels.bars(table, "kendall", "τ")
    layout = panel.figure.layout
    assert list(panel.figure.data[0].x) == [-0.2, 0.3]
    assert list(layout.yaxis.ticktext) == ["&lt;b&gt;", "a"]
    assert list(layout.yaxis2.ticktext) == ["−0.200", "0.300"]
    assert panel.caption == "No value: `c`."


def test_names_are_shorter_beside_a_narrow_plot():
    name = "a_metric_whose_name_is_long[12]"
    table = pd.DataFrame({f"kendall{end}": [0.3] for end in ("", "_low", "_high")}, index=[name])
    (panel,) = panels.bars(table, "kendall", "τ")
    assert list(panel.figure.layout.yaxis.ticktext) == [name]
    assert panel.figure.layout.meta["narrow"]["yaxis"]["ticktext"] == ["a_metric_whose_…ng[12]"]


def test_boxes_are_ordered_by_the_result():
    index = pd.MultiIndex.from_product([["bad", "good", "fair"], range(5)])
    scores = pd.DataFrame({"metric": np.repeat([1.0, 3.0, 2.0], 5)}, index=index)
    results = pd.Series({"good": 4.5, "bad": 6.25, "fair": 5.0}, name="loss")
    (panel,) = panels.boxes(scores, results)
    assert list(panel.figure.layout.xaxis.ticktext) == ["4.50", "5", "6.25"]
    assert [box.y[0] for box in panel.figure.data] == [3.0, 2.0, 1.0]


def test_searches_that_cannot_differ_have_no_panel():
    rows = [
        {"search": "random", "trained": trained, "scored": scored, "mean": 5.0}
        for trained in (1, 5)
        for scored in (1, 2, 3, 4)
    ]
    found = pd.DataFrame(rows)
    found = found.assign(**dict.fromkeys(("low", "lower", "upper", "high"), found["mean"]))
    (panel,) = board.search_curves(found, "loss", False, 4.0)
    assert panel.caption == "The best one by score trained."
    # The best of all, which no search finds.
    assert panel.figure.data[0].name == "the best of all" and set(panel.figure.data[0].y) == {4.0}
    one, five = board_figures.search_curves(found, "loss", False, 4.0).axes
    assert any(set(line.get_ydata()) == {4.0} for line in one.lines)
    assert [text.get_text() for text in five.texts] == ["fewer than 5 architectures were scored"]


def test_costs_name_the_front():
    table = pd.DataFrame(
        {"milliseconds": [1.0, 2.0, 3.0, 4.0], "kendall": [0.1, 0.5, 0.3, 0.2]},
        index=["cheap", "best", "plain", "size"],
    )
    table = table.assign(kendall_low=table["kendall"] - 0.1, kendall_high=table["kendall"] + 0.1)
    (panel,) = board.cost_plot(table, x_label="ms", y_label="τ-b", baselines=["size"])
    line, rest, front, sized = panel.figure.data
    assert list(line.x) == [1.0, 2.0]
    assert [list(points.text) for points in (rest, front, sized)] == [
        *(["plain"], ["cheap", "best"], ["size"])
    ]
    assert [points.mode for points in (rest, front, sized)] == [
        *("markers", "markers+text", "markers")
    ]


def test_clusters_are_framed():
    names = list("abcd")
    matrix = pd.DataFrame(np.eye(4), index=names, columns=names)
    matrix.loc["a", "d"] = NAN
    (panel,) = board.heat_map(matrix, pd.Series([1, 1, 2, 3], index=names), "τ-b")
    (frame,) = panel.figure.layout.shapes
    assert (frame.x0, frame.x1, frame.y0, frame.y1) == (-0.5, 1.5, -0.5, 1.5)
    assert panel.figure.data[0].z[0][3] is None
