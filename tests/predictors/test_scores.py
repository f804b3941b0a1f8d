"""Folders of scores, and what is said before any is made."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from archscout.errors import InputError
from archscout.predictors.checks import check_different, check_one_space
from archscout.predictors.saving import check_writable
from archscout.predictors.scores import is_finished, same_benchmark, scores_folder
from archscout.scoring import resolve_scale

DRAWN = {"seed": 3, "seeds": 2, "minibatches": 1}


@pytest.fixture
def cells(noisy):
    return noisy(20).benchmark


def arguments(benchmark, **changes):
    scale = resolve_scale(benchmark.space, None)
    return {"metrics": "l2_norm", "text": "python-docs", "scale": scale} | changes


def test_benchmarks_of_one_name_may_be_different_ones(noisy, cells):
    again = noisy(20).benchmark
    assert same_benchmark(cells, again)
    assert not same_benchmark(cells, replace(again, results=again.results + 1))
    others = replace(noisy(20, first=20).benchmark, results=again.results)
    assert not same_benchmark(cells, others)
    with pytest.raises(InputError, match=r"planted \(made-up\) is given twice"):
        check_different([cells, others, again])
    check_different([cells, others])


def test_a_folder_is_of_one_benchmark_and_way_of_scoring(noisy, cells):
    root = Path("scores")
    first = scores_folder(root, cells, arguments(cells))
    assert first.parent == root and first.name.startswith("planted-made-up-")
    listed = arguments(cells, metrics=["l2_norm"], text=("python-docs",), seeds=3)
    assert scores_folder(root, cells, listed) == first
    others = noisy(20, first=20).benchmark
    names = {first, scores_folder(root, others, arguments(others))}
    for changes in (
        {"metrics": "l2_norm,parameters"},
        {"text": "other.txt"},
        {"scale": replace(resolve_scale(cells.space, None), batch_size=3)},
        {"split": "valid"},
        {"device": "cuda"},
        {"metric_files": [Path("own.py")]},
        {"objective": "loss"},
    ):
        names.add(scores_folder(root, cells, arguments(cells, **changes)))
    assert len(names) == 9
    absolute = arguments(cells, text=(os.path.abspath("other.txt"),))  # as a ranker has it
    assert scores_folder(root, cells, absolute) in names
    outside = replace(cells, name="../elsewhere")
    assert scores_folder(root, outside, arguments(cells)).parent == root


def test_a_folder_is_finished_when_it_holds_every_draw(cells, tmp_path):
    assert not is_finished(tmp_path, cells, DRAWN)
    (tmp_path / "evaluation.json").write_text("{}")
    rows = [
        json.dumps(
            {"architecture": name, "seed": seed, "minibatch": 0, "fingerprint": "", "scores": {}}
        )
        + "\n"
        for seed in (3, 4)
        for name in cells.architectures
    ]
    (tmp_path / "scores.jsonl").write_text("".join(rows[:-1]))
    assert not is_finished(tmp_path, cells, DRAWN)
    (tmp_path / "scores.jsonl").write_text("".join(rows))
    assert is_finished(tmp_path, cells, DRAWN)
    assert not is_finished(tmp_path, cells, DRAWN | {"seeds": 3})


def test_benchmarks_of_two_spaces(noisy, cells):
    check_one_space([cells, noisy(20, first=20).benchmark])
    with pytest.raises(InputError, match=r"flexibert, and planted \(made-up\) of rnn"):
        check_one_space([cells, noisy(20, space="flexibert").benchmark])


def test_a_place_where_no_file_can_be_written(tmp_path):
    check_writable(tmp_path / "new" / "a.ranker")
    with pytest.raises(InputError, match="it is a folder"):
        check_writable(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="file is no folder"):
        check_writable(tmp_path / "file" / "a.ranker")
