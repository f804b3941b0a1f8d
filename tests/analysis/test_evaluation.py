"""Metrics recomputed for a benchmark: stored at once, resumed, ranked over draws, compared."""

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from scipy import stats

import made_up
from archscout import benchmarks
from archscout.analysis import evaluation, evaluation_page
from archscout.analysis.combination import Combination
from archscout.analysis.evaluation import evaluate, prepare
from archscout.analysis.evaluation_folder import SCORES
from archscout.analysis.evaluation_page import summary, write_evaluation
from archscout.analysis.reliability import reliability
from archscout.benchmarks import DataFolder
from archscout.errors import InputError
from archscout.execution.lost import Lost
from archscout.metrics import available, request
from archscout.scoring import Scorer
from archscout.spaces import FlexibertSpace, RecurrentSpace

METRICS = ["hidden_covariance", "activation_distance"]
SMALL = RecurrentSpace.scales["fast"].resized(batch_size=4, sequence_length=12)
SMALL_ENCODERS = FlexibertSpace.scales["fast"].resized(batch_size=2, sequence_length=16)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return made_up.recurrent_data(tmp_path_factory.mktemp("data"), count=12)


@pytest.fixture(scope="module")
def cells(data):
    return benchmarks.load("nas-bench-nlp", DataFolder(data))


@pytest.fixture(scope="module")
def whole(cells, tmp_path_factory):
    """An evaluation that tests only read."""
    return evaluate(cells, out=tmp_path_factory.mktemp("whole"), metrics=["activation_distance"])


@pytest.fixture(scope="module")
def encoders(tmp_path_factory):
    return benchmarks.load(
        "nas-bench-bert", DataFolder(made_up.encoder_data(tmp_path_factory.mktemp("encoders")))
    )


@pytest.fixture
def dies(monkeypatch):
    """Lets processes die at one architecture."""

    def at(lost):
        def score(draws, task):
            if task[1] == lost:
                raise Lost("its worker died 2 times")
            return scored(draws, task)

        scored = evaluation._score
        monkeypatch.setattr(evaluation, "_score", score)

    return at


@pytest.fixture
def begun(whole, tmp_path):
    """A copy of its folder, which tests may change."""
    return shutil.copytree(whole.folder, tmp_path / "begun")


def rows(out):
    return [json.loads(line) for line in (out / SCORES).read_text().splitlines()]


def test_scores_are_those_of_the_scorer(cells, tmp_path):
    done = evaluate(cells, out=tmp_path, text="python-docs", metrics=METRICS, seed=3)
    scorer = Scorer("rnn", metrics=METRICS, seed=3)
    expected = scorer.score(cells.architectures["105"])
    ours = done.scores.loc["105"]
    assert list(done.metrics) == [
        *(f"hidden_covariance[{layer}]" for layer in (1, 2, 3)),
        "activation_distance",
        "parameters",
    ]
    for name in done.metrics[:-1]:
        assert ours[name] == expected[name]


def test_the_text_is_the_benchmarks_own_where_it_is_at_hand(data, cells, tmp_path):
    done = evaluate(cells, out=tmp_path / "none", data_dir=data, metrics=["parameters"], limit=3)
    assert done.settings.text == ("python-docs",)
    folder = tmp_path / "data" / "wikitext-2"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("one two three four\n" * 400)  # of a download that failed
    arguments = {"data_dir": tmp_path / "data", "metrics": ["parameters"], "limit": 3}
    assert evaluate(cells, out=tmp_path / "half", **arguments).settings.text == ("python-docs",)
    (folder / "test.txt").write_text("one two three four\n" * 400)
    assert evaluate(cells, out=tmp_path / "own", **arguments).settings.text == ("wikitext-2",)
    (folder / "test.txt").write_bytes(b"\0")
    with pytest.raises(InputError, match="is not text"):  # no other text is taken silently
        evaluate(cells, out=tmp_path / "damaged", **arguments)


