"""Axes, and the Pareto front of two quantities."""

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archscout.report.axes import Axis
from archscout.report.findings import pareto

finite = st.floats(-1e12, 1e12, allow_nan=False)


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([], "linear"),
        ([3.0], "linear"),
        ([0.0, 0.0], "linear"),
        ([700_000, 950_000], "linear"),
        ([1e-3, 1.0, 50.0], "log"),
        ([-8e6, -200.0], "negative log"),
        ([-3.0, -2.0, 5.0], "linear"),
        ([-1e6, -3.0, 0.0, 2.0, 1e5], "symmetric log"),
        ([0.0, 0.0, 0.0, 1.0, 2e4], "symmetric log"),
        ([math.nan, -8e6, -200.0, -math.inf], "negative log"),
    ],
)
def test_the_axis_suits_the_values(values: list[float], kind: str) -> None:
    axis = Axis.of("score", values)
    assert axis.kind == kind
    assert bool(axis.note) == (kind != "linear")


@given(st.lists(finite, min_size=2))
def test_larger_values_stand_further_along_the_axis(values: list[float]) -> None:
    axis = Axis.of("score", values)
    ordered = sorted(values)
    places = np.array(axis.place(ordered))
    assert np.isfinite(places).all()
    if axis.kind == "negative log":
        assert axis.options()["autorange"] == "reversed"
        places = -places
    assert (np.diff(places) >= 0).all()
    if axis.options()["type"] == "log":
        assert (np.array(axis.place(values)) > 0).all()


@given(st.lists(finite, min_size=3))
def test_labels_of_a_symmetric_axis_are_the_values_that_stand_there(values: list[float]) -> None:
    axis = Axis.of("score", [-1e5, 0.0, 1e-3, *values])
    options = axis.options()
    if axis.kind != "symmetric log":
        return
    assert len(options["tickvals"]) == len(options["ticktext"]) <= 15
    assert options["tickvals"] == sorted(options["tickvals"])
    assert options["ticktext"].count("0") == 1
    assert max(options["tickvals"]) >= axis.place([axis.limit])[0] / 2


@pytest.mark.parametrize("sign", [1, -1])
def test_a_few_far_smaller_values_stand_at_the_edge(sign: int) -> None:
    values = [1e-24, 1e-23, *np.linspace(0.001, 0.4, 25).tolist()]
    axis = Axis.of("score", [sign * value for value in values])
    assert axis.kind == ("log" if sign > 0 else "negative log")
    places = axis.place([sign * value for value in values])
    assert places[:2] == [1e-4, 1e-4]
    assert places[2:] == values[2:]
    where = "below 0.0001" if sign > 0 else "nearer to zero than −0.0001"
    assert f"Values {where} stand at its edge." in axis.note


def test_few_values_all_stand_where_they_belong() -> None:
    values = [1e-24, *[0.1 * i for i in range(1, 9)]]
    axis = Axis.of("score", values)
    assert axis.place(values) == values
    assert "edge" not in axis.note


def test_one_value_gets_room_around_it() -> None:
    low, high = Axis.of("score", [-50.0, -50.0]).options()["range"]
    assert low < -50 < high
    low, high = Axis.of("score", [0.0]).options()["range"]
    assert low < 0 < high


def test_memory_is_drawn_in_megabytes() -> None:
    assert Axis.of("memory", [2e6, 3e6]).place([2e6, 3e6]) == [2.0, 3.0]


@pytest.mark.parametrize(
    ("name", "values", "form"),
    [
        ("memory", [3e5, 6e5], None),  # 0.3 to 0.6 MB
        ("memory", [2e10, 3e10], "~s"),
        ("latency", [0.2, 1, 30], "~g"),
        ("latency", [2, 10, 3000], "~s"),
    ],
)
def test_labels_have_prefixes_of_large_numbers_alone(
    name: str, values: list[float], form: str | None
) -> None:
    assert Axis.of(name, values).options().get("tickformat") == form


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), min_size=1, max_size=30))
def test_the_front_is_what_nothing_beats(points: list[tuple[int, int]]) -> None:
    first, second = (pd.Series([float(p[i]) for p in points]) for i in (0, 1))
    expected = [
        not any(a >= x and b >= y and (a > x or b > y) for a, b in points) for x, y in points
    ]
    assert pareto(first, second).tolist() == expected


@given(st.floats(1e-3, 1e6), st.floats(2.1, 20))
def test_every_label_of_a_negative_axis_says_that_it_is(smallest: float, decades: float) -> None:
    options = Axis.of("score", [-smallest, -smallest * 10**decades]).options()
    assert 1 <= len(options["tickvals"]) == len(options["ticktext"]) <= 9
    assert all(text.startswith("−") for text in options["ticktext"])
    assert all(smallest <= value <= smallest * 10**decades for value in options["tickvals"])
