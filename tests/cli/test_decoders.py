"""The commands, for decoders."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from archscout.spaces import GptSpace
from archscout.spaces.gpt.sizes import decoder_parameters

Program = Any  # see conftest.py

SPACE = GptSpace()
SMALL = ("--scoring", "vocabulary_size=400", "--size", "cutoffs=100,200", "--size", "batch_size=2")


def test_samples_of_a_size(archscout: Program) -> None:
    lines = archscout("sample", "gpt", "-n", 5, "--between", "1M,1.1M").lines
    drawn = [SPACE.parse(line) for line in lines]
    assert len(set(drawn)) == 5
    assert all(1_000_000 <= decoder_parameters(each) <= 1_100_000 for each in drawn)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("rnn", "--between", "1M,2M"), "space rnn draws no architectures by size; --between is"),
        (("gpt", "--between", "1M"), "--between 1M; accepted is LOW,HIGH, such as 1M,4M"),
        (("gpt", "--between", "1M,x"), "--between 1M,x; accepted is LOW,HIGH"),
        (("gpt", "--between", "1,2"), "no decoder was found with 1 to 2 decoder parameters"),
        (("gpt", "--between", "1M,2M", "--published"), "--between and --published exclude"),
    ],
)
def test_a_mistake_in_sizes_is_named(
    arguments: tuple[str, ...], complaint: str, archscout: Program
) -> None:
    result = archscout("sample", *arguments)
    assert result.code == 2
    assert complaint in result.err


def test_what_a_benchmark_cannot_take_by_size_is_named(archscout: Program, tmp_path: Path) -> None:
    folder, sizes = tmp_path / "out", ("--between", "1M,2M")
    refused = archscout("benchmark", "build", "rnn", folder, "-n", 2, *sizes)
    assert refused.code == 2 and "space rnn draws no architectures by size" in refused.err
    listed = archscout("benchmark", "build", "gpt", folder, "--architectures", "-", *sizes)
    assert listed.code == 2 and "--between is about what -n draws" in listed.err


def test_named_decoders_are_scored_and_known_without_their_space(archscout: Program) -> None:
    scored = archscout("score", "gpt", "llama-tiny", "--metrics", "flops", *SMALL, "--json")
    document = json.loads(scored.out)
    assert document["fingerprint"] == SPACE.fingerprint(SPACE.named["llama-tiny"])
    refused = archscout("train", "gpt2-tiny", "--vocabulary-size", 256)
    assert refused.code == 2
    assert "at least 257 (256 bytes and the end of a text)" in refused.err


def test_a_search_leaves_a_model_and_goes_on(archscout: Program, tmp_path: Path) -> None:
    run = ("search", "gpt", "--max", "parameters=2M", *SMALL, "--out", tmp_path / "run")
    first = archscout(*run, "--trials", 12, "-m", "softmax_confidence")
    assert first.code == 0, first.err
    again = archscout(*run, "--trials", 14, "-m", "softmax_confidence", "--resume")
    assert again.code == 0, again.err
    assert (tmp_path / "run" / "model" / "config.json").exists()


def test_a_vocabulary_without_bands_is_named(archscout: Program, tmp_path: Path) -> None:
    decoder = {"n_layer": 1, "d_model": 16, "n_head": 1, "d_inner": 16, "div_val": 2}
    (tmp_path / "decoder.json").write_text(json.dumps(decoder), "utf-8")
    more = ("--scoring", "vocabulary_size=300", "--metrics", "flops")
    result = archscout("score", "gpt", tmp_path / "decoder.json", *more)
    assert result.code == 2
    assert (
        "div_val is 2, but cutoffs are 1000, 4000 and the vocabulary has 300 tokens" in result.err
    )
