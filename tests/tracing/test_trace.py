"""The trace: the fewest passes, and scores that depend on nothing but network and minibatch."""

import gc
import random
import weakref
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from archscout import InputError, Scorer, metrics
from archscout.metrics import request
from archscout.spaces import Recipe, RecurrentScale, RecurrentSpace
from archscout.spaces.recurrent import Node, RecurrentRecorder
from archscout.spaces.recurrent.language_model import RecurrentLayer
from archscout.text import Corpus
from archscout.tracing import passes as passes_of_trace
from archscout.tracing import trace
from archscout.tracing.objectives import standard_normal
from archscout.tracing.quantities import (
    NOISE_AMPLITUDES,
    OBJECTIVES,
    OF_INPUTS,
    QUANTITIES,
    Objective,
)

SPACE = RecurrentSpace()
SMALL = RecurrentScale(6, 8, 10, 14, 3, "canonical")
PUBLISHED = RecurrentScale(6, 8, 10, 14, 3, "published")
RECIPES = {
    **SPACE.named,
    **{f"sample {seed}": SPACE.sample(seed) for seed in range(5)},
    "three states": RecurrentSpace(states=3).sample(0),
    "ignores its input": Recipe.from_json(
        {
            "a": {"op": "linear", "input": ["h_prev_0"]},
            "h_new_0": {"op": "activation_tanh", "input": ["a"]},
        }
    ),
}
OWN = tuple(n for n, m in metrics.available().items() if m.source)
FILES = {
    "activation_distance",
    "hidden_covariance",
    "hidden_synaptic_saliency",
    "jacobian_cosine",
    "jacobian_covariance",
    "l2_norm",
    "large_noise_jacobian",
    "more_noised_jacobian",
    "parameters",
    "small_noise_jacobian",
    "synaptic_saliency",
}
PAPER = tuple(
    n for n, m in metrics.available().items() if m.function.__module__.rpartition(".")[2] in FILES
)
OTHERS = (
    *("fisher", "snip", "zico", "ntk_condition_number"),  # in the paper's passes
    *("az_trainability", "grasp", "synflow", "zen_score"),  # in passes of their own
)
# Forward-only passes multiply each distinct token once, which rounds otherwise; vanishing
# eigenvalues and states that hardly vary magnify that, most on the oldest instruction sets.
ROUNDING = 1e-4


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    rng = random.Random(0)
    words = tuple(f"w{min(rng.randrange(40), rng.randrange(40))}" for _ in range(2000))
    return Corpus("words", {"all": words}, "0" * 64, ("words",))


def recorder(
    recipe: Recipe, scale: RecurrentScale = SMALL, depth: int | None = None
) -> RecurrentRecorder:
    return SPACE.recorder(recipe, 40, scale, 0, depth)


def minibatch(seed: int = 0) -> torch.Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 40, (SMALL.sequence_length, SMALL.batch_size), generator=rng)


@pytest.mark.parametrize("recipe", RECIPES)
def test_metrics_asked_for_alone_equal_metrics_asked_for_together(
    recipe: str, corpus: Corpus
) -> None:
    together = Scorer("rnn", corpus, OWN, SMALL).score(RECIPES[recipe]).scores
    for name in OWN:
        alone = Scorer("rnn", corpus, [name], SMALL).score(RECIPES[recipe]).scores
        expected = {column: together[column] for column in alone}
        assert alone == pytest.approx(expected, rel=ROUNDING, nan_ok=True)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("layer", [1, 2, 3])
def test_one_layer_asked_for_alone_equals_that_of_all_layers(
    recipe: str, layer: int, corpus: Corpus
) -> None:
    for base in ("hidden_covariance", "hidden_covariance_of_inputs"):
        name = f"{base}[{layer}]"
        alone = Scorer("rnn", corpus, [name], SMALL).score(RECIPES[recipe])
        every = Scorer("rnn", corpus, [base], SMALL).score(RECIPES[recipe])
        assert alone.scores == {name: pytest.approx(every[name], rel=ROUNDING, nan_ok=True)}


