"""The registry: metrics by name, their forms, and what a request for one means.

A metric has one canonical name. Where the published tables or the released code differ from the
definition, those forms are metrics of their own, named `<name>_published` and `<name>_released`;
where they do not differ, these names mean the metric itself, so every published figure can be
asked for by the same rule.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points

from archscout.errors import InputError
from archscout.metrics.trace import QUANTITIES, Trace

Value = float | Sequence[float]
FORMS = ("published", "released")

_METRICS: dict[str, Metric] = {}


@dataclass(frozen=True)
class Metric:
    """A training-free metric.

    Attributes:
        name: canonical name.
        function: a pure function of a trace; of a per-layer metric, one value a layer.
        needs: names of the trace's quantities that the function reads.
        larger_is_better: whether a larger value predicts a better network.
        source: paper and equation.
        main_layer: of a per-layer metric, the layer (from 1) that its bare name stands for.
        undefined: why the value may not be finite, for the user.
    """

    name: str
    function: Callable[[Trace], Value]
    needs: frozenset[str]
    larger_is_better: bool
    source: str = ""
    main_layer: int | None = None
    undefined: str = "the metric is not finite"

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


@dataclass(frozen=True)
class Request:
    """What was asked for: a metric, and perhaps one layer of it.

    Attributes:
        column: the name it was asked for by, which names its value.
        metric: what it means.
        layer: the one layer (from 1) whose value is wanted, or None for every layer.
    """

    column: str
    metric: Metric
    layer: int | None = None

    def main(self) -> Request:
        """The request for the one value that the name stands for, and no deeper pass."""
        return replace(self, layer=self.layer or self.metric.main_layer)

    def values(self, trace: Trace) -> dict[str, float]:
        """Names and values; values that are not finite are kept as they are.

        Raises:
            InputError: the network has fewer layers than asked for, or the function of the
                metric returned no number.
        """
        value = self.metric.function(trace)
        main_layer = self.layer or self.metric.main_layer
        if main_layer is None:
            return {self.column: _as_float(self.metric, value)}
        if not isinstance(value, Sequence):
            raise InputError(
                f"metric {self.metric.name} returned {value!r}; it is declared with main_layer, "
                "so it must return one number a layer"
            )
        if main_layer > len(value):
            raise InputError(f"metric {self.column}: the network has {len(value)} layer(s)")
        main = {self.column: _as_float(self.metric, value[main_layer - 1])}
        if self.layer is not None:
            return main
        return main | {
            f"{self.column}[{i}]": _as_float(self.metric, v) for i, v in enumerate(value, start=1)
        }


def _as_float(metric: Metric, value: Value) -> float:
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise InputError(
            f"metric {metric.name} returned {value!r}; it must return a number, "
            "or be declared with main_layer and return one number a layer"
        ) from error


def metric(
    *,
    needs: Iterable[str],
    larger_is_better: bool,
    name: str | None = None,
    source: str = "",
    main_layer: int | None = None,
    undefined: str = "the metric is not finite",
) -> Callable[[Callable[[Trace], Value]], Callable[[Trace], Value]]:
    """Register a function of a trace as a metric; it is returned unchanged.

    Args:
        needs: names of the quantities that the function reads, such as `hidden_states`.
        larger_is_better: whether a larger value predicts a better network.
        name: the function's name by default.
        source: paper and equation.
        main_layer: makes the metric per layer: the function returns one value a layer, and the
            bare name stands for this layer (from 1).
        undefined: why a value may not be finite, shown beside it.

    Raises:
        InputError: a quantity is unknown, or the name is taken by another function.

    Example:
        >>> import archscout
        >>> @archscout.metric(needs={"hidden_states"}, larger_is_better=True)
        ... def mean_magnitude(trace):
        ...     return trace.hidden_states[0].abs().mean().item()
        >>> "mean_magnitude" in archscout.metrics.available()
        True
    """
    needs = frozenset(needs)
    if unknown := sorted(needs - QUANTITIES.keys()):
        raise InputError(f"metric needs {', '.join(unknown)}; a trace has {', '.join(QUANTITIES)}")

    def register(function: Callable[[Trace], Value]) -> Callable[[Trace], Value]:
        entry = Metric(
            name or function.__name__,
            function,
            needs,
            larger_is_better,
            source,
            main_layer,
            undefined,
        )
        taken = _METRICS.get(entry.name)
        origin = (function.__module__, function.__qualname__)
        if taken and (taken.function.__module__, taken.function.__qualname__) != origin:
            raise InputError(f"metric name {entry.name!r} is taken by {taken.function!r}")
        _METRICS[entry.name] = entry
        return function

    return register


@cache
def _load_entry_points() -> None:
    """Import the modules that other packages name under `archscout.metrics`."""
    for point in entry_points(group="archscout.metrics"):
        point.load()


def available() -> Mapping[str, Metric]:
    """All metrics by canonical name, those of other packages among them."""
    _load_entry_points()
    return dict(sorted(_METRICS.items()))


_REQUEST = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<layer>\d+)\])?")


def request(text: str) -> Request:
    """What a name such as `hidden_covariance`, `hidden_covariance[2]` asks for.

    Raises:
        InputError: no such metric (with the nearest names), or a layer where there is none.
    """
    match = _REQUEST.fullmatch(text.strip())
    name = match["name"] if match else text
    found = _find(name)
    if match is None or found is None:
        near = difflib.get_close_matches(name, available(), 3, 0.5)
        known = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(available())}"
        raise InputError(f"unknown metric {text!r}; {known}")
    layer = None if match["layer"] is None else int(match["layer"])
    if layer is not None and (found.main_layer is None or layer < 1):
        rule = "layers count from 1" if found.main_layer else "it is not a per-layer metric"
        raise InputError(f"metric {text!r}: {rule}")
    return Request(text.strip(), found, layer)


def _find(name: str) -> Metric | None:
    known = available()
    if name in known:
        return known[name]
    base, _, form = name.rpartition("_")
    return known.get(base) if form in FORMS else None
