"""Tasks in this process and in others: the same results, in order, whatever dies."""

import gc
import importlib
import os
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

import tasks
from archscout import InputError
from archscout.execution import Workers, check_workers, processes
from archscout.execution.processes import Processes


def lost(item: int, reason: str) -> str:
    return f"{item}: {reason}"


@pytest.fixture(autouse=True)
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DRIVER", str(os.getpid()))


@pytest.mark.parametrize(("count", "elsewhere"), [(1, False), (2, True)])
def test_results_come_in_order(count: int, elsewhere: bool) -> None:
    with Workers(10, count, total=5, worth=0) as workers:
        assert list(workers.map(tasks.scaled, range(5), lost)) == [
            (10 * item, elsewhere) for item in range(5)
        ]
        # What starts last may end first.
        assert list(workers.map(tasks.slow_first, range(4), lost)) == [0, 10, 20, 30]


def test_garbage_collection_leaves_out_what_a_worker_begins_with() -> None:
    with Workers(1, 2, total=4, worth=0) as workers:
        assert min(workers.map(tasks.frozen, range(4), lost)) > 10_000
    assert not gc.get_freeze_count()  # which is for the driver's program to decide


@pytest.mark.parametrize(("count", "ahead"), [(1, 1), (2, 4)])
def test_items_are_asked_for_when_there_is_room(count: int, ahead: int) -> None:
    asked: list[int] = []
    items = (asked.append(item) or item for item in range(9))  # type: ignore[func-returns-value]
    with Workers(10, count, total=9, worth=0) as workers:
        found = workers.map(tasks.scaled, items, lost)
        assert not asked
        assert next(found)[0] == 0 and asked == list(range(ahead))
        assert [result for result, _ in found] == [10 * item for item in range(1, 9)]


def test_processes_are_started_when_they_are_worth_it() -> None:
    with Workers(1, 2, total=4, worth=30) as workers:
        assert [there for _, there in workers.map(tasks.scaled, range(4), lost)] == [False] * 4


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_process_that_dies_costs_at_most_its_own_task(tmp_path: Path) -> None:
    with Workers(tmp_path, 2, total=8, worth=0) as workers:
        found = list(workers.map(tasks.deadly, range(8), lost))
    assert found[:3] == [0, 1, 2] and found[4:] == [4, 5, 6, 7]
    assert str(found[3]).startswith("3: the process that worked on it died 2 times")
    assert (tmp_path / "0").read_text() == "x"


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_what_travels_with_an_item_at_which_a_process_dies_is_not_lost(tmp_path: Path) -> None:
    with Workers(tmp_path, 2, total=10, worth=0) as workers:
        # Once it is known how little they take.
        assert list(workers.map(tasks.deadly, [0], lost)) == [0]
        found = list(workers.map(tasks.deadly, [1, 3, 5, 7, 9, 11], lost))
    assert (found[0], found[2:]) == (1, [5, 7, 9, 11])
    assert str(found[1]).startswith("3: the process that worked on it died 2 times")


def test_short_tasks_travel_together_and_long_ones_by_themselves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sent: list[int] = []

    def counted(self: Processes, task: Callable[..., Any], item: tuple[Any, list[float]]) -> Any:
        sent.append(len(item[1]))
        return submit(self, task, item)

    submit = Processes.submit
    monkeypatch.setattr(Processes, "submit", counted)
    with Workers(1, 2, total=40, worth=0) as workers:
        for items in ([0.0], [0.0] * 40, [0.2], [0.2, 0.2]):
            assert list(workers.map(tasks.asleep, items, lost)) == items
    # Less at once at the beginning, and at the end of 40.
    assert sent == [1, 2, 4, 6, 8, 8, 6, 3, 1, 1, 1, 1, 1, 1]


@pytest.mark.parametrize("count", [1, 2])
def test_what_follows_from_a_result_is_worked_on(count: int) -> None:
    waiting = deque(range(4))
    found = {}
    with Workers(10, count, total=4, worth=0) as workers:
        for item, result in workers.as_they_come(tasks.slow_first, waiting, lost):
            found[item] = result
            if item < 4:
                waiting.appendleft(item + 4)
    assert found == {item: 10 * item for item in range(8)}


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_process_that_dies_costs_others_nothing_in_any_order(tmp_path: Path) -> None:
    with Workers(tmp_path, 2, total=8, worth=0) as workers:
        found = dict(workers.as_they_come(tasks.deadly, deque(range(8)), lost))
    assert str(found.pop(3)).startswith("3: the process that worked on it died 2 times")
    assert found == {item: item for item in (0, 1, 2, 4, 5, 6, 7)}


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_what_kills_processes_is_not_tried_in_this_one() -> None:
    """However little is left to do, and where more was done than was known of."""
    with Workers(None, 2, total=1, worth=0) as workers:
        waiting = deque([0, 1, 2, 3, 4])
        found = dict(workers.as_they_come(tasks.deadly_elsewhere, waiting, lost))
    assert found.pop(3).startswith("3: the process that worked on it died 2 times")
    assert set(found.values()) == {"elsewhere"}


def test_at_ctrl_c_what_is_at_work_ends_early_and_is_given() -> None:
    def tick() -> None:
        assert not workers.is_stopping
        raise KeyboardInterrupt

    found = []
    with Workers(1, 2, total=9, worth=0) as workers, pytest.raises(KeyboardInterrupt):
        waiting = deque([1, 3, 5, 7])
        for item, result in workers.as_they_come(tasks.until_stopped, waiting, lost, tick):
            assert workers.is_stopping
            found.append((item, result))
    assert found == [(1, (1, True)), (3, (3, True))] and list(waiting) == [5, 7]


