"""Exported models do what transformers' own do: padding, generation, new weights, new tokens."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from archscout.exports import export
from archscout.spaces import EncoderScale, FlexibertSpace, RecurrentScale, RecurrentSpace
from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.text import EOS, UNK, Vocabulary, WordPiece

WORDS = Vocabulary(("the", "cat", EOS, "sat", "on", "mat", UNK, "Dog", "dog,", "ü", "a"))
TEXTS = ("the cat sat on the zebra", "Dog", "on a mat")
CELLS = RecurrentSpace()
RECURRENT = RecurrentScale(4, 6, 8, 10, 2, "canonical")

PIECES = WordPiece.train("the cat sat on the mat and the dog sat on the cat, too " * 20)
ENCODERS = FlexibertSpace()
GENOTYPE = ENCODERS.published_sample[0]
ENCODER = EncoderScale(
    batch_size=2, sequence_length=8, embedding_size=16, num_positions=16, reading="declared"
)
HEADS = ("Model", "ForMaskedLM", "ForPreTraining", "ForSequenceClassification")
every_head = pytest.mark.parametrize("head", HEADS)


def language_model(cell: str = "rnn") -> RecurrentLanguageModel:
    """Untrained, with weights so large that every word before counts."""
    network = CELLS.build(CELLS.named[cell], len(WORDS), RECURRENT, seed=7).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)
        network.decoder_bias.copy_(torch.arange(len(WORDS)) / 100)
    return network


def encoder() -> FlexibertNetwork:
    return ENCODERS.build(GENOTYPE, len(PIECES), ENCODER, seed=7).eval()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("language") / "model"
    return export(CELLS, CELLS.named["rnn"], language_model(), WORDS, place)


@pytest.fixture(scope="module")
def encoder_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("encoder") / "model"
    return export(ENCODERS, GENOTYPE, encoder(), PIECES, place)


@pytest.fixture
def model(folder: Path) -> Any:
    from archscout.spaces.recurrent.pretrained import RecurrentForCausalLM

    return RecurrentForCausalLM.from_pretrained(folder)


def tokenizer_of(folder: Path, **options: Any) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast.from_pretrained(folder, **options)


def class_of(head: str) -> Any:
    from archscout.spaces.flexibert import pretrained

    return getattr(pretrained, f"Flexibert{head}")


# The tokenizer


def test_files_name_the_special_tokens(folder: Path, encoder_folder: Path) -> None:
    for name in ("config.json", "generation_config.json"):
        document = json.loads((folder / name).read_text())
        assert (document["pad_token_id"], document["bos_token_id"]) == (6, 2)
        assert document.get("eos_token_id") is None  # it ends a line, not the text
    tokenizer = tokenizer_of(folder)
    assert (tokenizer.pad_token, tokenizer.bos_token, tokenizer.eos_token) == (UNK, EOS, EOS)
    config = json.loads((encoder_folder / "config.json").read_text())
    tokenizer = tokenizer_of(encoder_folder)
    assert config["pad_token_id"] == tokenizer.pad_token_id == PIECES.id_of("[PAD]")


def test_an_encoders_tokenizer_knows_the_longest_input(encoder_folder: Path) -> None:
    tokenizer = tokenizer_of(encoder_folder)
    assert tokenizer.model_max_length == ENCODER.num_positions
    assert len(tokenizer("the cat " * 40, truncation=True)["input_ids"]) == ENCODER.num_positions


def test_a_batch_is_filled_up_on_the_left(folder: Path) -> None:
    batch = tokenizer_of(folder)(list(TEXTS[:2]), padding=True)
    assert dict(batch) == {
        "input_ids": [[0, 1, 3, 4, 0, 6], [6, 6, 6, 6, 6, 7]],
        "attention_mask": [[1, 1, 1, 1, 1, 1], [0, 0, 0, 0, 0, 1]],
    }


def test_a_decoded_text_can_follow_another(folder: Path) -> None:
    tokenizer = tokenizer_of(folder)
    assert "the" + tokenizer.decode([1, 3]) == "the cat sat"
    assert tokenizer.decode([]) == ""


# Padding and generation


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("cell", CELLS.named)
def test_a_padded_text_has_the_outputs_that_it_has_alone(
    cell: str, side: str, tmp_path: Path
) -> None:
    from archscout.spaces.recurrent.pretrained import RecurrentForCausalLM

    folder = export(CELLS, CELLS.named[cell], language_model(cell), WORDS, tmp_path / cell)
    model = RecurrentForCausalLM.from_pretrained(folder)
    tokenizer = tokenizer_of(folder, padding_side=side)
    with torch.no_grad():
        batch = tokenizer(list(TEXTS), padding=True, return_tensors="pt")
        padded = model(**batch, output_hidden_states=True)
        for i, text in enumerate(TEXTS):
            alone = model(**tokenizer(text, return_tensors="pt"), output_hidden_states=True)
            there = batch["attention_mask"][i].bool()
            torch.testing.assert_close(padded.logits[i, there], alone.logits[0])
            for some, all_of_it in zip(padded.hidden_states, alone.hidden_states, strict=True):
                torch.testing.assert_close(some[i, there], all_of_it[0])
            for some, all_of_it in zip(padded.states, alone.states, strict=True):
                for state, expected in zip(some, all_of_it, strict=True):
                    torch.testing.assert_close(state[i], expected[0])


@pytest.mark.parametrize("beams", [1, 3])
def test_a_padded_text_is_continued_as_it_is_alone(folder: Path, model: Any, beams: int) -> None:
    tokenizer = tokenizer_of(folder)
    options = {"max_new_tokens": 8, "num_beams": beams, "do_sample": False}
    together = model.generate(
        **tokenizer(list(TEXTS), padding=True, return_tensors="pt"), **options
    )
    continued = together[:, -8:].tolist()
    for i, text in enumerate(TEXTS):
        alone = model.generate(**tokenizer(text, return_tensors="pt"), **options)
        assert alone[0, -8:].tolist() == continued[i]
    assert len(set(map(tuple, continued))) == 3 and len(set(continued[0])) > 3


def test_beams_go_on_from_their_own_states(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = torch.tensor([[0, 1, 3], [7, 4, 5]])
    options = {"max_new_tokens": 8, "num_beams": 4, "do_sample": False}
    found = model.generate(ids, **options)

    def whole(input_ids: Tensor, **_: Any) -> dict[str, Any]:
        return {"input_ids": input_ids}

    monkeypatch.setattr(model, "prepare_inputs_for_generation", whole)
    assert found.tolist() == model.generate(ids, **options).tolist()


def test_an_unknown_word_of_a_prompt_is_read_though_it_pads(model: Any) -> None:
    ids = torch.tensor([[0, 6, 6, 3]])
    found = model.generate(ids, max_new_tokens=6, do_sample=False)
    with torch.no_grad():
        for _ in range(6):
            ids = torch.cat([ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)], 1)
    assert found.tolist() == ids.tolist()


def test_generation_goes_on_from_given_states_and_embeddings(model: Any) -> None:
    ids = torch.tensor([[0, 1, 3, 4, 5, 7]])
    options = {"max_new_tokens": 6, "do_sample": False}
    expected = model.generate(ids, **options)[0, 6:].tolist()
    with torch.no_grad():
        states = model(ids[:, :3]).states
        embedded = model.get_input_embeddings()(ids)
        whole = model(ids).logits
        torch.testing.assert_close(model(inputs_embeds=embedded).logits, whole)
        mask = torch.ones_like(ids)  # of the whole text: the last columns count
        rest = model(ids[:, 3:], mask, states=states)
        torch.testing.assert_close(rest.logits, whole[:, 3:])
    assert model.generate(ids[:, 3:], states=states, **options)[0, 3:].tolist() == expected
    assert model.generate(inputs_embeds=embedded, **options)[0].tolist() == expected


def test_generation_returns_hidden_states_and_begins_with_a_line(model: Any) -> None:
    found = model.generate(
        max_new_tokens=3, return_dict_in_generate=True, output_hidden_states=True
    )
    assert found.sequences.shape == (1, 4) and found.sequences[0, 0] == WORDS.encode([EOS])
    widths = [layer.shape[-1] for layer in found.hidden_states[0]]
    assert len(found.hidden_states) == 3 and widths == [8, 10, 8]


# Outputs


def test_a_loss_is_shared_by_the_tokens_of_several_batches(model: Any) -> None:
    ids = torch.tensor([[0, 1, 3, 4], [7, 4, 5, 2]])
    labels = ids.masked_fill(ids == 4, -100)
    with torch.no_grad():
        logits = model(ids).logits[:, :-1].flatten(0, 1)
        total = F.cross_entropy(logits, labels[:, 1:].flatten(), reduction="sum")
        torch.testing.assert_close(model(ids, labels=labels).loss, total / 4)
        torch.testing.assert_close(
            model(ids, labels=labels, num_items_in_batch=20).loss, total / 20
        )


def test_outputs_as_a_tuple(model: Any) -> None:
    ids = torch.tensor([[0, 1, 3, 4]])
    with torch.no_grad():
        output = model(ids, labels=ids, output_hidden_states=True)
        plain = model(ids, labels=ids, output_hidden_states=True, return_dict=False)
        model.config.return_dict = False
        assert isinstance(model(ids), tuple)
    assert type(plain) is tuple and len(plain) == 4
    assert torch.equal(plain[0], output.loss) and torch.equal(plain[1], output.logits)
    assert [tuple(layer.shape) for layer in plain[3]] == [(1, 4, 8), (1, 4, 10), (1, 4, 8)]
    assert torch.equal(plain[3][0], model.get_input_embeddings()(ids))


def test_ids_or_embeddings(model: Any) -> None:
    for inputs in (
        {},
        {"input_ids": torch.ones(1, 2).long(), "inputs_embeds": torch.ones(1, 2, 8)},
    ):
        with pytest.raises(ValueError, match="give either input_ids or inputs_embeds"):
            model(**inputs)


def test_training_drops_what_the_network_drops(model: Any) -> None:
    network, ids = language_model().train(), torch.tensor([[0, 1, 3, 4], [7, 4, 5, 2]])
    with torch.random.fork_rng():
        torch.manual_seed(3)
        found = model.train()(ids).logits
        torch.manual_seed(3)
        expected = network(ids.t())[0].transpose(0, 1)
    torch.testing.assert_close(found, expected)
    assert not torch.allclose(found, model.eval()(ids).logits)


# New weights


def check_new_weights(make: Any, built: dict[str, Tensor], prefix: str) -> None:
    """They follow from torch's seed, and are distributed as archscout's own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first = make().state_dict()
        junk = [torch.full_like(value, torch.nan) for value in first.values()]
        del junk  # whose memory is not to be found in what comes next
        torch.manual_seed(0)
        again = make().state_dict()
        other = make().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in first.items())
    assert any(not torch.equal(value, other[name]) for name, value in first.items())
    assert all(value.isfinite().all() for value in first.values())
    for name, expected in built.items():
        found = first[prefix + name]
        assert found.shape == expected.shape
        if expected.float().std() == 0:
            assert torch.equal(found, expected), name
        elif expected.numel() > 500:
            spread = expected.float().std().item()
            assert found.float().std().item() == pytest.approx(spread, rel=0.15), name
            largest = expected.abs().max().item()
            assert largest / 1.5 < found.abs().max().item() < largest * 1.5, name


