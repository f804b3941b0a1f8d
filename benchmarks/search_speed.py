"""How fast is a search, and what does it cost to propose and store a candidate?

First the whole: a search at fast scale on python-docs into a temporary folder, with everything that
a search does, in architectures a second. Then proposing and storing apart from scoring: the
objective is the number of parameters, which needs no network with weights; processor time of a
proposal without what the evaluation takes, after few proposals and after many.

With --beside the whole alone, and that of an earlier commit in one process: in turn, each round in
a process of its own that first searches a little and then three times, of which the median counts.
Workers are there before the clock, as for a second search in one program.

    python benchmarks/search_speed.py [--trials 500] [--sampler nsga2] [--many 20000]
    python benchmarks/search_speed.py --beside COMMIT [--workers 2] [--rounds 6]
"""

from __future__ import annotations

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

import archscout
from archscout.runs.evaluator import Evaluator

_SHARE = 400  # proposals over which a mean is taken

# By what earlier commits have, too: the first had no workers.
_SEARCHES = """
import statistics, sys, tempfile, time
import archscout

trials, workers = map(int, sys.argv[1:])
options = {"workers": workers} if workers > 1 else {}
if options:
    from archscout.execution import workers as executors
    executors.WORTH_SECONDS = 0

def speed(trials):
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = archscout.search("rnn", trials=trials, out=folder + "/run", **options)
        return len(run.table) / (time.perf_counter() - start)

speed(50)
print(statistics.median(speed(trials) for _ in range(3)))
"""


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


def beside(commit: str, trials: int, workers: int, rounds: int) -> None:
    """Searches of an earlier commit in one process and of this one in workers, in turn."""
    root = Path(__file__).parents[1]
    git = ["git", "-C", str(root), "archive", "--format=tar", commit, "src"]
    packed = subprocess.run(git, stdout=subprocess.PIPE)
    if packed.returncode:
        raise SystemExit(f"--beside takes a commit of this repository, not {commit!r}")
    speeds: dict[str, list[float]] = {commit: [], "now": []}
    with tempfile.TemporaryDirectory() as folder:
        with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
            archive.extractall(folder, filter="data")
        for _ in range(rounds):
            for name, source, count in ((commit, folder, 1), ("now", root, workers)):
                command = [sys.executable, "-c", _SEARCHES, str(trials), str(count)]
                environment = os.environ | {"PYTHONPATH": str(Path(source, "src"))}
                ended = subprocess.run(
                    command, check=True, stdout=subprocess.PIPE, text=True, env=environment
                )
                speeds[name].append(float(ended.stdout))
    medians = {name: statistics.median(each) for name, each in speeds.items()}
    for name, each in speeds.items():
        print(
            f"{name}: {medians[name]:.1f} architectures a second "
            f"({', '.join(f'{speed:.1f}' for speed in each)})"
        )
    print(f"{medians['now'] / medians[commit]:.2f} times as many")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--sampler", default="nsga2")
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--beside", metavar="COMMIT")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    arguments = parser.parse_args()
    if arguments.beside:
        beside(arguments.beside, arguments.trials, arguments.workers, arguments.rounds)
        return
    whole(arguments.trials, arguments.sampler)
    for sampler in ("nsga2", "random"):
        proposing(sampler, [500, arguments.many])


if __name__ == "__main__":
    main()
