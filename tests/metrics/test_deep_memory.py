"""Depth, linear memory and the norm of the weights in one."""

import pytest

import archscout
from archscout.spaces import FlexibertSpace

ENCODER = ["deep_memory", "linear_memory_lag_0", "l2_norm", "depth"]


def test_it_is_made_of_depth_memory_and_weights() -> None:
    space = FlexibertSpace()
    scores = archscout.score(space, space.sample(2), metrics=ENCODER).scores
    expected = (scores["depth"] * scores["linear_memory_lag_0"]) ** 2 * scores["l2_norm"]
    assert scores["deep_memory"] == pytest.approx(expected, rel=1e-9)


def test_it_is_what_a_search_for_encoders_takes_by_default() -> None:
    assert FlexibertSpace().default_metric == "deep_memory"
