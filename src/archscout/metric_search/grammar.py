"""Formulas as the trees that DEAP breeds: which there are, drawn at random, crossed and mutated.

DEAP draws from Python's global random numbers, and so does everything here, within `seeded`.

Source: Montana, "Strongly typed genetic programming", Evolutionary Computation 3 (1995);
Fortin et al., "DEAP: Evolutionary algorithms made easy", JMLR 13 (2012).
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from deap import gp

from archscout.metrics.formula import Formula
from archscout.metrics.formula.operations import OPERATIONS, TERMINALS, Operation, ValueType

HEIGHT = 7
"""How many operations of a bred formula may stand within one another."""
SIZE = 20
"""How many quantities and operations a bred formula may have."""

_FIRST_HEIGHTS = (2, 5)
_LEAF = 0.3  # how often a drawn formula ends where it could
_NEGATIVE = ("-", 1)  # which way is better is learnt, not bred


class _Kind(type):
    """The class that stands for a type of values, for DEAP knows types by classes.

    Its hash is not its address: DEAP draws from a set of types, whose order must not change from
    one process to the next.
    """

    index: int

    def __hash__(cls) -> int:
        return cls.index


@contextmanager
def seeded(*seed: int) -> Iterator[None]:
    """Python's global random numbers as these numbers decide, and afterwards as before."""
    before = random.getstate()
    random.seed(" ".join(map(str, seed)))
    try:
        yield
    finally:
        random.setstate(before)


class Grammar:
    """The formulas of some quantities that are one number."""

    def __init__(self, names: Iterable[str]) -> None:
        self.terminals: Mapping[str, ValueType] = {
            name: kind for name, kind in TERMINALS.items() if name in set(names)
        }
        self._rules = list(self._all_rules())
        self._kinds: dict[ValueType, _Kind] = {}
        self._overs: dict[type, str] = {}
        self._primitives = gp.PrimitiveSetTyped("formula", [], self._kind(ValueType("")))
        self._formulas: dict[str, str] = {}
        for name, kind in self.terminals.items():
            self._primitives.addTerminal(name, self._kind(kind), name=name)
        for i, (operation, arguments, result) in enumerate(self._rules):
            symbol = f"operation_{i}"
            self._formulas[symbol] = operation.name
            kinds = [self._kind(argument) for argument in arguments]
            self._primitives.addPrimitive(operation.function, kinds, self._kind(result), symbol)

    def _kind(self, kind: ValueType) -> _Kind:
        if kind not in self._kinds:
            index = len(self._kinds)
            self._kinds[kind] = _Kind(f"Kind{index}", (), {"index": index})
            self._overs[self._kinds[kind]] = kind.over
        return self._kinds[kind]

    def _all_rules(self) -> Iterator[tuple[Operation, tuple[ValueType, ...], ValueType]]:
        """Every operation with every types of arguments that formulas can have."""
        operations = [entry for entry in OPERATIONS if (entry.name, entry.arity) != _NEGATIVE]
        known = list(dict.fromkeys(self.terminals.values()))
        taken: set[tuple[str, tuple[ValueType, ...]]] = set()
        for kind in known:  # which grows meanwhile
            for entry in operations:
                arguments = (kind,) * entry.arity
                result = entry.result(*arguments)
                if result is None or (entry.name, arguments) in taken:
                    continue
                taken.add((entry.name, arguments))
                if result not in known:
                    known.append(result)
                yield entry, arguments, result

    @cached_property
    def _least_heights(self) -> Mapping[type, int]:
        """How high a formula of each type is at least."""
        heights: dict[type, int] = {self._kind(kind): 0 for kind in self.terminals.values()}
        rules = [rule for group in self._primitives.primitives.values() for rule in group]
        while True:
            before = dict(heights)
            for rule in rules:
                if all(kind in heights for kind in rule.args):
                    height = 1 + max(heights[kind] for kind in rule.args)
                    heights[rule.ret] = min(heights.get(rule.ret, height), height)
            if heights == before:
                return heights

    def draw(self) -> Formula:
        """A formula drawn at random."""
        nodes = self._grown(self._primitives.ret, random.randint(*_FIRST_HEIGHTS), leaf=0)
        return self._formula(gp.PrimitiveTree(nodes))

    def _grown(self, kind: type, height: int, leaf: float = _LEAF) -> list[Any]:
        """The nodes of a random tree of that type, no higher than said unless it must be."""
        leaves = self._primitives.terminals[kind]
        fitting = [rule for rule in self._primitives.primitives[kind] if self._fits(rule, height)]
        if leaves and (not fitting or random.random() < leaf):
            return [random.choice(leaves)]
        rule = self._drawn(fitting)
        nodes = (self._grown(argument, height - 1) for argument in rule.args)
        return [rule, *(node for part in nodes for node in part)]

    def _fits(self, rule: Any, height: int) -> bool:
        return all(self._least_heights[kind] < height for kind in rule.args)

    def _drawn(self, rules: Sequence[Any]) -> Any:
        """One of some primitives: first what it reads, then its operation, then its arguments.

        At once, the rarer would hardly be drawn: most primitives read what there is one array of.
        """
        for kept in (self._over, self._operation):
            groups: dict[str, list[Any]] = defaultdict(list)
            for rule in rules:
                groups[kept(rule)].append(rule)
            rules = groups[random.choice(list(groups))]
        return random.choice(rules)

    def _operation(self, rule: Any) -> str:
        return self._formulas[rule.name]

    def _over(self, rule: Any) -> str:
        return self._overs[rule.args[0]]

    def cross(self, one: Formula, other: Formula) -> Formula:
        """The first formula with a part of the other in the place of one of its own parts."""
        return self._formula(gp.cxOnePoint(self._tree(one), self._tree(other))[0])

    def mutate(self, formula: Formula) -> Formula:
        """A formula with one part drawn anew, one operation replaced, or one left out."""
        tree = self._tree(formula)
        way = random.choice(("subtree", "subtree", "node", "shrink"))
        if way == "subtree":
            (tree,) = gp.mutUniform(tree, self._subtree, self._primitives)
        elif way == "node":
            (tree,) = gp.mutNodeReplacement(tree, self._primitives)
        else:
            (tree,) = gp.mutShrink(tree)
        return self._formula(tree)

    def _subtree(self, pset: object, type_: type) -> list[Any]:
        return self._grown(type_, max(self._least_heights[type_], random.randint(0, 3)))

    def _tree(self, formula: Formula) -> Any:
        return gp.PrimitiveTree(self._nodes(formula))

    def _nodes(self, formula: Formula) -> Iterator[Any]:
        if not formula.arguments:
            yield self._primitives.mapping[formula.name]
            return
        yield self._symbols[formula.name, tuple(part.type for part in formula.arguments)]
        for part in formula.arguments:
            yield from self._nodes(part)

    @cached_property
    def _symbols(self) -> Mapping[tuple[str, tuple[ValueType, ...]], Any]:
        return {
            (operation.name, arguments): self._primitives.mapping[f"operation_{i}"]
            for i, (operation, arguments, _) in enumerate(self._rules)
        }

    def _formula(self, tree: Any) -> Formula:
        nodes = iter(tree)

        def read() -> Formula:
            node = next(nodes)
            if node.arity == 0:
                return Formula(node.value)
            return Formula(self._formulas[node.name], tuple(read() for _ in range(node.arity)))

        return read()


def is_small(formula: Formula) -> bool:
    """Whether a bred formula keeps to the limits of height and size."""
    return formula.height <= HEIGHT and formula.size <= SIZE