@pytest.mark.parametrize("kind", [torch.float32, torch.bfloat16])
def test_a_language_model_is_made_anew(folder: Path, kind: torch.dtype) -> None:
    from archscout.spaces.recurrent.pretrained import RecurrentConfig, RecurrentForCausalLM

    sizes = {"vocab_size": 300, "embedding_size": 40, "hidden_size": 60}
    config = RecurrentConfig.from_pretrained(folder, **sizes)
    scale = RECURRENT.resized(embedding_size=40, hidden_size=60)
    built = CELLS.build(CELLS.named["rnn"], 300, scale, seed=0).to(kind).state_dict()
    check_new_weights(
        lambda: RecurrentForCausalLM._from_config(config, dtype=kind), built, "model."
    )
    made = RecurrentForCausalLM._from_config(config, dtype=kind)
    assert made.dtype == kind
    for layer, width in zip(made.model.layers, (60, 40), strict=True):
        assert max(p.abs().max().item() for p in layer.parameters()) <= 1.01 * width**-0.5
    assert made(torch.tensor([[1, 2, 3]]), labels=torch.tensor([[1, 2, 3]])).loss.isfinite()


@every_head
def test_an_encoder_is_made_anew(encoder_folder: Path, head: str) -> None:
    kind = class_of(head)
    config = kind.config_class.from_pretrained(encoder_folder)
    prefix = "network." if head == "Model" else "flexibert.network."
    check_new_weights(lambda: kind(config), encoder().state_dict(), prefix)
    for name, value in kind(config).state_dict().items():
        if value.dim() > 1 and value.numel() > 500:
            assert value.std().item() == pytest.approx(0.02, rel=0.15), name
    with torch.device("meta"):
        assert {p.device.type for p in kind(config).parameters()} == {"meta"}


