"""A trained network becomes a folder that transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from archscout.spaces.base import Space
from archscout.text import Tokenizer


def write_model(
    space: Space[Any],
    architecture: Any,
    network: nn.Module,
    tokenizer: Tokenizer,
    folder: Path,
    origin: str,
) -> None:
    """Export a network to a folder of its training; see `archscout.exporting.export`.

    Args:
        space: the architecture's space.
        architecture: the genotype.
        network: trained.
        tokenizer: of the text.
        folder: what is there, of an earlier end of the training, is replaced once the new one is
            complete.
        origin: what the weights are, for the README.

    Raises:
        InputError: the folder cannot be written.
    """
    # It imports the search, which nothing else here needs.
    from archscout.exporting import export

    export(space, architecture, network, tokenizer, folder, origin, replace=True)
