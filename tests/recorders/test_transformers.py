"""Transformers of the transformers library, and others, recorded by hooks and left as found."""

import copy
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from packaging.version import Version
from torch import Tensor, nn

from archscout import InputError, score_module
from archscout.recorders.choice import recorded
from archscout.recorders.modules import ModuleRecorder
from archscout.recorders.transformers import TransformerRecorder
from archscout.recording import declared_batch_first
from archscout.tracing import trace
from archscout.tracing.quantities import Trace

T, B, H, HEADS, LAYERS, V, P = 7, 3, 32, 4, 2, 50, 24
SIZES: dict[str, Any] = {
    "hidden_size": H,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": 40,
    "max_position_embeddings": P,
    "vocab_size": V,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
GPT2: dict[str, Any] = {
    "n_embd": H,
    "n_layer": LAYERS,
    "n_head": HEADS,
    "n_inner": 40,
    "n_positions": P,
    "vocab_size": V,
    "bos_token_id": 1,
    "eos_token_id": 2,
}


def configuration(name: str) -> Any:
    if name == "GPT2":
        return transformers.GPT2Config(**GPT2)
    if name == "Electra":
        return transformers.ElectraConfig(**SIZES, embedding_size=16)
    if name in ("Llama", "Mistral", "Phi3"):
        return getattr(transformers, f"{name}Config")(**SIZES, num_key_value_heads=2)
    return getattr(transformers, f"{name}Config")(**SIZES)


# Where each role's weight is, in layer i: its module, and which of its outputs.
Place = tuple[str, slice]
ALL = slice(None)
ENCODER: dict[str, list[Place]] = {
    "query": [("encoder.layer.{}.attention.self.query", ALL)],
    "key": [("encoder.layer.{}.attention.self.key", ALL)],
    "value": [("encoder.layer.{}.attention.self.value", ALL)],
    "output": [("encoder.layer.{}.attention.output.dense", ALL)],
    "feed_forward": [
        ("encoder.layer.{}.intermediate.dense", ALL),
        ("encoder.layer.{}.output.dense", ALL),
    ],
}
PLACES: dict[str, dict[str, list[Place]]] = {
    "Bert": ENCODER,
    "Electra": ENCODER,
    "GPT2": {
        "query": [("h.{}.attn.c_attn", slice(0, H))],
        "key": [("h.{}.attn.c_attn", slice(H, 2 * H))],
        "value": [("h.{}.attn.c_attn", slice(2 * H, 3 * H))],
        "output": [("h.{}.attn.c_proj", ALL)],
        "feed_forward": [("h.{}.mlp.c_fc", ALL), ("h.{}.mlp.c_proj", ALL)],
    },
    "Llama": {
        "query": [("layers.{}.self_attn.q_proj", ALL)],
        "key": [("layers.{}.self_attn.k_proj", ALL)],
        "value": [("layers.{}.self_attn.v_proj", ALL)],
        "output": [("layers.{}.self_attn.o_proj", ALL)],
        "feed_forward": [(f"layers.{{}}.mlp.{name}_proj", ALL) for name in ("gate", "up", "down")],
    },
}
FAMILIES = tuple(PLACES)
POSITIONS = {
    "Bert": "embeddings.position_embeddings",
    "Electra": "embeddings.position_embeddings",
    "GPT2": "wpe",
}
EMBEDDINGS = {
    "Bert": "embeddings.word_embeddings",
    "Electra": "embeddings.word_embeddings",
    "GPT2": "wte",
    "Llama": "embed_tokens",
}
HEADS_OF = {
    "Bert": "BertForMaskedLM",
    "Electra": "ElectraForMaskedLM",
    "GPT2": "GPT2LMHeadModel",
    "Llama": "LlamaForCausalLM",
}
NEEDS = (
    "activations",
    "embedding_gradient",
    "hidden_state_gradients",
    "hidden_states",
    "output",
    "parameters",
    "projections",
    "softmaxes",
    "weight_gradients",
)


def build(name: str) -> Any:
    """A headless model by its family's name, any other by its class's."""
    torch.manual_seed(0)
    known = f"{name}Model"
    if hasattr(transformers, known):
        return getattr(transformers, known)(configuration(name)).eval()
    (family,) = (family for family in FAMILIES if name.startswith(family))
    return getattr(transformers, name)(configuration(family)).eval()


def tokens(seed: int = 0) -> Tensor:
    return torch.randint(3, V, (B, T), generator=torch.Generator().manual_seed(seed))


def traced(model: nn.Module, batch: Any, *needs: str, **options: Any) -> Trace:
    with recorded(model, batch) as recorder:
        assert isinstance(recorder, TransformerRecorder)
        return trace(recorder, recorder.minibatch, needs or NEEDS, **options)


def reasons(model: nn.Module, batch: Any) -> dict[str, str]:
    with recorded(model, batch) as recorder:
        return {name: why for name, why in recorder.recordable.items() if why is not None}


class Plain:
    """One forward and backward pass of the model as its authors meant it, attention eager."""

    def __init__(self, model: Any, batch: dict[str, Tensor], objective: str = "cotangent") -> None:
        self.model = copy.deepcopy(model).eval()
        self.model.set_attn_implementation("eager")
        self.outputs: dict[str, Tensor] = {}
        for name, module in self.model.named_modules():
            module.register_forward_hook(
                lambda _m, _i, output, name=name: self.outputs.update({name: output})
            )
        self.result = self.model(
            **batch, output_attentions=True, output_hidden_states=True, use_cache=False
        )
        for states in (*self.result.hidden_states, self.outputs.get(self.embedding)):
            if states is not None:
                states.retain_grad()
        if objective == "loss":
            self.result.loss.backward()
        else:
            last = self.result.last_hidden_state.transpose(0, 1)
            draws = np.random.default_rng([0, 1]).standard_normal(last.shape, dtype=np.float32)
            (last * torch.from_numpy(draws)).sum().backward()

    @property
    def embedding(self) -> str:
        found = self.model.get_input_embeddings()
        return next(name for name, module in self.model.named_modules() if module is found)

    def gradient(self, path: str, columns: slice = ALL) -> Tensor:
        """Of a weight (outputs, inputs), in these rows."""
        module = self.model.get_submodule(path)
        gradient = module.weight.grad
        return (gradient.t() if type(module).__name__ == "Conv1D" else gradient)[columns]


def close(found: Tensor | None, expected: Tensor | None) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)


