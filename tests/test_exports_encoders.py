"""Export of encoders: what transformers loads, where archscout is not, is what was built."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from archscout.exports import export
from archscout.spaces import EncoderGenotype, EncoderScale, FlexibertSpace
from archscout.spaces.flexibert.network import FlexibertNetwork
from archscout.text import WordPiece

SPACE = FlexibertSpace()
SAMPLE = SPACE.published_sample
SCALE = EncoderScale(
    batch_size=2, sequence_length=8, embedding_size=16, num_positions=16, reading="declared"
)
# Among them all six operations stand; the last one's embedding needs no projection.
CASES: dict[str, tuple[EncoderGenotype, EncoderScale]] = {
    "declared": (SAMPLE[0], SCALE),
    "scored": (SAMPLE[1], SCALE.resized(reading="scored")),
    "trained": (SAMPLE[3], SCALE.resized(reading="trained", embedding_size=128)),
}
PIECES = WordPiece.train("the cat sat on the mat and the dog sat on the cat, too " * 20)
TEXTS = ["the cat sat on  the\nmat", "A dog, unheard-of zebras"]
FILES = {
    "README.md",
    "config.json",
    "genotype.json",
    "model.safetensors",
    "network.py",
    "pretrained.py",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocabulary.json",
}

# What a user does with the folders, where there is no archscout.
LOADER = """
import sys
sys.modules["archscout"] = None
import torch
from transformers import AutoModel, AutoModelForMaskedLM, AutoTokenizer, PreTrainedTokenizerFast
found = {}
texts = sys.argv[2:4]
for folder in sys.argv[4:]:
    model = AutoModel.from_pretrained(folder, trust_remote_code=True)
    masked = AutoModelForMaskedLM.from_pretrained(folder, trust_remote_code=True)
    automatic = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    batch = automatic(texts, padding=True, return_tensors="pt")
    with torch.no_grad():
        hidden = model(**batch).last_hidden_state
        first = model(**automatic(texts[0], return_tensors="pt")).last_hidden_state
        logits = masked(**batch).logits
    found[folder] = {
        "batch": dict(batch), "hidden": hidden, "first": first, "logits": logits,
        "encoded": tokenizer(texts)["input_ids"], "automatic": automatic(texts)["input_ids"],
        "decoded": tokenizer.decode(tokenizer(texts[0])["input_ids"], skip_special_tokens=True),
        "longest": tokenizer.model_max_length, "training": model.training,
        "states": {k: v.clone() for k, v in model.network.state_dict().items()},
    }
assert sys.modules["archscout"] is None
torch.save(found, sys.argv[1])
"""

every_case = pytest.mark.parametrize("name", CASES)


def build(name: str) -> FlexibertNetwork:
    genotype, scale = CASES[name]
    return SPACE.build(genotype, len(PIECES), scale, seed=7).eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    parent = tmp_path_factory.mktemp("models")
    return {
        name: export(SPACE, genotype, build(name), PIECES, parent / name)
        for name, (genotype, _) in CASES.items()
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
        [sys.executable, "-c", LOADER, str(result), *TEXTS, *map(str, folders.values())],
        check=True,
        env=environment,
        cwd=place,
        timeout=240,
    )
    found = torch.load(result, weights_only=True)
    return {name: found[str(folder)] for name, folder in folders.items()}


@every_case
def test_hidden_states_are_those_of_the_built_network(name: str, loaded: dict[str, Any]) -> None:
    batch, network = loaded[name]["batch"], build(name)
    with torch.no_grad():
        outputs = network(batch["input_ids"], batch["attention_mask"], batch["token_type_ids"])
    expected = outputs.last_hidden_state
    assert torch.equal(loaded[name]["hidden"], expected)
    assert not torch.equal(expected[0], expected[1])
    assert loaded[name]["logits"].shape == (*batch["input_ids"].shape, len(PIECES))


@every_case
def test_weights_survive_bit_for_bit(name: str, loaded: dict[str, Any]) -> None:
    expected = build(name).state_dict()
    assert loaded[name]["states"].keys() == expected.keys()
    assert all(torch.equal(loaded[name]["states"][k], v) for k, v in expected.items())
    assert loaded[name]["training"] is False


@every_case
def test_padding_changes_nothing(name: str, loaded: dict[str, Any]) -> None:
    first = loaded[name]["first"]
    mask = loaded[name]["batch"]["attention_mask"]
    assert int(mask.sum(1)[0]) == first.shape[1] < mask.shape[1]
    torch.testing.assert_close(
        loaded[name]["hidden"][0, : first.shape[1]], first[0], rtol=1e-4, atol=1e-5
    )


def test_the_tokenizer_frames_what_archscout_encodes(loaded: dict[str, Any]) -> None:
    found = loaded["declared"]
    ends = (PIECES.id_of("[CLS]"), PIECES.id_of("[SEP]"))
    expected = [[ends[0], *PIECES.encode(text).tolist(), ends[1]] for text in TEXTS]
    assert found["encoded"] == found["automatic"] == expected
    assert found["decoded"] == "the cat sat on the mat"


@every_case
def test_the_folder_holds_what_is_promised(name: str, folders: dict[str, Path]) -> None:
    folder, (genotype, scale) = folders[name], CASES[name]
    assert {path.name for path in folder.iterdir()} == FILES
    assert SPACE.parse(json.loads((folder / "genotype.json").read_text())) == genotype
    assert WordPiece.load(folder / "vocabulary.json").tokens == PIECES.tokens
    assert WordPiece.load(folder).tokens == PIECES.tokens
    readme = (folder / "README.md").read_text()
    parameters = sum(p.numel() for p in build(name).parameters())
    assert f"{parameters:,} parameters" in readme and SPACE.fingerprint(genotype) in readme
    assert f'AutoModel.from_pretrained("{name}", trust_remote_code=True)' in readme
    config = json.loads((folder / "config.json").read_text())
    assert config["max_position_embeddings"] == scale.num_positions
    assert config["embedding_size"] == scale.embedding_size


def test_exporting_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    network = build("declared")
    before = {k: v.clone() for k, v in network.state_dict().items()}
    network.train()
    export(SPACE, SAMPLE[0], network, PIECES, tmp_path / "model")
    assert network.training
    assert all(torch.equal(network.state_dict()[k], v) for k, v in before.items())
