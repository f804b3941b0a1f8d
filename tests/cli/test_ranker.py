"""`archscout ranker` as a user calls it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

import made_up
from archscout.cli.ranker_scoring import Scoring
from archscout.errors import InputError
from archscout.predictors import estimators

FEW_TREES = {"n_estimators": 5, "min_samples_leaf": 3}
FAST = ("--metrics", "parameters,l2_norm", "--text", "python-docs", "--resamples", 50)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made_up.recurrent_data(tmp_path_factory.mktemp("data"), count=33)


@pytest.fixture(scope="module")
def whole(called, data, tmp_path_factory):
    """A folder with a ranker and what it was fitted on, and what was printed."""
    folder = tmp_path_factory.mktemp("fitted")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(estimators, "_TREES", FEW_TREES)
        command = ("fit", "nas-bench-nlp", *FAST, "--out", "a.ranker", "--data-dir", data)
        done = called("ranker", *command)
    assert done.code == 0, done.err
    return folder, done


@pytest.fixture
def run(archscout, data, tmp_path, monkeypatch):
    """`archscout ranker` in a folder of its own, with few trees."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(estimators, "_TREES", FEW_TREES)
    return lambda command, *arguments: archscout(
        "ranker", command, *arguments, *(() if command == "score" else ("--data-dir", data))
    )


@pytest.fixture
def fitted(whole, tmp_path):
    """What was printed; the folder's files are here, to be changed."""
    shutil.copytree(whole[0], tmp_path, dirs_exist_ok=True)
    return whole[1]


def test_fit_judge_and_score(run, fitted, archscout, tmp_path):
    assert "32 labels of 32 architectures" in " ".join(fitted.out.split())
    assert "(chosen)" in fitted.out and "a.ranker" in fitted.out
    assert "Modified data: train_logs_wikitext-2/logs.zip" in fitted.err

    judged = run("judge", "a.ranker", "archscout-mini-rnn", "--resamples", 50, "--json")
    assert judged.code == 0, judged.err
    document = json.loads(judged.out)
    assert document["labels"] == [32, 32] and document["folds"] == 1
    assert {"ranker", *document["baselines"]} == {row["metric"] for row in document["statistics"]}

    ranked = run("score", "a.ranker", "lstm", "rnn", "gru", "rnn")
    assert ranked.code == 0, ranked.err
    lines = [json.loads(x) for x in run("score", "a.ranker", "lstm", "rnn", "rnn", "--json").lines]
    assert lines[1] == lines[2] and lines[0]["fingerprint"] != lines[1]["fingerprint"]
    assert sorted(line["rank"] for line in lines) in ([1, 1, 3], [1, 2, 2])
    assert {line["seen"] for line in lines} <= {True, False}


def test_folds_of_one_benchmark(run):
    command = ("judge", "nas-bench-nlp", "nas-bench-nlp:wikitext-2", *FAST, "--folds", 3)
    done = run(*command)
    assert done.code == 0, done.err
    assert "The ranker learned from 21 to 22 labels" in " ".join(done.out.split())
    assert "32 architectures are shared, and left out" in " ".join(done.out.split())
    assert "95 % interval" in done.out
    again = run(*command, "--resume", "--json")
    assert again.code == 0, again.err
    document = json.loads(again.out)
    assert (document["folds"], document["shared"]) == (3, 32)


def test_a_limit_leaves_so_many_architectures(run, tmp_path):
    command = ("fit", "nas-bench-nlp", *FAST, "--out", "b.ranker", "--json", "--limit")
    for limit in (24, 24):  # what is finished is not scored again
        done = run(*command, limit)
        assert done.code == 0, done.err
        assert json.loads(done.out)["labels"] == 23  # one of them has no result
        (scores,) = tmp_path.glob("evaluations/ranker/*/scores.jsonl")
        assert len(scores.read_bytes().splitlines()) == 24
    done = run(*command, 26, "--resume")
    assert json.loads(done.out)["labels"] == 25 and "to go on with" not in done.err
    assert len(scores.read_bytes().splitlines()) == 26
    other = run("fit", "archscout-mini-rnn", *FAST, "--out", "c.ranker", "--resume")
    assert "There are no scores of archscout-mini-rnn to go on with" in other.err


def test_scores_are_kept_and_gone_on_with(run, fitted, tmp_path):
    command = ("fit", "nas-bench-nlp", *FAST, "--out", "b.ranker")
    assert run(*command).code == 0  # what is finished is not scored again
    (scores,) = tmp_path.glob("evaluations/ranker/*/scores.jsonl")
    whole = scores.read_bytes()
    scores.write_bytes(whole[: whole.index(b"\n") + 1])
    refused = run(*command)
    assert refused.code == 2
    assert "--resume, or name another folder with --evaluations" in refused.err.replace("\n", " ")
    again = run(*command, "--resume", "--json")
    assert again.code == 0, again.err
    document = json.loads(again.out)
    assert document["labels"] == 32 and document["metrics"] == ["parameters", "l2_norm"]
    assert len(scores.read_bytes().splitlines()) == len(whole.splitlines())
    scores = ("score", "a.ranker", "lstm", "gru", "--evaluations", "scores", "--json")
    first = run(*scores)
    assert first.code == 0, first.err
    assert run(*scores, "--resume").out == first.out


