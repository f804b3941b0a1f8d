"""Scores of any PyTorch module, recorded by hooks and left as it was found."""

import copy
import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from archscout import InputError, score_module
from archscout.metrics import available, request
from archscout.recorders.modules import ModuleRecorder
from archscout.recording import Recording
from archscout.spaces import RecurrentScale, RecurrentSpace
from archscout.spaces.recurrent import RecurrentRecorder
from archscout.tracing import trace

T, B, F, H, V = 7, 5, 4, 6, 11

RECURRENT: dict[str, Callable[..., nn.RNNBase]] = {
    "tanh": nn.RNN,
    "relu": lambda *sizes, **options: nn.RNN(*sizes, nonlinearity="relu", **options),
    "gru": nn.GRU,
    "lstm": nn.LSTM,
}


@pytest.fixture(autouse=True)
def _the_same_weights_every_time() -> None:
    torch.manual_seed(0)


def record(module: nn.Module, batch: Any, *wanted: str, **options: Any) -> Recording:
    with ModuleRecorder(module, **options).given(batch) as recorder, torch.no_grad():
        return recorder.record(recorder.minibatch, frozenset(wanted))


def by_eigenvalues(rows: Tensor) -> float:
    eigenvalues = np.linalg.eigvalsh(np.corrcoef(rows.detach().double().numpy()))
    return -float(np.sum(np.log(eigenvalues + 1e-5) + 1 / (eigenvalues + 1e-5)))


