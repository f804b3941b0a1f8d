"""Recipes: the genotype of a recurrent cell, a directed acyclic graph of named nodes.

Source: Klyuchnikov et al. 2020, "NAS-Bench-NLP", section 3.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from typing import Any

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from archscout.errors import InputError, nearest
from archscout.spaces.base import unique_keys

ACTIVATIONS = ("activation_tanh", "activation_sigm", "activation_leaky_relu")
ARITY = {"blend": 3, "elementwise_prod": 2, "elementwise_sum": 2, **dict.fromkeys(ACTIVATIONS, 1)}
OPS = ("linear", *ARITY)
COMMUTATIVE = frozenset({"linear", "elementwise_prod", "elementwise_sum"})
MAX_STATES = 3
MAX_NODES = 64  # the space has at most 24; larger ones take long to bring to canonical form
INPUT = "x"

_STATE = re.compile(r"h_(prev|new)_(0|[1-9][0-9]{0,3})")


class Node(BaseModel):
    """One node of a recipe: an operation and the names of its inputs."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    op: str
    input: tuple[str, ...]


_NODES = TypeAdapter(dict[str, Node])


class Recipe:
    """A recurrent cell: nodes by name, in the order in which they were written.

    Sources are ``x`` (the layer's input) and ``h_prev_0 .. h_prev_{k-1}``; sinks are
    ``h_new_0 .. h_new_{k-1}`` (k hidden states, 1 to 3; the first is the layer's output). The
    order of the nodes decides the order of published initialisation only; `order` is the one in
    which they can be computed.

    Args:
        nodes: name to node.

    Raises:
        InputError: a rule is broken; the message names the node and the rule.
    """

    def __init__(self, nodes: Mapping[str, Node]) -> None:
        self.nodes = dict(nodes)
        _check_names(self.nodes)
        self.num_states = _count_states(self.nodes)
        for name, node in self.nodes.items():
            _check_node(name, node, self.nodes, self.num_states)
        if not any(node.op == "linear" for node in self.nodes.values()):
            raise InputError("recipe has no linear node; only these read x and can be trained")
        self.order = topological_order(self.nodes)

    @classmethod
    def from_json(cls, document: str | bytes | Mapping[str, Any]) -> Recipe:
        """A recipe from JSON, ``{"node": {"op": ..., "input": [...]}, ...}``, as text or parsed.

        Raises:
            InputError: the text is not JSON, not of this shape, or breaks a rule.
        """
        if isinstance(document, str | bytes):
            try:
                document = json.loads(document, object_pairs_hook=unique_keys)
            except InputError:
                raise
            except (ValueError, RecursionError) as error:
                raise InputError(f"recipe is not valid JSON: {error}") from error
        if not isinstance(document, Mapping):
            raise InputError(
                f'recipe is {_shown(document)}; expected an object {{"node": {{"op": ..., '
                '"input": [...]}, ...}'
            )
        try:
            # Through JSON mode, for strict Python mode would refuse a list where a tuple stands.
            nodes = _NODES.validate_json(json.dumps(dict(document)))
        except (ValueError, TypeError, RecursionError) as error:
            raise InputError(_shape_message(error)) from error
        return cls(nodes)

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """The recipe as plain JSON types, in its own order."""
        return {
            name: {"op": node.op, "input": list(node.input)} for name, node in self.nodes.items()
        }

    def to_json(self) -> str:
        """The recipe as one line of JSON, in its own order."""
        return json.dumps(self.to_dict())

    @cached_property
    def sources(self) -> tuple[str, ...]:
        """``x`` and the previous states, in order."""
        return (INPUT, *(f"h_prev_{i}" for i in range(self.num_states)))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Recipe):
            return NotImplemented
        return list(self.nodes.items()) == list(other.nodes.items())

    def __hash__(self) -> int:
        return hash(tuple(self.nodes.items()))

    def __repr__(self) -> str:
        return f"Recipe({self.to_json()})"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _shape_message(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return f"recipe is not plain JSON: {error}"
    first = error.errors()[0]
    place = ", at " + " ".join(f"{part!r}" for part in first["loc"]) if first["loc"] else ""
    return (
        f"recipe{place}: {first['msg'].lower()} (got {_shown(first['input'])}); "
        'a node is {"op": <name>, "input": [<names>]}'
    )


def _check_names(nodes: Mapping[str, Node]) -> None:
    if not nodes:
        raise InputError("recipe is empty; it needs at least h_new_0 and what leads to it")
    if len(nodes) > MAX_NODES:
        raise InputError(f"recipe has {len(nodes)} nodes; at most {MAX_NODES} are accepted")
    for name in nodes:
        if name == INPUT or name.startswith("h_prev_") or not name:
            raise InputError(
                f"recipe node {name!r}: this name is kept for a source; "
                "nodes may have any other name"
            )


def _count_states(nodes: Mapping[str, Node]) -> int:
    matches = filter(None, map(_STATE.fullmatch, nodes))
    found = sorted(int(match[2]) for match in matches if match[1] == "new")
    if not found:
        raise InputError("recipe has no new state; expected a node named h_new_0")
    if found != list(range(len(found))):
        names = ", ".join(f"h_new_{i}" for i in found)
        raise InputError(
            f"recipe's new states are {names}; they must be numbered from 0 without a gap"
        )
    if len(found) > MAX_STATES:
        raise InputError(
            f"recipe has {len(found)} hidden states; from 1 to {MAX_STATES} are accepted"
        )
    return len(found)


def _check_node(name: str, node: Node, nodes: Mapping[str, Node], num_states: int) -> None:
    if node.op not in OPS:
        raise InputError(
            f"recipe node {name!r}: unknown op {node.op!r}{nearest(node.op, OPS)}; accepted: "
            f"{', '.join(OPS)}"
        )
    place = f"recipe node {name!r}"
    expected = ARITY.get(node.op)
    if expected is None and not node.input:
        raise InputError(f"{place}: linear has no input; it takes one or more")
    if expected is not None and len(node.input) != expected:
        raise InputError(f"{place}: {node.op} has {len(node.input)} inputs; it takes {expected}")
    for source in node.input:
        match = _STATE.fullmatch(source)
        missing = f"{place}: input {source!r} is missing"
        if match is not None and match[1] == "prev" and int(match[2]) >= num_states:
            raise InputError(
                f"{missing}; the recipe has {num_states} hidden state(s), h_prev_0 to "
                f"h_prev_{num_states - 1}"
            )
        if source != INPUT and (match is None or match[1] == "new") and source not in nodes:
            raise InputError(f"{missing}; inputs are x, previous states and other nodes")
        if source == INPUT and node.op != "linear":
            raise InputError(
                f"{place}: {node.op} takes x, whose width differs from the hidden states'; x may "
                "feed linear nodes only"
            )


def topological_order(nodes: Mapping[str, Node]) -> tuple[str, ...]:
    """Names in an order of computation that keeps the written order where it can.

    Raises:
        InputError: there is a cycle.
    """
    before = {name: [s for s in node.input if s in nodes] for name, node in nodes.items()}
    order: dict[str, None] = {}
    left = list(nodes)
    while left:
        name = next((name for name in left if order.keys() >= set(before[name])), None)
        if name is None:
            raise InputError(f"recipe has a cycle: {_a_cycle(before)}; a cell must be acyclic")
        order[name] = None
        left.remove(name)
    return tuple(order)


def _a_cycle(before: Mapping[str, Iterable[str]]) -> str:
    """The names on a cycle, in the order of computation."""
    try:
        TopologicalSorter(before).prepare()
    except CycleError as error:
        return " -> ".join(error.args[1])
    raise AssertionError("there is no cycle")