def test_statistics_equal_an_independent_computation(cells, tmp_path):
    done = evaluate(cells, out=tmp_path, metrics=METRICS, scale=SMALL)
    table = summary(done.compare(resamples=50))
    losses = cells.results["test_loss"]
    trained = losses.dropna().index
    assert len(trained) == 11
    metric = done.scores.loc[trained, "hidden_covariance[1]"]
    tau = -stats.kendalltau(metric, losses[trained]).statistic
    assert table.loc["hidden_covariance[1]", "kendall"] == pytest.approx(tau)
    assert table.loc["hidden_covariance[1]", "n"] == 11


def test_nothing_scored_is_scored_again(cells, whole, begun):
    before = (begun / SCORES).read_bytes()
    with pytest.raises(InputError, match="already holds an evaluation; go on with it by --resume"):
        evaluate(cells, out=begun, metrics=["activation_distance"])
    again = evaluate(cells, out=begun, metrics=["activation_distance"], resume=True)
    assert (begun / SCORES).read_bytes() == before
    assert again.scores.equals(whole.scores)


def test_more_draws_can_be_added(cells, begun):
    first = (begun / SCORES).read_bytes()
    evaluate(cells, out=begun, metrics=["activation_distance"], seeds=2, resume=True)
    content = (begun / SCORES).read_bytes()
    assert content.startswith(first)
    assert len(rows(begun)) == 24


def test_fewer_draws_can_be_asked_for(cells, whole, begun):
    metrics = ["activation_distance"]
    evaluate(cells, out=begun, metrics=metrics, seeds=2, resume=True)
    stored = rows(begun)
    stored[-1]["scores"]["activation_distance"] = None
    (begun / SCORES).write_text("".join(json.dumps(row) + "\n" for row in stored))
    one = evaluate(cells, out=begun, metrics=metrics, resume=True)
    assert one.rows.equals(whole.rows)
    assert (one.problems, one.milliseconds) == (whole.problems, whole.milliseconds)


def test_another_setting_is_another_evaluation(cells, begun):
    with pytest.raises(InputError, match=r"begun with metrics .*name another folder"):
        evaluate(cells, out=begun, metrics=METRICS, resume=True)


def test_a_torn_line_is_scored_again(cells, whole, begun):
    path = begun / SCORES
    path.write_bytes(path.read_bytes()[:-30])
    again = evaluate(cells, out=begun, metrics=["activation_distance"], resume=True)
    assert again.scores.equals(whole.scores)
    assert len(rows(begun)) == 12


def test_a_damaged_line_is_named(cells, begun):
    path = begun / SCORES
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([lines[0], b"{?\n", *lines[2:]]))
    with pytest.raises(InputError, match="line 2 is damaged"):
        evaluate(cells, out=begun, metrics=["activation_distance"], resume=True)


@pytest.mark.slow
def test_a_killed_evaluation_goes_on(data, cells, tmp_path):
    command = [
        *(sys.executable, "-m", "archscout.cli.main", "evaluate", "nas-bench-nlp"),
        *("--text", "python-docs", "--data-dir", str(data), "--out", str(tmp_path / "out")),
        *("--seeds", "6", "--metrics", "activation_distance"),
    ]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    scores = tmp_path / "out" / SCORES
    deadline = time.monotonic() + 120
    while not (scores.exists() and scores.stat().st_size) and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert 0 < len(scores.read_bytes().splitlines()) < 72
    settings = {"text": "python-docs", "metrics": ["activation_distance"], "seeds": 6}
    resumed = evaluate(cells, out=tmp_path / "out", resume=True, **settings)
    fresh = evaluate(cells, out=tmp_path / "fresh", **settings)
    assert resumed.scores.equals(fresh.scores)


@pytest.mark.slow
def test_several_processes_give_the_same_rows(cells, tmp_path, monkeypatch):
    monkeypatch.setattr("archscout.execution.workers.WORTH_SECONDS", 0)
    draws = {"seeds": 2, "limit": 6}
    for workers in (1, 2):
        evaluate(cells, out=tmp_path / str(workers), metrics=METRICS, **draws, workers=workers)
    one, two = (
        [{k: v for k, v in row.items() if k != "seconds"} for row in rows(tmp_path / workers)]
        for workers in "12"
    )
    assert one == two


