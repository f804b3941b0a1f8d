"""Scores where only rounding differs: other processors, threads, orders and units of measure."""

import dataclasses
import json
import math
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from archscout import Scorer
from archscout.metrics import request
from archscout.recording import kind_of
from archscout.rounding import reproducible
from archscout.spaces import RecurrentScale
from archscout.text import Corpus
from archscout.tracing import Trace, trace
from processors import PROCESSORS, environment
from scores_by_processor import CELLS, STILL
from scores_by_processor import scores as scores_here
from small_networks import NETWORKS

pytestmark = pytest.mark.slow

# Differences of nearly equal scores, which are as exact as those are.
DIFFERENCES = {
    "small_noise_jacobian": "jacobian_covariance",
    "small_noise_jacobian_cosine": "jacobian_cosine",
    "az_progressivity": "az_expressivity",
}


@cache
def scores(processor: str) -> dict[str, dict[str, float]]:
    if processor == "this one":
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return scores_here()
        finally:
            torch.set_num_threads(before)
    found = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("scores_by_processor.py"))],
        env=environment(processor),
        capture_output=True,
        text=True,
        check=True,
    )
    parsed: dict[str, dict[str, float]] = json.loads(found.stdout)
    return parsed


def _differ(name: str, one: dict[str, float], other: dict[str, float], tolerance: float) -> bool:
    a, b = one[name], other[name]
    if not (math.isfinite(a) and math.isfinite(b)):
        return repr(a) != repr(b)
    return abs(a - b) > tolerance * abs(one[DIFFERENCES.get(name, name)])


@pytest.mark.parametrize("processor", [name for name in PROCESSORS if name != "this one"])
def test_processors_agree_on_every_score(processor: str) -> None:
    here, there = scores("this one"), scores(processor)
    different = {
        f"{name} of {case}": (values[name], there[case][name])
        for case, values in here.items()
        for name in values
        # What is left of a token in states that stand still is little more than rounding.
        if _differ(name, values, there[case], 1e-2 if case.startswith(f"{STILL},") else 1e-3)
    }
    assert not different


@pytest.mark.parametrize("processor", PROCESSORS)
def test_equal_inputs_are_known_as_equal(processor: str) -> None:
    singular = dict.fromkeys(
        ("activation_distance", "activation_distance_released", "naswot"), -math.inf
    )
    known = {**singular, "ntk_condition_number": math.inf, "zico": 0.0, "jacobian_cosine": 0.5}
    # Of B rows that are all correlated one eigenvalue is B and the others are zero.
    eigenvalues = [6.0 + 1e-5, *[1e-5] * 5]
    known["jacobian_covariance"] = -sum(math.log(e) + 1 / e for e in eigenvalues)
    for case, values in scores(processor).items():
        if "equal" in case and "encoder" not in case:  # an encoder's cotangent differs by input
            for name, value in known.items():
                assert values[name] == pytest.approx(value, rel=1e-6), (case, name)
        elif "equal" in case:
            assert values["naswot"] == -math.inf


# Random numbers that are drawn for each place in the minibatch.
BY_PLACE = ("noise", "token_sensitivity", "responsive_memory", "amplified_memory", "trainability")


@pytest.mark.parametrize("cell", CELLS)
def test_the_order_of_inputs_does_not_matter(cell: str | int) -> None:
    words = tuple(f"w{number}" for i in range(800) for number in (i * i % 23, i % 7, 3 * i % 11))
    corpus = Corpus("made up", {"all": words}, "0" * 64, ("made up",))
    scorer = Scorer("rnn", corpus, None, RecurrentScale(6, 12, 24, 32, 2, "canonical"))
    named = scorer.space.named
    genotype = named[cell] if isinstance(cell, str) else scorer.space.sample(cell)
    before = scorer.score(genotype).scores
    scorer.minibatch = scorer.minibatch[:, torch.tensor([3, 1, 0, 5, 4, 2])]
    after = scorer.score(genotype).scores
    different = {
        name: (before[name], after[name])
        for name in before
        if not any(part in name for part in BY_PLACE)
        and _differ(name, before, after, 1e-2 if cell == STILL else 1e-3)
    }
    assert not different


