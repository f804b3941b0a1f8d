"""The registry: metrics by name, their forms, and what a request for one means.

A metric has one canonical name. Where the published tables or the released code differ from the
definition, those forms are metrics of their own, named `<name>_published` and `<name>_released`;
where they do not differ, these names mean the metric itself, so every published figure can be
asked for by the same rule. Of transformers every published figure was taken of the network in
training mode and from the gradient of its output's sum: there both names mean just that.

Of networks with attention some metrics read other quantities, or the other way is better: such a
metric says so, and its function asks the trace.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, TypedDict, TypeVar

from archscout.errors import InputError
from archscout.metrics import formula
from archscout.recording import KINDS, Kind
from archscout.tracing.quantities import QUANTITIES, Trace

Value = float | Sequence[float]
Function = TypeVar("Function", bound=Callable[[Trace], Value])
FORMS = ("published", "released")
NORMALIZED = "_normalized"
LAST_LAYER = -1

_METRICS: dict[tuple[str, Kind | None], Metric] = {}


class MissingLayer(InputError):
    """A network has fewer layers than a metric was asked for."""


@dataclass(frozen=True)
class Metric:
    """A training-free metric.

    Attributes:
        name: canonical name.
        function: a pure function of a trace; of a per-layer metric, one value a layer.
        needs: names of the trace's quantities that the function reads.
        larger_is_better: whether a larger value predicts a better network.
        source: paper and equation.
        main_layer: of a per-layer metric, the layer that its bare name stands for, from 1, or
            `LAST_LAYER`.
        undefined: why the value may not be finite, for the user.
        kind: the networks that the metric is for; None for all.
        terms: whether the function's values are terms, and the metric their `sum` or their `mean`.
        as_published: whether it is read off a network in training mode, with gradients of the
            sum of its output.
        amplified: whether it is read off an amplified network, see `tracing.amplification`.
        with_attention: the metric of networks with attention, where it differs.
    """

    name: str
    function: Callable[[Trace], Value]
    needs: frozenset[str]
    larger_is_better: bool
    source: str = ""
    main_layer: int | None = None
    undefined: str = "the metric is not finite"
    kind: Kind | None = None
    terms: Literal["sum", "mean"] | None = None
    as_published: bool = False
    amplified: bool = False
    with_attention: Metric | None = None

    @property
    def summary(self) -> str:
        """The first line of the function's docstring."""
        return (self.function.__doc__ or "").strip().partition("\n")[0]


class WithAttention(TypedDict, total=False):
    """What differs of networks with attention; as of `metric`."""

    needs: Iterable[str]
    larger_is_better: bool
    source: str
    undefined: str
    normalized: bool


@dataclass(frozen=True)
class Request:
    """What was asked for: a metric, and perhaps one layer of it.

    Attributes:
        column: the name it was asked for by, which names its value.
        metric: what it means.
        layer: the one layer whose value is wanted, from 1, or `LAST_LAYER`, or None for every
            layer.
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
            MissingLayer: the network has fewer layers than asked for.
            InputError: the function of the metric returned no number.
        """
        if self.metric.terms is None:
            value = self.metric.function(trace)
        else:  # sum and mean share their terms
            value = _sum(self.metric, trace.once(self.metric.function, "terms", trace))
        main_layer = self.layer or self.metric.main_layer
        if main_layer is None:
            return {self.column: _as_float(self.metric, value)}
        if not isinstance(value, Sequence):
            raise InputError(
                f"metric {self.metric.name} returned {value!r}; it is declared with main_layer, "
                "so it must return one number a layer"
            )
        if main_layer > len(value):
            raise MissingLayer(f"metric {self.column}: the network has {len(value)} layer(s)")
        position = main_layer if main_layer == LAST_LAYER else main_layer - 1
        main = {self.column: _as_float(self.metric, value[position])}
        if self.layer is not None:
            return main
        return main | {
            f"{self.column}[{i}]": _as_float(self.metric, v) for i, v in enumerate(value, start=1)
        }


