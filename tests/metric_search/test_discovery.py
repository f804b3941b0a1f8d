"""Discoveries: what they find, that no part is read before its time, and that they resume."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from scipy import stats

from archscout.analysis.figures import bars
from archscout.errors import InputError
from archscout.metric_search import discover, write_discovery
from archscout.metric_search.discovery_folder import (
    GENERATIONS,
    QUANTITIES,
    SETTINGS,
    DiscoveryFolder,
)
from archscout.metric_search.grammar import Grammar, seeded
from archscout.metric_search.page import judgement, verdict
from archscout.metric_search.parts import divide
from archscout.metrics.formula.operations import TERMINALS
from archscout.scoring import Scorer


def generations(out: Path) -> bytes:
    return (out / GENERATIONS).read_bytes()


def shuffled(benchmark, names, seed=0):
    """The benchmark with the results of some architectures exchanged among them."""
    results = benchmark.results["test_loss"].copy()
    names = list(names)
    results[names] = results[names].to_numpy()[np.random.default_rng(seed).permutation(len(names))]
    return replace(benchmark, results=pd.DataFrame({"test_loss": results}))


@pytest.mark.slow
def test_a_planted_formula_is_found(cells, run, tmp_path):
    done = run(
        tmp_path, generations=8, population_size=40, quantities=["hidden_states", "parameters"]
    )
    table = judgement(done).set_index(["part", "metric"])
    row = table.loc[("judging", done.metric)]
    assert row["n"] == len(done.parts.judging)
    assert row["kendall"] > 0.95 and 0.95 < row["pairs"] <= 1
    known = table.loc[[("judging", name) for name in ("hidden_covariance", "parameters")]]
    assert (known["kendall"] < 0.8).all()
    assert "is better than" in verdict(done)


@pytest.mark.slow
def test_nothing_is_found_in_noise(cells, run, tmp_path):
    noise = shuffled(cells, cells.results["test_loss"].dropna().index)
    done = run(tmp_path, noise, generations=8, population_size=40)
    table = judgement(done).set_index(["part", "metric"])["kendall"]
    assert table["breeding", done.metric] > 0.2
    assert abs(table["judging", done.metric]) < 0.3
    assert "is better than" not in verdict(done)


def test_the_numbers_are_those_of_the_scorer(cells, whole, scale, words):
    done = whole
    scorer = Scorer(cells.space, str(words), [done.metric], scale)
    results = cells.results["test_loss"]
    for part, candidate_tau in (
        ("breeding", done.chosen.kendall),
        ("choosing", done.choosing[done.candidates.index(done.chosen)]),
    ):
        names = getattr(done.parts, part)
        scores = [scorer.score(cells.architectures[name])[done.metric] for name in names]
        tau = -stats.kendalltau(scores, results[list(names)]).statistic
        assert candidate_tau == pytest.approx(tau)
        assert done.comparisons[part].table.loc[done.metric, "kendall"] == pytest.approx(tau)


def test_the_chosen_one_is_the_best_on_the_second_part(run, tmp_path):
    done = run(tmp_path, penalty=0.01)
    fitness = [
        tau - 0.01 * entry.size for tau, entry in zip(done.choosing, done.candidates, strict=True)
    ]
    assert done.chosen == done.candidates[int(np.argmax(fitness))]
    every = {entry.formula for generation in done.generations for entry in generation}
    assert {entry.formula for entry in done.candidates} <= every
    bred = [entry.fitness for entry in done.candidates]
    assert bred == sorted(bred, reverse=True)


def test_breeding_reads_no_result_but_those_of_the_first_part(cells, run, whole, tmp_path):
    parts = divide(cells)
    run(tmp_path / "others", shuffled(cells, [*parts.choosing, *parts.judging]))
    assert generations(tmp_path / "others") == generations(whole.folder)
    run(tmp_path / "first", shuffled(cells, parts.breeding))
    assert generations(tmp_path / "first") != generations(whole.folder)


def test_choosing_reads_no_result_of_the_third_part(cells, run, whole, tmp_path):
    other = run(tmp_path, shuffled(cells, divide(cells).judging))
    assert (other.chosen, other.choosing) == (whole.chosen, whole.choosing)
    taus = [d.comparisons["judging"].table.loc[d.metric, "kendall"] for d in (whole, other)]
    assert taus[0] != taus[1]


def test_no_network_of_another_part_is_looked_at_before_its_time(cells, run, tmp_path, monkeypatch):
    seen = []
    recorder = type(cells.space).recorder

    def record(self, architecture, *arguments):
        seen.append(cells.space.fingerprint(architecture))
        return recorder(self, architecture, *arguments)

    monkeypatch.setattr(type(cells.space), "recorder", record)
    done = run(tmp_path, generations=1)
    marks = {
        part: {cells.space.fingerprint(cells.architectures[n]) for n in getattr(done.parts, part)}
        for part in ("breeding", "choosing", "judging")
    }
    seen = seen[1:]  # the first is asked what can be recorded
    first_of = {part: min(map(seen.index, marks[part])) for part in marks}
    assert set(seen[: first_of["choosing"]]) == marks["breeding"]
    assert set(seen[: first_of["judging"]]) == marks["breeding"] | marks["choosing"]
    # The third part is looked at once, with the chosen formula.
    assert sum(mark in marks["judging"] for mark in seen) == len(done.parts.judging)


class Stop(Exception):
    pass


@pytest.mark.parametrize("networks", [5, 60, 100])
def test_a_resumed_run_ends_as_one_never_stopped(run, whole, tmp_path, networks):
    def stop(done, total, remark):
        if done >= networks:
            raise Stop

    with pytest.raises(Stop):
        run(tmp_path, progress=stop)
    done = run(tmp_path, resume=True)
    assert generations(tmp_path) == generations(whole.folder)
    assert done.chosen == whole.chosen
    pd.testing.assert_frame_equal(judgement(done), judgement(whole))


def test_more_generations_can_be_added(run, whole, tmp_path):
    run(tmp_path, generations=1)
    begun = generations(tmp_path)
    run(tmp_path, generations=3, resume=True)
    assert generations(tmp_path).startswith(begun)
    assert generations(tmp_path) == generations(whole.folder)


def test_a_torn_line_is_bred_again_and_no_network_traced_twice(run, whole, tmp_path):
    folder = shutil.copytree(whole.folder, tmp_path / "torn")
    stored = sorted((folder / QUANTITIES).iterdir())
    assert len(stored) == len(whole.parts.breeding)
    times = [path.stat().st_mtime_ns for path in stored]
    (folder / GENERATIONS).write_bytes(generations(whole.folder)[:-200])
    run(folder, resume=True)
    assert generations(folder) == generations(whole.folder)
    assert [path.stat().st_mtime_ns for path in stored] == times


KILLED = """
import sys
from archscout.metric_search import discover
from archscout.spaces import RecurrentSpace
scale = RecurrentSpace.scales["fast"].resized(
    embedding_size=6, hidden_size=7, batch_size=3, sequence_length=5, num_layers=2
)
discover("archscout-mini-rnn", out=sys.argv[1], scale=scale, generations=50,
         population_size=8,
         resamples=50, quantities=["hidden_states", "parameters"])
