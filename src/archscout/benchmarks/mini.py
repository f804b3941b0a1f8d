"""The small benchmarks that archscout ships: its own, made by `archscout benchmark build`.

Recurrent cells were trained as small language models, encoders (in the `declared` reading) to
predict masked tokens, both on the text `python-docs`. They lie in the package, so that a metric can
be judged on a machine that has nothing else.
"""

from __future__ import annotations

from pathlib import Path

from archscout.benchmarks import built
from archscout.benchmarks.base import Benchmark

RNN = "archscout-mini-rnn"
FLEXIBERT = "archscout-mini-flexibert"


def load(name: str, dataset: str | None = None) -> Benchmark:
    """One of them; its only dataset is `python-docs`."""
    return built.load(Path(__file__).parent / "mini" / name, dataset)