class Passes(Counter[str]):
    """Counts of forward passes, backward passes, and layers that were unrolled."""


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Passes]:
    found = Passes()
    record, grad, unroll = RecurrentRecorder.record, torch.autograd.grad, RecurrentLayer.unroll

    def counted(name: str, function: Any) -> Any:
        def call(*arguments: Any, **keywords: Any) -> Any:
            found[name] += 1
            return function(*arguments, **keywords)

        return call

    monkeypatch.setattr(RecurrentRecorder, "record", counted("forward", record))
    monkeypatch.setattr(torch.autograd, "grad", counted("backward", grad))
    monkeypatch.setattr(torch.autograd, "backward", counted("backward", torch.autograd.backward))
    monkeypatch.setattr(RecurrentLayer, "unroll", counted("layers", unroll))
    yield found


@pytest.mark.parametrize(
    ("names", "forward", "backward"),
    [
        (["parameters"], 0, 0),
        (["hidden_covariance"], 1, 0),
        (["activation_distance", "activation_distance_released"], 1, 0),
        (["hidden_covariance", "hidden_covariance_of_inputs", "activation_distance"], 1, 0),
        (["jacobian_cosine"], 1, 1),
        (["jacobian_cosine", "jacobian_covariance", "hidden_covariance[1]"], 1, 1),
        (["synaptic_saliency", "synaptic_saliency_published"], 1, 1),
        (["hidden_synaptic_saliency", "synaptic_saliency", "jacobian_covariance"], 1, 1),
        (["synaptic_saliency_released"], 1, 1),
        (["synaptic_saliency", "synaptic_saliency_released"], 1, 2),
        (["small_noise_jacobian", "small_noise_jacobian_cosine"], 2, 2),
        (["small_noise_jacobian", "large_noise_jacobian"], 3, 3),
        (["more_noised_jacobian", "small_noise_jacobian", "large_noise_jacobian"], 4, 4),
        (PAPER, 4, 5),
        (["snip", "plain", "gradient_norm", "fisher", "ntk_condition_number", "zico"], 1, 1),
        (["synflow", "synflow_logarithmic"], 1, 1),
        (["grasp"], 2, 2),
        (["az_trainability"], 1, 3),
        (["zen_score"], 2, 0),
        (["flops", "depth", "width"], 0, 0),
        ([*PAPER, *OTHERS], 8, 11),
    ],
)
def test_the_fewest_passes_serve_all_metrics(
    names: list[str], forward: int, backward: int, passes: Passes, corpus: Corpus
) -> None:
    Scorer("rnn", corpus, names, SMALL).score(SPACE.named["gru"])
    assert (passes["forward"], passes["backward"]) == (forward, backward)


@pytest.mark.parametrize(
    ("names", "layers"),
    [
        (["hidden_covariance[1]"], 1),
        (["hidden_covariance[2]", "parameters"], 2),
        (["hidden_covariance[1]", "hidden_covariance_of_inputs[2]"], 2),
        (["hidden_covariance"], 3),
        (["hidden_covariance[1]", "activation_distance"], 3),
        (["hidden_covariance[1]", "jacobian_cosine"], 3),
        (["hidden_covariance[1]", "small_noise_jacobian"], 6),
    ],
)
def test_only_the_layers_that_matter_are_run(
    names: list[str], layers: int, passes: Passes, corpus: Corpus
) -> None:
    Scorer("rnn", corpus, names, SMALL).score(SPACE.named["lstm"])
    assert passes["layers"] == layers


@pytest.mark.parametrize("scale", [SMALL, PUBLISHED])
def test_layers_that_do_not_matter_are_not_even_filled(scale: RecurrentScale) -> None:
    recipe = SPACE.named["lstm"]
    shallow = recorder(recipe, scale, depth=1)
    deeper = shallow._network.layers[1:]
    assert all(parameter.is_meta for parameter in deeper.parameters())
    found = trace(shallow, minibatch(), {"hidden_states"}, depth=1)
    full = trace(recorder(recipe, scale), minibatch(), {"hidden_states"})
    assert len(found.hidden_states) == 1
    # Some processors multiply matrices otherwise by where in memory they lie.
    torch.testing.assert_close(found.hidden_states[0], full.hidden_states[0])


