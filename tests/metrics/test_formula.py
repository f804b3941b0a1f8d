"""Formulas of a trace's quantities: read, written, computed, and used as metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import archscout
from archscout.errors import InputError
from archscout.metrics.formula import PREFIX, Formula, parse
from archscout.metrics.formula.operations import (
    OPERATIONS,
    TERMINALS,
    ValueType,
    quantities,
    resolve,
)
from archscout.metrics.registry import request
from archscout.runs.search_settings import parse_objectives
from archscout.scoring import Scorer, score_module
from archscout.tracing import trace

SPACE = archscout.spaces.RecurrentSpace()


def formulas(depth: int) -> st.SearchStrategy[Formula]:
    """Formulas of any type, of every operation."""
    leaves = st.sampled_from([Formula(name) for name in TERMINALS])
    if depth == 0:
        return leaves

    @st.composite
    def grown(draw: st.DrawFn) -> Formula:
        entry = draw(st.sampled_from(OPERATIONS))
        parts = tuple(draw(formulas(depth - 1)) for _ in range(entry.arity))
        fits = resolve(entry.name, *(part.type for part in parts)) is not None
        return Formula(entry.name, parts) if fits else parts[0]

    return st.one_of(leaves, grown())


def number_of(formula: Formula) -> Formula:
    """A formula of a number, from one of any type."""
    if formula.type.shape:
        formula = Formula("mean", (formula,))
    return Formula("sum", (formula,)) if formula.type.over else formula


@given(formulas(4))
def test_what_is_written_is_read_as_the_same(formula: Formula) -> None:
    whole = number_of(formula)
    assert parse(str(whole)) == whole
    assert str(parse(str(whole))) == str(whole)


@pytest.mark.parametrize(
    "text",
    [
        "mean(log_det(correlation(hidden_states)))",
        "sum(l1(weights * weight_gradients))",
        "parameters - (parameters - parameters)",
        "-(parameters + parameters) * parameters",
        "-parameters / l2(output)",
        "--parameters",
        "max(sum(hidden_states)) - min(sum(hidden_states))",
    ],
)
def test_texts_that_stay_as_they_are(text: str) -> None:
    assert str(parse(text)) == text


def test_signs_bind_as_in_arithmetic() -> None:
    two = Formula("parameters")
    product = Formula("*", (two, two))
    assert parse("parameters + parameters * parameters") == Formula("+", (two, product))
    assert parse("parameters-parameters-parameters").arguments[0].name == "-"
    assert parse("(parameters + parameters) * parameters").name == "*"
    assert parse("-parameters * parameters") == Formula("*", (Formula("-", (two,)), two))


@pytest.mark.parametrize(
    ("text", "place", "message"),
    [
        ("", 1, "it ends; accepted here are a quantity, a function, - and ("),
        ("sum(l1(weigts))", 8, "unknown quantity 'weigts'; did you mean weights"),
        ("sums(l1(weights))", 1, "unknown function 'sums'; did you mean sum?"),
        ("zzz", 1, "accepted: hidden_states, hidden_state_gradients"),
        ("sum(l1(weights)", 16, "it ends; accepted here are +, -, *, / and )"),
        ("l1(output) l1(output)", 12, "'l'; accepted here are +, -, *, / and the end"),
        ("l1(output,output)", 10, "','; accepted here are"),
        ("l1(output) + 2", 14, "'2'; accepted here are a quantity"),
        ("hidden_states", 1, "it is an array (T, B, H) for each layer; effective_rank"),
        ("l2(hidden_states)", 1, "it is a number for each layer; first, last, max, mean"),
        ("l1(output * weights)", 11, "* takes two values of the same kind; output is an array"),
        ("log_det(output)", 1, "log_det takes a square matrix"),
        ("l1(singular_values(sum(output)))", 4, "singular_values takes an array of at least two"),
        ("parameters(output)", 1, "parameters is a quantity, not a function"),
        ("sum(mean)", 5, "mean is a function; accepted is mean(...)"),
        ("(" * 200, 102, "at most 100 levels"),
        (" + ".join(["parameters"] * 200), 1312, "at most 100 levels"),
        ("parameters[1]", 11, "'['"),
        ("§", 1, "'§'"),
    ],
)
def test_mistakes_name_their_place(text: str, place: int, message: str) -> None:
    with pytest.raises(InputError) as refused:
        parse(text)
    assert f"character {place}: " in str(refused.value)
    assert message in str(refused.value)


def test_a_formula_that_does_not_fit_cannot_be_made() -> None:
    with pytest.raises(InputError, match="there is no 'log_det' of weights"):
        Formula("log_det", (Formula("weights"),))
    with pytest.raises(InputError, match="there is no 'weight' of no argument"):
        Formula("weight")


@pytest.fixture(scope="module")
def found() -> dict[str, tuple[torch.Tensor, ...]]:
    """Made-up quantities: two layers of (5, 3, 4), three weights of (4, 2)."""
    rng = np.random.default_rng(0)

    def arrays(count: int, *shape: int) -> tuple[torch.Tensor, ...]:
        return tuple(torch.from_numpy(rng.normal(size=shape)) for _ in range(count))

    states = arrays(2, 5, 3, 4)
    states[0][:, :, 1] = 0.3  # a unit that does not vary
    return {
        "hidden_states": states,
        "hidden_state_gradients": arrays(2, 5, 3, 4),
        "weights": arrays(3, 4, 2),
        "weight_gradients": arrays(3, 4, 2),
        "output": arrays(1, 5, 3, 4),
        "activations": (),
        "parameters": (torch.tensor(7.0, dtype=torch.float64),),
    }


def entropy(x: np.ndarray) -> float:
    shares = np.abs(x).ravel() / np.abs(x).sum()
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())


def spectrum(x: np.ndarray) -> np.ndarray:
    return np.linalg.svd(x.reshape(-1, x.shape[-1]), compute_uv=False)


def correlation(x: np.ndarray) -> np.ndarray:
    rows = x.reshape(-1, x.shape[-1])
    varies = np.ptp(rows, axis=0) > 0
    return np.corrcoef(rows.T) * np.outer(varies, varies)


def covariance(x: np.ndarray) -> np.ndarray:
    return np.cov(x.reshape(-1, x.shape[-1]).T, bias=True)


def by_input(x: np.ndarray) -> np.ndarray:
    return np.stack([x[:, i].ravel() for i in range(x.shape[1])], axis=1)


PER_ARRAY = {
    "sum": np.sum,
    "mean": np.mean,
    "l1": lambda x: np.abs(x).sum(),
    "l2": lambda x: math.sqrt((x**2).sum()),
    "std": np.std,
    "entropy": entropy,
    "nuclear_norm": lambda x: spectrum(x).sum(),
    "effective_rank": lambda x: math.exp(entropy(spectrum(x))),
    "participation_ratio": lambda x: (spectrum(x) ** 2).sum() ** 2 / (spectrum(x) ** 4).sum(),
}


@pytest.mark.parametrize("name", PER_ARRAY)
@pytest.mark.parametrize("quantity", ["hidden_states", "weights"])
def test_numbers_of_arrays(name: str, quantity: str, found: dict) -> None:
    expected = [PER_ARRAY[name](x.numpy()) for x in found[quantity]]
    ours = parse(f"mean({name}({quantity}))").value(found)
    assert ours == pytest.approx(np.mean(expected), rel=1e-9)


ARRAYS = {
    "abs": np.abs,
    "log": lambda x: np.log(np.maximum(np.abs(x), 1e-12)),
    "sqrt": lambda x: np.sqrt(np.abs(x)),
    "square": np.square,
    "sign": np.sign,
    "tanh": np.tanh,
    "normalise": lambda x: (x - x.mean()) / x.std(),
    "gram": lambda x: x.reshape(-1, x.shape[-1]).T @ x.reshape(-1, x.shape[-1]),
    "covariance": covariance,
    "correlation": correlation,
    "lagged_difference": lambda x: np.diff(x, axis=0),
    "by_input": by_input,
    "singular_values": spectrum,
    "-": np.negative,
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_of_arrays(name: str, found: dict) -> None:
    expected = [ARRAYS[name](x.numpy()) for x in found["hidden_states"]]
    part = Formula(name, (Formula("hidden_states"),))
    ours = part._values(found, {})
    for one, other in zip(ours, expected, strict=True):
        np.testing.assert_allclose(one.numpy(), other, rtol=1e-9, atol=1e-12)
    whole = Formula("last", (Formula("l2", (part,)),))
    assert whole.value(found) == pytest.approx(np.linalg.norm(expected[-1]), rel=1e-9)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("log_det", lambda m: np.linalg.slogdet(m + 1e-5 * np.eye(len(m)))[1]),
        ("trace", np.trace),
        ("max_eigenvalue", lambda m: np.linalg.eigvalsh(m).max()),
    ],
)
@pytest.mark.parametrize("matrix", ["gram", "covariance", "correlation"])
def test_numbers_of_square_matrices(name: str, function, matrix: str, found: dict) -> None:
    expected = function(ARRAYS[matrix](found["hidden_states"][1].numpy()))
    ours = parse(f"last({name}({matrix}(hidden_states)))").value(found)
    assert ours == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("name", "function"),
    [
        ("sum", np.sum),
        ("mean", np.mean),
        ("first", lambda x: x[0]),
        ("last", lambda x: x[-1]),
        ("min", np.min),
        ("max", np.max),
    ],
)
def test_numbers_over_layers(name: str, function, found: dict) -> None:
    expected = function([x.sum().item() for x in found["weights"]])
    assert parse(f"{name}(sum(weights))").value(found) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("sign", "function"), [("+", np.add), ("-", np.subtract), ("*", np.multiply)]
)
def test_two_arrays(sign: str, function, found: dict) -> None:
    pairs = zip(found["weights"], found["weight_gradients"], strict=True)
    expected = sum(np.abs(function(a.numpy(), b.numpy())).sum() for a, b in pairs)
    ours = parse(f"sum(l1(weights {sign} weight_gradients))").value(found)
    assert ours == pytest.approx(expected)


def test_arithmetic_of_numbers(found: dict) -> None:
    total = found["output"][0].sum().item()
    value = parse("sum(output) * parameters - parameters / sum(output)").value(found)
    assert value == pytest.approx(total * 7 - 7 / total)
    layers = [x.std(unbiased=False).item() / x.mean().item() for x in found["hidden_states"]]
    ours = parse("sum(std(hidden_states) / mean(hidden_states))").value(found)
    assert ours == pytest.approx(sum(layers))


def test_the_share_of_zeros(found: dict) -> None:
    states = found["hidden_states"][0]
    states = torch.where(states > 0, states, 1e-13)
    expected = (states == 1e-13).double().mean().item()
    assert parse("sum(share_of_zeros(hidden_states))").value(
        {"hidden_states": (states,)}
    ) == pytest.approx(expected)


def test_every_operation_is_tested_and_described() -> None:
    tested = {*PER_ARRAY, *ARRAYS, "log_det", "trace", "max_eigenvalue", "first", "last", "min"}
    tested |= {"max", "+", "-", "*", "/", "share_of_zeros"}
    assert {entry.name for entry in OPERATIONS} == tested
    assert all(entry.accepts and entry.summary for entry in OPERATIONS)


@given(formulas(3))
def test_a_memory_changes_no_value(formula: Formula) -> None:
    rng = np.random.default_rng(1)
    shapes = {3: (5, 3, 4), 2: (4, 4), 0: ()}
    found = {
        name: tuple(torch.from_numpy(np.asarray(rng.normal(size=shapes[len(kind.shape)])))
                    for _ in range(2 if kind.over else 1))
        for name, kind in TERMINALS.items()
    }  # fmt: skip
    whole = number_of(formula)
    memory: dict = {}
    values = [whole.value(found), whole.value(found, memory), whole.value(found, memory)]
    np.testing.assert_equal(values, [values[0]] * 3)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("sum(l1(activations))", math.nan),  # there are none
        ("parameters / (parameters - parameters)", math.inf),
        ("last(entropy(hidden_states - hidden_states))", math.nan),
        ("last(sum(log(hidden_states - hidden_states)))", 60 * math.log(1e-12)),
        ("last(l2(normalise(hidden_states - hidden_states)))", 0.0),
    ],
)
def test_values_that_are_not_finite(text: str, value: float, found: dict) -> None:
    np.testing.assert_allclose(parse(text).value(found), value)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("name", ["singular_values", "gram", "correlation"])
def test_states_that_overflow_give_no_number_and_no_error(bad: float, name: str) -> None:
    states = torch.ones(5, 3, 4, dtype=torch.float64)
    states[2] = bad
    reduction = "l2" if name == "singular_values" else "log_det"
    value = parse(f"last({reduction}({name}(hidden_states)))").value({"hidden_states": (states,)})
    assert not math.isfinite(value)


def test_arrays_whose_shapes_differ_give_no_number() -> None:
    found = {"hidden_states": (torch.ones(5, 3, 4),), "hidden_state_gradients": ()}
    assert math.isnan(parse("sum(l1(hidden_states * hidden_state_gradients))").value(found))
    found["hidden_state_gradients"] = (torch.ones(5, 3, 2),)
    assert math.isnan(parse("sum(l1(hidden_states * hidden_state_gradients))").value(found))


def test_quantities_are_the_traces() -> None:
    scorer = Scorer(SPACE, metrics=["parameters"], scale="fast")
    recorder = SPACE.recorder(SPACE.sample(0), 100, scorer.scale, 0, None, "cpu", None)
    names = ("hidden_states", "weights", "weight_gradients", "output", "parameters")
    traced = trace(recorder, scorer.minibatch % 100, names)
    read = quantities(traced, names)
    assert list(read) == list(names)
    assert torch.equal(read["weights"][1], traced.weights[1].double())
    assert torch.equal(read["weight_gradients"][1], traced.weight_gradients[1].gradient.double())
    assert read["output"][0].shape == (35, 20, 64)
    assert read["parameters"][0].item() == recorder.parameters


def test_a_formula_is_a_metric_by_its_name() -> None:
    name = f"{PREFIX}sum(l1(weights * weight_gradients))"
    asked = request(name)
    assert asked.metric.larger_is_better
    assert asked.metric.needs == {"weights", "weight_gradients"}
    assert asked.column == name
    scores = archscout.score(SPACE, SPACE.sample(0), metrics=[name, "synaptic_saliency"])
    assert scores[name] == pytest.approx(scores["synaptic_saliency"], rel=1e-5)
    with pytest.raises(InputError, match="character 8: unknown quantity 'weigth'"):
        request(f"{PREFIX}sum(l1(weigth))")


def test_names_apart_by_commas() -> None:
    names = f"{PREFIX}l2(output),{PREFIX}sum(l2(hidden_states)),parameters"
    scores = Scorer(SPACE, metrics=names).score(SPACE.sample(1)).scores
    assert list(scores) == names.split(",")


def test_a_formula_as_an_objective_of_a_search() -> None:
    plain, least = parse_objectives([f"{PREFIX}l2(output)", f"{PREFIX}l1(output):min"])
    assert (plain.direction, least.direction) == ("maximize", "minimize")
    assert plain.request is not None and plain.request.column == f"{PREFIX}l2(output)"
    with pytest.raises(InputError, match="direction 'down'; accepted: min, max"):
        parse_objectives([f"{PREFIX}l2(output):down"])


def test_a_score_that_is_not_finite_says_why() -> None:
    name = f"{PREFIX}parameters / (parameters - parameters)"
    scored = archscout.score(SPACE, SPACE.sample(0), metrics=[name])
    assert scored.problem is not None and "no finite value" in scored.problem


def test_of_modules_and_what_they_lack() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.ReLU(), torch.nn.Linear(3, 2))
    batch = torch.randn(1, 6, 4, generator=torch.Generator().manual_seed(0))
    name = f"{PREFIX}sum(l1(weights))"
    scored = score_module(module, batch, [name])
    expected = sum(layer.weight.abs().sum().item() for layer in (module[0], module[2]))
    assert scored[name] == pytest.approx(expected)
    with pytest.raises(InputError, match="does not apply to this module"):
        score_module(module, batch, [f"{PREFIX}sum(l1(softmaxes))"])


def test_types_in_words() -> None:
    assert str(ValueType("")) == "a number"
    assert str(ValueType("layer")) == "a number for each layer"
    assert str(ValueType("weight", ("outputs", "inputs"))) == (
        "an array (outputs, inputs) for each weight"
    )
