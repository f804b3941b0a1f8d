"""`archscout metrics`: what can be measured."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from rich.table import Column
from rich.text import Text

from archscout.cli import options
from archscout.cli.output import console, print_json, print_table, say
from archscout.errors import InputError, nearest

if TYPE_CHECKING:
    from archscout.metrics import Metric

_NETWORKS = {
    "all": "of all networks",
    "transformers": "of transformers",
    "others": "of networks other than transformers",
}


def metrics(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[METRIC]", help="Metric of which all that is known is shown."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """List the metrics, or of one show what it measures, needs and where it comes from.

    Examples:
        archscout metrics

        archscout metrics hidden_covariance
    """
    from archscout.metrics import registered

    entries = registered()
    if name is not None:
        names = dict.fromkeys(entry.name for entry in entries)
        entries = _definitions(name)
        if not entries:
            near = nearest(name, names)
            raise InputError(f"unknown metric {name!r}{near}; archscout metrics lists them")
    documents = [_document(entry) for entry in entries]
    if as_json:
        for document in documents:
            print_json(document)
    elif name is not None:
        for document in documents:
            _show(document)
    else:
        _list(entries)


def _definitions(name: str) -> list[Metric]:
    """What a name stands for: of networks with attention, of others, or of both alike."""
    from archscout.metrics import request
    from archscout.metrics.formula import PREFIX
    from archscout.recording import Kind

    found: list[Metric] = []
    for kind in () if name.startswith(PREFIX) else get_args(Kind):
        with suppress(InputError):
            entry = request(name, kind).metric
            found += [entry] * (entry not in found)
    return found


def _document(entry: Metric) -> dict[str, Any]:
    return {
        "name": entry.name,
        "networks": _networks(entry),
        "as_published": entry.as_published,
        "larger_is_better": entry.larger_is_better,
        "main_layer": entry.main_layer,
        "needs": sorted(entry.needs),
        "source": entry.source,
        "summary": entry.summary,
    }


def _show(document: dict[str, Any]) -> None:
    from archscout.metrics.registry import LAST_LAYER

    layer = document["main_layer"]
    which = "the last one" if layer == LAST_LAYER else f"layer {layer}"
    layers = "" if layer is None else f", of each layer; its name alone stands for {which}"
    networks = _NETWORKS[document["networks"]]
    say(f"{document['name']}: {networks}{layers}")
    say(f"  {document['summary']}")
    if document["as_published"]:
        say("  As published: in training mode, gradients those of the sum of the output.")
    say(f"  better  {_better(document['larger_is_better'])}")
    say(f"  needs   {', '.join(document['needs']) or 'nothing'}")
    say(f"  source  {document['source'] or 'none given'}")


def _better(larger: bool) -> str:
    return "larger" if larger else "smaller"


def _list(entries: list[Metric]) -> None:
    """A line each; one that differs of networks with attention stands once, with each direction."""
    rows: dict[str, list[Any]] = {}
    for entry in entries:
        name = f"{entry.name}[layer]" if entry.main_layer else entry.name
        better = dict.fromkeys(_better(e.larger_is_better) for e in entries if e.name == entry.name)
        rows.setdefault(entry.name, [Text(name), " / ".join(better), Text(entry.summary)])
    # Names stay whole: what measures is said in what they leave of the line.
    widths = (max(len(row[column]) for row in rows.values()) for column in (0, 1))
    left = console.width - sum(widths) - 4
    for *_, summary in rows.values():
        summary.truncate(left, overflow="ellipsis")
    columns = [Column(title, no_wrap=True) for title in ("metric", "better", "measures")]
    print_table(columns, rows.values(), box=None, pad_edge=False, padding=(0, 2, 0, 0))
    say("All that is known of one: archscout metrics METRIC")


def _networks(entry: Metric) -> str:
    """For which networks a definition is."""
    from archscout.metrics import available

    if entry.kind == "transformer" or entry.as_published:
        return "transformers"
    return "all" if available("transformer").get(entry.name) == entry else "others"