# Recurrent modules


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("kind", RECURRENT)
def test_states_entering_each_step_are_the_layers_outputs_shifted_by_one(
    kind: str, layers: int, batch_first: bool
) -> None:
    module = RECURRENT[kind](F, H, num_layers=layers, batch_first=batch_first)
    batch = torch.randn(B, T, F) if batch_first else torch.randn(T, B, F)
    states = record(module, batch, "hidden_states").hidden_states
    assert len(states) == layers
    for layer in range(1, layers + 1):
        # The first layers alone end with the outputs of the layer in question.
        first = RECURRENT[kind](F, H, num_layers=layer, batch_first=batch_first)
        first.load_state_dict(module.state_dict(), strict=False)
        outputs, _ = first(batch)
        outputs = outputs.transpose(0, 1) if batch_first else outputs
        expected = torch.cat([torch.zeros(1, B, H), outputs[:-1]])
        torch.testing.assert_close(torch.stack(list(states[layer - 1])), expected)


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("kind", RECURRENT)
def test_a_stepwise_run_returns_what_the_fused_kernel_does(
    kind: str, bias: bool, batch_first: bool
) -> None:
    class Everything(nn.Module):
        """Outputs and last states, of all layers, in one tensor (T, B, H) or (B, T, H)."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = RECURRENT[kind](F, H, num_layers=2, batch_first=batch_first, bias=bias)

        def forward(self, inputs: Tensor) -> Tensor:
            outputs, last = self.inner(inputs)
            last = torch.cat(last) if isinstance(last, tuple) else last
            last = last.transpose(0, 1) if batch_first else last
            return torch.cat([outputs, last], 1 if batch_first else 0)

    module = Everything()
    batch = torch.randn(B, T, F) if batch_first else torch.randn(T, B, F)
    expected = module(batch)
    stepwise = record(module, batch, "output", "hidden_states").output
    fused = record(module, batch, "output").output
    expected = expected.transpose(0, 1) if batch_first else expected
    torch.testing.assert_close(stepwise, expected)
    torch.testing.assert_close(fused, expected)


@pytest.mark.parametrize("kind", RECURRENT)
def test_a_given_initial_state_enters_the_first_step(kind: str) -> None:
    module = RECURRENT[kind](F, H, num_layers=2)
    initial = torch.randn(2, B, H)
    given = (initial, torch.randn(2, B, H)) if kind == "lstm" else initial
    batch = (torch.randn(T, B, F), given)
    found = record(module, batch, "hidden_states", "output")
    for layer in range(2):
        assert torch.equal(found.hidden_states[layer][0], initial[layer])
    torch.testing.assert_close(found.output, module(*batch)[0])


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("kind", RECURRENT)
def test_scores_are_those_of_the_modules_own_outputs_and_gradients(
    kind: str, batch_first: bool
) -> None:
    module = RECURRENT[kind](F, H, batch_first=batch_first)
    batch = torch.randn(B, T, F) if batch_first else torch.randn(T, B, F)
    scores = score_module(module, batch).scores
    inputs = batch.clone().requires_grad_()
    outputs, _ = module(inputs)
    weights = [module.weight_ih_l0, module.weight_hh_l0]
    gradients = torch.autograd.grad(outputs.sum(), [inputs, *weights])
    jacobian = gradients[0] if batch_first else gradients[0].transpose(0, 1)
    outputs = outputs.transpose(0, 1) if batch_first else outputs
    states = torch.cat([torch.zeros(1, B, H), outputs[:-1]])
    expected = {
        "parameters": sum(p.numel() for p in module.parameters()),
        "hidden_covariance": by_eigenvalues(states.flatten(0, 1).t()),
        "hidden_covariance_of_inputs": by_eigenvalues(states.transpose(0, 1).flatten(1)),
        "jacobian_covariance": by_eigenvalues(jacobian.flatten(1)),
        "synaptic_saliency": sum(
            float((w * g).detach().abs().sum()) for w, g in zip(weights, gradients[1:], strict=True)
        ),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_a_torch_lstm_language_model_scores_as_ours_with_the_same_weights() -> None:
    space = RecurrentSpace()
    scale = RecurrentScale(B, T, F, H, 3, "published")
    ours = space.build(space.named["lstm"], V, scale).double()

    class LanguageModel(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(V, F)
            widths = [F, H, H, F]
            self.layers = nn.ModuleList(nn.LSTM(a, b) for a, b in itertools.pairwise(widths))

        def forward(self, tokens: Tensor) -> Tensor:
            x = self.embedding(tokens)
            for layer in self.layers:
                x, _ = layer(x)
            return x

    theirs = LanguageModel().double()
    with torch.no_grad():
        theirs.embedding.weight.copy_(ours.embedding)
        for layer, recurrent in zip(theirs.layers, ours.layers, strict=True):
            gates = [
                recurrent.linear[f"{gate}_sum"]
                for gate in ("input", "forget", "candidate", "output")
            ]
            layer.weight_ih_l0.copy_(torch.cat([gate.weight_from("x") for gate in gates]))
            layer.weight_hh_l0.copy_(torch.cat([gate.weight_from("h_prev_0") for gate in gates]))
            layer.bias_ih_l0.copy_(torch.cat([gate.bias for gate in gates]))
            layer.bias_hh_l0.zero_()

    names = [
        "hidden_covariance",
        "hidden_covariance_of_inputs",
        "hidden_synaptic_saliency",
        "jacobian_covariance",
        "jacobian_cosine",
        "large_noise_jacobian",
        "more_noised_jacobian",
        "synaptic_saliency",
    ]
    tokens = torch.randint(0, V, (T, B))
    scores = score_module(theirs, tokens, names).scores
    requests = [request(name) for name in names]
    needs = frozenset[str]().union(*(asked.metric.needs for asked in requests))
    traced = trace(RecurrentRecorder(ours), tokens, needs)
    expected: dict[str, float] = {}
    for asked in requests:
        expected |= asked.values(traced)
    assert scores == pytest.approx(expected, rel=1e-7)
    assert len(scores) == len(names) + 6


class Unrolled(nn.Module):
    """Cells called in a loop over (B, T, F), as people write them."""

    def __init__(self, kind: str, layers: int = 1, by_keyword: bool = False) -> None:
        super().__init__()
        make = {"rnn": nn.RNNCell, "gru": nn.GRUCell, "lstm": nn.LSTMCell}[kind]
        self.cells = nn.ModuleList(make(H if i else F, H) for i in range(layers))
        self.by_keyword = by_keyword
        self.seen: list[Tensor] = []

    def forward(self, inputs: Tensor) -> Tensor:
        self.seen = []
        states: list[Any] = [None] * len(self.cells)
        for x in inputs.unbind(1):
            for i, cell in enumerate(self.cells):
                states[i] = cell(x, hx=states[i]) if self.by_keyword else cell(x, states[i])
                x = states[i][0] if isinstance(states[i], tuple) else states[i]
            self.seen.append(x)
        return torch.stack(self.seen, 1)


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_the_states_of_cells_in_a_loop_are_those_that_enter_each_call(
    kind: str, layers: int
) -> None:
    module = Unrolled(kind, layers)
    found = record(module, torch.randn(B, T, F), "hidden_states").hidden_states
    assert [len(states) for states in found] == [T] * layers
    expected = torch.stack([torch.zeros(B, H), *module.seen[:-1]])
    torch.testing.assert_close(torch.stack(list(found[-1])), expected)


@pytest.mark.parametrize("kind", ["rnn", "gru", "lstm"])
def test_cells_score_as_the_module_with_the_same_weights(kind: str) -> None:
    cells = Unrolled(kind).double()
    module = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}[kind](F, H, batch_first=True).double()
    module.load_state_dict({f"{k}_l0": v for k, v in cells.cells[0].state_dict().items()})
    batch = torch.randn(B, T, F, dtype=torch.float64)
    names = ["hidden_covariance", "hidden_synaptic_saliency", "jacobian_cosine", "parameters"]
    expected = score_module(module, batch, names).scores
    assert score_module(cells, batch, names).scores == pytest.approx(expected, rel=1e-8)


def test_a_cells_state_given_by_keyword_is_seen() -> None:
    module = Unrolled("gru", by_keyword=True)
    found = record(module, torch.randn(B, T, F), "hidden_states").hidden_states
    expected = torch.stack([torch.zeros(B, H), *module.seen[:-1]])
    torch.testing.assert_close(torch.stack(list(found[0])), expected)


def test_states_of_a_bidirectional_module_are_refused_and_the_rest_scored() -> None:
    module = nn.GRU(F, H, bidirectional=True)
    with pytest.raises(InputError, match=r"hidden_covariance does not apply.*bidirectional"):
        score_module(module, torch.randn(T, B, F), ["hidden_covariance"])
    scores = score_module(module, torch.randn(T, B, F)).scores
    assert math.isfinite(scores["jacobian_covariance"]) and scores["synaptic_saliency"] > 0
    assert not any(name.startswith("hidden") for name in scores)


def test_states_of_a_projected_module_are_refused() -> None:
    with pytest.raises(InputError, match="projected"):
        score_module(nn.LSTM(F, H, proj_size=3), torch.randn(T, B, F), ["hidden_covariance"])


def test_packed_sequences_are_refused() -> None:
    class Packs(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.LSTM(F, H)

        def forward(self, inputs: Tensor) -> Tensor:
            packed = nn.utils.rnn.pack_padded_sequence(inputs, torch.full((B,), T))
            output, _ = self.inner(packed)
            return output.data

    with pytest.raises(InputError, match="three axes"):
        score_module(Packs(), torch.randn(T, B, F), ["hidden_covariance"])


# Other modules


def perceptron() -> nn.Sequential:
    return nn.Sequential(nn.Linear(F, H), nn.ReLU(), nn.Linear(H, H), nn.Tanh(), nn.Linear(H, 3))


def codes_agreement(outputs: list[Tensor]) -> float:
    """log |det K| of activations (B, ...)."""
    codes = torch.cat([(output > 0).flatten(1) for output in outputs], 1).double()
    return float((codes @ codes.t() + (1 - codes) @ (1 - codes).t()).logdet())


@pytest.mark.parametrize("shape", [(B, T, F), (B, F), (B, 2, T, F)])
def test_a_perceptron_has_saliency_jacobian_and_activations(shape: tuple[int, ...]) -> None:
    module, batch = perceptron(), torch.randn(shape)
    scores = score_module(module, batch).scores

    inputs = batch.clone().requires_grad_()
    first = module[1](module[0](inputs))
    second = module[3](module[2](first))
    weights = [module[i].weight for i in (0, 2, 4)]
    gradients = torch.autograd.grad(module[4](second).sum(), [inputs, *weights])
    pairs = zip(weights, gradients[1:], strict=True)
    expected = {
        "parameters": sum(p.numel() for p in module.parameters()),
        "jacobian_covariance": by_eigenvalues(gradients[0].flatten(1)),
        "activation_distance": codes_agreement([first, second]),
        "synaptic_saliency": sum(float((w * g).detach().abs().sum()) for w, g in pairs),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-4)
    assert not any(name.startswith("hidden") for name in scores)


def test_a_batch_that_does_not_come_first_is_said_so() -> None:
    module, batch = perceptron(), torch.randn(B, T, F)
    expected = score_module(module, batch).scores
    turned = score_module(module, batch.transpose(0, 1), batch_first=False).scores
    # Noise is drawn in the order of the axes, so it reaches the same inputs.
    assert turned == pytest.approx(expected, rel=1e-4)


def test_hidden_covariance_says_why_it_does_not_apply() -> None:
    with pytest.raises(
        InputError, match=r"hidden_covariance\[1\] does not apply .* no torch.nn.RNN"
    ):
        score_module(perceptron(), torch.randn(B, T, F), ["hidden_covariance[1]"])


def test_activation_distance_says_why_it_does_not_apply() -> None:
    with pytest.raises(InputError, match="no activation modules"):
        score_module(nn.Linear(F, H), torch.randn(B, T, F), ["activation_distance"])


def test_saliency_says_why_it_does_not_apply() -> None:
    module = nn.Sequential(nn.LayerNorm(F), nn.ReLU())
    with pytest.raises(InputError, match="no linear map took part"):
        score_module(module, torch.randn(B, T, F), ["synaptic_saliency"])


def test_the_jacobian_says_why_it_does_not_apply() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(V, 3)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.linear(nn.functional.one_hot(tokens, V).float())

    with pytest.raises(InputError, match=r"no torch\.nn\.Embedding, and its input is of integers"):
        score_module(Counts(), torch.randint(0, V, (B, T)), ["jacobian_cosine"])


def test_weights_behind_integers_without_an_embedding_have_a_saliency() -> None:
    class Counts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(V, 3)

        def forward(self, tokens: Tensor) -> Tensor:
            return self.linear(nn.functional.one_hot(tokens, V).float())

    scores = score_module(Counts(), torch.randint(0, V, (B, T))).scores
    assert scores["synaptic_saliency"] > 0
    assert "jacobian_cosine" not in scores


def test_a_layer_beyond_the_modules_is_refused() -> None:
    with pytest.raises(InputError, match=r"hidden_covariance\[3\]: the network has 2 layer"):
        score_module(nn.GRU(F, H, 2), torch.randn(T, B, F), ["hidden_covariance[3]"])


class Encoder(nn.Module):
    """A transformer encoder whose activations are modules, and a head."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(8, 2, 16, activation=nn.GELU(), batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Linear(8, 3)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.encoder(inputs))


