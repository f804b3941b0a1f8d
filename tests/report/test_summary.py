"""The run in words, and the commands that go with it."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from archscout.cli.main import app
from archscout.report.findings import Findings
from archscout.report.numbers import number
from archscout.report.summary import commands, sentences
from archscout.runs import Run


def test_the_numbers_are_those_of_the_table(plain: Run) -> None:
    outcome, winner, time = sentences(Findings(plain))
    table = plain.table
    scored = int(table["front"].notna().sum())
    assert f"{len(plain.trials)} proposals gave {len(table)} distinct architectures" in outcome
    assert f": {scored} scored" in outcome
    best = plain.best
    score = number(best.scores["hidden_covariance"])
    assert f"The best, {best.fingerprint}, has a hidden_covariance of {score}" in winner
    assert f"{best.costs['parameters']:,} parameters" in winner
    assert "(median)" in time


def test_what_was_not_scored_is_counted(limited: Run, hopeless: Run) -> None:
    outside = int((~limited.table["within_limits"]).sum())
    assert f"{outside} outside the limits" in sentences(Findings(limited))[0]
    outcome, winner, _ = sentences(Findings(hopeless))
    assert f"0 scored and {len(hopeless.table)} without a finite score" in outcome
    assert "nothing to rank" in winner


def test_several_objectives_have_a_front(several: Run) -> None:
    winner = sentences(Findings(several))[1]
    members = len(several.front)
    assert winner.startswith(f"The best in hidden_covariance, {several.best.fingerprint}, has ")
    assert (
        f"front of hidden_covariance, activation_distance and memory holds {members} arch" in winner
    )


def test_one_proposal_is_written_in_the_singular(single: Run) -> None:
    assert sentences(Findings(single))[0] == "1 proposal gave 1 distinct architecture: 1 scored."


def test_the_commands_do_what_they_say(
    find: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(find(trials=6, seed=3, vocabulary_size=60, minibatch_index=1))
    monkeypatch.chdir(tmp_path)
    runner = CliRunner()
    for purpose, line in commands(run, 2):
        program, *arguments = shlex.split(line)
        assert program == "archscout"
        if "metric" in purpose:
            arguments += ["--metrics", "hidden_covariance[1]", "--json"]
        result = runner.invoke(app, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.output
    score = json.loads(result.stdout)
    assert score["fingerprint"] == run.best.fingerprint
    assert score["scores"]["hidden_covariance[1]"] == run.best.scores["hidden_covariance"]
    exported = json.loads((tmp_path / "best" / "genotype.json").read_text(encoding="utf-8"))
    assert exported["space"] == "rnn"
    assert exported["architecture"] == run.space.to_dict(run.best.architecture)
    assert (tmp_path / "second").is_dir()


def test_nothing_is_offered_where_nothing_ranks(hopeless: Run) -> None:
    assert commands(hopeless, 0) == []
