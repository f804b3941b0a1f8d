"""The small benchmarks that archscout ships: its own, made by `archscout benchmark build`.

They lie in the package, so that a metric can be judged on a machine that has nothing else.
"""

from __future__ import annotations

from pathlib import Path

from archscout.benchmarks import built
from archscout.benchmarks.base import Benchmark
from archscout.benchmarks.store import DataFolder

RNN = "archscout-mini-rnn"
FLEXIBERT = "archscout-mini-flexibert"

_FOLDER = Path(__file__).parent / "mini"


def load_rnn(folder: DataFolder, dataset: str | None = None) -> Benchmark:
    """Recurrent cells, trained as small language models on the text `python-docs`.

    Args:
        folder: the data folder, which is not needed.
        dataset: `python-docs`, the only one.

    Raises:
        InputError: an unknown dataset.
    """
    return _load(RNN, dataset)


def load_flexibert(folder: DataFolder, dataset: str | None = None) -> Benchmark:
    """Encoders in the `declared` reading, trained to predict masked tokens of `python-docs`.

    Args:
        folder: the data folder, which is not needed.
        dataset: `python-docs`, the only one.

    Raises:
        InputError: an unknown dataset.
    """
    return _load(FLEXIBERT, dataset)


def _load(name: str, dataset: str | None) -> Benchmark:
    return built.load(_FOLDER / name, dataset)