@every_head
def test_a_head_that_a_folder_lacks_is_new(encoder_folder: Path, head: str) -> None:
    with torch.random.fork_rng():
        models = []
        for seed in (0, 0, 1):
            torch.manual_seed(seed)
            models.append(class_of(head).from_pretrained(encoder_folder).state_dict())
    names = [name for name in models[0] if "network." not in name and name != "decoder.weight"]
    assert bool(names) == (head != "Model")
    for name, value in models[0].items():
        assert torch.equal(value, models[1][name]) and value.isfinite().all()
    if names:
        assert any(not torch.equal(models[0][name], models[2][name]) for name in names)


# Embeddings


def check_tied(model: Any) -> None:
    words, decoder = model.get_input_embeddings(), model.get_output_embeddings()
    size = model.config.vocab_size
    assert words.weight is decoder.weight
    assert words.num_embeddings == len(words.weight) == size


@pytest.mark.parametrize("size", [9, 15])
@pytest.mark.parametrize("mean_resizing", [True, False])
def test_a_language_model_is_resized(model: Any, size: int, mean_resizing: bool) -> None:
    ids, kept = torch.tensor([[0, 1, 3, 4], [7, 4, 5, 2]]), min(size, len(WORDS))
    with torch.no_grad():
        before, bias = model(ids).logits, model.model.decoder_bias.clone()
        resized = model.resize_token_embeddings(size, mean_resizing=mean_resizing)
        after = model(ids, labels=ids)
    assert resized is model.get_input_embeddings()
    check_tied(model)
    assert after.logits.shape == (2, 4, size) and after.loss.isfinite()
    torch.testing.assert_close(after.logits[..., :kept], before[..., :kept])
    assert model.model.embedding is resized.weight
    assert model.model.decoder_bias is model.get_output_embeddings().bias
    assert torch.equal(model.model.decoder_bias[:kept], bias[:kept])
    torch.testing.assert_close(
        model.model.decoder_bias[kept:], bias.mean().expand(size - kept).contiguous()
    )