# What is recorded


@pytest.mark.parametrize("family", FAMILIES)
def test_linear_maps_are_counted_by_what_they_do(family: str) -> None:
    found = traced(build(family), tokens(), "weight_gradients", objective="cotangent")
    expected = {role: LAYERS * len(places) for role, places in PLACES[family].items()}
    assert Counter(w.role for w in found.weight_gradients) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_weight_gradients_are_plain_ones_and_of_fused_maps_their_rows(family: str) -> None:
    model, ids = build(family), tokens()
    plain = Plain(model, {"input_ids": ids})
    found = traced(model, ids, "weight_gradients", objective="cotangent").weight_gradients
    for role, places in PLACES[family].items():
        of_role = [w for w in found if w.role == role]
        everywhere = [(p.format(i), columns) for i in range(LAYERS) for p, columns in places]
        for weight, (path, columns) in zip(of_role, everywhere, strict=True):
            close(weight.gradient, plain.gradient(path, columns))
            module = model.get_submodule(path)
            own = module.weight.t() if type(module).__name__ == "Conv1D" else module.weight
            assert torch.equal(weight.weight, own.detach()[columns])
            assert weight.gradient.abs().sum() > 0


@pytest.mark.parametrize("family", FAMILIES)
def test_projections_softmaxes_and_activations_are_the_models_own(family: str) -> None:
    model, ids = build(family), tokens()
    plain = Plain(model, {"input_ids": ids})
    found = traced(model, ids, "projections", "softmaxes", "activations")
    places = [
        (place.format(i), columns)
        for i in range(LAYERS)
        for role in ("query", "key", "value")
        for place, columns in PLACES[family][role]
    ]
    for outputs, (path, columns) in zip(found.projections, places, strict=True):
        close(outputs, plain.outputs[path].transpose(0, 1)[..., columns].detach())
    for probabilities, expected in zip(found.softmaxes, plain.result.attentions, strict=True):
        assert probabilities.shape == (B, HEADS, T, T)
        close(probabilities, expected.detach())
        close(probabilities.sum(-1), torch.ones(B, HEADS, T))
    assert [tuple(a.shape) for a in found.activations] == [(T, B, 40)] * LAYERS
    acts = [n for n in plain.outputs if n.endswith(("act", "act_fn"))]
    for outputs, name in zip(found.activations, acts, strict=True):
        close(outputs, plain.outputs[name].transpose(0, 1).detach())


