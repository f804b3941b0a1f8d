"""Which folders are encoders."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from archscout.errors import InputError
from archscout.training.glue import Encoder, load_encoder
from archscout.training.seeds import seed_of
from glue_runs import GENOTYPE, PIECES, SCALE, SPACE, export_tiny


@pytest.fixture
def copy(encoder_folder: Path, tmp_path: Path) -> Path:
    """An encoder that a test may damage."""
    return shutil.copytree(encoder_folder, tmp_path / "copy")


def test_the_classifier_holds_the_encoders_weights(encoder: Encoder) -> None:
    model = encoder.classifier(3, 0.2, seed=5)
    expected = SPACE.build(GENOTYPE, len(PIECES), SCALE, 0).state_dict()
    found = model.flexibert.network.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], value) for name, value in expected.items())
    assert model.out_proj.weight.shape == (3, 128) and not model.out_proj.bias.any()
    assert model.dropout.p == model.flexibert.network.embeddings.dropout.p == 0.2
    again, other = encoder.classifier(3, 0.2, seed=5), encoder.classifier(3, 0.2, seed=6)
    assert torch.equal(model.out_proj.weight, again.out_proj.weight)
    assert not torch.equal(model.out_proj.weight, other.out_proj.weight)
    assert encoder.genotype == SPACE.to_dict(GENOTYPE)


def test_the_head_leaves_the_callers_random_numbers_alone(
    encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with torch.random.fork_rng():
        torch.manual_seed(seed_of(5))
        dense, out = torch.empty(128, 128).normal_(std=0.02), torch.empty(3, 128).normal_(std=0.02)
    before = torch.get_rng_state()

    def manual_seed(_: int) -> None:
        raise AssertionError("seeds the GPUs, too")

    monkeypatch.setattr(torch, "manual_seed", manual_seed)
    model = encoder.classifier(3, 0.2, seed=5)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(model.dense.weight, dense) and torch.equal(model.out_proj.weight, out)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_classifier_replaces_another_whole(encoder: Encoder, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    encoder.save_classifier(encoder.classifier(2, 0.0, 0), ("a", "b"), folder)
    old = contents(folder)
    (folder / "letter.txt").write_text("dear")
    encoder.save_classifier(encoder.classifier(2, 0.0, 1), ("a", "b"), folder)
    new = contents(folder)
    assert new.keys() == old.keys() and new["model.safetensors"] != old["model.safetensors"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize("failing", ["weights", "disk", "rename"])
def test_a_classifier_that_cannot_be_written_leaves_the_old_one(
    encoder: Encoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    folder = tmp_path / "model"
    encoder.save_classifier(encoder.classifier(2, 0.0, 0), ("a", "b"), folder)
    old = contents(folder)
    model = encoder.classifier(2, 0.0, 1)
    errors = {"weights": SafetensorError("no more"), "disk": OSError(28, "No space left on device")}
    replace = os.replace

    def fail(*_: Any, **__: Any) -> None:
        raise errors[failing]

    def rename(source: Path, target: Path) -> None:
        if Path(source).name.endswith(".part"):
            raise OSError(13, "Permission denied")
        replace(source, target)

    if failing == "rename":
        monkeypatch.setattr(os, "replace", rename)
    else:
        monkeypatch.setattr(model, "save_pretrained", fail)
    reason = "no more|No space left on device|Permission denied"
    with pytest.raises(InputError, match=f"cannot write .*/model: ({reason})$"):
        encoder.save_classifier(model, ("a", "b"), folder)
    assert contents(folder) == old
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_trainings_folder_stands_for_its_model(encoder: Encoder, tmp_path: Path) -> None:
    export_tiny(tmp_path / "training" / "model")
    found = load_encoder(tmp_path / "training")
    assert found.path == tmp_path / "training" / "model"
    assert load_encoder(found) is found
    assert torch.equal(
        found.weights["network.embeddings.word_embeddings.weight"],
        encoder.weights["network.embeddings.word_embeddings.weight"],
    )
    other = load_encoder(export_tiny(tmp_path / "other", seed=1))
    assert other.sha256 != found.sha256 == encoder.sha256


def test_the_weights_of_a_head_are_left_out(copy: Path, encoder: Encoder) -> None:
    weights = load_file(copy / "model.safetensors")
    headed = {f"flexibert.{name}": value for name, value in weights.items()}
    save_file(headed | {"prediction.weight": torch.ones(1, 4)}, copy / "model.safetensors")
    assert load_encoder(copy).weights.keys() == encoder.weights.keys()


def test_what_is_no_encoder(copy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no encoder .*nowhere: there is no such folder; accept"):
        load_encoder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"empty is no encoder: it lacks config.json; accepted is"):
        load_encoder(tmp_path / "empty")
    (copy / "tokenizer.json").unlink()
    with pytest.raises(InputError, match=r"copy is no encoder: it lacks tokenizer.json"):
        load_encoder(copy)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "bert"}, "holds a model of type 'bert', not 'archscout-flexibert'"),
        ({"hidden_size": 256}, "does not fit config.json"),
        ({"layers": [{"operation": "XYZ"}]}, "config.json describes no encoder"),
    ],
)
def test_other_configurations(copy: Path, changes: dict[str, object], message: str) -> None:
    path = copy / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))
    with pytest.raises(InputError, match=message):
        load_encoder(copy)


def test_a_configuration_without_sizes(copy: Path) -> None:
    config = json.loads((copy / "config.json").read_text())
    del config["vocab_size"]
    (copy / "config.json").write_text(json.dumps(config))
    with pytest.raises(InputError, match="describes no encoder: it lacks 'vocab_size'"):
        load_encoder(copy)


def test_damage(copy: Path) -> None:
    content = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match=r"model.safetensors is damaged"):
        load_encoder(copy)
    (copy / "config.json").write_text("{")
    with pytest.raises(InputError, match=r"config.json is no JSON"):
        load_encoder(copy)
