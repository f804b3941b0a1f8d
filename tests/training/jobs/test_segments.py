"""Segments in a row: the numbers of one training that never stopped."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
from collections import deque
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from archscout import spaces
from archscout.errors import InputError
from archscout.execution import Workers
from archscout.spaces.recurrent.cells import CELLS
from archscout.text import WordPiece, load_corpus
from archscout.training import Paused, TrainingFolder, train
from archscout.training.jobs import (
    Job,
    Part,
    Plan,
    Segment,
    Shared,
    lost_segment,
    next_stop,
    train_segment,
)
from archscout.training.jobs.state import unpack
from pretraining_runs import ENCODER
from pretraining_runs import SCALE as ENCODER_SCALE
from pretraining_runs import SETTINGS as PRETRAINING
from training_runs import SCALE, SETTINGS

RNN = Job("rnn", spaces.get("rnn").to_dict(CELLS["lstm"]), 3)
ENCODER_JOB = Job("encoder", ENCODER, 3)


def cells(words: Path, **changes: Any) -> Shared:
    corpus = load_corpus(words)
    settings = SETTINGS.resized(**changes)
    return Shared.of(Plan.of(spaces.get("rnn"), corpus, settings, SCALE, keep_weights=True), corpus)


def encoders(words: Path, **changes: Any) -> Shared:
    corpus, settings = load_corpus(words), PRETRAINING.resized(**changes)
    plan = Plan.of(spaces.get("flexibert"), corpus, settings, ENCODER_SCALE, 40, keep_weights=True)
    return Shared.of(plan, corpus)


def chain(shared: Shared, job: Job, *stops: float | None) -> list[Segment]:
    """A segment up to each stop."""
    found: list[Segment] = []
    for until in stops:
        found.append(train_segment(shared, Part(job, found[-1].state if found else None, until)))
    return found


def numbers(segment: Segment) -> Any:
    """Without times."""
    times = ("seconds", "tokens_per_second")
    result = {k: v for k, v in (segment.result or {}).items() if k not in times}
    return result, [{k: v for k, v in line.items() if k not in times} for line in segment.curve]


def weights(segment: Segment) -> dict[str, bytes]:
    assert segment.state is not None
    files = load(segment.state)
    return {
        f"{name}/{tensor}": values.tobytes()
        for name in files
        if name.startswith(("best-", "model/model"))
        for tensor, values in load(files[name].tobytes()).items()
    }


@pytest.mark.parametrize("stops", [(0.1, 0.34, 0.5, None), (1 / 3, 2 / 3, 1.0)])
def test_cells(words: Path, stops: tuple[float | None, ...]) -> None:
    shared = cells(words, schedule="cosine", warm_up=0.1)
    (whole,) = chain(shared, RNN, None)
    parts = chain(shared, RNN, *stops)
    assert numbers(parts[-1]) == numbers(whole) and weights(parts[-1]) == weights(whole)
    for segment, until in zip(parts[:-1], stops, strict=False):
        assert until is not None and segment.loss is not None and not segment.is_over
        assert until - 0.001 <= segment.done < until + 0.1
    assert whole.is_over and whole.done == 1 and not whole.is_stopped
    assert whole.result is not None and whole.loss == whole.result["losses"]["valid"]["nats"]


def test_an_interrupt_in_the_last_evaluation_stops_what_follows(words: Path) -> None:
    shared = cells(words)
    (whole,) = chain(shared, RNN, None)

    def interrupt(progress: Any) -> None:
        if progress.tokens == progress.total_tokens:
            os.kill(os.getpid(), signal.SIGINT)

    stopped = train_segment(shared, Part(RNN, None, None), interrupt)
    assert stopped.is_stopped and stopped.state is not None
    assert len(stopped.curve) == len(whole.curve)
    after = train_segment(shared, Part(RNN, stopped.state, None))
    assert numbers(after) == numbers(whole) and weights(after) == weights(whole)


def test_the_curve_of_a_training_that_is_lost_is_kept(words: Path) -> None:
    (segment,) = chain(cells(words), RNN, 0.7)
    lost = lost_segment(Part(RNN, segment.state, None), "two workers died")
    assert lost.problem == "two workers died" and len(lost.curve) > 0
    assert list(lost.curve) == list(segment.curve)
    assert not lost_segment(Part(RNN, None, None), "two workers died").curve


@pytest.mark.parametrize("changes", [{}, {"task": "masked", "milestones": 6}])
def test_encoders(words: Path, changes: dict[str, Any]) -> None:
    shared = encoders(words, **changes)
    (whole,) = chain(shared, ENCODER_JOB, None)
    parts = chain(shared, ENCODER_JOB, 0.2, 1 / 3, 0.75, None)
    assert numbers(parts[-1]) == numbers(whole) and weights(parts[-1]) == weights(whole)
    # At a third an evaluation had just been made.
    assert parts[1].loss == parts[1].curve[-1]["valid_objective"]
    names = [name for name in load(whole.state or b"") if name.startswith("milestones/")]
    assert set(names) <= set(load(parts[-1].state or b"")) and bool(names) == bool(changes)


def test_a_tokenizer_travels_with_the_text(words: Path, tmp_path: Path) -> None:
    trained = encoders(words)
    place = tmp_path / "pieces.json"
    WordPiece.train(trained.corpus, 40).save(place)
    plan = dataclasses.replace(trained.plan, vocabulary_limit=None, tokenizer=str(place))
    ready = Shared.of(plan, trained.corpus)
    place.unlink()
    (segment,), (expected,) = (chain(each, ENCODER_JOB, 0.2) for each in (ready, trained))
    assert segment.loss == expected.loss


def test_the_loss_where_it_stops_is_the_validation_loss(words: Path, tmp_path: Path) -> None:
    at_end = train("rnn", "lstm", words, SETTINGS, tmp_path / "a", scale=SCALE, seed=3, until=1 / 3)
    assert isinstance(at_end, Paused)
    (record,) = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").open()]
    assert at_end.loss == record["valid_loss"] and at_end.done == pytest.approx(1 / 3)
    options: dict[str, Any] = {"scale": SCALE, "seed": 3, "resume": True, "until": 0.2}
    again = train("rnn", "lstm", words, SETTINGS, tmp_path / "a", **options)
    assert isinstance(again, Paused) and again.loss == at_end.loss  # it is past that already
    with pytest.raises(InputError, match="until 0; accepted is a part of the training"):
        train("rnn", "lstm", words, SETTINGS, tmp_path / "b", until=0)


def test_a_rung_by_workers_is_what_one_process_finds(words: Path) -> None:
    shared = cells(words)
    jobs = [dataclasses.replace(RNN, name=str(seed), seed=seed) for seed in range(3)]
    found: list[dict[str, float | None]] = []
    for count in (1, 2):
        losses: dict[str, float | None] = {}
        waiting = deque(Part(job, None, 0.2) for job in jobs)
        with Workers(shared, count, len(jobs), worth=0) as workers:
            for part, segment in workers.as_they_come(train_segment, waiting, lost_segment):
                losses[f"{part.job.name} {part.until}"] = segment.loss
                if part.job.name == "1" and part.until == 0.2:
                    waiting.append(Part(part.job, segment.state, 0.5))
        found.append(dict(sorted(losses.items())))
    assert found[0] == found[1] and len(found[0]) == 4


@pytest.mark.parametrize(
    ("done", "pace", "end", "stop"),
    [
        (0.0, 0.0, 1.0, 0.001),  # which tells the pace
        (0.25, 0.001, 1.0, 0.31),  # a minute on
        (0.25, 0.00001, 1.0, 0.251),  # or, of ten hours and more, a thousandth
        (0.25, 0.0015, 1 / 3, 1 / 3),
        (0.25, 0.0012, 1 / 3, 1 / 3),  # nearly there
        (0.9, 0.001, 1.0, None),
    ],
)
def test_a_segment_takes_about_a_minute(
    done: float, pace: float, end: float, stop: float | None
) -> None:
    assert next_stop(done, pace, end) == (None if stop is None else pytest.approx(stop))


def test_divergence_ends_a_chain(words: Path) -> None:
    (segment,) = chain(cells(words, learning_rate=1e30, clip=1e30), RNN, 0.5)
    assert segment.is_over and segment.result is None
    assert segment.problem is not None and segment.problem.startswith("training diverged")


def test_a_state_stays_in_its_folder(tmp_path: Path) -> None:
    state = save({"../else": np.zeros(1, np.uint8)})
    with pytest.raises(InputError, match=r"names \.\./else, a file outside of its folder"):
        unpack(bytes(state), TrainingFolder(tmp_path / "t"))
    assert not list(tmp_path.iterdir())
