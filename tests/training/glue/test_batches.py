"""Token ids, batches, and the optimizer's rates."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from archscout.training.glue import TASKS, Encoder, Examples, FinetuningSettings, Task
from archscout.training.glue.batches import by_length, encode, shuffled
from archscout.training.glue.optimization import adamw, rate_factors
from glue_runs import PIECES

CPU = torch.device("cpu")
CLS, SEP, PAD = (PIECES.id_of(piece) for piece in ("[CLS]", "[SEP]", "[PAD]"))


def ids(text: str) -> list[int]:
    return PIECES.encode(text).tolist()


def test_pairs_are_framed_and_numbered() -> None:
    examples = Examples(["w1 w2", "w3"], ["good", "not w1 w1"], [0, 1])
    encoded = encode(examples, TASKS["rte"], PIECES, 24)
    batch = encoded.batch(np.array([0, 1]), CPU)
    assert batch["input_ids"].tolist() == [
        [CLS, *ids("w1 w2"), SEP, *ids("good"), SEP, PAD],
        [CLS, *ids("w3"), SEP, *ids("not w1 w1"), SEP],
    ]
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]]
    assert batch["attention_mask"].int().tolist() == [[1] * 6 + [0], [1] * 7]
    assert batch["labels"].tolist() == [0, 1]


def test_single_sentences() -> None:
    encoded = encode(Examples(["w1", ""], None, [1, 0]), TASKS["sst"], PIECES, 24)
    batch = encoded.batch(np.array([1, 0]), CPU)
    assert batch["input_ids"].tolist() == [[CLS, SEP, PAD], [CLS, *ids("w1"), SEP]]
    assert not batch["token_type_ids"].any()


def test_the_longer_sentence_is_cut_first() -> None:
    long, short = "w1 " * 20, "w2 w3"
    task = TASKS["rte"]
    encoded = encode(Examples([long, short], [short, long], [0, 0]), task, PIECES, 10)
    batch = encoded.batch(np.array([0, 1]), CPU)["input_ids"]
    assert batch[0].tolist() == [CLS, *ids("w1 " * 5), SEP, *ids(short), SEP]
    assert batch[1].tolist() == [CLS, *ids(short), SEP, *ids("w1 " * 5), SEP]
    alone = encode(Examples([long], None, [0]), TASKS["sst"], PIECES, 10)
    assert alone.batch(np.array([0]), CPU)["input_ids"].shape == (1, 10)


def test_numbers_are_between_zero_and_one() -> None:
    encoded = encode(Examples(["a", "a"], ["b", "b"], [0.5, 5]), TASKS["sts"], PIECES, 24)
    assert encoded.targets.tolist() == pytest.approx([0.1, 1.0])


def test_batches_hold_every_example_once() -> None:
    sentences = ["w1 " * n for n in (9, 1, 5, 1, 7, 3, 2)]
    encoded = encode(Examples(sentences, None, [0] * 7), TASKS["sst"], PIECES, 24)
    ordered = by_length(encoded, 3)
    assert [len(batch) for batch in ordered] == [3, 3, 1]
    assert np.concatenate(ordered).tolist() == [1, 3, 6, 5, 2, 4, 0]
    first, again, other = (shuffled(7, 3, 0, epoch) for epoch in (1, 1, 2))
    assert sorted(np.concatenate(first)) == list(range(7))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(np.concatenate(first), np.concatenate(other))


def test_padding_changes_nothing(encoder: Encoder) -> None:
    model = encoder.classifier(3, 0.1, seed=0).eval()
    task = Task("any", "Any", ("a", "b", "c"))
    sentences = ["w1", "w2 good w3 w4", "bad " * 12]
    encoded = encode(Examples(sentences, sentences[::-1], [0, 1, 2]), task, PIECES, 24)
    with torch.no_grad():
        together = model(**encoded.batch(np.arange(3), CPU)).logits
        alone = [model(**encoded.batch(np.array([i]), CPU)).logits for i in range(3)]
    torch.testing.assert_close(torch.cat(alone), together, rtol=1e-4, atol=1e-5)


def test_layers_have_rates_of_their_own(encoder: Encoder) -> None:
    model = encoder.classifier(2, 0.1, seed=0)
    settings = FinetuningSettings(weight_decay=0.01)
    optimizer = adamw(model, 2, settings)
    names = {id(p): name for name, p in model.named_parameters()}
    found = {
        names[id(p)]: (group["factor"], group["weight_decay"])
        for group in optimizer.param_groups
        for p in group["params"]
    }
    assert found.keys() == set(names.values())
    network = "flexibert.network"
    assert found[f"{network}.embeddings.word_embeddings.weight"] == (0.8**4, 0.01)
    assert found[f"{network}.embeddings_project.weight"] == (0.8**4, 0.01)
    assert found[f"{network}.embeddings.LayerNorm.weight"] == (0.8**4, 0.0)
    first = f"{network}.encoder.layer.0.output.dense.weight"
    assert found[first] == (pytest.approx(0.8**3), 0.01)
    assert found[f"{network}.encoder.layer.1.output.dense.bias"] == (pytest.approx(0.8**2), 0.0)
    assert found["dense.weight"] == found["out_proj.weight"] == (1.0, 0.01)
    assert optimizer.defaults["eps"] == 1e-6


def test_one_rate_for_all() -> None:
    names = ["flexibert.network.embeddings.x", "flexibert.network.encoder.layer.0.y", "dense.z"]
    assert set(rate_factors(names, 1, 1.0).values()) == {1.0}
