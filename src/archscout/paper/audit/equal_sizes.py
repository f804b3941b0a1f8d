"""Whether encoders that differ in operation types alone differ more than repeats of one encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations

import pandas as pd
from scipy import stats

from archscout.analysis.document import Table
from archscout.benchmarks import nas_bench_bert
from archscout.benchmarks.published_tables import TASKS
from archscout.errors import InputError
from archscout.paper.audit.point import Material, Point, Standing
from archscout.spaces.flexibert.genotype import EncoderGenotype

TITLE = "Encoders of other operation types differ no more than repeats"
_LEVEL = 0.05
_ENOUGH = 5  # repeats that tell a noise floor
_TASKS = [task for task in TASKS if task != "cola"]
_TYPES, _PARAMETERS, _REPEATS = "other types", "same types, other parameters", "exact repeats"
_SIZES = "other sizes"


def check(material: Material) -> Point:
    """Compare GLUE of pairs that differ in operation types alone with that of exact repeats."""
    benchmark = nas_bench_bert.load(material.folder)
    glue = benchmark.results[_TASKS].mean(axis=1, skipna=False).dropna()
    differences = pairs(benchmark.architectures, glue)
    alike = differences[differences["pair"] != _SIZES]
    encoders = len({*alike["first"], *alike["second"]})
    table = _table(differences)
    return Point(
        TITLE,
        *judge(differences, encoders, len(glue)),
        claim="Of the 500 encoders 211 share every size with another. On the complete data pairs "
        "of them that differ in operation types alone are 0.55 GLUE apart without CoLA, and exact "
        "repeats, which were trained twice as they are, 0.59: what one training differs from the "
        "next, the noise floor.",
        method="Two encoders share every size where hidden size, number of layers and, layer by "
        "layer, heads, feed-forward dimension and number of feed-forward layers are the same. "
        "Every pair of such encoders is a repeat (same operations), or differs in a parameter of "
        "an operation, or in an operation's type. Its distance is |y₁ - y₂|, y the mean of the "
        f"metrics of {len(_TASKS)} tasks; CoLA is left out, whose metric is near zero for small "
        "encoders and moves by tens of points. The median is compared, for a few trainings "
        "collapsed on one task, and a pair with one of these is ten points apart. If types count, "
        "pairs of other types lie further apart than repeats: a Mann-Whitney test, one-sided. As "
        "a control that distances can show anything, all pairs of other sizes stand beside them.",
        follows="What types could change is lost in what a second training changes. No "
        "regression, and no choice of predictors, is needed to see it.",
        content=[
            Table(
                "equal_sizes",
                table,
                "GLUE without CoLA of two encoders, how far apart: `median` and `mean` of the "
                "absolute difference, in points.",
                2,
            )
        ],
        sources=benchmark.sources,
        remarks=[
            *benchmark.remarks,
            "An encoder may stand in several pairs, which are not independent: p is a guide, no "
            "exact probability.",
            *_few(int((differences["pair"] == _REPEATS).sum())),
        ],
    )


def pairs(architectures: Mapping[str, EncoderGenotype], glue: pd.Series) -> pd.DataFrame:
    """All pairs of encoders with a result: `first`, `second`, `pair` (what differs), `distance`."""
    known = {str(name): (architectures[str(name)], float(y)) for name, y in glue.items()}
    rows = [
        (a, b, _pair(known[a][0], known[b][0]), abs(known[b][1] - known[a][1]))
        for a, b in combinations(known, 2)
    ]
    return pd.DataFrame(rows, columns=["first", "second", "pair", "distance"])


def _pair(first: EncoderGenotype, second: EncoderGenotype) -> str:
    if _sizes(first) != _sizes(second):
        return _SIZES
    layers = list(zip(first.layers, second.layers, strict=True))
    if any(one.operation_type != other.operation_type for one, other in layers):
        return _TYPES
    same = all(one.operation == other.operation for one, other in layers)
    return _REPEATS if same else _PARAMETERS


def _sizes(architecture: EncoderGenotype) -> tuple[object, ...]:
    return architecture.hidden_size, *(
        (layer.num_operation_heads, layer.feed_forward_dimension, layer.num_feed_forward)
        for layer in architecture.layers
    )


def _table(differences: pd.DataFrame) -> pd.DataFrame:
    table = differences.groupby("pair")["distance"].agg(["size", "median", "mean"])
    kinds = [kind for kind in (_REPEATS, _PARAMETERS, _TYPES, _SIZES) if kind in table.index]
    return table.rename(columns={"size": "pairs"}).reindex(kinds).rename_axis("pair")


def judge(differences: pd.DataFrame, encoders: int, known: int) -> tuple[Standing, str]:
    """Whether pairs of other types lie further apart than repeats, in words."""
    types, repeats = (
        differences.loc[differences["pair"] == kind, "distance"] for kind in (_TYPES, _REPEATS)
    )
    if types.empty or repeats.empty:
        missing = "were trained twice" if repeats.empty else "differ in operation types alone"
        raise InputError(f"no two encoders at hand {missing}")
    p = float(stats.mannwhitneyu(types, repeats, alternative="greater").pvalue)
    numbers = (
        f"{encoders} of {known} encoders share every size with another; those of other types are "
        f"{types.median():.2f} GLUE apart without CoLA (median of {len(types)} pairs), exact "
        f"repeats {repeats.median():.2f} ({len(repeats)}), p = {p:.3f} for types being further."
    )
    if p < _LEVEL:
        return "not confirmed", f"Types add to what a second training changes. {numbers}"
    return "confirmed", f"Types add nothing to what a second training changes. {numbers}"


def _few(repeats: int) -> Sequence[str]:
    if repeats >= _ENOUGH:
        return []
    return [
        f"With {repeats} repeat{'s' * (repeats > 1)} at hand the noise floor is hardly known; the "
        "complete data have nine."
    ]
