"""Latency on a node of a real Ray cluster that is kept for it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from archscout import InputError, search
from archscout.execution import Cluster, Workers
from archscout.spaces import RecurrentSpace

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="no clusters")]

TINY = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
SMALL = {"object_store_memory": 80_000_000}


class Nodes:
    """A node that scores, one called laptop with two processors, and what was told of them."""

    def __init__(self, machines: Any) -> None:
        self.machines, self.told = machines, list[str]()
        self.laptop = machines.add_node(num_cpus=2, resources={"laptop": 1}, **SMALL)

    def asked(self, **options: Any) -> Cluster:
        return Cluster(self.machines.address, tell=self.told.append, **options)


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    from ray.cluster_utils import Cluster as Machines

    few = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}
    head = {"num_cpus": 1, **few, **SMALL}
    machines = Machines(initialize_head=True, head_node_args=head)
    try:
        yield Nodes(machines)
    finally:
        ray.shutdown()
        machines.shutdown()


def place(state: int, item: int) -> tuple[str, int, float]:
    """The node, the priority there, and how much of the node's processors the task holds."""
    context = ray.get_runtime_context()
    return context.get_node_id(), os.nice(0), context.get_assigned_resources().get("CPU", 0.0)


def lost(item: Any, reason: str) -> Any:
    raise AssertionError(reason)


def test_a_worker_has_a_node_of_the_kind_for_itself_and_others_keep_away(nodes: Nodes) -> None:
    alone, others = nodes.asked(alone_on="laptop"), nodes.asked(not_on="laptop")
    with Workers(0, alone) as timing, Workers(0, others) as scoring:
        pairs = zip(
            timing.map(place, range(4), lost), scoring.map(place, range(4), lost), strict=True
        )
        seen = set(pairs)
    assert (alone.count(), others.count()) == (1, 1)
    ((there, priority, held), (elsewhere, *_)), = seen  # fmt: skip
    assert there == nodes.laptop.node_id != elsewhere
    assert (priority, held) == (0, 2.0)


@pytest.mark.parametrize(
    ("laptops", "count", "asked"),
    [
        ([{"laptop": 1.0}], 1, {"num_cpus": 0.0, "num_gpus": 0.0, "resources": {"laptop": 1.0}}),
        (
            [{"CPU": 8.0, "GPU": 1.0, "laptop": 2.0}, {"CPU": 4.0, "laptop": 2.0}],
            1,
            {"num_cpus": 8.0, "num_gpus": 1.0, "resources": {"laptop": 2.0}},
        ),
        (
            [{"CPU": 8.0, "laptop": 1.0}] * 2,
            2,
            {"num_cpus": 8.0, "num_gpus": 0.0, "resources": {"laptop": 1.0}},
        ),
        ([], 0, {"num_cpus": 0.0, "num_gpus": 0.0, "resources": {"laptop": 1.0}}),
    ],
)
def test_a_measurement_asks_for_the_whole_of_the_largest_node(
    laptops: Any, count: int, asked: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    resources = [*laptops, {"CPU": 16.0, "node:10.0.0.1": 1.0}]
    nodes = [{"NodeID": f"n{i}", "Resources": each} for i, each in enumerate(resources)]
    monkeypatch.setattr(Cluster, "nodes", lambda self: nodes)
    alone, others = Cluster(alone_on="laptop"), Cluster(not_on="laptop")
    assert (alone.count(), others.count()) == (count, 16)
    assert alone.options() == asked
    kept = {"label_selector": {"ray.io/node-id": f"!in({','.join(['n0', 'n1'][: len(laptops)])})"}}
    assert others.options() == {"num_cpus": 1.0, "num_gpus": 0.0} | (kept if laptops else {})


def test_a_search_measures_latency_there_and_a_resumed_one_remembers_it(
    nodes: Nodes, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def found(trials: int, **options: Any) -> Any:
        usual = {
            "metrics": "hidden_covariance[1],latency",
            "max_latency": "1s",
            "scale": TINY,
            "population_size": 3,
            "out": tmp_path / "run",
            "workers": nodes.asked(),
        }
        return search("rnn", words, trials=trials, **(usual | options))

    # What is measured in this process would be seen.
    monkeypatch.setattr("archscout.runs.costs._latency", lambda *_: 1e6)
    nodes.told.clear()
    found(4, latency_on="laptop")
    assert "Latency is measured on nodes with laptop, alone there, on cpu" in nodes.told
    run = found(7, resume=True)
    assert len(run.trials) == 7
    assert (run.table["latency"] > 0).all() and (run.table["latency"] < 1000).all()
    assert run.table["hidden_covariance[1]"].notna().any()
    settings = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert settings["latency_on"] == "laptop"
    with pytest.raises(InputError, match="latency_on is 'desktop', was 'laptop'"):
        found(8, resume=True, latency_on="desktop")
    with pytest.raises(InputError, match="--latency-on laptop is about a cluster; it needs --exec"):
        found(8, resume=True, workers=1)
    with pytest.raises(InputError, match="no architecture of 10 sampled meets the limits"):
        found(4, latency_on="laptop", max_latency="1e-9ms", out=tmp_path / "other")


@pytest.mark.parametrize(
    ("metric", "options", "message"),
    [
        ("latency", {}, "accepted for it are --latency-on RESOURCE"),
        ("parameters", {"latency_on": "laptop"}, "--latency-on laptop: nothing asks for latency"),
        ("latency", {"latency_on": "phone"}, r"has the resource 'phone'; there are laptop; a node"),
        ("latency", {"latency_on": "CPU"}, "has the resource 'CPU'; there are laptop"),
    ],
)
def test_what_cannot_be_is_said_before_anything_begins(
    metric: str, options: Any, message: str, nodes: Nodes, words: Path, tmp_path: Path
) -> None:
    usual = {"scale": TINY, "out": tmp_path / "run", "workers": nodes.asked()}
    with pytest.raises(InputError, match=message):
        search("rnn", words, metric, **usual, **options)
    assert not (tmp_path / "run").exists()
