"""Export: what transformers loads, where archscout is not installed, is what was built."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors import SafetensorError

import archscout
from archscout import InputError
from archscout.exports import drawn_text, export, export_candidate
from archscout.runs import search
from archscout.spaces import Recipe, RecurrentScale, RecurrentSpace
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.text import EOS, UNK, Vocabulary

SPACE = RecurrentSpace()
LSTM = SPACE.named["lstm"]
SCALE = RecurrentScale(4, 6, 8, 10, 2, "canonical")
WORDS = Vocabulary(("the", "cat", "<eos>", "sat", "on", "mat", "<unk>", "Dog", "dog,", "ü", "a"))
BARE = Vocabulary(("b", "a", "c"))
FILES = {
    "README.md",
    "config.json",
    "generation_config.json",
    "genotype.json",
    "language_model.py",
    "model.safetensors",
    "pretrained.py",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocabulary.json",
}


def long_recipe() -> Recipe:
    """Twelve linear nodes, in an order that is not that of their names."""
    nodes: dict[str, Any] = {}
    source = "h_prev_0"
    for i in range(11, -1, -1):
        nodes[f"sum_{i}"] = {"op": "linear", "input": ["x", source]}
        nodes[f"active_{i}"] = {"op": "activation_tanh", "input": [f"sum_{i}"]}
        source = f"active_{i}"
    nodes["h_new_0"] = {"op": "elementwise_sum", "input": [source, "active_11"]}
    return Recipe.from_json(nodes)


CASES: dict[str, tuple[Recipe, RecurrentScale, Vocabulary]] = {
    "lstm": (LSTM, SCALE, WORDS),
    "long": (long_recipe(), SCALE, WORDS),
    "long-published": (long_recipe(), SCALE.resized(initialisation="published"), WORDS),
    "sampled": (SPACE.sample(3), SCALE.resized(num_layers=3), BARE),
}

# What a user does with the folders, where there is no archscout.
LOADER = """
import sys
sys.modules["archscout"] = None
import torch
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedTokenizerFast
found = {}
for folder in sys.argv[2:]:
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    other = AutoModel.from_pretrained(folder, trust_remote_code=True)
    size = model.config.vocab_size
    ids = (torch.arange(12).reshape(2, 6) * 7 + 1) % size
    with torch.no_grad():
        whole = model(ids)
        first = model(ids[:, :4])
        rest = model(ids[:, 4:], states=first.states)
        labelled = model(ids, labels=ids)
        some = ids.clone()
        some[:, 3:] = -100
        partly = model(ids, labels=some)
        generated = model.generate(ids[:, :3], max_new_tokens=5, do_sample=False,
                                   eos_token_id=None, pad_token_id=0)
    known = "the  cat\\nflew dog, Dog" if size > 4 else "c  a\\nb dog"
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    automatic = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    found[folder] = {
        "ids": ids, "logits": whole.logits, "other": other(ids).logits.detach(),
        "continued": torch.cat([first.logits, rest.logits], 1),
        "loss": labelled.loss, "partial_loss": partly.loss, "generated": generated,
        "training": model.training, "vocabulary": tokenizer.get_vocab(),
        "encoded": tokenizer.encode(known),
        "automatic": automatic.encode(known),
        "eos": tokenizer.eos_token_id, "unk": tokenizer.unk_token_id,
        "parameters": sum(p.numel() for p in model.parameters()),
        "states": {k: v.clone() for k, v in model.model.state_dict().items()},
    }
assert sys.modules["archscout"] is None
torch.save(found, sys.argv[1])
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("models")
    return {
        name: export(SPACE, recipe, build(name), vocabulary, parent / name)
        for name, (recipe, _, vocabulary) in CASES.items()
    }


@pytest.fixture(scope="module")
def loaded(
    folders: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, dict[str, Any]]:
    """What the loader saw, by case."""
    place = tmp_path_factory.mktemp("loaded")
    environment = os.environ | {
        "HF_HOME": str(place / "home"),
        "HF_MODULES_CACHE": str(place / "modules"),
        "HF_HUB_OFFLINE": "1",
    }
    result = place / "result.pt"
    subprocess.run(
        [sys.executable, "-c", LOADER, str(result), *map(str, folders.values())],
        check=True,
        env=environment,
        cwd=place,
        timeout=240,
    )
    found = torch.load(result, weights_only=True)
    return {name: found[str(folder)] for name, folder in folders.items()}