def test_a_masked_language_model_is_resized(encoder_folder: Path) -> None:
    ids = torch.arange(10).view(2, 5)
    for size in (20, 60):
        model = class_of("ForMaskedLM").from_pretrained(encoder_folder)
        with torch.no_grad():
            model.head.bias.normal_()
            before, bias = model(ids).logits, model.head.bias.clone()
            model.resize_token_embeddings(size)
            after = model(ids, labels=ids)
        kept = min(size, len(PIECES))
        check_tied(model)
        assert after.logits.shape == (2, 5, size) and after.loss.isfinite()
        torch.testing.assert_close(after.logits[..., :kept], before[..., :kept])
        assert torch.equal(model.head.bias[:kept], bias[:kept])
        assert not model.head.bias[kept:].any()


def test_embeddings_are_replaced(model: Any, encoder_folder: Path) -> None:
    masked = class_of("ForMaskedLM").from_pretrained(encoder_folder)
    for each in (model, masked):
        width = each.get_input_embeddings().embedding_dim
        words = torch.nn.Embedding(each.config.vocab_size, width)
        before = each(torch.tensor([[0, 1, 3]])).logits
        each.set_input_embeddings(words)
        assert each.get_input_embeddings() is words
        check_tied(each)
        each.tie_weights()
        assert each.get_input_embeddings().weight is words.weight
        assert not torch.allclose(each(torch.tensor([[0, 1, 3]])).logits, before)
        decoder = torch.nn.Linear(width, each.config.vocab_size, bias=each is model)
        each.set_output_embeddings(decoder)
        assert each.get_output_embeddings() is decoder
        check_tied(each)


