"""How fast is a search by each executor, and is its result the same?

The same search at fast scale on python-docs, with everything that a search does: in this process,
in two processes, and on Ray with two workers. Ray and the processes are started before the clock,
the processes by a small search, after which they wait for the next; they are used however little is
to be done. What the machine itself gives is measured, too: one process searches alone, and then as
many as there are workers do, each by itself. Without a word between them nothing is lost but what
cores share, so an executor is faster by chance alone. Rounds take all in turn, so that what else
the machine does meets all of them; ratios are of medians.

    python benchmarks/executors.py [--trials 1000] [--workers 2] [--rounds 3] [--sampler nsga2]
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path

from loky import ProcessPoolExecutor

import archscout
from archscout.execution import Cluster, check_workers
from archscout.execution import workers as executors
from archscout.runs.search_settings import SAMPLERS


def seconds(trials: int, workers: int | Cluster, sampler: str) -> tuple[float, str]:
    """What a search takes, and what it found."""
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = archscout.search(
            "rnn", trials=trials, sampler=sampler, workers=workers, out=Path(folder, "run")
        )
        return time.perf_counter() - start, run.table.drop(columns="seconds").to_json()


def at_once(
    pool: ProcessPoolExecutor, count: int, trials: int, sampler: str
) -> list[tuple[float, str]]:
    """What so many searches take and find that run at the same time, each by itself."""
    return list(pool.map(seconds, [trials] * count, [1] * count, [sampler] * count))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sampler", default="nsga2", choices=SAMPLERS)
    arguments = parser.parse_args()

    cluster = Cluster("local", arguments.workers)
    start = time.perf_counter()
    check_workers(cluster)
    print(f"starting Ray and asking its node for versions: {time.perf_counter() - start:.1f} s")
    places: dict[str, int | Cluster] = {
        "serial": 1,
        "processes": arguments.workers,
        "ray": cluster,
    }
    taken: dict[str, list[float]] = {name: [] for name in places}
    tables: set[str] = set()
    executors.WORTH_SECONDS = 0
    apart = ProcessPoolExecutor(arguments.workers)
    alone: list[float] = []
    beside: list[float] = []
    for _ in range(arguments.rounds):
        for name, place in places.items():
            seconds(50, place, arguments.sampler)  # starts what is not there
            took, table = seconds(arguments.trials, place, arguments.sampler)
            taken[name].append(took)
            tables.add(table)
        at_once(apart, arguments.workers, 50, arguments.sampler)
        for taking, count in ((alone, 1), (beside, arguments.workers)):
            for took, table in at_once(apart, count, arguments.trials, arguments.sampler):
                taking.append(took)
                tables.add(table)
    medians = {name: statistics.median(times) for name, times in taken.items()}
    for name, times in taken.items():
        print(
            f"{name}: {medians[name]:.1f} s ({', '.join(f'{each:.1f}' for each in times)}), "
            f"{medians['serial'] / medians[name]:.2f} times as fast as serial"
        )
    one, each = statistics.median(alone), statistics.median(beside)
    print(
        f"processes that know nothing of each other: {one:.1f} s alone, {each:.1f} s at once, "
        f"{arguments.workers * one / each:.2f} times as fast as one of them"
    )
    print(f"ray takes {medians['ray'] / medians['processes']:.2f} times what processes take")
    print(f"{len(tables)} different table(s) of results; 1 is right")


if __name__ == "__main__":
    main()