def test_scores_over_draws_are_mean_ranks(cells, tmp_path):
    draws = {"seeds": 2, "minibatches": 2, "scale": SMALL}
    done = evaluate(cells, out=tmp_path, metrics=["activation_distance"], **draws)
    ranks = [stats.rankdata(done.draw(draw)["activation_distance"]) for draw in done.settings.draws]
    assert len(ranks) == 4
    assert done.scores["activation_distance"].to_numpy() == pytest.approx(np.mean(ranks, axis=0))


def test_only_some_architectures(cells, tmp_path):
    done = evaluate(cells, out=tmp_path, metrics=["activation_distance"], limit=5, seed=1)
    assert len(done.scores) == 5
    assert len(rows(tmp_path)) == 5


def test_a_score_that_is_not_finite_ranks_last(whole):
    done = replace(whole, rows=whole.rows.copy())
    larger = done.larger_is_better["activation_distance"]
    already = done.problems.get("activation_distance", 0)
    done.rows.loc[4, "activation_distance"] = math.inf
    scores = done.draw(done.settings.draws[0])["activation_distance"]
    assert scores.rank(ascending=not larger, method="max").iloc[4] == 12
    assert done.problems["activation_distance"] == already + 1


def test_a_hundred_scores_and_more_bring_no_warning(whole):
    # pandas warns of a table that was filled column by column, which is an error here.
    layers = pd.DataFrame(1.0, whole.rows.index, [f"layered[{i}]" for i in range(150)])
    rows = pd.concat([whole.rows, layers], axis=1)
    larger = whole.larger_is_better | {f"layered[{i}]": i % 2 == 0 for i in range(150)}
    rows.loc[4, ["layered[0]", "layered[1]"]] = math.inf, -math.inf
    pair = Combination(("parameters", "activation_distance"))
    done = replace(whole, rows=rows, larger_is_better=larger, combinations=[pair])
    scores = done.scores
    assert scores.shape == (12, len(larger) + 1)
    assert scores["layered[0]"].iloc[4] == -math.inf and scores["layered[1]"].iloc[4] == math.inf


def test_a_formula_is_combined_where_no_metric_is_named(cells, tmp_path):
    formula = "formula:mean(l2(hidden_states))"
    combined = Combination((formula, "parameters"))
    prepared = prepare(cells, scale=SMALL, combinations=[combined], limit=3)
    assert [*available("other"), formula] == list(prepared.settings.metrics)
    done = prepared.run(tmp_path)
    assert done.scores[combined.name].notna().all()


def test_combinations_leave_the_settings_of_every_metric_alone(cells):
    combined = Combination(("linear_memory", "parameters"))
    assert prepare(cells, combinations=[combined]).settings == prepare(cells).settings


def test_a_combination_of_a_layer_that_no_network_has(cells):
    combined = Combination(("parameters", "hidden_covariance[9]"))
    with pytest.raises(InputError, match=r"there will be no scores of hidden_covariance\[9\]"):
        prepare(cells, combinations=[combined])


def test_what_will_be_scored_is_known_beforehand(cells):
    prepared = prepare(cells, metrics=["hidden_covariance", "l2_norm", "synflow"])
    for name in ("hidden_covariance", "hidden_covariance[3]", "l2_norm", "parameters"):
        assert prepared.will_score(name)
    for name in ("hidden_covariance[4]", "zen", "softmax_confidence", "no_such"):
        assert not prepared.will_score(name)
    alone = prepare(cells, metrics=["hidden_covariance[2]"])
    assert alone.will_score("hidden_covariance[2]")
    assert not alone.will_score("hidden_covariance[3]")


@pytest.mark.parametrize("metric", ["hidden_covariance", "hidden_covariance[4]"])
def test_a_layer_that_a_network_lacks_is_no_score(encoders, tmp_path, metric):
    shallow = sum(len(encoder.layers) == 2 for encoder in encoders.architectures.values())
    assert 0 < shallow < 6
    done = evaluate(encoders, out=tmp_path / "out", metrics=[metric], scale=SMALL_ENCODERS)
    assert done.scores["hidden_covariance[4]"].isna().sum() == shallow
    assert done.problems == {}
    table = done.compare(resamples=20).table
    assert table.loc["hidden_covariance[4]", "n"] == 6 - shallow


