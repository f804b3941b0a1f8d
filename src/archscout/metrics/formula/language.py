"""Metrics written as formulas of a trace's quantities, such as `mean(l2(hidden_states))`.

A formula is a quantity, a function of a formula, or two formulas with a sign between them; its
kinds of values are checked when it is read, so that what is read can be computed of any network.

The idea of metrics as formulas is from Dong et al. 2024, "LPZero: Language Model Zero-cost Proxy
Search from Zero", section 3.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from functools import cached_property

import torch

from archscout.errors import InputError
from archscout.metrics.formula.operations import (
    OPERATIONS,
    TERMINALS,
    Operation,
    Quantities,
    Undefined,
    Values,
    ValueType,
    named,
    quantities,
    resolve,
)
from archscout.tracing.quantities import Trace

PREFIX = "formula:"
"""What the name of a metric begins with that is a formula."""
UNDEFINED = "the formula has no finite value for this network"

_DEEPEST = 100  # operations or parentheses within one another
_REMEMBERED = 50_000  # numbers in the largest value that is kept for other formulas
_NAME = re.compile(r"[A-Za-z_]\w*")
_BLANK = re.compile(r"\s*")
_PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2}
_NEGATIVE = 3
_FUNCTIONS = sorted({entry.name for entry in OPERATIONS if entry.name.isidentifier()})


@dataclass(frozen=True)
class Formula:
    """A formula: a quantity of the trace, or an operation on one or two formulas.

    Attributes:
        name: of the quantity or operation.
        arguments: of the operation; none of a quantity.

    Raises:
        InputError: there is no such quantity, or no such operation on these arguments.

    Example:
        >>> formula = parse("sum(l1(weights * weight_gradients))")
        >>> str(formula), sorted(formula.needs), formula.size
        ('sum(l1(weights * weight_gradients))', ['weight_gradients', 'weights'], 5)
    """

    name: str
    arguments: tuple[Formula, ...] = ()

    def __post_init__(self) -> None:
        if self.arguments:
            found = resolve(self.name, *(argument.type for argument in self.arguments))
            known = found is not None
        else:
            known = self.name in TERMINALS
        if not known:
            given = ", ".join(map(str, self.arguments)) or "no argument"
            raise InputError(f"there is no {self.name!r} of {given}")

    @cached_property
    def _resolved(self) -> tuple[Operation, ValueType]:
        found = resolve(self.name, *(argument.type for argument in self.arguments))
        assert found is not None
        return found

    @cached_property
    def type(self) -> ValueType:
        """What kind of value it has."""
        return self._resolved[1] if self.arguments else TERMINALS[self.name]

    @cached_property
    def size(self) -> int:
        """How many quantities and operations it is made of."""
        return 1 + sum(argument.size for argument in self.arguments)

    @cached_property
    def height(self) -> int:
        """How many operations stand within one another, at most."""
        return max((1 + argument.height for argument in self.arguments), default=0)

    @cached_property
    def needs(self) -> frozenset[str]:
        """The names of the quantities in it."""
        if not self.arguments:
            return frozenset({self.name})
        return frozenset().union(*(argument.needs for argument in self.arguments))

    @cached_property
    def _text(self) -> str:
        if not self.arguments:
            return self.name
        if self.name not in _PRECEDENCE:
            return f"{self.name}({self.arguments[0]})"
        if len(self.arguments) == 1:
            return f"-{self._within(self.arguments[0], _NEGATIVE)}"
        own = _PRECEDENCE[self.name]
        left, right = self.arguments
        return f"{self._within(left, own)} {self.name} {self._within(right, own + 1)}"

    def _within(self, argument: Formula, least: int) -> str:
        """An argument as it is written beside a sign, in parentheses where they are needed."""
        return f"({argument})" if argument._precedence < least else str(argument)

    @property
    def _precedence(self) -> int:
        if self.name not in _PRECEDENCE:
            return _NEGATIVE + 1
        return _PRECEDENCE[self.name] if len(self.arguments) == 2 else _NEGATIVE

    def __str__(self) -> str:
        return self._text

    def value(self, found: Quantities, memory: MutableMapping[str, Values] | None = None) -> float:
        """Its value, if it is a number.

        Args:
            found: the quantities that it needs, as `operations.quantities` gives them.
            memory: of one network: small values of parts of formulas, for other formulas.

        Returns:
            A number that may be infinite; NaN where an operation has no value, such as for a
            quantity of which the network has none.
        """
        try:
            values = self._values(found, {} if memory is None else memory)
        except (Undefined, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
            return math.nan
        return float(values[0])

    def _values(self, found: Quantities, memory: MutableMapping[str, Values]) -> Values:
        if not self.arguments:
            values = tuple(found[self.name])
            if not values:
                raise Undefined(f"the network has no {self.name}")
            return values
        if self._text in memory:
            return memory[self._text]
        arguments = [argument._values(found, memory) for argument in self.arguments]
        values = self._resolved[0].apply(*arguments)
        if sum(value.numel() for value in values) <= _REMEMBERED:
            memory[self._text] = values
        return values

    def measure(self, trace: Trace) -> float:
        """The formula's value; larger is better."""
        with torch.no_grad():
            return self.value(quantities(trace, sorted(self.needs)))


