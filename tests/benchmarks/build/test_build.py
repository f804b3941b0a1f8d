"""What is written can be read as the published benchmarks are."""

from __future__ import annotations

import dataclasses
import json
import math
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from archscout import benchmarks, spaces
from archscout.analysis.evaluation import evaluate
from archscout.benchmarks.build import build, plan_jobs
from archscout.benchmarks.build.build import seed_agreement, write
from archscout.benchmarks.build.plan import choose
from archscout.benchmarks.nas_bench_bert import entries
from archscout.benchmarks.nas_bench_nlp import read_log_archive
from archscout.errors import InputError
from archscout.training import TrainingSettings
from archscout.training.jobs import Job, JobFolder, Outcome

MakeJobs = Callable[..., JobFolder]

RNN_LOSSES = {
    **{"0000-0": 5.0, "0001-0": 4.0, "0002-0": None, "0003-0": 3.0},
    **{"0000-1": 5.2, "0000-2": 5.4},
}


def test_recurrent_cells_as_nas_bench_nlp_has_them(make_jobs: MakeJobs) -> None:
    folder = make_jobs("rnn", RNN_LOSSES, 4, repeated=1)
    write(folder, "mine")
    logs = list(read_log_archive((folder.path / "logs.zip").read_bytes(), "logs.zip"))
    assert [log.name for log in logs][:3] == [f"log_stats_model_0000_{s}.json" for s in (0, 1, 2)]
    assert list(logs[0].curves["seconds"]) == [2.0, 2.0, 2.0]
    found = benchmarks.load(str(folder.path))
    assert (found.name, found.dataset, found.larger_is_better) == ("mine", "words", False)
    assert list(found.results["test_loss"])[:2] == [pytest.approx(5.2), 4.0]
    assert math.isnan(found.results.loc["0002", "test_loss"])
    assert found.results.loc["0002", "status"] == "training diverged in epoch 1"
    assert list(found.results["runs"]) == [3, 1, 1, 1]
    space = found.space
    for job in folder.jobs[:4]:
        architecture = found.architectures[job.name.partition("-")[0]]
        assert space.fingerprint(architecture) == space.fingerprint(space.parse(job.architecture))
        network = space.skeleton(architecture, folder.plan.vocabulary_size, space.scales["fast"])
        count = sum(p.numel() for p in network.parameters())
        assert found.results.loc[job.name.partition("-")[0], "parameters"] == count
    assert found.remarks == ("1 of 6 trainings failed",)


def test_the_same_trainings_make_the_same_bytes(make_jobs: MakeJobs) -> None:
    folder = make_jobs("rnn", RNN_LOSSES, 4, repeated=1)
    write(folder, "mine")
    first = (folder.path / "logs.zip").read_bytes()
    write(folder, "mine")
    assert (folder.path / "logs.zip").read_bytes() == first


def test_encoders_as_nas_bench_bert_has_them(make_jobs: MakeJobs) -> None:
    losses = {"0000-0": 5.0, "0001-0": None, "0002-0": 3.0, "0000-1": 5.5, "0000-2": None}
    folder = make_jobs("flexibert", losses, 3, repeated=1)
    write(folder, "mine")
    found = entries((folder.path / "encoders.json").read_bytes(), "encoders.json")
    assert [entry["id"] for entry in found] == [0, 1, 2]
    assert found[0]["scores"]["test_loss"] == pytest.approx(5.25)
    assert [run["status"] for run in found[0]["runs"]] == [
        "OK",
        "OK",
        "training diverged in epoch 1",
    ]
    read = benchmarks.load(str(folder.path))
    assert np.isnan(read.results.loc["1", "test_loss"]) and read.results.loc["2", "test_loss"] == 3
    assert list(read.results["failed_runs"]) == [1, 1, 0]
    assert set(read.curves.columns) >= {"architecture", "seed", "step", "valid_loss"}


def test_seeds_that_agree(make_jobs: MakeJobs) -> None:
    losses = {f"000{i}-{s}": float(i) for i in range(4) for s in range(3)}
    losses |= {"0002-2": 3.5, "0003-2": 2.5}
    folder = make_jobs("rnn", losses, 4, repeated=4)
    runs = [(job, folder.outcomes()[job.name]) for job in folder.jobs]
    agreement = seed_agreement(folder.plan, runs)
    assert agreement is not None
    assert (agreement["seeds"], agreement["architectures"]) == ([0, 1, 2], 4)
    assert agreement["least"] == pytest.approx(4 / 6)
    assert agreement["mean"] == pytest.approx((1 + 4 / 6 + 4 / 6) / 3)
    failed = [(job, Outcome(job.name, "failed", 0.0)) for job in folder.jobs]
    assert (
        seed_agreement(folder.plan, failed) is None
        and seed_agreement(folder.plan, runs[:4]) is None
    )


def test_unfinished_benchmarks_say_so(make_jobs: MakeJobs) -> None:
    folder = make_jobs("rnn", {"0000-0": 5.0, "0001-0": 4.0}, 4)
    write(folder, "mine")
    found = benchmarks.load(str(folder.path))
    assert len(found) == 2 and found.remarks == ("2 of 4 trainings are not done yet",)


def test_metrics_are_judged_on_it(make_jobs: MakeJobs, tmp_path: Path) -> None:
    losses = {f"000{i}-0": float(i) for i in range(6)}
    folder = make_jobs("rnn", losses, 6)
    write(folder, "mine")
    scale = spaces.get("rnn").scales["fast"].resized(batch_size=4)
    done = evaluate(
        str(folder.path), out=tmp_path / "evaluation", metrics="parameters", scale=scale
    )
    assert done.settings.text == folder.plan.text  # trained on it, and at hand
    expected = benchmarks.load(str(folder.path)).results["parameters"]
    assert len(done.scores) == 6
    ranks = done.scores["parameters"].rank()
    assert ranks.corr(expected.rank()) == pytest.approx(1)