def test_forward_passes_keep_no_graph() -> None:
    found = trace(recorder(SPACE.named["lstm"]), minibatch(), {"hidden_states", "activations"})
    assert not any(t.requires_grad for t in [*found.hidden_states, *found.activations])


def test_a_trace_keeps_no_graph_after_its_backward_passes() -> None:
    found = trace(recorder(SPACE.named["lstm"]), minibatch(), QUANTITIES)
    kept = [
        *found.hidden_states,
        *found.activations,
        *found.hidden_state_gradients,
        *found.noised_embedding_gradients.values(),
        *(w.gradient for w in found.weight_gradients),
        *(w.weight for w in found.weight_gradients),
        *(w.gradient for w in found.squared_weight_gradients),
        *(w.gradient for w in found.hessian_gradient_products),
        *(w.weight for w in found.hessian_gradient_products),
        *(w.gradient for w in found.synaptic_flow),
        *(w.weight for w in found.synaptic_flow),
        *found.activation_gradients,
        *(tensor for pair in found.layer_probes for tensor in pair),
        *(found.gaussian_outputs or ()),
        found.tangent_kernel,
        found.output,
        found.embedding_gradient,
    ]
    assert all(isinstance(tensor, torch.Tensor) for tensor in kept)
    assert not any(tensor.requires_grad for tensor in kept if tensor is not None)


def test_quantities_that_nothing_needs_are_empty() -> None:
    found = trace(recorder(SPACE.named["gru"]), minibatch(), {"activations"})
    assert found.activations
    assert not found.hidden_states
    assert found.output is found.embedding_gradient is found.tied_weight_gradient is None
    assert found.gaussian_outputs is found.tangent_kernel is None
    assert not found.flops and not found.depth and not found.width
    assert not found.layer_probes and not found.synaptic_flow and not found.gradient_statistics
    assert not found.hessian_gradient_products and not found.activation_gradients
    assert not found.weight_gradients and not found.noised_embedding_gradients


def test_shapes_are_those_of_the_docstring() -> None:
    t, b, e, h = SMALL.sequence_length, SMALL.batch_size, SMALL.embedding_size, SMALL.hidden_size
    found = trace(recorder(SPACE.named["lstm"]), minibatch(), QUANTITIES)
    widths = (h, h, e)
    assert [s.shape for s in found.hidden_states] == [(t, b, width) for width in widths]
    assert [s.shape for s in found.hidden_state_gradients] == [(t, b, w) for w in widths]
    # The LSTM has five activation nodes.
    assert [s.shape for s in found.activations] == [(t, b, w) for w in widths for _ in range(5)]
    assert found.output is not None and found.output.shape == (t, b, e)
    assert found.embedding_gradient is not None
    assert found.embedding_gradient.shape == (t, b, e)
    assert list(found.noised_embedding_gradients) == list(NOISE_AMPLITUDES)
    assert [s.shape for s in found.activation_gradients] == [s.shape for s in found.activations]
    assert found.gaussian_outputs is not None
    assert [output.shape for output in found.gaussian_outputs] == [(t, b, e)] * 2
    assert found.tangent_kernel is not None and found.tangent_kernel.shape == (b, b)
    # Eight weights a layer.
    assert len(found.gradient_statistics) == 8 * len(widths)
    for pairs in (found.hessian_gradient_products, found.synaptic_flow):
        assert [w.gradient.shape for w in pairs] == [w.shape for w in found.weights]
    probed = [(v.shape[-1], product.shape[-1]) for v, product in found.layer_probes]
    assert probed == [(h, e), (h, h), (e, h)]
    assert all(tensor.shape[:2] == (t, b) for pair in found.layer_probes for tensor in pair)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("recipe", RECIPES)
