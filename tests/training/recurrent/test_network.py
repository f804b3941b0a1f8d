"""The fast forward pass against the plain one of the model, and against torch.nn.RNN."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from archscout.spaces import RecurrentScale, RecurrentSpace
from archscout.spaces.recurrent.language_model import Dropout, RecurrentLanguageModel
from archscout.training.recurrent import network
from archscout.training.recurrent.network import activation_penalty, decoder_loss, training_loss

SPACE = RecurrentSpace()
SCALE = RecurrentScale(3, 5, 6, 8, 2, "canonical")
V = 11
NONE = Dropout(0, 0, 0, 0, 0)


def built(architecture: object, dropout: Dropout) -> RecurrentLanguageModel:
    model = SPACE.build(SPACE.parse(architecture), V, SCALE, 0).train()
    model.dropout = dropout
    return model


ARCHITECTURES = ["rnn", "gru", "lstm", *(SPACE.sample(seed) for seed in range(8))]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("dropout", [NONE, Dropout()])
def test_loss_and_gradients_are_those_of_the_model(architecture: object, dropout: Dropout) -> None:
    model = built(architecture, dropout).double()
    text = torch.randint(V, (6, 3), generator=torch.Generator().manual_seed(0))
    states = [tuple(torch.rand_like(s) for s in layer) for layer in model.initial_state(3)]

    torch.manual_seed(1)
    logits, after = model(text[:-1], states)
    expected = F.cross_entropy(logits.flatten(0, 1), text[1:].flatten())
    expected.backward()
    gradients = {name: p.grad for name, p in model.named_parameters()}
    model.zero_grad()

    torch.manual_seed(1)
    states = [tuple(s.double() for s in layer) for layer in states]
    loss, entropy, last = training_loss(model, text[:-1], text[1:], states)
    loss.backward()
    assert (
        float(loss.detach()) == float(entropy) == pytest.approx(float(expected.detach()), rel=1e-6)
    )
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, gradients[name], rtol=1e-5, atol=1e-7, msg=name)
    for ours, theirs in zip(sum(last, ()), sum(after, ()), strict=True):
        torch.testing.assert_close(ours.double(), theirs.detach(), rtol=1e-5, atol=1e-6)
        assert not ours.requires_grad


def test_decoder_loss_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_LOGITS", 3 * V)  # three rows at a time
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(5, 2, 4, generator=generator, requires_grad=True)
    weight = torch.randn(V, 4, generator=generator, requires_grad=True)
    bias = torch.randn(V, generator=generator, requires_grad=True)
    targets = torch.randint(V, (5, 2), generator=generator)
    expected = F.cross_entropy(F.linear(x, weight, bias).flatten(0, 1), targets.flatten())
    wanted = torch.autograd.grad(3 * expected, (x, weight, bias))
    loss = decoder_loss(x, weight, bias, targets)
    torch.testing.assert_close(loss, expected)
    for found, right in zip(torch.autograd.grad(3 * loss, (x, weight, bias)), wanted, strict=True):
        torch.testing.assert_close(found, right)
    with torch.no_grad():
        torch.testing.assert_close(decoder_loss(x, weight, bias, targets), expected)


def test_activation_penalty() -> None:
    raw = torch.tensor([[[1.0, 2.0]], [[3.0, 5.0]]])
    dropped = torch.tensor([[[2.0, 0.0]], [[6.0, 0.0]]])
    # 2 * (4 + 36) / 4 + 1 * (4 + 9) / 2
    assert float(activation_penalty(raw, dropped, 2.0, 1.0)) == 20.0 + 6.5
    assert float(activation_penalty(raw[:1], dropped[:1], 2.0, 1.0)) == 4.0


def test_penalty_is_added_to_what_is_minimised_only() -> None:
    model = built("lstm", NONE)
    text = torch.randint(V, (6, 3), generator=torch.Generator().manual_seed(0))
    loss, entropy, _ = training_loss(model, text[:-1], text[1:], model.initial_state(3), 2.0, 1.0)
    raw, _ = model.encode(text[:-1])
    penalty = 2 * raw.pow(2).mean() + (raw[1:] - raw[:-1]).pow(2).mean()
    assert float(loss.detach() - entropy) == pytest.approx(float(penalty.detach()), rel=1e-4)


def test_weight_drop_masks_only_weights_that_read_a_previous_state() -> None:
    layer = built("gru", NONE).recurrent_layers[0]
    torch.manual_seed(0)
    whole, dropped = layer.recurrent_weights(), layer.recurrent_weights(0.5)
    assert layer.wiring.states == ("h_prev_0",)
    (node,) = set(whole) - {"h_prev_0"}  # the GRU's kept state, which the candidate reads
    assert torch.equal(whole[node], dropped[node])
    zeros = dropped["h_prev_0"] == 0
    assert 0.3 < float(zeros.float().mean()) < 0.7
    torch.testing.assert_close(dropped["h_prev_0"], whole["h_prev_0"] * ~zeros * 2)


class TorchModel(nn.Module):
    """The language model with `torch.nn.RNN` in it, and the weights of ours."""

    def __init__(self, model: RecurrentLanguageModel) -> None:
        super().__init__()
        self.embedding = nn.Parameter(model.embedding.detach().clone())
        self.bias = nn.Parameter(model.decoder_bias.detach().clone())
        self.layers = nn.ModuleList()
        for layer in model.recurrent_layers:
            (node,) = layer.linear.values()
            w_x, w_h = (node.weights[node.inputs.index(source)] for source in ("x", "h_prev_0"))
            rnn = nn.RNN(w_x.shape[1], w_h.shape[0], nonlinearity="tanh")
            with torch.no_grad():
                rnn.weight_ih_l0.copy_(w_x)
                rnn.weight_hh_l0.copy_(w_h)
                rnn.bias_ih_l0.copy_(node.bias)
                rnn.bias_hh_l0.zero_()
            rnn.bias_hh_l0.requires_grad_(False)  # ours has one bias
            self.layers.append(rnn)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        x = F.embedding(tokens, self.embedding)
        for layer in self.layers:
            x, _ = layer(x)
        return F.linear(x, self.embedding, self.bias)


def test_rnn_follows_torch_for_fifty_steps() -> None:
    model = built("rnn", NONE)
    theirs = TorchModel(model)
    ours_adam = torch.optim.Adam(model.parameters(), 1e-2, fused=True)
    parameters = [p for p in theirs.parameters() if p.requires_grad]
    their_adam = torch.optim.Adam(parameters, 1e-2, fused=True)
    generator = torch.Generator().manual_seed(0)
    losses = []
    for _ in range(50):
        text = torch.randint(V, (6, 3), generator=generator).cumsum(0) % V
        loss, _, _ = training_loss(model, text[:-1], text[1:], model.initial_state(3))
        other = F.cross_entropy(theirs(text[:-1]).flatten(0, 1), text[1:].flatten())
        for objective, adam in ((loss, ours_adam), (other, their_adam)):
            adam.zero_grad()
            objective.backward()
            adam.step()
        losses.append((float(loss.detach()), float(other.detach())))
    differences = [abs(a - b) for a, b in losses]
    assert max(differences) < 1e-5
    assert losses[-1][0] != losses[0][0]


def test_mixed_precision_stays_near() -> None:
    model = built("lstm", NONE)
    text = torch.randint(V, (6, 3), generator=torch.Generator().manual_seed(0))
    exact, _, _ = training_loss(model, text[:-1], text[1:], model.initial_state(3))
    exact.backward()
    gradient = model.layers[0].linears[0].weights[1].grad.clone()
    model.zero_grad()
    with torch.autocast("cpu", torch.bfloat16):
        loss, _, states = training_loss(model, text[:-1], text[1:], model.initial_state(3))
    loss.backward()
    assert float(loss.detach()) == pytest.approx(float(exact), rel=2e-2)
    assert states[0][0].dtype == torch.float32
    found = model.layers[0].linears[0].weights[1].grad
    assert found.dtype == torch.float32
    assert F.cosine_similarity(found.flatten(), gradient.flatten(), dim=0) > 0.98
