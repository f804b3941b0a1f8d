"""The run folder and its database: what they hold, and what is said where they cannot be used."""

import errno
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import filelock
import optuna
import pandas as pd
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from archscout import InputError
from archscout.runs import Progress, Run
from archscout.runs import run_folder as folder
from archscout.runs.storage import _Lines
from archscout.runs.study import result_of
from archscout.spaces import RecurrentSpace
from journals import to_database

Hunt = Any  # a search with some usual arguments; see conftest.py
SPACE = RecurrentSpace()


@pytest.fixture(scope="module")
def finished(hunt: Hunt, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that tests only read."""
    path = tmp_path_factory.mktemp("finished") / "run"
    hunt(path, metrics="hidden_covariance[1],parameters", seed=2, max_memory="1MB")
    return path


@pytest.fixture
def spoilt(finished: Path, tmp_path: Path) -> Path:
    """A copy of it that tests may damage."""
    shutil.copytree(finished, tmp_path / "spoilt")
    return tmp_path / "spoilt"


def content(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# What lies there


def test_a_run_folder_holds_what_is_promised_and_no_leftovers(finished: Path) -> None:
    assert {p.name for p in finished.iterdir()} - {".lock"} == {
        "run.json",
        "vocabulary.json",
        "study.jsonl",
        "scores.parquet",
        "best.json",
    }


def test_run_json_tells_settings_versions_and_text(finished: Path, words: Path, tiny: Any) -> None:
    told = content(finished / "run.json")
    assert told["settings"] == {
        "include": {},
        "space": "rnn",
        "text": [str(words)],
        "objectives": ["hidden_covariance[1]:max", "parameters:min"],
        "metric_files": [],
        "metric_sha256": [],
        "space_arguments": {},
        "limits": {"memory": 1e6},
        "trials": 14,
        "seed": 2,
        "sampler": "nsga2",
        "population_size": 4,
        "scale": vars(tiny),
        "model_scale": vars(tiny),
        "split": None,
        "vocabulary_size": None,
        "minibatch_index": 0,
        "device": "cpu",
        "objective": "sum",
        "tokenizer": None,
        "latency_on": None,
    }
    assert told["text"] == {
        "name": "words.txt",
        "sha256": hashlib.sha256(words.read_bytes()).hexdigest(),
        "sources": [str(words)],
        "vocabulary_size": 41,
    }
    assert told["versions"]["python"] == sys.version.split()[0]
    for library in ("archscout", "torch", "numpy", "optuna"):
        assert told["versions"][library] == version(library)
    assert told["storage"] is None
    assert pd.Timestamp(told["started"]).tzinfo is not None


def test_vocabulary_json_holds_the_texts_words_in_order(finished: Path, words: Path) -> None:
    lines = words.read_text().splitlines()
    expected = dict.fromkeys(word for line in lines for word in [*line.split(), "<eos>"])
    assert content(finished / "vocabulary.json") == list(expected)
    run = Run(finished)
    assert run.vocabulary.tokens == tuple(expected)
    assert run.vocabulary_size == len(expected)


def test_scores_parquet_holds_the_table(finished: Path) -> None:
    stored = pd.read_parquet(finished / "scores.parquet")
    pd.testing.assert_frame_equal(stored, Run(finished).table)
    assert list(stored) == [
        "rank",
        "front",
        "fingerprint",
        "parameters",
        "memory",
        "hidden_covariance[1]",
        "seconds",
        "problem",
        "within_limits",
        "trial",
        "proposals",
        "architecture",
    ]
    assert (stored["seconds"] > 0).all()
    for _, row in stored.iterrows():
        assert SPACE.fingerprint(SPACE.parse(row["architecture"])) == row["fingerprint"]


def test_best_json_holds_the_front(finished: Path) -> None:
    best, run = content(finished / "best.json"), Run(finished)
    assert best["space"] == "rnn"
    assert best["objectives"] == ["hidden_covariance[1]:max", "parameters:min"]
    assert [c["fingerprint"] for c in best["front"]] == [c.fingerprint for c in run.front]
    for told, candidate in zip(best["front"], run.front, strict=True):
        assert told["scores"] == candidate.scores
        assert told["costs"] == candidate.costs
        assert SPACE.parse(told["architecture"]) == candidate.architecture


def test_derived_files_can_be_made_again(spoilt: Path) -> None:
    names = ("best.json", "scores.parquet")
    before = [(spoilt / name).read_bytes() for name in names]
    for name in names:
        (spoilt / name).unlink()
    Run(spoilt).save()
    assert [(spoilt / name).read_bytes() for name in names] == before


def test_a_run_can_be_moved(spoilt: Path, finished: Path, hunt: Hunt, tmp_path: Path) -> None:
    pd.testing.assert_frame_equal(Run(spoilt).table, Run(finished).table)
    moved = hunt(
        spoilt,
        metrics="hidden_covariance[1],parameters",
        seed=2,
        max_memory="1MB",
        trials=16,
        resume=True,
    )
    assert len(moved.trials) == 16


def test_optuna_itself_reads_the_study(finished: Path) -> None:
    storage = JournalStorage(JournalFileBackend(str(finished / "study.jsonl")))
    (summary,) = optuna.get_all_study_summaries(storage)
    study = optuna.load_study(storage=storage, study_name=summary.study_name)
    assert len(study.trials) == 14
    assert study.directions == [
        optuna.study.StudyDirection.MAXIMIZE,
        optuna.study.StudyDirection.MINIMIZE,
    ]


# Folders that cannot be used


def test_a_folder_with_a_run_is_not_overwritten(finished: Path, hunt: Hunt) -> None:
    before = {p: p.read_bytes() for p in finished.iterdir()}
    with pytest.raises(InputError, match="already holds a run; go on with it by --resume"):
        hunt(finished)
    assert {p: p.read_bytes() for p in finished.iterdir()} == before


def test_a_folder_with_other_files_is_left_alone(hunt: Hunt, tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for resume, said in ((False, r"is not empty \(letter.txt\) and "), (True, "")):
        with pytest.raises(InputError, match=f"{said}holds no run"):
            hunt(tmp_path, resume=resume)
    assert os.listdir(tmp_path) == ["letter.txt"]


def test_an_empty_folder_can_be_used(hunt: Hunt, tmp_path: Path) -> None:
    assert len(hunt(tmp_path, trials=1).trials) == 1


def test_a_run_that_was_stopped_before_it_began_can_be_started_again(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(folder.RunFolder, "update", stop)
        patch.setattr(folder, "versions", stop)  # vocabulary.json is written
        hunt(tmp_path / "run", trials=2)
    assert (tmp_path / "run" / "vocabulary.json").exists()
    assert len(hunt(tmp_path / "run", trials=2).trials) == 2


def test_a_run_that_was_stopped_before_its_database_was_made_goes_on(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(optuna, "create_study", stop)
        hunt(tmp_path / "run", trials=2)
    assert not (tmp_path / "run" / "study.db").exists()
    assert len(hunt(tmp_path / "run", trials=2, resume=True).trials) == 2


def test_a_file_is_no_folder(hunt: Hunt, words: Path) -> None:
    for path in (words, words / "below"):
        with pytest.raises(InputError, match="is a file; --out takes a folder"):
            hunt(path)
    for path in (words, words / "below"):
        with pytest.raises(InputError, match="is a file; a run is a folder"):
            Run(path)


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_a_folder_that_cannot_be_written_is_named(hunt: Hunt) -> None:
    with pytest.raises(InputError, match="cannot write in /proc/run"):
        hunt(Path("/proc/run"))


def test_what_holds_no_run_is_no_run(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        with pytest.raises(InputError, match=r"holds no run \(run.json is missing\)"):
            Run(path)


@pytest.mark.parametrize("damage", ["", "{", "[]", "3", "null", '"text"', "{}", '{"settings": 1}'])
def test_a_damaged_run_json_is_named(damage: str, spoilt: Path, hunt: Hunt) -> None:
    (spoilt / "run.json").write_text(damage)
    with pytest.raises(InputError, match=r"run.json is damaged: "):
        Run(spoilt)
    with pytest.raises(InputError, match=r"run.json is damaged: "):
        hunt(spoilt, resume=True)


def test_a_run_json_that_is_not_text_is_named(spoilt: Path) -> None:
    (spoilt / "run.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"run.json is damaged: "):
        Run(spoilt)


def test_a_run_json_that_is_a_folder_is_named(spoilt: Path, hunt: Hunt) -> None:
    (spoilt / "run.json").unlink()
    (spoilt / "run.json").mkdir()
    with pytest.raises(InputError, match=r"cannot read .*run.json: Is a directory"):
        Run(spoilt)
    with pytest.raises(InputError, match=r"cannot read .*run.json: Is a directory"):
        hunt(spoilt, resume=True)


@pytest.mark.parametrize(
    ("place", "value", "complaint"),
    [
        (("settings", "trials"), "many", "settings.trials: "),
        (("settings", "sampler"), "luck", "settings.sampler: "),
        (("settings", "model_scale"), {"width": 1}, "width"),
        (("settings", "seed"), None, "settings.seed: "),
        (("text",), {}, "text.name"),
        (("text",), {"name": "a", "sha256": ""}, "text.vocabulary_size"),
        (("text",), None, ""),
        (("storage",), 5, "storage is 5"),
    ],
)
def test_what_is_damaged_in_run_json_is_named(
    place: tuple[str, ...], value: Any, complaint: str, spoilt: Path
) -> None:
    told = content(spoilt / "run.json")
    inner = told
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    (spoilt / "run.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=f"run.json is damaged: .*{complaint}"):
        Run(spoilt)


@pytest.mark.parametrize("key", ["settings", "text", "storage", "study"])
def test_what_is_missing_in_run_json_is_named(key: str, spoilt: Path) -> None:
    told = content(spoilt / "run.json")
    del told[key]
    (spoilt / "run.json").write_text(json.dumps(told))
    with pytest.raises(InputError, match=f"run.json is damaged: '{key}'"):
        Run(spoilt)


def test_a_damaged_vocabulary_is_named(spoilt: Path) -> None:
    (spoilt / "vocabulary.json").write_text("[1, 2]")
    with pytest.raises(InputError, match=r"vocabulary.json"):
        _ = Run(spoilt).vocabulary


# Going on with another run than the one that lies there


def test_settings_that_differ_are_named(hunt: Hunt, tmp_path: Path, tiny: Any) -> None:
    hunt(tmp_path / "run", trials=2)
    for changes, complaint in (
        ({"seed": 1}, "holds another run: seed is 1, was 0"),
        ({"sampler": "tpe", "seed": 3}, "seed is 3, was 0; sampler is 'tpe', was 'nsga2'"),
        ({"metrics": "parameters"}, r"objectives is \['parameters:min'\], was \['hidden_cov"),
        ({"max_parameters": 1e4}, "limits.parameters is 10000.0, was None"),
        ({"scale": tiny.resized(batch_size=5)}, "scale.batch_size is 5, was 4"),
        ({"population_size": 5}, "population_size is 5, was 4"),
        ({"vocabulary_size": 20}, "vocabulary_size is 20, was None"),
        ({"minibatch_index": 1}, "minibatch_index is 1, was 0"),
    ):
        with pytest.raises(InputError, match=complaint):
            hunt(tmp_path / "run", resume=True, **changes)
    assert len(Run(tmp_path / "run").trials) == 2


def test_a_text_that_has_changed_is_refused(hunt: Hunt, words: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine.txt"
    shutil.copy(words, mine)
    hunt(tmp_path / "run", text=mine, trials=2)
    mine.write_text(mine.read_text() + " more")
    with pytest.raises(InputError, match=r"the text 'mine.txt' has changed since .* was started"):
        hunt(tmp_path / "run", text=mine, trials=3, resume=True)
    shutil.copy(words, mine)
    assert len(hunt(tmp_path / "run", text=mine, trials=3, resume=True).trials) == 3


def test_a_text_by_a_relative_path_is_the_same_text(
    hunt: Hunt, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(words.parent)
    hunt(tmp_path / "run", text="words.txt", trials=2)
    monkeypatch.chdir(tmp_path)
    assert len(hunt(tmp_path / "run", text=words, trials=3, resume=True).trials) == 3


# Locks

HOLDER = """
import filelock, sys
lock = filelock.FileLock(sys.argv[1])
lock.acquire()
print(flush=True)
input()
"""


def test_a_folder_in_which_another_process_runs_is_refused(hunt: Hunt, tmp_path: Path) -> None:
    run = tmp_path / "run"
    hunt(run, trials=2)
    arguments = [sys.executable, "-c", HOLDER, str(run / ".lock")]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout and process.stdout.readline()
        start = time.monotonic()
        with pytest.raises(InputError, match=r"another process runs in .*run; wait for it"):
            hunt(run, trials=3, resume=True)
        assert time.monotonic() - start < 5
        process.communicate(b"\n")
    assert len(hunt(run, trials=3, resume=True).trials) == 3


def test_the_lock_is_let_go_after_a_stop(hunt: Hunt, tmp_path: Path) -> None:
    def stop(_: Progress) -> None:
        with pytest.raises(InputError, match="another process runs in"):
            hunt(tmp_path / "run", resume=True)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hunt(tmp_path / "run", on_progress=stop)
    with filelock.FileLock(tmp_path / "run" / ".lock", timeout=0):
        pass


@pytest.mark.slow
def test_a_locked_database_is_named_soon_and_nothing_is_lost(hunt: Hunt, tmp_path: Path) -> None:
    # Waits for the lock as long as the address says, then as often as Optuna tries again.
    storage = f"sqlite:///{tmp_path / 'my.db'}?timeout=0.1"
    with closing(sqlite3.connect(tmp_path / "my.db", check_same_thread=False)) as other:

        def lock(state: Progress) -> None:
            if state.done == 5:
                other.execute("BEGIN EXCLUSIVE")

        start = time.monotonic()
        with pytest.raises(InputError, match=r"study database .*my.db.*: database is locked; "):
            hunt(tmp_path / "run", storage=storage, on_progress=lock)
        assert time.monotonic() - start < 30
        assert pd.read_parquet(tmp_path / "run" / "scores.parquet")["proposals"].sum() == 5
        with pytest.raises(InputError, match="database is locked"):
            hunt(tmp_path / "run", storage=storage, resume=True)
        with pytest.raises(InputError, match="database is locked"):
            _ = Run(tmp_path / "run").trials
    assert len(Run(tmp_path / "run").trials) == 5
    resumed, whole = hunt(tmp_path / "run", storage=storage, resume=True), hunt(tmp_path / "whole")
    assert list(resumed.table["fingerprint"]) == list(whole.table["fingerprint"])


# Studies


@pytest.mark.parametrize(
    "damage",
    [b"\x00" * 5000, b"garbage " * 1000, b"garbage\n" * 3, b"{}\n", b"5\n", b"[]\n", b"null\n"],
)
def test_a_damaged_study_is_named_and_left_alone(damage: bytes, hunt: Hunt, tmp_path: Path) -> None:
    hunt(tmp_path / "run", trials=2)
    (tmp_path / "run" / "study.jsonl").write_bytes(damage)
    said = r"study .*study.jsonl: line 1 is damaged, after 0 proposals; nothing was changed"
    with pytest.raises(InputError, match=said):
        _ = Run(tmp_path / "run").trials
    with pytest.raises(InputError, match=said):
        hunt(tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "study.jsonl").read_bytes() == damage


def test_a_study_that_is_damaged_in_the_middle_says_where(hunt: Hunt, tmp_path: Path) -> None:
    hunt(tmp_path / "run", trials=6)
    study = tmp_path / "run" / "study.jsonl"
    lines = study.read_bytes().splitlines(keepends=True)
    assert len(lines) == 7  # one for the study itself
    study.write_bytes(b"".join([*lines[:4], lines[4][:30] + b"\n", *lines[5:]]))
    before = study.read_bytes()
    with pytest.raises(InputError, match=r"line 5 is damaged, after 3 proposals; nothing"):
        hunt(tmp_path / "run", resume=True)
    assert study.read_bytes() == before
    study.write_bytes(b"".join(lines[:4]))  # as the message advises
    resumed, whole = hunt(tmp_path / "run", resume=True), hunt(tmp_path / "whole")
    assert list(resumed.table["fingerprint"]) == list(whole.table["fingerprint"])


def test_a_torn_end_is_taken_away_and_said(hunt: Hunt, tmp_path: Path) -> None:
    hunt(tmp_path / "run", trials=6)
    study = tmp_path / "run" / "study.jsonl"
    whole = study.read_bytes()
    study.write_bytes(whole + whole.splitlines()[-1][:40])
    assert len(Run(tmp_path / "run").trials) == 6
    assert study.read_bytes() != whole  # reading changes nothing
    said: list[str] = []
    run = hunt(tmp_path / "run", resume=True, on_warning=said.append)
    assert len(said) == 1 and "study.jsonl: the last line had no end" in said[0]
    assert list(run.table["fingerprint"]) == list(hunt(tmp_path / "w").table["fingerprint"])


def test_a_run_of_an_earlier_version_opens_and_goes_on(hunt: Hunt, tmp_path: Path) -> None:
    hunt(tmp_path / "run", trials=6)
    to_database(tmp_path / "run")
    assert len(Run(tmp_path / "run").trials) == 6
    resumed, whole = hunt(tmp_path / "run", resume=True), hunt(tmp_path / "whole")
    assert list(resumed.table["fingerprint"]) == list(whole.table["fingerprint"])
    assert not (tmp_path / "run" / "study.jsonl").exists()


def test_what_is_equal_is_held_once(hunt: Hunt, tmp_path: Path) -> None:
    searched = hunt(tmp_path / "run", trials=60)
    for run in (searched, Run(tmp_path / "run")):
        genes = {id(trial.distributions) for trial in run.trials}
        results: dict[str, set[int]] = {}
        for trial in run.trials:
            results.setdefault(result_of(trial)["fingerprint"], set()).add(id(result_of(trial)))
        assert len(genes) == 1
        assert len(results) < 60 and {len(held) for held in results.values()} == {1}


def test_what_was_scored_and_not_stored_is_not_scored_again(
    hunt: Hunt, tmp_path: Path, scored: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = hunt(tmp_path / "whole")
    scored.clear()
    write = _Lines.append_logs

    def fail(lines: Any, logs: list[dict[str, Any]]) -> None:
        if len(scored) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        write(lines, logs)

    with monkeypatch.context() as full:
        full.setattr(_Lines, "append_logs", fail)
        with pytest.raises(InputError, match=r"No space left .*Stopped after 3 proposals; every"):
            hunt(tmp_path / "run")
    unstored = tmp_path / "run" / "unstored.jsonl"
    assert [json.loads(line)["fingerprint"] for line in unstored.open()] == scored[-1:]
    damaged = unstored.read_text()
    unstored.write_text("{}\n")
    with pytest.raises(InputError, match=r"unstored.jsonl: line 1 is damaged: .*scored again"):
        hunt(tmp_path / "run", resume=True)
    unstored.write_text(damaged)
    run = hunt(tmp_path / "run", resume=True)
    assert list(run.table["fingerprint"]) == list(whole.table["fingerprint"])
    assert len(scored) == len(set(scored)) and not unstored.exists()


def test_a_missing_study_is_named_and_not_made(spoilt: Path) -> None:
    (spoilt / "study.jsonl").unlink()
    with pytest.raises(InputError, match=r"spoilt has lost its .*\(study.jsonl is missing\)"):
        _ = Run(spoilt).trials
    assert not (spoilt / "study.jsonl").exists()


# Databases


def test_a_database_that_lost_its_study_is_named(spoilt: Path) -> None:
    to_database(spoilt)
    with closing(sqlite3.connect(spoilt / "study.db")) as database:
        database.execute("update studies set study_name = 'other'")
        database.commit()
    with pytest.raises(InputError, match="does not hold the run's study"):
        _ = Run(spoilt).trials


def test_a_study_may_lie_elsewhere(hunt: Hunt, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'my.db'}"
    hunt(tmp_path / "run", storage=storage, trials=6)
    assert not (tmp_path / "run" / "study.jsonl").exists()
    assert content(tmp_path / "run" / "run.json")["storage"] == storage
    resumed = hunt(tmp_path / "run", trials=14, resume=True)
    whole = hunt(tmp_path / "whole")
    for run in (resumed, Run(tmp_path / "run")):
        pd.testing.assert_frame_equal(
            run.table.drop(columns="seconds"), whole.table.drop(columns="seconds")
        )
    (tmp_path / "my.db").rename(tmp_path / "gone.db")
    with pytest.raises(InputError, match=r"my.db does not hold the run's study"):
        _ = Run(tmp_path / "run").trials


def test_runs_of_one_name_in_one_database_stay_apart(hunt: Hunt, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path / 'my.db'}"
    one = hunt(tmp_path / "a" / "run", storage=storage, trials=3)
    other = hunt(tmp_path / "b" / "run", storage=storage, trials=4, seed=1)
    alone = hunt(tmp_path / "c" / "run", trials=4, seed=1)
    marks = [[result_of(t)["fingerprint"] for t in run.trials] for run in (one, other, alone)]
    assert len(marks[0]) == 3
    assert marks[1] == marks[2]


def test_another_storage_on_resume_is_refused(hunt: Hunt, tmp_path: Path) -> None:
    hunt(tmp_path / "run", trials=2)
    with pytest.raises(InputError, match=r"keeps its study in study\.jsonl"):
        hunt(tmp_path / "run", resume=True, storage=f"sqlite:///{tmp_path / 'my.db'}")


@pytest.mark.parametrize(
    ("storage", "complaint"),
    [
        ("sqlite:////no/such/folder/my.db", "unable to open database file"),
        ("nonsense", "study database at the given address: "),
        ("postgresq://me@host/studies", "study database postgresq://me@host/studies: "),
    ],
)
def test_a_storage_that_cannot_be_used_is_named_and_leaves_no_folder(
    storage: str, complaint: str, hunt: Hunt, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=complaint):
        hunt(tmp_path / "run", storage=storage)
    assert list(tmp_path.iterdir()) == []


def test_messages_do_not_show_a_databases_password(hunt: Hunt, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"me:\*\*\*@host") as caught:
        hunt(tmp_path / "run", storage="postgresq://me:secret@host/studies")
    assert "secret" not in str(caught.value)


# Full disks


def full_for(name: str) -> Callable[[Path, Path], None]:
    """A disk that has no room for a file of that name."""
    original = os.replace

    def replace(source: Path, target: Path) -> None:
        if target.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        original(source, target)

    return replace


@pytest.mark.parametrize("name", ["vocabulary.json", "run.json"])
def test_a_disk_that_is_full_at_the_start_is_named(
    name: str, hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_for(name))
        with pytest.raises(InputError, match=f"cannot write .*{name}: No space left on device"):
            hunt(tmp_path / "run", trials=2)
    assert len(hunt(tmp_path / "run", trials=2).trials) == 2


def test_a_disk_that_is_full_at_the_end_loses_no_score(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_for("scores.parquet"))
        with pytest.raises(InputError, match=r"cannot write .*scores.parquet: No space left"):
            hunt(tmp_path / "run", trials=4)
    assert len(Run(tmp_path / "run").trials) == 4
    hunt(tmp_path / "run", trials=4, resume=True)
    assert len(pd.read_parquet(tmp_path / "run" / "scores.parquet")) == 4


def test_an_old_file_is_whole_after_a_write_that_failed(
    spoilt: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (spoilt / "best.json").read_bytes()

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", full_for("best.json"))
        with pytest.raises(InputError, match=r"cannot write .*best.json: No space left"):
            Run(spoilt).save()
    assert (spoilt / "best.json").read_bytes() == before


FULL = """
import resource, sys
from archscout import InputError, search
from archscout.spaces import RecurrentSpace
scale = RecurrentSpace.scales["fast"].resized(
    embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
)
size = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
try:
    search("rnn", sys.argv[1], "hidden_covariance[1]", trials=300, population_size=4,
           scale=scale, out=sys.argv[2])
except InputError as error:
    print(error)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no limits on files")
def test_a_database_that_cannot_grow_is_named_and_nothing_is_lost(
    hunt: Hunt, words: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    arguments = [sys.executable, "-c", FULL, str(words), str(run), "60000"]
    found = subprocess.run(arguments, capture_output=True, text=True, timeout=120, check=True)
    assert found.stdout.startswith(("study ", "cannot write ")), found.stderr
    assert found.stdout.count("\n") == 1
    left = len(Run(run).trials)
    assert 5 <= left < 300
    resumed, whole = hunt(run, trials=left + 5, resume=True), hunt(tmp_path / "w", trials=left + 5)
    assert list(resumed.table["fingerprint"]) == list(whole.table["fingerprint"])