def test_a_layer_that_every_network_lacks_has_no_statistics(encoders, tmp_path):
    metrics = ["hidden_covariance[9]", "l2_norm"]
    done = evaluate(encoders, out=tmp_path, metrics=metrics, scale=SMALL_ENCODERS)
    assert done.scores["hidden_covariance[9]"].isna().all()
    comparison = done.compare(resamples=20)
    problem = comparison.table.loc["hidden_covariance[9]", "problem"]
    assert problem == "fewer than 3 architectures have a score"
    assert "This figure is missing" not in write_evaluation(done, comparison).read_text()


def ranks_last(done, name, lost):
    larger, scores = done.larger_is_better[name], done.draw(done.settings.draws[0])[name]
    return scores.rank(ascending=not larger, method="max")[lost] == scores.notna().sum()


def test_a_network_at_which_processes_died_ranks_last(cells, tmp_path, dies):
    dies("105")
    metrics = ["hidden_covariance", "l2_norm"]
    done = evaluate(cells, out=tmp_path, metrics=metrics, scale=SMALL)
    others = [name for name in done.metrics if name != "parameters"]
    assert others == [*(f"hidden_covariance[{i}]" for i in (1, 2, 3)), "l2_norm"]
    assert all(ranks_last(done, name, "105") for name in others)
    assert done.problems == dict.fromkeys(others, 1)
    scored = Scorer("rnn", metrics=["parameters"], scale=SMALL).score(cells.architectures["105"])
    assert done.scores.loc["105", "parameters"] == scored["parameters"]
    table = done.compare(resamples=20).table
    assert table["n"].tolist() == [11] * 5 and table["problem"].isna().all()
    assert done.rows.set_index("architecture").loc["105", "problem"] == "its worker died 2 times"
    again = evaluate(cells, out=tmp_path, metrics=metrics, scale=SMALL, resume=True)
    assert again.rows.equals(done.rows)


@pytest.mark.parametrize("metrics", [["hidden_covariance"], ["hidden_covariance[4]"]])
@pytest.mark.parametrize("depth", [2, 4])
def test_a_network_at_which_processes_died_is_in_the_columns_of_its_layers(
    encoders, tmp_path, dies, metrics, depth
):
    lost = next(name for name, e in encoders.architectures.items() if e.num_layers == depth)
    dies(lost)
    done = evaluate(encoders, out=tmp_path, metrics=metrics, scale=SMALL_ENCODERS)
    layered = [name for name in done.metrics if name != "parameters"]
    had = [name for name in layered if request(name, "transformer").layer <= depth]
    assert had == [name for name in layered if pd.notna(done.scores.loc[lost, name])]
    assert all(ranks_last(done, name, lost) for name in had)
    assert done.problems == dict.fromkeys(had, 1)


def test_a_layer_that_few_have_has_no_pairs_beyond_size():
    names = [f"a{i}" for i in range(8)]
    results = pd.DataFrame({"loss": range(8), "size": range(10, 18)}, index=names, dtype=float)
    scores = pd.DataFrame({"whole": range(8), "deep[9]": [1.0, 2.0] + [np.nan] * 6}, index=names)
    benchmark = SimpleNamespace(
        size="size",
        results=results,
        larger_is_better=False,
        modified=(),
        reached=lambda _: results["loss"],
    )
    directions = {"whole": True, "deep[9]": True}
    evaluation = SimpleNamespace(benchmark=benchmark, scores=scores, directions=directions)
    (section,) = evaluation_page.beyond_size_sections(evaluation, 0)
    assert section.content[0].shown.loc["deep[9]", "pairs"] == 0