@pytest.mark.parametrize("count", [1, 2])
def test_a_task_that_fails_is_told_after_those_before_it(count: int) -> None:
    seen = []
    with pytest.raises(ValueError, match="no 2"), Workers(1, count, 4, worth=0) as workers:
        seen.extend(workers.map(tasks.failing, [0, 1], lost))
        for result in workers.map(tasks.failing, [1, 2, 3], lost):
            seen.append(result)
    assert seen == [0, 1, 1]


def test_what_travels_before_a_task_that_fails_is_given() -> None:
    seen = []
    with pytest.raises(ValueError, match="no 2"), Workers(1, 2, 9, worth=0) as workers:
        seen.extend(workers.map(tasks.failing, [0], lost))
        for result in workers.map(tasks.failing, [1, 3, 2, 4, 5, 6, 7], lost):
            seen.append(result)
    assert seen == [0, 1, 3]


def test_what_a_worker_lacks_is_said() -> None:
    with (
        pytest.raises(InputError, match=r"a worker process lacks .*: no module named 'plugin'"),
        Workers(tasks.Missing(), 2, 1, worth=0) as workers,
    ):
        list(workers.map(tasks.scaled, [1], lost))


def test_a_stop_does_not_wait_for_what_is_not_begun() -> None:
    with Workers(1, 1, 3) as workers:
        results = workers.map(tasks.scaled, range(3), lost)
        assert next(results)[0] == 0
        results.close()


Use = Callable[..., tuple[set[int], set[str]]]


@pytest.fixture
def use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Use]:
    """Has two processes work; which they are, and what they know."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def used(said: str, before: Callable[[], object] | None = None) -> tuple[set[int], set[str]]:
        (folder := tmp_path / said).mkdir()
        with Workers((folder, said), 2, 2, before, worth=0) as workers:
            found = list(workers.map(tasks.together, range(2), lost))
        return {process for process, _ in found}, {known for _, known in found}

    processes._end_idle()
    yield used
    processes._end_idle()
    assert not list(tmp_path.glob("archscout-*"))


def test_processes_serve_the_next_use_with_its_own_state(
    use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, known = use("first")
    assert len(first) == 2 and known == {"first, not stopping, None"}
    monkeypatch.setenv("KNOWN", "now")
    assert use("second") == (first, {"second, not stopping, now"})
    with Workers(10, 2, 1, worth=0) as workers:
        assert list(workers.map(tasks.scaled, [1], lost)) == [(10, True)]
        assert not use("third")[0] & first  # which are at work


def test_processes_that_loaded_a_file_serve_no_other_use(use: Use) -> None:
    first, _ = use("first")
    loaded, _ = use("second", before=int)
    assert not loaded & first
    assert use("third")[0] == first


def test_processes_are_started_anew_where_another_number_is_asked_for_or_a_module_is_another(
    use: Use,
) -> None:
    first, _ = use("first")
    importlib.reload(tasks)
    second, _ = use("second")
    assert not second & first
    with Workers(10, 1 + 2, 1, worth=0) as workers:
        assert list(workers.map(tasks.scaled, [1], lost)) == [(10, True)]
    assert not use("third")[0] & second


def test_processes_that_are_killed_serve_no_other_use(use: Use) -> None:
    first, _ = use("first")
    processes.Processes(2, 10, None).kill()
    assert not use("second")[0] & first


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_idle_processes_end_after_a_while(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processes, "_IDLE_SECONDS", 0.1)
    first, _ = use("first")
    end = time.monotonic() + 30
    while any(Path(f"/proc/{process}").exists() for process in first):
        assert time.monotonic() < end
        time.sleep(0.05)
    assert not use("second")[0] & first


PROGRAM = """
import sys, time, pathlib
sys.path.insert(0, sys.argv[2])
import tasks
from archscout.execution import Workers
with Workers(pathlib.Path(sys.argv[1]), 1 + 1, 2, tasks.be_short, worth=0) as workers:
    list(workers.map(tasks.place_of, [0, 1], print))
    time.sleep(60)
"""


def children(process: int) -> list[Path]:
    """The processes that a process has started, those that are not ready yet among them."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            if stat.read_text().rpartition(")")[2].split()[1] == str(process):
                found.append(stat.parent)
    return found


def test_a_process_whose_driver_died_before_it_began_ends() -> None:
    code = """
import sys, time
from archscout.execution import processes
processes._GRACE_SECONDS = 0
processes._begin(None, int(sys.argv[1]))
time.sleep(60)
"""
    gone = os.getppid()  # somebody else's child
    process = subprocess.run(
        [sys.executable, "-c", code, str(gone)], capture_output=True, text=True, timeout=30
    )
    assert (process.returncode, process.stderr) == (1, "")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_nothing_outlives_a_driver_that_was_killed(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    here, temporary = str(Path(tasks.__file__).parent), tmp_path_factory.mktemp("temporary")
    driver = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(tmp_path), here],
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    end = time.monotonic() + 60
    while len(list(tmp_path.iterdir())) < 2 and time.monotonic() < end:
        time.sleep(0.05)
    workers = children(driver.pid)
    assert list(temporary.glob("archscout-*"))
    driver.kill()
    driver.wait()
    assert {path.read_text() for path in tmp_path.iterdir()} <= {path.name for path in workers}
    while any(map(Path.exists, workers)) or list(temporary.glob("archscout-*")):
        assert time.monotonic() < end
        time.sleep(0.2)


def test_a_number_of_workers_is_positive() -> None:
    assert check_workers(2) == 2
    with pytest.raises(InputError, match="0 workers; accepted is a whole number of at least 1"):
        check_workers(0)
