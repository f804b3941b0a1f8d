"""Scoring of encoders: those of the FlexiBERT space, and models of transformers as they are."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import transformers
from torch import Tensor

from archscout import InputError, Scorer, score, score_module
from archscout.metrics import available
from archscout.spaces import EncoderGenotype, EncoderScale, FlexibertSpace, streams
from archscout.spaces.flexibert import initialisation
from archscout.text import Corpus, WordPiece

SPACE = FlexibertSpace()
SAMPLE = SPACE.published_sample
TINY = EncoderScale(
    batch_size=2, sequence_length=8, embedding_size=16, num_positions=16, reading="declared"
)
CORPUS = Corpus("words", {"all": tuple(f"w{i * i % 97}" for i in range(600))}, "0" * 64, ("words",))
OWN = [name for name, found in available("transformer").items() if found.source]
# Metrics that divide by a difference, and so magnify rounding: of few inputs some gradients hardly
# vary, and layers' entropies hardly differ.
LOOSE = {"az_progressivity": 1e-4, "zico": 1e-3}


def of_sizes(hidden_size: int, num_layers: int) -> EncoderGenotype:
    sizes = (hidden_size, num_layers)
    return next(g for g in SAMPLE if (g.hidden_size, g.num_layers) == sizes)


NARROW, WIDE, DEEP = of_sizes(128, 2), of_sizes(256, 2), of_sizes(128, 4)


def scorer(metrics: Any = OWN, **changes: Any) -> Scorer:
    return Scorer(SPACE, CORPUS, metrics, **({"scale": TINY} | changes))


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forgets the weights drawn so far, as a new process would."""

    def forget() -> None:
        monkeypatch.setattr(initialisation, "_STREAMS", initialisation.Streams())

    forget()
    return forget


# The FlexiBERT space


def test_a_score_does_not_depend_on_what_was_scored_before(forgetful: Callable[[], None]) -> None:
    names = ["hidden_covariance", "jacobian_cosine", "synaptic_saliency", "small_noise_jacobian"]
    expected = []
    for genotype in (NARROW, WIDE, DEEP):
        forgetful()
        expected.append(scorer(names).score(genotype).scores)
    forgetful()
    several = scorer(names)
    for i in (2, 0, 1, 1, 0, 2):
        assert several.score((NARROW, WIDE, DEEP)[i]).scores == expected[i]
    scorer(names, seed=1).score(WIDE)
    assert several.score(NARROW).scores == expected[0]


@pytest.mark.parametrize("genotype", [NARROW, DEEP], ids=["narrow", "deep"])
def test_a_score_does_not_depend_on_what_else_is_asked_for(genotype: EncoderGenotype) -> None:
    together = scorer([*OWN, *(f"{name}_published" for name in OWN)]).score(genotype)
    for name in OWN:
        alone = scorer([name]).score(genotype)
        for column, value in alone.scores.items():
            expected = pytest.approx(together[column], rel=LOOSE.get(name, 1e-5))
            assert value == expected, column
    for layer in range(1, genotype.num_layers + 1):
        column = f"hidden_covariance[{layer}]"
        assert scorer([column]).score(genotype).scores == {
            column: pytest.approx(together[column], rel=1e-6)
        }


def test_a_published_form_has_dropout_that_the_seed_decides() -> None:
    names = ["head_confidence", "softmax_confidence", "activation_distance"]
    asked = [*names, *(f"{name}_published" for name in names)]
    one, same, other = (scorer(asked, seed=seed).score(NARROW) for seed in (0, 0, 1))
    assert one.scores == same.scores
    for name in names:
        assert one[name] != one[f"{name}_published"]
        assert one[f"{name}_published"] != other[f"{name}_published"]
    forms = scorer([f"{names[0]}_released", f"{names[0]}_published"]).score(NARROW)
    assert len(set(forms.scores.values())) == 1


def test_the_generator_of_others_is_left_alone() -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    scorer([*OWN, "head_confidence_published"]).score(NARROW)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_a_short_encoder_has_no_fourth_layer() -> None:
    for_four = scorer(["hidden_covariance[4]"])
    assert math.isfinite(for_four.score(DEEP)["hidden_covariance[4]"])
    short = for_four.score(NARROW)
    assert math.isnan(short["hidden_covariance[4]"])
    assert short.problem == "metric hidden_covariance[4]: the network has 2 layer(s)"


def test_an_objective_that_cannot_be_is_named() -> None:
    with pytest.raises(InputError, match="unknown objective 'lossy'; accepted: sum, cotangent"):
        scorer(objective="lossy")