@pytest.mark.parametrize("family", FAMILIES)
def test_hidden_states_and_their_gradients_are_the_models_own(family: str) -> None:
    model, ids = build(family), tokens()
    plain = Plain(model, {"input_ids": ids})
    found = traced(model, ids, objective="cotangent")
    assert len(found.hidden_states) == len(found.hidden_state_gradients) == LAYERS
    close(found.output, plain.result.last_hidden_state.transpose(0, 1).detach())
    # The last of the model's own is what follows a final norm, where there is one.
    assert LAYERS == 2
    own = plain.result.hidden_states[1]
    close(found.hidden_states[0], own.transpose(0, 1).detach())
    close(found.hidden_state_gradients[0], own.grad.transpose(0, 1))
    norm = {"GPT2": "ln_f", "Llama": "norm"}.get(family)
    last = found.hidden_states[1]
    close(model.get_submodule(norm)(last).detach() if norm else last, found.output)
    embedded = plain.outputs[EMBEDDINGS[family]].grad
    assert embedded is not None
    close(found.embedding_gradient, embedded.transpose(0, 1))


@pytest.mark.parametrize("family", POSITIONS)
def test_the_gradient_of_positions_is_the_plain_one(family: str) -> None:
    model, ids = build(family), tokens()
    plain = Plain(model, {"input_ids": ids})
    found = traced(model, ids, "position_gradient", objective="cotangent").position_gradient
    close(found, plain.gradient(POSITIONS[family]))
    assert found is not None and found.shape[0] == P and found[:T].abs().sum() > 0


def test_positions_with_rows_for_padding_are_found() -> None:
    sizes = {"ffn_dim": 40, "word_embed_proj_dim": H}
    model = transformers.OPTModel(transformers.OPTConfig(**SIZES, **sizes))
    found = traced(model, tokens(), "position_gradient", objective="cotangent").position_gradient
    assert found is not None and found.shape == (P + 2, H)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_models_own_loss_is_differentiated(family: str) -> None:
    model, ids = build(HEADS_OF[family]), tokens()
    batch = {"labels": tokens(1), "input_ids": ids, "attention_mask": torch.ones_like(ids)}
    plain = Plain(model, batch, "loss")
    found = traced(model, batch, "weight_gradients", "embedding_gradient", objective="loss")
    assert torch.equal(found.minibatch, ids.t())
    expected = {role: LAYERS * len(places) for role, places in PLACES[family].items()}
    assert Counter(w.role for w in found.weight_gradients) == expected
    close(found.embedding_gradient, plain.outputs[plain.embedding].grad.transpose(0, 1))
    base = model.base_model_prefix
    queries = [w for w in found.weight_gradients if w.role == "query"]
    (path, columns), *_ = PLACES[family]["query"]
    for i, weight in enumerate(queries):
        close(weight.gradient, plain.gradient(f"{base}.{path.format(i)}", columns))


def test_the_output_of_a_model_with_a_head_is_its_logits() -> None:
    model, ids = build("BertForMaskedLM"), tokens()
    found = traced(model, {"input_ids": ids, "labels": ids}, "output")
    assert found.output is not None and found.output.shape == (T, B, V)
    close(found.output, model(ids).logits.transpose(0, 1).detach())


