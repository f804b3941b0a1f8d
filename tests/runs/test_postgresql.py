"""A study in PostgreSQL, with a real server that fails in every way."""

import json
import os
import shutil
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import optuna
import pytest
from sqlalchemy.exc import OperationalError

from archscout import InputError
from archscout.report import write_report
from archscout.runs import Progress, Run, propose, storage
from archscout.runs.storage import check_storage
from postgresql import PASSWORD, Server, served

Hunt = Callable[..., Run]
Same = Callable[[Run, Run], None]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with served() as running:
        yield running


@pytest.fixture(scope="module")
def address(server: Server) -> str:
    """Of a database in which tests have studies of their own."""
    server.ask("create database studies")
    return server.address("studies")


@pytest.fixture
def empty(server: Server) -> Iterator[str]:
    """The address of an empty database."""
    server.ask("create database empty")
    yield server.address("empty")
    server.ask("drop database empty with (force)")


@pytest.fixture(scope="module")
def whole(hunt: Hunt, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The run that nothing happened to."""
    return hunt(tmp_path_factory.mktemp("whole") / "run")


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither we nor Optuna wait long before another try."""
    monkeypatch.setattr(storage, "_PAUSES", (0.3, 0.7))
    at_once = SimpleNamespace(random=lambda: 0.0)
    monkeypatch.setattr(optuna.storages._rdb.storage, "random", at_once)


def at(number: int, act: Callable[[], object]) -> Callable[[Progress], None]:
    """What does something after so many proposals."""
    return lambda state: act() if state.done == number else None  # type: ignore[func-returns-value]


def connections(server: Server) -> list[str]:
    """Names of those that are connected with the studies."""
    query = "select application_name from pg_stat_activity where datname = 'studies'"
    return [name for (name,) in server.ask(query)]


def cut_off(server: Server) -> None:
    """End all connections with the studies."""
    server.ask("select pg_terminate_backend(pid) from pg_stat_activity where datname = 'studies'")


def study_of(run: Path) -> str:
    """The name of a run's study."""
    return str(json.loads((run / "run.json").read_text())["study"])


_FULL = """
create function full_disk() returns trigger language plpgsql as $$ begin
  raise exception 'could not extend file: No space left on device' using errcode = 'disk_full';
end $$;
create trigger full_disk before insert on trials execute function full_disk();
"""


# What works


def test_a_run_is_that_of_a_folder_and_goes_on(
    server: Server, address: str, hunt: Hunt, whole: Run, assert_same: Same, tmp_path: Path
) -> None:
    seen: list[str] = []
    look = at(5, lambda: seen.extend(connections(server)))
    hunt(tmp_path / "run", storage=address, trials=6, on_progress=look)
    assert len(seen) == 1 and seen[0].startswith("archscout on ")
    assert connections(server) == []
    assert_same(hunt(tmp_path / "run", storage=address, resume=True), whole)
    for path in (tmp_path / "run").iterdir():
        assert PASSWORD.encode() not in path.read_bytes()


def test_what_comes_after_a_search_has_its_password(
    address: str, hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ARCHSCOUT_STORAGE", raising=False)
    run = hunt(tmp_path / "run", storage=address)
    propose(run, [dict(run.trials[0].params)])
    assert len(run.trials) == 15
    with pytest.raises(InputError, match="without the password; set ARCHSCOUT_STORAGE"):
        propose(Run(tmp_path / "run"), [dict(run.trials[0].params)])


def test_limits_and_failures_are_kept(
    address: str, hunt: Hunt, assert_same: Same, tmp_path: Path
) -> None:
    limited = {"metrics": "parameters:max,hidden_covariance[1]", "max_parameters": 1600}
    hunt(tmp_path / "run", storage=address, trials=6, **limited)
    resumed = hunt(tmp_path / "run", storage=address, resume=True, **limited)
    run = hunt(tmp_path / "whole", **limited)
    assert_same(resumed, run)
    assert 0 < run.table["within_limits"].sum() < len(run.table)


def test_two_runs_share_a_database_at_the_same_time(
    address: str, hunt: Hunt, whole: Run, assert_same: Same, tmp_path: Path
) -> None:
    other: list[Run] = []
    start = at(3, lambda: other.append(hunt(tmp_path / "b", storage=address, seed=1)))
    assert_same(hunt(tmp_path / "a", storage=address, on_progress=start), whole)
    assert_same(other[0], hunt(tmp_path / "c", seed=1))


def test_several_may_be_the_first_in_a_database(empty: str) -> None:
    together = threading.Barrier(4)

    def opened(_: int) -> None:
        together.wait()
        check_storage(empty)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(opened, range(4)))


def test_a_second_driver_is_told_who_works_on_the_run(
    server: Server, address: str, hunt: Hunt, whole: Run, assert_same: Same, tmp_path: Path
) -> None:
    told: list[str] = []

    def come_second(state: Progress) -> None:
        if state.done == 4:
            cut_off(server)  # the next connection has the lock, too
        if state.done == 6:
            shutil.copytree(tmp_path / "run", tmp_path / "copy")
            with pytest.raises(InputError) as caught:
                hunt(tmp_path / "copy", storage=address, resume=True)
            told.append(str(caught.value))

    run = hunt(tmp_path / "run", storage=address, on_progress=come_second)
    assert_same(run, whole)
    assert "study database postgresql+psycopg://me:***@127.0.0.1" in told[0]
    process = f"archscout on {socket.gethostname()[:32]}, process {os.getpid()}"
    assert f": {process} works on this run; wait for it, or stop it" in told[0]
    assert_same(hunt(tmp_path / "copy", storage=address, resume=True), whole)


# A server that is away


@pytest.mark.usefixtures("hasty")
def test_a_server_that_is_started_again_is_waited_for(
    server: Server, address: str, hunt: Hunt, whole: Run, assert_same: Same, tmp_path: Path
) -> None:
    said: list[str] = []

    def start_again(message: str) -> None:
        said.append(message)
        server.start()

    stop = at(5, lambda: server.stop(signal.SIGQUIT))
    run = hunt(tmp_path / "run", storage=address, on_progress=stop, on_warning=start_again)
    assert_same(run, whole)
    assert len(said) == 1 and PASSWORD not in said[0]
    assert said[0].endswith("lets you in is needed. Trying again for 1 s or so")


@pytest.mark.usefixtures("hasty")
@pytest.mark.parametrize("lost_after", [0, 5, 12])
def test_a_server_that_is_gone_stops_the_run_and_nothing_is_lost(
    lost_after: int,
    server: Server,
    address: str,
    hunt: Hunt,
    whole: Run,
    assert_same: Same,
    scored: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
) -> None:
    try:
        with pytest.raises(InputError) as caught:
            hunt(tmp_path / "run", storage=address, on_progress=at(lost_after, server.stop))
        said = str(caught.value)
        assert said.endswith(
            f"Stopped after {lost_after} proposals; everything scored is kept, and --resume goes on"
        )
        assert "a server that runs there" in said and PASSWORD not in said
        with pytest.raises(InputError, match="a server that runs there"):
            hunt(tmp_path / "run", storage=address, resume=True)
    finally:
        server.start()
    assert len((tmp_path / "run" / "unstored.jsonl").read_text().splitlines()) == 1
    assert_same(hunt(tmp_path / "run", storage=address, resume=True), whole)
    assert len(scored) == len(set(scored)) == len(whole.table)
    assert not (tmp_path / "run" / "unstored.jsonl").exists()
    assert capfd.readouterr().err == ""


def test_a_server_that_is_lost_after_the_last_proposal_is_not_missed(
    server: Server, address: str, hunt: Hunt, whole: Run, assert_same: Same, tmp_path: Path
) -> None:
    try:
        run = hunt(tmp_path / "run", storage=address, on_progress=at(14, server.stop))
        assert_same(run, whole)
        write_report(run)
    finally:
        server.start()


def test_a_proposal_whose_answer_was_lost_counts_once(
    address: str,
    hunt: Hunt,
    whole: Run,
    assert_same: Same,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cached, lost = optuna.storages._CachedStorage, [5]
    create = cached.create_new_trial

    def create_new_trial(store: Any, study: int, trial: optuna.trial.FrozenTrial) -> int:
        made = create(store, study, trial)
        if lost == [trial.user_attrs["proposal"]]:
            lost.clear()
            cause = OperationalError("commit", {}, Exception("connection lost"))
            raise optuna.exceptions.StorageInternalError("commit") from cause
        return made

    monkeypatch.setattr(cached, "create_new_trial", create_new_trial)
    monkeypatch.setattr(storage, "_PAUSES", (0.1,))
    assert_same(hunt(tmp_path / "run", storage=address, trials=7), hunt(tmp_path / "w", trials=7))
    assert not lost
    assert_same(hunt(tmp_path / "run", storage=address, resume=True), whole)
    monkeypatch.setenv("ARCHSCOUT_STORAGE", address)
    assert_same(Run(tmp_path / "run"), whole)
    study = optuna.load_study(study_name=study_of(tmp_path / "run"), storage=address)
    assert len(study.trials) == 15


@pytest.mark.usefixtures("hasty")
def test_a_full_disk_stops_the_run_until_there_is_room(
    server: Server, address: str, hunt: Hunt, whole: Run, assert_same: Same, tmp_path: Path
) -> None:
    def fill() -> None:
        server.ask(_FULL, "studies")

    with pytest.raises(InputError, match=r"No space left on device; room on its disk is needed"):
        hunt(tmp_path / "run", storage=address, on_progress=at(5, fill))
    server.ask("drop trigger full_disk on trials", "studies")
    assert_same(hunt(tmp_path / "run", storage=address, resume=True), whole)


# A server that does not let one in


def test_a_wrong_password_is_told_and_not_shown(
    address: str, hunt: Hunt, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(InputError, match=r"me:\*\*\*@.*authentication failed .*lets you in") as e:
        hunt(tmp_path / "run", storage=address.replace(PASSWORD, "verkehrt"))
    assert "verkehrt" not in str(e.value) and not (tmp_path / "run").exists()
    hunt(tmp_path / "run", storage=address, trials=2)
    with pytest.raises(InputError, match="authentication failed"):
        hunt(tmp_path / "run", storage=address.replace(PASSWORD, "verkehrt"), resume=True)
    assert "verkehrt" not in (tmp_path / "run" / "run.json").read_text()
    assert capfd.readouterr().err == ""


def test_a_missing_database_is_named(address: str, hunt: Hunt, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r'"nothing" does not exist; it is to be made first'):
        hunt(tmp_path / "run", storage=address.replace("studies", "nothing"))


def test_who_may_not_write_is_told_so(
    server: Server, empty: str, hunt: Hunt, tmp_path: Path
) -> None:
    server.ask("create role guest login password 'gast'")
    guest = server.address("empty", "guest:gast")
    with pytest.raises(InputError, match="permission denied for schema public; a user who may"):
        hunt(tmp_path / "run", storage=guest)
    check_storage(empty)
    with pytest.raises(InputError, match=r"permission denied for table .*; a user who may"):
        hunt(tmp_path / "run", storage=guest)


# Who else writes


@pytest.mark.parametrize("sampler", ["nsga2", "tpe"])
def test_trials_that_others_leave_in_the_study_change_nothing(
    sampler: str, address: str, hunt: Hunt, assert_same: Same, tmp_path: Path
) -> None:
    def leave() -> None:
        study = optuna.load_study(study_name=study_of(tmp_path / "run"), storage=address)
        study.ask({"other": optuna.distributions.FloatDistribution(0, 1)})  # runs for ever
        study.add_trial(optuna.trial.create_trial(value=1e9))

    hunt(tmp_path / "run", storage=address, sampler=sampler, trials=11, on_progress=at(10, leave))
    resumed = hunt(tmp_path / "run", storage=address, sampler=sampler, trials=22, resume=True)
    assert_same(resumed, hunt(tmp_path / "whole", sampler=sampler, trials=22))
