"""`archscout spaces`: what can be searched, at which sizes, and how it is trained."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console

if TYPE_CHECKING:
    from archscout.spaces.base import Space

_Values = Mapping[str, Mapping[str, Any]]


def spaces(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[SPACE]", help="Space whose sizes and recipes are shown."),
    ] = None,
    finetuning: Annotated[
        bool, typer.Option("--finetuning", help="Show the settings of `archscout finetune`.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """List the spaces, or of one its scales for --size, and its recipes for --set.

    Examples:
        archscout spaces

        archscout spaces rnn

        archscout spaces flexibert --json
    """
    from archscout import spaces as room

    if finetuning:
        _show_finetuning(as_json)
    elif name is not None:
        _show(room.get(name), as_json)
    else:
        _list([room.get(each) for each in sorted(room.available())], as_json)


def _list(known: list[Space[Any]], as_json: bool) -> None:
    if as_json:
        for space in known:
            row = {
                "space": space.name,
                "scales": list(space.scales),
                "default_scale": space.default_scale,
                "default_metric": space.default_metric,
                "named": list(space.named),
            }
            typer.echo(json.dumps(row))
        return
    table = Table("space", "scales", "metric of a search", "named architectures")
    for space in known:
        named = ", ".join(space.named) or "–"
        table.add_row(space.name, ", ".join(space.scales), space.default_metric, named)
    console.print(table)


def _show(space: Space[Any], as_json: bool) -> None:
    from archscout.training import trainers

    scales: _Values = {name: dataclasses.asdict(scale) for name, scale in space.scales.items()}
    trainer = trainers().get(space.name)
    presets = {} if trainer is None else trainer.presets
    recipes = {name: preset.settings.model_dump() for name, preset in presets.items()}
    if as_json:
        typer.echo(json.dumps({"space": space.name, "scales": scales, "recipes": recipes}))
        return
    kinds = get_type_hints(type(space.scales[space.default_scale]))
    title = f"Scales of {space.name}, for --size; {space.default_scale} is the default"
    _print(title, scales, kinds)
    if trainer is None:
        console.print(f"Space {space.name} has no trainer.")
        return
    kinds = get_type_hints(trainer.settings_type)
    _print(f"Recipes of {space.name}, for --preset and --set", recipes, kinds)


def _show_finetuning(as_json: bool) -> None:
    from archscout.training.glue import FinetuningSettings

    recipe = {"published": FinetuningSettings().model_dump()}
    if as_json:
        typer.echo(json.dumps(recipe))
        return
    kinds = get_type_hints(FinetuningSettings)
    _print("Settings of archscout finetune, for --set", recipe, kinds)


def _print(title: str, columns: _Values, kinds: Mapping[str, Any]) -> None:
    """A row for each name, with its value in each column, and what is accepted."""
    table = Table(title=title)
    table.add_column("name", no_wrap=True)
    for column in columns:
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("accepted")
    for name in next(iter(columns.values())):
        values = [_written(column[name]) for column in columns.values()]
        table.add_row(name, *values, _accepted(kinds[name]))
    console.print(table)


def _written(value: Any) -> str:
    return "–" if value is None else str(value)


def _accepted(kind: Any) -> str:
    """What values of a type are, in words."""
    plain = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    if kind in plain:
        return plain[kind]
    parts = [part for part in get_args(kind) if part is not type(None)]
    if all(isinstance(part, str) for part in parts):
        return ", ".join(parts)
    return " or ".join(plain.get(part, "number") for part in parts)
