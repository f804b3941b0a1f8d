"""`archscout discover` as a user meets it."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

from archscout.metric_search import breeding

pytestmark = pytest.mark.usefixtures("plain_pictures")


def run(archscout, tiny, tmp_path, *arguments):
    return archscout(
        *("discover", "archscout-mini-rnn", "--out", str(tmp_path / "out"), *tiny),
        *("--size", "num_layers=1", "--generations", "1", "--population-size", "4"),
        *("--candidates", "2"),
        *("--quantities", "hidden_states,parameters", "--resamples", "50", *arguments),
    )


@pytest.fixture(scope="module")
def whole(called, tiny, tmp_path_factory):
    """A folder that tests only read, and what was printed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder / "out", run(called, tiny, folder, "--json")


def test_a_table_a_verdict_and_a_page(archscout, whole, tiny, tmp_path):
    shutil.copytree(whole[0], tmp_path / "out")
    (tmp_path / "out" / "index.html").unlink()
    result = run(archscout, tiny, tmp_path, "--against", "l2_norm, parameters", "--resume")
    assert result.code == 0
    assert result.lines[0].startswith("formula:")
    for text in ("breeding", "choosing", "judging", "the formula", "l2_norm", "parameters"):
        assert text in result.out
    assert result.lines[-1].startswith("On the third part the formula is")
    assert (tmp_path / "out" / "index.html").exists()
    assert (tmp_path / "out" / "formulas.csv").exists()


def test_json_resumed_is_the_same(archscout, whole, tiny, tmp_path):
    first = whole[1]
    shutil.copytree(whole[0], tmp_path / "out")
    refused = run(archscout, tiny, tmp_path)
    assert refused.code == 2
    assert "--resume" in refused.err
    again = run(archscout, tiny, tmp_path, "--json", "--resume")
    document = json.loads(first.out)
    assert document == json.loads(again.out)
    assert document["metric"] in {entry["metric"] for entry in document["candidates"]}
    parts = {row["part"]: row["n"] for row in document["judgement"]}
    assert list(parts) == ["breeding", "choosing", "judging"]
    assert sum(parts.values()) > 100
    scored = archscout("score", "rnn", "lstm", "--metrics", document["metric"], "--json")
    assert document["metric"] in json.loads(scored.out)["scores"]


def test_ctrl_c_says_how_to_go_on(archscout, whole, tiny, tmp_path, monkeypatch):
    rate = breeding.rate
    rated = []

    def interrupt(*arguments):
        rated.append(arguments)
        if len(rated) == 6:
            raise KeyboardInterrupt
        return rate(*arguments)

    monkeypatch.setattr(breeding, "rate", interrupt)
    stopped = run(archscout, tiny, tmp_path, "--json")
    assert stopped.code == 130
    assert "Stopped; what was bred is in" in stopped.err
    assert "--resume" in stopped.err
    monkeypatch.undo()
    again = run(archscout, tiny, tmp_path, "--json", "--resume")
    assert json.loads(again.out) == json.loads(whole[1].out)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--generations", "0"), "generations is 0"),
        (("--shares", "0.5/0.5"), "shares are 0.5/0.5; accepted are three"),
        (("--shares", "half"), "shares are 'half'; accepted are three"),
        (("--shares", "0.98/0.01/0.01"), "at least 10 are accepted"),
        (("--quantities", "weihgts"), "unknown quantity 'weihgts'"),
        (("--against", "hiden_covariance"), "did you mean hidden_covariance"),
        (("--against", "formula:sum(l1(weigts))"), "character 8: unknown quantity 'weigts'"),
        (("--penalty", "2"), "penalty is 2"),
        (("--dataset", "ptb"), "ptb"),
        (("--size", "reading=trained"), "reading"),
    ],
)
def test_mistakes_are_one_message(archscout, tiny, tmp_path, arguments, message):
    result = run(archscout, tiny, tmp_path, *arguments)
    assert result.code == 2
    assert message in result.err.replace("\n", " ")
    assert "Traceback" not in result.err


def test_without_deap(archscout, tiny, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "deap", None)
    monkeypatch.delitem(sys.modules, "archscout.metric_search")
    result = run(archscout, tiny, tmp_path)
    assert result.code == 2
    assert "pip install 'archscout[discover]'" in result.err.replace("\n", " ")


def test_a_formula_where_metrics_are_named(archscout, tiny):
    name = "formula:sum(l1(weights * weight_gradients))"
    result = archscout("score", "rnn", "lstm", *tiny, "--metrics", f"{name},parameters", "--json")
    assert list(json.loads(result.out)["scores"]) == [name, "parameters"]
    refused = archscout("score", "rnn", "lstm", *tiny, "--metrics", "formula:sum(l1(weigts))")
    assert refused.code == 2
    assert "character 8: unknown quantity 'weigts'; did you mean weights" in refused.err.replace(
        "\n", " "
    )
