"""Searches of the FlexiBERT space."""

import json
import math
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from archscout import InputError, Scorer
from archscout.exports import export_candidate
from archscout.report import write_report
from archscout.runs import Progress, Run, search
from archscout.runs.study import result_of
from archscout.spaces import EncoderScale, FlexibertSpace, streams
from archscout.spaces.flexibert import initialisation
from archscout.text import WordPiece
from archscout.threads import one_thread
from journals import proposals_in

SPACE = FlexibertSpace()
TINY = EncoderScale(
    batch_size=2, sequence_length=8, embedding_size=16, num_positions=16, reading="declared"
)
# Of encoders sampled at the tiny scale: about half are below.
MIDDLE: dict[str, Any] = {"max_parameters": 1_500_000, "max_flops": 3_000_000, "max_memory": "6MB"}
Hunt = Callable[..., Run]


@pytest.fixture(scope="session")
def hunt(words: Path) -> Hunt:
    """A search of 8 proposals, in which NSGA-II has several generations."""
    usual: dict[str, Any] = {
        "text": words,
        "metrics": "head_confidence",
        "trials": 8,
        "population_size": 3,
        "scale": TINY,
    }

    def start(out: Path, **changes: Any) -> Run:
        return search(SPACE, out=out, **(usual | changes))

    return start


