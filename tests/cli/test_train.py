"""`archscout train` as a user calls it."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from archscout.text import WordPiece, load_corpus
from archscout.training.electra import pretraining_loop as encoder_loop
from archscout.training.recurrent import language_model_loop as loop
from pretraining_runs import ENCODER

SMALL = (
    *("--size", "embedding_size=8", "--size", "hidden_size=8", "--size", "num_layers=2"),
    *("--set", "batch_size=4"),
    *("--set", "evaluation_batch_size=3", "--set", "sequence_length=12", "--set", "epochs=2"),
)
Program = Callable[..., Any]


def test_a_trained_model_is_handed_over(archscout: Program, words: Path, tmp_path: Path) -> None:
    out = tmp_path / "training"
    done = archscout(
        *("train", "lstm", "--text", words, "--out", out, *SMALL),
        *("--sample", "5", "--prompt", "w1 w2", "--temperature", "0.8"),
    )
    assert done.code == 0, done.err
    assert "epoch 1: loss" in done.err and "epoch 2: loss" in done.err
    assert "bits per word" in done.out and "valid" in done.out and "test" in done.out
    assert any(line.startswith("w1 w2") for line in done.lines)

    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    folder = out / "model"
    model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    assert model(tokenizer("w1 w2", return_tensors="pt").input_ids).logits.shape[:2] == (1, 2)
    assert "trained on words.txt, validation perplexity" in (folder / "README.md").read_text()

    from archscout.training.checkpoints import read_checkpoint

    best = json.loads((out / "result.json").read_text())["best_epoch"]
    weights = read_checkpoint(out / f"best-{best}.safetensors").tensors
    assert (model.model.decoder_bias[:-1] == weights["decoder_bias"]).all()  # and one for `<unk>`


def test_json_and_resume(archscout: Program, words: Path, tmp_path: Path) -> None:
    arguments = ("train", "rnn", "--text", words, "--out", tmp_path / "t", *SMALL, "--json")
    first = archscout(*arguments)
    assert first.code == 0, first.err
    result = json.loads(first.out)
    assert result["training"] == str(tmp_path / "t") and result["epochs"] == 2
    assert result["losses"]["valid"]["perplexity"] > 1
    again = archscout(*arguments, "--resume")
    assert again.code == 0 and json.loads(again.out) == result


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_what_was_trained_is_told_where_nothing_can_be_drawn_from_it(
    form: tuple[str, ...], archscout: Program, words: Path, tmp_path: Path
) -> None:
    settings = ("steps=2", "evaluate_every=1", "batch_size=2", "sequence_length=8")
    done = archscout(
        *("train", "gpt2-tiny", "--text", words, "--vocabulary-size", 300, "--out", tmp_path / "t"),
        *(word for setting in settings for word in ("--set", setting)),
        *("--size", "num_positions=64", "--size", "cutoffs=100"),
        *("--sample", 60, "--prompt", "w1 w2 w3 w4 w5 w6 w7 w8", *form),
    )
    assert done.code == 2
    assert "60 tokens to sample after" in done.err
    if form:
        result = json.loads(done.out)
        assert result["steps"] == 2 and "sample" not in result
    else:
        assert "2 steps in" in done.out and str(tmp_path / "t" / "model") in done.out


def test_ctrl_c_says_how_to_go_on(
    archscout: Program, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop.training_loss

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    arguments = ("train", "rnn", "--text", words, "--out", tmp_path / "t", *SMALL)
    with monkeypatch.context() as patch:
        patch.setattr(loop, "training_loss", interrupted)
        stopped = archscout(*arguments)
    assert stopped.code == 130
    assert "Stopped; the training so far is in" in stopped.err and "--resume" in stopped.err
    assert "Traceback" not in stopped.err
    assert archscout(*arguments, "--resume").code == 0


def test_divergence_is_one_message(
    archscout: Program, words: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = loop.training_loss

    def bad(*arguments: Any) -> Any:
        objective, entropy, states = original(*arguments)
        return objective, entropy * float("nan"), states

    monkeypatch.setattr(loop, "training_loss", bad)
    done = archscout("train", "rnn", "--text", words, "--out", tmp_path / "t", *SMALL)
    assert done.code == 2
    assert "training diverged in epoch 1, step 1: the loss is nan" in done.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no architecture 'nothing'"),
        (["lstm", "--preset", "slow"], "unknown preset 'slow'; accepted: published, "),
        (["lstm", "--set", "learning_rate=-1"], "training setting learning_rate is '-1'"),
        (["lstm", "--set", "weight_drop=1"], "training setting weight_drop is '1'"),
        (["lstm", "--set", "schedule=linear"], "training setting schedule is 'linear'"),
        (["lstm", "--set", "minutes=0"], "training setting minutes is '0'"),
        (["lstm", "--set", "batch_size=400"], "the train text has 528 tokens, and batch size 400"),
        (["lstm", "--sample", "0"], "--sample 0"),
        (["lstm", "--sample", "5", "--temperature", "0"], "--temperature 0; accepted is a number"),
        (["lstm", "--sample", "5", "--temperature", "nan"], "--temperature nan; accepted"),
        (["lstm", "--sample", "5", "--prompt", "w1 elk"], "--prompt 'w1 elk': the token 'elk' is"),
        (["lstm", "--prompt", "w1"], "--prompt needs --sample, which says how many"),
        (["lstm", "--temperature", "0.5"], "--temperature needs --sample"),
        (["gpt2-tiny", "--sample", "256"], "--sample 256; the network has 256 positions, of which"),
        (["lstm", "--size", "huge"], "unknown scale 'huge'"),
        (["lstm", "--device", "abacus"], "device 'abacus' cannot be used"),
        (["lstm", "--seed", "-1"], "seed is -1"),
        (
            ["lstm", "--set", "milestones=5"],
            "setting milestones is '5': there is none of that name",
        ),
        (["lstm", "--tokenizer", "t"], "--tokenizer is for architectures of space flexibert"),
        (
            ["lstm", "--dataset-set", "buffer=9"],
            "--dataset-set is for architectures of space",
        ),
        (["lstm", "--dataset", "text"], "--dataset is for architectures of space flexibert"),
        (["lstm", "--space", "cnn"], "unknown space 'cnn'"),
    ],
)
def test_bad_input_is_one_message(
    archscout: Program, words: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = archscout("train", *arguments, "--text", words, "--out", tmp_path / "t")
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "t").exists()


# Encoders

SMALL_ENCODER = (
    *("--size", "embedding_size=8", "--vocabulary-size", "60", "--set", "batch_size=4"),
    *("--set", "sequence_length=12", "--set", "steps=4", "--set", "evaluate_every=2"),
)


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps(ENCODER))
    return path


def test_an_encoder_is_pretrained_and_handed_over(
    archscout: Program, words: Path, encoder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "training"
    arguments = ("train", encoder, "--text", words, "--out", out, *SMALL_ENCODER)
    done = archscout(*arguments, "--set", "milestones=2")
    assert done.code == 0, done.err
    assert "step 2: masked tokens, loss" in done.err and "always original" in done.err
    assert "of a unigram" in done.out and "replaced tokens told" in done.out
    assert [path.name for path in sorted((out / "milestones").iterdir())] == [
        "step-00000000",
        "step-00000002",
        "step-00000004",
    ]

    from transformers import AutoModel, PreTrainedTokenizerFast

    model = AutoModel.from_pretrained(out / "model", trust_remote_code=True)
    tokens = PreTrainedTokenizerFast.from_pretrained(out / "model")("w1", return_tensors="pt")
    assert model(tokens.input_ids).last_hidden_state.shape[2] == 128


def test_an_encoders_json_and_resume(
    archscout: Program, words: Path, encoder: Path, tmp_path: Path
) -> None:
    best = tmp_path / "best.json"  # as a search writes it
    best.write_text(json.dumps({"architecture": ENCODER, "scores": {}}))
    common = ("--text", words, "--set", "task=masked", *SMALL_ENCODER, "--json")
    first = archscout("train", best, "--out", tmp_path / "t", *common)
    assert first.code == 0, first.err
    result = json.loads(first.out)
    assert result["steps"] == 4 and result["losses"]["valid"]["nats"] > 0
    assert result["baselines"]["valid"]["unigram_nats"] > 0
    again = archscout("train", encoder, "--out", tmp_path / "t", *common, "--resume")
    assert again.code == 0 and json.loads(again.out) == result


def test_ctrl_c_says_how_to_go_on_with_an_encoder(
    archscout: Program,
    words: Path,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    original = encoder_loop.Pretraining._step

    def interrupted(*arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return original(*arguments)

    arguments = ("train", encoder, "--text", words, "--out", tmp_path / "t", *SMALL_ENCODER)
    with monkeypatch.context() as patch:
        patch.setattr(encoder_loop.Pretraining, "_step", interrupted)
        stopped = archscout(*arguments)
    assert stopped.code == 130
    assert "Stopped; the training so far is in" in stopped.err and "--resume" in stopped.err
    assert archscout(*arguments, "--resume").code == 0


def test_an_encoder_reads_a_data_set(
    archscout: Program,
    words: Path,
    encoder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("datasets")
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", tmp_path / "cache")
    WordPiece.train(load_corpus(words), 60).save(tmp_path / "pieces.json")
    done = archscout(
        *("train", encoder, "--dataset", "text", "--dataset-files", words),
        *("--dataset-set", "held_out=10", "--dataset-set", "buffer=20"),
        *("--tokenizer", tmp_path / "pieces.json", "--out", tmp_path / "t", "--json"),
        *(argument for argument in SMALL_ENCODER if argument not in ("--vocabulary-size", "60")),
    )
    assert done.code == 0, done.err
    losses = json.loads(done.out)["losses"]
    assert list(losses) == ["valid"] and losses["valid"]["tokens"] == 10 * 12


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "epochs=5"], "setting epochs is '5': there is none of that name"),
        (["--size", "hidden_size=128"], "unknown size 'hidden_size'"),
        (["--set", "jitter=false"], "setting jitter is 'false': there is none of that name"),
        (["--sample", "5"], "--sample is for architectures of space rnn"),
        (["--prompt", "w1"], "--prompt is for architectures of space rnn"),
        (["--temperature", "0.5"], "--temperature is for architectures of space rnn"),
        (["--preset", "slow"], "unknown preset 'slow'; accepted: published, quick"),
        (["--set", "task=next"], "training setting task is 'next'"),
        (["--set", "mask_share=0"], "training setting mask_share is '0'"),
        (["--size", "reading=loud"], "reading is 'loud'; accepted: declared, scored, trained"),
        (["--set", "batch_size=4000"], "the train text has"),
        (["--set", "sequence_length=600"], "the encoder has 512 positions"),
        (["--dataset", "text"], "--text and --dataset are both given"),
        (["--dataset-set", "column=body"], "--dataset-set needs --dataset"),
        (["--dataset-set", "held_out=5"], "--dataset-set needs --dataset"),
        (["--space", "rnn"], "node"),
    ],
)
def test_an_encoders_bad_input_is_one_message(
    archscout: Program,
    words: Path,
    encoder: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
) -> None:
    done = archscout("train", encoder, *arguments, "--text", words, "--out", tmp_path / "t")
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert not (tmp_path / "t").exists()


def test_a_data_set_needs_a_tokenizer(archscout: Program, encoder: Path, tmp_path: Path) -> None:
    done = archscout("train", encoder, "--dataset", "text", "--out", tmp_path / "t")
    assert done.code == 2 and "give a ready one (--tokenizer)" in done.err
    done = archscout("train", encoder, "--dataset", "", "--out", tmp_path / "t")
    assert done.code == 2 and "accepted is NAME or NAME:CONFIG" in done.err
    leak = ("--dataset", "text", "--dataset-set", "valid_split=train")
    done = archscout("train", encoder, *leak, "--out", tmp_path / "t")
    assert done.code == 2 and "is for training and validation both" in done.err
    done = archscout("train", encoder, "--dataset", "text", "--dataset-set", "buffer=0")
    assert done.code == 2 and "buffer of the data set is 0" in done.err