def test_the_default_objective_is_the_cotangent_and_its_seed_matters() -> None:
    names = ["synaptic_saliency", "synaptic_diversity"]
    plain, given, loss = (
        scorer(names, objective=o).score(NARROW).scores for o in (None, "cotangent", "loss")
    )
    assert plain == given
    assert all(0 < loss[name] < plain[name] for name in names)


def test_gradients_of_a_sum_are_rounding_errors_and_that_is_said() -> None:
    names = ["synaptic_saliency", "softmax_confidence"]
    found = scorer(names, objective="sum").score(NARROW)
    assert found.problem is not None and "add up to a constant" in found.problem
    assert found.problem.endswith("take objective cotangent")
    assert found["synaptic_saliency"] < 1e-6 * scorer(names).score(NARROW)["synaptic_saliency"]
    # No gradient, no rounding error.
    assert scorer(["softmax_confidence"], objective="sum").score(NARROW).problem is None


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_weights_that_are_not_finite_are_a_problem_with_a_reason(
    value: float, forgetful: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn = streams._draw

    def draw(seed: int, name: str, size: int) -> Tensor:
        values = drawn(seed, name, size)
        return values.fill_(value) if name.startswith("encoder.layer.1.") else values

    monkeypatch.setattr(streams, "_draw", draw)
    names = ["synaptic_saliency", "head_confidence_normalized", "hidden_covariance", "parameters"]
    found = scorer(names).score(NARROW)
    document = found.to_dict()["scores"]
    assert document["synaptic_saliency"] is document["hidden_covariance[2]"] is None
    assert math.isfinite(document["hidden_covariance[1]"]) and document["parameters"] > 0
    assert found.problem is not None
    assert "synaptic_saliency is nan: the hidden states of layer 2 overflow" in found.problem


def test_settings_that_no_encoder_can_have_are_refused() -> None:
    with pytest.raises(InputError, match=r"sequence_length \(of .*\) is 600, more than .* 16"):
        TINY.resized(sequence_length=600)
    with pytest.raises(InputError, match=r"sequence length 2: accepted is .* at least 3"):
        scorer(scale=TINY.resized(sequence_length=2))
    with pytest.raises(InputError, match="reading is 'x'; accepted: declared, scored, trained"):
        TINY.resized(reading="x")
    with pytest.raises(InputError, match=r"the text has \d+ pieces, .* needs 6000;"):
        scorer(scale=TINY.resized(batch_size=1000))


def test_the_interface_takes_encoders_in_every_form() -> None:
    entry = {"hparams": {"model_hparam_overrides": NARROW.to_dict()}}
    forms = [NARROW, NARROW.to_json(), NARROW.to_dict(), entry]
    found = score("flexibert", forms, text=CORPUS, metrics="softmax_confidence", scale=TINY)
    assert isinstance(found, list)
    assert all(one.scores == found[0].scores for one in found)
    assert {one.fingerprint for one in found} == {SPACE.fingerprint(NARROW)}


def test_the_given_tokenizer_makes_the_minibatch(tmp_path: Any) -> None:
    pieces = WordPiece.train("w q a z w s x e d c " * 30)
    pieces.save(tmp_path / "pieces.json")
    found = scorer(["parameters"], tokenizer=str(tmp_path / "pieces.json"))
    assert found.vocabulary.tokens == pieces.tokens
    assert int(found.minibatch.max()) < len(pieces)
    own = scorer(["parameters"])
    difference = len(own.vocabulary) - len(pieces)
    parameters = [s.score(NARROW)["parameters"] for s in (own, found)]
    assert parameters[0] - parameters[1] == difference * 16 != 0


# Models of transformers

SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "intermediate_size": 40,
    "max_position_embeddings": 16,
    "vocab_size": 50,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "Bert": ("BertForMaskedLM", SIZES),
    "Electra": ("ElectraForMaskedLM", SIZES | {"embedding_size": 16}),
    "GPT2": (
        "GPT2LMHeadModel",
        {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 16, "vocab_size": 50},
    ),
    "Llama": ("LlamaForCausalLM", SIZES | {"num_key_value_heads": 2}),
}
SPECIAL = {"bos_token_id": 1, "eos_token_id": 2}
OF_POSITIONS = {"jacobian_cosine", "jacobian_covariance"}
IDS = torch.randint(3, 15, (3, 7), generator=torch.Generator().manual_seed(0))
every_family = pytest.mark.parametrize("family", MODELS)


def build(family: str, with_head: bool = False) -> Any:
    head, sizes = MODELS[family]
    config = getattr(transformers, f"{family}Config")(**sizes, **SPECIAL)
    torch.manual_seed(0)
    return getattr(transformers, head if with_head else f"{family}Model")(config).eval()