def test_products_over_time_give_the_weight_gradients_of_autograd(
    recipe: str, squared: bool
) -> None:
    network = SPACE.build(RECIPES[recipe], 40, PUBLISHED).double().eval()
    weights = [
        weight
        for layer in network.layers
        for node in layer.linear.values()
        for weight in node.weights
    ]
    output, _ = network.encode(minibatch())
    objective = output.square().sum() / 2 if squared else output.sum()
    expected = torch.autograd.grad(objective, [*weights, network.embedding], allow_unused=True)

    prefix = "squared_" if squared else ""
    needs = {f"{prefix}weight_gradients", f"{prefix}tied_weight_gradient"}
    found = trace(RecurrentRecorder(network), minibatch(), needs)
    gradients = getattr(found, f"{prefix}weight_gradients")
    assert len(gradients) == len(weights)
    leaves = [*weights, network.embedding]
    expected = [
        torch.zeros_like(leaf) if gradient is None else gradient
        for leaf, gradient in zip(leaves, expected, strict=True)
    ]
    for weight, got, gradient in zip(weights, gradients, expected, strict=False):
        assert torch.equal(got.weight, weight)
        torch.testing.assert_close(got.gradient, gradient, rtol=1e-9, atol=1e-12)
    tied = getattr(found, f"{prefix}tied_weight_gradient")
    tokens = minibatch().unique()
    assert torch.equal(tied.weight, network.embedding.detach()[tokens])
    torch.testing.assert_close(tied.gradient, expected[-1][tokens], rtol=1e-9, atol=1e-12)


def test_each_nodes_first_weight_is_marked() -> None:
    recipe = SPACE.named["gru"]
    found = trace(recorder(recipe, PUBLISHED), minibatch(), {"weight_gradients"})
    marks = [w.first_input for w in found.weight_gradients]
    assert marks == [True, False] * (3 * SMALL.num_layers)


@pytest.mark.parametrize("scale", [SMALL, PUBLISHED])
def test_a_score_is_the_same_to_the_last_digit_whatever_was_scored_before(
    scale: RecurrentScale, corpus: Corpus
) -> None:
    scorer = Scorer("rnn", corpus, OWN, scale)
    first = scorer.score(RECIPES["sample 1"])
    for other in ("lstm", "sample 2", "sample 3"):
        scorer.score(RECIPES[other])
    torch.rand(7)
    again = scorer.score(RECIPES["sample 1"])
    fresh = Scorer("rnn", corpus, OWN, scale).score(RECIPES["sample 1"])
    Scorer("rnn", corpus, OWN, scale, seed=5).score(RECIPES["sample 1"])
    after_another_seed = scorer.score(RECIPES["sample 1"])
    # By their text, since NaN is not equal to itself.
    assert repr(again.scores) == repr(first.scores)
    assert repr(fresh.scores) == repr(first.scores)
    assert repr(after_another_seed.scores) == repr(first.scores)


@pytest.mark.parametrize("scale", [SMALL, PUBLISHED])
def test_training_a_network_leaves_the_scores_of_others_alone(
    scale: RecurrentScale, corpus: Corpus
) -> None:
    scorer = Scorer("rnn", corpus, OWN, scale)
    first = scorer.score(SPACE.named["gru"])
    network = SPACE.build(SPACE.named["gru"], len(scorer.vocabulary), scale)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    assert repr(scorer.score(SPACE.named["gru"]).scores) == repr(first.scores)


@pytest.mark.parametrize("scale", [SMALL, PUBLISHED])
def test_scoring_leaves_torchs_and_numpys_random_numbers_alone(
    scale: RecurrentScale, corpus: Corpus
) -> None:
    torch.manual_seed(1)
    np.random.seed(1)
    expected = torch.rand(3).tolist(), np.random.rand(3).tolist()
    torch.manual_seed(1)
    np.random.seed(1)
    Scorer("rnn", corpus, OWN, scale).score(RECIPES["sample 1"])
    assert (torch.rand(3).tolist(), np.random.rand(3).tolist()) == expected


def test_metrics_are_pure_functions_of_a_trace() -> None:
    requests = [request(name) for name in OWN]
    found = trace(recorder(RECIPES["sample 1"]), minibatch(), QUANTITIES)
    first = [asked.values(found) for asked in requests]
    again = [asked.values(found) for asked in reversed(requests)]
    assert repr(again[::-1]) == repr(first)


