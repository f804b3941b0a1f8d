"""Decoders as models of transformers, of its own classes and of ours."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GPT2LMHeadModel,
    LlamaForCausalLM,
    Trainer,
    TrainingArguments,
)

from archscout.exports import drawn_text, export
from archscout.spaces import DecoderGenotype, DecoderScale, GptSpace
from archscout.spaces.gpt.generation import generate
from archscout.spaces.gpt.pretrained import DecoderForCausalLM, wrap
from archscout.text import Corpus, tokenizer_for

V = 60
SCALE = DecoderScale(2, 8, 24, "20,45")
SMALL = {"n_layer": 2, "d_model": 32, "n_head": 4, "d_inner": 48}
LLAMA = {"norm": "rmsnorm", "activation": "swiglu", "position": "rope", "bias": False}
UNEVEN = {**SMALL, **LLAMA, "n_head": [4, 2], "n_kv_head": [2, 1], "d_inner": [48, 32]}
BANDED = {**SMALL, "d_embed": 16, "div_val": 2, "position": "sinusoidal"}
space = GptSpace()
heads = pytest.mark.parametrize(
    "scale", [SCALE, dataclasses.replace(SCALE, head="untied")], ids=["tied", "untied"]
)


def tokens(length: int = 8) -> torch.Tensor:
    # None is 0, which transformers is told to be padding.
    return torch.randint(1, V, (2, length), generator=torch.Generator().manual_seed(0))


def exported(
    genotype: DecoderGenotype, folder: Path, scale: DecoderScale = SCALE
) -> tuple[Any, Any]:
    """A network with weights so large that all of them count, and its export."""
    network = space.build(genotype, V, scale).eval()
    torch.manual_seed(0)
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, float(parameter.dim() < 2), 0.2)
    space.save_pretrained(network, genotype, folder)
    code = (folder / "network.py").exists()
    return network, AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=code).eval()


@heads
@pytest.mark.parametrize(
    ("sizes", "kind"),
    [
        (SMALL, GPT2LMHeadModel),
        ({**SMALL, **LLAMA, "n_kv_head": 2}, LlamaForCausalLM),
        (UNEVEN, None),
        (BANDED, None),
    ],
)
def test_an_export_computes_the_same(
    sizes: dict[str, Any], kind: type | None, scale: DecoderScale, tmp_path: Path
) -> None:
    network, model = exported(DecoderGenotype(**sizes), tmp_path, scale)
    assert model.config.tie_word_embeddings == (scale.head == "tied")
    if kind is None:
        assert type(model).__name__ == "DecoderForCausalLM"
        assert (tmp_path / "vocabulary_bands.py").exists()
    else:
        assert type(model) is kind
    with torch.no_grad():
        torch.testing.assert_close(model(tokens()).logits, network(tokens()), atol=1e-5, rtol=0)
    drawn = model.generate(tokens(3), max_new_tokens=9, do_sample=False, pad_token_id=0)
    without = model.generate(
        tokens(3), max_new_tokens=9, do_sample=False, pad_token_id=0, use_cache=False
    )
    assert drawn.equal(without)
    assert drawn.equal(generate(network, tokens(3), 9, temperature=0))


def test_padding_on_the_left_changes_no_generated_text(tmp_path: Path) -> None:
    _, model = exported(DecoderGenotype(**UNEVEN), tmp_path)
    alone = model.generate(tokens(3), max_new_tokens=5, do_sample=False, pad_token_id=0)
    padded = torch.nn.functional.pad(tokens(3), (2, 0))
    mask = torch.nn.functional.pad(torch.ones_like(tokens(3)), (2, 0))
    drawn = model.generate(
        padded, attention_mask=mask, max_new_tokens=5, do_sample=False, pad_token_id=0
    )
    assert drawn[:, 2:].equal(alone)
    beams = model.generate(tokens(3), max_new_tokens=5, num_beams=2, pad_token_id=0)
    assert beams.shape == (2, 8)


def test_what_is_made_from_a_configuration_has_weights_of_its_own() -> None:
    config = wrap(space.build(DecoderGenotype(**UNEVEN), V, SCALE)).config
    model = AutoModelForCausalLM.from_config(config)
    assert isinstance(model, DecoderForCausalLM)
    assert float(model.model.layers[1].attention.query.weight.detach().std()) == pytest.approx(
        0.02, rel=0.1
    )
    assert bool((model.model.norm.weight == 1).all())


@heads
def test_embeddings_are_resized(scale: DecoderScale, tmp_path: Path) -> None:
    _, model = exported(DecoderGenotype(**UNEVEN), tmp_path, scale)
    before = model(tokens()).logits
    model.resize_token_embeddings(V + 3)
    after = model(tokens()).logits
    assert after.shape == (2, 8, V + 3)
    torch.testing.assert_close(after[..., :V], before)
    model.save_pretrained(tmp_path / "larger")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "larger", trust_remote_code=True)
    torch.testing.assert_close(again(tokens()).logits, after)
    banded = wrap(space.build(DecoderGenotype(**BANDED), V, SCALE))
    with pytest.raises(NotImplementedError, match="adaptive softmax cannot be resized"):
        banded.resize_token_embeddings(V + 3)


def test_a_step_of_transformers_trainer(tmp_path: Path) -> None:
    model = wrap(space.build(DecoderGenotype(**BANDED), V, SCALE))
    data = [{"input_ids": row, "labels": row} for row in tokens(24).repeat(4, 1)]
    arguments = TrainingArguments(
        str(tmp_path),
        max_steps=20,
        learning_rate=1e-2,
        gradient_checkpointing=True,
        report_to=[],
        use_cpu=True,
        save_strategy="no",
        disable_tqdm=True,
    )
    before = model(tokens(24), labels=tokens(24)).loss
    Trainer(model, arguments, train_dataset=data).train()  # type: ignore[arg-type]
    assert model.model.gradient_checkpointing
    assert model.eval()(tokens(24), labels=tokens(24)).loss < before - 0.5


def test_what_is_refused() -> None:
    model = wrap(space.build(DecoderGenotype(**UNEVEN), V, SCALE))
    with pytest.raises(ValueError, match="give either input_ids or inputs_embeds"):
        model()


def test_positions_are_not_given() -> None:
    network = space.build(DecoderGenotype(**BANDED), V, SCALE).eval()
    with pytest.raises(ValueError, match="position_ids are not taken"):
        wrap(network)(tokens(), position_ids=torch.arange(8)[None])


def test_text_is_drawn_as_far_as_there_are_positions(tmp_path: Path) -> None:
    words = ("one", "two", "three", "four") * 20
    pieces = tokenizer_for("bpe", Corpus("w", {"all": words}, "0" * 64, ("w",)), 300)
    for name, sizes in (("native", SMALL), ("own", BANDED)):
        genotype = DecoderGenotype(**sizes)
        network = space.build(genotype, len(pieces), SCALE)
        export(space, genotype, network, pieces, tmp_path / name)
        assert drawn_text(tmp_path / name)