@pytest.fixture(scope="module")
def finished(hunt: Hunt, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run with two objectives, which tests only read."""
    out = tmp_path_factory.mktemp("finished") / "run"
    return hunt(out, metrics="synaptic_saliency,parameters", seed=5)


# What a search finds


@pytest.mark.parametrize("sampler", ["nsga2", "tpe", "random"])
def test_scores_are_those_of_scoring_alone(
    sampler: str, hunt: Hunt, words: Path, tmp_path: Path
) -> None:
    run = hunt(tmp_path / "run", sampler=sampler, seed=3)
    assert len(run.trials) == 8 and run.table["proposals"].sum() == 8
    assert (run.settings.space, run.settings.objective) == ("flexibert", "cotangent")
    scorer = Scorer(SPACE, words, ["head_confidence"], TINY, seed=3)
    for _, row in run.table.iterrows():
        with one_thread():  # as the search's
            alone = scorer.score(SPACE.parse(row["architecture"]))
        assert row["head_confidence"] == alone["head_confidence"]
        assert row["fingerprint"] == alone.fingerprint
    assert run.best.scores["head_confidence"] == run.table["head_confidence"].max()


def test_the_front_is_what_nothing_beats(finished: Run) -> None:
    assert [(o.name, o.direction) for o in finished.objectives] == [
        ("synaptic_saliency", "maximize"),
        ("parameters", "minimize"),
    ]
    points = finished.table[["synaptic_saliency", "parameters"]].to_numpy()
    unbeaten = {
        mark
        for mark, (score, size) in zip(finished.table["fingerprint"], points, strict=True)
        if not any(s >= score and p <= size and (s, p) != (score, size) for s, p in points)
    }
    assert {c.fingerprint for c in finished.front} == unbeaten
    assert finished.best.scores["synaptic_saliency"] == max(points[:, 0])


@pytest.mark.parametrize("limit", MIDDLE)
def test_nothing_outside_a_limit_is_scored_or_ranked(
    limit: str, hunt: Hunt, tmp_path: Path, scored: list[str]
) -> None:
    run = hunt(tmp_path / "run", sampler="random", **{limit: MIDDLE[limit]})
    cost = limit.removeprefix("max_")
    (most,) = run.settings.limits.values()
    outside, inside = (run.table[run.table[cost].gt(most) == over] for over in (True, False))
    assert len(outside) and len(inside)
    assert set(scored) == set(inside["fingerprint"])
    assert inside["within_limits"].all() and inside["front"].notna().all()
    assert not outside["within_limits"].any() and outside["front"].isna().all()
    assert outside["head_confidence"].isna().all()


def test_latency_is_that_of_a_whole_sequence(hunt: Hunt, tmp_path: Path) -> None:
    run = hunt(tmp_path / "run", trials=2, max_latency="60s")
    assert (run.table["latency"] > 0).all() and run.table["within_limits"].all()
    with pytest.raises(InputError, match="max_latency is 1e-06, the smallest latency seen is"):
        hunt(tmp_path / "other", max_latency=1e-6)
    assert not (tmp_path / "other").exists()


def test_an_impossible_limit_is_named_with_the_smallest_seen(hunt: Hunt, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_parameters is 10, the smallest parameters seen is"):
        hunt(tmp_path / "run", max_parameters=10)
    assert list(tmp_path.iterdir()) == []


def test_each_reading_and_objective_is_a_run_of_its_own(hunt: Hunt, tmp_path: Path) -> None:
    kinds: list[dict[str, Any]] = [
        {},
        {"scale": TINY.resized(reading="trained")},
        {"objective": "loss"},
    ]
    runs = [
        hunt(tmp_path / str(i), metrics="head_importance", trials=6, **kind)
        for i, kind in enumerate(kinds)
    ]
    # The named encoders, with which each begins, are the same in all readings.
    assert len({tuple(run.table["head_importance"]) for run in runs}) == 3
    assert len({run.table["fingerprint"].min() for run in runs}) == 1
    with pytest.raises(InputError, match="holds another run: objective is 'loss', was 'cotangent'"):
        hunt(tmp_path / "0", metrics="head_importance", objective="loss", resume=True)


def test_gradients_that_are_not_finite_are_ranked_last_with_the_reason(
    hunt: Hunt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = streams._draw

    def draw(seed: int, name: str, size: int) -> Tensor:
        values = drawn(seed, name, size)
        return values.fill_(math.inf) if "conv_out_layer" in name else values

    monkeypatch.setattr(initialisation, "_STREAMS", initialisation.Streams())
    monkeypatch.setattr(streams, "_draw", draw)
    run = hunt(tmp_path / "run", metrics="synaptic_saliency", sampler="random", trials=12)
    has_convolution = run.table["architecture"].str.contains('"DSC"')
    assert has_convolution.any() and not has_convolution.all()
    assert list(has_convolution) == sorted(has_convolution)
    assert list(run.table["front"].isna()) == list(has_convolution)
    reasons = run.table["problem"][has_convolution]
    assert set(reasons) == {"synaptic_saliency is nan: weights or their gradients are not finite"}
    ranked = int((~has_convolution).sum())
    with pytest.raises(InputError, match=f"ranks {ranked} architectures"):
        run.candidate(ranked + 1)


# Going on after a stop


class Stop:
    """Interrupts a search after some proposals."""

    def __init__(self, after: int) -> None:
        self.after = after

    def __call__(self, state: Progress) -> None:
        if state.done == self.after:
            raise KeyboardInterrupt


KINDS: list[dict[str, Any]] = [
    {"sampler": "nsga2", "metrics": "synaptic_saliency"},
    {"sampler": "tpe", "metrics": "head_confidence,flops"},
    {"sampler": "random", "max_parameters": MIDDLE["max_parameters"]},
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: "-".join(map(str, k.values())))
def test_a_stopped_run_goes_on_as_if_it_had_not_been(
    kind: dict[str, Any], hunt: Hunt, tmp_path: Path, assert_same: Any
) -> None:
    with pytest.raises(KeyboardInterrupt):
        hunt(tmp_path / "stopped", **kind, on_progress=Stop(4))
    assert len(Run(tmp_path / "stopped").trials) == 4
    resumed = hunt(tmp_path / "stopped", **kind, resume=True)
    assert_same(resumed, hunt(tmp_path / "whole", **kind))


PROGRAM = """
import sys
from archscout import search
from archscout.spaces import EncoderScale
search("flexibert", sys.argv[1], "head_confidence", trials=5000, population_size=3,
       scale=EncoderScale(2, 8, 16, 16, "declared"), out=sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_killed_process_loses_nothing(
    hunt: Hunt, words: Path, tmp_path: Path, scored: list[str], assert_same: Any
) -> None:
    killed, trials = tmp_path / "killed", 24
    # Too many to be through with before the signal; only the first 24 matter.
    with subprocess.Popen([sys.executable, "-c", PROGRAM, str(words), str(killed)]) as process:
        deadline = time.monotonic() + 60
        while proposals_in(killed / "study.jsonl") < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    assert 5 <= proposals_in(killed / "study.jsonl") < trials
    known = {result_of(t)["fingerprint"] for t in Run(killed).trials}
    resumed = hunt(killed, trials=trials, resume=True)
    assert not known & set(scored)
    assert_same(resumed, hunt(tmp_path / "whole", trials=trials))


def test_another_tokenizer_is_refused(finished: Run, hunt: Hunt, tmp_path: Path) -> None:
    path = tmp_path / "run"
    shutil.copytree(finished.folder.path, path)
    usual: dict[str, Any] = {"metrics": "synaptic_saliency,parameters", "seed": 5, "resume": True}
    WordPiece.train("w q a z w s x e d c " * 30).save(tmp_path / "pieces.json")
    pieces = str(tmp_path / "pieces.json")
    with pytest.raises(InputError, match=r"tokenizer is '.*pieces.json', was None"):
        hunt(path, tokenizer=pieces, **usual)
    finished.vocabulary.save(pieces)
    given = hunt(tmp_path / "given", trials=2, tokenizer=pieces)
    assert given.settings.tokenizer == pieces
    # The same place, with something else in it.
    WordPiece.train("w q a z w s x e d c " * 30).save(pieces)
    with pytest.raises(InputError, match=r"the tokenizer makes other tokens than when .*given"):
        hunt(tmp_path / "given", trials=3, tokenizer=pieces, resume=True)
    assert len(Run(tmp_path / "given").trials) == 2
    # A run needs its tokenizer's place no more.
    Path(pieces).unlink()
    assert Run(tmp_path / "given").vocabulary.tokens == finished.vocabulary.tokens


# What becomes of it


def test_the_best_is_built_as_promised(finished: Run) -> None:
    best = Run(finished.folder.path).best
    network = best.build()
    assert sum(p.numel() for p in network.parameters()) == best.costs["parameters"]
    assert all(p.requires_grad for p in network.parameters())
    plain, same, other = (
        dict(n.named_parameters()) for n in (network, best.build(5), best.build())
    )
    assert all(value.equal(same[name]) for name, value in plain.items())
    assert all(value.equal(other[name]) for name, value in plain.items())
    changed = dict(best.build(6).named_parameters())
    assert not all(value.equal(changed[name]) for name, value in plain.items())
    tokens = torch.zeros(2, 8, dtype=torch.long)
    hidden = network.eval()(tokens).last_hidden_state
    assert hidden.shape == (2, 8, best.architecture.hidden_size)


def test_the_report_draws_the_encoder(finished: Run, tmp_path: Path) -> None:
    write_report(finished, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    best = finished.best
    drawn = [f'data-name="layer {i} ' in page for i in range(1, 5)]
    assert drawn == [i <= best.architecture.num_layers for i in range(1, 5)]
    assert best.fingerprint in page and SPACE.describe(best.architecture) in page


def test_candidates_are_exported_by_their_rank(finished: Run, tmp_path: Path) -> None:
    for rank in (1, 2):
        candidate = finished.candidate(rank)
        folder = export_candidate(candidate, tmp_path / str(rank))
        genotype = SPACE.parse(json.loads((folder / "genotype.json").read_text()))
        assert genotype == candidate.architecture
        tokens = WordPiece.load(folder / "vocabulary.json").tokens
        assert tokens == finished.vocabulary.tokens
        assert "weights drawn from seed 5" in (folder / "README.md").read_text()