def build(name: str, seed: int = 7) -> RecurrentLanguageModel:
    recipe, scale, vocabulary = CASES[name]
    return SPACE.build(recipe, len(vocabulary), scale, seed).eval()


def written(name: str) -> RecurrentLanguageModel:
    """The network of an export, which has a row for `<unk>`."""
    network = build(name)
    return network if UNK in CASES[name][2] else SPACE.with_unknown(network)


every_case = pytest.mark.parametrize("name", CASES)


# What transformers makes of it


@every_case
def test_logits_are_those_of_the_built_network_to_the_last_digit(
    name: str, loaded: dict[str, Any]
) -> None:
    with torch.no_grad():
        expected = written(name)(loaded[name]["ids"].t())[0].transpose(0, 1)
    assert expected.shape == (2, 6, len({*CASES[name][2].tokens, UNK}))
    assert torch.equal(loaded[name]["logits"], expected)
    assert torch.equal(loaded[name]["other"], expected)
    assert not torch.equal(expected[0, 0], expected[0, 1])


@every_case
def test_weights_survive_bit_for_bit(name: str, loaded: dict[str, Any]) -> None:
    network = written(name)
    expected = network.state_dict()
    assert loaded[name]["states"].keys() == expected.keys()
    assert all(torch.equal(loaded[name]["states"][k], v) for k, v in expected.items())
    assert loaded[name]["parameters"] == sum(p.numel() for p in network.parameters())
    assert loaded[name]["training"] is False


@every_case
def test_states_go_on_where_they_were_left(name: str, loaded: dict[str, Any]) -> None:
    torch.testing.assert_close(loaded[name]["continued"], loaded[name]["logits"])


@every_case
def test_the_loss_compares_each_token_with_the_prediction_before_it(
    name: str, loaded: dict[str, Any]
) -> None:
    found = loaded[name]
    ids, logits = found["ids"], found["logits"]
    by_hand = torch.stack(
        [F.cross_entropy(logits[b, t], ids[b, t + 1]) for b in range(2) for t in range(5)]
    )
    torch.testing.assert_close(found["loss"], by_hand.mean())
    torch.testing.assert_close(found["partial_loss"], by_hand.reshape(2, 5)[:, :2].mean())


@every_case
def test_generating_is_taking_the_likeliest_token_step_by_step(
    name: str, loaded: dict[str, Any]
) -> None:
    network = written(name)
    tokens = loaded[name]["ids"][:, :3]
    with torch.no_grad():
        for _ in range(5):
            logits = network(tokens.t())[0]
            tokens = torch.cat([tokens, logits[-1].argmax(-1, keepdim=True)], 1)
    assert loaded[name]["generated"].tolist() == tokens.tolist()


def test_the_tokenizer_has_the_vocabularys_ids(loaded: dict[str, Any]) -> None:
    found = loaded["lstm"]
    assert found["vocabulary"] == {token: i for i, token in enumerate(WORDS.tokens)}
    expected = WORDS.encode(["the", "cat", "flew", "dog,", "Dog"]).tolist()
    assert found["encoded"] == found["automatic"] == expected
    assert (found["eos"], found["unk"]) == (2, 6)


def test_a_vocabulary_without_special_tokens_gets_one_for_other_words(
    loaded: dict[str, Any],
) -> None:
    found = loaded["sampled"]
    assert found["vocabulary"] == {"b": 0, "a": 1, "c": 2, UNK: 3}
    assert found["encoded"] == found["automatic"] == [2, 1, 0, 3]
    assert (found["eos"], found["unk"]) == (None, 3)


def test_a_row_for_other_words_leaves_the_others_as_they_are() -> None:
    network = build("sampled")
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with torch.no_grad():
        network.decoder_bias.copy_(torch.tensor([1.0, 2.0, 6.0]))
        grown = SPACE.with_unknown(network).eval()
        tokens = torch.arange(12).reshape(6, 2) % 3
        torch.testing.assert_close(grown(tokens)[0][..., :3], network(tokens)[0])
    assert torch.equal(grown.embedding[:3], network.embedding)
    torch.testing.assert_close(grown.embedding[3], network.embedding.mean(0))
    assert grown.decoder_bias.tolist() == [1.0, 2.0, 6.0, 3.0]
    assert torch.equal(network.state_dict()["embedding"], before["embedding"])


# The folder


