"""`archscout sample`: architectures drawn at random."""

from __future__ import annotations

from itertools import islice
from typing import Annotated

import typer

from archscout.cli import options
from archscout.cli.output import print_json, progress
from archscout.errors import InputError


def sample(
    space: options.SpaceName,
    number: Annotated[
        int | None,
        typer.Option("-n", "--number", metavar="N", help="How many, all different; 1 by default."),
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Decides everything that is random; 0 by default.")
    ] = None,
    between: options.Between = None,
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
    from archscout.spaces import samples

    found = spaces.get(space)
    if number is not None and number < 1:
        raise InputError(f"-n is {number}; a positive whole number is accepted")
    if seed is not None and seed < 0:
        raise InputError(f"--seed is {seed}; 0 or a positive whole number is accepted")
    if published:
        for option, given in (("--between", between), ("--seed", seed)):
            if given is not None:
                raise InputError(f"{option} and --published exclude each other")
        if not found.published_sample:
            others = [name for name in spaces.available() if spaces.get(name).published_sample]
            raise InputError(
                f"space {found.name} has no published sample; accepted: {', '.join(others)}"
            )
        drawn = islice(found.published_sample, number)
        number = min(number or len(found.published_sample), len(found.published_sample))
    else:
        number = number or 1
        drawn = islice(samples(found, seed or 0, options.sizes_between(found, between)), number)
    with progress("sampling", number) as bar:
        for architecture in drawn:
            print_json({"space": found.name, "architecture": found.to_dict(architecture)})
            bar.advance()