def _sum(metric: Metric, terms: Value) -> float:
    if not isinstance(terms, Sequence):
        raise InputError(
            f"metric {metric.name} returned {terms!r}; it is declared with normalized, "
            "so it must return a list of terms"
        )
    total = math.fsum(terms) if all(map(math.isfinite, terms)) else math.nan
    return total / max(1, len(terms)) if metric.terms == "mean" else total


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
    kind: Kind | None = None,
    normalized: bool = False,
    amplified: bool = False,
    with_attention: WithAttention | None = None,
) -> Callable[[Function], Function]:
    """Register a function of a trace as a metric; it is returned unchanged.

    Args:
        needs: names of the quantities that the function reads, such as `hidden_states`.
        larger_is_better: whether a larger value predicts a better network.
        name: the function's name by default.
        source: paper and equation.
        main_layer: makes the metric per layer: the function returns one value a layer, and the
            bare name stands for this layer, from 1, or for the last one, `LAST_LAYER`.
        undefined: why a value may not be finite, shown beside it.
        kind: `transformer` or `other` where the metric is for these networks only.
        normalized: the function returns a list of terms; the metric is their sum, and a second
            one, named `<name>_normalized`, is their mean.
        amplified: the network is amplified before it is traced, see `tracing.amplification`.
        with_attention: what of this differs of networks with attention, where the function does
            something else by `trace.has_attention`.

    Raises:
        InputError: a quantity or kind is unknown, there is no such layer, or the name is taken by
            another function.

    Examples:
        >>> import archscout
        >>> @archscout.metric(needs={"hidden_states"}, larger_is_better=True)
        ... def mean_magnitude(trace):
        ...     return trace.hidden_states[0].abs().mean().item()
        >>> "mean_magnitude" in archscout.metrics.available()
        True
    """
    if kind not in (None, *KINDS):
        raise InputError(f"kind is {kind!r}; accepted: {', '.join(KINDS)}, or None for both")
    if main_layer is not None and main_layer < 1 and main_layer != LAST_LAYER:
        raise InputError(f"main_layer is {main_layer}; a layer from 1, or LAST_LAYER, is accepted")
    terms: Literal["sum"] | None = "sum" if normalized else None
    general = (_checked(needs), larger_is_better, source, main_layer, undefined, kind, terms)

    def register(function: Function) -> Function:
        entry = Metric(name or function.__name__, function, *general, amplified=amplified)
        if with_attention is not None:
            changes: dict[str, Any] = {"kind": "transformer", **with_attention}
            changes["needs"] = _checked(changes.get("needs", entry.needs))
            changes["terms"] = "sum" if changes.pop("normalized", normalized) else None
            entry = replace(entry, with_attention=replace(entry, **changes))
        _add(entry)
        for form in (entry, entry.with_attention):
            if form is not None and form.terms == "sum":
                _add(replace(form, name=form.name + NORMALIZED, terms="mean", with_attention=None))
        return function

    return register


def _checked(needs: Iterable[str]) -> frozenset[str]:
    if isinstance(needs, str):
        raise InputError(f"metric needs {needs!r}; a set of names is accepted")
    needs = frozenset(needs)
    if unknown := sorted(needs - QUANTITIES.keys()):
        raise InputError(f"metric needs {', '.join(unknown)}; a trace has {', '.join(QUANTITIES)}")
    return needs


def _add(entry: Metric) -> None:
    key = (entry.name, entry.kind)
    if taken := _METRICS.get(key):
        origins = {(f.__module__, f.__qualname__) for f in (taken.function, entry.function)}
        if len(origins) > 1:
            raise InputError(f"metric name {entry.name!r} is taken by {taken.function!r}")
    _METRICS[key] = entry


@cache
def _load_entry_points() -> None:
    """Import the modules that other packages name under `archscout.metrics`."""
    for point in entry_points(group="archscout.metrics"):
        point.load()


def registered() -> list[Metric]:
    """Every metric, by name; one that differs of networks with attention stands twice."""
    _load_entry_points()
    found = [form for e in _METRICS.values() for form in (e, e.with_attention) if form is not None]
    return sorted(found, key=lambda entry: (entry.name, entry.kind or ""))


def available(kind: Kind = "other") -> Mapping[str, Metric]:
    """The metrics of these networks by canonical name, those of other packages among them."""
    entries = registered()
    own = {entry.name: entry for entry in entries if entry.kind == kind}
    shared = {entry.name: entry for entry in entries if entry.kind is None}
    return dict(sorted((shared | own).items()))


_REQUEST = re.compile(r"(?P<name>[^\[\]]+)(\[(?P<layer>\d+)\])?")


def request(text: str, kind: Kind = "other") -> Request:
    """What a name such as `hidden_covariance`, `hidden_covariance[2]` asks for.

    Args:
        text: the name; or `formula:` and a formula, which is a metric of which larger is better.
        kind: of the networks that are to be measured.

    Raises:
        InputError: no such metric (with the nearest names), one that is for other networks, a
            layer where there is none, or what is no formula.
    """
    column = text.strip()
    if column.startswith(formula.PREFIX):
        parsed = formula.parse(column.removeprefix(formula.PREFIX))
        return Request(
            column,
            Metric(column, parsed.measure, parsed.needs, True, undefined=formula.UNDEFINED),
        )
    match = _REQUEST.fullmatch(column)
    name = match["name"] if match else text
    found = _find(name, kind)
    if match is None or found is None:
        base, _, form = name.rpartition("_")
        names = {name, base if form in FORMS else name}
        if any(entry.name in names for entry in registered()):
            networks = "transformers" if kind == "other" else "networks that are no transformers"
            raise InputError(f"metric {text!r} is defined for {networks} only")
        known = available(kind)
        near = difflib.get_close_matches(name, known, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(known)}"
        raise InputError(f"unknown metric {text!r}; {hint}")
    layer = None if match["layer"] is None else int(match["layer"])
    if layer is not None and (found.main_layer is None or layer < 1):
        rule = "layers count from 1" if found.main_layer else "it is not a per-layer metric"
        raise InputError(f"metric {text!r}: {rule}")
    return Request(column, found, layer)


def _find(name: str, kind: Kind) -> Metric | None:
    known = available(kind)
    base, _, form = name.rpartition("_")
    if name in known or form not in FORMS or base not in known:
        return known.get(name)
    return replace(known[base], name=name, as_published=True) if kind != "other" else known[base]
