"""`archscout sample`: architectures drawn at random."""

from __future__ import annotations

import json
from itertools import islice
from typing import Annotated

import typer

from archscout.cli import options
from archscout.cli.output import progress


def sample(
    space: options.SpaceName,
    number: Annotated[
        int, typer.Option("-n", "--number", metavar="N", help="How many, all different.")
    ] = 1,
    seed: options.Seed = 0,
) -> None:
    """Draw architectures at random, one line of JSON each.

    Examples:
        archscout sample rnn -n 3

        archscout sample rnn -n 100 --seed 1 | archscout score rnn - --metrics hidden_covariance
    """
    from archscout import spaces
    from archscout.errors import InputError

    found = spaces.get(space)
    if number < 1:
        raise InputError(f"-n is {number}; a positive whole number is accepted")
    if seed < 0:
        raise InputError(f"--seed is {seed}; 0 or a positive whole number is accepted")
    with progress("sampling", number) as bar:
        for architecture in islice(found.samples(seed), number):
            typer.echo(json.dumps(found.to_dict(architecture)))
            bar.advance()
