"""Genes that proposals of a search have before its sampler draws any: what it starts from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from archscout import spaces
from archscout.errors import InputError
from archscout.runs.search_settings import SearchSettings
from archscout.runs.study import Genes, GivenGenes
from archscout.spaces.base import SizedSpace, Space

SIZE = "non_embedding_parameters"


def given_genes(space: Space[Any], settings: SearchSettings) -> GivenGenes:
    """The named architectures, and architectures of nearly the size that a search is limited to.

    The latter are where a space draws by size: the first batch is filled with architectures that
    have from half the limit to all of it, for few of those that genes drawn apart from one another
    give are near. Every batch is, where the sampler learns nothing from one.
    """
    named, limit = spaces.classics(space), settings.limits.get(SIZE)
    drawn: list[Genes] = []
    source = _of_size(space, settings.seed, limit) if limit is not None else iter(())

    def of_batch(number: int, size: int) -> Sequence[Genes]:
        if number and settings.sampler != "random":
            return []
        start, end = number * size, (number + 1) * size
        drawn.extend(islice(source, max(0, end - len(named) - len(drawn))))
        return [*named, *drawn][start:end]

    return of_batch


def _of_size(space: Any, seed: int, limit: float) -> Iterator[Genes]:
    if not isinstance(space, SizedSpace):
        return
    try:
        for architecture in space.samples_of_size(seed, int(limit / 2), int(limit)):
            genes = getattr(space, "genes", lambda _: None)(architecture)
            if genes is not None:
                yield genes
    except InputError:  # none is so small, or so large, of which the limits tell
        return
