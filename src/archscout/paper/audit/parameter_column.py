"""The published parameter column: which networks it counts the parameters of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from operator import attrgetter
from typing import Any

import pandas as pd

from archscout.analysis.document import Plot, Table
from archscout.benchmarks import nas_bench_bert
from archscout.benchmarks.published_tables import encoder_scores
from archscout.paper.audit.plots import BLUE, VERMILION, panels
from archscout.paper.audit.point import Material, Point, Standing
from archscout.spaces.flexibert import FlexibertSpace
from archscout.spaces.flexibert.readings import Plan, Reading, plan

TITLE = "The published encoder metrics are of other networks than were trained"
_ALIKE = ("operation", "num_operation_heads", "num_feed_forward")
READINGS: tuple[Reading, ...] = ("scored", "declared", "trained")
_VOCABULARY = 30_522  # of ELECTRA-small
_CLAIM = (
    "The published scoring code builds every encoder with hidden size 256 and feed-forward width "
    "1024, whatever its genotype says, and gives linear transforms no output projection, residual "
    "or layer norm. The networks that were trained had their declared hidden size. So the "
    "published metrics describe other networks than the published scores."
)


def check(material: Material) -> Point:
    """Count parameters in the three readings and compare with the published column."""
    table = encoder_scores(material.folder)
    benchmark = nas_bench_bert.load(material.folder)
    names = [name for name in benchmark.architectures if name in table.frame.index]
    architectures = {name: benchmark.architectures[name] for name in names}
    counts = _counts(architectures)
    counts.insert(0, "published", table.frame.loc[names, "parameters"].astype(int))
    counts.insert(0, "layers", [architectures[name].num_layers for name in names])
    counts.insert(0, "hidden_size", [architectures[name].hidden_size for name in names])
    agreement = _agreement(counts)
    pairs = _groups(architectures, counts["published"])
    return Point(
        TITLE,
        *_judge(agreement, pairs),
        claim=_CLAIM,
        method="The column *Number of Parameters* needs no training and no random numbers, so it "
        "identifies the network that was scored. For each of the "
        f"{len(names)} encoders in both files we build the network in each reading (vocabulary "
        f"{_VOCABULARY:,}, embedding 128, 512 positions) and add up its tensors' sizes; a "
        "reading is right if it gives the published number exactly. Independently of any network: "
        "encoders that agree in operations, heads and numbers of feed-forward layers (in any "
        "order) are grouped; if the column depended on hidden size or feed-forward width, groups "
        "in which these differ would hold several values.",
        follows="Do not read the published encoder metrics, parameters included, as statements "
        "about the trained networks. Where size is a baseline, count parameters in the reading "
        "`trained`; to reproduce a published figure, use the reading `scored`; for new "
        "architectures, `declared`.",
        content=[
            Plot(
                "parameter_column",
                partial(_figure, counts),
                "Published number of parameters against the number counted in each reading; on the "
                "line they are equal.",
                counts.rename_axis("id"),
            ),
            Table(
                "parameter_agreement",
                agreement,
                "Encoders whose published number of parameters is exactly that of a reading.",
                0,
            ),
            Table(
                "parameters_by_hidden_size",
                _by_hidden_size(counts),
                "Mean number of parameters by declared hidden size. A column that knew it "
                "would follow `declared` or `trained`.",
                0,
            ),
            Table(
                "parameter_groups",
                pairs,
                "Groups of encoders that agree in everything but what the column should not know: "
                "how many groups there are, and in how many the column has one value.",
                0,
            ),
        ],
        sources=[table.source, *benchmark.sources],
        remarks=table.remarks,
    )


def _counts(architectures: dict[str, Any]) -> pd.DataFrame:
    """Parameters by architecture and reading."""
    space = FlexibertSpace()
    known: dict[Plan, int] = {}
    rows = []
    for architecture in architectures.values():
        row = {}
        for reading in READINGS:
            network = plan(architecture, reading)
            if network not in known:
                scale = space.scales["paper"].resized(reading=reading)
                skeleton = space.skeleton(architecture, _VOCABULARY, scale)
                known[network] = sum(p.numel() for p in skeleton.parameters())
            row[reading] = known[network]
        rows.append(row)
    return pd.DataFrame(rows, index=list(architectures), columns=list(READINGS))


def _agreement(counts: pd.DataFrame) -> pd.DataFrame:
    differences = counts[list(READINGS)].sub(counts["published"], axis=0)
    return pd.DataFrame(
        {
            "n": len(counts),
            "equal": (differences == 0).sum(),
            "largest difference": differences.abs().max(),
        },
        index=pd.Index(READINGS, name="reading"),
    )


def _by_hidden_size(counts: pd.DataFrame) -> pd.DataFrame:
    groups = counts.groupby(["layers", "hidden_size"])
    means = groups[["published", *READINGS]].mean().round()
    means.insert(0, "n", groups.size())
    return means.reset_index()


def _groups(architectures: dict[str, Any], published: pd.Series) -> pd.DataFrame:
    """Groups that vary in hidden size, in feed-forward width, in either; those with one value."""
    frame = pd.DataFrame(
        {
            "group": [_written(a, _ALIKE) for a in architectures.values()],
            "hidden size": [a.hidden_size for a in architectures.values()],
            "feed-forward width": [
                _written(a, ["feed_forward_dimension"]) for a in architectures.values()
            ],
            "published": published.to_numpy(),
        }
    )
    groups = frame.groupby("group")
    one_value = groups["published"].nunique() == 1
    by_size, by_width = (groups[x].nunique() > 1 for x in ("hidden size", "feed-forward width"))
    differing = {
        "hidden size": by_size,
        "feed-forward width": by_width,
        "either": by_size | by_width,
    }
    rows = {
        name: {"groups": int(varied.sum()), "one value": int((varied & one_value).sum())}
        for name, varied in differing.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("what differs within")


def _written(architecture: Any, names: Sequence[str]) -> str:
    """Some properties of the layers, whatever their order."""
    return str(sorted(attrgetter(*names)(layer) for layer in architecture.layers))


def _judge(agreement: pd.DataFrame, groups: pd.DataFrame) -> tuple[Standing, str]:
    n = int(agreement["n"].iloc[0])
    equal = dict(zip(READINGS, agreement["equal"].astype(int), strict=True))
    varied, constant = (int(groups[x].iloc[-1]) for x in ("groups", "one value"))
    numbers = (
        f"the published number of parameters is that of the reading scored for {equal['scored']} "
        f"of {n} encoders, declared for {equal['declared']}, trained for {equal['trained']}; it "
        f"has one value in {constant} of {varied} groups that differ in hidden size or "
        "feed-forward width only."
    )
    if n and equal["scored"] == n and max(equal["declared"], equal["trained"]) < n:
        return "confirmed", f"The column does not know the hidden size: {numbers}"
    if equal["scored"] > max(equal["declared"], equal["trained"]):
        return "partly confirmed", f"The reading scored fits best, but not all: {numbers}"
    return "not confirmed", f"The data at hand do not show it: {numbers}"


def _figure(counts: pd.DataFrame) -> Any:
    figure, axes = panels(3, 10.5, 3.9, sharey=True)
    scale = 1e6
    low, high = counts["published"].min() / scale, counts["published"].max() / scale
    for axis, reading in zip(axes, READINGS, strict=True):
        axis.plot([low, high], [low, high], color="#222222", linewidth=0.9, zorder=1)
        for size, colour, marker in ((128, VERMILION, "o"), (256, BLUE, "^")):
            chosen = counts[counts["hidden_size"] == size]
            axis.scatter(
                chosen[reading] / scale, chosen["published"] / scale, s=22, alpha=0.6,
                color=colour, marker=marker, linewidths=0, label=f"declared hidden size {size}",
            )  # fmt: skip
        axis.set_xlabel(f"counted, reading {reading} (millions)")
    axes[0].set_ylabel("published (millions)")
    axes[0].legend(fontsize=8.5, frameon=False)
    return figure