def test_damaged_benchmarks(make_jobs: MakeJobs) -> None:
    folder = make_jobs("rnn", {"0000-0": 5.0}, 1)
    write(folder, "mine")
    place = folder.path / "benchmark.json"
    whole = json.loads(place.read_text())
    for content, message in (
        ("{", "is no description of a benchmark"),
        ("[]", "is no description of a benchmark"),
        (json.dumps(whole | {"format": 7}), "of format 7; accepted is 1"),
        (json.dumps({k: v for k, v in whole.items() if k != "target"}), "lacks 'target'"),
    ):
        place.write_text(content)
        with pytest.raises(InputError, match=message):
            benchmarks.load(str(folder.path))
    place.write_text(json.dumps(whole))
    (folder.path / "logs.zip").write_bytes(b"no archive")
    with pytest.raises(InputError, match="no whole zip file"):
        benchmarks.load(str(folder.path))
    (folder.path / "logs.zip").unlink()
    with pytest.raises(InputError, match=r"cannot read .*logs\.zip"):
        benchmarks.load(str(folder.path))
    with pytest.raises(InputError, match="unknown benchmark 'nowhere'"):
        benchmarks.load("nowhere")


@pytest.mark.slow
def test_built_from_end_to_end(make_jobs: MakeJobs) -> None:
    folder = make_jobs("rnn", {}, 3)
    small = TrainingSettings(
        epochs=1, batch_size=4, evaluation_batch_size=3, sequence_length=12, test_curve=True
    )
    plan = dataclasses.replace(folder.plan, settings=small.model_dump())
    out = folder.path.with_name("whole")
    done = build(out, "mine", plan, folder.jobs, workers=2)
    assert (len(done.outcomes), done.failed) == (3, 0)
    found = benchmarks.load(str(out))
    assert found.results["test_loss"].notna().all()
    with zipfile.ZipFile(out / "logs.zip") as archive:
        log = json.loads(archive.read("log_stats_model_0000_0.json"))
    assert log["status"] == "OK" and len(log["test_losses"]) == 1
    with pytest.raises(InputError, match="holds another plan"):
        build(out, "mine", folder.plan, folder.jobs)
    assert plan_jobs(found.space, list(found.architectures.values()))


def test_a_text_without_a_test_part_is_refused_before_any_work(
    make_jobs: MakeJobs, tmp_path: Path
) -> None:
    folder = make_jobs("rnn", {}, 1)
    plan = dataclasses.replace(folder.plan, parts=("train", "valid"))
    with pytest.raises(InputError, match="has no test split: it has train, valid"):
        build(tmp_path / "out", "mine", plan, folder.jobs)
    with pytest.raises(InputError, match="0 workers"):
        build(tmp_path / "out", "mine", folder.plan, folder.jobs, workers=0)
    assert not (tmp_path / "out").exists()


def test_the_only_dataset_is_the_text(make_jobs: MakeJobs) -> None:
    folder = make_jobs("rnn", {"0000-0": 5.0}, 1)
    write(folder, "mine")
    assert benchmarks.load(str(folder.path), dataset="words").dataset == "words"
    with pytest.raises(InputError, match="mine has no dataset 'ptb'; accepted is words"):
        benchmarks.load(str(folder.path), dataset="ptb")


def test_an_architecture_without_a_network_is_refused_before_any_work(
    make_jobs: MakeJobs, tmp_path: Path
) -> None:
    plan = make_jobs("rnn", {}, 1).plan
    space = spaces.get("gpt")
    scale = dataclasses.asdict(space.scales["fast"])
    banded = {**space.to_dict(space.named["gpt2-tiny"]), "d_embed": 8, "div_val": 2}
    plan = dataclasses.replace(plan, space="gpt", scale=scale, vocabulary_size=300)
    with pytest.raises(InputError, match=r"architecture 0000: div_val is 2, but .* vocabulary"):
        build(tmp_path / "out", "mine", plan, [Job("0000-0", banded, 0)])
    assert not (tmp_path / "out").exists()


def test_who_may_not_train_there_changes_nothing(make_jobs: MakeJobs, tmp_path: Path) -> None:
    folder = make_jobs("rnn", {"0000-0": 5.0}, 2)
    more = plan_jobs(spaces.get("rnn"), choose(spaces.get("rnn"), 3, seed=5), 0, 0)
    before = (folder.path / "plan.json").read_bytes()
    with folder.lock(), pytest.raises(InputError, match="another process trains in"):
        build(folder.path, "mine", folder.plan, more)
    assert (folder.path / "plan.json").read_bytes() == before
    assert not (folder.path / "benchmark.json").exists()


@pytest.mark.parametrize("change", [{"text": 5}, {"text": ["a", 1]}, {"finished": "1"}])
def test_a_description_of_wrong_types_is_refused(
    make_jobs: MakeJobs, change: dict[str, Any]
) -> None:
    folder = make_jobs("rnn", {"0000-0": 5.0}, 1)
    write(folder, "mine")
    place = folder.path / "benchmark.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | change))
    with pytest.raises(InputError, match=r"benchmark.json is no description of a benchmark"):
        benchmarks.load(folder.path)


def test_a_newer_format_is_said(make_jobs: MakeJobs) -> None:
    folder = make_jobs("rnn", {"0000-0": 5.0}, 1)
    write(folder, "mine")
    place = folder.path / "benchmark.json"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"format": 99}))
    with pytest.raises(InputError, match=r"^\S*benchmark.json is of format 99; accepted is \d$"):
        benchmarks.load(folder.path)
