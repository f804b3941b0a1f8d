"""`archscout reproduce`."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

import made_up
from archscout.paper.reproduction import encoders

TITLES = ["ID", "GLUE Score", *made_up.ENCODER_TITLES]


@pytest.fixture
def no_grids(monkeypatch: pytest.MonkeyPatch) -> None:
    """Empty figures in place of those that take time."""
    monkeypatch.setattr(encoders, "metric_grid", lambda *_, **__: Figure(figsize=(1, 1)))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with one made-up file."""
    path = tmp_path / "data" / "training-free-nas" / "data" / "BERT_results_activation.csv"
    path.parent.mkdir(parents=True)
    numbers = np.random.default_rng(0).normal(size=(12, len(TITLES) - 1))
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([TITLES, *([i, *row] for i, row in enumerate(numbers))])
    return tmp_path / "data"


def test_what_can_be_made_is_made_and_the_rest_is_named(
    archscout: Any, data: Path, tmp_path: Path, width: int, no_grids: None
) -> None:
    out = tmp_path / "out"
    options = ("--out", out, "--data-dir", data, "--resamples", 5)
    result = archscout("reproduce", "flexibert", *options)
    assert result.code == 2
    assert "Encoder metrics against GLUE" in result.out
    assert "softmax_confidence_normalized" in result.out
    assert "paper" in result.out and ("pairs" in result.out or width < 100)
    assert max(map(len, result.lines)) <= width
    assert f"Page: {out / 'index.html'}" in result.err
    assert "Modified data: BERT_results_activation.csv" in result.err
    for name in ("BERT_batch_ablation", "BERT_initialization_ablation", "BERT_train_ablation"):
        assert f"{name}.csv is not in the data folder" in result.err
    assert "Traceback" not in result.err


def test_json_is_the_summary(archscout: Any, data: Path, tmp_path: Path, no_grids: None) -> None:
    options = ("--out", tmp_path / "out", "--data-dir", data, "--resamples", 5, "--json")
    rows = json.loads(archscout("reproduce", "flexibert", *options).out)
    assert (tmp_path / "out" / "encoder_kendall.pdf").stat().st_size > 5_000
    assert len(rows) == 15
    assert {"networks", "metric", "n", "kendall", "kendall_low", "published_kendall"} <= set(
        rows[0]
    )


def test_no_data_is_one_message(archscout: Any, tmp_path: Path) -> None:
    out = tmp_path / "out"
    result = archscout("reproduce", "--out", out, "--data-dir", tmp_path / "none")
    assert result.code == 2
    assert "RNN_results.csv is not in the data folder" in result.err
    assert result.out == ""
    assert not out.exists()


def test_bad_arguments(archscout: Any, data: Path, tmp_path: Path) -> None:
    assert "cnn" in archscout("reproduce", "cnn").err
    assert archscout("reproduce", "cnn").code == 2
    file = tmp_path / "file"
    file.touch()
    result = archscout("reproduce", "--out", file, "--data-dir", data)
    assert result.code == 2
    assert f"--out {file} is no folder" in result.err
    result = archscout("reproduce", "--out", tmp_path / "o", "--data-dir", data, "--resamples", 0)
    assert result.code == 2
    assert "resamples is 0" in result.err
