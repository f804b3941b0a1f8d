"""Limits that left out nothing, or nearly all, are told of."""

from pathlib import Path
from typing import Any

import pytest

from archscout.runs import limits, remarks

Hunt = Any  # a search with some usual arguments; see conftest.py


@pytest.mark.parametrize(
    ("given", "name", "shown"),
    [
        ("2M", "parameters", "max_parameters 2M left out no architecture"),
        ("5e9", "flops", "max_flops 5G per token left out no architecture"),
        ("50MB", "memory", "max_memory 50M bytes left out no architecture"),
    ],
)
def test_a_limit_that_left_out_nothing_says_what_there_is(
    given: str, name: str, shown: str, hunt: Hunt, tmp_path: Path
) -> None:
    run = hunt(tmp_path / "run", trials=6, **{f"max_{name}": given})
    (remark,) = remarks(run)
    least, most = run.table[name].min(), run.table[name].max()
    assert remark.startswith(f"{shown}: they have ")
    found = remark.partition("they have ")[2].partition(" at these sizes")[0].split()
    factors = {"K": 1e3, "M": 1e6, "G": 1e9}
    for text, value in zip((found[0], found[2]), (least, most), strict=True):
        factor = factors.get(text[-1], 1)
        assert float(text.rstrip("KMG")) * factor == pytest.approx(value, rel=1e-3)
    assert remark.endswith("; other sizes are --model-size paper or fast")


def test_a_limit_that_left_out_nearly_all_says_how_many(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_NEARLY_ALL", 0.8)
    run = hunt(tmp_path / "run", trials=50, sampler="random")
    least = run.table["parameters"].min()
    limited = hunt(tmp_path / "limited", trials=50, sampler="random", max_parameters=least)
    outside, all_ = int((limited.table["parameters"] > least).sum()), len(limited.table)
    assert outside >= 0.8 * all_
    (remark,) = remarks(limited)
    assert f" left out {outside} of {all_} architectures: they have " in remark


def test_a_limit_that_left_out_some_is_no_remark(hunt: Hunt, tmp_path: Path) -> None:
    run = hunt(tmp_path / "run", trials=14, sampler="random")
    middle = run.table["parameters"].median()
    assert not remarks(run)
    assert not remarks(hunt(tmp_path / "half", trials=14, sampler="random", max_parameters=middle))
