"""Tasks on a real Ray cluster of several nodes: the same results, whatever is lost."""

from __future__ import annotations

import dataclasses
import gc
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from importlib import metadata
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest

import ray_work
import tasks
from archscout import InputError, Scorer, search, spaces
from archscout.execution import Cluster, Workers, check_workers, count_workers
from archscout.execution import cluster as room
from archscout.metrics import carried, load_file
from archscout.spaces import RecurrentSpace
from archscout.spaces.recurrent.cells import CELLS
from archscout.text import load_corpus
from archscout.training.jobs import Job, Part, Plan, Shared, lost_segment, train_segment
from training_runs import SCALE, SETTINGS

ray = pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="no clusters")]

TINY = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
SMALL = {"num_cpus": 1, "object_store_memory": 80_000_000}
# Processes of Ray's that no test needs.
FEW = {"include_dashboard": False, "include_log_monitor": False, "no_monitor": True}


class Nodes:
    """A cluster of two nodes, and what was told of it."""

    def __init__(self, cluster: Any) -> None:
        self.cluster, self.told = cluster, list[str]()
        self.second = cluster.add_node(**SMALL)

    def asked(self, **options: Any) -> Cluster:
        return Cluster(self.cluster.address, tell=self.told.append, **options)


@pytest.fixture(scope="module")
def started() -> Iterator[Nodes]:
    """Started once: it takes some fifteen seconds."""
    from ray.cluster_utils import Cluster as Machines

    # A node that is gone is missed at once, not after half a minute.
    watch = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
    head = {**SMALL, **FEW, "_system_config": watch}
    machines = Machines(initialize_head=True, head_node_args=head)
    try:
        nodes = Nodes(machines)
        check_workers(nodes.asked())
        assert nodes.told == ["Ray: 2 workers on 2 nodes"]
        yield nodes
    finally:
        ray.shutdown()
        machines.shutdown()


@pytest.fixture
def nodes(started: Nodes) -> Nodes:
    started.told.clear()
    return started


def lost(item: Any, reason: str) -> str:
    return f"{item}: {reason}"


def test_results_come_in_order(nodes: Nodes) -> None:
    with Workers(10, nodes.asked(), total=5) as workers:
        assert list(workers.map(tasks.scaled, range(5), lost)) == [
            (10 * item, True) for item in range(5)
        ]
        assert list(workers.map(tasks.slow_first, range(4), lost)) == [0, 10, 20, 30]


def test_garbage_collection_leaves_out_what_a_worker_begins_with(nodes: Nodes) -> None:
    with Workers(1, nodes.asked()) as workers:
        assert min(workers.map(tasks.frozen, range(4), lost)) > 10_000
    assert not gc.get_freeze_count()  # which is for the driver's program to decide


def test_what_may_be_asked_of_a_cluster_is_more_than_works(nodes: Nodes) -> None:
    """For it may grow."""
    asked = nodes.asked(workers=9)
    assert (asked.count(), asked.wanted()) == (2, 9) and count_workers(asked) == 2
    assert nodes.asked().wanted() == 2


def test_ray_has_a_task_more_for_each_worker_where_no_more_can_run(nodes: Nodes) -> None:
    assert nodes.asked().in_hand() == 4 and nodes.asked(workers=2).in_hand() == 4
    assert nodes.asked(workers=1).in_hand() == 1
    with Workers(1, nodes.asked(workers=1)) as workers:
        spans = sorted(workers.map(ray_work.span, range(4), lost))
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))


def test_a_worker_that_dies_costs_at_most_its_own_task(nodes: Nodes, tmp_path: Path) -> None:
    with Workers(tmp_path, nodes.asked(), total=8) as workers:
        found = list(workers.map(tasks.deadly, range(8), lost))
    assert found == [0, 1, 2, "3: its worker died 2 times", 4, 5, 6, 7]
    assert nodes.told == ["A worker died; its task is tried again"] * 2
    assert {(tmp_path / str(item)).read_text() for item in (0, 1, 2)} == {"x"}
    # What travels with it is done again, once.
    assert {(tmp_path / str(item)).read_text() for item in (4, 6, 7)} <= {"x", "xx"}


