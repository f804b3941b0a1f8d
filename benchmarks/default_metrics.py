"""How the default metrics of a search do on the architectures that had no part in choosing them.

The architectures of a published benchmark are set apart in three by their fingerprints: on those
of the first part forms of a metric were tried and compared (design), on those of the second one
form was chosen (choice), and the third was looked at when nothing was left to choose (report).

    python benchmarks/default_metrics.py [--data-dir DIR] [--text TEXT] [--seed 0] [--out DIR]
"""

from __future__ import annotations

import argparse
import hashlib
import tempfile
from pathlib import Path

import pandas as pd

from archscout.analysis.evaluation import evaluate
from archscout.analysis.evaluation_results import Evaluation
from archscout.analysis.statistics import compare
from archscout.benchmarks import DataFolder, load
from archscout.spaces import FlexibertSpace

PARTS = ("design", "choice", "report")
RECURRENT = (
    "amplified_memory,responsive_memory,linear_memory,token_sensitivity,hidden_covariance,"
    "l2_norm,parameters,depth"
)
ENCODERS = (
    "deep_memory,linear_memory_lag_0,l2_norm,softmax_confidence,parameters,"
    "depth_squared_times_width"
)


def part_of(fingerprint: str) -> str:
    """Which part an architecture belongs to, whatever else there is."""
    return PARTS[int(hashlib.sha256(f"0:{fingerprint}".encode()).hexdigest(), 16) % 3]


def show(evaluation: Evaluation) -> None:
    benchmark = evaluation.benchmark
    parts = pd.Series(
        {
            name: part_of(benchmark.space.fingerprint(a))
            for name, a in benchmark.architectures.items()
        }
    )
    print(f"\n{benchmark.name} ({benchmark.dataset}), Kendall's tau-b and pairs ordered right")
    for part in (*PARTS, "all"):
        chosen = parts.index if part == "all" else parts.index[parts == part]
        scores = evaluation.scores.loc[evaluation.scores.index.intersection(chosen)]
        results = benchmark.results[benchmark.target].reindex(scores.index)
        table = compare(
            scores,
            results,
            larger_is_better=evaluation.larger_is_better,
            result_larger_is_better=benchmark.larger_is_better,
        ).table
        print(f"  {part}: {results.notna().sum()} architectures")
        for name, row in table.sort_values("kendall", ascending=False).iterrows():
            print(
                f"    {name:32} {row['kendall']:6.3f} "
                f"[{row['kendall_low']:.3f}, {row['kendall_high']:.3f}]  {row['pairs']:.3f} "
                f"[{row['pairs_low']:.3f}, {row['pairs_high']:.3f}]"
            )


def main() -> None:
    formatter = argparse.RawTextHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=formatter)
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--text", help="that networks are scored on; the benchmark's by default")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="keeps the evaluations")
    given = parser.parse_args()
    data = DataFolder(given.data_dir)
    trained = FlexibertSpace.scales["fast"].resized(reading="trained")
    with tempfile.TemporaryDirectory() as folder:
        out = given.out or Path(folder)
        for name, dataset, metrics, scale in (
            ("nas-bench-nlp", "wikitext-2", RECURRENT, None),
            ("nas-bench-nlp", "ptb", RECURRENT, None),
            ("nas-bench-bert", None, ENCODERS, trained),
        ):
            benchmark = load(name, data, dataset)
            place = out / f"{name}-{benchmark.dataset}"
            done = evaluate(
                benchmark,
                out=place,
                data_dir=given.data_dir,
                text=given.text,
                metrics=metrics,
                scale=scale,
                seed=given.seed,
                resume=(place / "evaluation.json").exists(),
            )
            show(done)


if __name__ == "__main__":
    main()
