"""Decoders are trained: the same every time, however often they stop, and what is said of them."""

from __future__ import annotations

import dataclasses
import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from tokenizers import Tokenizer, pre_tokenizers
from transformers import AutoModelForCausalLM, AutoTokenizer

from archscout.errors import InputError
from archscout.spaces import DecoderGenotype, DecoderScale, GptSpace
from archscout.text import ByteLevel, Corpus, load_corpus
from archscout.training import DecoderSettings, Paused, TrainedCausal, find_trainer, train
from archscout.training.causal.evaluation import evaluate
from archscout.training.causal.training_loop import make_optimizer
from archscout.training.gpt.trainer import decoder_loss
from archscout.training.schedule import rate_factor
from two_processes import run_in_two_processes

SETTINGS = DecoderSettings(
    steps=24, batch_size=4, sequence_length=8, evaluate_every=8, learning_rate=1e-2, accumulation=2
)
SCALE = DecoderScale(2, 8, 16, "300")
DECODERS = {
    "gpt2": DecoderGenotype(n_layer=2, d_model=16, n_head=2, d_inner=32),
    "banded": DecoderGenotype(
        **{"n_layer": 2, "d_model": 16, "n_head": [2, 4], "d_inner": [16, 32], "div_val": 2},
        **{"norm": "rmsnorm", "activation": "swiglu", "position": "rope", "bias": False},
    ),
}
space = GptSpace()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """A tenth of the built-in text."""
    path = tmp_path_factory.mktemp("text") / "part.txt"
    words = load_corpus("python-docs").tokens()
    path.write_text(" ".join(words[: len(words) // 10]).replace("<eos>", "\n"), "utf-8")
    return load_corpus(path)


def trained(corpus: Corpus, folder: Path, kind: str = "gpt2", **options: Any) -> Any:
    given = {"settings": SETTINGS, "scale": SCALE, "vocabulary_size": 400} | options
    return train("gpt", DECODERS[kind], corpus, out=folder, **given)


@pytest.mark.parametrize("kind", DECODERS)
def test_a_stopped_training_ends_as_one_that_never_stopped(
    kind: str, corpus: Corpus, tmp_path: Path
) -> None:
    whole = trained(corpus, tmp_path / "whole", kind)
    assert isinstance(whole, TrainedCausal)
    for until in (0.2, 0.5):
        stopped = trained(corpus, tmp_path / "parts", kind, until=until, resume=until > 0.2)
        assert isinstance(stopped, Paused)
    parts = trained(corpus, tmp_path / "parts", kind, resume=True)
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        assert one.equal(other)
    assert parts.losses == whole.losses
    assert whole.losses["valid"].nats < math.log(400) - 0.5
    assert whole.records[-1].valid_loss == pytest.approx(
        whole.losses["valid"].nats if whole.best_step == 24 else whole.records[-1].valid_loss
    )


def test_what_a_training_leaves(corpus: Corpus, tmp_path: Path) -> None:
    found = trained(corpus, tmp_path)
    result = json.loads((tmp_path / "result.json").read_text("utf-8"))
    for part in ("valid", "test"):
        loss = result["losses"][part]
        assert loss["perplexity"] == pytest.approx(math.exp(loss["nats"]))
        bits = loss["nats"] * loss["tokens"] / math.log(2) / loss["bytes"]
        assert loss["bits_per_byte"] == pytest.approx(bits)
    assert result == json.loads(json.dumps(found.to_dict()))
    assert "bits per byte" in (tmp_path / "model" / "README.md").read_text("utf-8")
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "model")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "model")
    ids = tokenizer("the value", return_tensors="pt")["input_ids"]
    with torch.no_grad():
        torch.testing.assert_close(model(ids).logits, found.network(ids), atol=1e-5, rtol=0)
    assert model.config.eos_token_id is None


def test_the_loss_of_a_text_is_that_of_each_next_token(corpus: Corpus) -> None:
    pieces = ByteLevel.train(corpus, 400)
    ids = pieces.encode(corpus.tokens())[:30]
    network = space.build(DECODERS["gpt2"], len(pieces), SCALE).eval()
    found = evaluate(network, decoder_loss, ids, pieces.byte_lengths()[ids], 8, 2)
    nats = 0.0
    for start in range(0, 29, 8):
        reads = ids[start : start + 9]
        logits = network(reads[None, :-1])[0]
        nats += float(F.cross_entropy(logits, reads[1:], reduction="sum").detach())
    assert found.tokens == 29
    assert found.nats == pytest.approx(nats / 29, rel=1e-5)
    assert found.bytes == len(pieces.decode(ids[1:].tolist()).encode())
    assert found.bits_per_byte == pytest.approx(nats / math.log(2) / found.bytes, rel=1e-5)


PROCESS = """
import json, sys
from accelerate.state import PartialState
from archscout.spaces import DecoderGenotype, DecoderScale
from archscout.training import DecoderSettings, train
genotype, scale, settings, text, out = json.loads(sys.argv[1])
found = train("gpt", genotype, text, DecoderSettings(**settings), out, scale=DecoderScale(**scale),
              vocabulary_size=400)
losses = [record.valid_loss for record in found.records] + [found.losses["valid"].nats]
open(out + f"/process-{PartialState().process_index}.json", "w").write(json.dumps(losses))
"""


@pytest.mark.slow
def test_two_processes_train_as_one_does(corpus: Corpus, tmp_path: Path) -> None:
    # Batches of three do not divide.
    settings = SETTINGS.resized(dropout=0.0, steps=8, evaluate_every=4, batch_size=3)
    text, out = tmp_path / "text.txt", tmp_path / "two"
    text.write_text(" ".join(corpus.tokens()).replace("<eos>", "\n"), "utf-8")
    (tmp_path / "script.py").write_text(PROCESS)
    given = (DECODERS["gpt2"].to_dict(), dataclasses.asdict(SCALE), settings.model_dump())
    run_in_two_processes(tmp_path / "script.py", json.dumps([*given, str(text), str(out)]))
    first, second = (json.loads((out / f"process-{i}.json").read_text()) for i in (0, 1))
    one = trained(load_corpus(text), tmp_path / "one", settings=settings)
    expected = [record.valid_loss for record in one.records] + [one.losses["valid"].nats]
    assert first == second and first == pytest.approx(expected, rel=1e-5)


def test_the_recipe_of_nanogpt() -> None:
    recipe = find_trainer("gpt").presets["nanogpt-char"].settings
    rates = [recipe.learning_rate * rate_factor(recipe, step / 5000, 0.1) for step in (100, 5000)]
    assert rates == pytest.approx([1e-3, 1e-4])
    assert recipe.step_tokens == 64 * 256


def test_the_recipe_of_lite_transformer_search() -> None:
    recipe = find_trainer("gpt").presets["lts-wt103"].settings
    rates = [recipe.learning_rate * rate_factor(recipe, at / 40_000, 0.1) for at in (1000, 40_000)]
    assert rates == pytest.approx([0.01, 0.001])
    assert (recipe.step_tokens, recipe.optimizer) == (256 * 192, "lamb")


def test_steps_of_lamb_are_of_the_size_of_the_weights() -> None:
    """You et al. 2020, algorithm 2, without bias correction: 0.01 of the weights' norm."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(5, 3)
    settings = SETTINGS.resized(optimizer="lamb", learning_rate=0.01, weight_decay=0.0)
    optimizer = make_optimizer(layer, settings)
    for _ in range(3):
        before = layer.weight.detach().clone()
        layer(torch.randn(4, 5)).square().sum().backward()
        optimizer.step()
        optimizer.zero_grad()
        step = (layer.weight.detach() - before).norm() / before.norm()
        assert float(step) == pytest.approx(0.01, rel=1e-4)


def test_training_by_lamb_goes_on_as_if_never_stopped(corpus: Corpus, tmp_path: Path) -> None:
    settings = SETTINGS.resized(optimizer="lamb", learning_rate=0.02)
    whole = trained(corpus, tmp_path / "whole", settings=settings)
    assert isinstance(trained(corpus, tmp_path / "parts", settings=settings, until=0.4), Paused)
    parts = trained(corpus, tmp_path / "parts", settings=settings, resume=True)
    for one, other in zip(whole.network.parameters(), parts.network.parameters(), strict=True):
        assert one.equal(other)
    assert whole.records[-1].valid_loss < whole.records[0].valid_loss


def test_lamb_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pytorch_optimizer", None)
    with pytest.raises(InputError, match=r"lamb needs the package pytorch-optimizer: pip install"):
        make_optimizer(torch.nn.Linear(2, 2), SETTINGS.resized(optimizer="lamb"))


def test_the_last_steps_learn_at_the_lowest_rate(corpus: Corpus, tmp_path: Path) -> None:
    settings = SETTINGS.resized(steps=40, lowest_rate=0.5, warm_up=0.0)
    found = trained(corpus, tmp_path, settings=settings)
    expected = settings.learning_rate * rate_factor(settings, 39 / 40, 0.5)
    assert found.records[-1].learning_rate == pytest.approx(expected)
    assert expected > 0.5 * settings.learning_rate


def test_of_a_tokenizer_that_adds_spaces_there_are_no_bits_per_byte(
    corpus: Corpus, tmp_path: Path
) -> None:
    tokenizer = Tokenizer.from_str(ByteLevel.train(corpus, 400).definition)
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel()
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    found = trained(corpus, tmp_path / "out", vocabulary_size=None, tokenizer=tmp_path)
    assert {(loss.bytes, loss.bits_per_byte) for loss in found.losses.values()} == {(None, None)}
    assert found.losses["valid"].nats > 0
    assert {row[-1] for row in find_trainer("gpt").summarise(found).rows} == {"–"}


def test_text_is_drawn(corpus: Corpus, tmp_path: Path) -> None:
    trainer, found = find_trainer("gpt"), trained(corpus, tmp_path)
    drawn = trainer.draw(found, "the", 6, 1.0, 0)
    assert drawn.startswith("the")
    assert drawn == trainer.draw(found, "the", 6, 1.0, 0)
    assert drawn != trainer.draw(found, "the", 6, 1.0, 1)
    assert trainer.draw(found, "", 6, 1.0, 0)
    with pytest.raises(InputError, match=r"16 tokens to sample after 1 of .* has 16 positions"):
        trainer.draw(found, "", 16, 1.0, 0)
    with pytest.raises(InputError, match="0 tokens to sample; accepted"):
        trainer.draw(found, "", 0, 1.0, 0)
    with pytest.raises(InputError, match="temperature 0; accepted"):
        trainer.draw(found, "", 1, 0, 0)


def test_what_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="sequence_length is 17: the decoder has 16 positions"):
        trained(corpus, tmp_path, settings=SETTINGS.resized(sequence_length=17))
    short = tmp_path / "short.txt"
    short.write_text("a b\n" * 3, "utf-8")
    with pytest.raises(
        InputError, match=r"the valid part of the text .* has 0 tokens.* needs 2 there"
    ):
        trained(load_corpus(short), tmp_path / "out")
    with pytest.raises(
        InputError, match="div_val is 2, but cutoffs are 500 and the vocabulary has"
    ):
        trained(corpus, tmp_path / "out", "banded", scale=SCALE.resized(cutoffs=500))
