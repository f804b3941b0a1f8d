"""The small benchmarks that lie in the package."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from archscout import benchmarks
from archscout.analysis.evaluation import evaluate
from archscout.benchmarks.built import read_information
from archscout.benchmarks.mini import DATASETS
from archscout.errors import InputError

MINI = Path(benchmarks.__file__).parent / "mini"
ALL = [(name, dataset) for name, datasets in DATASETS.items() for dataset in datasets]


@pytest.mark.parametrize(
    ("name", "dataset", "least"),
    [(*each, least) for each, least in zip(ALL, (100, 50, 60, 100), strict=True)],
)
def test_they_are_large_and_reliable_enough(name: str, dataset: str, least: int) -> None:
    found = benchmarks.load(name, dataset=dataset)
    assert found.name == name and found.dataset == dataset
    assert int(found.results["test_loss"].notna().sum()) >= least
    information = read_information(MINI / DATASETS[name][dataset])
    agreement = information["seed_agreement"]
    assert agreement["mean"] >= 0.7 and agreement["architectures"] >= 5
    assert information["finished"] == information["trainings"]
    assert not found.remarks or found.remarks[0].endswith("trainings failed")


@pytest.mark.parametrize(("name", "dataset"), ALL)
def test_every_training_was_recorded(name: str, dataset: str) -> None:
    found = benchmarks.load(name, dataset=dataset)
    information = read_information(MINI / DATASETS[name][dataset])
    assert int(found.results["runs"].sum()) == information["finished"]
    recorded = found.curves.groupby(found.curves.columns[:2].tolist()).ngroups
    done = information["finished"] - information["failed"]
    assert done <= recorded <= information["finished"]
    marks = {found.space.fingerprint(a) for a in found.architectures.values()}
    assert len(marks) == len(found)


def test_encoders_are_trained_as_declared() -> None:
    information = read_information(MINI / "archscout-mini-flexibert")
    assert information["scale"]["reading"] == "declared"
    assert information["settings"]["objective"] == "masked"


def test_decoders_are_of_one_size() -> None:
    found = benchmarks.load("archscout-mini-gpt")
    sizes = [found.space.size(architecture) for architecture in found.architectures.values()]
    assert len(sizes) >= 100 and max(sizes) <= 1.1 * min(sizes)


def test_a_metric_is_judged_on_them(tmp_path: Path) -> None:
    done = evaluate("archscout-mini-rnn", out=tmp_path, metrics="parameters", limit=20)
    counted = done.benchmark.results.loc[done.scores.index, "parameters"]
    # With another vocabulary every network is larger by as much.
    assert (done.scores["parameters"] - counted).nunique() == 1
    assert np.isfinite(done.compare(resamples=10).table.loc["parameters", "kendall"])


def test_another_dataset_is_refused() -> None:
    accepted = "accepted is python-docs or python-docs-quick"
    with pytest.raises(InputError, match=f"has no dataset 'ptb'; {accepted}"):
        benchmarks.load("archscout-mini-rnn", dataset="ptb")