def test_metrics_of_ones_own_are_features_by_default(run, tmp_path, monkeypatch):
    (tmp_path / "own.py").write_text(
        "from archscout import metric\n\n"
        '@metric(needs=("hidden_states",), larger_is_better=True)\n'
        "def my_own(trace):\n    return 1.0\n"
    )
    asked = []

    def evaluate(self, found, arguments):
        asked.append(arguments)
        raise InputError("enough")

    monkeypatch.setattr(Scoring, "_evaluate", evaluate)
    for command in (("fit", "nas-bench-nlp", "--out", "x"), ("judge", *2 * ("nas-bench-nlp",))):
        done = run(*command, "--metric-file", "own.py")
        assert "enough" in done.err
        assert {"my_own", "parameters"} <= set(asked.pop()["metrics"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("fit", "nas-bench-x", "--out", "x"), "unknown benchmark 'nas-bench-x'"),
        (("fit", "nas-bench-nlp:x", "--out", "x"), "no dataset 'x'"),
        (("fit", "nas-bench-nlp"), "Missing option '--out'"),
        (("fit", "nas-bench-nlp", "--out", "x", "--metrics", "l2norm"), "did you mean l2_norm"),
        (("judge", "none.ranker", "nas-bench-nlp"), "cannot read none.ranker"),
        (("judge", "a.ranker", "archscout-mini-flexibert"), "is for space rnn"),
        (("judge", "a.ranker", "archscout-mini-rnn", "--folds", 3), "--folds 3: a finished ranker"),
        (
            ("judge", "a.ranker", "archscout-mini-rnn", "--size", "hidden_size=9"),
            "--size hidden_size=9: a",
        ),
        (("judge", "a.ranker", "archscout-mini-rnn", "--seeds", 4), "--seeds 4: a finished"),
        (("judge", "a.ranker", "archscout-mini-rnn", "--seed", -1), "seed is -1"),
        (("judge", "a.ranker", "nas-bench-nlp"), "all 32 trained architectures of nas-bench-nlp"),
        (("fit", "nas-bench-nlp", "--out", "."), "cannot write .: it is a folder"),
        (("fit", "nas-bench-nlp", "nas-bench-nlp", "--out", "x"), "is given twice"),
        (("fit", "nas-bench-nlp", "archscout-mini-flexibert", "--out", "x"), "of one space"),
        (("judge", "a.ranker", "archscout-mini-rnn", "--text", "words.txt"), "SHA-256"),
        (("judge", "nas-bench-nlp", "nas-bench-nlp", *FAST, "--folds", 40), "folds is 40"),
        (
            ("judge", "a.ranker", "nas-bench-nlp:ptb", "--dataset", "wikitext-2"),
            "nas-bench-nlp:ptb and --dataset wikitext-2 contradict each other",
        ),
        (
            ("fit", "nas-bench-nlp:wikitext-2", "nas-bench-nlp", "--dataset", "ptb", "--out", "x"),
            "nas-bench-nlp:wikitext-2 and --dataset ptb contradict each other",
        ),
        (("score", "a.ranker", "lstn"), "did you mean lstm"),
        (("score", "a.ranker", "lstm", "--resume"), "name it with --evaluations"),
        (("score", "words.txt", "lstm"), "words.txt is no ranker, or damaged"),
    ],
)
def test_mistakes_are_one_message(run, request, tmp_path, arguments, message):
    if "a.ranker" in arguments:
        request.getfixturevalue("fitted")
    (tmp_path / "words.txt").write_text("one two three four\n" * 400)
    done = run(*arguments, *(("--resume",) if arguments[:2] == ("judge", "a.ranker") else ()))
    assert done.code == 2
    assert message in done.err.replace("\n", " ")
    if "a.ranker" not in arguments:
        assert not (tmp_path / "evaluations").exists()  # nothing was scored before it was said
    assert "Traceback" not in done.err and len(done.err.splitlines()) <= 2


@pytest.mark.slow
def test_ctrl_c_and_resume(tmp_path):
    command = [
        *(sys.executable, "-m", "archscout.cli.main", "ranker", "fit", "archscout-mini-rnn"),
        *("--metrics", "activation_distance", "--seeds", "20", "--out", str(tmp_path / "a.ranker")),
        *("--text", "python-docs", "--evaluations", str(tmp_path / "scores")),
    ]

    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 120
    while not list(tmp_path.glob("scores/*/scores.jsonl")):
        assert time.monotonic() < end and process.poll() is None
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGINT)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Go on with:" in said and "--resume" in said
    assert not (tmp_path / "a.ranker").exists()