def test_interleaved_fused_projections_are_told_apart_by_what_they_do() -> None:
    model, ids = build("GPTNeoX"), tokens()
    plain = Plain(model, {"input_ids": ids})
    found = traced(model, ids, "projections", "weight_gradients", objective="cotangent")
    for layer in range(LAYERS):
        path = f"layers.{layer}.attention.query_key_value"
        outputs = plain.outputs[path].detach().transpose(0, 1).reshape(T, B, HEADS, 3, H // HEADS)
        gradient = plain.gradient(path).reshape(HEADS, 3, H // HEADS, H)
        for part, role in enumerate(("query", "key", "value")):
            close(found.projections[3 * layer + part], outputs[..., part, :].flatten(2))
            weight = [w for w in found.weight_gradients if w.role == role][layer]
            close(weight.gradient, gradient[:, part].flatten(0, 1))


def test_a_fused_projection_with_fewer_keys_than_queries_is_split() -> None:
    found = traced(build("Phi3"), tokens(), "projections")
    assert [p.shape[-1] for p in found.projections] == [H, H // 2, H // 2] * LAYERS


def test_layers_that_share_their_weights_have_them_counted_once() -> None:
    model, ids = build("Albert"), tokens()
    plain = Plain(model, {"input_ids": ids})
    found = traced(model, ids, objective="cotangent")
    counts = {"query": 1, "key": 1, "value": 1, "output": 1, "feed_forward": 2}
    assert Counter(w.role for w in found.weight_gradients) == counts
    assert len(found.hidden_states) == len(found.softmaxes) == LAYERS
    path = "encoder.albert_layer_groups.0.albert_layers.0.attention.query"
    close(found.weight_gradients[0].gradient, plain.gradient(path))


def test_an_encoder_with_relative_positions_is_recorded() -> None:
    config = transformers.T5Config(
        d_model=H, d_kv=8, d_ff=40, num_layers=LAYERS, num_heads=HEADS, vocab_size=V
    )
    torch.manual_seed(0)
    model = transformers.T5EncoderModel(config).eval()
    found = traced(model, tokens(), objective="cotangent")
    # Older releases keep the probabilities of T5 to themselves.
    if Version(transformers.__version__) >= Version("5.16"):
        close(found.softmaxes[0].sum(-1), torch.ones(B, HEADS, T))
    assert len(found.projections) == 3 * LAYERS and found.embedding_gradient is not None
    assert reasons(model, tokens())["position_embedding"] == "it has no embedding of positions"


@pytest.mark.parametrize("family", ["Roberta", "DistilBert", "Mistral"])
def test_other_families_have_all_roles(family: str) -> None:
    model = build(family)
    found = traced(model, tokens(), objective="cotangent")
    roles = Counter(w.role for w in found.weight_gradients)
    layers = roles["query"]
    assert layers == len(found.softmaxes) == len(found.activations) == len(found.hidden_states)
    assert roles["key"] == roles["value"] == roles["output"] == layers
    assert not roles[""]
    assert all(w.gradient.abs().sum() > 0 for w in found.weight_gradients)


def test_zero_weights_and_equal_tokens_do_not_hide_the_roles() -> None:
    model = build("GPTNeoX")
    for name, parameter in model.named_parameters():
        if "query_key_value" in name:
            parameter.detach().zero_()
    found = traced(model, torch.ones(B, T, dtype=torch.long), "projections")
    assert [p.shape[-1] for p in found.projections] == [H] * 3 * LAYERS


# What cannot be recorded


def test_reasons_say_what_is_missing() -> None:
    headless = "its output holds no loss, and its forward takes no labels"
    assert reasons(build("Bert"), tokens()) == {"loss": headless}
    assert reasons(build("Llama"), tokens()) == {
        "loss": headless,
        "position_embedding": "it has no embedding of positions (its positions are rotary)",
    }
    why = "its output holds no loss; put labels in the batch"
    assert reasons(build("GPT2LMHeadModel"), tokens()) == {"loss": why}
    batch = {"input_ids": tokens(), "labels": tokens()}
    assert reasons(build("GPT2LMHeadModel"), batch) == {}


def with_activation(make: Callable[[], Any]) -> nn.Module:
    model = build("Bert")
    for layer in model.encoder.layer:
        del layer.intermediate.intermediate_act_fn
        layer.intermediate.intermediate_act_fn = make()
    return model


def test_activations_that_are_functions_score_as_modules_do() -> None:
    names = ["activation_distance", "fisher", "meco", "vanilla_pca", "w_pca", "naswot"]
    modules, functions = (with_activation(make) for make in (nn.Tanh, lambda: torch.tanh))
    expected = score_module(modules, tokens(), names).scores
    assert score_module(functions, tokens(), names).scores == expected


def test_blocks_without_activations_are_said_so() -> None:
    why = reasons(with_activation(nn.Identity), tokens())["activations"]
    assert why == "its feed-forward blocks have no activations that take part"


def test_batches_that_are_not_batch_first_are_refused() -> None:
    with pytest.raises(InputError, match=r"take batches \(B, T\)"):
        score_module(build("Bert"), tokens(), ["snip"], batch_first=False)


def test_a_module_without_blocks_of_attention_is_refused_by_the_class_itself() -> None:
    with pytest.raises(InputError, match="Linear has no repeated blocks with attention"):
        TransformerRecorder(nn.Linear(2, 2))


# Modules of any origin


class CausalSelfAttention(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.fused = fused
        if fused:
            self.c_attn = nn.Linear(H, 3 * H)
        else:
            # Neither registered nor called in the usual order.
            self.v_proj, self.wk, self.query = (nn.Linear(H, H) for _ in range(3))
        self.c_proj = nn.Linear(H, H)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.c_attn(x).split(H, 2) if self.fused else self.apart(x)
        q, k, v = (part.view(*x.shape[:2], HEADS, -1).transpose(1, 2) for part in (q, k, v))
        y = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).reshape(x.shape))

    def apart(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        v, k, q = self.v_proj(x), self.wk(x), self.query(x)
        return q, k, v


class Block(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.attn = CausalSelfAttention(fused)
        self.mlp = nn.Sequential(nn.Linear(H, 40), nn.GELU(), nn.Linear(40, H))

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attn(x)
        return x + self.mlp(x)


class Handwritten(nn.Module):
    def __init__(self, fused: bool) -> None:
        super().__init__()
        self.wte = nn.Embedding(V, H)
        self.blocks = nn.ModuleList(Block(fused) for _ in range(LAYERS))

    def forward(self, ids: Tensor) -> Tensor:
        x = self.wte(ids)
        for block in self.blocks:
            x = block(x)
        return x


@pytest.mark.parametrize("fused", [False, True])
def test_a_handwritten_transformer_is_recorded_by_its_names(fused: bool) -> None:
    torch.manual_seed(0)
    model, ids = Handwritten(fused), tokens()
    needs = ("weight_gradients", "projections", "hidden_states", "activations")
    found = traced(model, ids, *needs, objective="sum")
    roles = {"query": 2, "key": 2, "value": 2, "output": 2, "feed_forward": 4}
    assert Counter(w.role for w in found.weight_gradients) == roles
    model(ids).sum().backward()
    attention = model.blocks[0].attn
    weight = attention.c_attn.weight if fused else attention.query.weight
    close(next(w for w in found.weight_gradients if w.role == "query").gradient, weight.grad[:H])
    assert reasons(model, ids) == {
        "softmaxes": "its attention returns no probabilities",
        "position_embedding": "it has no embedding of positions",
        "loss": "its output holds no loss, and its forward takes no labels",
    }


def test_a_block_that_is_used_again_and_again_is_recorded_at_every_use() -> None:
    torch.manual_seed(0)
    model, ids = Handwritten(fused=False), tokens()
    model.blocks = nn.ModuleList([model.blocks[0]] * 3)
    found = traced(model, ids, "weight_gradients", "projections", "hidden_states", "activations")
    roles = {"query": 1, "key": 1, "value": 1, "output": 1, "feed_forward": 2}
    assert Counter(w.role for w in found.weight_gradients) == roles
    assert len(found.hidden_states) == len(found.activations) == 3
    assert len(found.projections) == 9
    model(ids).sum().backward()
    queries = next(w for w in found.weight_gradients if w.role == "query")
    close(queries.gradient, model.blocks[0].attn.query.weight.grad)


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.GRU(H, H),
        lambda: nn.Sequential(nn.Linear(H, H), nn.ReLU()),
        lambda: nn.TransformerEncoder(nn.TransformerEncoderLayer(H, HEADS), LAYERS, None, False),
    ],
)
def test_other_modules_get_the_other_recorder(make: Callable[[], nn.Module]) -> None:
    with recorded(make(), torch.randn(T, B, H)) as recorder:
        assert type(recorder) is ModuleRecorder and not recorder.has_attention
        missing = {"loss", "projections", "softmaxes", "position_embedding"}
        assert missing <= recorder.recordable.keys()


# Batches


@pytest.mark.parametrize("family", FAMILIES)
def test_padding_changes_nothing_at_real_positions(family: str) -> None:
    model, ids = build(family), tokens()
    expected = traced(model, ids, "hidden_states", "softmaxes")
    padded = torch.cat([ids, torch.zeros(B, 4, dtype=torch.long)], 1)
    mask = torch.cat([torch.ones_like(ids), torch.zeros(B, 4, dtype=torch.long)], 1)
    found = traced(
        model, {"attention_mask": mask, "input_ids": padded}, "hidden_states", "softmaxes"
    )
    for states, real in zip(found.hidden_states, expected.hidden_states, strict=True):
        close(states[:T], real)
    for probabilities, real in zip(found.softmaxes, expected.softmaxes, strict=True):
        close(probabilities[:, :, :T, :T], real)
        assert float(probabilities[:, :, :T, T:].abs().max()) == 0


def test_a_cache_and_the_kernel_of_attention_do_not_matter() -> None:
    model, ids = build("Llama"), tokens()
    expected = traced(model, ids, objective="cotangent")
    assert model.config.use_cache and model.config._attn_implementation == "sdpa"
    model.config.use_cache = False
    model.set_attn_implementation("eager")
    found = traced(model, ids, objective="cotangent")
    assert torch.equal(found.hidden_states[-1], expected.hidden_states[-1])
    pairs = zip(found.weight_gradients, expected.weight_gradients, strict=True)
    assert all(torch.equal(a.gradient, b.gradient) for a, b in pairs)
    assert model.config._attn_implementation == "eager" and not model.config.use_cache


def test_dropout_acts_in_training_mode_only() -> None:
    model, ids = build("Bert").train(), tokens()
    still = [traced(model, ids, "hidden_states", "softmaxes") for _ in range(2)]
    moving = [
        traced(model, ids, "hidden_states", "softmaxes", training=True, seed=seed)
        for seed in (0, 0, 1)
    ]
    states = [found.hidden_states[-1] for found in (*still, *moving)]
    assert torch.equal(states[0], states[1]) and torch.equal(states[2], states[3])
    assert not torch.equal(states[0], states[2]) and not torch.equal(states[3], states[4])
    assert len(moving[0].softmaxes) == LAYERS


def test_shared_parameters_count_once() -> None:
    model = build("GPT2LMHeadModel")
    with recorded(model, tokens()) as recorder:
        assert recorder.parameters == sum(p.numel() for p in model.parameters())
        assert recorder.tied_embedding is None


# Left as found


def condition(model: Any) -> dict[str, Any]:
    return {
        "training": {name: m.training for name, m in model.named_modules()},
        "requires_grad": {name: p.requires_grad for name, p in model.named_parameters()},
        "gradients": [name for name, p in model.named_parameters() if p.grad is not None],
        "tensors": {name: t.tolist() for name, t in model.state_dict().items()},
        "attributes": {name: sorted(m.__dict__) for name, m in model.named_modules()},
        "configuration": copy.deepcopy(vars(model.config)),
        "hooks": [len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules()],
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_nothing_is_left_behind(family: str) -> None:
    model, ids = build(family).train(), tokens()
    model.get_input_embeddings().weight.requires_grad_(False)
    before = condition(model)
    traced(model, ids, objective="cotangent", training=True)
    assert condition(model) == before
    with pytest.raises(IndexError):
        traced(model, torch.full((B, T), V + 1))
    assert condition(model) == before


def test_transformers_is_not_imported() -> None:
    code = (
        "import sys, archscout.metrics, archscout.recorders.choice;"
        "sys.exit('transformers' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize("family", ["GPT2", "Bert"])
def test_roles_are_found_where_nothing_needs_a_gradient(family: str) -> None:
    names = ["deep_memory", "zerolm_feed_forward", "lpzero"]
    found = score_module(build(family), tokens(), names)
    together = score_module(build(family), tokens(), [*names, "snip"])
    assert found.scores == {name: together[name] for name in names}


@pytest.mark.parametrize("spare", ["recurrent", "attention"])
def test_what_does_not_run_does_not_decide_the_kind(spare: str) -> None:
    class Spare(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.embedding = nn.Embedding(V, H)
            self.blocks = nn.ModuleList([Block(False), Block(False)])
            self.states = nn.GRU(H, H, batch_first=True)

        def forward(self, ids: Tensor) -> Tensor:
            x = self.embedding(ids)
            if spare == "attention":
                return self.states(x)[0]
            for block in self.blocks:
                x = block(x)
            return x

    found = score_module(Spare(), tokens()).found
    assert found is not None
    assert found.kind == ("transformer" if spare == "recurrent" else "other")
    assert found.linear_maps == (12 if spare == "recurrent" else 2)


# Layers called by keyword, and training mode


class OwnAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.query, self.key, self.value = (nn.Linear(H, H) for _ in range(3))

    def forward(self, hidden: Tensor) -> Tensor:
        products = self.query(hidden) @ self.key(input=hidden).transpose(-1, -2)
        return (products / H**0.5).softmax(-1) @ self.value(hidden)


class OwnBlock(nn.Module):
    """With batch normalisation and dropout."""

    def __init__(self) -> None:
        super().__init__()
        self.attention = OwnAttention()
        self.inner, self.outer, self.act = nn.Linear(H, 40), nn.Linear(40, H), nn.GELU()
        self.normal, self.drop = nn.BatchNorm1d(H), nn.Dropout(0.3)

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        hidden = hidden + self.attention(hidden=hidden) * mask
        hidden = hidden + self.drop(self.outer(self.act(input=self.inner(hidden))))
        return self.normal(hidden.transpose(1, 2)).transpose(1, 2)


class Own(nn.Module):
    def __init__(self, by_keyword: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(V, H)
        self.layers = nn.ModuleList(OwnBlock() for _ in range(LAYERS))
        self.by_keyword = by_keyword

    def forward(self, ids: Tensor) -> Tensor:
        hidden, mask = self.embedding(ids), torch.ones(1)
        for layer in self.layers:
            hidden = layer(mask=mask, hidden=hidden) if self.by_keyword else layer(hidden, mask)
        return hidden


def test_layers_may_be_called_by_keyword() -> None:
    positional, by_keyword = (score_module(Own(by), tokens()) for by in (False, True))
    assert "az_trainability" in by_keyword.scores and "lpzero" in by_keyword.scores
    assert by_keyword.scores == pytest.approx(positional.scores, nan_ok=True)


def test_published_forms_do_not_depend_on_what_else_is_asked_for() -> None:
    class Weighted(Own):
        """The sum of whose outputs is no constant, whose gradients would be rounding errors."""

        def forward(self, ids: Tensor) -> Tensor:
            outputs = super().forward(ids)
            return outputs * torch.arange(outputs.numel()).reshape(outputs.shape).sin()

    names = ["zen_score", "small_noise_jacobian", "grasp", "snip", "synaptic_saliency", "zico"]
    published = [f"{name}_published" for name in names]
    together = score_module(Weighted(), tokens(), published)
    for name in published:
        alone = score_module(Weighted(), tokens(), [name])[name]
        assert alone == pytest.approx(together[name], rel=1e-6)


def test_dropout_is_alike_at_both_gaussian_inputs() -> None:
    class Dropping(Own):
        def forward(self, ids: Tensor) -> Tensor:
            return self.layers[0].drop(super().forward(ids).detach() * 0 + 1)

    outputs = traced(Dropping(), tokens(), "gaussian_outputs", training=True).gaussian_outputs
    assert outputs is not None
    assert torch.equal(*outputs) and bool((outputs[0] == 0).any())


def test_buffers_are_as_before_after_passes_in_training_mode() -> None:
    model = Own()
    before = copy.deepcopy(model.state_dict())
    first = score_module(model, tokens(), ["synaptic_saliency"])
    score_module(model, tokens(), ["synaptic_saliency_published", "synaptic_saliency"])
    after = model.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert score_module(model, tokens(), ["synaptic_saliency"]).scores == first.scores


def test_pictures_have_no_linear_memory_and_all_else() -> None:
    sizes = {"hidden_size": H, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.ViTConfig(intermediate_size=40, image_size=8, patch_size=4, **sizes)
    pictures = {"pixel_values": torch.randn(B, 3, 8, 8)}
    found = score_module(transformers.ViTModel(config), pictures)
    assert "az_trainability" in found.scores
    assert "the steps and inputs of its hidden states" in found.inapplicable["linear_memory"]


def test_models_of_transformers_take_batches_first_whatever_is_within() -> None:
    class Model(transformers.BertModel):  # type: ignore[misc]
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.cell = nn.LSTM(4, 4)

    sizes = {"vocab_size": 9, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = transformers.BertConfig(**sizes, intermediate_size=8)
    assert declared_batch_first(Model(config))
    assert not declared_batch_first(nn.LSTM(4, 4))
