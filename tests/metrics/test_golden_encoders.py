"""Every reference value of the published encoders."""

import json
import zlib
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from archscout.metrics import available, request
from archscout.spaces.flexibert.genotype import EncoderGenotype, EncoderLayer
from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.spaces.flexibert.readings import plan
from archscout.spaces.flexibert.recorder import FlexibertRecorder
from archscout.tracing import trace

CASES = ("SA-SDP", "SA-WMA", "LT-DFT", "LT-DCT", "DSC-5", "DSC-9", "mixed")
FILES = {
    "activation_distance",
    "head_confidence",
    "head_importance",
    "jacobian_cosine",
    "jacobian_covariance",
    "softmax_confidence",
    "synaptic_diversity",
    "synaptic_saliency",
}
NAMES = {"num_parameters": "parameters"}


@cache
def _file(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text())
    return content


def _reference(golden: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    content = _file(golden / "flexibert.json")
    return content, next(case for case in content["cases"] if case["name"] == name)


def _network(content: dict[str, Any], case: dict[str, Any]) -> FlexibertNetwork:
    """The scored reading of the case, its weights filled from their names, without dropout."""
    layers = [EncoderLayer(**layer) for layer in case["encoder_layers"]]
    # The scored reading must make 256 of it.
    genotype = EncoderGenotype(hidden_size=128, layers=layers)
    network = FlexibertNetwork(
        **plan(genotype, "scored").arguments(),
        vocabulary_size=content["vocab_size"],
        embedding_size=content["embedding_size"],
        num_positions=content["max_position_embeddings"],
        dropout=0.0,
    )
    for name, parameter in network.named_parameters():
        draws = np.random.RandomState(zlib.crc32(name.encode())).standard_normal(parameter.shape)
        draws = 1 + 0.1 * draws if name.endswith("LayerNorm.weight") else 0.05 * draws
        parameter.data = torch.from_numpy(draws.astype(np.float32))
    return network.eval()


@pytest.mark.parametrize("name", CASES)
def test_parameters_have_the_published_names_and_shapes(golden: Path, name: str) -> None:
    content, case = _reference(golden, name)
    network = _network(content, case)
    found = {name: list(parameter.shape) for name, parameter in network.named_parameters()}
    assert found == case["parameters"]


@pytest.mark.parametrize("keep_probabilities", [False, True])
@pytest.mark.parametrize("name", CASES)
def test_outputs(golden: Path, name: str, keep_probabilities: bool) -> None:
    content, case = _reference(golden, name)
    tokens = torch.tensor(content["input_ids"])
    with torch.no_grad():
        passed = _network(content, case)(tokens, keep_probabilities=keep_probabilities)
    output = passed.last_hidden_state
    first = torch.tensor(case["output_first"])
    assert torch.allclose(output.flatten()[: len(first)], first, rtol=0, atol=5e-6)
    # A sum of 18,432 outputs, each as exact as that.
    assert float(output.double().sum()) == pytest.approx(case["output_sum"], abs=2e-4)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("form", ["plain", "published"])
def test_metrics(golden: Path, name: str, form: str) -> None:
    """Without dropout the published form, in training mode, gives what evaluation mode does."""
    content, case = _reference(golden, name)
    network = _network(content, case)
    tokens = torch.tensor(content["input_ids"]).t()
    wrong = []
    for metric, expected in case["values"].items():
        asked = request(
            NAMES.get(metric, metric) + "_published" * (form == "published"), "transformer"
        )
        if metric == "jacobian_covariance":
            # All of it rests on vanishing eigenvalues: compared in double precision.
            recorder = FlexibertRecorder(network.double())
            allowed = 1e-2
        else:
            recorder = FlexibertRecorder(network.float())
            allowed = 1e-5 * abs(expected)
        traced = trace(
            recorder,
            tokens,
            asked.metric.needs,
            objective="sum",
            training=asked.metric.as_published,
        )
        value = asked.values(traced)[asked.column]
        if abs(value - expected) > allowed:
            wrong.append(f"{metric}: {value!r}, in the file {expected!r}")
    assert not wrong


def test_no_reference_value_is_left_out(golden: Path) -> None:
    names = {
        NAMES.get(name, name)
        for case in _file(golden / "flexibert.json")["cases"]
        for name in case["values"]
    }
    of_the_paper = {
        name
        for name, entry in available("transformer").items()
        if entry.kind and entry.function.__module__.rpartition(".")[2] in FILES
    }
    assert names == of_the_paper | {"parameters"}


def test_every_case_is_tested(golden: Path) -> None:
    content = _file(golden / "flexibert.json")
    assert tuple(case["name"] for case in content["cases"]) == CASES
