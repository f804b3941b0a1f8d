"""`archscout spaces`: what can be searched, at which sizes, and how it is trained."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_type_hints

import typer
from rich.table import Column

from archscout.cli import options
from archscout.cli.output import console, print_json, print_table
from archscout.errors import InputError

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
        if name is not None:
            raise InputError(f"SPACE ({name}) and --finetuning exclude each other")
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
            print_json(row)
        return
    titles = ("space", "scales", "metric of a search", "named architectures")
    rows = [
        [s.name, ", ".join(s.scales), s.default_metric, ", ".join(s.named) or "–"] for s in known
    ]
    print_table(map(Column, titles), rows)


def _show(space: Space[Any], as_json: bool) -> None:
    from archscout.runs.costs import available
    from archscout.training import trainer_of

    scales: _Values = {name: dataclasses.asdict(scale) for name, scale in space.scales.items()}
    trainer = trainer_of(space)
    presets = {} if trainer is None else trainer.presets
    recipes = {name: preset.settings.model_dump() for name, preset in presets.items()}
    if as_json:
        costs = {"costs": available(space)}
        print_json({"space": space.name, "scales": scales, "recipes": recipes} | costs)
        return
    kinds = get_type_hints(type(space.scales[space.default_scale]))
    title = f"Scales of {space.name}, for --size; {space.default_scale} is the default"
    _print(title, scales, kinds)
    console.print(f"Costs, for -m and --max of a search: {', '.join(available(space))}")
    if trainer is None:
        console.print(f"Space {space.name} has no trainer.")
        return
    kinds = get_type_hints(trainer.settings_type)
    _print(f"Recipes of {space.name}, for --preset and --set", recipes, kinds)


def _show_finetuning(as_json: bool) -> None:
    from archscout.training.glue import FinetuningSettings

    recipe = {"published": FinetuningSettings().model_dump()}
    if as_json:
        print_json(recipe)
        return
    kinds = get_type_hints(FinetuningSettings)
    _print("Settings of archscout finetune, for --set", recipe, kinds)


def _print(title: str, columns: _Values, kinds: Mapping[str, Any]) -> None:
    """A row for each name, with its value in each column, and what is accepted."""
    rows = []
    for name in next(iter(columns.values())):
        values = [column[name] for column in columns.values()]
        written = ("–" if value is None else str(value) for value in values)
        rows.append([name, *written, _accepted(kinds[name])])
    print_table([Column("name", no_wrap=True), *columns, Column("accepted")], rows, title=title)


def _accepted(kind: Any) -> str:
    """What values of a type are, in words."""
    plain = {int: "whole number", float: "number", bool: "true or false", str: "text"}
    if kind in plain:
        return plain[kind]
    parts = [part for part in get_args(kind) if part is not type(None)]
    if all(isinstance(part, str) for part in parts):
        return ", ".join(parts)
    return " or ".join(plain.get(part, "number") for part in parts)