@every_family
def test_a_model_of_transformers_has_the_metrics_that_apply(family: str) -> None:
    model = build(family)
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    found = score_module(model, IDS)
    expected = set(available("transformer")) - (OF_POSITIONS if family == "Llama" else set())
    assert {name for name in found.scores if "[" not in name} == expected
    assert {f"hidden_covariance[{i}]" for i in (1, 2)} < found.scores.keys()
    assert found.fingerprint is None and found.problem is None
    rotary = "it has no embedding of positions (its positions are rotary)"
    assert found.inapplicable == (dict.fromkeys(OF_POSITIONS, rotary) if family == "Llama" else {})
    assert all(math.isfinite(value) for value in found.scores.values())
    assert found["parameters"] == sum(p.numel() for p in model.parameters())
    assert score_module(model, IDS).scores == found.scores
    assert all(torch.equal(model.state_dict()[name], value) for name, value in weights.items())


@every_family
def test_a_models_score_does_not_depend_on_what_else_is_asked_for(family: str) -> None:
    model = build(family)
    together = score_module(model, IDS)
    for name in set(OWN) & together.scores.keys():
        for column, value in score_module(model, IDS, [name]).scores.items():
            expected = pytest.approx(together[column], rel=LOOSE.get(name, 1e-5))
            assert value == expected, column


@every_family
def test_the_default_objective_of_a_model_is_the_cotangent(family: str) -> None:
    model, names = build(family), ["synaptic_saliency", "head_importance"]
    plain, given, total = (
        score_module(model, IDS, names, objective=o) for o in (None, "cotangent", "sum")
    )
    assert plain.scores == given.scores and plain.problem is None
    assert score_module(model, IDS, names, seed=1).scores != plain.scores
    if family == "Llama":  # its norm divides by the root mean square, and subtracts no mean
        assert total.problem is None and total["synaptic_saliency"] > 1
    else:
        assert total.problem is not None and "take objective cotangent" in total.problem
        assert total["synaptic_saliency"] < 1e-6 * plain["synaptic_saliency"]


@pytest.mark.parametrize("name", sorted(OF_POSITIONS))
def test_rotary_positions_have_no_gradient(name: str) -> None:
    expected = f"metric {name} does not apply to this module: it has no embedding of positions "
    with pytest.raises(InputError) as caught:
        score_module(build("Llama"), IDS, [name])
    assert str(caught.value) == f"{expected}(its positions are rotary)"


@every_family
def test_a_models_own_loss_is_an_objective(family: str) -> None:
    model, names = build(family, with_head=True), ["synaptic_saliency", "softmax_confidence"]
    batch = {"input_ids": IDS, "labels": IDS}
    loss = score_module(model, batch, names, objective="loss")
    other = score_module(model, {"input_ids": IDS, "labels": IDS.flip(0)}, names, objective="loss")
    plain = score_module(model, batch, names)
    assert loss.problem is None and 0 < loss["synaptic_saliency"] < plain["synaptic_saliency"]
    assert loss["synaptic_saliency"] != other["synaptic_saliency"]
    assert loss["softmax_confidence"] == other["softmax_confidence"] == plain["softmax_confidence"]
    with pytest.raises(InputError, match="its output holds no loss; put labels in the batch"):
        score_module(model, IDS, names, objective="loss")
    with pytest.raises(InputError, match="its output holds no loss, and its forward takes no lab"):
        score_module(build(family), IDS, names, objective="loss")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"objective": "lossy"}, "unknown objective 'lossy'; accepted: sum, cotangent, loss"),
        ({"metrics": ["hidden_covariance[3]"]}, r"the network has 2 layer\(s\)"),
        ({"metrics": ["synaptic_saliencies"]}, "did you mean synaptic_saliency"),
        ({"metrics": []}, "no metric was named"),
        ({"batch_first": False}, r"take batches \(B, T\)"),
    ],
)
def test_a_mistake_about_a_model_is_named(options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InputError, match=complaint):
        score_module(build("Bert"), IDS, **options)


def test_metrics_of_transformers_are_refused_for_other_modules() -> None:
    module = torch.nn.Sequential(torch.nn.Embedding(50, 8), torch.nn.Linear(8, 8), torch.nn.ReLU())
    with pytest.raises(InputError, match="'synaptic_diversity' is defined for transformers only"):
        score_module(module, IDS, ["synaptic_diversity"])
    with pytest.raises(
        InputError, match=r"does not apply to this module: it has no torch\.nn\.RNN"
    ):
        score_module(module, IDS, ["hidden_covariance"])