def test_what_travels_with_an_item_at_which_a_worker_dies_is_not_lost(
    nodes: Nodes, tmp_path: Path
) -> None:
    with Workers(tmp_path, nodes.asked(), total=8) as workers:
        # Once it is known how little they take.
        assert list(workers.map(tasks.deadly, [0], lost)) == [0]
        found = list(workers.map(tasks.deadly, [1, 3, 7, 9], lost))
    assert found == [1, "3: its worker died 2 times", 7, 9]


def test_errors_are_not_tried_again_and_warnings_are_told_once(nodes: Nodes) -> None:
    seen = []
    with pytest.raises(ValueError, match="no 2"), Workers(1, nodes.asked()) as workers:
        for result in workers.map(tasks.failing, [0, 1, 2, 3], lost):
            seen.append(result)
    assert seen == [0, 1] and not nodes.told
    with pytest.raises(RuntimeError, match="Odd: 1 and 2"), Workers(1, nodes.asked()) as workers:
        list(workers.map(ray_work.odd, [0, 1, 2], lost))
    assert len(nodes.told) == 1 and nodes.told[0].endswith(": UserWarning: this is odd")


def test_at_ctrl_c_what_is_at_work_ends_early_and_is_given(nodes: Nodes) -> None:
    def tick() -> None:
        raise KeyboardInterrupt

    found, waiting = [], deque([1, 3, 5, 7])
    with Workers(1, nodes.asked(workers=2)) as workers, pytest.raises(KeyboardInterrupt):
        for pair in workers.as_they_come(ray_work.until_interrupted, waiting, lost, tick):
            found.append(pair)
    assert found == [(1, (1, True)), (3, (3, True))] and list(waiting) == [5, 7]


METRIC = """
import archscout
{first}
@archscout.metric(needs={{"hidden_states"}}, larger_is_better=True)
def {name}(trace):
    return trace.hidden_states[0].abs().mean().item()
"""


def test_text_and_metric_files_are_needed_on_the_driver_alone(
    nodes: Nodes, words: Path, tmp_path: Path
) -> None:
    text, file = tmp_path / "text.txt", tmp_path / "mine.py"
    text.write_bytes(words.read_bytes())
    file.write_text(METRIC.format(name="size_in_ray", first=""))
    load_file(file)
    scorer = Scorer("rnn", text, ["size_in_ray"], TINY)
    before = carried([file])
    text.unlink(), file.unlink()
    cells = list(CELLS.values())
    with Workers(scorer, nodes.asked(), before=before) as workers:
        found = list(workers.map(Scorer.score, cells, lost))
    assert [each.scores for each in found] == [scorer.score(cell).scores for cell in cells]


