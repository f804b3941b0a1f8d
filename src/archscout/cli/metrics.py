"""`archscout metrics`: what can be measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.table import Column, Table

from archscout.cli import options
from archscout.cli.output import console, print_json

if TYPE_CHECKING:
    from archscout.metrics import Metric


_WIDE = 120  # columns of a terminal that has room for sources


def metrics(as_json: options.Json = False) -> None:
    """List the metrics: which way is better, whence they come, what they measure.

    Example:
        archscout metrics
    """
    from archscout.metrics import registered

    entries = registered()
    if as_json:
        for entry in entries:
            document = {
                "name": entry.name,
                "networks": _networks(entry),
                "larger_is_better": entry.larger_is_better,
                "main_layer": entry.main_layer,
                "needs": sorted(entry.needs),
                "source": entry.source,
                "summary": entry.summary,
            }
            print_json(document)
        return
    wide = console.width >= _WIDE
    names, networks = (Column(title, no_wrap=True) for title in ("metric", "networks"))
    table = Table(names, networks, "better", "measures", *(["source"] if wide else []))
    for entry in entries:
        name = f"{entry.name}\\[layer]" if entry.main_layer else entry.name
        way = "larger" if entry.larger_is_better else "smaller"
        source = [f"[dim]{entry.source}"] if wide else []
        table.add_row(name, _networks(entry), way, entry.summary, *source)
    console.print(table)


def _networks(entry: Metric) -> str:
    """For which networks a definition is."""
    from archscout.metrics import available

    if entry.kind == "transformer":
        return "transformers"
    return "all" if available("transformer").get(entry.name) == entry else "others"