def test_a_transformer_encoder_has_saliency_jacobian_and_activations() -> None:
    module, batch = Encoder(), torch.randn(B, T, 8)
    scores = score_module(module, batch).scores
    assert not any(name.startswith("hidden") for name in scores)

    module.eval()
    seen: list[Tensor] = []
    for layer in module.encoder.layers:
        layer.activation.register_forward_hook(lambda _m, _i, output: seen.append(output))
    inputs = batch.clone().requires_grad_()
    # The packed projections of torch's own attention are among them.
    weights = [p for p in module.parameters() if p.dim() == 2]
    assert len(weights) == 9
    gradients = torch.autograd.grad(module(inputs).sum(), [inputs, *weights])
    pairs = zip(weights, gradients[1:], strict=True)
    expected = {
        "jacobian_covariance": by_eigenvalues(gradients[0].flatten(1)),
        "activation_distance": codes_agreement(seen),
        "synaptic_saliency": sum(float((w * g).detach().abs().sum()) for w, g in pairs),
    }
    assert {name: scores[name] for name in expected} == pytest.approx(expected, rel=1e-4)


def test_activations_recorded_without_gradients_are_those_recorded_with_them() -> None:
    # Without gradients torch would run a fused encoder layer, which calls no activation module.
    module, batch = Encoder(), torch.randn(B, T, 8)
    alone = score_module(module, batch, ["activation_distance"]).scores
    together = score_module(module, batch, ["activation_distance", "jacobian_cosine"]).scores
    assert alone["activation_distance"] == together["activation_distance"]


