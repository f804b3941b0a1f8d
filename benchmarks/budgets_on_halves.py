"""Does a search find more than random ones halved on a pool, or is that the luck of one pool?

A search of a whole pool finds the same in any order, so its result has no standard error. Here it
searches random halves of the pool, each with the named architectures, and the differences between
ways of spending a budget are paired by half.

    python benchmarks/budgets_on_halves.py BENCHMARK... [--dataset NAME] [--data-dir DIR]
        [--halves 100] [--seed 0] [--out DIR]
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from archscout.analysis.evaluation import evaluate
from archscout.analysis.evaluation_results import Evaluation
from archscout.benchmarks import DataFolder, load
from archscout.promotion.strategies import STRATEGIES
from archscout.spaces import live, names

BUDGETS = (2, 5, 10)
SEARCH, _, CONTROL, _ = STRATEGIES


def on_halves(evaluation: Evaluation, halves: int, seed: int) -> pd.DataFrame:
    """Percentiles (halves x budgets, strategies): the share of a half that is better, in %."""
    benchmark, rows = evaluation.benchmark, evaluation.rows
    space, generator = benchmark.space, np.random.default_rng(seed)
    marks = names(space)
    named = [
        name
        for name in evaluation.scores.index
        if space.fingerprint(live(space, benchmark.architectures[name])) in marks
    ]
    others = evaluation.scores.index.difference(named)
    found = {}
    for half in range(halves):
        chosen = [*named, *generator.choice(others, len(others) // 2, replace=False)]
        part = replace(evaluation, rows=rows[rows["architecture"].isin(chosen)])
        table = part.compare_budgets(half, orders=20, budgets=BUDGETS)
        if table is None:
            raise SystemExit(f"{benchmark.name} ({benchmark.dataset}) has no learning curves")
        found[half] = table.pivot(index="budget", columns="strategy", values="percentile")
    return pd.concat(found, names=["half"])


def show(evaluation: Evaluation, found: pd.DataFrame) -> None:
    """The means over halves, and what the search is better by than random ones halved."""
    table = found.groupby("budget").mean()
    paired = (found[CONTROL] - found[SEARCH]).groupby("budget")
    table["better by"], table["error"] = paired.mean(), paired.sem()
    benchmark = evaluation.benchmark
    halves = found.index.get_level_values("half").nunique()
    print(f"\n{benchmark.name} ({benchmark.dataset}), {len(evaluation.scores)} architectures")
    print(f"Better ones than what is found, in % of a half, mean over {halves} halves")
    print(table.round(2).to_string())


def main() -> None:
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("benchmarks", metavar="BENCHMARK", nargs="+")
    parser.add_argument("--dataset", help="of the benchmarks, where there is a choice")
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--halves", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0, help="of the halves")
    parser.add_argument("--out", type=Path, help="keeps the evaluations")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for name in given.benchmarks:
            benchmark = load(name, DataFolder(given.data_dir), given.dataset)
            space = benchmark.space
            place = (given.out or Path(folder)) / f"{benchmark.name}-{benchmark.dataset}"
            evaluation = evaluate(
                benchmark,
                out=place,
                resume=(place / "evaluation.json").exists(),
                data_dir=given.data_dir,
                metrics=[space.default_metric, *getattr(space, "other_metrics", ())],
            )
            show(evaluation, on_halves(evaluation, given.halves, given.seed))


if __name__ == "__main__":
    main()
