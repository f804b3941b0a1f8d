"""`archscout search`, `export` and `report`, from end to end."""

import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import archscout as package
from archscout.cli import output
from archscout.cli.output import number, print_abreast
from archscout.comparison import load_proof
from archscout.promotion import load_promotion
from archscout.runs import Progress, Run
from archscout.runs.search_settings import parse_objective
from archscout.spaces import RecurrentSpace
from journals import proposals_in

SPACE = RecurrentSpace()
COSTS = ("parameters", "flops", "latency", "memory")
Program = Any  # see conftest.py


def arguments(words: Path, tiny: tuple[str, ...], out: Path) -> tuple[Any, ...]:
    usual = ("-m", "hidden_covariance[1]", "--trials", 8, "--sampler", "nsga2:4")
    return ("search", "rnn", "--text", words, *tiny, *usual, "--out", out)


@pytest.fixture(scope="module")
def finished(
    words: Path, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, str]:
    """A run that tests only read, and what the program printed."""
    out = tmp_path_factory.mktemp("finished") / "run"
    command = [sys.executable, "-m", "archscout.cli.main", *map(str, arguments(words, tiny, out))]
    environment = os.environ | {"COLUMNS": "80"}
    found = subprocess.run(
        command, capture_output=True, text=True, check=True, timeout=120, env=environment
    )
    assert found.stderr == ""
    return out, found.stdout


def complaint_of(result: Any) -> str:
    """The one message of a mistake."""
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) <= 2
    return str(result.err)


# search


def test_a_search_leaves_a_run_with_report_and_model(finished: tuple[Path, str]) -> None:
    out, _ = finished
    assert {path.name for path in out.iterdir()} - {".lock"} == {
        "run.json",
        "vocabulary.json",
        "study.jsonl",
        "scores.parquet",
        "best.json",
        "report.html",
        "model",
    }
    best = Run(out).best
    genotype = json.loads((out / "model" / "genotype.json").read_text())
    assert SPACE.parse(genotype) == best.architecture
    assert best.fingerprint in (out / "report.html").read_text(encoding="utf-8")
    assert (out / "model" / "model.safetensors").exists()


def test_a_search_prints_the_best_and_where_they_lie(finished: tuple[Path, str]) -> None:
    out, printed = finished
    table = Run(out).table
    assert printed.startswith("8 proposals in ")
    lines = printed.splitlines()
    shown = [mark for mark in table["fingerprint"] if any(mark in line for line in lines)]
    assert shown == list(table["fingerprint"][table["front"].notna()][:10])
    for _, row in table[table["front"].notna()].iterrows():
        line = next(line for line in lines if row["fingerprint"] in line)
        # A terminal of 80 columns is wide enough for every number.
        assert f"{int(row['parameters']):,}" in line
        assert number(row["hidden_covariance[1]"]) in line
    for path in (out, out / "report.html", out / "model"):
        assert any(line.endswith(str(path)) for line in lines)