def test_gradients_that_vanish_are_a_problem_and_no_error() -> None:
    # A layer norm's outputs sum to a constant.
    module = nn.Sequential(nn.Linear(F, H, bias=False), nn.LayerNorm(H, eps=0.0))
    batch = torch.zeros(B, T, F)
    result = score_module(module, batch, ["jacobian_covariance"])
    assert math.isnan(result["jacobian_covariance"])
    assert result.problem and result.problem.startswith("jacobian_covariance is nan: ")


def test_activations_on_flattened_positions_are_no_crash() -> None:
    class Flattens(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(F, H), nn.ReLU())

        def forward(self, inputs: Tensor) -> Tensor:
            return self.inner(inputs.flatten(0, 1)).unflatten(0, inputs.shape[:2])

    try:
        score_module(Flattens(), torch.randn(B, T, F), ["activation_distance"])
    except InputError as error:
        assert "activation" in str(error)


def test_an_activation_module_that_is_called_twice_counts_twice() -> None:
    shared = nn.ReLU()
    module = nn.Sequential(nn.Linear(F, H), shared, nn.Linear(H, H), shared)
    batch = torch.randn(B, T, F)
    first = shared(module[0](batch))
    expected = codes_agreement([first, shared(module[2](first))])
    score = score_module(module, batch, ["activation_distance"])["activation_distance"]
    assert score == pytest.approx(expected, rel=1e-5)


