"""Every operation of the encoder, against computations that share nothing with it."""

import math
from typing import Any

import numpy as np
import pytest
import scipy.fft
import torch
import torch.nn.functional as F
from torch import Tensor

from archscout.spaces.flexibert.network import (
    FlexibertNetwork,
    LinearTransform,
    SelfAttention,
    SpanConvolution,
)

OPERATIONS = ("SDP", "WMA", "DFT", "DCT", "DSC-5", "DSC-9")


def _network(operation: str, **changes: Any) -> FlexibertNetwork:
    torch.manual_seed(0)
    layer = {
        "operation": operation, "num_heads": 4, "feed_forward": [48, 40], "closed": True,
        **changes,
    }  # fmt: skip
    network = FlexibertNetwork([layer, layer], 50, 32, 16, 20).eval()
    for name, parameter in network.named_parameters():
        scale = 1.0 if name.endswith("LayerNorm.weight") else 0.3
        torch.nn.init.normal_(parameter, std=scale)
    return network.double()


def _inputs(seed: int = 0, positions: int = 7) -> Tensor:
    return torch.randn(3, positions, 32, generator=torch.Generator().manual_seed(seed)).double()


def _by_head(module: LinearTransform, hidden: Tensor) -> np.ndarray:
    """The projected input, (B, heads, T, d)."""
    weight, bias = module.input.weight.detach().numpy(), module.input.bias.detach().numpy()
    projected = hidden.numpy() @ weight.T + bias
    inputs, positions, width = projected.shape
    heads = module.num_heads
    split = projected.reshape(inputs, positions, heads, width // heads)
    return np.ascontiguousarray(split.transpose(0, 2, 1, 3))


def _joined(by_head: np.ndarray) -> np.ndarray:
    inputs, heads, positions, width = by_head.shape
    return by_head.transpose(0, 2, 1, 3).reshape(inputs, positions, heads * width)


@pytest.mark.parametrize("positions", [1, 2, 7, 12])
@pytest.mark.parametrize("heads", [2, 4])
def test_dft_is_the_real_part_of_numpys(positions: int, heads: int) -> None:
    module = LinearTransform(32, heads, "DFT").double()
    hidden = _inputs(positions=positions)
    expected = _joined(np.fft.fft2(_by_head(module, hidden)).real)
    with torch.no_grad():
        found, _ = module(hidden, None, False)
    assert np.allclose(found.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("positions", [1, 2, 7, 12])
@pytest.mark.parametrize("heads", [2, 4])
def test_dct_is_scipys_of_type_two(positions: int, heads: int) -> None:
    module = LinearTransform(32, heads, "DCT").double()
    hidden = _inputs(positions=positions)
    expected = _joined(scipy.fft.dctn(_by_head(module, hidden), type=2, axes=(-2, -1)))
    with torch.no_grad():
        found, _ = module(hidden, None, False)
    assert np.allclose(found.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["DFT", "DCT"])
def test_transforms_are_as_exact_as_bfloat16_is(kind: str) -> None:
    module = LinearTransform(32, 4, kind)
    hidden = _inputs(positions=300).float()  # bfloat16 has whole numbers up to 256 only
    with torch.no_grad():
        expected, _ = module(hidden, None, False)
        found, _ = module.bfloat16()(hidden.bfloat16(), None, False)
    assert (found - expected).norm() < 0.01 * expected.norm()


@pytest.mark.parametrize("kernel_size", [5, 9])
@pytest.mark.parametrize("heads", [2, 4])
def test_span_convolution_step_by_step(kernel_size: int, heads: int) -> None:
    """Half of the heads convolve: every position with a kernel of its own."""
    module = SpanConvolution(32, heads, kernel_size, 0.0).double()
    torch.nn.init.normal_(module.key_conv_attn_layer.bias)
    hidden = _inputs()
    with torch.no_grad():
        found, _ = module(hidden, None, False)

    def linear(layer: torch.nn.Linear, x: np.ndarray) -> np.ndarray:
        return x @ layer.weight.detach().numpy().T + layer.bias.detach().numpy()  # type: ignore[no-any-return]

    convolving, width, reach = heads // 2, 32 // heads, kernel_size // 2
    depthwise = module.key_conv_attn_layer.depthwise.weight.detach().numpy()[:, 0]
    pointwise = module.key_conv_attn_layer.pointwise.weight.detach().numpy()[:, :, 0]
    bias = module.key_conv_attn_layer.bias.detach().numpy()[:, 0]
    for b, one in enumerate(hidden.numpy()):
        query, values = linear(module.query, one), linear(module.conv_out_layer, one)
        for t in range(len(one)):
            near = [(k, t + k - reach) for k in range(kernel_size) if 0 <= t + k - reach < len(one)]
            features = sum(depthwise[:, k] * one[there] for k, there in near)
            span = pointwise @ features + bias
            logits = linear(module.conv_kernel_layer, span * query[t])
            for head, logit in enumerate(logits.reshape(convolving, kernel_size)):
                kernel = np.exp(logit - logit.max())
                kernel /= kernel.sum()
                columns = slice(head * width, (head + 1) * width)
                expected = sum(kernel[k] * values[there, columns] for k, there in near)
                start = (convolving + head) * width  # after the attending heads
                assert np.allclose(found[b, t, start : start + width], expected, atol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_attention_step_by_step(weighted: bool) -> None:
    module = SelfAttention(32, 4, weighted, 0.0).double()
    hidden = _inputs()
    with torch.no_grad():
        found, probabilities = module(hidden, None, True)
        query = module.query(hidden)
        if weighted:
            query = query @ module.weight.weight.t()
        key, value = module.key(hidden), module.value(hidden)
    for head in range(4):
        columns = slice(8 * head, 8 * head + 8)
        logits = np.einsum("bqd,bkd->bqk", query[..., columns], key[..., columns]) / math.sqrt(8)
        weights = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
        assert np.allclose(probabilities[:, head], weights, atol=1e-12)
        assert np.allclose(found[..., columns], weights @ value[..., columns].numpy(), atol=1e-12)


@pytest.mark.parametrize("keep_probabilities", [False, True])
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_padding_changes_nothing(operation: str, side: str, keep_probabilities: bool) -> None:
    """Inputs of different lengths in one batch give what each gives alone."""
    network = _network(operation)
    lengths, longest = (3, 9, 6), 9
    generator = torch.Generator().manual_seed(1)
    embeddings = torch.randn(3, longest, 16, generator=generator).double()
    # Positions differ between the sides, and have no part in what is tested here.
    torch.nn.init.zeros_(network.embeddings.position_embeddings.weight)
    mask = torch.zeros(3, longest, dtype=torch.long)
    for b, length in enumerate(lengths):
        mask[b, slice(0, length) if side == "right" else slice(longest - length, longest)] = 1
    with torch.no_grad():
        padded = network(
            mask=mask, embeddings=embeddings, keep_probabilities=keep_probabilities
        ).last_hidden_state
        for b in range(len(lengths)):
            there = mask[b].bool()
            alone = network(embeddings=embeddings[b : b + 1, there]).last_hidden_state
            assert torch.allclose(padded[b, there], alone[0], rtol=0, atol=1e-10)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_mask_without_padding_is_none(operation: str) -> None:
    network = _network(operation)
    tokens = torch.arange(21).view(3, 7)
    with torch.no_grad():
        plain = network(tokens).last_hidden_state
        masked = network(tokens, torch.ones_like(tokens)).last_hidden_state
    assert torch.allclose(plain, masked, rtol=0, atol=1e-12)


@pytest.mark.parametrize("operation", OPERATIONS)
def test_keeping_probabilities_changes_nothing(operation: str) -> None:
    network = _network(operation)
    tokens = torch.arange(21).view(3, 7)
    with torch.no_grad():
        plain, kept = network(tokens), network(tokens, keep_probabilities=True)
    assert torch.allclose(plain.last_hidden_state, kept.last_hidden_state, rtol=0, atol=1e-12)
    assert not plain.probabilities
    for probabilities in kept.probabilities:
        assert torch.allclose(probabilities.sum(-1), torch.ones((), dtype=torch.float64))


def test_a_linear_transform_that_is_not_closed_has_no_output_of_its_own() -> None:
    names = dict(_network("DFT", closed=False).named_parameters())
    assert not any("operation.output" in name for name in names)
    assert any("operation.output" in name for name, _ in _network("DFT").named_parameters())


def test_depth_runs_the_first_layers_only() -> None:
    network = _network("SDP")
    tokens = torch.arange(21).view(3, 7)
    with torch.no_grad():
        whole, first = network(tokens), network(tokens, depth=1)
    assert len(first.hidden_states) == 2
    assert torch.equal(first.last_hidden_state, whole.hidden_states[1])


def test_dropout_is_active_in_training_only() -> None:
    network = _network("SDP")
    tokens = torch.arange(21).view(3, 7)
    with torch.no_grad():
        assert torch.equal(network(tokens).last_hidden_state, network(tokens).last_hidden_state)
        network.train()
        first, second = network(tokens), network(tokens)
    assert not torch.allclose(first.last_hidden_state, second.last_hidden_state)


def test_types_and_positions_are_added_to_words() -> None:
    network = _network("SDP")
    embeddings = network.embeddings
    tokens, types = torch.tensor([[3, 4, 5]]), torch.tensor([[0, 1, 1]])
    added = (
        embeddings.word_embeddings.weight[tokens]
        + embeddings.position_embeddings.weight[:3]
        + embeddings.token_type_embeddings.weight[types]
    )
    norm = embeddings.LayerNorm
    expected = F.layer_norm(added, (16,), norm.weight, norm.bias, 1e-12)
    assert torch.allclose(embeddings(tokens, types, None), expected)


def test_an_input_longer_than_the_positions() -> None:
    with pytest.raises(ValueError, match="21 positions; the network has 20"):
        _network("SDP")(torch.zeros(1, 21, dtype=torch.long))