def test_a_decoder_of_its_own_is_refused(folder: Path, encoder_folder: Path) -> None:
    from archscout.spaces.recurrent.pretrained import RecurrentForCausalLM

    for kind, place in ((RecurrentForCausalLM, folder), (class_of("ForMaskedLM"), encoder_folder)):
        with pytest.raises(ValueError, match="tie_word_embeddings is false; the decoder has"):
            kind.from_pretrained(place, tie_word_embeddings=False)


# Encoders


@every_head
def test_an_encoders_outputs(encoder_folder: Path, head: str) -> None:
    model = class_of(head).from_pretrained(encoder_folder)
    batch = tokenizer_of(encoder_folder)(list(TEXTS), padding=True, return_tensors="pt")
    with torch.no_grad():
        output = model(**batch, output_hidden_states=True)
        plain = model(**batch, output_hidden_states=True, return_dict=False)
        assert type(plain) is tuple and torch.equal(plain[0], output[0])
        assert len(plain[1]) == len(GENOTYPE.layers) + 1
        words = model.get_input_embeddings()(batch.pop("input_ids"))
        assert torch.equal(model(inputs_embeds=words, **batch)[0], output[0])
        model.config.return_dict, model.config.output_hidden_states = False, True
        again = model(inputs_embeds=words, **batch)
        assert type(again) is tuple and len(again) == 2


def test_the_classifiers_losses(encoder_folder: Path) -> None:
    kind, ids = class_of("ForSequenceClassification"), torch.arange(10).view(2, 5)
    several = torch.tensor([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]])
    one = torch.tensor([2, 0])
    for labels, loss in ((several, F.binary_cross_entropy_with_logits), (one, F.cross_entropy)):
        model = kind.from_pretrained(encoder_folder, num_labels=3)
        with torch.no_grad():
            output = model(ids, labels=labels)
        torch.testing.assert_close(output.loss, loss(output.logits, labels))


def test_the_discriminator_leaves_out_what_has_no_label(encoder_folder: Path) -> None:
    model, ids = (
        class_of("ForPreTraining").from_pretrained(encoder_folder),
        torch.arange(6).view(1, 6),
    )
    labels, mask = torch.tensor([[1, 0, -100, 1, 0, -100]]), torch.tensor([[1, 1, 1, 1, 0, 0]])
    with torch.no_grad():
        for given, there in ((mask, [0, 1, 3]), (None, [0, 1, 3, 4])):
            output = model(ids, given, labels=labels)
            expected = F.binary_cross_entropy_with_logits(
                output.logits[0, there], labels[0, there].float()
            )
            torch.testing.assert_close(output.loss, expected)