def test_json_is_one_strict_object(
    archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    result = archscout(*arguments(words, tiny, tmp_path / "run"), "--json")
    assert result.code == 0 and result.err == ""
    found, run = json.loads(result.out), Run(tmp_path / "run")
    assert found["run"] == str(tmp_path / "run")
    assert found["proposals"] == found["new"] == 8
    assert found["architectures"] == len(run.table)
    assert found["best"]["fingerprint"] == run.best.fingerprint
    assert found["best"]["scores"] == run.best.scores
    assert SPACE.parse(found["best"]["architecture"]) == run.best.architecture


def test_a_search_goes_on_with_more_trials(
    archscout: Program,
    words: Path,
    tiny: tuple[str, ...],
    finished: tuple[Path, str],
    tmp_path: Path,
) -> None:
    shutil.copytree(finished[0], tmp_path / "run")
    command = arguments(words, tiny, tmp_path / "run")
    assert "already holds a run; go on with it by --resume" in complaint_of(archscout(*command))
    result = archscout(*command, "--resume", "--trials", 12)
    assert result.code == 0 and result.out.startswith("12 proposals (4 new) in ")
    assert len(Run(tmp_path / "run").trials) == 12
    again = archscout(*command, "--resume", "--trials", 12)
    assert again.code == 0 and again.out.startswith("12 proposals (0 new) in ")
    summary = json.loads(archscout(*command, "--resume", "--trials", 13, "--json").out)
    assert (summary["proposals"], summary["new"]) == (13, 1)
    message = complaint_of(archscout(*command, "--resume", "--seed", 1))
    assert "holds another run: seed is 1, was 0" in message


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_control_c_stops_cleanly_and_says_how_to_go_on(
    archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    stopped, whole = tmp_path / "it stopped", tmp_path / "whole"
    command = [*map(str, arguments(words, tiny, stopped)), "--trials", "5000"]
    with subprocess.Popen(
        [sys.executable, "-m", "archscout.cli.main", *command],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        deadline = time.monotonic() + 60
        while proposals_in(stopped / "study.jsonl") < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert out == ""
    first, second = err.splitlines()
    left = proposals_in(stopped / "study.jsonl")
    assert first in {
        f"Stopped after {done} of 5000 proposals; everything scored is kept. Go on with:"
        for done in (left - 1, left)
    }
    assert shlex.split(second) == ["archscout", *command, "--resume"]
    # The last one may have been stored and not yet counted.
    assert pd.read_parquet(stopped / "scores.parquet")["proposals"].sum() in (left - 1, left)
    enough = ("--trials", left + 4)
    assert archscout(*arguments(words, tiny, stopped), *enough, "--resume").code == 0
    assert archscout(*arguments(words, tiny, whole), *enough).code == 0
    tables = [Run(path).table.drop(columns="seconds") for path in (stopped, whole)]
    pd.testing.assert_frame_equal(*tables)
    assert (stopped / "best.json").read_bytes() == (whole / "best.json").read_bytes()


def test_a_search_whose_time_is_up_says_so(
    archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    command = [*arguments(words, tiny, tmp_path / "run"), "--minutes", "1e-9"]
    refused = archscout(*command, "--budget", 2)
    assert refused.code == 2 and "--minutes 1e-09 may end the search early" in refused.err
    first, second = archscout(*command), archscout(*command, "--resume", "--json")
    said = "The time was up after {} of 8 proposals; --resume makes the others."
    assert said.format(1) in first.err and said.format(2) in second.err
    assert (json.loads(second.out)["proposals"], json.loads(second.out)["new"]) == (2, 1)


def test_a_control_c_that_got_lost_stops_the_search_after_the_next_proposal(
    archscout: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    after = []

    def search(*_: Any, on_progress: Any, **__: Any) -> None:
        # Python drops what is raised in the callback of a weak reference, for one.
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        on_progress(Progress(parse_objective("parameters"), total=5, done=3))
        after.append("went on")

    monkeypatch.setattr(package, "search", search, raising=False)
    before, hook = signal.getsignal(signal.SIGINT), sys.unraisablehook
    result = archscout("search", "rnn", "--trials", 5)
    assert result.code == 130 and after == []
    assert result.err.splitlines() == [
        "Stopped after 3 of 5 proposals; everything scored is kept. Go on with:",
        "  archscout search rnn --trials 5 --resume",
    ]
    assert signal.getsignal(signal.SIGINT) is before
    assert sys.unraisablehook is hook


def test_a_control_c_that_python_drops_is_not_printed(
    archscout: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGINT)

    class Broken:
        def __del__(self) -> None:
            raise ValueError

    def search(*_: Any, on_progress: Any, **__: Any) -> None:
        Broken()
        Interrupted()
        on_progress(Progress(parse_objective("parameters"), total=5, done=3))

    reported: list[Any] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda dropped: reported.append(dropped.exc_type))
    monkeypatch.setattr(package, "search", search, raising=False)
    assert archscout("search", "rnn", "--trials", 5).code == 130
    assert reported == [ValueError]


@pytest.mark.parametrize(
    ("step", "lost"),
    [
        ("report.write_report", False),
        ("report.write_report", True),
        ("exports.export_candidate", False),
    ],
)
def test_control_c_after_the_search_says_that_the_run_is_complete(
    step: str,
    lost: bool,
    archscout: Program,
    words: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        with contextlib.suppress(KeyboardInterrupt) if lost else contextlib.nullcontext():
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(f"archscout.{step}", interrupted)
    out = tmp_path / "my run"
    result = archscout(*arguments(words, tiny, out))
    assert result.code == 130 and result.out == ""
    first, second = result.err.splitlines()
    assert first == "Stopped; the run is complete. Make its report with:"
    assert shlex.split(second) == ["archscout", "report", str(out)]
    assert len(Run(out).trials) == 8


def test_several_objectives_have_a_front(
    archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    command = arguments(words, tiny, tmp_path / "run")
    result = archscout(*command, "-m", "parameters,latency", "--trials", 4)
    assert result.code == 0 and "* on the Pareto front" in result.out
    run = Run(tmp_path / "run")
    assert [o.name for o in run.objectives] == ["hidden_covariance[1]", "parameters", "latency"]


@pytest.fixture(scope="module")
def limited(
    called: Program, words: Path, tiny: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, ...]:
    """The command of a run in which every cost has a limit, which has ended."""
    limits = [f"--max={c}={n}" for c, n in zip(COSTS, ("9G", "9G", "9000ms", "9GB"), strict=True)]
    command = arguments(words, tiny, tmp_path_factory.mktemp("limited") / "run")
    assert called(*command, *limits, "-m", "jacobian_cosine").code == 0
    return (*command, *limits, "-m", "jacobian_cosine")


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_no_number_of_the_ranking_is_cut(
    columns: int, archscout: Program, limited: tuple[Any, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output.console, "width", columns)
    result = archscout(*limited, "--resume")
    assert result.code == 0
    assert all(len(line) <= columns for line in result.out.splitlines()[:-3])
    printed = result.out.replace("│", " ").split()
    table = Run(limited[limited.index("--out") + 1]).table
    ranked = table[table["front"].notna()]
    assert len(ranked) > 1
    for _, row in ranked.iterrows():
        assert row["fingerprint"] in printed
        for column in ("hidden_covariance[1]", "jacobian_cosine", *COSTS):
            assert number(float(row[column])) in printed
    for heading in ("flops per token", "latency ms", "memory bytes", "architecture"):
        assert heading in result.out
    # At any width what each is made of is said, too.
    kinds = {word.rstrip(":") for word in printed} & {"state", "states"}
    assert sum(printed.count(f"{kind}:") for kind in kinds) == len(ranked)


def test_a_table_on_its_side_has_every_cell_at_any_width(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [[f"{i}*", f"{i}{i}", f"{i},000,000"] for i in range(1, 6)]
    for columns, blocks in ((22, 5), (37, 5), (38, 3), (50, 2), (74, 1)):
        monkeypatch.setattr(output.console, "width", columns)
        print_abreast(["rank", "some", "parameters"], rows)
        printed = capsys.readouterr().out
        assert printed.count("┏") == blocks, columns
        words = printed.replace("│", " ").replace("┃", " ").split()
        assert all(words.count(cell) == 1 for row in rows for cell in row)


def test_a_search_starts_from_what_another_found(
    archscout: Program,
    finished: tuple[Path, str],
    words: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
) -> None:
    found, out = finished[0] / "best.json", tmp_path / "run"
    twice = ("--include", found, "--include", found)
    result = archscout(*arguments(words, tiny, out), "--seed", 1, *twice)
    assert result.code == 0 and result.err == ""
    mark = json.loads(found.read_text("utf-8"))["front"][0]["fingerprint"]
    assert mark in result.out and "best.json" in result.out
    assert mark in set(Run(out).table["fingerprint"])


def test_a_search_starts_from_all_that_standard_input_holds(
    archscout: Program,
    words: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
    type_in: Callable[[str | bytes], None],
) -> None:
    sampled = archscout("sample", "rnn", "-n", 3, "--seed", 9).out
    type_in(sampled)
    result = archscout(*arguments(words, tiny, tmp_path / "run"), "--include", "-")
    assert result.code == 0, result.err
    names = Run(tmp_path / "run").names
    for place, line in enumerate(sampled.splitlines(), start=1):
        assert names[SPACE.fingerprint(SPACE.parse(line))] == f"-:{place}"
        assert f"-:{place}" in result.out


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_search_that_finds_nothing_ends_as_a_mistake(
    form: tuple[str, ...],
    archscout: Program,
    words: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Run, "front", [])
    monkeypatch.setattr("archscout.report.write_report", lambda run: None)
    result = archscout(*arguments(words, tiny, tmp_path / "run"), "--trials", 2, *form)
    assert result.code == 2
    assert "is within the limits and has a finite score; the reasons are in" in result.err
    if form:
        found = json.loads(result.out)
        assert found["best"] is None and found["proposals"] == 2


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--max", "parameters=10"], "max_parameters is 10, the smallest parameters seen is "),
        (["--max", "parameters=many"], "max_parameters is 'many'; a positive number is accepted"),
        (["--max", "latency=-5ms"], "max_latency is '-5ms'"),
        (["--max", "memory=0"], "max_memory is '0'"),
        (["--trials", "0"], "trials is 0; a positive whole number is accepted"),
        (["--sampler", "nsga2:1"], "population_size is 1"),
        (["--sampler", "luck"], "unknown sampler 'luck'; accepted: nsga2, random, tpe"),
        (["-m", "hidden_covarianc"], "unknown metric 'hidden_covarianc'; did you mean"),
        (["-m", "latency:up"], "direction 'up'; accepted: min, max"),
        (["-m", "hidden_covariance[1]"], "each may stand once"),
        (["--model-size", "huge"], "unknown scale 'huge'"),
        (["--size", "num_layers=0"], "num_layers is 0"),
        (["--include", "none.json"], "no architecture 'none.json': it is no file"),
        (["--include", "bert-mini"], "no architecture 'bert-mini': it is no file"),
        (["--storage", "nonsense"], "study database at the given address"),
        (["--storage", "sqlite:////no/such/my.db"], "unable to open database file"),
    ],
)
def test_a_mistake_is_one_message_and_leaves_no_folder(
    more: list[str],
    complaint: str,
    archscout: Program,
    words: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
) -> None:
    result = archscout(*arguments(words, tiny, tmp_path / "run"), *more)
    assert complaint in complaint_of(result)
    assert list(tmp_path.iterdir()) == []


def test_an_out_that_is_a_file_is_named(
    archscout: Program, words: Path, tiny: tuple[str, ...]
) -> None:
    for out in (words, words / "below"):
        message = complaint_of(archscout(*arguments(words, tiny, out)))
        assert "is a file; --out takes a folder" in message


def test_a_corrupt_database_is_one_message(
    archscout: Program,
    words: Path,
    tiny: tuple[str, ...],
    finished: tuple[Path, str],
    tmp_path: Path,
) -> None:
    run = tmp_path / "run"
    shutil.copytree(finished[0], run)
    (run / "study.jsonl").write_bytes(b"garbage " * 500)
    command = arguments(words, tiny, run)
    for result in (
        archscout(*command, "--resume"),
        archscout("report", run),
        archscout("export", run, "--out", tmp_path / "model"),
    ):
        assert "study.jsonl: line 1 is damaged" in complaint_of(result)


# report


def test_a_report_can_be_made_again(
    archscout: Program, finished: tuple[Path, str], tmp_path: Path
) -> None:
    result = archscout("report", finished[0], "--out", tmp_path / "page.html")
    assert result.code == 0 and result.out == f"{tmp_path / 'page.html'}\n"
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert Run(finished[0]).best.fingerprint in page


def test_a_report_of_no_run_is_one_message(archscout: Program, words: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none"):
        assert "holds no run (run.json is missing)" in complaint_of(archscout("report", path))
    assert "is a file; a run is a folder" in complaint_of(archscout("report", words))


def test_a_report_into_a_place_that_cannot_be_written_is_one_message(
    archscout: Program, finished: tuple[Path, str], words: Path
) -> None:
    complaint_of(archscout("report", finished[0], "--out", words / "page.html"))


# export


def test_a_run_is_exported_by_rank(
    archscout: Program, finished: tuple[Path, str], tmp_path: Path
) -> None:
    run = Run(finished[0])
    for rank in (1, 2):
        out = tmp_path / str(rank)
        result = archscout("export", finished[0], "--out", out, "--rank", rank)
        assert result.code == 0 and result.out == f"{out}\n"
        genotype = json.loads((out / "genotype.json").read_text())
        assert SPACE.fingerprint(SPACE.parse(genotype)) == run.candidate(rank).fingerprint
    weights = [
        (path / "model.safetensors").read_bytes()
        for path in (tmp_path / "1", finished[0] / "model")
    ]
    assert weights[0] == weights[1]


def test_an_architecture_is_exported_at_the_size_asked_for(
    archscout: Program, words: Path, tmp_path: Path, tiny: tuple[str, ...]
) -> None:
    sizes = ("--size", "embedding_size=6", "--size", "hidden_size=7", "--size", "num_layers=2")
    result = archscout("export", "gru", "--text", words, *sizes, "--out", tmp_path / "model")
    assert result.code == 0
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert (config["embedding_size"], config["hidden_size"]) == (6, 7)
    assert (config["num_hidden_layers"], config["vocab_size"]) == (2, 42)  # 41 and `<unk>`


def test_a_folder_hides_a_named_architecture_only_if_it_holds_a_run(
    archscout: Program,
    finished: tuple[Path, str],
    words: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def exported(out: str, *more: Any) -> str:
        assert archscout("export", "lstm", "--out", out, *more).code == 0
        genotype = json.loads(Path(out, "genotype.json").read_text())
        return SPACE.fingerprint(SPACE.parse(genotype))

    monkeypatch.chdir(tmp_path)
    Path("lstm").mkdir()
    assert exported("named", "--text", words) == SPACE.fingerprint(SPACE.named["lstm"])
    assert "lstm holds no run" in complaint_of(archscout("export", "./lstm", "--out", "model"))
    Path("lstm").rmdir()
    shutil.copytree(finished[0], "lstm")
    assert exported("found") == Run(finished[0]).best.fingerprint


def test_the_first_of_several_architectures_is_exported_and_that_is_said(
    archscout: Program, finished: tuple[Path, str], words: Path, tmp_path: Path
) -> None:
    recipes = [SPACE.to_dict(SPACE.named[name]) for name in ("gru", "lstm")]
    (tmp_path / "cells.json").write_text(json.dumps(recipes))
    out = tmp_path / "model"
    result = archscout("export", tmp_path / "cells.json", "--text", words, "--out", out)
    assert result.code == 0
    assert "holds 2 architectures; exporting the first" in " ".join(result.err.split())
    assert SPACE.parse(json.loads((out / "genotype.json").read_text())) == SPACE.named["gru"]


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (["--rank", "0"], "rank is 0; "),
        (["--rank", "99"], "rank is 99; "),
        (["--size", "paper"], "a run knows its space, text and sizes"),
        (["--text", "python-docs"], "a run knows its space, text and sizes"),
        (["--size", "hidden_size=5"], "a run knows its space, text and sizes"),
        (["--space", "gpt"], "a run knows its space, text and sizes"),
    ],
)
def test_a_mistake_in_exporting_a_run_is_one_message(
    more: list[str], complaint: str, archscout: Program, finished: tuple[Path, str], tmp_path: Path
) -> None:
    result = archscout("export", finished[0], "--out", tmp_path / "model", *more)
    assert complaint in complaint_of(result)
    assert list(tmp_path.iterdir()) == []


def test_a_mistake_in_exporting_an_architecture_is_one_message(
    archscout: Program, words: Path, tmp_path: Path
) -> None:
    def message(*more: Any) -> str:
        return complaint_of(archscout("export", *more, "--text", words))

    out = tmp_path / "model"
    assert "no architecture 'lsmt'" in message("lsmt", "--out", out)
    assert "hidden_size is 0" in message("lstm", "--out", out, "--size", "hidden_size=0")
    said = "--rank 3 is of a run's ranking; lstm is no run"
    assert said in message("lstm", "--out", out, "--rank", 3)
    assert "holds no run" in message(tmp_path, "--out", out).replace("knows its", "holds no run")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "letter.txt").write_text("dear")
    assert "is there already" in message("lstm", "--out", tmp_path)
    assert "holds no run" in complaint_of(archscout("export", tmp_path, "--out", out))


# search --budget

RECIPE = ("epochs=1", "batch_size=4", "evaluation_batch_size=2", "sequence_length=8")
TRAINED = tuple(word for setting in RECIPE for word in ("--set", setting))


@pytest.mark.slow
def test_a_budget_ends_with_a_trained_winner(
    archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    command = (*arguments(words, tiny, out), "--budget", 2, *TRAINED[2:], "--set", "epochs=3")
    result = archscout(*command)
    assert result.code == 0 and result.err == ""
    promotion = load_promotion(out)
    assert promotion is not None
    winner = promotion.winner.fingerprint
    text = " ".join(result.out.split())
    assert f"The winner is {promotion.winner.title}, rank" in text
    assert all(each.fingerprint in result.out for each in promotion.candidates)
    assert re.search("Named architectures: .*rnn .*(won|left)", text)
    genotype = json.loads((out / "model" / "genotype.json").read_text())
    assert SPACE.fingerprint(SPACE.parse(genotype)) == winner and genotype["trained"]
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '<section id="promoted">' in page and "part of a full training" in page
    weights = (out / "model" / "model.safetensors").read_bytes()
    # Without it the trained model stays; with it nothing is trained again.
    assert archscout(*arguments(words, tiny, out), "--resume").code == 0
    assert (out / "model" / "model.safetensors").read_bytes() == weights
    again = json.loads(archscout(*command, "--resume", "--json").out)["promoted"]
    assert again == promotion.model_dump()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--budget", "0.5"], "the budget is 0.5 full trainings; the least is 1, one candidate"),
        (["--budget", "soon"], "budget 'soon'; accepted is a number of full trainings, such as 4"),
        (["--budget", "2", "--prove", "0"], "--prove is 0; a positive whole number is accepted"),
        (["--budget", "2", "--preset", "slow"], "unknown preset 'slow'; accepted: "),
        (["--budget", "2", "--set", "epochs=few"], "training setting epochs is 'few'"),
        (["--budget", "2", "--set", "epochs"], "accepted is NAME=VALUE"),
        (["--budget", "2", "--workers", "0"], "0 workers; accepted is a whole number"),
        (["--prove", "2"], "--prove is about training, and without --budget nothing is trained"),
        (["--set", "epochs=2"], "--set is about training, and without --budget nothing is"),
        (["--train-top", "2"], "use --budget NUMBER, and --prove SEEDS to see whether it pays"),
        (["--budget", "2", "--set", "epoch=2"], "training setting epoch is '2': there"),
        (["--preset", "quick"], "--preset is about training, and without --budget nothing is"),
    ],
)
def test_a_budget_that_cannot_be_spent_is_refused_before_the_search(
    archscout: Program,
    words: Path,
    tiny: tuple[str, ...],
    tmp_path: Path,
    given: list[str],
    message: str,
) -> None:
    result = archscout(*arguments(words, tiny, tmp_path / "run"), *given)
    assert result.code == 2 and message in " ".join(result.err.split())
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_budget_is_proved_over_seeds(
    archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path, width: int
) -> None:
    out = tmp_path / "run"
    command = (*arguments(words, tiny, out), "--budget", 1, *TRAINED[2:], "--set", "epochs=3")
    result = archscout(*command, "--prove", 1)
    assert result.code == 0 and result.err == ""
    proof = load_proof(out)
    assert proof is not None and proof.seeds == [0]
    text = " ".join(result.out.split())
    assert "For 1 full training the search finds a test perplexity of" in text
    for name in proof.strategies:
        assert name in result.out
    page = (out / "report.html").read_text(encoding="utf-8")
    assert '<section id="proof">' in page and "Did it pay?" in page
    again = json.loads(archscout(*command, "--prove", 1, "--resume", "--json").out)
    assert again["proof"] == json.loads(proof.model_dump_json())


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
@pytest.mark.parametrize("name", ["SIGINT", "SIGKILL"])
def test_trainings_that_are_stopped_go_on(
    name: str, archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    out = tmp_path / "run"
    longer = ("epochs=8", "patience=8", *RECIPE[1:])
    recipe = [word for setting in longer for word in ("--set", setting)]
    command = [*map(str, arguments(words, tiny, out)), "--budget", "1", *recipe]
    with subprocess.Popen(
        [sys.executable, "-m", "archscout.cli.main", *command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        deadline = time.monotonic() + 60
        while not list(out.glob("promoted/trainings/*/checkpoints/*.safetensors")):
            assert time.monotonic() < deadline and process.poll() is None
            time.sleep(0.05)
        process.send_signal(getattr(signal, name))
        _, printed = process.communicate(timeout=60)
    if name == "SIGINT":
        assert process.returncode == 130
        assert printed.startswith(f"Stopped; what was scored and trained is in {out}. Go on with:")
        assert shlex.join([*command, "--resume"]) in printed
    assert not (out / "promoted.json").exists()
    result = archscout(*command, "--resume")
    assert result.code == 0 and result.err == ""
    promotion = load_promotion(out)
    assert promotion is not None and promotion.winner.reached == 1


def test_a_metric_of_a_file_is_searched_by_and_resumed(
    archscout: Program, words: Path, tiny: tuple[str, ...], tmp_path: Path
) -> None:
    (tmp_path / "own.py").write_text(
        "import archscout\n\n\n"
        "@archscout.metric(needs={'hidden_states'}, larger_is_better=True, kind='other')\n"
        "def size_of_a_file(trace):\n"
        "    'Mean magnitude of the first layer.'\n"
        "    return trace.hidden_states[0].abs().mean().item()\n"
    )
    command = (
        *("search", "rnn", "--text", words, *tiny, "--metric-file", tmp_path / "own.py"),
        *("--metrics", "size_of_a_file", "--sampler", "random", "--out", tmp_path / "run"),
    )
    assert archscout(*command, "--trials", 3).code == 0
    stored = json.loads((tmp_path / "run" / "run.json").read_text())["settings"]
    assert stored["metric_files"] == [str(tmp_path / "own.py")]
    assert archscout(*command, "--trials", 4, "--resume").code == 0
    assert len(Run(tmp_path / "run").trials) == 4
