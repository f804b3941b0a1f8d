"""`archscout benchmark` as a user calls it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout.training.jobs import JobFolder

TINY = ("--size", "embedding_size=8", "--size", "hidden_size=8", "--size", "num_layers=2")
SMALL = (
    *("--set", "batch_size=4", "--set", "evaluation_batch_size=3"),
    *("--set", "sequence_length=12"),
)
SHORT = (*SMALL, "--set", "epochs=1")
Program = Callable[..., Any]


@pytest.mark.slow
def test_build_status_and_evaluate(
    archscout: Program, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = ("benchmark", "build", "rnn", "cells", "-n", 4, "--text", words, *TINY, *SHORT)
    done = archscout(*command, "--repeat", "3x1", "--workers", 2)
    assert done.code == 0, done.err
    assert "7 of 7 trainings are done." in done.out
    assert "Rank agreement between seeds (τ-b, 3 architectures):" in done.out
    again = archscout(*command, "--repeat", "3x1", "--resume", "--json")
    assert again.code == 0, again.err
    document = json.loads(again.out)
    assert (document["trainings"], document["finished"], document["failed"]) == (7, 7, 0)
    status = archscout("benchmark", "status", "cells", "--json")
    assert json.loads(status.out) == document
    judged = archscout(
        "evaluate", "cells", "--metrics", "parameters", "--size", "batch_size=4", "--json"
    )
    assert judged.code == 0, judged.err
    assert json.loads(judged.out)[0]["n"] == 4
    refused = archscout(*command)
    assert refused.code == 2 and "is there already; go on with it by --resume" in refused.err


@pytest.mark.slow
def test_ctrl_c_and_resume(words: Path, tmp_path: Path) -> None:
    command = [
        *(sys.executable, "-m", "archscout.cli.main", "benchmark", "build", "rnn"),
        *(str(tmp_path / "cells"), "-n", "2", "--text", str(words), *TINY, *SMALL),
        *("--set", "epochs=400", "--workers", "2"),
    ]

    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    trainings = tmp_path / "cells" / "trainings"
    end = time.monotonic() + 90
    while len(list(trainings.glob("*/checkpoints/*.safetensors"))) < 2:
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with:" in said and "--resume" in said
    assert not list((tmp_path / "cells" / "claims").glob("*.json"))


def test_failures_are_kept_until_they_can_be_trained_again(
    archscout: Program, words: Path, tmp_path: Path
) -> None:
    command = ("benchmark", "build", "rnn", tmp_path / "b", "-n", 2, "--text", words, *TINY, *SHORT)
    failing = (*command, "--set", "learning_rate=1e30")
    assert "2 of 2 trainings are done, 2 of them failed" in archscout(*failing).out
    folder = JobFolder(tmp_path / "b")
    places = [*(tmp_path / "b").glob("outcomes/*.json"), *map(folder.training, folder.jobs)]
    before = {place: place.stat().st_mtime_ns for place in places}
    again = ("--resume", "--retry-failed")
    other = archscout(*command, "--set", "learning_rate=1e29", *again)
    assert other.code == 2 and "holds another plan" in other.err
    none = archscout(*failing, *again, "--workers", 0)
    assert none.code == 2 and "0 workers" in none.err
    with folder.lock():
        taken = archscout(*failing, *again)
    assert taken.code == 2 and "another process trains in" in taken.err
    assert {place: place.stat().st_mtime_ns for place in places} == before
    assert archscout(*failing, *again).code == 0
    after = {place: place.stat().st_mtime_ns for place in places}
    assert all(after[place] > before[place] for place in places)


def test_wrong_arguments(archscout: Program, words: Path, tmp_path: Path) -> None:
    base = ("benchmark", "build", "rnn", tmp_path / "b", "--text", words)
    for arguments, message in (
        ((), "give either -n or --architectures"),
        (("-n", 2, "--architectures", "x"), "give either -n or --architectures"),
        (("-n", 0), "0 architectures"),
        (("-n", 2, "--set", "epochs"), "--set 'epochs'; accepted is NAME=VALUE"),
        (("-n", 2, "--set", "epochs=1", "--set", "epochs=2"), "--set epochs is given twice"),
        (("-n", 2, "--set", "nonsense=1"), "training setting nonsense is '1'"),
        (("-n", 2, "--set", "epochs=many"), "training setting epochs is 'many'"),
        (("-n", 2, "--preset", "slow"), "unknown preset 'slow'"),
        (("-n", 2, "--repeat", 3), "accepted are 0 to 2"),
        (("-n", 2, "--workers", 0), "0 workers"),
        (("-n", 2, "--threads", 0), "--threads 0"),
        (("-n", 2, "--device", "abacus"), "abacus"),
    ):
        done = archscout(*base, *arguments)
        assert done.code == 2 and message in done.err, (arguments, done.err)
    missing = archscout("benchmark", "status", tmp_path / "nowhere")
    assert missing.code == 2 and "holds no plan.json" in missing.err