def test_a_weight_that_two_layers_share_counts_once() -> None:
    module, batch = nn.Sequential(nn.Linear(F, F), nn.Tanh(), nn.Linear(F, F)), torch.randn(B, T, F)
    module[2].weight = module[0].weight
    scores = score_module(module, batch).scores
    weight = module[0].weight
    (gradient,) = torch.autograd.grad(module(batch).sum(), weight)
    expected = float((weight * gradient).detach().abs().sum())
    assert scores["synaptic_saliency"] == pytest.approx(expected, rel=1e-5)
    assert scores["parameters"] == F * F + 2 * F


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["activation_distance"], {False}), (["activation_distance", "jacobian_cosine"], {True})],
)
def test_gradients_are_followed_only_where_a_metric_needs_them(
    names: list[str], expected: set[bool]
) -> None:
    seen = []

    class Watches(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = perceptron()

        def forward(self, inputs: Tensor) -> Tensor:
            seen.append(torch.is_grad_enabled())
            return self.inner(inputs)

    score_module(Watches(), torch.randn(B, T, F), names)
    # What is found out first takes no gradients.
    assert set(seen) == expected | {False}


# Embeddings


class Embedded(nn.Module):
    """Token ids (B, T) to numbers, perhaps with a decoder that shares the embedding."""

    def __init__(self, tied: bool = False, decode: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, F)
        self.inner = nn.Sequential(nn.Linear(F, F), nn.Tanh())
        self.decoder = nn.Linear(F, V, bias=False) if tied else None
        if self.decoder is not None:
            self.decoder.weight = self.embedding.weight
        self.decode = decode

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.inner(self.embedding(tokens))
        return self.decoder(x) if self.decode and self.decoder is not None else x


def test_the_jacobian_of_tokens_is_that_of_their_embeddings() -> None:
    module, tokens = Embedded(), torch.randint(0, V, (B, T))
    scores = score_module(module, tokens).scores
    embeddings = module.embedding(tokens).detach().requires_grad_()
    (gradient,) = torch.autograd.grad(module.inner(embeddings).sum(), embeddings)
    expected = by_eigenvalues(gradient.flatten(1))
    assert scores["jacobian_covariance"] == pytest.approx(expected, rel=1e-4)
    assert math.isfinite(scores["large_noise_jacobian"])


def test_an_embedding_that_no_decoder_shares_is_not_counted() -> None:
    scores = score_module(Embedded(), torch.randint(0, V, (B, T))).scores
    assert scores["synaptic_saliency_published"] == scores["synaptic_saliency"]


def test_a_tied_embedding_is_counted_once_and_in_the_published_saliency() -> None:
    module, tokens = Embedded(tied=True), torch.randint(0, V, (B, T))
    scores = score_module(module, tokens).scores
    weight, embedding = module.inner[0].weight, module.embedding.weight
    gradients = torch.autograd.grad(module(tokens).sum(), [weight, embedding])
    plain = float((weight * gradients[0]).detach().abs().sum())
    tied = float((embedding * gradients[1]).detach().abs().sum())
    assert scores["parameters"] == V * F + F * F + F
    assert scores["synaptic_saliency"] == pytest.approx(plain, rel=1e-5)
    assert scores["synaptic_saliency_published"] == pytest.approx(plain + tied, rel=1e-5)


def test_a_tied_matrix_counts_with_the_whole_of_its_gradient() -> None:
    module, tokens = Embedded(tied=True, decode=True), torch.randint(0, V, (B, T))
    name = "synaptic_saliency_published"
    weight, embedding = module.inner[0].weight, module.embedding.weight
    gradients = torch.autograd.grad(module(tokens).sum(), [weight, embedding])
    pairs = zip([weight, embedding], gradients, strict=True)
    expected = sum(float((w * g).detach().abs().sum()) for w, g in pairs)
    assert score_module(module, tokens, [name])[name] == pytest.approx(expected, rel=1e-5)


def test_an_embedding_that_takes_no_part_changes_nothing() -> None:
    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding, self.linear = nn.Embedding(V, F), nn.Linear(F, H)

        def forward(self, inputs: Tensor) -> Tensor:
            return self.linear(inputs)

    module, batch = Unused(), torch.randn(B, T, F)
    expected = score_module(module.linear, batch, ["jacobian_cosine"]).scores
    assert score_module(module, batch, ["jacobian_cosine"]).scores == expected


# Batches


class TwoInputs(nn.Module):
    """Numbers and how each is weighed, with a result in a tuple, a mapping or by itself."""

    def __init__(self, result: type = Tensor) -> None:
        super().__init__()
        self.inner, self.result = perceptron(), result

    def forward(self, inputs: Tensor, gain: float | Tensor = 1.0) -> Any:
        output = self.inner(inputs) * gain
        if self.result is dict:
            return {"loss": None, "logits": output}
        return (output, None) if self.result is tuple else output


@pytest.mark.parametrize("result", [Tensor, tuple, dict])
def test_batches_and_results_may_be_mappings_and_tuples(result: type) -> None:
    module, inputs, gain = TwoInputs(result), torch.randn(B, T, F), torch.rand(B, T, 1)
    expected = score_module(TwoInputs(), inputs)
    by_name = score_module(module, {"inputs": inputs, "gain": gain}).scores
    by_place = score_module(module, (inputs, gain)).scores
    assert by_name == by_place
    assert by_place["jacobian_covariance"] != expected["jacobian_covariance"]

    leaf = inputs.clone().requires_grad_()
    (gradient,) = torch.autograd.grad((module.inner(leaf) * gain).sum(), leaf)
    covariance = by_eigenvalues(gradient.flatten(1))
    assert by_place["jacobian_covariance"] == pytest.approx(covariance, rel=1e-4)


def test_a_number_beside_the_input_is_passed_on() -> None:
    module, inputs = TwoInputs(), torch.randn(B, T, F)
    name = "synaptic_saliency"
    twice = score_module(module, (inputs, 2.0), [name])[name]
    assert twice == pytest.approx(2 * score_module(module, [inputs], [name])[name], rel=1e-5)


@pytest.mark.parametrize(
    ("batch", "complaint"),
    [
        (torch.randn(5), r"a tensor of shape \(5,\); expected one of \(T, B\)"),
        (torch.tensor(1.0), r"a tensor of shape \(\)"),
        ((), "no tensor"),
        ({"inputs": [1, 2]}, "no tensor"),
        ([[1, 2], [3, 4]], "no tensor"),
    ],
)
def test_a_batch_of_the_wrong_shape_is_refused(batch: Any, complaint: str) -> None:
    with pytest.raises(InputError, match=f"batch holds {complaint}"):
        score_module(perceptron(), batch)


def test_a_sequence_without_a_batch_is_refused_where_states_are_wanted() -> None:
    with pytest.raises(InputError, match="three axes"):
        score_module(nn.LSTM(F, H), torch.randn(T, F), ["hidden_covariance"])


@pytest.mark.parametrize("result", ["none", "number"])
def test_a_module_that_returns_no_tensor_is_refused(result: str) -> None:
    class Returns(nn.Module):
        def forward(self, inputs: Tensor) -> Any:
            return None if result == "none" else 1.5

    with pytest.raises(InputError, match=r"returned .*, which holds no tensor"):
        score_module(Returns(), torch.randn(B, T, F), ["jacobian_cosine"])


@pytest.mark.parametrize("result", [(), ({},), {"a": 1}])
def test_a_module_that_returns_no_tensor_in_a_collection_is_refused(result: Any) -> None:
    class Returns(nn.Module):
        def forward(self, inputs: Tensor) -> Any:
            return result

    with pytest.raises(InputError, match=r"returned (tuple|dict), which holds no tensor"):
        score_module(Returns(), torch.randn(B, T, F), ["jacobian_cosine"])


def test_unknown_metrics_and_no_metrics_are_refused() -> None:
    with pytest.raises(InputError, match="did you mean hidden_covariance"):
        score_module(nn.GRU(F, H), torch.randn(T, B, F), ["hidden_covarience"])
    with pytest.raises(InputError, match="no metric"):
        score_module(nn.GRU(F, H), torch.randn(T, B, F), [])


# Left as found


class Mixed(nn.Module):
    """Everything that is recorded, with dropout, a buffer, and frozen and tied parts."""

    def __init__(self, fail: bool = False) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, F)
        self.recurrent = nn.LSTM(F, H, num_layers=2, dropout=0.5, batch_first=True)
        self.cell = nn.GRUCell(H, H)
        self.normal = nn.BatchNorm1d(H)
        self.drop = nn.Dropout(0.5)
        self.act = nn.GELU()
        self.head = nn.Linear(H, F)
        self.fail = fail

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.recurrent(self.drop(self.embedding(tokens)))
        if self.fail:
            raise ArithmeticError("halfway")
        h, outputs = None, []
        for x in states.unbind(1):
            h = self.cell(x, h)
            outputs.append(self.normal(h))
        return self.head(self.drop(self.act(torch.stack(outputs, 1))))


