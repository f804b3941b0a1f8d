"""Genes that proposals of a search have before its sampler draws any: what it starts from."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from archscout import spaces
from archscout.errors import InputError
from archscout.runs.search_settings import SearchSettings
from archscout.runs.study import Genes, GivenGenes
from archscout.spaces.base import SizedSpace, Space

SIZE = "non_embedding_parameters"
_SOME = 100


def given_genes(space: Space[Any], settings: SearchSettings) -> GivenGenes:
    """Named and included architectures, and others of nearly the size that a search is limited to.

    The last are where a space draws by size: the first batch is filled with architectures that
    have from half the limit to all of it, for few of those that genes drawn apart from one another
    give are near. Every batch is, where the sampler learns nothing from one.
    """
    included = (spaces.genes(space, space.parse(each)) for each in settings.include.values())
    named = [*spaces.classics(space), *filter(None, included)]
    source = of_limited_size(space, settings.seed, settings.limits)
    found = filter(None, (spaces.genes(space, each) for each in source))
    drawn: list[Genes] = []

    def of_batch(number: int, size: int) -> Sequence[Genes]:
        start, end = number * size, (number + 1) * size
        if number and settings.sampler != "random":
            return named[start:end]
        drawn.extend(islice(found, max(0, end - len(named) - len(drawn))))
        return [*named, *drawn][start:end]

    return of_batch


def of_limited_size(space: Any, seed: int, limits: Mapping[str, float]) -> Iterator[Any]:
    """Architectures of half the limited size to all of it; none where a space draws none so.

    Raises:
        InputError: none of the space is so small.
    """
    limit, drawn = limits.get(SIZE), space.samples(seed)
    if limit is None or not isinstance(space, SizedSpace):
        return
    try:
        yield from space.samples_of_size(seed, int(limit / 2), int(limit))
    except InputError as error:
        if all(space.size(each) > limit for each in islice(drawn, _SOME)):
            raise InputError(f"max_{SIZE} is {limit:,g}: {error}") from error
        # None is so large: the limit leaves all in.
