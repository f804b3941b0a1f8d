"""A worker: a process that takes jobs from a queue until there are none.

It is started by name (`python -m archscout.training.jobs.worker FOLDER`), for to fork beside
torch's threads is unsafe. It stops, with a checkpoint, when its standard input ends: whoever
started it closes it, or has died. Each line that it prints is a message for that one, as JSON.
"""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from archscout import spaces
from archscout.errors import InputError
from archscout.scoring import resolve_scale
from archscout.text import Corpus, load_corpus
from archscout.training import find_trainer, train
from archscout.training.jobs.queue import (
    BEAT_SECONDS,
    Claim,
    ClaimLost,
    Job,
    Outcome,
    Queue,
)
from archscout.training.outcome import Diverged
from archscout.training.training_folder import METRICS, RESULT

Warn = Callable[[str], None]

# What torch says of a device that gives no right answers any more, to whatever it is asked.
_BROKEN = ("CUDA error", "cuDNN error", "CUBLAS error")


def work(queue: Queue, warn: Warn, stop: threading.Event | None = None) -> None:
    """Train what the queue holds, one job after the other, until there is nothing to take.

    Args:
        queue: of trainings.
        warn: called with what the user should know.
        stop: take no more jobs once it is set.

    Raises:
        InputError: a file cannot be written, the text is another, or the device is broken; what is
            finished is kept.
        KeyboardInterrupt: Ctrl-C; the job at hand has a checkpoint, and others may take it.
    """
    corpus = load_corpus(list(queue.plan.text))
    found = (corpus.sha256, corpus.names())
    if found != (queue.plan.sha256, queue.plan.parts):
        raise InputError(
            f"the text {corpus.name} is not the one that {queue.path} was begun with: its SHA-256 "
            f"is {corpus.sha256[:12]}... ({', '.join(corpus.names())}), and was "
            f"{queue.plan.sha256[:12]}... ({', '.join(queue.plan.parts)})"
        )
    while not (stop and stop.is_set()) and (taken := queue.take()):
        job, claim = taken
        try:
            with _Pulse(queue, claim) as pulse:
                outcome = _train(queue, job, corpus, pulse, warn)
            queue.finish(claim, outcome)
        except ClaimLost:
            warn(f"{job.name} was taken by another worker, for this one had stood still")
        except BaseException:
            # Of two errors the first one says more.
            with suppress(InputError):
                queue.release(claim)
            raise


def _train(queue: Queue, job: Job, corpus: Corpus, pulse: _Pulse, warn: Warn) -> Outcome:
    plan, start = queue.plan, time.monotonic()
    space = spaces.get(plan.space)
    problem = None
    try:
        train(
            space,
            space.parse(job.architecture),
            corpus,
            find_trainer(space.name).settings_type().resized(**plan.settings),
            queue.training(job),
            scale=dataclasses.replace(resolve_scale(space, None), **plan.scale),
            seed=job.seed,
            vocabulary_limit=plan.vocabulary_limit,
            device=plan.device,
            resume=True,
            keep_model=plan.keep_weights,
            tokenizer=plan.tokenizer,
            on_progress=pulse.on_progress,
            on_warning=lambda message: warn(f"{job.name}: {message}"),
        )
    except Diverged as error:
        problem = str(error).partition(";")[0]
    # What torch raises for a network that does not fit into memory, or an operation without a
    # gradient: the architecture's fault, not the worker's.
    except (RuntimeError, MemoryError) as error:
        if str(error).startswith(_BROKEN):
            raise InputError(f"the device {plan.device} is broken: {_first_line(error)}") from error
        problem = f"{type(error).__name__}: {_first_line(error)}"
    folder = queue.training(job)
    result = json.loads((folder / RESULT).read_text(encoding="utf-8")) if problem is None else {}
    # The training counts on where another worker left it.
    seconds = max(time.monotonic() - start, result.get("seconds", 0.0))
    return Outcome(job.name, problem, seconds, result, _records(folder / METRICS))


def _records(path: Path) -> list[dict[str, Any]]:
    """What was recorded, none where the training ended before."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return []
    return [json.loads(line) for line in lines]


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0]


class _Pulse:
    """Keeps a claim fresh while a training goes on, as a context.

    From a thread of its own, for an evaluation may take longer than a claim may be silent.
    """

    def __init__(self, queue: Queue, claim: Claim) -> None:
        self._queue, self._claim = queue, claim
        self._over = threading.Event()
        self._failure: Exception | None = None
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def __enter__(self) -> _Pulse:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _beat(self) -> None:
        while not self._over.wait(BEAT_SECONDS):
            try:
                self._queue.beat(self._claim)
            # Whatever it is: without a sign of life another worker takes the job.
            except Exception as error:
                self._failure = error
                return

    def on_progress(self, progress: Any) -> None:
        """Note how far the training is.

        Raises:
            ClaimLost: another worker has taken the job.
            InputError: the claim cannot be written.
        """
        if self._failure is not None:
            raise self._failure
        done = progress.tokens / max(progress.total_tokens, 1)
        note = f"{progress.tokens_per_second:,.0f} tokens/s"
        self._claim = dataclasses.replace(self._claim, done=done, note=note)


def _stop_with_parent() -> threading.Event:
    """As Ctrl-C, when standard input ends; the event tells the same to who was not interrupted."""
    stop = threading.Event()

    def listen() -> None:
        # Without Python's buffer, whose lock a thread may hold when the process ends.
        while os.read(sys.stdin.fileno(), 1):
            pass
        stop.set()
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=listen, daemon=True).start()
    return stop


def _tell(kind: str, message: str) -> None:
    print(json.dumps({kind: message}), flush=True)


def main(path: str) -> int:
    """Work until there is nothing to take; returns the exit status."""
    # A shell that starts a process in the background may have it ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        queue = Queue(Path(path))
        torch.set_num_threads(queue.plan.threads)
        stop = _stop_with_parent()
        work(queue, lambda message: _tell("warning", message), stop)
    except InputError as error:
        _tell("error", str(error))
        return 2
    except OSError as error:  # of a library that writes files, such as TensorBoard's
        _tell("error", f"cannot go on: {error.strerror or error}")
        return 2
    except KeyboardInterrupt:
        return 130
    return 130 if stop.is_set() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
