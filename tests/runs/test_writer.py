"""The process that stores trials: in order, whole, and whatever becomes of the search."""

import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import filelock
import optuna
import pandas as pd
import pytest
from optuna.trial import FrozenTrial

from archscout import InputError, Scorer
from archscout.runs import Progress, Run, writer
from archscout.runs import run_folder as folder
from archscout.runs.study import result_of
from archscout.runs.writer import Writer

Hunt = Any  # a search with some usual arguments; see conftest.py
NAME = "study"
unix = pytest.mark.skipif(sys.platform == "win32", reason="no such signal")


class Place:
    """A database with an empty study, and the lock beside it."""

    def __init__(self, path: Path, options: str = "") -> None:
        self.database = path / "my.db"
        self.lock = path / ".writer.lock"
        self.address = f"sqlite:///{self.database}{options}"
        optuna.create_study(storage=self.address, study_name=NAME)

    def writer(self) -> Writer:
        return Writer(self.address, NAME, self.lock)

    @property
    def values(self) -> list[float]:
        study = optuna.load_study(storage=self.address, study_name=NAME)
        return [trial.values[0] for trial in study.trials]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def trial(number: int) -> FrozenTrial:
    genes = {f"gene_{i}": optuna.distributions.FloatDistribution(0, 1) for i in range(4)}
    return optuna.create_trial(
        value=float(number),
        params=dict.fromkeys(genes, 0.5),
        distributions=genes,
        user_attrs={"result": {"number": number}},
    )


