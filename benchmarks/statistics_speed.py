"""How long do the statistics of metrics take, against calling scipy for every resample?

Times `compare` with every statistic, on random scores and a control. The plain implementation is
timed on Kendall's tau alone: `scipy.stats.kendalltau` on a few resamples of one metric, and from
that extrapolated to all metrics and resamples, three taus each as the partial correlation needs
(that of result and control once).

    python benchmarks/statistics_speed.py [--architectures 10000] [--metrics 30] [--resamples 1000]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import pandas as pd
from scipy.stats import kendalltau

from archscout.analysis.statistics import compare

PLAIN_RESAMPLES = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--architectures", type=int, default=10_000)
    parser.add_argument("--metrics", type=int, default=30)
    parser.add_argument("--resamples", type=int, default=1000)
    arguments = parser.parse_args()
    generator = np.random.default_rng(0)
    n = arguments.architectures
    result = generator.normal(size=n)
    noise = generator.normal(size=(n, arguments.metrics))
    scores = pd.DataFrame(result[:, None] + noise).add_prefix("metric_")
    control = pd.Series(result + generator.normal(size=n))

    start, start_of_cpu = time.perf_counter(), time.process_time()
    compare(scores, pd.Series(result), control=control, resamples=arguments.resamples)
    seconds = time.perf_counter() - start
    cpu = time.process_time() - start_of_cpu
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(
        f"{n} architectures, {arguments.metrics} metrics, {arguments.resamples} resamples: "
        f"{seconds:.1f} s for all statistics, {cpu:.1f} s of all cores, "
        f"at most {memory:.1f} GiB of memory"
    )

    one = plain_seconds(scores["metric_0"].to_numpy(), result, generator)
    plain = one * arguments.resamples * (2 * arguments.metrics + 1)
    print(
        f"scipy.stats.kendalltau: {1000 * one:.2f} ms a resample ({PLAIN_RESAMPLES} timed); "
        f"extrapolated to the same taus {plain:.0f} s, {plain / seconds:.1f} times as long"
    )


def plain_seconds(score: np.ndarray, result: np.ndarray, generator: np.random.Generator) -> float:
    """Of one tau of one resample."""
    start = time.perf_counter()
    for _ in range(PLAIN_RESAMPLES):
        drawn = generator.integers(len(result), size=len(result))
        kendalltau(score[drawn], result[drawn])
    return (time.perf_counter() - start) / PLAIN_RESAMPLES


if __name__ == "__main__":
    main()
