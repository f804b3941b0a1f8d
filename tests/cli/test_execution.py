"""Where the work of commands runs."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout import InputError
from archscout.cli.execution import Execution
from archscout.execution import Cluster

Program = Callable[..., Any]


@pytest.mark.parametrize(
    ("given", "place"),
    [
        ({}, 3),
        ({"workers": 2}, 2),
        ({"executor": "serial"}, 1),
        ({"executor": "processes"}, os.cpu_count()),
        ({"executor": "processes", "workers": 5}, 5),
        ({"executor": "ray"}, Cluster("local")),
        (
            {"executor": "ray", "ray": "auto", "workers": 8, "worker_gpus": 0.25},
            Cluster("auto", 8, 1, 0.25),
        ),
    ],
)
def test_options_say_where_it_runs(given: dict[str, Any], place: int | Cluster) -> None:
    assert Execution(**given).place(3) == place


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"ray": "auto"}, "--ray auto is about a cluster; it needs --executor ray"),
        ({"executor": "processes", "worker_gpus": 1}, "--worker-gpus 1 is about a cluster"),
        ({"executor": "serial", "workers": 4}, "--workers 4: --executor serial has one"),
        ({"executor": "ray", "worker_cpus": 0}, "0 CPUs a worker; accepted are a part of one"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    given: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        Execution(**given).place()


@pytest.mark.parametrize(
    "command",
    [
        ("search", "rnn"),
        ("evaluate", "archscout-mini-rnn"),
        ("leaderboard",),
        ("benchmark", "build", "rnn", "built", "-n", "1"),
        ("ranker", "fit", "archscout-mini-rnn", "--out", "a.ranker"),
    ],
)
def test_every_command_with_workers_takes_a_cluster(
    archscout: Program, command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = archscout(*command, "--executor", "ray", "--ray", "nowhere")
    assert result.code == 2 and "--ray nowhere; accepted are local, auto," in result.err
    assert not list(tmp_path.rglob("*.json"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--max", "latency=5ms"), "--latency-on laptop is about a cluster; it needs --executor"),
        ((), "--latency-on laptop: nothing asks for latency; --max latency=5ms and -m latency do"),
    ],
)
def test_a_place_for_latency_is_for_latency_on_a_cluster(
    archscout: Program,
    options: tuple[str, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    result = archscout("search", "rnn", "--latency-on", "laptop", *options)
    assert result.code == 2 and message in " ".join(result.err.split())
    assert not list(tmp_path.rglob("*.json"))
