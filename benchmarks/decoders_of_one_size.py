"""What metrics say of decoders beyond their size, on a part that they were not chosen by.

    python benchmarks/decoders_of_one_size.py [--data-dir FOLDER]

LiteTransformerSearch's decoders, where they are at hand, and archscout-mini-gpt's. The exponents of
`decoder_capacity` and `decoder_memory` were chosen on the former whose name has an even CRC-32, and
those of `decoder_memory` also on the first 44 of the latter. Printed for these, for the others and
for all: n, Spearman's rho, its mean inside fifths by size, and the share of pairs ordered right
whose sizes differ by at most 5 %, of archscout-mini-gpt Kendall's tau, with 95 % intervals. The
products show what there was to choose from.
"""

import argparse
import math
import zlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from archscout import Scorer, benchmarks
from archscout.analysis.beyond_size import COLUMNS, beyond_size
from archscout.analysis.statistics import compare
from archscout.errors import InputError

SIZE, DIMENSION = "non_embedding_parameters", "embedding_dimension"
SHARE, MEMORY = "token_share", "linear_memory_lag_0"
NAMES = (SIZE, DIMENSION, SHARE, MEMORY, "decoder_capacity", "decoder_memory")
# Of dimension, share and memory.
POWERS = (
    *((0.25, 0, 0), (0.75, 0, 0), (1, 0, 0)),
    *((0.5, 0, 1), (0.5, 0.5, 1), (0.5, 1, 1), (0.375, 1, 1), (0, 0, 1)),
)
FIRST = 44
RESAMPLES = 1000


def scored(benchmark: benchmarks.Benchmark, vocabulary_size: int | None = None) -> pd.DataFrame:
    """Metrics and products by decoder."""
    scorer = Scorer(benchmark.space, "python-docs", NAMES, vocabulary_size=vocabulary_size)
    rows = {entry.name: scorer.score(entry.architecture).scores for entry in benchmark}
    table = pd.DataFrame.from_dict(rows, orient="index")[list(NAMES)]
    for powers in POWERS:
        factors = zip((DIMENSION, SHARE, MEMORY), powers, strict=True)
        product = math.prod((table[name] ** power for name, power in factors), start=table[SIZE])
        table[f"size x dimension^{powers[0]:g} x share^{powers[1]:g} x memory^{powers[2]:g}"] = (
            product
        )
    return table


def show(title: str, table: pd.DataFrame, columns: Sequence[str]) -> None:
    """Print statistics with their intervals."""
    print(f"\n{title}")
    for name, row in table.iterrows():
        said = (f"{row[c]:.3f} [{row[f'{c}_low']:.3f}, {row[f'{c}_high']:.3f}]" for c in columns)
        print(f"{name:56} {'  '.join(said)}")


def of_lts(benchmark: benchmarks.Benchmark) -> None:
    """Print the three figures of a text of LiteTransformerSearch's."""
    scores = scored(benchmark).assign(published=benchmark.results["decoder_parameters"])
    even = np.array([zlib.crc32(name.encode()) % 2 == 0 for name in scores.index])
    for part, kept in (("chosen by", even), ("others", ~even), ("all", even | ~even)):
        table = beyond_size(
            scores[kept],
            benchmark.results["valid_ppl"],
            benchmark.results["decoder_parameters"],
            larger_is_better=dict.fromkeys(scores, True),
            result_larger_is_better=False,
            resamples=RESAMPLES,
        )
        show(f"{benchmark.dataset}, {part}, n {int(kept.sum())}", table, COLUMNS)


def of_one_size() -> None:
    """Print Kendall's tau on archscout-mini-gpt."""
    benchmark = benchmarks.load("archscout-mini-gpt")
    scores = scored(benchmark, vocabulary_size=4000)
    first = np.array([int(name) < FIRST for name in scores.index])
    for part, kept in (("chosen by", first), ("others", ~first), ("all", first | ~first)):
        losses = benchmark.results["test_loss"][scores.index[kept]]
        table = compare(
            scores[kept],
            losses,
            larger_is_better=dict.fromkeys(scores, True),
            result_larger_is_better=False,
            resamples=RESAMPLES,
        ).table
        show(f"archscout-mini-gpt, {part}, n {int(kept.sum())}", table, ["kendall"])


def main() -> None:
    """Print the figures of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data-dir", help="Folder of published files; the default one if left out."
    )
    folder = benchmarks.DataFolder(parser.parse_args().data_dir)
    of_one_size()
    for dataset in ("wt103", "lm1b"):
        try:
            of_lts(benchmarks.load("lts-gpt2", folder, dataset))
        except InputError as error:
            print(error)


if __name__ == "__main__":
    main()
