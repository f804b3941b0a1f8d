"""Print every score of small networks in float32 as JSON: run under another instruction set.

A case is a network and a minibatch; equal rows are one input, over and over.
"""

import json
import sys

import torch
from torch import nn

from archscout import Scorer, score_module
from archscout.spaces import EncoderScale, RecurrentScale
from archscout.text import Corpus

# A cell whose states drift to a fixed point, where nothing but rounding is left of a token.
STILL = 55
CELLS = ("gru", 3, STILL)


def perceptron() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Linear(6, 32), nn.Tanh(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 5)
    )


def scores() -> dict[str, dict[str, float]]:
    words = tuple(f"w{number}" for i in range(800) for number in (i * i % 23, i % 7, 3 * i % 11))
    corpus = Corpus("made up", {"all": words}, "0" * 64, ("made up",))
    cells = Scorer("rnn", corpus, None, RecurrentScale(6, 12, 24, 32, 2, "canonical"))
    encoders = Scorer("flexibert", corpus, None, EncoderScale(6, 12, 16, 12, "declared"))
    found = {}
    for rows in ("different", "equal"):
        for scorer in (cells, encoders):
            if rows == "equal":
                scorer.minibatch = scorer.minibatch[:, :1].expand_as(scorer.minibatch).contiguous()
        for cell in CELLS:
            named = cells.space.named
            genotype = named[cell] if isinstance(cell, str) else cells.space.sample(cell)
            found[f"{cell}, {rows} rows"] = cells.score(genotype).scores
        found[f"encoder, {rows} rows"] = encoders.score(encoders.space.sample(0)).scores
        batch = torch.randn(8, 6, 6, generator=torch.Generator().manual_seed(0))
        if rows == "equal":
            batch = batch[:, :1].expand_as(batch).contiguous()
        found[f"perceptron, {rows} rows"] = score_module(
            perceptron(), batch, batch_first=False
        ).scores
    return found


if __name__ == "__main__":
    json.dump(scores(), sys.stdout)