def test_what_is_frozen_stays_so(model: Any, encoder_folder: Path) -> None:
    for each in (model, class_of("ForMaskedLM").from_pretrained(encoder_folder)):
        each.requires_grad_(False).resize_token_embeddings(60)
        assert not any(parameter.requires_grad for parameter in each.parameters())


# In other processes


# What a user does with the folders, where there is no archscout: a step of training in each.
USER = """
import sys
sys.modules["archscout"] = None
import torch, transformers
from transformers import (
    AutoConfig, AutoTokenizer, DataCollatorForLanguageModeling, DataCollatorForTokenClassification,
    DataCollatorWithPadding, Trainer, TrainingArguments, pipeline,
)
language, encoder, out = sys.argv[1:]
texts = ["the cat sat on the zebra", "Dog", "on a mat"]
found = {}

def trained(auto, folder, collator, rows, tokenizer):
    model = getattr(transformers, auto).from_pretrained(folder, trust_remote_code=True)
    before = [p.detach().clone() for p in model.parameters()]
    settings = TrainingArguments(
        out + "/steps", max_steps=1, per_device_train_batch_size=3, gradient_accumulation_steps=2,
        learning_rate=0.01, use_cpu=True, report_to=[], disable_tqdm=True, save_strategy="no",
    )
    trainer = Trainer(
        model, settings, train_dataset=rows, eval_dataset=rows, data_collator=collator,
        processing_class=tokenizer,
    )
    loss = trainer.train().training_loss
    changed = [not torch.equal(p, q) for p, q in zip(model.parameters(), before)]
    folder = out + "/" + auto
    model.resize_token_embeddings(len(tokenizer) + 3)
    trainer.save_model(folder)
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model.eval()(**batch)[0]
    found[auto] = {
        "loss": loss, "evaluated": trainer.evaluate()["eval_loss"], "changed": changed,
        "batch": dict(batch), "logits": logits,
    }

tokenizer = AutoTokenizer.from_pretrained(language, trust_remote_code=True)
rows = [dict(tokenizer(text)) for text in texts[::2] * 3]
collator = DataCollatorForLanguageModeling(tokenizer, mlm=False)
trained("AutoModelForCausalLM", language, collator, rows, tokenizer)
draw = pipeline("text-generation", model=language, trust_remote_code=True)
options = {"max_new_tokens": 5, "do_sample": False}
found["drawn"] = {
    "alone": [draw(text, **options)[0]["generated_text"] for text in texts],
    "batch": [each[0]["generated_text"] for each in draw(texts, batch_size=3, **options)],
    "empty": draw("", **options)[0]["generated_text"],
}

tokenizer = AutoTokenizer.from_pretrained(encoder)
rows = [dict(tokenizer(text)) for text in texts * 2]
collator = DataCollatorForLanguageModeling(tokenizer, mlm_probability=0.5, seed=0)
trained("AutoModelForMaskedLM", encoder, collator, rows, tokenizer)
labelled = [row | {"labels": [i % 2 for i in row["input_ids"]]} for row in rows]
collator = DataCollatorForTokenClassification(tokenizer)
trained("AutoModelForPreTraining", encoder, collator, labelled, tokenizer)
labelled = [row | {"labels": i % 2} for i, row in enumerate(rows)]
collator = DataCollatorWithPadding(tokenizer)
trained("AutoModelForSequenceClassification", encoder, collator, labelled, tokenizer)

found["new"] = {}
for auto in [name for name in found if name.startswith("Auto")]:
    place = language if auto == "AutoModelForCausalLM" else encoder
    config = AutoConfig.from_pretrained(place, trust_remote_code=True)
    made = []
    for _ in range(2):
        torch.manual_seed(0)
        model = getattr(transformers, auto).from_config(config, trust_remote_code=True)
        made.append({name: value.clone() for name, value in model.state_dict().items()})
    found["new"][auto] = made
torch.save(found, out + "/found.pt")
"""