def rewritten(recipe: Recipe, rng: random.Random) -> Recipe:
    """The recipe with other names, orders, commutative inputs, and numbers of later states."""
    nodes = list(recipe.nodes.items())
    rng.shuffle(nodes)
    inner = [name for name, _ in nodes if not name.startswith("h_new_")]
    names = {name: f"{rng.choice('abyz')}.{i}" for i, name in enumerate(inner)}
    later = list(range(1, recipe.num_states))
    for old, new in zip(later, rng.sample(later, len(later)), strict=True):
        names |= {f"h_new_{old}": f"h_new_{new}", f"h_prev_{old}": f"h_prev_{new}"}
    rewritten = {}
    for name, node in nodes:
        inputs = [names.get(source, source) for source in node.input]
        if node.op in ("linear", "elementwise_sum", "elementwise_prod"):
            rng.shuffle(inputs)
        rewritten[names.get(name, name)] = Node(op=node.op, input=tuple(inputs))
    return Recipe(rewritten)


@pytest.mark.parametrize("recipe", RECIPES)
def test_renamed_and_shuffled_recipes_score_the_same_at_the_fast_scale(
    recipe: str, corpus: Corpus
) -> None:
    rng = random.Random(recipe)
    scorer = Scorer("rnn", corpus, OWN, "fast")
    original = scorer.score(RECIPES[recipe])
    other = scorer.score(rewritten(RECIPES[recipe], rng))
    assert repr(other.scores) == repr(original.scores)
    assert other.fingerprint == original.fingerprint


@pytest.mark.parametrize("recipe", RECIPES)
def test_shuffled_recipes_score_the_same_with_any_canonical_scale(
    recipe: str, corpus: Corpus
) -> None:
    rng = random.Random(recipe)
    scorer = Scorer("rnn", corpus, OWN, SMALL)
    original = scorer.score(RECIPES[recipe])
    for _ in range(5):
        assert repr(scorer.score(rewritten(RECIPES[recipe], rng)).scores) == repr(original.scores)


def test_two_orders_of_a_recipe_may_differ_with_the_published_initialisation(
    corpus: Corpus,
) -> None:
    recipe = SPACE.named["lstm"]
    turned = Recipe(dict(reversed(recipe.nodes.items())))
    scorer = Scorer("rnn", corpus, ["hidden_covariance[1]", "jacobian_covariance"], PUBLISHED)
    one, other = scorer.score(recipe), scorer.score(turned)
    assert one.fingerprint == other.fingerprint
    assert one["hidden_covariance[1]"] != other["hidden_covariance[1]"]
    assert one["jacobian_covariance"] != other["jacobian_covariance"]


def test_names_alone_never_matter_with_the_published_initialisation(corpus: Corpus) -> None:
    recipe = SPACE.named["gru"]
    names = {name: f"n.{i}" for i, name in enumerate(recipe.nodes) if name != "h_new_0"}
    renamed = Recipe(
        {
            names.get(name, name): Node(
                op=node.op, input=tuple(names.get(source, source) for source in node.input)
            )
            for name, node in recipe.nodes.items()
        }
    )
    scorer = Scorer("rnn", corpus, OWN, PUBLISHED)
    assert repr(scorer.score(renamed).scores) == repr(scorer.score(recipe).scores)


def test_noise_is_shared_by_architectures_and_amplitudes() -> None:
    # With one vocabulary and seed the embeddings agree, so the noised networks see one input.
    seen: list[torch.Tensor] = []

    class Watched(RecurrentRecorder):
        def record(self, minibatch, wanted, depth=None, embeddings=None, since=0):  # type: ignore[no-untyped-def]
            seen.append(embeddings.detach())
            return super().record(minibatch, wanted, depth, embeddings)

    for name in ("lstm", "gru"):
        network = Watched(SPACE.build(SPACE.named[name], 40, SMALL))
        trace(network, minibatch(), {f"noised_embedding_gradient[{a:g}]" for a in (0.1, 10.0)})
    small, large, small_again, large_again = seen
    assert torch.equal(small, small_again) and torch.equal(large, large_again)
    clean = recorder(SPACE.named["lstm"]).embed(minibatch())
    torch.testing.assert_close(large - clean, 100 * (small - clean), rtol=1e-2, atol=1e-4)
    assert not torch.equal(small, clean)


def test_a_cell_that_ignores_its_input_has_a_jacobian_of_zeros() -> None:
    network = recorder(RECIPES["ignores its input"])
    found = trace(network, minibatch(), {"embedding_gradient"})
    assert found.embedding_gradient is not None
    assert not found.embedding_gradient.any()


