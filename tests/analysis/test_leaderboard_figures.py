"""The leaderboard's figures: what they show, and that they can be read."""

import io

import numpy as np
import pandas as pd
import pytest
from matplotlib.text import Text

from archscout.analysis.leaderboard.figures import cost_plot, heat_map, search_curves


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    kendall = rng.uniform(-0.4, 0.7, 25)
    frame = pd.DataFrame(
        {
            "milliseconds": 10 ** rng.uniform(0, 2.5, 25),
            "kendall": kendall,
            "kendall_low": kendall - 0.1,
            "kendall_high": kendall + 0.1,
        },
        index=[f"metric_of_some_name_{i}" for i in range(25)],
    )
    frame.loc["cheap_and_best"] = [0.5, 0.9, 0.8, 0.95]
    frame.loc["no_time"] = [np.nan, 0.3, 0.2, 0.4]
    frame.loc["constant"] = [5.0, np.nan, np.nan, np.nan]
    return frame


@pytest.fixture(scope="module")
def found():
    budgets = np.array([1, 5, 10, 30])
    rows = []
    for search, end in (("random", 5.0), ("good", 4.5)):
        for trained in (1, 5):
            mean = np.linspace(5.5, end, 4)
            parts = {"low": mean - 0.3, "lower": mean - 0.1, "upper": mean + 0.1}
            rows.append(
                pd.DataFrame(
                    {
                        "search": search,
                        "trained": trained,
                        "scored": budgets,
                        "mean": mean,
                        **parts,
                        "high": mean + 0.3,
                    }
                )
            )
    return pd.concat(rows, ignore_index=True)


@pytest.fixture(scope="module")
def drawn(table, found):
    cost = cost_plot(
        table,
        x_label="milliseconds",
        y_label="τ-b",
        baselines=["metric_of_some_name_3"],
        modified=True,
    )
    names = list("abcd")
    matrix = pd.DataFrame(np.eye(4), index=names, columns=names)
    clusters = pd.Series([1, 1, 2, 3], index=names)
    return {
        "cost": cost,
        "heat": heat_map(matrix, clusters, "τ-b", modified=True),
        "searches": search_curves(found, "test_loss", False, 4.0, modified=True),
    }


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_visible() and text.get_text()]


@pytest.mark.parametrize("which", ["cost", "heat", "searches"])
def test_they_fit_a_page_are_legible_marked_and_the_same_twice(drawn, which):
    figure = drawn[which]
    figure.draw_without_rendering()
    assert figure.get_figwidth() <= 6.3
    assert min(text.get_fontsize() for text in texts(figure)) >= 7
    assert any("modified data" in text.get_text() for text in texts(figure))
    pictures = []
    for _ in range(2):
        content = io.BytesIO()
        figure.savefig(content, format="png", dpi=50, bbox_inches="tight")
        pictures.append(content.getvalue())
    assert pictures[0] == pictures[1]


def test_labels_beside_points_do_not_overlap(drawn, table):
    figure = drawn["cost"]
    figure.draw_without_rendering()
    labels = figure.axes[0].texts
    names = [label.get_text() for label in labels]
    assert set(names) <= set(table.index)
    assert {"cheap_and_best", "metric_of_some_name_3"} <= set(names)
    assert not {"no_time", "constant"} & set(names)
    assert len(names) > 10
    boxes = [Text.get_window_extent(label) for label in labels]
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_the_front_is_what_no_cheaper_metric_beats(table):
    table = table.drop(index="cheap_and_best")
    axes = cost_plot(table, x_label="ms", y_label="τ-b").axes[0]
    line = next(line for line in axes.lines if line.get_label().startswith("no cheaper"))
    known = table.dropna()
    expected = [
        row["milliseconds"]
        for _, row in known.sort_values("milliseconds").iterrows()
        if (known[known["milliseconds"] < row["milliseconds"]]["kendall"] < row["kendall"]).all()
    ]
    assert sorted(line.get_xdata()) == expected


def test_clusters_are_framed(drawn):
    axes = drawn["heat"].axes[0]
    assert [patch.get_bbox().bounds for patch in axes.patches] == [(-0.5, -0.5, 2, 2)]
    assert [label.get_text() for label in axes.get_yticklabels()] == list("abcd")


def test_curves_begin_where_searches_differ(drawn, found):
    one, five = drawn["searches"].axes
    assert [line.get_xdata()[0] for line in one.lines[:2]] == [1, 1]
    assert [line.get_xdata()[0] for line in five.lines[:2]] == [5, 5]
    assert one.get_ylim()[0] < found["low"].min()


@pytest.mark.parametrize("count", [0, 1])
def test_costs_of_hardly_anything(table, count):
    assert cost_plot(table.head(count), x_label="ms", y_label="τ-b").axes


def test_one_metric_has_a_heat_map():
    matrix = pd.DataFrame([[1.0]], index=["a"], columns=["a"])
    assert heat_map(matrix, pd.Series(1, index=["a"]), "τ-b").axes
