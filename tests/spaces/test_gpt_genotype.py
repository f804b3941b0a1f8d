"""Genotypes of decoders: what is accepted, what is refused, and how they are drawn."""

from __future__ import annotations

import math
import random
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from archscout.errors import InputError
from archscout.spaces import GptSpace
from archscout.spaces.gpt import sampling
from archscout.spaces.gpt.decoders import DECODERS
from archscout.spaces.gpt.genotype import describe, fingerprint, parse
from archscout.spaces.gpt.sizes import (
    attention_parameters,
    band_widths,
    bands,
    decoder_parameters,
    embedding_parameters,
    feed_forward_parameters,
    head_parameters,
)

PLAIN = {"n_layer": 2, "d_model": 64, "n_head": 4, "d_inner": 128}


def test_one_number_is_that_of_every_layer() -> None:
    short = parse('{"n_layer": 2, "d_model": 64, "n_head": 4, "d_inner": 128}')
    full = parse({**PLAIN, "n_head": [4, 4], "n_kv_head": [4, 4], "d_inner": [128, 128]})
    assert short == full
    assert fingerprint(short) == fingerprint(full)
    assert short.to_dict() == {
        **{"n_layer": 2, "d_model": 64, "n_head": [4, 4], "n_kv_head": [4, 4]},
        **{"d_inner": [128, 128], "d_embed": -1, "div_val": 1, "norm": "layernorm"},
        **{"activation": "gelu", "position": "learned", "bias": True},
    }
    assert parse(short.to_dict()) == short


def test_an_embedding_as_wide_as_the_model_is_the_default() -> None:
    assert fingerprint(parse({**PLAIN, "d_embed": 64})) == fingerprint(parse(PLAIN))


