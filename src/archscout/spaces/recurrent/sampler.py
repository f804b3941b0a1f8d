"""The sampler of NAS-Bench-NLP, and the same grammar driven by a search's genes.

Source: Klyuchnikov et al. 2020, section 3.2 and the released generator's settings. The grammar
grows a recipe from a sequence of choices. Random choices, with invalid outcomes drawn again,
give the published distribution; choices read off genes, with invalid outcomes repaired, give a
search a recipe for every setting of its genes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from archscout.errors import InputError
from archscout.spaces.base import Trial
from archscout.spaces.recurrent.canonical import canonical
from archscout.spaces.recurrent.recipe import ACTIVATIONS, INPUT, MAX_STATES, Node, Recipe

MAX_STEPS = 12  # a step adds at most two nodes, and recipes have at most 24
# Of a search: as many as the LSTM takes; the published recipes have 7 or 8.
SEARCH_STEPS = 9

# Uniform over six entries: linear to blend, product and sum as 3 to 1 to 1 to 1, with the
# activation after a linear node drawn uniformly.
STEPS = (*ACTIVATIONS, "blend", "elementwise_prod", "elementwise_sum")

# What genes can say beyond the published grammar, of one step in fifty, so that they can say nearly
# any recipe: a linear node over any nodes, and an activation of any node.
_LINEAR, _ACTIVATION = "linear", "activation"
_GENE_STEPS = (*(step for step in STEPS for _ in range(16)), _LINEAR, _ACTIVATION)
# The last of so many ways of choosing the new states takes any nodes.
_OUTPUT_WAYS = 10

Choose = Callable[[int], int]
T = TypeVar("T")


def sample(rng: random.Random, states: int | None = None, steps: int | None = None) -> Recipe:
    """A recipe drawn from the published distribution.

    It has 1 to 3 hidden states, drawn uniformly by default. Growing steps are 1 to 12; 7 with one
    hidden state and 8 with more by default, as in the published recipes. A step adds one node, or
    a linear node and its activation.
    """
    _check_range(states, steps)
    if steps is not None and states is not None and steps < states:
        raise InputError(f"steps is {steps}; {states} hidden states need at least as many")
    k = states or rng.randint(1, min(MAX_STATES, steps or MAX_STATES))
    while True:
        draft = _Draft(k)
        for _ in range(steps or default_steps(k)):
            draft.grow(rng.choice(STEPS), rng.randrange)
        if len(draft.nodes) < k:
            continue
        draft.outputs = rng.sample(list(draft.nodes), k)
        draft.drop_unreached()
        if not draft.unused_sources() and not any(map(draft.is_direct, draft.outputs)):
            return draft.finish()


def suggest(trial: Trial, steps: int, states: int | None = None) -> Recipe:
    """A recipe from genes that a search suggests; every setting of the genes gives a valid one.

    The genes are `states`, one number in [0, 1) for every growing step, and one for the nodes
    that become the new states. A number's leading digits decide the step's operation, then its
    inputs, so that near numbers agree in the first choices. One gene a step makes crossover
    exchange whole steps, and keeps the study's database small. Some settings, and repairs, give
    what the published sampler does not: linear nodes over any nodes, activations of any node, and
    new states that a previous state feeds. `genes` is the way back. Growing steps are 1 to 12; the
    number of hidden states is a gene by default.
    """
    _check_range(states, steps)
    draft = _Draft(states or trial.suggest_int("states", 1, MAX_STATES))
    for i in range(steps):
        draft.grow_by_gene(_digits(trial.suggest_float(f"step_{i}", 0.0, 1.0)))
    draft.choose_outputs(_digits(trial.suggest_float("outputs", 0.0, 1.0)))
    draft.drop_unreached()
    draft.use_all_sources()
    return draft.finish()


def genes(recipe: Recipe, steps: int) -> dict[str, float] | None:
    """Genes by which `suggest` gives a recipe, or one of the same canonical form.

    Args:
        recipe: without parts that reach no output.
        steps: growing steps, 1 to 12.

    Returns:
        None where no genes with so many steps give it.
    """
    draft = _Draft(recipe.num_states)
    names = {source: source for source in recipe.sources}
    numbers: list[float] = []
    left = list(recipe.order)
    try:
        while left:
            name = left.pop(0)
            node = recipe.nodes[name]
            activated = [n for n in left if recipe.nodes[n].input == (name,)]
            activation = activated[0] if node.op == "linear" and activated else None
            digits = draft.digits_for(
                Node(op=node.op, input=tuple(names[source] for source in node.input)),
                recipe.nodes[activation].op if activation else ACTIVATIONS[0],
            )
            before = set(draft.nodes)
            numbers.append(_number(draft.grow_by_gene, digits))
            made = [n for n in draft.nodes if n not in before]
            names[name] = made[0]
            if activation:
                names[activation] = made[1]
                left.remove(activation)
        for _ in range(steps - len(numbers)):  # what they grow reaches no output
            numbers.append(_number(draft.grow_by_gene, [0]))
        outputs = [names[f"h_new_{i}"] for i in range(recipe.num_states)]
        number = _number(draft.choose_outputs, draft.digits_for_outputs(outputs))
    except ValueError:  # an input stands twice, or is not among those that a step can take
        return None
    draft.drop_unreached()
    draft.use_all_sources()
    if len(numbers) > steps or canonical(draft.finish()) != canonical(recipe):
        return None
    steps_by_name = {f"step_{i}": number for i, number in enumerate(numbers)}
    return {"states": recipe.num_states, **steps_by_name, "outputs": number}


def _number(decide: Callable[[Choose], None], digits: Sequence[int]) -> float:
    """A number in [0, 1) whose leading digits are these, where `decide` is given them.

    Raises:
        ValueError: there is no such digit.
    """
    left, low, width = list(digits), 0.0, 1.0

    def choose(n: int) -> int:
        nonlocal low, width
        digit = left.pop(0) if left else 0
        if not 0 <= digit < n:
            raise ValueError(f"{digit} of {n}")
        width /= n
        low += digit * width
        return digit

    decide(choose)
    return low + width / 2


def _check_range(states: int | None, steps: int | None) -> None:
    if states is not None and not 1 <= states <= MAX_STATES:
        raise InputError(f"states is {states}; from 1 to {MAX_STATES} are accepted")
    if steps is not None and not 1 <= steps <= MAX_STEPS:
        raise InputError(f"steps is {steps}; from 1 to {MAX_STEPS} are accepted")


def default_steps(states: int) -> int:
    """Growing steps of the published recipes: longer ones are found only with more states."""
    return 7 if states == 1 else 8


def _digits(value: float) -> Choose:
    """Successive choices from one number in [0, 1), leading digits first."""
    rest = value

    def choose(n: int) -> int:
        nonlocal rest
        digit = min(int(rest * n), n - 1)
        rest = rest * n - digit
        return digit

    return choose


def _pick(pool: Sequence[T], count: int, choose: Choose) -> list[T]:
    """`count` different members of the pool."""
    left = list(pool)
    return [left.pop(choose(len(left))) for _ in range(count)]


def _places(pool: Sequence[str], members: Sequence[str]) -> list[int]:
    """The choices by which `_pick` takes these members of a pool, in their order.

    Raises:
        ValueError: one is not there, or stands twice.
    """
    left, places = list(pool), []
    for member in members:
        places.append(left.index(member))
        left.remove(member)
    return places


@dataclass
class _Draft:
    """A recipe in the making: nodes in order of computation, and those that become new states."""

    states: int
    nodes: dict[str, Node] = field(default_factory=dict)
    outputs: list[str] = field(default_factory=list)
    added: int = 0

    @property
    def previous(self) -> list[str]:
        return [f"h_prev_{i}" for i in range(self.states)]

    def _add(self, op: str, inputs: Sequence[str]) -> str:
        name = f"node_{self.added}"
        self.added += 1
        self.nodes[name] = Node(op=op, input=tuple(inputs))
        return name

    def _add_linear(self, inputs: Sequence[str], activation: str) -> str:
        return self._add(activation, [self._add("linear", inputs)])

    def grow(self, step: str, choose: Choose) -> None:
        """One step: a linear node with its activation, a blend, a product or a sum."""
        pool = [*self.previous, *self.nodes]
        arity = 3 if step == "blend" else 2
        if step not in ACTIVATIONS and len(pool) >= arity:
            self._add(step, _pick(pool, arity, choose))
            return
        activated = [name for name, node in self.nodes.items() if node.op in ACTIVATIONS]
        sources = [INPUT, *self.previous, *activated]
        arity = min(3 if choose(5) == 4 else 2, len(sources))
        activation = step if step in ACTIVATIONS else ACTIVATIONS[choose(len(ACTIVATIONS))]
        self._add_linear(_pick(sources, arity, choose), activation)

    def grow_by_gene(self, choose: Choose) -> None:
        """One step, which may be one that the published sampler does not take."""
        step = _GENE_STEPS[choose(len(_GENE_STEPS))]
        pool = [*self.previous, *self.nodes]
        if step == _ACTIVATION:
            self._add(ACTIVATIONS[choose(len(ACTIVATIONS))], _pick(pool, 1, choose))
        elif step == _LINEAR:
            sources = [INPUT, *pool]
            arity = min(2 + choose(2), len(sources))
            activation = ACTIVATIONS[choose(len(ACTIVATIONS))]
            self._add_linear(_pick(sources, arity, choose), activation)
        else:
            self.grow(step, choose)

    def digits_for(self, node: Node, activation: str) -> list[int]:
        """What `grow_by_gene` is to be given, so that it adds a node.

        Args:
            node: with the names of inputs that it has here.
            activation: that follows it, where it is linear.

        Raises:
            ValueError: no step adds it.
        """
        pool = [*self.previous, *self.nodes]
        if node.op in ACTIVATIONS:
            first = [_GENE_STEPS.index(_ACTIVATION), ACTIVATIONS.index(node.op)]
        elif node.op != "linear":
            first = [_GENE_STEPS.index(node.op)]
        else:
            activated = [name for name, other in self.nodes.items() if other.op in ACTIVATIONS]
            usual = [INPUT, *self.previous, *activated]
            if set(node.input) <= set(usual):
                pool = usual
                first = [_GENE_STEPS.index(activation), 4 * (len(node.input) - 2)]
            else:
                pool = [INPUT, *pool]
                first = [_GENE_STEPS.index(_LINEAR), len(node.input) - 2]
                first.append(ACTIVATIONS.index(activation))
        return first + _places(pool, node.input)

    def is_direct(self, name: str) -> bool:
        """Whether a previous state feeds this node."""
        return any(source in self.previous for source in self.nodes[name].input)

    def choose_outputs(self, choose: Choose) -> None:
        """New states, as a rule among the nodes that no previous state feeds; adds any missing."""
        takes_any = choose(_OUTPUT_WAYS) == _OUTPUT_WAYS - 1
        eligible = [name for name in self.nodes if takes_any or not self.is_direct(name)]
        while len(eligible) < self.states:
            last = next(reversed(self.nodes), self.previous[0])
            eligible.append(self._add_linear([INPUT, last], ACTIVATIONS[0]))
        self.outputs = _pick(eligible, self.states, choose)

    def digits_for_outputs(self, outputs: Sequence[str]) -> list[int]:
        """What `choose_outputs` is to be given, so that it chooses these nodes."""
        takes_any = any(map(self.is_direct, outputs))
        eligible = [name for name in self.nodes if takes_any or not self.is_direct(name)]
        return [takes_any * (_OUTPUT_WAYS - 1), *_places(eligible, outputs)]

    def drop_unreached(self) -> None:
        """Remove the nodes that lead to no new state."""
        reached = set(self.outputs)
        for name in reversed(self.nodes):
            if name in reached:
                reached.update(self.nodes[name].input)
        self.nodes = {name: node for name, node in self.nodes.items() if name in reached}

    def unused_sources(self) -> list[str]:
        used = {source for node in self.nodes.values() for source in node.input}
        return [source for source in (INPUT, *self.previous) if source not in used]

    def use_all_sources(self) -> None:
        """Feed unused sources to linear nodes with room, else to a new one before the output."""
        for source in self.unused_sources():
            for name, node in self.nodes.items():
                room = node.op == "linear" and len(node.input) < 3
                if room and (source == INPUT or name not in self.outputs):
                    self.nodes[name] = Node(op="linear", input=(*node.input, source))
                    break
            else:
                self.outputs[0] = self._add_linear([source, self.outputs[0]], ACTIVATIONS[0])

    def finish(self) -> Recipe:
        renamed = {name: f"h_new_{i}" for i, name in enumerate(self.outputs)}
        return Recipe(
            {
                renamed.get(name, name): Node(
                    op=node.op, input=tuple(renamed.get(source, source) for source in node.input)
                )
                for name, node in self.nodes.items()
            }
        )
