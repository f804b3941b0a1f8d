"""Encoders as transformers models."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from transformers import AutoModel

from archscout.spaces import EncoderGenotype, EncoderScale, FlexibertSpace
from archscout.spaces.flexibert.network import FlexibertNetwork

SPACE = FlexibertSpace()
SCALE = EncoderScale(3, 8, 16, 12, "declared")
V = 60
SAMPLE = SPACE.published_sample
# Among them all six operations stand.
ARCHITECTURES = [SAMPLE[0], SAMPLE[1], SAMPLE[3]]

_ELSEWHERE = """
import sys
sys.modules["archscout"] = None
import torch
import transformers
from transformers import AutoTokenizer

folder, out = sys.argv[1:]
tokens = torch.arange(24).view(3, 8)
found = {}
for name in ("AutoModel", "AutoModelForMaskedLM", "AutoModelForPreTraining",
             "AutoModelForSequenceClassification"):
    model = getattr(transformers, name).from_pretrained(folder, trust_remote_code=True).eval()
    with torch.no_grad():
        found[name] = tuple(model(tokens)[0].shape)
        if name == "AutoModel":
            torch.save(model(tokens).last_hidden_state, out)
print(found)
"""


def network(architecture: EncoderGenotype = SAMPLE[0]) -> FlexibertNetwork:
    return SPACE.build(architecture, V, SCALE, seed=1).eval()


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    written = []
    for i, architecture in enumerate(ARCHITECTURES):
        folder = tmp_path_factory.mktemp(f"model{i}")
        SPACE.save_pretrained(network(architecture), architecture, folder)
        written.append(folder)
    return written


def test_all_operations_are_among_the_architectures() -> None:
    assert len({layer.operation for a in ARCHITECTURES for layer in a.layers}) == 6


@pytest.mark.parametrize("index", range(len(ARCHITECTURES)))
def test_a_folder_gives_the_same_outputs(folders: list[Path], index: int) -> None:
    from transformers import AutoModel

    tokens = torch.arange(24).view(3, 8)
    loaded = AutoModel.from_pretrained(folders[index]).eval()
    with torch.no_grad():
        expected = network(ARCHITECTURES[index])(tokens).last_hidden_state
        assert torch.equal(loaded(tokens).last_hidden_state, expected)


def test_a_folder_loads_where_archscout_is_not(folders: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "hidden.pt"
    ran = subprocess.run(
        [sys.executable, "-c", _ELSEWHERE, str(folders[0]), str(out)],
        capture_output=True,
        text=True,
        env={"HF_HOME": str(tmp_path), "PATH": "", "OMP_NUM_THREADS": "1"},
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    shapes = "'AutoModelForMaskedLM': (3, 8, 60), 'AutoModelForPreTraining': (3, 8), "
    assert shapes + "'AutoModelForSequenceClassification': (3, 2)" in ran.stdout
    with torch.no_grad():
        expected = network()(torch.arange(24).view(3, 8)).last_hidden_state
    assert torch.allclose(torch.load(out), expected, atol=1e-5)


def test_the_base_models_weights_reach_every_head(folders: list[Path]) -> None:
    from transformers import (
        AutoModelForMaskedLM,
        AutoModelForPreTraining,
        AutoModelForSequenceClassification,
    )

    expected = network().state_dict()
    for auto in (AutoModelForMaskedLM, AutoModelForPreTraining, AutoModelForSequenceClassification):
        loaded, information = auto.from_pretrained(folders[0], output_loading_info=True)
        found = loaded.flexibert.network.state_dict()
        assert all(torch.equal(found[name], value) for name, value in expected.items())
        assert not information["unexpected_keys"]
        new = [p for name, p in loaded.named_parameters() if not name.startswith("flexibert")]
        assert new
        for name, parameter in loaded.named_parameters():
            if not name.startswith("flexibert") and name.endswith("bias"):
                assert not parameter.any(), name
            assert bool((parameter.abs() < 2).all()), name


def test_heads_round_trip(tmp_path: Path) -> None:
    from archscout.spaces.flexibert import pretrained

    config = pretrained.wrap(network()).config
    tokens = torch.arange(24).view(3, 8)
    for name, kind in pretrained.AUTO_CLASSES.items():
        if name == "AutoConfig":
            continue
        model = kind(config).eval()
        model.save_pretrained(tmp_path / name)
        again = kind.from_pretrained(tmp_path / name).eval()
        with torch.no_grad():
            assert torch.equal(model(tokens)[0], again(tokens)[0])


def test_losses() -> None:
    from archscout.spaces.flexibert import pretrained

    config = pretrained.wrap(network()).config
    tokens = torch.arange(24).view(3, 8)
    mask = torch.ones(3, 8, dtype=torch.long)
    mask[0, 5:] = 0
    with torch.no_grad():
        masked = pretrained.FlexibertForMaskedLM(config).eval()
        labels = tokens.masked_fill(tokens % 3 > 0, -100)
        output = masked(tokens, labels=labels)
        chosen = labels >= 0
        expected = F.cross_entropy(output.logits[chosen], labels[chosen])
        assert output.loss.item() == pytest.approx(expected.item())
        replaced = pretrained.FlexibertForPreTraining(config).eval()
        output = replaced(tokens, mask, labels=tokens % 2)
        there = mask.bool()
        expected = F.binary_cross_entropy_with_logits(
            output.logits[there], (tokens % 2)[there].float()
        )
        assert output.loss.item() == pytest.approx(expected.item())
        config.num_labels = 1
        graded = pretrained.FlexibertForSequenceClassification(config).eval()
        output = graded(tokens, labels=torch.tensor([0.0, 2.5, 5.0]))
        errors = output.logits[:, 0] - torch.tensor([0.0, 2.5, 5.0])
        assert output.loss.item() == pytest.approx(errors.square().mean().item())


def test_padding_changes_nothing() -> None:
    from archscout.spaces.flexibert import pretrained

    for architecture in ARCHITECTURES:
        model = pretrained.wrap(network(architecture)).eval()
        tokens = torch.arange(16).view(2, 8)
        mask = torch.tensor([[1] * 5 + [0] * 3, [1] * 8])
        with torch.no_grad():
            padded = model(tokens, mask).last_hidden_state[0, :5]
            alone = model(tokens[:1, :5]).last_hidden_state[0]
        assert torch.allclose(padded, alone, atol=1e-5)


def test_hidden_states_and_attentions() -> None:
    from archscout.spaces.flexibert import pretrained

    model = pretrained.wrap(network(ARCHITECTURES[2])).eval()
    tokens = torch.arange(24).view(3, 8)
    output = model(tokens, output_hidden_states=True, output_attentions=True)
    assert len(output.hidden_states) == 3
    assert len(output.attentions) == 2
    assert torch.equal(output.hidden_states[-1], output.last_hidden_state)
    words = model.get_input_embeddings()(tokens)
    given = model(inputs_embeds=words).last_hidden_state
    assert torch.equal(given, model(tokens).last_hidden_state)
    with pytest.raises(ValueError, match="either input_ids or inputs_embeds"):
        model(tokens, inputs_embeds=words)


def test_the_configuration_says_what_was_built(folders: list[Path]) -> None:
    config = json.loads((folders[0] / "config.json").read_text())
    assert config["model_type"] == "archscout-flexibert"
    assert [layer["operation"] for layer in config["layers"]] == ["WMA", "DCT", "SDP", "SDP"]
    assert config["vocab_size"] == V
    assert {path.name for path in folders[0].iterdir()} >= {"network.py", "pretrained.py"}


def test_positions_are_not_ignored(folders: list[Path]) -> None:
    model = AutoModel.from_pretrained(folders[0], trust_remote_code=True)
    with pytest.raises(ValueError, match="position_ids are not taken"):
        model(torch.arange(8)[None], position_ids=torch.arange(8)[None])
