"""`archscout sample`: architectures drawn at random."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archscout.cli import options
from archscout.cli.output import print_json, progress
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.spaces.base import Space


def sample(
    space: options.SpaceName,
    number: Annotated[
        int | None,
        typer.Option("-n", "--number", metavar="N", help="How many, all different; 1 by default."),
    ] = None,
    seed: options.Seed = 0,
    between: Annotated[
        str | None,
        typer.Option(
            metavar="LOW,HIGH",
            help="Draw those with so many parameters, embeddings left out, such as 1M,4M, evenly "
            "on a logarithmic scale; for decoders.",
        ),
    ] = None,
    published: Annotated[
        bool,
        typer.Option(
            "--published",
            help="The architectures of the published benchmark instead, in the order of their "
            "ids; all 500 unless -n says how many.",
        ),
    ] = False,
) -> None:
    """Draw architectures at random, one line of JSON each.

    Examples:
        archscout sample rnn -n 3

        archscout sample rnn -n 100 --seed 1 | archscout score rnn - --metrics hidden_covariance

        archscout sample flexibert --published > benchmark.jsonl

        archscout sample gpt -n 100 --between 4M,4.4M
    """
    from archscout import spaces

    found = spaces.get(space)
    if number is not None and number < 1:
        raise InputError(f"-n is {number}; a positive whole number is accepted")
    if seed < 0:
        raise InputError(f"--seed is {seed}; 0 or a positive whole number is accepted")
    if published:
        if between is not None:
            raise InputError("--between and --published exclude each other")
        if not found.published_sample:
            raise InputError(
                f"space {found.name} has no published sample; accepted: flexibert; the "
                "architectures of rnn's benchmark lie in its log files"
            )
        drawn = islice(found.published_sample, number)
        number = min(number or len(found.published_sample), len(found.published_sample))
    else:
        number = number or 1
        drawn = islice(_samples(found, seed, between), number)
    with progress("sampling", number) as bar:
        for architecture in drawn:
            print_json({"space": found.name, "architecture": found.to_dict(architecture)})
            bar.advance()


def _samples(space: Space[Any], seed: int, between: str | None) -> Iterator[Any]:
    """Samples of a space, of a size where that is asked for."""
    if between is None:
        return space.samples(seed)
    from archscout.runs.search_settings import parse_limit

    of_size = getattr(space, "samples_of_size", None)
    if of_size is None:
        raise InputError(
            f"space {space.name} draws no architectures by size; --between is for decoders"
        )
    try:
        low, high = (int(parse_limit("parameters", each)) for each in between.split(","))
    except ValueError as error:
        raise InputError(f"--between {between}; accepted is LOW,HIGH, such as 1M,4M") from error
    drawn: Iterator[Any] = of_size(seed, low, high)
    return drawn