def condition(module: nn.Module) -> dict[str, Any]:
    """All that scoring could change."""
    return {
        "training": {name: m.training for name, m in module.named_modules()},
        "requires_grad": {name: p.requires_grad for name, p in module.named_parameters()},
        "gradients": {name: p.grad for name, p in module.named_parameters()},
        "identities": {name: id(p) for name, p in module.named_parameters()},
        "tensors": {name: t.tolist() for name, t in module.state_dict().items()},
        "attributes": {name: sorted(m.__dict__) for name, m in module.named_modules()},
        "hooks": [
            len(getattr(m, kind))
            for m in module.modules()
            for kind in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks")
        ],
    }


@pytest.mark.parametrize("fail", [False, True])
@pytest.mark.parametrize("metrics", [None, ["hidden_covariance"], ["activation_distance"]])
def test_a_module_is_left_as_it_was_found(metrics: list[str] | None, fail: bool) -> None:
    module = Mixed(fail)
    module.drop.eval()
    module.cell.requires_grad_(False)
    module.embedding.weight.requires_grad_(False)
    before = copy.deepcopy(condition(module))
    tokens = torch.randint(0, V, (B, T))
    if fail:
        with pytest.raises(ArithmeticError, match="halfway"):
            score_module(module, tokens, metrics)
    else:
        assert score_module(module, tokens, metrics).scores
    after = condition(module)
    assert after == before
    assert sum(after["hooks"]) == 0
    assert not any("forward" in names for names in after["attributes"].values())
    assert all(gradient is None for gradient in after["gradients"].values())


def test_a_refused_metric_leaves_the_module_as_it_was_found() -> None:
    module = nn.GRU(F, H, bidirectional=True)
    before = copy.deepcopy(condition(module))
    with pytest.raises(InputError):
        score_module(module, torch.randn(T, B, F), ["hidden_covariance"])
    assert condition(module) == before


def test_hooks_of_the_users_own_stay() -> None:
    module = nn.Sequential(nn.Linear(F, H), nn.ReLU())
    calls: list[Tensor] = []
    own = lambda _m, _i, output: calls.append(output)  # noqa: E731
    module[1].register_forward_hook(own)
    score_module(module, torch.randn(B, T, F), ["activation_distance"])
    assert calls and list(module[1]._forward_hooks.values()) == [own]


def test_a_forward_of_the_instances_own_is_put_back() -> None:
    module = nn.LSTM(F, H)
    own = module.forward
    module.forward = own  # type: ignore[method-assign]
    score_module(module, torch.randn(T, B, F), ["hidden_covariance"])
    assert module.__dict__.get("forward") is own


def test_gradients_being_accumulated_stay() -> None:
    module, batch = perceptron(), torch.randn(B, T, F)
    module(batch).sum().backward()
    before = [p.grad.clone() for p in module.parameters() if p.grad is not None]
    score_module(module, batch)
    after = [p.grad for p in module.parameters()]
    assert len(before) == len(after) == 6
    assert all(torch.equal(a, b) for a, b in zip(after, before, strict=True) if a is not None)


def test_the_batch_is_left_as_it_was() -> None:
    batch = torch.randn(B, T, F)
    before = batch.clone()
    score_module(perceptron(), batch)
    assert torch.equal(batch, before)
    assert not batch.requires_grad and batch.grad is None


def test_scoring_works_where_gradients_are_switched_off() -> None:
    module, batch = perceptron(), torch.randn(B, T, F)
    expected = score_module(module, batch).scores
    with torch.no_grad():
        assert score_module(module, batch).scores == expected


def test_frozen_parameters_score_as_others() -> None:
    module, tokens = Mixed().eval(), torch.randint(0, V, (B, T))
    expected = score_module(module, tokens).scores
    module.requires_grad_(False)
    assert score_module(module, tokens).scores == expected
    assert not any(p.requires_grad for p in module.parameters())


def test_dropout_does_not_act_and_scores_repeat_to_the_last_digit() -> None:
    module, tokens = Mixed().train(), torch.randint(0, V, (B, T))
    first = score_module(module, tokens)
    assert first.scores == score_module(module, tokens).scores
    assert first.scores == score_module(module.eval(), tokens).scores
    assert first.fingerprint is None and first.seconds > 0


def test_the_seed_is_that_of_random_inputs_alone() -> None:
    module, tokens = Embedded(), torch.randint(0, V, (B, T))
    one, other = score_module(module, tokens).scores, score_module(module, tokens, seed=1).scores
    changed = {name for name in one if one[name] != other[name]}
    assert "large_noise_jacobian" in changed
    random = {"gaussian_outputs", "layer_probes"}
    needs = {name: available()[name].needs for name in changed}
    assert all("nois" in name or needs[name] & random for name in changed)


# What does not suit a module


class SinglePrecision(nn.Linear):
    """Refuses the double precision of one pass."""

    def forward(self, inputs: Tensor) -> Tensor:
        if self.weight.dtype == torch.float64:
            raise RuntimeError("no double")
        return super().forward(inputs)


