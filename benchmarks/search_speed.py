"""How many architectures a second does a search score, from genotype to stored score?

Runs a search at fast scale on python-docs into a temporary folder, with everything that a search
does (proposing, building, scoring, storing each trial), and prints architectures a second and
what share of the time is the search's own overhead.

    python benchmarks/search_speed.py [--trials 500] [--sampler nsga2]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import archscout


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=500)
    parser.add_argument("--sampler", default="nsga2")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        run = archscout.search(
            "rnn",
            trials=arguments.trials,
            sampler=arguments.sampler,
            out=Path(folder, "run"),
        )
        seconds = time.perf_counter() - start
        table = run.table
        scoring = table["seconds"].sum()
        print(
            f"{arguments.sampler}: {arguments.trials} proposals, {len(table)} architectures in "
            f"{seconds:.1f} s: {len(table) / seconds:.1f} architectures a second; "
            f"{100 * scoring / seconds:.0f} % of the time is scoring"
        )


if __name__ == "__main__":
    main()