@every_case
def test_the_folder_holds_what_is_promised(name: str, folders: dict[str, Path]) -> None:
    folder, (recipe, _, vocabulary) = folders[name], CASES[name]
    assert {path.name for path in folder.iterdir()} == FILES
    genotype = json.loads((folder / "genotype.json").read_text())
    assert SPACE.parse(genotype) == recipe
    assert SPACE.fingerprint(SPACE.parse(genotype)) == SPACE.fingerprint(recipe)
    tokens = Vocabulary.load(folder / "vocabulary.json").tokens
    assert tokens == (vocabulary.tokens if UNK in vocabulary else (*vocabulary.tokens, UNK))


def test_no_file_is_a_pickle(folders: dict[str, Path]) -> None:
    for folder in folders.values():
        for path in folder.rglob("*"):
            assert path.suffix not in {".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt"}
            # Pickles of protocol 2 and later begin so, and what torch.save writes is a ZIP file.
            assert not path.read_bytes().startswith((b"\x80\x02", b"\x80\x04", b"PK"))


def test_the_readme_tells_how_to_load_it(folders: dict[str, Path]) -> None:
    readme = (folders["lstm"] / "README.md").read_text()
    count = sum(p.numel() for p in build("lstm").parameters())
    assert f"{count:,} parameters" in readme
    assert SPACE.fingerprint(LSTM) in readme
    assert 'AutoModelForCausalLM.from_pretrained("lstm", trust_remote_code=True)' in readme


def test_the_readme_tells_which_words_the_tokenizer_takes(folders: dict[str, Path]) -> None:
    for name, count in (("lstm", 11), ("sampled", 4)):
        readme = " ".join((folders[name] / "README.md").read_text().split())
        assert f"knows {count} tokens; every other word becomes `<unk>`." in readme
        assert ("untrained, with a row for `<unk>`." in readme) == (name == "sampled")


@pytest.mark.skipif(sys.platform == "win32", reason="no such permissions")
def test_others_may_read_the_folder(folders: dict[str, Path]) -> None:
    folder = folders["lstm"]
    assert folder.stat().st_mode & 0o777 == 0o755
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o644}


def test_exporting_leaves_nothing_beside_the_folder(folders: dict[str, Path]) -> None:
    assert {path.name for path in folders["lstm"].parent.iterdir()} == set(CASES)


def test_the_network_is_left_as_it_was(tmp_path: Path) -> None:
    network = build("lstm")
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()
    export(SPACE, LSTM, network, WORDS, tmp_path / "model")
    assert network.training
    assert all(torch.equal(network.state_dict()[k], v) for k, v in before.items())


def test_folders_above_are_made_and_an_empty_one_is_filled(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "a" / "b" / "model", tmp_path / "empty"):
        assert export(SPACE, LSTM, build("lstm"), WORDS, str(place)) == place
        assert {path.name for path in place.iterdir()} == FILES


# What cannot be written


def test_a_folder_with_files_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for place in (tmp_path, tmp_path / "letter.txt"):
        with pytest.raises(InputError, match="is there already; name a folder that is not, or is"):
            export(SPACE, LSTM, build("lstm"), WORDS, place)
    assert os.listdir(tmp_path) == ["letter.txt"]
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_a_folder_below_a_file_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    for below in ("model", "some/model"):
        place = tmp_path / "letter.txt" / below
        with pytest.raises(InputError) as caught:
            export(SPACE, LSTM, build("lstm"), WORDS, place)
        file = tmp_path / "letter.txt"
        assert str(caught.value) == f"cannot write {place}: {file} is a file, not a folder"


@pytest.mark.skipif(sys.platform != "linux", reason="no /proc")
def test_a_place_that_cannot_be_written_is_named() -> None:
    with pytest.raises(InputError, match="cannot write /proc/model: "):
        export(SPACE, LSTM, build("lstm"), WORDS, "/proc/model")