# And in another process again.
AGAIN = """
import sys
sys.modules["archscout"] = None
import torch, transformers
out, found = sys.argv[1], torch.load(sys.argv[1] + "/found.pt")
again = {}
for auto in [name for name in found if name.startswith("Auto")]:
    model, report = getattr(transformers, auto).from_pretrained(
        out + "/" + auto, trust_remote_code=True, output_loading_info=True
    )
    with torch.no_grad():
        logits = model(**found[auto]["batch"])[0]
    decoder = model.get_output_embeddings()
    tied = decoder is None or decoder.weight is model.get_input_embeddings().weight
    again[auto] = {"logits": logits, "tied": tied, "missing": sorted(report["missing_keys"])}
torch.save(again, out + "/again.pt")
"""


@pytest.fixture(scope="module")
def used(
    folder: Path, encoder_folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the user saw, and what was seen in another process."""
    place = tmp_path_factory.mktemp("used")
    environment = os.environ | {
        "HF_HOME": str(place / "home"),
        "HF_MODULES_CACHE": str(place / "modules"),
        "HF_HUB_OFFLINE": "1",
    }
    for code, arguments in ((USER, (folder, encoder_folder, place)), (AGAIN, (place,))):
        subprocess.run(
            [sys.executable, "-c", code, *map(str, arguments)],
            check=True,
            env=environment,
            cwd=place,
            timeout=400,
        )
    return torch.load(place / "found.pt"), torch.load(place / "again.pt")


TRAINED = ("CausalLM", "MaskedLM", "PreTraining", "SequenceClassification")


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_model_is_trained_resized_saved_and_loaded(name: str, used: Any) -> None:
    found, again = (each[f"AutoModelFor{name}"] for each in used)
    assert all(found["changed"])
    assert 0 < found["loss"] < 10 and 0 < found["evaluated"] < 10
    assert again["missing"] == [] and again["tied"]
    assert torch.equal(again["logits"], found["logits"])
    if name in ("CausalLM", "MaskedLM"):
        assert found["logits"].shape[-1] == (len(WORDS) if name == "CausalLM" else len(PIECES)) + 3


@pytest.mark.slow
def test_a_pipeline_continues_texts(used: Any) -> None:
    drawn = used[0]["drawn"]
    assert drawn["alone"] == drawn["batch"]
    for text, continued in zip(TEXTS, drawn["alone"], strict=True):
        assert continued.startswith(f"{text} ")
        assert set(continued[len(text) :].split()) <= {*WORDS.tokens}
    assert set(drawn["empty"].split()) <= {*WORDS.tokens}


@pytest.mark.slow
@pytest.mark.parametrize("name", TRAINED)
def test_a_configuration_makes_the_model_of_a_seed(name: str, used: Any) -> None:
    one, two = used[0]["new"][f"AutoModelFor{name}"]
    assert all(torch.equal(value, two[key]) for key, value in one.items())
    assert all(value.isfinite().all() and value.abs().max() <= 1 for value in one.values())


@every_head
def test_what_is_saved_beside_archscout_has_its_code(
    head: str, encoder_folder: Path, tmp_path: Path
) -> None:
    class_of(head).from_pretrained(encoder_folder).save_pretrained(tmp_path)
    assert {"network.py", "pretrained.py"} <= set(os.listdir(tmp_path))
    config = json.loads((tmp_path / "config.json").read_text())
    assert config["auto_map"][f"Auto{head}" if head == "Model" else f"AutoModel{head}"] == (
        f"pretrained.Flexibert{head}"
    )
