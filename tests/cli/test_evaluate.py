"""`archscout evaluate` as a user meets it."""

import json
import shutil

import pytest

import made_up


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return str(made_up.recurrent_data(tmp_path_factory.mktemp("data"), count=8))


pytestmark = pytest.mark.usefixtures("plain_pictures")
SMALL = ("--size", "batch_size=4", "--size", "sequence_length=12")


def run(archscout, data, tmp_path, *arguments):
    return archscout(
        *("evaluate", "nas-bench-nlp", "--data-dir", data, "--out", str(tmp_path / "out")),
        *("--metrics", "hidden_covariance", "--resamples", "50", *SMALL, *arguments),
    )


@pytest.fixture(scope="module")
def whole(called, data, tmp_path_factory):
    """A folder that tests only read, and what was printed."""
    folder = tmp_path_factory.mktemp("whole")
    return folder / "out", run(called, data, folder, "--json")


def test_a_table_a_page_and_what_the_data_is(archscout, data, tmp_path):
    result = run(archscout, data, tmp_path)
    assert result.code == 0
    assert "hidden_covariance[1]" in result.out
    assert "Modified data: train_logs_wikitext-2/logs.zip" in result.err
    assert (tmp_path / "out" / "index.html").exists()


def test_json_has_every_statistic(whole):
    rows = {row["metric"]: row for row in json.loads(whole[1].out)}
    assert rows["hidden_covariance[1]"]["n"] == 7
    low, value, high = (rows["parameters"][f"kendall{end}"] for end in ("_low", "", "_high"))
    assert low <= value <= high


def test_resuming_scores_nothing_twice(archscout, data, whole, tmp_path):
    shutil.copytree(whole[0], tmp_path / "out")
    refused = run(archscout, data, tmp_path)
    assert refused.code == 2
    assert "--resume" in refused.err
    again = run(archscout, data, tmp_path, "--json", "--resume")
    assert json.loads(again.out) == json.loads(whole[1].out)
    scores = [(folder / "scores.jsonl").read_bytes() for folder in (whole[0], tmp_path / "out")]
    assert scores[0] == scores[1]


def test_an_ablation_takes_ten_draws(archscout, data, tmp_path):
    result = run(archscout, data, tmp_path, "--ablate", "initialisation")
    assert result.code == 0
    assert len((tmp_path / "out" / "scores.jsonl").read_text().splitlines()) == 80
    assert (tmp_path / "out" / "reliability.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--dataset", "ptb2"), "no dataset 'ptb2'; accepted are wikitext-2, ptb"),
        (("--metrics", "hiden_covariance"), "did you mean hidden_covariance"),
        (("--seeds", "0"), "seeds is 0"),
        (("--ablate", "weights"), "'weights'"),
        (("--size", "reading=trained"), "reading"),
        (("--data-dir", "nowhere"), "archscout data"),
        (("--limit", "2"), "at least 3"),
        (("--resamples", "0"), "resamples is 0"),
        (("--metric-file", "nothing.py"), "nothing.py"),
    ],
)
def test_mistakes_are_one_message(archscout, data, tmp_path, arguments, message):
    result = run(archscout, data, tmp_path, *arguments)
    assert result.code == 2
    assert message in result.err.replace("\n", " ")
    assert "Traceback" not in result.err
    assert not (tmp_path / "out").exists()


def test_an_unknown_benchmark(archscout):
    result = archscout("evaluate", "nas-bench-x")
    assert result.code == 2
    assert "accepted are nas-bench-nlp, nas-bench-bert" in result.err.replace("\n", " ")


def test_one_draw_cannot_be_ablated(archscout):
    asked = ("evaluate", "archscout-mini-rnn", "--ablate", "minibatch", "--minibatches", 1)
    refused = archscout(*asked)
    assert refused.code == 2 and "--minibatches 1 beside --ablate" in refused.err