def test_one_metrics_failure_costs_no_other() -> None:
    module, plain = nn.Sequential(SinglePrecision(F, H)), nn.Sequential(nn.Linear(F, H))
    plain.load_state_dict(module.state_dict())
    batch = torch.randn(B, T, F)
    found, expected = score_module(module, batch), score_module(plain, batch)
    reason = "it does not run in double precision with the absolute values of its weights"
    failed = dict.fromkeys(("synflow", "synflow_logarithmic"), reason)
    assert found.scores.keys() == expected.scores.keys() - failed.keys()
    assert all(found[name] == pytest.approx(expected[name], nan_ok=True) for name in found.scores)
    assert found.inapplicable == expected.inapplicable | failed
    with pytest.raises(InputError, match=r"metric synflow .*: it does not run in double") as raised:
        score_module(module, batch, ["parameters", "synflow", "snip"])
    assert isinstance(raised.value.__cause__, RuntimeError)


class Classifier(nn.Module):
    """One output, or one vector, for each input."""

    def __init__(self, batch_first: bool, width: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(V, F)
        self.inner = nn.LSTM(F, H, batch_first=batch_first)
        self.last = nn.Linear(H, width)

    def forward(self, tokens: Tensor) -> Tensor:
        states, _ = self.inner(self.embedding(tokens))
        outputs = self.last(states[:, -1] if self.inner.batch_first else states[-1])
        return outputs[:, 0] if outputs.shape[1] == 1 else outputs


@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("width", [1, 3, B])
def test_outputs_without_steps_have_no_last_one(width: int, batch_first: bool) -> None:
    tokens = torch.randint(0, V, (B, T) if batch_first else (T, B))
    found = score_module(Classifier(batch_first, width), tokens)
    assert found["hidden_covariance"] and math.isfinite(found["zen_score"])
    for name in ("token_sensitivity", "responsive_memory"):
        assert "the steps and inputs of its output" in found.inapplicable[name]


def test_states_of_other_steps_than_the_input_are_not_compared_with_it() -> None:
    class Columns(nn.Module):
        """Reads the columns of pictures (B, 1, rows, columns)."""

        def __init__(self) -> None:
            super().__init__()
            self.filters = nn.Conv2d(1, 2, 3, padding=1)
            self.inner = nn.GRU(2 * 6, H, batch_first=True)

        def forward(self, pictures: Tensor) -> Tensor:
            columns = self.filters(pictures).permute(0, 3, 1, 2).flatten(2)
            return self.inner(columns)[0]

    found = score_module(Columns(), torch.randn(B, 1, 6, 10))
    assert math.isfinite(found["az_expressivity"])
    for name in ("linear_memory", "az_trainability"):
        assert "of its hidden states, of shape (10, 5, 6)" in found.inapplicable[name]


@pytest.mark.parametrize("kind", ["linear", "recurrent"])
def test_weights_that_are_computed_are_refused(kind: str) -> None:
    normalised = nn.utils.parametrizations.weight_norm
    module: nn.Module = nn.Sequential(normalised(nn.Linear(F, H)), nn.Tanh())
    if kind == "recurrent":
        module = normalised(nn.GRU(F, H, batch_first=True), "weight_hh_l0")
    found = score_module(module, torch.randn(B, T, F))
    for name in ("synflow", "snip", "grasp", "zico", "synaptic_saliency"):
        assert "computed from other parameters" in found.inapplicable[name]
    assert math.isfinite(found["zen_score"])


def test_operations_in_place_leave_the_batch_alone_and_change_no_score() -> None:
    batch = torch.randn(B, T, F)
    scores = []
    for in_place in (False, True):
        torch.manual_seed(0)
        module = nn.Sequential(nn.Linear(F, H))
        module.insert(0, nn.LeakyReLU(0.1, inplace=in_place))
        given = batch.clone()
        scores.append(score_module(module, given).scores)
        assert torch.equal(given, batch)
    assert scores[1] == pytest.approx(scores[0], nan_ok=True)


def test_linear_maps_may_be_called_by_keyword() -> None:
    class ByKeyword(nn.Module):
        def __init__(self, by_keyword: bool) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.last, self.by_keyword = nn.Linear(F, H), by_keyword

        def forward(self, inputs: Tensor) -> Tensor:
            return self.last(input=inputs) if self.by_keyword else self.last(inputs)

    batch = torch.randn(B, T, F)
    scores = [score_module(ByKeyword(by), batch, ["zico", "grasp"]).scores for by in (False, True)]
    assert scores[0] == scores[1]


def test_passes_with_gradients_do_without_cudnn_where_it_is_recurrent() -> None:
    seen = set()

    class Watching(nn.LSTM):
        def forward(self, *arguments: Any) -> Any:
            seen.add((torch.is_grad_enabled(), torch.backends.cudnn.enabled))
            return super().forward(*arguments)

    score_module(Watching(F, H), torch.randn(T, B, F), ["jacobian_covariance", "synflow"])
    assert (True, False) in seen and (True, True) not in seen
    assert torch.backends.cudnn.enabled


def test_noise_is_of_the_precision_of_the_embeddings() -> None:
    module, batch = nn.LSTM(F, H).bfloat16(), torch.randn(T, B, F).bfloat16()
    names = ["small_noise_jacobian", "token_sensitivity"]
    assert all(map(math.isfinite, score_module(module, batch, names).scores.values()))


class _Loop(nn.Module):
    """A network that calls an activation at each step, as a module or as a function."""

    def __init__(self, as_module: bool) -> None:
        super().__init__()
        self.embedding, self.cell = nn.Embedding(V, H), nn.Linear(2 * H, H)
        self.activation = nn.Tanh() if as_module else None
        self.output = nn.Linear(H, V)

    def forward(self, tokens: Tensor) -> Tensor:
        embedded, states = self.embedding(tokens), [torch.zeros(len(tokens), H)]
        for step in range(tokens.shape[1]):
            mixed = self.cell(torch.cat([embedded[:, step], states[-1]], dim=1))
            states.append(torch.tanh(mixed) if self.activation is None else self.activation(mixed))
        return self.output(torch.stack(states[1:], dim=1))


def test_a_function_is_seen_at_every_step_of_a_loop() -> None:
    tokens = torch.randint(0, V, (6, 20))
    by_module, by_function = _Loop(True), _Loop(False)
    by_function.load_state_dict(by_module.state_dict())
    seen = [record(each, tokens, "activations").activations for each in (by_module, by_function)]
    assert len(seen[0]) == len(seen[1]) == 20
    scores = [score_module(each, tokens, ["naswot"]).scores for each in (by_module, by_function)]
    assert scores[0] == scores[1]


def test_what_an_activation_in_place_read_is_kept() -> None:
    class Net(nn.Module):
        def __init__(self, inplace: bool) -> None:
            super().__init__()
            self.embedding, self.up = nn.Embedding(V, H), nn.Linear(H, H)
            self.inplace = inplace

        def forward(self, tokens: Tensor) -> Tensor:
            return nn.functional.relu(self.up(self.embedding(tokens)), self.inplace)

    tokens, apart, in_place = torch.randint(0, V, (B, T)), Net(False), Net(True)
    in_place.load_state_dict(apart.state_dict())
    found = [record(each, tokens, "preactivations", "activations") for each in (apart, in_place)]
    assert (found[0].preactivations[0] < 0).any()
    assert torch.equal(found[0].preactivations[0], found[1].preactivations[0])
    assert torch.equal(found[0].activations[0], found[1].activations[0])


def test_flops_of_a_module_with_time_first_are_those_of_whole_texts() -> None:
    layer = nn.TransformerEncoderLayer(16, 2, 32).eval()
    batch = torch.randn(20, 8, 16)
    said = score_module(layer, batch, ["flops"], batch_first=False)["flops"]
    assert score_module(layer, batch, ["flops"])["flops"] == said


def test_modules_on_the_meta_device_may_have_buffers() -> None:
    with torch.device("meta"):
        module = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
        batch = torch.randn(3, 4)
    assert score_module(module, batch, ["parameters"])["parameters"] == 28


def test_parameters_that_are_no_floats_take_part_as_they_are() -> None:
    class Quantised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            kept = torch.ones(F, F, dtype=torch.int8)
            self.weight = nn.Parameter(kept, requires_grad=False)

        def forward(self, batch: Tensor) -> Tensor:
            return batch @ self.weight.to(batch)

    module = Quantised()
    assert score_module(module, torch.randn(B, T, F), ["parameters"])["parameters"] == F * F
    assert not module.weight.requires_grad


@pytest.mark.parametrize("name", ["relu_", "tanh_", "sigmoid_"])
def test_activations_that_are_named_in_place_are_seen(name: str) -> None:
    class Net(nn.Module):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.embedding, self.up, self.name = nn.Embedding(V, H), nn.Linear(H, H), name

        def forward(self, tokens: Tensor) -> Tensor:
            values = self.up(self.embedding(tokens))
            result: Tensor = getattr(values, self.name)()
            return result

    tokens, apart, in_place = torch.randint(0, V, (B, T)), Net(name[:-1]), Net(name)
    in_place.load_state_dict(apart.state_dict())
    found = [record(each, tokens, "preactivations", "activations") for each in (apart, in_place)]
    assert len(found[0].activations) == len(found[1].activations) == 1
    assert torch.equal(found[0].preactivations[0], found[1].preactivations[0])
    assert torch.equal(found[0].activations[0], found[1].activations[0])


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16, torch.float16])
def test_sums_that_are_constant_are_told_in_any_precision(kind: torch.dtype) -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Embedding(V, 32), nn.Linear(32, 32), nn.LayerNorm(32)).to(kind)
    tokens = torch.randint(0, V, (8, 16))
    plain = nn.Sequential(*list(module)[:2])
    assert "add up to a constant" in str(score_module(module, tokens, ["snip"]).problem)
    assert "add up to a constant" not in str(score_module(plain, tokens, ["snip"]).problem)


@pytest.mark.parametrize("seed", [-1, 1.5, None, "0", 2**40])
def test_a_bad_seed_is_no_fault_of_the_module(seed: Any) -> None:
    module = nn.Sequential(nn.Embedding(V, H), nn.Linear(H, H))
    with pytest.raises(InputError, match="seed is "):
        score_module(module, torch.randint(0, V, (B, T)), seed=seed)


def test_metrics_that_are_named_one_by_one_are_those_of_each_module() -> None:
    modules = [nn.Sequential(nn.Embedding(V, H), nn.Linear(H, H)) for _ in range(2)]
    scores = score_module(modules, torch.randint(0, V, (B, T)), (n for n in ["l2_norm"]))
    assert [list(score.scores) for score in scores] == [["l2_norm"]] * 2
