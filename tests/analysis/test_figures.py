"""The figures: what they show, and that they can be read."""

import io
import math

import numpy as np
import pandas as pd
import pytest
from matplotlib import rcParams
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy import stats

from archscout.analysis.figures import bars, box_plots, lines, metric_grid

N = 150


@pytest.fixture(scope="module")
def scores() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    names = [f"architecture {i}" for i in range(N)]
    return pd.DataFrame(
        {
            "even": rng.normal(size=N),
            "magnitudes": 10 ** rng.uniform(-3, 9, N),
            "negative_magnitudes": -(10 ** rng.uniform(2, 7, N)),
            "both_signs": rng.choice([-1, 1], N) * 10 ** rng.uniform(0, 6, N),
            "constant": np.ones(N),
            "a_metric_whose_name_is_far_too_long_for_a_panel[12]": rng.uniform(size=N),
        },
        index=names,
    )


@pytest.fixture(scope="module")
def results(scores: pd.DataFrame) -> pd.Series:
    return (5 + scores["even"].rank() / N).rename("loss")


def texts(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_visible()]


def panel(figure: Figure, title: str) -> Axes:
    return next(axes for axes in figure.axes if axes.get_title().startswith(title))


def figures(scores: pd.DataFrame, results: pd.Series, modified: bool) -> list[Figure]:
    draws = pd.concat([scores.head(10) * (1 + d / 9) for d in range(4)], keys=range(4))
    draws = draws.rename_axis(["draw", "architecture"]).swaplevel()
    curves = pd.DataFrame(
        {i: [50.0, 70 + i / 100, 75 + i / 100] for i in range(10)}, index=[0, 1, 2]
    )
    table = pd.DataFrame({"kendall": [0.3, -0.2, np.nan]}, index=["a", "b", "c"])
    table = table.assign(kendall_low=table["kendall"] - 0.1, kendall_high=table["kendall"] + 0.1)
    return [
        metric_grid(scores, results, "loss", modified=modified),
        box_plots(draws, results.head(10), modified=modified),
        lines(curves, "steps", "GLUE", modified=modified),
        bars(table, "kendall", "τ", modified=modified),
    ]


@pytest.fixture(scope="module")
def drawn(scores: pd.DataFrame, results: pd.Series) -> list[Figure]:
    return figures(scores.drop(columns=["even", "negative_magnitudes"]), results, modified=True)


def test_no_letter_is_below_seven_points(drawn: list[Figure]) -> None:
    for figure in drawn:
        figure.draw_without_rendering()
        sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
        assert min(sizes) >= 7


def test_they_fit_a_page(drawn: list[Figure]) -> None:
    assert all(figure.get_figwidth() <= 6.3 for figure in drawn)


def test_they_render_the_same_twice_and_leave_the_style_alone(drawn: list[Figure]) -> None:
    size = rcParams["font.size"]
    for figure in drawn:
        pictures = []
        for _ in range(2):
            content = io.BytesIO()
            figure.savefig(content, format="png", dpi=60, bbox_inches="tight")
            pictures.append(content.getvalue())
        assert pictures[0] == pictures[1]
    assert rcParams["font.size"] == size


def test_titles_of_neighbours_do_not_overlap(drawn: list[Figure]) -> None:
    for figure in drawn[:2]:
        figure.draw_without_rendering()
        boxes = [axes.title.get_window_extent() for axes in figure.axes]
        for i, box in enumerate(boxes):
            assert not any(box.overlaps(other) for other in boxes[i + 1 :])


def test_modified_data_are_marked(
    drawn: list[Figure], scores: pd.DataFrame, results: pd.Series
) -> None:
    for modified, made in ((True, drawn), (False, figures(scores[["even"]], results, False))):
        for figure in made:
            assert any("modified data" in text for text in texts(figure)) is modified


def test_the_grid_says_tau_rho_and_n(scores: pd.DataFrame, results: pd.Series) -> None:
    scores = scores[["magnitudes", "even"]].copy()
    scores.iloc[:20] = -math.inf
    results = results.mask(results.index.isin(results.index[-5:]))
    title = panel(metric_grid(scores, results, "loss"), "magnitudes").get_title()
    there = slice(20, N - 5)
    tau = stats.kendalltau(scores["magnitudes"].iloc[there], results.iloc[there]).statistic
    rho = stats.spearmanr(scores["magnitudes"].iloc[there], results.iloc[there]).statistic
    assert title.replace("−", "-").split("\n")[1] == f"τ {tau:.3f}   ρ {rho:.3f}   n {N - 25}"


def test_a_constant_metric_has_no_correlation(scores: pd.DataFrame, results: pd.Series) -> None:
    title = panel(metric_grid(scores, results, "loss"), "constant").get_title()
    assert title == f"constant\nconstant, n {N}"


def test_a_metric_without_scores_is_an_empty_panel(results: pd.Series) -> None:
    scores = pd.DataFrame({"metric": np.nan}, index=results.index)
    assert panel(metric_grid(scores, results, "loss"), "metric").get_title() == "metric\nn 0"


@pytest.mark.parametrize("name", ["magnitudes", "negative_magnitudes", "both_signs"])
def test_magnitudes_have_ticks_at_powers_of_ten(
    name: str, scores: pd.DataFrame, results: pd.Series
) -> None:
    axes = panel(metric_grid(scores, results, "loss"), name)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    values = [float(label.replace("−", "-").replace(",", "")) for label in labels]
    assert values == sorted(values)
    assert len(values) >= 2
    assert all(value == 0 or math.log10(abs(value)).is_integer() for value in values)


def test_outliers_stand_at_the_edge_and_are_explained(results: pd.Series) -> None:
    scores = pd.DataFrame({"metric": np.linspace(0, 1, N)}, index=results.index)
    scores.iloc[0] = 50.0
    figure = metric_grid(scores, results, "loss")
    axes = panel(figure, "metric")
    assert axes.get_xlim()[1] < 5
    edge = [c.get_offsets() for c in axes.collections[1:] if len(c.get_offsets())]
    assert [len(points) for points in edge] == [1]
    assert edge[0][0][0] == axes.get_xlim()[1]
    assert "beyond the axis" in texts(figure)


def test_boxes_are_ordered_by_the_result() -> None:
    index = pd.MultiIndex.from_product([["bad", "good", "fair"], range(5)])
    scores = pd.DataFrame({"metric": np.repeat([1.0, 3.0, 2.0], 5)}, index=index)
    results = pd.Series({"good": 4.5, "bad": 6.25, "fair": 5.0}, name="loss")
    axes = box_plots(scores, results).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["4.50", "5.00", "6.25"]
    medians = [line.get_ydata()[0] for line in axes.lines if line.get_color() == "#D55E00"]
    assert medians == [3.0, 2.0, 1.0]


def test_labels_at_the_ends_of_lines_keep_apart() -> None:
    curves = pd.DataFrame({i: [50.0, 75 + i / 1000] for i in range(12)}, index=[0, 1])
    figure = lines(curves, "steps", "GLUE")
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 12
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[i + 1 :])


def test_bars_are_sorted_and_name_what_has_no_value(drawn: list[Figure]) -> None:
    axes = drawn[3].axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["b", "a"]
    assert [bar.get_width() for bar in axes.patches] == [-0.2, 0.3]
    assert axes.get_xlabel() == "τ\nno value:\nc"


def test_bars_of_nothing_are_no_error() -> None:
    table = pd.DataFrame({"kendall": [np.nan], "kendall_low": [np.nan], "kendall_high": [np.nan]})
    assert bars(table, "kendall", "τ").axes