@pytest.mark.parametrize("name", ["vocabulary.json", "genotype.json", "README.md"])
def test_a_disk_that_fills_up_on_the_way_leaves_nothing(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Path.write_text

    def write(self: Path, *arguments: Any, **options: Any) -> int:
        if self.name == name:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return original(self, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_text", write)
        with pytest.raises(InputError, match="No space left on device"):
            export(SPACE, LSTM, build("lstm"), WORDS, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_weights_that_find_no_room_are_one_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save_pretrained(*_: Any, **__: Any) -> None:
        raise SafetensorError("I/O error: No space left on device (os error 28)")

    monkeypatch.setattr(RecurrentSpace, "save_pretrained", save_pretrained)
    with pytest.raises(InputError, match=r"cannot write .*/model: I/O error: No space left on dev"):
        export(SPACE, LSTM, build("lstm"), WORDS, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_replaced_once_the_new_one_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "letter.txt").write_text("dear")

    def full(*_: Any, **__: Any) -> None:
        raise SafetensorError("No space left on device")

    def refused(part: Any, path: Any) -> None:
        if Path(path) == model and not str(part).endswith(".old"):
            raise OSError(errno.EACCES, os.strerror(errno.EACCES))
        rename(part, path)

    rename = os.replace
    for target, name, failing in (
        (RecurrentSpace, "save_pretrained", full),
        (os, "replace", refused),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, name, failing)
            with pytest.raises(InputError, match="cannot write"):
                export(SPACE, LSTM, build("lstm"), WORDS, model, replace=True)
        assert [path.name for path in tmp_path.rglob("*")] == ["model", "letter.txt"]
    export(SPACE, LSTM, build("lstm"), WORDS, model, replace=True)
    assert {path.name for path in model.iterdir()} == FILES and os.listdir(tmp_path) == ["model"]
    export(SPACE, LSTM, build("lstm"), WORDS, tmp_path / "other", replace=True)
    assert {path.name for path in (tmp_path / "other").iterdir()} == FILES


def test_a_failure_of_any_kind_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any, **__: Any) -> str:
        raise KeyboardInterrupt

    monkeypatch.setattr(RecurrentSpace, "describe", stop)
    with pytest.raises(KeyboardInterrupt):
        export(SPACE, LSTM, build("lstm"), WORDS, tmp_path / "model")
    assert list(tmp_path.iterdir()) == []


# What a run found


def test_a_candidate_is_exported_with_its_runs_text_and_sizes(tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("\n".join(f"some words w{i % 9} and w{i % 7}" for i in range(60)))
    scale = SCALE.resized(hidden_size=8)
    run = search("rnn", text, "parameters", trials=2, seed=3, scale=scale, out=tmp_path / "run")
    best = run.best
    folder = export_candidate(best, tmp_path / "model")
    exported = Vocabulary.load(folder / "vocabulary.json")
    assert UNK not in run.vocabulary and exported.tokens == (*run.vocabulary.tokens, UNK)
    assert SPACE.parse(json.loads((folder / "genotype.json").read_text())) == best.architecture
    assert "weights drawn from seed 3" in (folder / "README.md").read_text()
    other = export_candidate(best, tmp_path / "other", seed=4)
    assert "weights drawn from seed 4" in (other / "README.md").read_text()
    weights = [(f / "model.safetensors").read_bytes() for f in (folder, other)]
    again = export_candidate(best, tmp_path / "again", seed=3) / "model.safetensors"
    assert again.read_bytes() == weights[0] != weights[1]


def test_the_public_face_is_this_room() -> None:
    assert archscout.export is export
    assert archscout.export_candidate is export_candidate


def test_a_trained_export_draws_text_without_unknown_words(tmp_path: Path) -> None:
    words = [*("a", "b", EOS, "c") * 30, "rare", "rarer"]
    vocabulary = Vocabulary.from_tokens(words, limit=5)
    assert UNK in vocabulary and "rare" not in vocabulary
    space = RecurrentSpace()
    cell = space.named["gru"]
    scale = space.scales["fast"].resized(embedding_size=8, hidden_size=8)
    network = space.build(cell, len(vocabulary), scale, 0)
    export(space, cell, network, vocabulary, tmp_path / "model")
    drawn = drawn_text(tmp_path / "model", 60, seed=1)
    assert set(drawn.split()) <= {"a", "b", "c"} and "\n" in drawn
    assert drawn == drawn_text(tmp_path / "model", 60, seed=1)
    assert drawn != drawn_text(tmp_path / "model", 60, seed=2)


def test_text_is_drawn_from_a_folder_alone(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no folder 'some/name'; that of an export is accepted"):
        drawn_text("some/name", 5)


def test_a_space_and_an_architecture_may_be_named(tmp_path: Path) -> None:
    space = RecurrentSpace()
    network = space.build(space.named["gru"], 4, space.scales["fast"].resized(hidden_size=8))
    folder = export("rnn", "gru", network, Vocabulary(("a", "b", "c", "<unk>")), tmp_path / "out")
    document = json.loads((folder / "genotype.json").read_text())
    assert space.parse(document["architecture"]) == space.named["gru"]