def wait_until(true: Callable[[], Any], seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not (found := bool(true())) and time.monotonic() < deadline:
        time.sleep(0.02)
    return found


def is_alive(process: int) -> bool:
    """Whether it runs; one that has ended and that nobody has waited for does not."""
    try:
        status = Path(f"/proc/{process}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def test_trials_are_stored_in_order_and_nothing_is_left_behind(place: Place) -> None:
    with place.writer() as process:
        for number in range(30):
            process.store(trial(number))
            assert number + 1 - process.stored <= 8
    assert process.stored == 30
    assert place.values == list(range(30))
    assert not place.lock.exists()


def test_all_of_a_trial_is_stored(place: Place) -> None:
    genes = {
        "kind": optuna.distributions.CategoricalDistribution(["lstm", "gru"]),
        "states": optuna.distributions.IntDistribution(1, 3),
    }
    whole = optuna.create_trial(
        state=optuna.trial.TrialState.FAIL,
        params={"kind": "gru", "states": 2},
        distributions=genes,
        user_attrs={"result": {"problem": "ü", "scores": [None, -1e300]}},
        system_attrs={"generation": 3},
    )
    with place.writer() as process:
        process.store(whole)
    (found,) = optuna.load_study(storage=place.address, study_name=NAME).trials
    for name in ("state", "params", "distributions", "user_attrs", "system_attrs"):
        assert getattr(found, name) == getattr(whole, name)
    assert found.datetime_complete == whole.datetime_complete


def test_a_search_waits_for_a_writer_that_lags(place: Place) -> None:
    handed_over = []

    def hand_over() -> None:
        for number in range(20):
            process.store(trial(number))
            handed_over.append(number)

    place.address += "?timeout=60"
    with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with place.writer() as process:
            thread = threading.Thread(target=hand_over)
            thread.start()
            assert wait_until(lambda: len(handed_over) == 8)
            time.sleep(0.3)
            assert len(handed_over) == 8 and process.stored == 0
            other.execute("ROLLBACK")
            thread.join()
    assert place.values == list(range(20))


@pytest.mark.slow
def test_a_database_that_stays_locked_is_named_within_seconds(place: Place) -> None:
    with closing(sqlite3.connect(place.database, isolation_level=None)) as other:
        process = place.writer()
        process.store(trial(0))
        assert wait_until(lambda: place.values == [0])
        other.execute("BEGIN EXCLUSIVE")
        start = time.monotonic()
        process.store(trial(1))
        with pytest.raises(InputError, match=r"study database .*my.db: database is locked; a dat"):
            process.close()
        # Optuna's five tries, with up to 2 s between.
        assert time.monotonic() - start < 12
        other.execute("ROLLBACK")
    assert process.stored == 1
    assert place.values == [0]
    assert not place.lock.exists()


def test_after_an_error_nothing_more_is_stored(place: Place) -> None:
    with (
        pytest.raises(InputError, match=r"does not hold the run's study"),
        Writer(place.address, "other", place.lock) as process,
    ):
        for number in range(1000):
            process.store(trial(number))
            assert number <= 9  # by then the answer to the first is read
    assert process.stored == 0
    process.close()  # said once


def test_an_error_is_told_although_the_search_was_interrupted(place: Place) -> None:
    with (
        pytest.raises(InputError, match=r"does not hold the run's study") as caught,
        Writer(place.address, "other", place.lock) as process,
    ):
        process.store(trial(0))
        raise KeyboardInterrupt
    assert isinstance(caught.value.__context__, KeyboardInterrupt)


@unix
def test_a_writer_that_dies_is_named(place: Place) -> None:
    with (
        pytest.raises(InputError, match=r"my.db: the process that writes to it ended .*-9; "),
        place.writer() as process,
    ):
        process.store(trial(0))
        assert wait_until(lambda: place.values == [0])
        os.kill(process._process.pid, signal.SIGKILL)
        for number in range(1, 1000):
            process.store(trial(number))
    assert place.values == [0]


@unix
def test_control_c_does_not_reach_the_writer(place: Place) -> None:
    with place.writer() as process:
        assert os.getsid(process._process.pid) != os.getsid(0)
        process.store(trial(0))
        for number in range(1, 10):
            os.kill(process._process.pid, signal.SIGINT)
            process.store(trial(number))
    assert place.values == list(range(10))


def test_what_is_cut_off_is_not_stored_and_what_is_whole_is(place: Place) -> None:
    whole, cut = pickle.dumps(trial(0)), pickle.dumps(trial(1))
    start = pickle.dumps((place.address, NAME, str(place.lock)))
    for sent in (b"", start[:5], start, start + whole, start + whole + cut[: len(cut) // 2]):
        found = subprocess.run(
            [sys.executable, "-m", "archscout.runs.writer"],
            input=sent,
            capture_output=True,
            timeout=60,
        )
        assert (found.returncode, found.stderr) == (0, b"")
    assert place.values == [0, 0]


def test_nobody_sees_the_password(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    original = subprocess.Popen

    def start(*arguments: Any, **options: Any) -> Any:
        started.append((arguments, options))
        return original(*arguments, **options)

    monkeypatch.setattr(writer.subprocess, "Popen", start)
    address = f"sqlite:///file:{place.database}?uri=true&password=secret"
    process = Writer(address, "other", place.lock)
    process.store(trial(0))
    with pytest.raises(InputError, match=r"password=\*\*\*") as caught:
        process.close()
    assert started and "secret" not in str(started)
    assert "secret" not in str(caught.value)


def test_the_writer_needs_no_torch() -> None:
    program = "import sys, archscout.runs.writer; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert found.stdout == "False\n"


# With a search


def test_what_was_scored_before_a_failure_is_stored(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, scored = Scorer.score, []

    def score(self: Scorer, architecture: Any) -> Any:
        if len(scored) == 5:
            raise ZeroDivisionError
        scored.append(self.space.fingerprint(architecture))
        return original(self, architecture)

    monkeypatch.setattr(Scorer, "score", score)
    with pytest.raises(ZeroDivisionError):
        hunt(tmp_path / "run", sampler="random")
    stored = [result_of(t)["fingerprint"] for t in Run(tmp_path / "run").trials]
    assert list(dict.fromkeys(stored)) == scored


def test_the_table_holds_what_is_stored(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Writer] = []
    original = Writer.__init__

    def note(self: Writer, *arguments: Any) -> None:
        original(self, *arguments)
        started.append(self)

    def kill(state: Progress) -> None:
        if state.done == 12:
            os.kill(started[0]._process.pid, signal.SIGTERM)

    monkeypatch.setattr(Writer, "__init__", note)
    with pytest.raises(InputError, match="the process that writes to it ended with status"):
        hunt(tmp_path / "run", trials=500, on_progress=kill)
    table = pd.read_parquet(tmp_path / "run" / "scores.parquet")
    # One may be stored whose answer was not sent any more.
    assert 0 <= len(Run(tmp_path / "run").trials) - table["proposals"].sum() <= 1


SCRIPT = """
import sys
from archscout import search
from archscout.spaces import RecurrentSpace
scale = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
search("rnn", sys.argv[1], "hidden_covariance[1]", trials=int(sys.argv[3]), population_size=4,
       scale=scale, out=sys.argv[2], on_progress=lambda state: print(state.done, flush=True))
"""


@pytest.fixture
def script(tmp_path: Path, words: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts a search as users do: a file, with all on its top level."""
    (tmp_path / "script").mkdir()
    path = tmp_path / "script" / "mine.py"
    path.write_text(SCRIPT)
    started = []

    def start(out: Path, trials: int, **options: Any) -> subprocess.Popen[str]:
        arguments = [sys.executable, str(path), str(words), str(out), str(trials)]
        process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True, **options)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.slow
def test_a_script_needs_no_guard_and_may_lie_beside_anything(
    script: Any, hunt: Hunt, tmp_path: Path
) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "optuna.py").write_text("raise RuntimeError")
    process = script(tmp_path / "run", 12, cwd=tmp_path / "here")
    out, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    assert out.split() == [str(done) for done in range(1, 13)]
    assert len(Run(tmp_path / "run").trials) == 12


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_a_killed_search_leaves_no_writer_and_loses_nothing_that_it_told_of(
    script: Any, hunt: Hunt, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    process = script(run, 5000)
    for line in process.stdout:
        if int(line) == 12:
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    (child,) = map(int, children)
    assert is_alive(child)
    process.kill()
    told = [12, *map(int, process.communicate()[0].split())][-1]
    # At once, while there still is a writer: the run waits for it.
    resumed = hunt(run, trials=told + 10, resume=True)
    assert not is_alive(child)
    numbers = [t.number for t in resumed.trials]
    assert numbers == list(range(told + 10))
    whole = hunt(tmp_path / "whole", trials=told + 10)
    assert [result_of(t)["fingerprint"] for t in resumed.trials] == [
        result_of(t)["fingerprint"] for t in whole.trials
    ]
    assert list(Run(run).table["fingerprint"]) == list(whole.table["fingerprint"])


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_what_a_killed_search_told_of_is_stored_without_it(script: Any, tmp_path: Path) -> None:
    run = tmp_path / "run"
    process = script(run, 5000)
    for line in process.stdout:
        if int(line) == 12:
            break
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    process.kill()
    told = [12, *map(int, process.communicate()[0].split())][-1]
    assert wait_until(lambda: not is_alive(int(children[0])))
    # It may have been killed between handing one over and telling of it.
    assert len(Run(run).trials) in (told, told + 1)


def test_a_run_waits_for_the_writer_of_a_killed_one(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    hunt(run, trials=2)
    with filelock.FileLock(run / ".writer.lock", thread_local=False) as lock:
        with monkeypatch.context() as patch:
            patch.setattr(folder, "_WRITER_SECONDS", 0.1)
            with pytest.raises(InputError, match=r"another process runs in .*run; wait for it"):
                hunt(run, trials=3, resume=True)
        released: list[float] = []
        timer = threading.Timer(1, lambda: (released.append(time.monotonic()), lock.release()))
        timer.start()
        ends: list[float] = []
        found = hunt(
            run, trials=3, resume=True, on_progress=lambda _: ends.append(time.monotonic())
        )
        timer.join()
    assert len(found.trials) == 3
    assert ends[0] > released[0]