INVARIANT = (
    "activation_distance",
    "az_expressivity",
    "az_progressivity",
    "hidden_covariance",
    "hidden_covariance_of_inputs",
    "jacobian_cosine",
    "jacobian_covariance",
    "linear_memory_total",
    "meco",
    "meco_opt",
    "naswot",
    "ntk_condition_number",
    "token_sensitivity",
    "vanilla_pca",
)


def _scaled(found: Trace, factor: float) -> Trace:
    def all_of(values: list[Tensor]) -> list[Tensor]:
        return [value * factor for value in values]

    def one(value: Tensor | None, power: int = 1) -> Tensor | None:
        return None if value is None else value * factor**power

    return dataclasses.replace(
        found,
        hidden_states=all_of(found.hidden_states),
        activations=all_of(list(found.activations)),
        preactivations=all_of(found.preactivations),
        embeddings=one(found.embeddings),
        output=one(found.output),
        embedding_gradient=one(found.embedding_gradient),
        position_gradient=one(found.position_gradient),
        tangent_kernel=one(found.tangent_kernel, 2),
        _memory={},
    )


@pytest.mark.parametrize("factor", [2.0**-30, 2.0**30])
@pytest.mark.parametrize("network", ["gru", "sampled cell", "encoder"])
@pytest.mark.parametrize("name", INVARIANT)
def test_units_of_measure_do_not_matter(name: str, network: str, factor: float) -> None:
    small = NETWORKS[network]()
    with small.recorder() as recorder:
        kind = kind_of(recorder)
        if kind == "transformer" and name == "token_sensitivity":
            return
        asked = request(name, kind)
        found = trace(recorder, small.minibatch, asked.metric.needs)
    before, after = (asked.values(one) for one in (found, _scaled(found, factor)))
    assert after == pytest.approx(before, rel=1e-12, nan_ok=True)


def measure(found: Trace, name: str) -> float:
    return request(name).values(found)[name]


def test_states_that_stand_still_hold_nothing() -> None:
    wobble = torch.tensor([1.0, 1.0 + 2**-23])
    generator = torch.Generator().manual_seed(0)
    still = wobble[torch.randint(0, 2, (20, 5, 8), generator=generator)]
    moving = torch.randn(20, 5, 8, generator=generator)
    found = Trace(0, torch.zeros(20, 5), hidden_states=[still], embeddings=moving, output=still)
    lively = dataclasses.replace(found, hidden_states=[moving], _memory={})
    assert abs(measure(found, "linear_memory")) < 0.1 * abs(measure(lively, "linear_memory"))
    assert math.isnan(measure(found, "hidden_covariance"))
    assert math.isnan(measure(found, "az_expressivity"))


def test_rounded_scores_are_equal_where_processors_differ() -> None:
    assert reproducible(0.08471234) == reproducible(0.08471239) == 0.08471
    assert reproducible(-1234567.0) == -1235000
    assert reproducible(math.inf) == math.inf and reproducible(0.0) == 0


@pytest.mark.parametrize("sizes", [(4, 8, 8), (1, 64, 96), (20, 64, 96)])
def test_a_product_does_not_depend_on_where_in_memory_its_factors_are(
    sizes: tuple[int, int, int],
) -> None:
    """Where it does, a training that goes on parts from one that never stopped."""
    rows, inner, columns = sizes
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(rows, inner, generator=generator)
    right = torch.randn(columns, inner, generator=generator)

    def moved(values: Tensor, by: int) -> Tensor:
        place = torch.empty(values.numel() + by)[by:].view_as(values)
        return place.copy_(values)

    bias = torch.randn(columns, generator=generator)
    expected = torch.addmm(bias, left, right.t())
    for by in range(1, 17):
        assert torch.equal(torch.addmm(bias, moved(left, by), moved(right, by).t()), expected)
