"""`archscout leaderboard` as a user meets it."""

import json
from pathlib import Path

import pandas as pd
import pytest

from archscout.analysis.leaderboard import making
from archscout.cli.leaderboard import _blocks

pytestmark = pytest.mark.usefixtures("plain_pictures")
QUICK = (
    *("--metrics", "l2_norm,hidden_covariance[1]", "--limit", "8", "--timed", "1"),
    *("--orders", "20", "--resamples", "20"),
)


@pytest.fixture(autouse=True)
def tiny(monkeypatch):
    """Leaderboards at a scale that takes no time, without counting operations."""
    given = making.scale_of

    def small(benchmark):
        return given(benchmark).resized(batch_size=4, sequence_length=8)

    monkeypatch.setattr(making, "scale_of", small)
    monkeypatch.setattr(making, "BASELINES", ("parameters", "depth"))


def run(archscout, words, tmp_path, *arguments):
    return archscout(
        *("leaderboard", "--text", words, "--data-dir", tmp_path / "data"),
        *("--out", tmp_path / "out", *QUICK, *arguments),
    )


@pytest.mark.slow
def test_a_table_a_page_and_what_is_missing(archscout, words, tmp_path, monkeypatch):
    given = making.at_hand

    def one(folder):
        found, absent = given(folder)
        return found[:1], absent

    monkeypatch.setattr(making, "at_hand", one)
    result = run(archscout, words, tmp_path)
    assert result.code == 0
    for name in ("l2_norm", "hidden_covariance[1]", "parameters", "mini-rnn"):
        assert name in result.out.replace("\n", "")
    assert "Not at hand: nas-bench-bert-glue: " in result.err
    assert (tmp_path / "out" / "index.html").exists()
    assert (tmp_path / "out" / "archscout-mini-rnn-python-docs" / "index.html").exists()
    refused = run(archscout, words, tmp_path)
    assert refused.code == 2 and "--resume" in refused.err
    before = pd.read_csv(tmp_path / "out" / "records.csv")
    records = json.loads(run(archscout, words, tmp_path, "--json", "--resume").out)
    assert [row["metric"] for row in records] == list(before["metric"])
    for column in ("kendall", "pairs_low", "gain_p", "milliseconds"):
        resumed = pd.Series([row[column] for row in records], dtype=float)
        assert resumed.to_numpy() == pytest.approx(before[column].to_numpy(), nan_ok=True)


@pytest.mark.parametrize(
    ("room", "blocks"),
    [(100, [[0, 1, 2]]), (25, [[0, 1], [2]]), (1, [[0], [1], [2]])],
)
def test_benchmarks_share_a_table_as_far_as_the_line_has_room(room, blocks):
    assert _blocks([14, 10, 13], room) == blocks


def test_stopped_it_says_how_to_go_on(archscout, words, tmp_path, monkeypatch):
    def stop(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(making, "milliseconds", stop)
    result = run(archscout, words, tmp_path)
    assert result.code == 130
    assert f"what was scored and timed is in {tmp_path / 'out'}" in result.err
    assert "archscout leaderboard" in result.err and result.err.strip().endswith("--resume")
    scored = tmp_path / "out" / "archscout-mini-rnn-python-docs" / "scores.jsonl"
    assert len(scored.read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--timed", "0"), "timed is 0"),
        (("--orders", "0"), "orders is 0"),
        (("--limit", "2", "--text", "python-docs"), "at least 3 are accepted"),
        (("--metrics", "l2_nrm"), "did you mean l2_norm"),
        (("--metrics", "l2_norm", "--searches", "x"), "search 'x' is by no metric"),
    ],
)
def test_mistakes_are_one_message(archscout, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    result = archscout("leaderboard", *arguments)
    assert result.code == 2
    assert message in result.err.replace("\n", " ")
    assert "Traceback" not in result.err
    assert not list(Path.cwd().iterdir())


def test_what_was_an_option_of_evaluate_is_named(archscout):
    result = archscout("evaluate", "--all")
    assert result.code == 2
    assert "No such option: --all" in result.err and "archscout leaderboard" in result.err


def test_a_tokenizer_is_not_for_networks_of_all_kinds(archscout):
    refused = archscout("leaderboard", "--scoring", "tokenizer=x")
    assert refused.code == 2 and "accepted: split, vocabulary_size, objective" in refused.err
