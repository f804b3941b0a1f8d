"""How fast is a search, and what does it cost to propose and store a candidate?

First the whole: a search at fast scale on python-docs into a temporary folder, with everything that
a search does, in architectures a second. Then proposing and storing apart from scoring: the
objective is the number of parameters, which needs no network with weights; processor time of a
proposal without what the evaluation takes, after few proposals and after many, and beside it the
way of earlier versions: a sampler made anew for every trial, over all trials, and SQLite.

    python benchmarks/search_speed.py [--trials 500] [--sampler nsga2] [--many 20000]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import optuna

import archscout
from archscout.runs.evaluator import Evaluator
from archscout.spaces import RecurrentSpace

_SHARE = 400  # proposals over which a mean is taken


class Clock:
    """Processor time of this process, but for evaluations."""

    def __init__(self) -> None:
        self.evaluating = 0.0
        self._evaluate = Evaluator.evaluate

    def __enter__(self) -> Clock:
        def evaluate(evaluator: Evaluator, architecture: object) -> object:
            start = time.process_time()
            found = self._evaluate(evaluator, architecture)
            self.evaluating += time.process_time() - start
            return found

        Evaluator.evaluate = evaluate  # type: ignore[assignment,method-assign]
        return self

    def __exit__(self, *_: object) -> None:
        Evaluator.evaluate = self._evaluate  # type: ignore[method-assign]

    def now(self) -> float:
        return time.process_time() - self.evaluating


def whole(trials: int, sampler: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = archscout.search("rnn", trials=trials, sampler=sampler, out=Path(folder, "run"))
        seconds = time.perf_counter() - start
    scoring = run.table["seconds"].sum()
    print(
        f"{sampler}: {trials} proposals, {len(run.table)} architectures in {seconds:.1f} s: "
        f"{len(run.table) / seconds:.1f} architectures a second; "
        f"{100 * scoring / seconds:.0f} % of the time is scoring"
    )


def proposing(sampler: str, counts: list[int]) -> None:
    """Milliseconds of processor time a proposal, at the end of so many."""
    times: list[float] = []
    with tempfile.TemporaryDirectory() as folder, Clock() as clock:
        archscout.search(
            "rnn",
            metrics="parameters:max",
            trials=max(counts),
            sampler=sampler,
            out=Path(folder, "run"),
            on_progress=lambda _: times.append(clock.now()),
        )
    for count in counts:
        milliseconds = 1e3 * (times[count - 1] - times[count - 1 - _SHARE]) / _SHARE
        print(f"{sampler}: {milliseconds:6.2f} ms a proposal, up to proposal {count:,}")


def as_earlier(trials: int) -> None:
    """The same in one process as before batches and journals, NSGA-II."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    space = RecurrentSpace()
    with tempfile.TemporaryDirectory() as folder:
        stored = optuna.create_study(storage=f"sqlite:///{folder}/study.db", direction="maximize")
        memory = optuna.create_study(direction="maximize")
        start = 0.0
        for number in range(trials):
            if number == trials - _SHARE:
                start = time.process_time()
            memory.sampler = optuna.samplers.NSGAIISampler(seed=number)
            trial = memory.ask()
            genotype = space.suggest(trial)
            trial.set_user_attr("result", {"architecture": space.to_dict(genotype)})
            stored.add_trial(memory.tell(trial, float(len(genotype.nodes))))
    milliseconds = 1e3 * (time.process_time() - start) / _SHARE
    print(f"nsga2: {milliseconds:6.2f} ms a proposal as in earlier versions, up to {trials:,}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--sampler", default="nsga2")
    parser.add_argument("--many", type=int, default=20_000)
    arguments = parser.parse_args()
    whole(arguments.trials, arguments.sampler)
    as_earlier(500)
    for sampler in ("nsga2", "random"):
        proposing(sampler, [500, arguments.many])


if __name__ == "__main__":
    main()
