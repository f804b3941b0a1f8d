"""The three parts of a benchmark."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

from archscout.benchmarks import load
from archscout.errors import InputError
from archscout.metric_search.parts import LEAST, divide, results
from archscout.spaces import network_fingerprint


def names(parts):
    return [set(parts.breeding), set(parts.choosing), set(parts.judging)]


@pytest.mark.parametrize("seed", range(5))
def test_every_trained_architecture_is_in_one_part(cells, seed):
    parts = names(divide(cells, seed=seed))
    assert sum(map(len, parts)) == len(set().union(*parts)) == 78
    assert set().union(*parts) == set(cells.results["test_loss"].dropna().index)


def test_no_fingerprint_is_in_two_parts(cells):
    # Every architecture twice, under another name and written another way.
    doubled = {**cells.architectures}
    doubled |= {
        f"again {name}": cells.space.canonical(cell) for name, cell in cells.architectures.items()
    }
    table = cells.results.copy()
    table.index = [f"again {name}" for name in table.index]
    both = replace(cells, architectures=doubled, results=pd.concat([cells.results, table]))
    parts = names(divide(both, seed=1))
    for part in parts:
        assert {f"again {name}" for name in part if not name.startswith("again")} == {
            name for name in part if name.startswith("again")
        }


def test_an_architecture_keeps_its_part_when_others_leave(cells):
    all_parts = divide(cells)
    kept = list(cells.architectures)[:60]
    fewer = replace(
        cells,
        architectures={name: cells.architectures[name] for name in kept},
        results=cells.results.loc[kept],
    )
    for fewer_names, names_of_all in zip(names(divide(fewer)), names(all_parts), strict=True):
        assert fewer_names == names_of_all & set(kept)


def test_another_seed_divides_otherwise(cells):
    assert divide(cells, seed=0) == divide(cells, seed=0)
    assert divide(cells, seed=0) != divide(cells, seed=1)


def test_shares_decide_the_sizes(cells):
    sizes = [len(part) for part in names(divide(cells, (0.2, 0.2, 0.6)))]
    assert sizes[2] > max(sizes[:2])
    assert min(sizes) >= LEAST


@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.5, 0.5, 0.5), (1.2, -0.1, -0.1), (1, 0, 0)])
def test_shares_that_are_none(cells, shares):
    with pytest.raises(InputError, match=r"accepted are three that add up to 1, as 0\.5/0\.25/0\."):
        divide(cells, shares)


def test_a_benchmark_that_is_too_small(cells):
    with pytest.raises(InputError, match=r"made-up has 78 trained .* third part; at least 10"):
        divide(cells, (0.6, 0.39, 0.01))


def test_results_are_turned_so_that_larger_is_better(cells):
    assert results(cells, ["3", "1"]).tolist() == [
        -cells.results["test_loss"]["3"],
        -cells.results["test_loss"]["1"],
    ]


def test_no_network_is_in_two_parts():
    encoders = load("archscout-mini-flexibert")
    space = encoders.space
    scale = space.scales["fast"].resized(reading="trained")
    parts = divide(encoders, scale=scale)
    marks = [
        {network_fingerprint(space, encoders.architectures[name], scale) for name in part}
        for part in names(parts)
    ]
    assert sum(map(len, marks)) == len(set().union(*marks)) < len(encoders)
