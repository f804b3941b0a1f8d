"""A space of another package, with its training, goes all ways that our own go."""

from __future__ import annotations

import json
import os
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from archscout import benchmarks, spaces
from archscout.errors import InputError
from archscout.promotion import load_promotion
from archscout.training import Paused, preset, train, trainers
from training_runs import Killed, assert_same, at, weights

PLUGIN = Path(__file__).parents[1] / "plugin_decoder"
NAME = "toy-decoder"
GENOTYPE = '{"n_layer": 2, "d_model": 8, "n_head": 2}'
Program = Any  # see conftest.py


@pytest.fixture(scope="module", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The package as pip leaves it, in this process and those that it starts."""
    project = tomllib.loads((PLUGIN / "pyproject.toml").read_text())["project"]
    site = tmp_path_factory.mktemp("site")
    information = site / f"{NAME.replace('-', '_')}-{project['version']}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    lines = [
        line
        for group, points in project["entry-points"].items()
        for line in (f"[{group}]", *(f"{name} = {place}" for name, place in points.items()))
    ]
    (information / "entry_points.txt").write_text("\n".join(lines))
    places = [str(site), str(PLUGIN)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "path", [*places, *sys.path])
        before = os.environ.get("PYTHONPATH")
        patch.setenv("PYTHONPATH", os.pathsep.join([*places, *([before] if before else [])]))
        _forget()
        yield
    _forget()


def _forget() -> None:
    """Let entry points be looked up again."""
    spaces.available.cache_clear()
    trainers.cache_clear()


def test_it_is_sampled_and_scored(archscout: Program, words: Path) -> None:
    sampled = archscout("sample", NAME, "-n", 3, "--seed", 1)
    assert sampled.code == 0 and len(sampled.lines) == 3
    (path := words.with_name("decoders.jsonl")).write_text(sampled.out)
    metrics = ("--metrics", "softmax_confidence,hidden_covariance,parameters,flops")
    scored = archscout("score", NAME, path, "--text", words, *metrics, "--json")
    assert scored.code == 0, scored.err
    for line in scored.lines:
        assert all(value is not None for value in json.loads(line)["scores"].values())


def test_it_is_searched_reported_exported_and_whether_that_paid(
    archscout: Program, words: Path, tmp_path: Path
) -> None:
    run, out = tmp_path / "run", tmp_path / "model"
    command = ("search", NAME, "--text", words, "--trials", 5, "--sampler", "random", "--out", run)
    done = archscout(*command, "--max", "parameters=30K")
    assert done.code == 0, done.err
    assert archscout("report", run).code == 0
    assert NAME in (run / "report.html").read_text()
    assert archscout("export", run, "--out", out).code == 0
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    model = AutoModelForCausalLM.from_pretrained(out, trust_remote_code=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(out)
    tokens = torch.tensor([tokenizer.encode("w1 w2")])
    assert model(tokens).logits.shape == (1, tokens.shape[1], len(tokenizer))

    training = ("--budget", 1, "--set", "steps=9")
    trained = archscout(*command, "--max", "parameters=30K", "--resume", *training)
    assert trained.code == 0, trained.err
    assert "The winner is " in trained.out
    promotion = load_promotion(run)
    assert promotion is not None and promotion.measure == "perplexity"
    assert promotion.winner.results
    assert "trained for tests" in (run / "model" / "README.md").read_text()


def test_it_is_trained_and_goes_on_where_it_was_stopped(
    archscout: Program, words: Path, tmp_path: Path
) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    settings = preset("quick", NAME)
    trained = train(NAME, GENOTYPE, str(words), settings, whole)
    with pytest.raises(Killed):
        train(NAME, GENOTYPE, str(words), settings, cut, **at(12, Killed()))
    resumed = train(NAME, GENOTYPE, str(words), settings, cut, resume=True)
    assert_same(weights(trained), weights(resumed))
    paused = train(NAME, GENOTYPE, str(words), settings, tmp_path / "two", until=0.4)
    assert isinstance(paused, Paused) and paused.done == 0.4
    whole_again = train(NAME, GENOTYPE, str(words), settings, tmp_path / "two", resume=True)
    assert_same(weights(trained), weights(whole_again))

    (path := tmp_path / "decoder.json").write_text(GENOTYPE)
    command = ("train", path, "--text", words, "--out", tmp_path / "told", "--set", "steps=5")
    told = archscout(*command)
    assert told.code == 0 and "5 steps." in told.out, told.err
    assert "step 5: validation" in told.err
    refused = archscout(*command, "--set", "epochs=2")
    assert refused.code == 2
    assert "training setting epochs is '2': there is none of that name" in refused.err
    refused = archscout(*command, "--sample", 2)
    assert refused.code == 2
    assert "--sample is for architectures of space rnn" in refused.err
    assert f"{path} is taken as one of {NAME}" in refused.err


def test_a_benchmark_of_it_is_built_and_judged(
    archscout: Program, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    build = ("benchmark", "build", NAME, "decoders", "-n", 3, "--text", words)
    built = archscout(*build, "--set", "steps=5", "--repeat", "1x1")
    assert built.code == 0, built.err
    assert "4 of 4 trainings are done." in built.out
    found = benchmarks.load("decoders")
    text = Path("decoders/trainings.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["status"] for line in lines] == ["OK"] * 4
    table = pd.DataFrame([{"id": line["id"], **line["losses"]} for line in lines])
    assert dict(found.results["test_loss"]) == dict(table.groupby("id")["test_loss"].mean())
    assert list(found.results["runs"]) == [2, 1, 1] and not found.results["failed_runs"].any()
    assert set(found.curves.columns) >= {"architecture", "seed", "step", "valid_loss"}
    judged = archscout("evaluate", "decoders", "--metrics", "parameters,softmax_confidence")
    assert judged.code == 0, judged.err


def test_without_a_trainer_it_says_what_to_register(
    words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(trainers(), NAME)
    with pytest.raises(InputError, match=f"{NAME!r} has no trainer; accepted: rnn, flex") as told:
        train(NAME, GENOTYPE, str(words), "quick", tmp_path / "out")
    assert f"the entry point {NAME!r} in the group archscout.trainers" in str(told.value)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [("", "holds no training"), ('{"id": "0"}', "line 1: no training: 'architecture'")],
)
def test_a_damaged_benchmark_of_it_is_named(content: str, complaint: str, tmp_path: Path) -> None:
    information = {
        **{"format": 1, "name": "mine", "space": NAME, "text": ["python-docs"], "finished": 0},
        **{"text_sha256": "0", "target": "test_loss", "larger_is_better": False, "trainings": 0},
        **{"failed": 0, "seed_agreement": None},
    }
    (tmp_path / "benchmark.json").write_text(json.dumps(information))
    (tmp_path / "trainings.jsonl").write_text(content)
    with pytest.raises(InputError, match=f"trainings.jsonl.*{complaint}"):
        benchmarks.load(str(tmp_path))