def test_scores_of_namesakes_are_not_taken(cells, tmp_path):
    settings = {"out": tmp_path, "metrics": ["l2_norm"], "scale": SMALL}
    evaluate(cells, **settings)
    first, second = list(cells.architectures)[:2]
    changed = {**cells.architectures, first: cells.architectures[second]}
    other = replace(cells, architectures=changed)
    with pytest.raises(InputError, match=rf"scores.jsonl: architecture '{first}' has the fingerp"):
        evaluate(other, **settings, resume=True)


@pytest.mark.parametrize("line", ['{"architecture": "1"}', "5", '{"scores": 3}'])
def test_a_line_of_scores_that_lacks_something_is_damaged(cells, tmp_path, line):
    settings = {"out": tmp_path, "metrics": ["l2_norm"], "scale": SMALL}
    evaluate(cells, **settings)
    with (tmp_path / "scores.jsonl").open("a") as file:
        file.write(line + "\n")
    with pytest.raises(InputError, match=r"scores.jsonl: line \d+ is damaged"):
        evaluate(cells, **settings, resume=True)


def test_layers_that_earlier_versions_wrote_down_are_left_out(encoders, tmp_path):
    name = "hidden_covariance[4]"
    settings = {"out": tmp_path, "metrics": [name], "scale": SMALL_ENCODERS}
    done = evaluate(encoders, **settings)
    path = tmp_path / "scores.jsonl"
    lines = [json.loads(line) for line in path.open()]
    assert any(name not in line["scores"] for line in lines)
    for line in lines:
        line["scores"].setdefault(name, None)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    again = evaluate(encoders, **settings, resume=True)
    assert again.scores.equals(done.scores) and not again.problems


def test_a_metric_of_ones_own_from_a_file(cells, tmp_path):
    file = tmp_path / "mine.py"
    file.write_text(
        "import archscout\n"
        "@archscout.metric(needs={'hidden_states'}, larger_is_better=True, kind='other')\n"
        "def state_size_of_test(trace):\n"
        "    'Mean magnitude of the first layer.'\n"
        "    return trace.hidden_states[0].abs().mean().item()\n"
    )
    settings = {"metrics": "state_size_of_test", "metric_files": [file]}
    done = evaluate(cells, out=tmp_path / "out", **settings)
    assert done.scores["state_size_of_test"].nunique() == 12
    before = file.read_text()
    file.write_text(before.replace("[0]", "[-1]"))
    with pytest.raises(InputError, match="has changed since this process ran it"):
        evaluate(cells, out=tmp_path / "out", **settings, resume=True)
    file.write_text(before)
    path = tmp_path / "out" / "evaluation.json"
    document = json.loads(path.read_text())
    document["settings"]["metric_sha256"] = ["0" * 64]  # another file, in another process
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="begun with metric_sha256"):
        evaluate(cells, out=tmp_path / "out", **settings, resume=True)
    document["settings"]["metric_sha256"] = []  # as of earlier versions
    path.write_text(json.dumps(document))
    assert evaluate(cells, out=tmp_path / "out", **settings, resume=True).scores.equals(done.scores)
    assert not json.loads(path.read_text())["settings"]["metric_sha256"]  # nobody compared them


def test_a_text_is_the_same_wherever_it_lies(cells, tmp_path):
    words = tmp_path / "words.txt"
    words.write_text("\n".join(" ".join(f"w{(i * j) % 37}" for j in range(12)) for i in range(90)))
    settings = {"out": tmp_path / "out", "metrics": ["l2_norm"], "scale": SMALL}
    done = evaluate(cells, text=words, **settings)
    assert done.settings.text == (str(words),)
    moved = words.rename(tmp_path / "moved.txt")
    assert evaluate(cells, text=moved, **settings, resume=True).scores.equals(done.scores)
    moved.write_text(moved.read_text() + " more")
    with pytest.raises(InputError, match="begun with text"):
        evaluate(cells, text=moved, **settings, resume=True)


def test_a_metric_that_does_not_apply_is_refused_before_anything_is_written(cells, tmp_path):
    asked = {"metrics": ["l2_norm", "formula:sum(mean(projections))"], "scale": SMALL}
    with pytest.raises(InputError, match=r"formula:.* does not apply to nas-bench-nlp .*atten"):
        evaluate(cells, out=tmp_path / "out", **asked)
    assert not (tmp_path / "out").exists()
    assert prepare(cells, **asked, leave_out=True).settings.metrics == ("l2_norm", "parameters")