def test_genotypes_that_differ_have_different_fingerprints() -> None:
    changes: list[dict[str, Any]] = [
        {},
        {"d_inner": [128, 192]},
        {"d_inner": [192, 128]},
        {"n_kv_head": 2},
        {"d_embed": 32},
        {"div_val": 2},
        {"norm": "rmsnorm"},
        {"activation": "relu"},
        {"position": "rope"},
        {"bias": False},
    ]
    marks = {fingerprint(parse({**PLAIN, **change})) for change in changes}
    assert len(marks) == len(changes)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_head": 5}, "layer 1: n_head is 5, which does not divide d_model 64; accepted: 1, 2"),
        ({"n_head": [4, 3]}, "layer 2: n_head is 3, which does not divide d_model 64"),
        (
            {"n_kv_head": [4, 3]},
            "layer 2: n_kv_head is 3, which does not divide n_head 4; accepted: 1, 2 or 4",
        ),
        (
            {"d_model": 12, "position": "rope"},
            "layer 1: n_head 4 of d_model 12 makes heads of 3; position rope turns pairs",
        ),
        ({"d_inner": [128]}, r"d_inner has 1 entries \[128\], but n_layer is 2"),
        ({"n_head": [4, 4, 4]}, r"n_head has 3 entries \[4, 4, 4\], but n_layer is 2"),
        (
            {"d_inner": [128, 0]},
            "layer 2: d_inner is 0; input should be greater than or equal to 1",
        ),
        ({"d_inner": 12.5}, "d_inner is 12.5; a whole number, or a list with one for each layer"),
        ({"n_layer": 0}, "n_layer is 0; input should be greater than or equal to 1"),
        ({"n_layer": True}, "n_layer is True; input should be a valid integer"),
        ({"d_embed": 0}, "d_embed is 0; accepted are -1"),
        ({"norm": "batchnorm"}, "norm is 'batchnorm'; input should be 'layernorm' or 'rmsnorm'"),
        ({"bias": "yes"}, "bias is 'yes'; input should be a valid boolean"),
        ({"dinner": 3}, r"unknown key 'dinner' \(did you mean d_inner\?\); accepted: n_layer"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse({**PLAIN, **change})


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "genotype '{' is not valid JSON: .*; expected an object with n_layer, d_model"),
        ("[]", r"genotype is \[\]; expected an object with n_layer"),
        ({"n_layer": 2, "d_model": 64}, "genotype has no n_head and no d_inner; it needs n_layer"),
    ],
)
def test_what_is_no_genotype(document: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse(document)


def test_describe() -> None:
    assert describe(DECODERS["gpt2"]) == "12 x 768: 12 heads, inner 3072"
    assert describe(DECODERS["llama-tiny"]) == (
        "2 x 128: 2/1 heads, inner 320, rmsnorm, swiglu, rope, no bias"
    )
    narrowed = parse({**PLAIN, "d_embed": 32, "div_val": 2, "n_head": [2, 4]})
    assert describe(narrowed) == "2 x 64: 2-4 heads, inner 128, embedding 32 / 2"


# Parameters


def test_gpt2_has_the_known_number_of_parameters() -> None:
    gpt2 = DECODERS["gpt2"]
    assert decoder_parameters(gpt2) == 85_056_000
    assert embedding_parameters(gpt2, 50257, 1024) + decoder_parameters(gpt2) == 124_439_808
    assert head_parameters(gpt2, 50257) == 0


def test_counts_of_published_decoders() -> None:
    """Two decoders of LiteTransformerSearch with the parameters that are recorded there."""
    narrow = parse({"n_layer": 2, "d_model": 512, "n_head": 2, "d_inner": 1920, "div_val": 4})
    # LM1B: cutoffs lie behind the vocabulary's end, which is then one band.
    assert attention_parameters(narrow) == 2_101_248
    assert feed_forward_parameters(narrow) == 3_937_024
    assert decoder_parameters(narrow) == 6_043_392
    assert embedding_parameters(narrow, 50264, 32, (50264,)) == 26_013_696
    total = 26_013_696 + 6_043_392 + head_parameters(narrow, 50264, (50264,), adaptive=True)
    assert total == 32_369_496


@pytest.mark.parametrize(("div_val", "widths"), [(1, [512] * 3), (2, [512, 256, 128])])
def test_bands(div_val: int, widths: list[int]) -> None:
    assert bands(50264, (19997, 39997, 199997), div_val) == [19997, 20000, 10267]
    genotype = parse({**PLAIN, "d_embed": 512, "div_val": div_val})
    assert band_widths(genotype, 3) == widths


def test_narrowing_without_bands_is_refused() -> None:
    with pytest.raises(
        InputError, match=r"div_val is 2, but cutoffs are 1000, 2000 and the voc.* 999"
    ):
        bands(999, (1000, 2000), 2)
    with pytest.raises(InputError, match="div_val is 4, but there are no cutoffs"):
        bands(999, (), 4)
    assert bands(999, (1000, 2000), 1) == [999]
    with pytest.raises(
        InputError, match="d_embed 32 divided by div_val 32 leaves no width for band 3"
    ):
        band_widths(parse({**PLAIN, "d_embed": 32, "div_val": 32}), 3)


# Sampling


def test_sizes_between_limits_are_spread_evenly_by_their_logarithm() -> None:
    rng = random.Random(0)
    low, high = 300_000, 3_000_000
    drawn = [sampling.sample(rng, (low, high)) for _ in range(200)]
    places = [math.log(decoder_parameters(each) / low) / math.log(high / low) for each in drawn]
    assert all(0 <= place <= 1 for place in places)
    thirds = [sum(i / 3 <= place < (i + 1) / 3 for place in places) for i in range(3)]
    assert min(thirds) > 50
    assert len({each.n_layer for each in drawn}) > 10
    assert all(min(each.d_inner) >= 128 and max(each.d_inner) <= 4096 for each in drawn)
    assert any(len(set(each.d_inner)) > 1 for each in drawn)


def test_limits_without_decoders_are_refused() -> None:
    for limits in ((10, 20), (20, 10), (-1, 5), (10**12, 10**13)):
        with pytest.raises(InputError, match=r"no decoder was found .* the space has those of"):
            sampling.sample(random.Random(0), limits)


@given(st.integers(0, 2**32))
def test_any_genes_give_a_valid_decoder_and_come_back_from_it(seed: int) -> None:
    drawn = sampling.sample(random.Random(seed))
    assert parse(drawn.to_dict()) == drawn
    genes = sampling.genes(drawn)
    assert genes is not None
    assert sampling.suggest(optuna.trial.FixedTrial(genes)) == drawn


def test_genes_of_layers_that_there_are() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(10):
        trial = study.ask()
        layers = sampling.suggest(trial).n_layer
        assert f"layer {layers} n_head" in trial.params
        assert f"layer {layers + 1} n_head" not in trial.params
        study.tell(trial, 0.0)


def test_decoders_outside_of_the_genes_have_none() -> None:
    assert sampling.genes(DECODERS["gpt2"]) is not None
    assert sampling.genes(parse({**PLAIN, "d_inner": 129})) is None
    assert sampling.genes(parse({**PLAIN, "n_head": 8})) is None
    assert sampling.genes(parse({**PLAIN, "n_layer": 1})) is None


def test_no_key_stands_twice() -> None:
    for text in (
        '{"n_layer": 2, "n_layer": 4, "d_model": 8, "n_head": 2, "d_inner": 16}',
        '{"space": "gpt", "architecture": {"n_layer": 2, "n_layer": 4}}',
    ):
        with pytest.raises(InputError, match="'n_layer' stands twice"):
            GptSpace().parse(text)
