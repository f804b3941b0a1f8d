"""The small benchmarks that archscout ships: its own, made by `archscout benchmark build`.

Recurrent cells were trained as small language models, encoders (in the `declared` reading) to
predict masked tokens, decoders of one size to predict the next token, all on the text
`python-docs`: cells for eight epochs, and others by the whole `quick` recipe, whose twenty epochs
tell long training from short. They lie in the package, so that a metric can be judged on a machine
that has nothing else.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from archscout.benchmarks import built
from archscout.benchmarks.base import Benchmark
from archscout.errors import InputError

RNN = "archscout-mini-rnn"
FLEXIBERT = "archscout-mini-flexibert"
GPT = "archscout-mini-gpt"

# By dataset, the folder in which it lies.
DATASETS: Mapping[str, Mapping[str, str]] = {
    RNN: {"python-docs": RNN, "python-docs-quick": f"{RNN}-quick"},
    FLEXIBERT: {"python-docs": FLEXIBERT},
    GPT: {"python-docs": GPT},
}


def load(name: str, dataset: str | None = None) -> Benchmark:
    """One of them, by default the first of its datasets.

    Raises:
        InputError: it has no such dataset.
    """
    folders = DATASETS[name]
    dataset = dataset or next(iter(folders))
    if dataset not in folders:
        raise InputError(f"{name} has no dataset {dataset!r}; accepted is {' or '.join(folders)}")
    found = built.load(Path(__file__).parent / "mini" / folders[dataset])
    return replace(found, dataset=dataset)
