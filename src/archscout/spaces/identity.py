"""Which architectures are one network."""

from __future__ import annotations

from typing import Any

from archscout.spaces.base import Scale, Space
from archscout.spaces.flexibert import EncoderScale
from archscout.spaces.flexibert.readings import network_fingerprint as of_reading


def network_fingerprint(space: Space[Any], architecture: Any, scale: Scale) -> str:
    """Sixteen hexadecimal digits that architectures share which are one network at a scale.

    They are the architecture's fingerprint, but for encoders in a reading that throws away some of
    what a genotype says.

    Args:
        space: of the architecture.
        architecture: a genotype of the space.
        scale: at which it is built.
    """
    if isinstance(scale, EncoderScale):
        return of_reading(architecture, scale.reading)
    return space.fingerprint(architecture)
