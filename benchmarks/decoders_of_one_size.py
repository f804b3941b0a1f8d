"""What metrics say of LiteTransformerSearch's decoders beyond their size, on a part not chosen by.

    python benchmarks/decoders_of_one_size.py [--data-dir FOLDER]

The exponent of `decoder_capacity` was chosen on the decoders of each text whose name has an even
CRC-32. Printed for these, for the others and for all: n, Spearman's ρ, its mean inside fifths by
size, and the share of pairs ordered right whose sizes differ by at most 5 %, with 95 % intervals.
The products with other powers of `embedding_dimension` show what there was to choose from.
"""

import argparse
import zlib

import numpy as np
import pandas as pd

from archscout import Scorer, benchmarks
from archscout.analysis.beyond_size import COLUMNS, beyond_size
from archscout.errors import InputError

SIZE, DIMENSION = "non_embedding_parameters", "embedding_dimension"
POWERS = (0.25, 0.75, 1.0)  # beside the half of `decoder_capacity`


def scored(benchmark: benchmarks.Benchmark) -> pd.DataFrame:
    """Size, products and `decoder_capacity` by decoder."""
    scorer = Scorer(benchmark.space, "python-docs", [SIZE, DIMENSION, "decoder_capacity"])
    rows = {entry.name: scorer.score(entry.architecture).scores for entry in benchmark}
    table = pd.DataFrame.from_dict(rows, orient="index")
    products = {f"size x dimension^{p:g}": table[SIZE] * table[DIMENSION] ** p for p in POWERS}
    published = {"published size": benchmark.results["decoder_parameters"]}
    return table.assign(**products, **published).drop(columns=DIMENSION)


def main() -> None:
    """Print the figures of both texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data-dir", help="Folder of published files; the default one if left out."
    )
    folder = benchmarks.DataFolder(parser.parse_args().data_dir)
    for dataset in ("wt103", "lm1b"):
        try:
            benchmark = benchmarks.load("lts-gpt2", folder, dataset)
        except InputError as error:
            print(error)
            continue
        scores = scored(benchmark)
        even = np.array([zlib.crc32(name.encode()) % 2 == 0 for name in scores.index])
        for part, kept in (("chosen by", even), ("others", ~even), ("all", even | ~even)):
            table = beyond_size(
                scores[kept],
                benchmark.results["valid_ppl"],
                benchmark.results["decoder_parameters"],
                larger_is_better=dict.fromkeys(scores, True),
                result_larger_is_better=False,
                resamples=1000,
            )
            print(f"\n{dataset}, {part}, n {int(kept.sum())}")
            for name, row in table.iterrows():
                said = "  ".join(
                    f"{row[c]:.3f} [{row[f'{c}_low']:.3f}, {row[f'{c}_high']:.3f}]" for c in COLUMNS
                )
                print(f"{name:28} {said}")


if __name__ == "__main__":
    main()
