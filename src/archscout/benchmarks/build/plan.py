"""What a benchmark trains: which architectures, and with which seeds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from archscout.errors import InputError
from archscout.scoring import check_seed
from archscout.spaces import named, samples
from archscout.spaces.base import Space
from archscout.training.jobs import Job


def choose(
    space: Space[Any], n: int, seed: int = 0, sizes: tuple[int, int] | None = None
) -> list[Any]:
    """Different architectures: the space's named ones first, then a random sample.

    Args:
        space: of the architectures.
        n: how many.
        seed: of the sample.
        sizes: least and most parameters, embeddings left out, of a `SizedSpace`; any if None.

    Raises:
        InputError: the space has not so many, or none of the sizes.
    """
    if n < 1:
        raise InputError(f"{n} architectures; accepted is a whole number of at least 1")
    found: dict[str, Any] = {}
    for architecture in (*named(space, sizes), *islice(samples(space, seed, sizes), n)):
        found.setdefault(space.fingerprint(architecture), architecture)
    if len(found) < n:
        limits = "" if sizes is None else f" of {sizes[0]:,} to {sizes[1]:,} parameters"
        raise InputError(f"space {space.name} has {len(found)} architectures{limits}, not {n}")
    return list(found.values())[:n]


def plan_jobs(
    space: Space[Any],
    architectures: Sequence[Any],
    seed: int = 0,
    repeated: int = 0,
    repeats: int = 2,
    before: Sequence[Job] = (),
) -> list[Job]:
    """One training for each architecture, and more for some of them.

    Those that are trained again, with other seeds, tell how far the ranking can be trusted. They
    are spread evenly over the list; and they come last, so that every architecture has been
    trained once before one is trained twice.

    Args:
        space: of the architectures.
        architectures: different genotypes.
        seed: of the first training of each.
        repeated: architectures that are trained again.
        repeats: how often these are trained again, with the seeds that follow.
        before: those of a benchmark that grows: what is repeated there stays so, and more are
            spread over the others; where none are to be repeated, as often as there.

    Raises:
        InputError: two architectures are the same, more are to be repeated than there are, or a
            seed is too large.
    """
    _check_different(space, architectures)
    if not 0 <= repeated <= len(architectures) or repeats < 1:
        raise InputError(
            f"{repeated} architectures to be trained {repeats} more times; accepted are 0 to "
            f"{len(architectures)} of them, at least once"
        )
    names = {job.name for job in before}
    again = [i for i in range(len(architectures)) if _name(i, seed + 1) in names]
    if again and not repeated:
        repeats = max(job.seed for job in before) - seed
    check_seed(seed + repeats * bool(repeated or again))
    others = [i for i in range(len(architectures)) if i not in set(again)]
    more = max(repeated - len(again), 0)
    again += [others[i * len(others) // more] for i in range(more)]
    pairs = [(i, seed) for i in range(len(architectures))]
    pairs += [(i, seed + 1 + k) for k in range(repeats) for i in again]
    return [Job(_name(i, number), space.to_dict(architectures[i]), number) for i, number in pairs]


def _name(i: int, seed: int) -> str:
    """Of a training: the same however many there are, so that a benchmark can grow."""
    return f"{i:04d}-{seed}"


def _check_different(space: Space[Any], architectures: Iterable[Any]) -> None:
    seen: dict[str, int] = {}
    for i, architecture in enumerate(architectures):
        first = seen.setdefault(space.fingerprint(architecture), i)
        if first != i:
            raise InputError(f"architectures {first + 1} and {i + 1} of the list are the same")