"""


@pytest.mark.slow
def test_a_killed_run_goes_on(scale, tmp_path):
    def here(out: str, generations: int, **more: bool) -> None:
        quantities = ["hidden_states", "parameters"]
        settings = {"population_size": 8, "resamples": 50, "quantities": quantities, "scale": scale}
        out = tmp_path / out
        discover("archscout-mini-rnn", out=out, generations=generations, **settings, **more)

    command = [sys.executable, "-c", KILLED, str(tmp_path / "killed")]
    environment = os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())}
    killed = subprocess.Popen(command, env=environment)
    path = tmp_path / "killed" / GENERATIONS
    deadline = time.monotonic() + 120
    while not path.exists() or path.read_bytes().count(b"\n") < 2:
        assert time.monotonic() < deadline and killed.poll() is None
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    bred = path.read_bytes().count(b"\n")
    here("killed", bred + 2, resume=True)
    here("whole", bred + 2)
    assert path.read_bytes() == (tmp_path / "whole" / GENERATIONS).read_bytes()


def test_the_page(whole, tmp_path):
    shutil.copy(whole.folder / SETTINGS, tmp_path)
    done = replace(whole, folder=tmp_path)
    page = write_discovery(done)
    text = page.read_text()
    assert done.metric in text.replace("&#x27;", "'")
    assert verdict(done).replace("`", "")[:40] in text.replace("<code>", "").replace("</code>", "")
    table = pd.read_csv(tmp_path / "formulas.csv")
    assert list(table["formula"]) == [entry.metric for entry in done.candidates]
    assert (table["chosen"] == "yes").sum() == 1
    judged = pd.read_csv(tmp_path / "judgement.csv")
    assert list(judged["part"].unique()) == ["breeding", "choosing", "judging"]
    assert list(judged["metric"].unique()) == [done.metric, "hidden_covariance", "parameters"]
    assert (judged["kendall_low"] <= judged["kendall_high"]).all()
    assert len(pd.read_csv(tmp_path / "generations.csv")) == 40
    assert {"judging.png", "judging.pdf", "generations.png"} <= {p.name for p in tmp_path.iterdir()}


def test_a_long_formula_fits_a_figure():
    name = "formula:mean(nuclear_norm(by_input(sign(lagged_difference(activations))))) / parameters"
    row = {"kendall": 0.4, "kendall_low": 0.3, "kendall_high": 0.5}
    figure = bars(pd.DataFrame([row], index=[name]), "kendall", "τ-b")
    (label,) = figure.axes[0].get_yticklabels()
    assert label.get_text() == "formula:mean(nuclear_norm(by_i… / parameters"


def test_known_metrics_to_judge_beside(run, tmp_path):
    done = run(tmp_path, references=["l2_norm", "hidden_covariance[2]"], generations=1)
    names = list(done.comparisons["judging"].table.index)
    assert names == [done.metric, "l2_norm", "hidden_covariance[2]"]


def test_the_formula_itself_may_be_among_the_known_metrics(run, whole, tmp_path):
    folder = shutil.copytree(whole.folder, tmp_path / "again")
    done = run(folder, references=[whole.metric, "parameters"], resume=True)
    assert done.metric == whole.metric
    assert list(done.comparisons["judging"].table.index) == [done.metric, "parameters"]
    assert "`parameters`" in verdict(done)


@pytest.mark.parametrize("name", TERMINALS)
def test_a_number_can_be_made_of_each_quantity_alone(name):
    with seeded(0):
        grammar = Grammar([name])
        assert all(grammar.draw().type.is_number for _ in range(20))


def test_quantities_by_default_are_all_that_the_networks_have(run, tmp_path):
    done = run(tmp_path, quantities=None, generations=1, population_size=4)
    stored = next(iter((tmp_path / QUANTITIES).iterdir()))
    content = load_file(stored)
    assert {key.partition(".")[0] for key in content} == {
        *("hidden_states", "hidden_state_gradients", "activations", "weights"),
        *("weight_gradients", "output", "embedding_gradient", "parameters"),
    }
    assert content["weights.0000"].dtype == torch.float32
    assert done.settings.quantities is None


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generations": 0}, "generations is 0; a positive whole number"),
        ({"population_size": 0}, "population_size is 0"),
        ({"candidates": -1}, "candidates is -1"),
        ({"resamples": 0}, "resamples is 0"),
        ({"quantities": []}, "quantities names none; accepted are hidden_states"),
        ({"references": []}, "no metric was named"),
        ({"penalty": 1.0}, "penalty is 1; from 0"),
        ({"seed": -1}, "seed is -1"),
        ({"split_seed": -1}, "seed is -1"),
        ({"shares": (0.5, 0.5)}, "shares are 0.5/0.5"),
        ({"shares": (0.98, 0.01, 0.01)}, "at least 10 are accepted"),
        ({"quantities": ["hiden"]}, "unknown quantity 'hiden'; accepted are hidden_states"),
        ({"quantities": ["softmaxes"]}, "quantity softmaxes: it has no attention"),
        ({"references": ["nothing"]}, "unknown metric 'nothing'"),
        ({"objective": "product"}, "unknown objective 'product'"),
    ],
)
def test_mistakes(run, tmp_path, changes, message):
    with pytest.raises(InputError, match="(?s).*" + message.replace("(", r"\(")):
        run(tmp_path / "out", **changes)
    assert not (tmp_path / "out" / GENERATIONS).exists()


def test_a_small_benchmark_is_refused(cells, tmp_path):
    results = cells.results.copy()
    results.iloc[26:] = np.nan
    few = replace(cells, results=results)
    with pytest.raises(InputError, match="26 trained architectures"):
        discover(few, out=tmp_path)


def test_a_folder_that_is_taken(run, tmp_path):
    run(tmp_path, generations=1)
    with pytest.raises(InputError, match="already holds a discovery; go on with it by --resume"):
        run(tmp_path, generations=1)
    with pytest.raises(
        InputError, match=r"begun with population_size 10, now it is 11; name another"
    ):
        run(tmp_path, generations=1, population_size=11, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").write_text("")
    with pytest.raises(InputError, match=r"is not empty \(file\) and holds no discovery"):
        run(tmp_path / "other")


def test_damaged_files_are_named(run, tmp_path):
    run(tmp_path, generations=1)
    store = DiscoveryFolder(tmp_path)
    settings = json.loads((tmp_path / SETTINGS).read_text())
    settings["settings"]["seed"] = "x"
    (tmp_path / GENERATIONS).write_text("{}\n")
    with pytest.raises(InputError, match="line 1 is damaged"):
        store.generations()
    (tmp_path / SETTINGS).write_text(json.dumps(settings))
    with pytest.raises(InputError, match=r"damaged: settings\.seed"):
        store.settings()
    (tmp_path / SETTINGS).unlink()
    with pytest.raises(InputError, match="holds no discovery"):
        store.settings()


def test_a_damaged_network_is_named(run, tmp_path):
    run(tmp_path, generations=1)
    for path in (tmp_path / QUANTITIES).iterdir():
        path.write_bytes(b"0")
    with pytest.raises(InputError, match=r"safetensors is damaged: .*; remove it and go on"):
        run(tmp_path, generations=2, resume=True)


def test_another_benchmark_of_the_same_name_is_refused(cells, run, whole, tmp_path):
    shutil.copytree(whole.folder, tmp_path / "out")
    others = shuffled(cells, list(cells.architectures))
    with pytest.raises(InputError, match="was begun with results_sha256"):
        run(tmp_path / "out", others, resume=True)
    assert generations(tmp_path / "out") == generations(whole.folder)