EVERY_QUANTITY = frozenset(QUANTITIES)
# The gradients of inputs are compared with each other, so they are found all at once.
IN_PARTS = EVERY_QUANTITY - OF_INPUTS


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("size", [1, 4])  # 4 leaves a smaller part of the 6 inputs
@pytest.mark.parametrize("name", ["lstm", "gru"])
def test_a_large_network_is_passed_its_inputs_in_parts_and_finds_the_same(
    name: str, size: int, objective: Objective, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = trace(recorder(SPACE.named[name]), minibatch(), IN_PARTS, objective=objective)
    network = recorder(SPACE.named[name])
    if size == 1:
        monkeypatch.setattr("archscout.spaces.recurrent.recorder._GRAPH_BYTES", 1)
    else:
        monkeypatch.setattr(RecurrentRecorder, "inputs_at_once", lambda *_: size)
    assert network.inputs_at_once(minibatch()) == size
    parts = trace(network, minibatch(), IN_PARTS, objective=objective)
    torch.testing.assert_close(parts.embedding_gradient, whole.embedding_gradient)
    torch.testing.assert_close(parts.output, whole.output)
    torch.testing.assert_close(parts.hidden_states, whole.hidden_states)
    torch.testing.assert_close(parts.hidden_state_gradients, whole.hidden_state_gradients)
    torch.testing.assert_close(list(parts.activations), list(whole.activations))
    torch.testing.assert_close(list(parts.activation_gradients), list(whole.activation_gradients))
    torch.testing.assert_close(parts.layer_probes, whole.layer_probes)
    torch.testing.assert_close(parts.noised_embedding_gradients, whole.noised_embedding_gradients)
    for found, expected in (
        (parts.weight_gradients, whole.weight_gradients),
        (parts.squared_weight_gradients, whole.squared_weight_gradients),
        ([parts.tied_weight_gradient], [whole.tied_weight_gradient]),
        ([parts.squared_tied_weight_gradient], [whole.squared_tied_weight_gradient]),
    ):
        gradients = [w.gradient for w in found if w]
        torch.testing.assert_close(gradients, [w.gradient for w in expected if w])


def test_nothing_of_a_pass_outlives_its_trace(monkeypatch: pytest.MonkeyPatch) -> None:
    # Hooks that refer to the graph they hang in would never be freed.
    alive: list[weakref.ref[object]] = []

    for kind in (passes_of_trace.WeightGradients, passes_of_trace.InputGradients):

        class Watched(kind):  # type: ignore[misc, valid-type]
            def __init__(self, linears: Any, *arguments: Any) -> None:
                super().__init__(linears, *arguments)
                alive.append(weakref.ref(self))
                alive.extend(weakref.ref(linear) for linear in linears)

        monkeypatch.setattr(passes_of_trace, kind.__name__, Watched)
    trace(recorder(SPACE.named["lstm"]), minibatch(), EVERY_QUANTITY)
    gc.collect()
    assert len(alive) > 2 and not any(reference() for reference in alive)


# The loss of recurrent networks


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_loss_is_that_of_the_next_token_and_reaches_the_decoder(recipe: str) -> None:
    network = SPACE.build(RECIPES[recipe], 40, PUBLISHED).double().eval()
    logits, _ = network(minibatch())
    loss = F.cross_entropy(logits[:-1].flatten(0, 1), minibatch()[1:].flatten())
    weights = [
        weight
        for layer in network.layers
        for node in layer.linear.values()
        for weight in node.weights
    ]
    expected = torch.autograd.grad(loss, [*weights, network.embedding], materialize_grads=True)
    needs = {"weight_gradients", "tied_weight_gradient", "weights"}
    found = trace(RecurrentRecorder(network), minibatch(), needs, objective="loss")
    assert len(found.weight_gradients) == len(found.weights) == len(weights)
    for got, gradient in zip(found.weight_gradients, expected, strict=False):
        torch.testing.assert_close(got.gradient, gradient, rtol=1e-9, atol=1e-12)
    assert found.tied_weight_gradient is not None
    torch.testing.assert_close(
        found.tied_weight_gradient.gradient, expected[-1], rtol=1e-9, atol=1e-12
    )


def test_a_sequence_of_one_token_has_no_next_one() -> None:
    with pytest.raises(InputError, match="sequence_length is 1; the loss predicts the next token"):
        trace(recorder(SPACE.named["gru"]), minibatch()[:1], {"weight_gradients"}, objective="loss")


# Random inputs and directions


@pytest.mark.parametrize("name", ["lstm", "sample 3"])
def test_probes_are_products_of_random_signs_with_the_jacobian_between_layers(name: str) -> None:
    network = SPACE.build(RECIPES[name], 40, PUBLISHED).double().eval()
    found = trace(RecurrentRecorder(network), minibatch(), {"layer_probes"}).layer_probes
    assert len(found) == len(network.recurrent_layers)
    inputs = [step.requires_grad_() for step in network.embedding[minibatch()].detach()]
    before = inputs
    for layer, (v, product) in zip(network.recurrent_layers, found, strict=True):
        assert set(v.unique().tolist()) == {-1.0, 1.0}
        zeros = tuple(z.requires_grad_() for z in layer.initial_state(v.shape[1]))
        steps = layer.steps(layer.affine(torch.stack(inputs)))
        states = [step[0] for step in layer.unroll(steps, zeros).states]
        entering, inputs = states[:-1], states[1:]
        objective = torch.stack(
            [(state * direction).sum() for state, direction in zip(entering, v, strict=True)]
        ).sum()
        expected = torch.autograd.grad(objective, before, retain_graph=True, materialize_grads=True)
        # The zeros that enter a layer first are a constant of the network's.
        start = int(layer is not network.recurrent_layers[0])
        torch.testing.assert_close(product[start:], torch.stack(expected)[start:])
        before = entering


def test_gaussian_outputs_are_those_of_two_near_inputs() -> None:
    network = SPACE.build(SPACE.named["gru"], 40, PUBLISHED).eval()
    found = trace(RecurrentRecorder(network), minibatch(), {"gaussian_outputs"}, seed=5)
    assert found.gaussian_outputs is not None
    shape = (SMALL.sequence_length, SMALL.batch_size, SMALL.embedding_size)
    at, change = (
        torch.from_numpy(np.random.default_rng([5, stream]).standard_normal(shape, np.float32))
        for stream in (3, 4)
    )
    for embeddings, output in zip((at, at + 0.01 * change), found.gaussian_outputs, strict=True):
        for layer in network.recurrent_layers:
            embeddings, _ = layer(embeddings, layer.initial_state(shape[1]))
        torch.testing.assert_close(output, embeddings)
    other = trace(RecurrentRecorder(network), minibatch(seed=3), {"gaussian_outputs"}, seed=5)
    assert other.gaussian_outputs is not None  # whatever the text
    assert torch.equal(other.gaussian_outputs[0], found.gaussian_outputs[0])


# What shapes tell


@pytest.mark.parametrize("recipe", RECIPES)
def test_depth_is_the_longest_path_through_a_step_times_layers(recipe: str) -> None:
    nodes = RECIPES[recipe].nodes

    def longest(name: str) -> int:
        return 1 + max(longest(s) for s in nodes[name].input) if name in nodes else 0

    found = trace(recorder(RECIPES[recipe], depth=0), minibatch(), {"depth", "width"})
    assert found.depth == SMALL.num_layers * max(map(longest, nodes))
    assert found.width == RECIPES[recipe].num_states * SMALL.hidden_size


def test_flops_are_the_same_whether_weights_are_there_or_not() -> None:
    for depth in (0, 1, 3):
        network = recorder(SPACE.named["lstm"], depth=depth)
        assert trace(network, minibatch(), {"flops"}).flops == 2 * (
            4 * (14 * (10 + 14) + 14 * (14 + 14) + 10 * (14 + 10)) + 40 * 10
        )


def test_a_second_network_draws_no_numbers_again() -> None:
    needs = {"gaussian_outputs", "last_step_gradient", "embedding_gradient"}
    standard_normal.cache_clear()
    for _ in range(2):
        trace(recorder(SPACE.named["gru"]), minibatch(), needs, objective="cotangent")
    found = standard_normal.cache_info()
    assert (found.hits, found.misses) == (4, 4)