def parse(text: str) -> Formula:
    """A formula from its text.

    Grammar: a quantity; `function(formula)`; `-formula`; two formulas with `+`, `-`, `*` or `/`
    between them, of which `*` and `/` bind more tightly; parentheses.

    Raises:
        InputError: it is none; the message gives the place, as a character's number from 1, and
            what is accepted there.
    """
    return _Parser(text).formula()


class _Parser:
    """Reads one formula from left to right.

    Args:
        text: of the formula.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._depth = 0
        self._place = 0
        self._skip_blanks()

    def formula(self) -> Formula:
        """The whole text as a formula that is a number."""
        found = self._sum()
        if self._place < len(self._text):
            raise self._refused("accepted here are +, -, *, / and the end")
        if not found.type.is_number:
            functions = ", ".join(_accepting(found.type))
            raise self._error(0, f"it is {found.type}; {functions} make it fewer")
        return found

    def _skip_blanks(self) -> None:
        blank = _BLANK.match(self._text, self._place)
        assert blank is not None
        self._place = blank.end()

    def _takes(self, signs: str) -> str | None:
        """The next character if it is one of these; it has then been read."""
        here = self._text[self._place : self._place + 1]
        if not here or here not in signs:
            return None
        self._place += 1
        self._skip_blanks()
        return here

    def _sum(self) -> Formula:
        return self._chain("+-", self._product)

    def _product(self) -> Formula:
        return self._chain("*/", self._factor)

    def _chain(self, signs: str, operand: Callable[[], Formula]) -> Formula:
        left = operand()
        place = self._place
        while sign := self._takes(signs):
            left = self._joined(place, sign, left, operand())
            place = self._place
        return left

    def _joined(self, place: int, name: str, *arguments: Formula) -> Formula:
        if resolve(name, *(argument.type for argument in arguments)) is None:
            accepted = " or ".join(entry.accepts for entry in named(name, len(arguments)))
            given = " and ".join(f"{argument} is {argument.type}" for argument in arguments)
            raise self._error(place, f"{name} takes {accepted}; {given}")
        found = Formula(name, arguments)
        self._check_depth(found.height, place)
        return found

    def _factor(self) -> Formula:
        place = self._place
        with_sign = self._takes("-(")
        if with_sign == "-":
            return self._joined(place, "-", self._deeper(self._factor))
        if with_sign == "(":
            return self._closed(self._deeper(self._sum))
        match = _NAME.match(self._text, self._place)
        if match is None:
            raise self._refused("accepted here are a quantity, a function, - and (")
        self._place = match.end()
        self._skip_blanks()
        name = match[0]
        if not self._takes("("):
            self._check_name(place, name, "quantity", list(TERMINALS))
            return Formula(name)
        self._check_name(place, name, "function", _FUNCTIONS)
        return self._joined(place, name, self._closed(self._deeper(self._sum)))

    def _deeper(self, read: Callable[[], Formula]) -> Formula:
        self._depth += 1
        self._check_depth(self._depth, self._place)
        found = read()
        self._depth -= 1
        return found

    def _check_depth(self, depth: int, place: int) -> None:
        if depth > _DEEPEST:
            raise self._error(place, f"at most {_DEEPEST} levels are accepted")

    def _closed(self, found: Formula) -> Formula:
        if not self._takes(")"):
            raise self._refused("accepted here are +, -, *, / and )")
        return found

    def _check_name(self, place: int, name: str, what: str, known: list[str]) -> None:
        if name in known:
            return
        if name in TERMINALS:
            raise self._error(place, f"{name} is a quantity, not a function")
        if name in _FUNCTIONS:
            raise self._error(place, f"{name} is a function; accepted is {name}(...)")
        near = difflib.get_close_matches(name, known, 3, 0.5)
        hint = f"did you mean {' or '.join(near)}?" if near else f"accepted: {', '.join(known)}"
        raise self._error(place, f"unknown {what} {name!r}; {hint}")

    def _refused(self, accepted: str) -> InputError:
        here = self._text[self._place : self._place + 1]
        return self._error(self._place, f"{repr(here) if here else 'it ends'}; {accepted}")

    def _error(self, place: int, what: str) -> InputError:
        return InputError(f"formula {self._text!r}, character {place + 1}: {what}")


def _accepting(kind: ValueType) -> Iterator[str]:
    """Functions that leave less of a value of this type."""
    for name in _FUNCTIONS:
        found = resolve(name, kind)
        if found and (found[0].joins or (kind.shape and not found[1].shape)):
            yield name
