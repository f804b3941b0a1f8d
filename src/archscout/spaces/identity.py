"""Which architectures there are, and which of them are one network."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from archscout.spaces.base import Scale, SizedSpace, Space


def samples(space: Space[Any], seed: int, sizes: tuple[int, int] | None) -> Iterator[Any]:
    """Different architectures drawn at random; of a `SizedSpace` those of some sizes, if given."""
    if sizes is not None and isinstance(space, SizedSpace):
        return space.samples_of_size(seed, *sizes)
    return space.samples(seed)


def named(space: Space[Any], sizes: tuple[int, int] | None) -> list[Any]:
    """The architectures that have a name; of a `SizedSpace` those of some sizes, if given."""
    found = list(space.named.values())
    if sizes is not None and isinstance(space, SizedSpace):
        low, high = sizes
        found = [each for each in found if low <= space.size(each) <= high]
    return found


def live(space: Space[Any], architecture: Any) -> Any:
    """The canonical form of what an architecture computes, without parts that reach no output.

    It is the architecture's canonical form, but for spaces with a method of this name, such as
    recurrent cells, whose nodes and hidden states may lead to nothing.
    """
    form = getattr(space, "live", space.canonical)
    return space.canonical(form(architecture))


def names(space: Space[Any]) -> dict[str, str]:
    """The names of the architectures that have one in the literature, by their fingerprints."""
    return {
        space.fingerprint(live(space, architecture)): name
        for name, architecture in space.named.items()
    }


def genes(space: Space[Any], architecture: Any) -> dict[str, Any] | None:
    """Genes that suggest an architecture; None where there are none.

    A space says them by a method of this name.
    """
    way_back = getattr(space, "genes", None)
    found: dict[str, Any] | None = None if way_back is None else way_back(architecture)
    return found


def classics(space: Space[Any]) -> list[dict[str, Any]]:
    """Genes that suggest the named architectures of a space, as far as there are such."""
    found = [genes(space, architecture) for architecture in space.named.values()]
    return [each for each in found if each is not None]


def network_fingerprint(space: Space[Any], architecture: Any, scale: Scale) -> str:
    """Sixteen hexadecimal digits that architectures share which are one network at a scale.

    They are the architecture's fingerprint, but for spaces with a method of this name, such as
    encoders in a reading that throws away some of what a genotype says.
    """
    of_network = getattr(space, "network_fingerprint", None)
    if of_network is None:
        return space.fingerprint(architecture)
    fingerprint: str = of_network(architecture, scale)
    return fingerprint