def test_versions_that_an_evaluation_went_on_with_are_told(cells, begun):
    path = begun / "evaluation.json"
    document = json.loads(path.read_text())
    (now,) = document["versions"]
    path.write_text(json.dumps(document | {"versions": now | {"torch": "2.0.0"}}))  # as once
    settings = {"metrics": ["activation_distance"], "resume": True}
    evaluate(cells, out=begun, **settings)  # nothing is left to score
    assert [each["torch"] for each in json.loads(path.read_text())["versions"]] == ["2.0.0"]
    lines = (begun / SCORES).read_text().splitlines(keepends=True)
    (begun / SCORES).write_text("".join(lines[:-1]))
    for _ in range(2):
        done = evaluate(cells, out=begun, **settings)
    first, then = json.loads(path.read_text())["versions"]
    assert (first["torch"], then) == ("2.0.0", now)
    page = write_evaluation(done, done.compare(resamples=20)).read_text()
    assert "Scores were taken by different versions" in page and "torch 2.0.0" in page


@pytest.mark.parametrize(
    ("content", "message"),
    [("import archscout\n\n1 / 0\n", "line 3: ZeroDivisionError"), ("def f(:\n", "line 1: Syntax")],
)
def test_a_file_of_metrics_that_fails(cells, tmp_path, content, message):
    file = tmp_path / "broken.py"
    file.write_text(content)
    with pytest.raises(InputError, match=message):
        evaluate(cells, out=tmp_path / "out", metric_files=[file])
    with pytest.raises(InputError, match=r"no file .*none\.py"):
        evaluate(cells, out=tmp_path / "out", metric_files=[tmp_path / "none.py"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": 0}, "seeds is 0"),
        ({"minibatches": 0}, "minibatches is 0"),
        ({"workers": 0}, "0 workers; accepted is"),
        ({"limit": 0}, "limit is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"minibatches": 10**4}, "minibatch"),
        ({"metrics": "no_such"}, "unknown metric 'no_such'"),
        ({"text": "no such text"}, "no text"),
    ],
)
def test_bad_settings_are_said_before_anything_is_written(cells, tmp_path, settings, message):
    with pytest.raises(InputError, match=message):
        evaluate(cells, out=tmp_path / "out", **settings)
    assert not (tmp_path / "out" / SCORES).exists()


def test_a_folder_of_other_files_is_left_alone(cells, tmp_path):
    (tmp_path / "thesis.txt").write_text("")
    with pytest.raises(InputError, match=r"not empty \(thesis.txt\)"):
        evaluate(cells, out=tmp_path)


def test_fewer_than_three_architectures(cells, tmp_path):
    done = evaluate(cells, out=tmp_path, metrics=["activation_distance"], limit=2)
    with pytest.raises(InputError, match="3"):
        done.compare()
    assert len(rows(tmp_path)) == 2
    with pytest.raises(InputError, match=r"of 2 architectures \d have a result; at least 3"):
        prepare(cells, metrics=["activation_distance"], limit=2).check_comparable()


def test_the_page_holds_tables_and_figures(cells, tmp_path):
    done = evaluate(cells, out=tmp_path, metrics=METRICS, minibatches=3, scale=SMALL)
    page = write_evaluation(done, done.compare(resamples=50)).read_text()
    assert "hidden_covariance[2]" in page
    assert "logs.zip differ from the published files" in page
    assert "1 network(s) failed in training" in page
    assert "How reliable is one draw?" in page
    assert "This figure is missing" not in page
    assert page.count("plotly.js v") == 1
    assert "mean rank over draws (larger is better)" in page
    assert "test_loss (smaller is better)" in page
    settings = pd.read_csv(tmp_path / "settings.csv").set_index("setting")["value"]
    assert settings["seeds"] == "1 (number 0)"
    assert settings["minibatches"] == "3 (numbers 0 to 2)"
    measured = pd.read_csv(tmp_path / "measures.csv").set_index("metric")
    assert measured.loc["parameters", "better"] == "larger"
    assert measured.loc["hidden_covariance[2]", "measures"].endswith(" Layer 2.")
    names = {path.name for path in tmp_path.iterdir()}
    assert {"report.md", "statistics.csv", "reliability.csv", "kendall.pdf", "draws.png"} <= names


def test_reliability_of_draws():
    rng = np.random.default_rng(0)
    truth = rng.normal(size=40)
    names = [str(i) for i in range(40)]
    draws = [
        pd.DataFrame({"sure": truth, "noise": rng.normal(size=40)}, index=names) for _ in range(3)
    ]
    results = pd.Series(truth, index=names)
    table = reliability(draws, results, {"sure": True, "noise": True}, True)
    assert table.loc["sure", "between_draws"] == 1
    assert table.loc["sure", "variation"] == pytest.approx(0, abs=1e-12)
    assert table.loc["sure", "kendall"] == 1
    pairs = [
        stats.kendalltau(draws[a]["noise"], draws[b]["noise"]).statistic
        for a, b in ((0, 1), (0, 2), (1, 2))
    ]
    assert table.loc["noise", "between_draws"] == pytest.approx(np.mean(pairs))
    assert table.loc["noise", "between_draws_least"] == pytest.approx(min(pairs))
    with pytest.raises(InputError, match="at least two draws"):
        reliability(draws[:1], results, {"sure": True}, True)


def test_encoders_in_a_reading(tmp_path):
    folder = DataFolder(made_up.encoder_data(tmp_path / "data"))
    found = benchmarks.load("nas-bench-bert", folder)
    scale = found.space.scales["fast"].resized(batch_size=2, sequence_length=16, reading="trained")
    done = evaluate(
        found, out=tmp_path / "out", metrics=["softmax_confidence", "head_importance"], scale=scale
    )
    table = summary(done.compare(resamples=20))
    assert table.loc["softmax_confidence", "n"] == 6
    assert done.settings.scale["reading"] == "trained"
    assert done.settings.objective == "cotangent"


def test_a_text_with_other_parts_is_another_text(cells, tmp_path):
    words = [" ".join(f"w{i * j % 37}" for i in range(40)) for j in range(1, 60)]
    (tmp_path / "corpus").mkdir()
    for part, chosen in (("train", words[:40]), ("valid", words[40:50]), ("test", words[50:])):
        (tmp_path / "corpus" / f"{part}.txt").write_text("\n".join(chosen))
    parts = [tmp_path / "corpus" / f"{part}.txt" for part in ("train", "valid", "test")]
    settings = {"out": tmp_path / "out", "metrics": ["l2_norm"], "scale": SMALL}
    evaluate(cells, text=tmp_path / "corpus", **settings)
    with pytest.raises(InputError, match="was begun with text"):
        evaluate(cells, text=parts, **settings, resume=True)
    (tmp_path / "corpus").rename(tmp_path / "moved")
    evaluate(cells, text=tmp_path / "moved", **settings, resume=True)
    place = tmp_path / "out" / "evaluation.json"  # of a version that did not keep the parts
    document = json.loads(place.read_text())
    del document["settings"]["text_parts"]
    place.write_text(json.dumps(document))
    (tmp_path / "moved").rename(tmp_path / "corpus")
    evaluate(cells, text=tmp_path / "corpus", **settings, resume=True)


def test_what_an_evaluation_cannot_use_is_said_in_words_of_ours(cells, tmp_path):
    for changes, said in (
        ({"vocabulary_size": "x"}, "vocabulary_size is 'x': Input should be a valid integer"),
        ({"seed": "0"}, "seed is '0'; from 0"),
        ({"workers": 1.5}, "1.5 workers; accepted"),
    ):
        with pytest.raises(InputError, match=said):
            evaluate(cells, out=tmp_path / "out", metrics=["l2_norm"], scale=SMALL, **changes)
    assert not (tmp_path / "out").exists()