def test_a_metric_file_that_does_not_import_on_a_worker_is_named(
    nodes: Nodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "needy.py"
    file.write_text(METRIC.format(name="needy", first="import only_with_the_driver"))
    before = carried([file])
    with (
        pytest.raises(InputError, match=r"a worker on .* cannot begin: .*needy.py, line 3: Module"),
        Workers(1, nodes.asked(), before=before) as workers,
    ):
        list(workers.map(tasks.scaled, [1], lost))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"worker_gpus": 0.5}, r"no node .* has 1 CPU and 0.5 GPUs .* 2 nodes with 1 CPUs and 0"),
        ({"worker_cpus": 8}, "no node of the Ray cluster has 8 CPUs for a worker"),
    ],
)
def test_resources_that_are_nowhere_are_said(nodes: Nodes, options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        check_workers(nodes.asked(**options))


def test_a_node_with_other_versions_is_named(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    true = metadata.version
    monkeypatch.setattr(metadata, "version", lambda n: "9.9" if n == "archscout" else true(n))
    monkeypatch.setattr(room, "_known_nodes", set())
    with pytest.raises(InputError, match=r"node .*: archscout 0\.1\.0 there, and 9\.9 here"):
        check_workers(nodes.asked())
    with (
        pytest.raises(InputError, match=r"cannot begin: node .*: archscout 0\.1\.0 there, and 9"),
        monkeypatch.context() as late,
    ):
        late.setattr(room, "_check_versions", lambda *_: None)  # as of a node that comes later
        with Workers(1, nodes.asked()) as workers:
            list(workers.map(tasks.scaled, [1], lost))


def test_a_node_that_dies_while_it_is_asked_does_not_end_the_command(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(*_: Any, **__: Any) -> Any:
        raise ray.exceptions.NodeDiedError("it is gone")

    monkeypatch.setattr(room, "_known_nodes", set())
    monkeypatch.setattr(ray, "get", get)
    check_workers(nodes.asked())
    assert not room._known_nodes


def test_a_head_that_is_gone_stops_the_run(nodes: Nodes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archscout.execution.ray_tasks._LOOK_SECONDS", 0.1)
    monkeypatch.setattr("archscout.execution.ray_tasks._HEAD_SECONDS", 0.3)
    with Workers(1, nodes.asked()) as workers:
        assert list(workers.map(tasks.slow_first, [0], lost)) == [0]
        assert nodes.asked().answers()
        monkeypatch.setattr(Cluster, "answers", lambda self: False)
        with pytest.raises(InputError, match="the head of the Ray cluster does not answer any"):
            list(workers.map(tasks.slow_first, [0] * 9, lost))


class OutOfMemory:
    """In the place of a Ray task, which Ray would kill for memory on a machine that is full."""

    def remote(self, *_: Any) -> Any:
        done: Future[Any] = Future()
        done.set_exception(ray.exceptions.OutOfMemoryError("on the node (IP: 127.0.0.9, ...)"))
        return type("Reference", (), {"future": lambda self: done})()


def test_a_worker_that_is_killed_for_memory_is_told_apart(nodes: Nodes) -> None:
    with Workers(1, nodes.asked()) as workers:
        pool = workers._pool()
        pool._remote = OutOfMemory()  # type: ignore
        assert list(workers.map(tasks.scaled, [7], lost)) == [
            "7: its worker was killed for memory 2 times"
        ]


def content(run: Any) -> list[Any]:
    table = run.table.drop(columns="seconds", errors="ignore")
    return [table.to_json(), [trial.params for trial in run.trials]]


def test_a_search_is_the_same_by_every_executor(
    nodes: Nodes, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archscout.execution.workers.WORTH_SECONDS", 0)
    places = {
        "serial": 1,
        "processes": 2,
        **{f"ray {count}": nodes.asked(workers=count) for count in (1, 2, 4)},
    }

    def found(name: str, trials: int = 14, **options: Any) -> Any:
        return content(
            search(
                "rnn",
                words,
                "hidden_covariance[1]",
                trials=trials,
                population_size=4,
                scale=TINY,
                out=tmp_path / name,
                **options,
            )
        )

    first, *others = (found(name, workers=place) for name, place in places.items())
    assert all(other == first for other in others)
    found("resumed", 6, workers=nodes.asked())
    assert found("resumed", resume=True, workers=1) == first


def test_what_a_cluster_cannot_do_is_refused_before_anything_begins(
    nodes: Nodes, words: Path, tmp_path: Path
) -> None:
    def begin(metric: str, **options: Any) -> None:
        place = {"out": tmp_path / "run", "workers": nodes.asked(), "trials": 2}
        search("rnn", words, metric, scale=TINY, **place, **options)

    with pytest.raises(InputError, match="latency is measured alone on its machine"):
        begin("latency")
    with pytest.raises(InputError, match="is in SQLite, whose locks"):
        begin("parameters", storage=f"sqlite:///{tmp_path}/study.db")
    assert not (tmp_path / "run").exists()


def test_a_gpu_is_asked_for_where_networks_run_on_one(nodes: Nodes) -> None:
    with pytest.raises(InputError, match="device 'cuda': Ray hides GPUs from workers that ask for"):
        check_workers(nodes.asked(), "cuda")


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("127.0.0.1:9", r"no Ray cluster answers at 127.0.0.1:9 within 10 s: Connection refused"),
        ("ray://127.0.0.1:9", "no Ray cluster answers at ray://127.0.0.1:9"),
        ("nowhere", "--ray nowhere; accepted are local, auto, HOST:PORT"),
    ],
)
def test_an_address_where_nothing_answers_is_said(
    address: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(InputError, match=message):
        check_workers(Cluster(address))


def test_the_driver_asks_for_signs_of_life_sooner_than_ray_does() -> None:
    asked = "Config.grpc_client_keepalive_time_ms(), Config.grpc_client_keepalive_timeout_ms()"
    code = (
        "from archscout.execution import cluster; cluster._ray()\n"
        f"from ray._raylet import Config; print({asked})"
    )
    given = {**os.environ, "RAY_grpc_client_keepalive_timeout_ms": "5000"}
    given.pop("RAY_grpc_client_keepalive_time_ms", None)
    words = [sys.executable, "-c", code]
    done = subprocess.run(words, env=given, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["70000", "5000"]


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(InputError, match=r"pip install archscout\[distributed\]"):
        check_workers(Cluster("local"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "0 workers; accepted is a whole number of at least 1"),
        ({"worker_cpus": 0}, "0 CPUs a worker; accepted are a part of one"),
        ({"worker_gpus": 1.5}, "1.5 GPUs a worker; accepted are a part of one"),
    ],
)
def test_numbers_out_of_range_are_refused(options: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Cluster("local", **options)


def trainings(words: Path, count: int | Cluster, task: Callable[..., Any]) -> dict[str, Any]:
    """What two short trainings come to, each a chain of two segments."""
    space = spaces.get("rnn")
    corpus = load_corpus(words)
    plan = Plan.of(space, corpus, SETTINGS, SCALE, keep_weights=True)
    job = Job("0", space.to_dict(CELLS["lstm"]), 0)
    waiting = deque(
        Part(dataclasses.replace(job, name=name, seed=int(name)), None, 0.5) for name in "01"
    )
    found = {}
    with Workers(Shared.of(plan, corpus), count, 2, worth=0) as workers:
        for part, segment in workers.as_they_come(task, waiting, lost_segment):
            if segment.is_over:
                found[part.job.name] = (segment.loss, segment.problem, segment.state)
            else:
                waiting.append(Part(part.job, segment.state))
    return {name: (loss, problem) for name, (loss, problem, _) in sorted(found.items())}


def test_a_worker_killed_while_it_trains_costs_nothing(
    nodes: Nodes, words: Path, tmp_path: Path
) -> None:
    task = partial(ray_work.killed_once, tmp_path / "mark")
    found = trainings(words, nodes.asked(), task)
    assert (tmp_path / "mark").exists() and len(nodes.told) == 1
    assert found == trainings(words, 1, train_segment)


def begins_soon(mark: Path) -> bool:
    """Wait until a node begins a task, for as long as one takes; it touches a mark then."""
    start = time.monotonic()
    while not mark.exists() or time.time() - mark.stat().st_mtime > ray_work.SECONDS / 2:
        if time.monotonic() - start > ray_work.SECONDS:
            return False
        time.sleep(0.02)
    return True


def test_a_node_killed_while_it_scores_costs_nothing_and_a_late_one_gets_work(
    nodes: Nodes, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("archscout.execution.ray_tasks._LOOK_SECONDS", 0.5)
    scorer = Scorer("rnn", words, ["hidden_covariance"], TINY)
    cells = list(islice(RecurrentSpace().samples(0), 20))
    seen: list[tuple[dict[str, float], str]] = []
    killed = late = None
    with (
        Workers((scorer, tmp_path), nodes.asked()) as workers,
        closing(workers.map(ray_work.scored, cells * 10, lost)) as found,
    ):
        for scores, node in found:
            seen.append((scores, node))
            if killed is None and begins_soon(tmp_path / nodes.second.node_id):
                killed = nodes.second.node_id
                nodes.cluster.remove_node(nodes.second, allow_graceful=False)
            if nodes.told and late is None:
                nodes.second = nodes.cluster.add_node(**SMALL)
                late = nodes.second.node_id
            if node == late:
                break
    assert late is not None and late == seen[-1][1] != killed
    expected = [scorer.score(cell).scores for cell in cells]
    assert [scores for scores, _ in seen] == (expected * 10)[: len(seen)]


def test_what_is_submitted_while_all_breaks_ends(
    nodes: Nodes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that serves looks, and what it finds ends all, also what came meanwhile."""
    from archscout.execution.ray_tasks import RayTasks

    looks, submitted = threading.Event(), threading.Event()

    def look(self: RayTasks) -> None:
        looks.set()
        submitted.wait()
        raise InputError("nobody answers")

    tasks_there = RayTasks(nodes.asked(), 1, None)
    monkeypatch.setattr(RayTasks, "_look", look)
    first = tasks_there.submit(tasks.scaled, 0)
    looks.wait()
    second = tasks_there.submit(tasks.scaled, 1)
    submitted.set()
    for future in (first, second):
        with pytest.raises(InputError, match="nobody answers"):
            future.result(timeout=30)
    with pytest.raises(InputError, match="nobody answers"):
        tasks_there.submit(tasks.scaled, 2)
    tasks_there.stop()
