"""The gradient behind half of the published encoder metrics, measured."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from archscout.analysis.document import Plot, Table
from archscout.paper.audit.plots import BLUE, ORANGE, panels
from archscout.paper.audit.point import Material, Point, Standing
from archscout.spaces.flexibert import EncoderGenotype, FlexibertNetwork, FlexibertSpace

TITLE = "The gradient behind half of the encoder metrics is zero"
OBJECTIVES = ("sum", "sum, dropout", "half squared norm", "random cotangent")
_ENCODERS, _BATCH_SIZE, _POSITIONS, _VOCABULARY = 5, 2, 32, 30_522
_PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
_NEGLIGIBLE = 1e-6  # of the gradient of a random cotangent, in float32

Build = Callable[[EncoderGenotype, int], FlexibertNetwork]


def as_trained(architecture: EncoderGenotype, seed: int) -> FlexibertNetwork:
    """The network that was trained, untrained."""
    space = FlexibertSpace()
    scale = space.scales["paper"].resized(reading="trained")
    return space.build(architecture, _VOCABULARY, scale, seed)


def check(material: Material, build: Build = as_trained) -> Point:
    """Measure the gradient's norm for several objectives in two precisions."""
    sample = FlexibertSpace().published_sample[:_ENCODERS]
    tables = []
    for name, architecture in enumerate(sample):
        material.progress("gradients", name, _ENCODERS)
        norms = measure(build(architecture, material.seed), material.seed)
        norms.insert(0, "id", str(name))
        tables.append(norms)
    norms = pd.concat(tables, ignore_index=True)
    wide = norms.pivot_table(index=["id", "objective"], columns="precision", values="norm")
    wide = wide.reindex(OBJECTIVES, level="objective").reset_index().rename_axis(columns=None)
    return Point(
        TITLE,
        *judge(norms),
        claim="The published code differentiates Σ last_hidden_state. The last operation of an "
        "encoder is a layer norm, y = (h - mean(h)) / sd(h) · 1 + 0 at initialisation, whose "
        "features add up to zero for every token. So the sum is a constant, its gradient is zero, "
        "and synaptic diversity, synaptic saliency, head importance and both Jacobian scores were "
        "computed from rounding errors.",
        method=f"The first {_ENCODERS} encoders of the published sample are built as trained, with "
        f"random weights of seed {material.seed}, and passed {_BATCH_SIZE} × {_POSITIONS} random "
        f"token ids (of {_VOCABULARY:,}). Reported is the Euclidean norm of the gradient of an "
        "objective with respect to the weight of the first feed-forward layer, in float32 and "
        "float64. A gradient that exists is the same in both; one that is only rounding falls by "
        "about the ratio of their precisions, 2⁻²⁹ = 2e-9. Objectives: Σ y in evaluation mode; Σ y "
        "with dropout active, as published; ½ ‖y‖², which a layer norm fixes, too; Σ v·y with v "
        "standard normal. No file is needed for this.",
        follows="Do not use the gradient-based columns of the encoder tables, and do not take "
        "gradients of the output's sum (or squared norm) of anything that ends in a layer norm. "
        "archscout takes a random cotangent by default (`--objective cotangent`) or the "
        "masked-token loss (`--objective loss`); the forms `..._published` keep the sum for "
        "reproduction only.",
        content=[
            Plot(
                "gradient_norms",
                partial(_figure, norms),
                f"Gradient norms of {_ENCODERS} encoders as trained, one point each; the scale is "
                "logarithmic, and norms of exactly zero are drawn at the left edge.",
                norms,
            ),
            Table(
                "gradient_norms_by_encoder",
                wide,
                "The norms by encoder (id in the published sample).",
                shown=wide.assign(**{p: wide[p].map(lambda x: f"{x:.3g}") for p in _PRECISIONS}),
            ),
        ],
        sources=[],
    )


def measure(network: FlexibertNetwork, seed: int) -> pd.DataFrame:
    """Gradient norms of the first feed-forward weight, one row an objective and precision."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(_VOCABULARY, (_BATCH_SIZE, _POSITIONS), generator=generator)
    shape = (*tokens.shape, network.encoder.hidden_size)
    cotangent = torch.randn(shape, generator=generator, dtype=torch.float64)
    rows = []
    for precision, dtype in _PRECISIONS.items():
        network.to(dtype)
        for objective in OBJECTIVES:
            network.train(objective == "sum, dropout")
            norm = _norm(network, tokens, objective, cotangent.to(dtype), seed)
            rows.append({"objective": objective, "precision": precision, "norm": norm})
    return pd.DataFrame(rows)


def _norm(
    network: FlexibertNetwork, tokens: Tensor, objective: str, cotangent: Tensor, seed: int
) -> float:
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        torch.manual_seed(seed)
        output = network(tokens).last_hidden_state
        if objective == "random cotangent":
            value = (cotangent * output).sum()
        elif objective == "half squared norm":
            value = output.square().sum() / 2
        else:
            value = output.sum()
        weight = network.get_parameter("encoder.layer.0.intermediate.dense_in.weight")
        (gradient,) = torch.autograd.grad(value, weight)
    return float(gradient.double().norm())


def judge(norms: pd.DataFrame) -> tuple[Standing, str]:
    """Whether the sum's gradient is only rounding."""
    largest = norms.groupby(["objective", "precision"])["norm"].max()
    smallest = float(norms.loc[norms["objective"] == "random cotangent", "norm"].min())
    published = max(largest["sum", "float32"], largest["sum, dropout", "float32"])
    exact = max(largest["sum", "float64"], largest["sum, dropout", "float64"])
    numbers = (
        f"the sum's gradient norm is at most {published:.1e} in float32 and {exact:.1e} in "
        f"float64, that of a random cotangent at least {smallest:.3g} ({norms['id'].nunique()} "
        "encoders)."
    )
    small = published < _NEGLIGIBLE * smallest
    # Rounding in float64 is 2^-29 of that in float32; a true gradient is the same in both.
    rounding = exact < 1e-5 * published or exact == 0
    if small and rounding:
        return "confirmed", f"It is rounding only: {numbers}"
    if small or rounding:
        return "partly confirmed", f"It is tiny, but not plainly rounding: {numbers}"
    return "not confirmed", f"It is a gradient like any other: {numbers}"


def _figure(norms: pd.DataFrame) -> Any:
    figure, (axis,) = panels(1, 7.2, 2.9)
    floor = 10.0 ** np.floor(np.log10(norms.loc[norms["norm"] > 0, "norm"].min()) - 0.5)
    looks = {"float32": (ORANGE, "o", -0.14), "float64": (BLUE, "^", 0.14)}
    for precision, (colour, marker, shift) in looks.items():
        chosen = norms[norms["precision"] == precision]
        rows = chosen["objective"].map(OBJECTIVES.index) + shift
        axis.scatter(
            chosen["norm"].clip(lower=floor), rows, color=colour, marker=marker, s=34, alpha=0.75,
            linewidths=0, label=precision,
        )  # fmt: skip
    axis.set_xscale("log")
    axis.set_yticks(range(len(OBJECTIVES)), [f"gradient of {name}" for name in OBJECTIVES])
    axis.invert_yaxis()
    axis.set_xlabel("norm of the gradient of the first feed-forward weight")
    axis.legend(fontsize=9, frameon=False, loc="center right")
    return figure
