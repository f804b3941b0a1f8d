"""`archscout finetune` as a user calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout.training.glue.finetuning_loop import TaskTraining
from archscout.training.training_folder import milestone_name
from glue_runs import export_tiny, write_glue

SMALL = tuple(
    word
    for setting in (
        "epochs=2",
        "learning_rate=2e-3",
        "layer_decay=0.9",
        "batch_size=8",
        "max_length=24",
    )
    for word in ("--set", setting)
)
Program = Callable[..., Any]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export_tiny(tmp_path_factory.mktemp("encoder") / "tiny")


@pytest.fixture(scope="module")
def glue_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_glue(tmp_path_factory.mktemp("glue"))


def test_scores_stand_beside_the_majority(
    archscout: Program, encoder: Path, glue_data: Path, tmp_path: Path, width: int
) -> None:
    out = tmp_path / "out"
    done = archscout(
        "finetune", encoder, "--tasks", "cola,STS-B", "--data", glue_data, "--out", out, *SMALL
    )
    assert done.code == 0, done.err
    assert "cola, epoch 1: loss" in done.err and "majority baseline" in done.err
    assert "majority" in done.out and "mean of 2 tasks" in done.out and "GLUE," in done.out
    results = json.loads((out / "results.json").read_text())
    for name in ("cola", "sts"):
        assert f"{results['scores'][name]:.2f}" in done.out
    assert results["tasks"]["sts"]["train_examples"] == 80


def test_all_eight_make_the_benchmarks_score(
    archscout: Program, encoder: Path, glue_data: Path, tmp_path: Path
) -> None:
    arguments = ("finetune", encoder, "--data", glue_data, "--out", tmp_path / "t", *SMALL)
    short = ("--set", "limit=8", "--json")
    assert "to go on with; without --resume" in archscout(*arguments, *short, "--resume").err
    first = archscout(*arguments, *short)
    assert first.code == 0, first.err
    result = json.loads(first.out)
    assert result["finetuning"] == str(tmp_path / "t")
    assert result["glue"] == pytest.approx(sum(result["scores"].values()) / 8)
    again = archscout(*arguments, *short, "--resume")
    assert again.code == 0 and json.loads(again.out) == result
    table = archscout(*arguments, "--set", "limit=8", "--resume")
    assert f"{result['glue']:.2f}" in table.out and "leaderboard" in table.out


def test_every_checkpoint(
    archscout: Program, encoder: Path, glue_data: Path, tmp_path: Path, width: int
) -> None:
    for steps in (0, 50):
        shutil.copytree(encoder, tmp_path / "training" / "milestones" / milestone_name(steps))
    arguments = (
        *("finetune", tmp_path / "training", "--every-checkpoint", "--tasks", "cola,rte"),
        *("--data", glue_data, "--out", tmp_path / "out", *SMALL),
    )
    done = archscout(*arguments)
    assert done.code == 0, done.err
    assert "step 50: mean of 2 tasks" in done.err
    scores = json.loads((tmp_path / "out" / "curve.json").read_text())[0]["scores"]
    assert list(scores) == ["0", "50"]
    assert f"{scores['50']['rte']:.2f}" in done.out and "majority" in done.out
    again = archscout(*arguments, "--resume", "--json")
    assert json.loads(again.out)["curve"]["scores"] == scores


@pytest.mark.parametrize("failing", ["at 50", "cola and rte"])
def test_means_of_a_curve_are_over_the_same_tasks(
    archscout: Program,
    encoder: Path,
    glue_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failing: str,
) -> None:
    for steps in (0, 50):
        shutil.copytree(encoder, tmp_path / "training" / "milestones" / milestone_name(steps))
    original = TaskTraining._rate

    def rate(training: TaskTraining) -> float:
        cola_at_50 = training.task.name == "cola" and "step-00000050" in str(training.folder)
        return 1e30 if failing != "at 50" or cola_at_50 else original(training)

    monkeypatch.setattr(TaskTraining, "_rate", rate)
    arguments = (
        *("finetune", tmp_path / "training", "--every-checkpoint", "--tasks", "cola,rte"),
        *("--data", glue_data, "--out", tmp_path / "out", *SMALL),
    )
    done = archscout(*arguments)
    told = "the mean is of the tasks that have a score at every step: "
    if failing == "at 50":
        assert done.code == 0 and f"{told}rte" in done.err
        last = [line for line in done.out.splitlines() if "│" in line][-2:]
        rte, mean = ([cell.strip() for cell in line.split("│")[2:]] for line in last)
        assert rte == mean and all(rte[:3])
    else:
        assert done.code == 2 and f"{told}there are none" in done.err
        again = archscout(*arguments, "--resume", "--json")
        assert again.code == 2 and json.loads(again.out)["curve"]["scores"] == {"0": {}, "50": {}}


def test_ctrl_c_says_how_to_go_on(
    archscout: Program,
    encoder: Path,
    glue_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = TaskTraining._step

    def interrupted(*arguments: Any) -> float:
        os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    arguments = (
        *("finetune", encoder, "--tasks", "rte", "--data", glue_data),
        *("--out", tmp_path / "t", *SMALL),
    )
    with monkeypatch.context() as patch:
        patch.setattr(TaskTraining, "_step", interrupted)
        stopped = archscout(*arguments)
    assert stopped.code == 130
    assert "Stopped; the fine-tuning so far is in" in stopped.err and "--resume" in stopped.err
    assert "Traceback" not in stopped.err
    assert archscout(*arguments, "--resume").code == 0


def test_divergence_is_told_and_is_no_success(
    archscout: Program,
    encoder: Path,
    glue_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(TaskTraining, "_rate", lambda _: 1e30)
    done = archscout(
        "finetune", encoder, "--tasks", "rte", "--data", glue_data, "--out", tmp_path / "t", *SMALL
    )
    assert done.code == 2
    assert "rte: no score: fine-tuning on rte diverged in epoch 1" in done.err
    assert "failed" in done.out and "mean of 0 tasks" in done.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--tasks", "wnli"], "unknown task 'wnli'; accepted: cola, "),
        (["--set", "learning_rate=-1"], "training setting learning_rate is '-1'"),
        (["--set", "dropout=1"], "training setting dropout is '1'"),
        (["--set", "precision=half"], "training setting precision is 'half'"),
        (["--set", "max_length=64"], "max_length is 64; the encoder"),
        (["--device", "abacus"], "device 'abacus' cannot be used"),
        (["--seed", "-1"], "seed is -1"),
        (["--data", "nowhere"], "no folder nowhere with GLUE's files"),
        (["--every-checkpoint"], "no checkpoints to fine-tune"),
    ],
)
def test_bad_input_is_one_message(
    archscout: Program,
    encoder: Path,
    glue_data: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    out = tmp_path / "t"
    short = () if "max_length=64" in arguments else ("--set", "max_length=24")
    done = archscout("finetune", encoder, "--data", glue_data, "--out", out, *short, *arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not out.exists()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        ("no folder", "no encoder"),
        ("no encoder", "is no encoder: it lacks config.json"),
        ("no part", "task rte lacks its part dev: there is no"),
        ("no column", "RTE/train.tsv lacks the column 'label'"),
        ("no label", "RTE/dev.tsv, line 2, column 'label': label 'perhaps'; accepted: entailment"),
        ("in use", "is not empty (letter.txt) and holds no fine-tuning"),
    ],
)
def test_bad_folders_are_one_message(
    archscout: Program, encoder: Path, glue_data: Path, tmp_path: Path, damage: str, message: str
) -> None:
    data, out = shutil.copytree(glue_data, tmp_path / "glue"), tmp_path / "t"
    train, dev = data / "RTE" / "train.tsv", data / "RTE" / "dev.tsv"
    chosen = encoder
    if damage == "no folder":
        chosen = tmp_path / "nowhere"
    elif damage == "no encoder":
        chosen = data
    elif damage == "no part":
        dev.unlink()
    elif damage == "no column":
        train.write_text(train.read_text().replace("label", "answer", 1))
    elif damage == "no label":
        lines = dev.read_text().splitlines()
        dev.write_text("\n".join([lines[0], lines[1].rpartition("\t")[0] + "\tperhaps"]))
    else:
        out.mkdir()
        (out / "letter.txt").write_text("dear")
    done = archscout(
        "finetune", chosen, "--tasks", "rte", "--data", data, "--out", out, "--set", "max_length=24"
    )
    assert done.code == 2
    assert message in done.err.replace("\n", " ")
    assert "Traceback" not in done.err
    assert not (out / "finetuning.json").exists()
