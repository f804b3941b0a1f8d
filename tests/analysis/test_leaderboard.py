"""The leaderboard: metrics of every benchmark at hand judged, timed, resumed, and shown."""

import dataclasses
import json
from contextlib import contextmanager

import numpy as np
import pandas as pd
import pytest

import made_up
from archscout import benchmarks
from archscout.analysis.combination import Combination
from archscout.analysis.leaderboard import Rules, make_leaderboard, making, timing
from archscout.analysis.leaderboard.at_hand import at_hand, scale_of
from archscout.analysis.leaderboard.page import _searches, write_leaderboard
from archscout.analysis.leaderboard.standings import BASELINES, standings, verdicts
from archscout.analysis.leaderboard.timing import REFERENCE, TIMINGS, milliseconds
from archscout.analysis.statistics import compare
from archscout.benchmarks import DataFolder
from archscout.errors import InputError
from archscout.metrics import available

METRICS = ["l2_norm", "hidden_covariance[1]"]
RULES = Rules(resamples=50, orders=20, timed=1)


@pytest.fixture(scope="module", autouse=True)
def tiny():
    """Leaderboards at a scale that takes no time, without counting operations."""

    def small(benchmark):
        return scale_of(benchmark).resized(batch_size=4, sequence_length=8)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(making, "scale_of", small)
        patch.setattr(making, "BASELINES", tuple(b for b in BASELINES if b != "flops"))
        yield


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    words = np.random.default_rng(0).integers(40, size=(40, 10))
    path = tmp_path_factory.mktemp("text") / "words.txt"
    path.write_text("\n".join(" ".join(f"w{word}" for word in line) for line in words))
    return path


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A benchmark of either space."""
    folder = made_up.recurrent_data(tmp_path_factory.mktemp("data"), count=9)
    data = DataFolder(made_up.encoder_data(folder, count=7))
    return [benchmarks.load(name, data) for name in ("nas-bench-nlp", "nas-bench-bert")]


@pytest.fixture(scope="module")
def held(two, text, tmp_path_factory):
    out = tmp_path_factory.mktemp("leaderboard") / "out"
    return make_leaderboard(out=out, benchmarks=two, text=text, metrics=METRICS, rules=RULES)


def without_times(records):
    return records.drop(columns=["milliseconds", "relative_cost"])


def test_small_benchmarks_are_always_at_hand_and_others_say_why_not(tmp_path):
    found, absent = at_hand(DataFolder(tmp_path))
    assert [benchmark.name for benchmark in found] == [
        "archscout-mini-rnn",
        "archscout-mini-flexibert",
        "archscout-mini-gpt",
    ]
    assert list(absent) == [
        *("nas-bench-nlp-wikitext-2", "nas-bench-nlp-ptb", "nas-bench-bert-glue"),
        *("lts-gpt2-wt103", "lts-gpt2-lm1b"),
    ]
    assert all("archscout data" in why for why in absent.values())


def test_published_benchmarks_take_part_where_their_files_are(tmp_path):
    data = made_up.encoder_data(made_up.recurrent_data(tmp_path))
    found, absent = at_hand(DataFolder(data))
    assert len(found) == 6 and list(absent) == ["lts-gpt2-wt103", "lts-gpt2-lm1b"]
    assert [getattr(scale_of(benchmark), "reading", None) for benchmark in found] == [
        *(None, "declared", None, None, None, "trained")
    ]


def test_each_benchmark_has_an_ordinary_evaluation(held):
    for done in held.rounds:
        folder = held.folder / f"{done.benchmark.name}-{done.benchmark.dataset}"
        assert done.evaluation.folder == folder
        rows = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
        assert len(rows) == len(done.benchmark)
        expected = done.evaluation.compare(resamples=50).table
        judged = done.standings.loc[expected.index, expected.columns]
        pd.testing.assert_frame_equal(judged, expected, check_names=False)


def test_gain_is_the_paired_test_against_parameters(held):
    done = held.rounds[0]
    test = done.comparison.test("l2_norm", "parameters")
    row = done.standings.loc["l2_norm"]
    assert (row["gain"], row["gain_low"], row["gain_high"], row["gain_p"]) == (
        *(test.difference, test.low, test.high, test.p_value),
    )
    assert np.isnan(done.standings.loc["parameters", "gain"])


def test_records_and_the_overall_table(held):
    records = held.records
    assert set(records["benchmark"]) == {"nas-bench-nlp", "nas-bench-bert"}
    overall = held.overall("pairs")
    row = records[(records["dataset"] == "glue") & (records["metric"] == "l2_norm")].iloc[0]
    assert overall.loc["l2_norm", "nas-bench-bert-glue"] == row["pairs"]


def test_size_baselines_take_part_unasked(held):
    known = available("other").keys() & set(making.BASELINES)
    assert "parameters" in known
    assert known <= set(held.rounds[0].standings.index)


def test_every_metric_has_its_time(held):
    for done in held.rounds:
        table = done.standings
        assert (table["milliseconds"] > 0).all()
        reference = REFERENCE[done.benchmark.space.kind]
        if reference in table.index:
            assert table.loc[reference, "relative_cost"] == 1
        else:  # timed all the same
            assert table["relative_cost"].notna().all()


def test_nothing_is_timed_twice(held):
    evaluation = held.rounds[0].evaluation
    path = evaluation.folder / TIMINGS
    before = path.read_bytes()
    first = milliseconds(evaluation, DataFolder(), 1)
    assert path.read_bytes() == before
    path.write_bytes(before[:-20])  # as a kill leaves it
    again = milliseconds(evaluation, DataFolder(), 1)
    assert first.drop(again.index[-1]).equals(again.drop(again.index[-1]))
    assert len(path.read_bytes().splitlines()) == len(before.splitlines())
    whole = path.read_bytes()
    milliseconds(evaluation, DataFolder(), 2)
    assert path.read_bytes().startswith(whole)
    assert len(path.read_bytes().splitlines()) == 2 * len(before.splitlines())


def test_damaged_timings_are_named(held):
    evaluation = held.rounds[1].evaluation
    path = evaluation.folder / TIMINGS
    whole = path.read_bytes()
    path.write_bytes(b"{?\n" + whole)
    try:
        with pytest.raises(InputError, match="line 1 is damaged"):
            milliseconds(evaluation, DataFolder(), 1)
    finally:
        path.write_bytes(whole)
    with pytest.raises(InputError, match="timed is 0"):
        milliseconds(evaluation, DataFolder(), 0)


@pytest.mark.parametrize("where", ["scoring", "timing", "judging"])
def test_a_resumed_leaderboard_equals_an_uninterrupted_one(held, two, text, tmp_path, where):
    @contextmanager
    def stopping(what):
        def progress(done, total):
            if done == min(2, total) and what == f"{where} nas-bench-bert-glue":
                raise KeyboardInterrupt

        yield progress

    arguments = {"out": tmp_path / "out", "text": text, "metrics": METRICS, "rules": RULES}
    with pytest.raises(KeyboardInterrupt):
        make_leaderboard(benchmarks=two, stage=stopping, **arguments)
    with pytest.raises(InputError, match="already holds a leaderboard; go on with it by --resume"):
        make_leaderboard(benchmarks=two, **arguments)
    again = make_leaderboard(benchmarks=two, resume=True, **arguments)
    pd.testing.assert_frame_equal(without_times(again.records), without_times(held.records))
    for ours, theirs in zip(again.rounds, held.rounds, strict=True):
        assert ours.searches.equals(theirs.searches)
        assert ours.redundancy.correlations.equals(theirs.redundancy.correlations)


def test_a_combination_is_judged_as_a_metric(two, text, tmp_path):
    def mean_rank(evaluation):
        return evaluation.scores[["l2_norm", "parameters"]].rank().mean(axis=1)

    combined = Combination(("l2_norm", "parameters"))
    done = make_leaderboard(
        out=tmp_path / "out",
        benchmarks=two[:1],
        text=text,
        metrics=["l2_norm"],
        combinations={"other": [combined, Combination(("fisher", "parameters"))]},
        rules=Rules([combined.name], timed=1, orders=20, resamples=50),
    ).rounds[0]
    assert not any("fisher" in name for name in done.standings.index)
    scores = done.evaluation.scores
    expected = compare(
        mean_rank(done.evaluation).to_frame("x"),
        done.benchmark.results["test_loss"].reindex(scores.index),
        result_larger_is_better=False,
        resamples=1,
    )
    assert done.standings.loc[combined.name, "kendall"] == expected.table.loc["x", "kendall"]
    assert np.isnan(done.standings.loc[combined.name, "milliseconds"])
    assert combined.name in set(done.searches["search"])
    assert combined.name in done.redundancy.correlations


def test_metrics_are_scored_where_they_are_defined(two, text, tmp_path):
    done = make_leaderboard(
        out=tmp_path / "out",
        benchmarks=two,
        text=text,
        metrics="softmax_confidence, jacobian_cosine",
        rules=RULES,
    )
    cells, encoders = (set(r.standings.index) for r in done.rounds)
    assert "softmax_confidence" in encoders - cells
    assert "jacobian_cosine" in encoders & cells


def test_a_formula_is_scored_on_networks_that_have_what_it_needs(two, text, tmp_path):
    formula = "formula:sum(mean(projections))"
    asked = {"text": text, "metrics": ["l2_norm", formula], "rules": RULES}
    done = make_leaderboard(out=tmp_path / "out", benchmarks=two, **asked)
    cells, encoders = (set(r.standings.index) for r in done.rounds)
    assert formula in encoders - cells
    with pytest.raises(InputError, match=r"formula:.* applies to the networks of no benchmark"):
        make_leaderboard(out=tmp_path / "cells", benchmarks=two[:1], **asked)


def test_a_network_at_which_processes_died_is_not_timed(two, text, tmp_path, monkeypatch):
    settings = {"out": tmp_path / "out", "benchmarks": two[:1], "text": text}
    settings |= {"metrics": METRICS, "rules": dataclasses.replace(RULES, timed=3)}
    folder = make_leaderboard(**settings).rounds[0].evaluation.folder
    (folder / timing.TIMINGS).unlink()
    *lost, last = map(json.loads, (folder / "scores.jsonl").read_text().splitlines())
    for line in lost:
        line["scores"] = dict.fromkeys(line["scores"])
    lines = [json.dumps(line) + "\n" for line in (*lost, last)]
    (folder / "scores.jsonl").write_text("".join(lines))
    timed = []
    monkeypatch.setattr(timing, "_timed", lambda s, m, each: timed.append(each) or [1.0])
    make_leaderboard(**settings, resume=True)
    alive = two[0].architectures[last["architecture"]]
    assert timed and all(each == alive for each in timed)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"metrics": ["l2_norm", "no_such"]}, "unknown metric 'no_such'"),
        ({"rules": Rules(searches=["zen"]), "metrics": METRICS}, "search 'zen' is by no metric"),
        (
            {"rules": Rules(searches=["hidden_covariance[9]"]), "metrics": ["hidden_covariance"]},
            r"search 'hidden_covariance\[9\]' is by no metric",
        ),
        ({"limit": 0}, "limit is 0"),
        ({"limit": 2}, "of 2 architectures . have a result; at least 3"),
        ({"text": "no such text"}, "no text"),
        ({"device": "no such device"}, "device 'no such device'"),
        ({"seed": -1}, "seed is -1"),
        ({"workers": 0}, "0 workers; accepted is"),
        ({"minibatches": 10**4}, "minibatch"),
    ],
)
def test_bad_settings_claim_no_folder(two, text, tmp_path, settings, message):
    arguments = {"text": text, "metrics": ["l2_norm"], "rules": RULES} | settings
    benchmarks = two[:1] if "searches" in str(settings) else two
    with pytest.raises(InputError, match=message):
        make_leaderboard(out=tmp_path / "out", benchmarks=benchmarks, **arguments)
    assert not (tmp_path / "out").exists()


def test_a_folder_of_an_earlier_version_opens(two, text, tmp_path):
    (tmp_path / "contest.json").write_text("{}")
    with pytest.raises(InputError, match="already holds a leaderboard"):
        make_leaderboard(out=tmp_path, benchmarks=two, text=text, metrics=METRICS, rules=RULES)


def test_one_process_at_a_time_holds_a_leaderboard(two, text, tmp_path):
    refused = []

    @contextmanager
    def again(what):
        if not refused:
            with pytest.raises(InputError, match="another process writes to") as error:
                make_leaderboard(benchmarks=two[:1], resume=True, **arguments)
            refused.append(error)
        yield lambda done, total: None

    arguments = {"out": tmp_path / "out", "text": text, "metrics": METRICS, "rules": RULES}
    make_leaderboard(benchmarks=two[:1], stage=again, **arguments)
    assert refused


def test_a_search_that_a_benchmark_cannot_make_is_told(two, text, tmp_path):
    done = make_leaderboard(
        out=tmp_path / "out",
        benchmarks=two,
        text=text,
        metrics=["softmax_confidence", "l2_norm"],
        rules=Rules(["softmax_confidence", "l2_norm"], timed=1, orders=20, resamples=20),
    )
    assert [list(judged.left_out) for judged in done.rounds] == [["softmax_confidence"], []]
    assert "softmax_confidence" in set(done.rounds[1].searches["search"])
    section = _searches(done, done.rounds[0])
    assert list(section.remarks) == [
        "No search by `softmax_confidence`: these networks have no scores of it."
    ]


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ({"timed": 0}, "timed is 0"),
        ({"orders": -1}, "orders is -1"),
        ({"resamples": 0}, "resamples is 0"),
    ],
)
def test_bad_rules(rules, message):
    with pytest.raises(InputError, match=message):
        Rules(**rules)


def test_a_folder_of_other_files_is_left_alone(two, tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(InputError, match=r"not empty \(thesis.txt\) and holds no leaderboard"):
        make_leaderboard(out=tmp_path, benchmarks=two)


def made_up_comparison():
    rng = np.random.default_rng(0)
    result = pd.Series(rng.normal(size=200)).rename(index=str)
    scores = pd.DataFrame(
        {
            "good": result + 0.2 * rng.normal(size=200),
            "middling": result + rng.normal(size=200),
            "parameters": result + 2 * rng.normal(size=200),
            "depth": result + 0.6 * rng.normal(size=200),
            "width": 1.0,
            "poor": rng.normal(size=200),
        }
    ).set_index(result.index)
    return scores, result


def test_the_table_says_which_baselines_are_beaten():
    scores, result = made_up_comparison()
    table = standings(
        compare(scores, result, resamples=200), {}, pd.Series({"good": 6.0, "poor": 3.0}), "poor"
    )
    assert list(table.index[:3]) == ["good", "depth", "middling"]
    beaten = table[["beats", "does_not_beat"]].agg(tuple, axis=1)
    assert beaten["good"] == ("parameters, depth", "")  # a constant baseline is none
    assert beaten["middling"] == ("parameters", "depth")
    assert beaten["poor"] == ("", "parameters, depth")
    assert beaten["width"] == ("", "")
    words = dict(zip(table.index, verdicts(table), strict=True))
    assert words["good"] == "all 2"
    assert words["middling"] == "parameters; does not beat depth"
    assert words["poor"] == "does not beat any of 2"
    assert words["parameters"] == "(a baseline)"
    assert words["width"] == "(a baseline)"
    assert words["depth"] == "parameters"
    assert table.loc["good", "relative_cost"] == 2
    assert np.isnan(table.loc["middling", "milliseconds"])


@pytest.mark.parametrize(
    ("beats", "does_not_beat", "words"),
    [
        ("parameters", "", "parameters"),
        ("", "parameters", "does not beat parameters"),
        ("parameters, depth", "width", "2 of 3; does not beat width"),
        ("depth", "parameters, width", "depth; does not beat parameters, width"),
        ("", "", "–"),
    ],
)
def test_verdicts_are_short(beats, does_not_beat, words):
    row = {"beats": beats, "does_not_beat": does_not_beat}
    assert list(verdicts(pd.DataFrame([row], index=["metric"]))) == [words]


def test_a_metric_that_some_lack_is_tested_where_it_is():
    scores, result = made_up_comparison()
    scores.loc[scores.index[:80], "good"] = np.nan
    whole = compare(scores, result, resamples=200)
    part = compare(scores.iloc[80:], result.iloc[80:], resamples=200)
    table = standings(whole, {"good": part}, pd.Series(dtype=float), "poor")
    assert table.loc["good", "n"] == 120
    assert table.loc["good", "gain"] == pytest.approx(whole.test("good", "parameters").difference)
    assert table.loc["good", "gain_low"] == part.test("good", "parameters").low
    assert table.loc["good", "beats"] == "parameters, depth"
    scores.loc[scores.index[80:], "depth"] = 1.0  # where the metric is, it says nothing
    whole, part = (compare(scores[i:], result[i:], resamples=200) for i in (0, 80))
    table = standings(whole, {"good": part}, pd.Series(dtype=float), "poor")
    assert table.loc["good", "beats"] == "parameters"
    assert table.loc["good", "does_not_beat"] == ""


def test_a_layer_that_some_encoders_lack(two, text, tmp_path):
    encoders = two[1]
    shallow = sum(len(encoder.layers) == 2 for encoder in encoders.architectures.values())
    assert 0 < shallow <= 4
    done = make_leaderboard(
        out=tmp_path / "out",
        benchmarks=[encoders],
        text=text,
        metrics=["hidden_covariance"],
        rules=RULES,
    )
    row = done.rounds[0].standings.loc["hidden_covariance[4]"]
    assert row["n"] == 7 - shallow
    assert row["gain"] == pytest.approx(
        done.rounds[0].comparison.test("hidden_covariance[4]", "parameters").difference
    )


@pytest.mark.parametrize("limit", [3, 4])
def test_hardly_any_architectures_have_a_page(two, text, tmp_path, limit):
    done = make_leaderboard(
        out=tmp_path / "out", benchmarks=two[1:], text=text, metrics="l2_norm", rules=RULES,
        limit=limit,
    )  # fmt: skip
    page = write_leaderboard(done).read_text()
    assert "This figure is missing" not in page
    assert "There is no picture of searches that train 5: fewer architectures were scored" in page
    assert (tmp_path / "out" / "nas-bench-bert-glue-searches.png").exists()


def test_what_metrics_say_beyond_size_stands_where_size_says_most(two, text, tmp_path):
    cells, encoders = two
    sized = cells.results.assign(size=np.arange(1.0, len(cells.results) + 1))
    done = make_leaderboard(
        out=tmp_path / "out",
        benchmarks=[dataclasses.replace(cells, results=sized, size="size"), encoders],
        text=text,
        metrics="l2_norm",
        rules=RULES,
    )
    write_leaderboard(done)
    report = (tmp_path / "out" / "report.md").read_text()
    assert "## nas-bench-nlp-wikitext-2: Beyond size" in report
    assert "nas-bench-bert-glue: Beyond size" not in report
    table = pd.read_csv(tmp_path / "out" / "nas-bench-nlp-wikitext-2-beyond-size.csv")
    assert {"size", "l2_norm", "parameters"} <= set(table["metric"])


@pytest.mark.slow
def test_the_page(held):
    page = write_leaderboard(held).read_text()
    assert "All metrics, all benchmarks" in page
    assert '<span class="group">nas-bench-bert-glue</span> Which metrics say the same' in page
    assert "This figure is missing" not in page
    assert page.count("plotly.js v") == 1
    report = (held.folder / "report.md").read_text()
    assert "## nas-bench-bert-glue: Which metrics say the same" in report
    assert "Frobenius norm" in report
    assert 'href="nas-bench-nlp-wikitext-2/index.html"' in page
    assert "1 network(s) failed in training" in page
    assert "Not at hand" not in page
    names = {path.name for path in held.folder.iterdir()}
    for ending in ("cost.png", "standings.csv", "redundancy.pdf", "clusters.csv", "searches.csv"):
        assert f"nas-bench-nlp-wikitext-2-{ending}" in names
    assert {"records.csv", "leaderboard.csv", "report.md", "leaderboard.json"} <= names
    assert (held.folder / "nas-bench-bert-glue" / "index.html").exists()
    written = pd.read_csv(held.folder / "records.csv")
    assert written["kendall"].to_numpy() == pytest.approx(
        held.records["kendall"].to_numpy(), nan_ok=True
    )
