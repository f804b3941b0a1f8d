"""How costs order decoders beside the latency and memory that were measured on three devices.

    python benchmarks/device_costs.py [--data-dir FOLDER] [--most N]

LiteTransformerSearch published latency and peak memory of the decoders on its Pareto fronts, on an
ARM core, a Core i7 and a Titan Xp. Printed for each device: n, and Spearman's ρ of these with costs
of the same decoders: parameters, FLOPs and memory from their shapes, and latency on one thread of
this machine, at the scale of LM1B with its 50,264 tokens. Decoders are taken evenly by their
published latency where there are more than N.
"""

import argparse

import numpy as np
import pandas as pd
import torch
from scipy.stats import spearmanr

from archscout import benchmarks
from archscout.errors import InputError
from archscout.runs.costs import measure

DEVICES = ("lm1b-arm", "lm1b-corei7", "lm1b-titanxp")
COSTS = ("parameters", "flops", "memory", "latency")
TOKENS = 50264


def costs_of(benchmark: benchmarks.Benchmark, most: int) -> pd.DataFrame:
    """Of the decoders that are taken, by name, beside what is published."""
    published = benchmark.results[["decoder_parameters", "latency_ms", "memory_mb"]]
    published = published.dropna().sort_values("latency_ms")
    places = np.linspace(0, len(published) - 1, min(most, len(published))).round().astype(int)
    taken = published.iloc[places]
    scale = benchmark.space.scales["paper-lm1b"].resized(batch_size=1)
    rows = {
        name: measure(benchmark.space, benchmark.architectures[name], TOKENS, scale, COSTS)
        for name in taken.index
    }
    return taken.join(pd.DataFrame.from_dict(rows, orient="index"))


def main() -> None:
    """Print a table for each device."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data-dir", help="Folder of published files; the default one if left out."
    )
    parser.add_argument("--most", type=int, default=28, metavar="N", help="Decoders of a device.")
    given = parser.parse_args()
    torch.set_num_threads(1)
    for dataset in DEVICES:
        try:
            benchmark = benchmarks.load("lts-gpt2", benchmarks.DataFolder(given.data_dir), dataset)
        except InputError as error:
            print(error)
            continue
        table = costs_of(benchmark, given.most)
        print(f"\n{dataset}, n {len(table)}")
        for cost in ("decoder_parameters", *COSTS):
            found = [spearmanr(table[cost], table[to])[0] for to in ("latency_ms", "memory_mb")]
            print(f"{cost:<20} latency {found[0]:6.3f}  memory {found[1]:6.3f}", flush=True)


if __name__ == "__main__":
    main()
