"""Genotypes of the FlexiBERT space: their JSON, the published sample, and a search's genes."""

import copy
import hashlib
import itertools
import json
import pickle
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from archscout.errors import InputError
from archscout.spaces.flexibert.genotype import (
    HIDDEN_SIZES,
    LAYER_SIZES,
    EncoderGenotype,
    EncoderLayer,
    describe,
    fingerprint,
    parse,
    published_sample,
    sample,
    size,
    suggest,
)

# Written out here, so that a change of the choices cannot go unseen.
PARAMETERS: dict[str, list[str | int]] = {"SA": ["SDP", "WMA"], "LT": ["DFT", "DCT"], "DSC": [5, 9]}
OPERATIONS = ("SA-SDP", "SA-WMA", "LT-DFT", "LT-DCT", "DSC-5", "DSC-9")
GENES = {
    "hidden_size": ("128", "256"),
    "num_layers": ("2", "4"),
    **{
        f"layer {number} {name}": choices
        for number in (1, 2, 3, 4)
        for name, choices in {
            "operation": OPERATIONS,
            "num_operation_heads": ("2", "4"),
            "feed_forward_dimension": ("512", "1024"),
            "num_feed_forward": ("1", "3"),
        }.items()
    },
}

genotypes = st.integers(0, 2**32).map(lambda seed: sample(random.Random(seed)))
settings_of_genes = st.fixed_dictionaries({k: st.sampled_from(v) for k, v in GENES.items()})
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


def layer(**changes: object) -> dict[str, Any]:
    """A valid layer, with fields changed; None removes one."""
    fields = {
        "operation_type": "SA",
        "operation_parameter": "SDP",
        "num_operation_heads": 4,
        "feed_forward_dimension": 1024,
        "num_feed_forward": 3,
    } | changes
    return {name: value for name, value in fields.items() if value is not None}


def encoder(*layers: object, hidden_size: object = 256) -> dict[str, Any]:
    """A document of these layers, or of two valid ones."""
    chosen = list(layers) if layers else [layer(), layer()]
    return {"hidden_size": hidden_size, "nas_config": {"encoder_layers": chosen}}


def all_layers() -> list[EncoderLayer]:
    """Whatever passes of all combinations, also of types with other types' parameters."""
    parameters = [parameter for pair in PARAMETERS.values() for parameter in pair]
    found = []
    for values in itertools.product(PARAMETERS, parameters, (1, 2, 4), (512, 1024), (1, 2, 3)):
        try:
            found.append(EncoderLayer(**dict(zip(EncoderLayer.model_fields, values, strict=True))))
        except InputError:
            continue
    return found


def problem(document: object) -> str:
    """The message with which a document is refused, which is short and no traceback."""
    with pytest.raises(InputError) as refusal:
        parse(document)
    message = str(refusal.value)
    assert "validation error" not in message
    assert len(message) < 400
    assert "\n" not in message
    return message


# Reading and writing


@given(genotypes)
@settings(deadline=None, max_examples=100)
def test_a_genotype_survives_the_round_trip_through_json(genotype: EncoderGenotype) -> None:
    text = genotype.to_json()
    for document in (text, text.encode(), bytearray(text.encode()), genotype.to_dict()):
        read = parse(document)
        assert read == genotype
        assert hash(read) == hash(genotype)
        assert fingerprint(read) == fingerprint(genotype)
        assert read.to_json() == text
    assert json.loads(text) == genotype.to_dict()
    assert "\n" not in text


def test_json_is_written_as_in_the_benchmark_file() -> None:
    document = {
        "hidden_size": 128,
        "nas_config": {
            "encoder_layers": [
                {
                    "operation_type": "DSC",
                    "operation_parameter": 9,
                    "num_operation_heads": 4,
                    "feed_forward_dimension": 512,
                    "num_feed_forward": 1,
                },
                {
                    "operation_type": "LT",
                    "operation_parameter": "DCT",
                    "num_operation_heads": 2,
                    "feed_forward_dimension": 1024,
                    "num_feed_forward": 3,
                },
            ]
        },
    }
    genotype = parse(document)
    assert genotype.to_json() == json.dumps(document)
    assert genotype.hidden_size == 128
    assert genotype.num_layers == 2
    assert [each.operation for each in genotype.layers] == ["DSC-9", "LT-DCT"]


def test_the_order_of_keys_does_not_count() -> None:
    fields = dict(reversed(layer().items()))
    document = dict(reversed(encoder(fields, fields).items()))
    assert parse(document) == parse(encoder())
    assert parse(document).to_json() == parse(encoder()).to_json()


def test_an_entry_of_the_benchmark_file_is_read_as_its_genotype() -> None:
    entry = {"id": 7, "hparams": {"rate": 0.1, "model_hparam_overrides": encoder()}, "scores": {}}
    assert parse(entry) == parse(json.dumps(entry)) == parse(encoder())


def test_a_genotype_is_read_as_itself() -> None:
    genotype = parse(encoder())
    assert parse(genotype) is genotype


def test_mappings_and_tuples_are_read_as_objects_and_lists() -> None:
    fields = MappingProxyType(layer())
    document = {"hidden_size": 256, "nas_config": {"encoder_layers": (fields, fields)}}
    assert parse(MappingProxyType(document)) == parse(encoder())


def test_a_genotype_cannot_be_changed_and_can_be_copied() -> None:
    genotype = parse(encoder())
    with pytest.raises(ValidationError):
        genotype.hidden_size = 128  # type: ignore[misc]
    with pytest.raises(ValidationError):
        genotype.layers[0].num_feed_forward = 1  # type: ignore[misc]
    assert copy.deepcopy(genotype) == genotype
    assert pickle.loads(pickle.dumps(genotype)) == genotype


# What is refused


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            encoder(layer(), layer(operation_parameter="DFT")),
            "layer 2: operation_parameter is 'DFT'; with operation_type 'SA' it is 'SDP' or 'WMA'",
        ),
        (
            encoder(layer(operation_type="DSC", operation_parameter="5"), layer()),
            "layer 1: operation_parameter is '5'; with operation_type 'DSC' it is 5 or 9",
        ),
        (
            encoder(layer(operation_type="DSC", operation_parameter=7), layer()),
            "layer 1: operation_parameter is 7; with operation_type 'DSC' it is 5 or 9",
        ),
        (
            encoder(layer(), layer(operation_type="CNN")),
            "layer 2: operation_type is 'CNN'; accepted: 'SA', 'LT' or 'DSC'",
        ),
        (
            encoder(layer(), layer(operation_type=["SA"])),
            "layer 2: operation_type is ['SA']; accepted: 'SA', 'LT' or 'DSC'",
        ),
        (
            encoder(layer(num_operation_heads=3), layer()),
            "layer 1: num_operation_heads is 3; accepted: 2 or 4",
        ),
        (
            encoder(layer(num_operation_heads=8), layer()),
            "layer 1: num_operation_heads is 8; accepted: 2 or 4",
        ),
        (
            encoder(layer(num_operation_heads=2.0), layer()),
            "layer 1: num_operation_heads is 2.0; accepted: 2 or 4",
        ),
        (
            encoder(layer(), layer(feed_forward_dimension="512")),
            "layer 2: feed_forward_dimension is '512'; accepted: 512 or 1024",
        ),
        (
            encoder(layer(num_feed_forward=True), layer()),
            "layer 1: num_feed_forward is True; accepted: 1 or 3",
        ),
        (
            encoder(layer(num_feed_forward=2), layer()),
            "layer 1: num_feed_forward is 2; accepted: 1 or 3",
        ),
        (encoder(hidden_size=512), "genotype: hidden_size is 512; accepted: 128 or 256"),
        (encoder(hidden_size="256"), "genotype: hidden_size is '256'; accepted: 128 or 256"),
        (encoder(hidden_size=None), "genotype: hidden_size is None; accepted: 128 or 256"),
        (
            encoder(hidden_size=float("nan")),
            "genotype: hidden_size is nan; accepted: 128 or 256",
        ),
        (
            {"hidden_size": 128, "nas_config": {"encoder_layers": []}},
            "genotype has no layers; 2 or 4 are accepted",
        ),
        (encoder(layer()), "genotype has 1 layer; 2 or 4 are accepted"),
        (encoder(layer(), layer(), layer()), "genotype has 3 layers; 2 or 4 are accepted"),
        (
            {"hidden_size": 128, "nas_config": {"encoder_layers": "SA"}},
            "genotype's layers are 'SA'; a list of 2 or 4 is accepted",
        ),
        (
            {"hidden_size": 128, "nas_config": {"encoder_layers": {"0": layer()}}},
            "genotype's layers are {'0': {'feed_forward_dimension': 1024, ",
        ),
        (
            encoder(layer(), "SA"),
            "layer 2 is 'SA'; expected an object with the keys operation_type, ",
        ),
        (
            encoder(layer(num_feed_forward=None), layer()),
            "layer 1 has no num_feed_forward; it needs operation_type, operation_parameter, "
            "num_operation_heads, feed_forward_dimension, num_feed_forward",
        ),
        (
            encoder(layer(), {"operation_type": "SA", "operation_parameter": "SDP"}),
            "layer 2 has no num_operation_heads and no feed_forward_dimension and no "
            "num_feed_forward; it needs ",
        ),
        (
            encoder(layer(), layer(num_operation_heads=None, num_operation_head=2)),
            "layer 2: unknown key 'num_operation_head' (did you mean num_operation_heads?); "
            "accepted: operation_type, ",
        ),
        (
            encoder(layer() | {1: 2}, layer()),
            "layer 1: unknown key 1; accepted: operation_type, ",
        ),
        (
            encoder() | {"hiden_size": 128},
            "genotype: unknown key 'hiden_size' (did you mean hidden_size?); accepted: "
            "hidden_size, nas_config",
        ),
        ({"hidden_size": 128}, "genotype has no nas_config; it needs hidden_size, nas_config"),
        ({}, "genotype has no hidden_size and no nas_config; it needs hidden_size, nas_config"),
        (
            {"hidden_size": 128, "nas_config": [layer(), layer()]},
            "nas_config is [{'feed_forward_dimension': 1024, ",
        ),
        (
            {"hidden_size": 128, "nas_config": {"encoder_layer": []}},
            "nas_config: unknown key 'encoder_layer' (did you mean encoder_layers?); accepted: "
            "encoder_layers",
        ),
        ({"hparams": 3}, "hparams is 3; expected an object with model_hparam_overrides"),
        (
            {"hparams": {"seed": 1}},
            "hparams is {'seed': 1}; expected an object with model_hparam_overrides",
        ),
        (
            {"hparams": {"model_hparam_overrides": None}},
            'model_hparam_overrides is None; expected an object {"hidden_size": ..., "nas_config"',
        ),
        (
            {"hparams": {"model_hparam_overrides": {"nas_config": {}}}},
            "model_hparam_overrides has no hidden_size; it needs hidden_size, nas_config",
        ),
        (None, 'genotype is None; expected an object {"hidden_size": ..., "nas_config": '),
        (17, "genotype is 17; expected an object {"),
        ([encoder()], "genotype is [{'hidden_size': 256, "),
        ("[]", "genotype is []; expected an object {"),
        ('"SA"', "genotype is 'SA'; expected an object {"),
        ("", "genotype '' is not valid JSON: Expecting value"),
        ("bert", "genotype 'bert' is not valid JSON: Expecting value"),
        ('{"hidden_size": 128', "genotype '{\"hidden_size\": 128' is not valid JSON: "),
        (b"\xff\xfe\xff", "genotype b'\\xff\\xfe\\xff' is not valid JSON: "),
        ('{"hidden_size": 128, "hidden_size": 128}', "'hidden_size' stands twice in one object"),
        ('{"hidden_size": ' + "1" * 5000 + "}", 'genotype \'{"hidden_size": 1111'),
        ("[" * 100_000, "genotype '[[[[[[[[["),
        ("[" * 100_000 + "]" * 100_000, "genotype '[[[[[[[[["),
        ('{"nas_config": ' * 100_000, "genotype '{"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_what_is_accepted(
    document: Any, message: str
) -> None:
    assert problem(document).startswith(message)
    if isinstance(document, dict) and all(isinstance(key, str) for key in document):
        try:
            text = json.dumps(document)
        except (TypeError, ValueError):
            return
        if json.loads(text) == document:
            assert problem(text).startswith(message)


def nested(depth: int) -> list[Any]:
    value: list[Any] = []
    for _ in range(depth):
        value = [value]
    return value


def endless() -> dict[str, Any]:
    value: dict[str, Any] = {"hidden_size": 128}
    value["nas_config"] = value
    return value


@pytest.mark.parametrize(
    "make",
    [
        lambda: nested(50),
        lambda: nested(100_000),
        endless,
        lambda: 10**10_000,
        lambda: "x" * 10**7,
        object,
        lambda: {1, 2},
    ],
)
def test_values_that_cannot_be_shown_whole_are_refused_in_short(make: Callable[[], Any]) -> None:
    value = make()
    assert problem(encoder(hidden_size=value)).startswith("genotype: hidden_size is ")
    assert problem(encoder(value, layer())).startswith("layer 1")
    assert problem(encoder(layer(num_feed_forward=value), layer())).startswith("layer 1: num_feed")
    assert problem({"hidden_size": 128, "nas_config": value}).startswith("nas_config")
    assert problem({"hparams": value}).startswith("hparams")


def test_long_and_odd_keys_are_shown_in_short() -> None:
    assert "unknown key 'xxx" in problem(encoder() | {"x" * 10**6: 1})
    assert "unknown key '\\ud800'" in problem(encoder() | {"\ud800": 1})
    assert "unknown key ''" in problem(encoder() | {"": 1})


@given(json_values)
@settings(deadline=None, max_examples=100)
def test_any_other_json_is_refused(document: object) -> None:
    problem(document)
    problem(json.dumps(document))


@given(
    genotypes,
    st.sampled_from(
        [
            ("hidden_size",),
            ("nas_config",),
            ("nas_config", "encoder_layers"),
            ("nas_config", "encoder_layers", 0),
            *(("nas_config", "encoder_layers", 1, name) for name in layer()),
        ]
    ),
    json_values,
)
@settings(deadline=None, max_examples=100)
def test_any_value_in_any_place_is_refused_unless_it_is_a_choice(
    genotype: EncoderGenotype, place: Sequence[Any], value: object
) -> None:
    document = genotype.to_dict()
    *way, last = place
    target: Any = document
    for part in way:
        target = target[part]
    target[last] = value
    try:
        read = parse(document)
    except InputError:
        problem(document)
    else:
        # The few values that are choices themselves make other genotypes.
        assert read.to_json() == json.dumps(document)


def test_genotypes_that_are_made_in_python_are_checked_as_well() -> None:
    good = EncoderLayer(**layer())
    assert EncoderGenotype(hidden_size=256, layers=(good, good)) == parse(encoder())
    with pytest.raises(InputError, match=r"^layer: num_operation_heads is 3; accepted: 2 or 4$"):
        EncoderLayer(**layer(num_operation_heads=3))
    with pytest.raises(InputError, match=r"^layer has no num_feed_forward; it needs "):
        EncoderLayer(**layer(num_feed_forward=None))
    with pytest.raises(InputError, match=r"^layer: unknown key 'heads'"):
        EncoderLayer(**layer(heads=3))
    with pytest.raises(InputError, match=r"^genotype has 1 layer; 2 or 4 are accepted$"):
        EncoderGenotype(hidden_size=256, layers=(good,))
    with pytest.raises(InputError, match=r"^genotype: hidden_size is 64; accepted: 128 or 256$"):
        EncoderGenotype(hidden_size=64, layers=(good, good))


def test_any_number_of_heads_divides_any_hidden_size() -> None:
    for hidden_size, heads in itertools.product(HIDDEN_SIZES, LAYER_SIZES["num_operation_heads"]):
        assert hidden_size % heads == 0


# Fingerprints, descriptions, the number of architectures


def test_a_fingerprint_is_the_start_of_the_jsons_hash() -> None:
    genotype = parse(encoder())
    digest = hashlib.sha256(json.dumps(encoder()).encode()).hexdigest()
    assert fingerprint(genotype) == digest[:16]
    assert re.fullmatch("[0-9a-f]{16}", fingerprint(genotype))


@given(genotypes, genotypes)
@settings(deadline=None, max_examples=100)
def test_fingerprints_and_descriptions_are_equal_where_genotypes_are(
    first: EncoderGenotype, second: EncoderGenotype
) -> None:
    assert (fingerprint(first) == fingerprint(second)) == (first == second)
    assert (describe(first) == describe(second)) == (first == second)


def test_all_encoders_of_two_layers_have_their_own_fingerprint_and_description() -> None:
    encoders = [
        EncoderGenotype(hidden_size=hidden_size, layers=layers)
        for hidden_size in (128, 256)
        for layers in itertools.product(all_layers(), repeat=2)
    ]
    assert len(encoders) == 2 * 48**2
    assert len(set(map(fingerprint, encoders))) == len(encoders)
    assert len(set(map(describe, encoders))) == len(encoders)


def test_the_size_is_that_of_all_layers_in_all_places() -> None:
    count = len(set(all_layers()))
    assert count == 48
    assert size() == 2 * (count**2 + count**4) == 10_621_440


def test_a_description_names_width_operations_heads_and_feed_forward_layers() -> None:
    genotype = parse(
        encoder(
            layer(),
            layer(
                operation_type="LT",
                operation_parameter="DCT",
                num_operation_heads=2,
                feed_forward_dimension=512,
                num_feed_forward=1,
            ),
            layer(
                operation_type="DSC",
                operation_parameter=5,
                feed_forward_dimension=512,
                num_feed_forward=1,
            ),
            layer(operation_parameter="WMA", num_operation_heads=2, num_feed_forward=1),
        )
    )
    assert describe(genotype) == "256 wide: SDP 4h 1024x3, DCT 2h 512, DSC-5 4h 512, WMA 2h 1024"


# Sampling


def test_the_published_sample_is_the_benchmarks(shared: Path) -> None:
    file = shared / "upstream/training-free-nas/data/BERT_benchmark.json"
    if not file.is_file():
        pytest.skip(f"the benchmark is not here: no file {file.name} in the reference data")
    entries = json.loads(file.read_text())
    drawn = published_sample()
    assert entries
    for entry in entries:
        genotype = drawn[entry["id"]]
        assert genotype.to_dict() == entry["hparams"]["model_hparam_overrides"], entry["id"]
        assert parse(entry) == genotype
        assert genotype.to_json() == json.dumps(entry["hparams"]["model_hparam_overrides"])


def test_the_published_sample_stays_what_it_is() -> None:
    drawn = published_sample()
    assert len(drawn) == 500
    assert len(set(drawn)) == 491
    assert describe(drawn[3]) == "128 wide: DSC-9 4h 512, DSC-5 2h 512"
    text = "\n".join(genotype.to_json() for genotype in drawn)
    assert hashlib.sha256(text.encode()).hexdigest() == (
        "2f176078d0c0f847e05c80ccce429014c5f9a2cab2e9e05d5f88c39b4251bfaf"
    )


def test_choices_are_drawn_in_the_published_order() -> None:
    class Last(random.Random):
        asked: list[list[Any]]

        def choice(self, seq: Any) -> Any:
            self.asked.append(list(seq))
            return seq[-1]

    rng = Last()
    rng.asked = []
    genotype = sample(rng)
    of_a_layer = [["SA", "LT", "DSC"], [5, 9], [2, 4], [512, 1024], [1, 3]]
    assert rng.asked == [[128, 256], [2, 4], *of_a_layer * 4]
    assert describe(genotype) == "256 wide: " + ", ".join(["DSC-9 4h 1024x3"] * 4)


def test_a_sample_leaves_pythons_own_generator_alone() -> None:
    before = random.getstate()
    published_sample()
    assert random.getstate() == before


def test_a_seed_gives_the_same_sample() -> None:
    assert sample(random.Random(5)) == sample(random.Random(5))
    assert published_sample() == published_sample()
    assert published_sample()[0] == sample(random.Random(0))


# Genotypes from genes


class Genes:
    """Answers that a search might give, by name; what is not set is the first choice."""

    def __init__(self, genes: Mapping[str, str] | None = None) -> None:
        self.genes = genes or {}
        self.asked: dict[str, tuple[str, ...]] = {}

    def suggest_int(self, name: str, low: int, high: int) -> int:
        raise AssertionError(f"{name} is drawn as a number")

    def suggest_float(self, name: str, low: float, high: float) -> float:
        raise AssertionError(f"{name} is drawn as a number")

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        assert name not in self.asked
        self.asked[name] = choices
        value = self.genes.get(name, choices[0])
        assert value in choices
        return value


@given(settings_of_genes)
@settings(deadline=None, max_examples=200)
def test_every_setting_of_the_genes_gives_the_genotype_that_it_says(genes: dict[str, str]) -> None:
    trial = Genes(genes)
    genotype = suggest(trial)
    assert trial.asked == GENES
    assert parse(genotype.to_json()) == genotype
    assert str(genotype.hidden_size) == genes["hidden_size"]
    assert str(genotype.num_layers) == genes["num_layers"]
    for number, each in enumerate(genotype.layers, 1):
        assert each.operation == genes[f"layer {number} operation"]
        for name in ("num_operation_heads", "feed_forward_dimension", "num_feed_forward"):
            assert str(getattr(each, name)) == genes[f"layer {number} {name}"]


@given(settings_of_genes, settings_of_genes)
@settings(deadline=None, max_examples=100)
def test_genotypes_differ_where_genes_differ_that_are_read(
    first: dict[str, str], second: dict[str, str]
) -> None:
    def read(genes: dict[str, str]) -> dict[str, str]:
        absent = ("layer 3", "layer 4") if genes["num_layers"] == "2" else ()
        return {k: v for k, v in genes.items() if not k.startswith(absent)}

    same = read(first) == read(second)
    assert (suggest(Genes(first)) == suggest(Genes(second))) == same
    unread = second | {"num_layers": "2"} | {k: v for k, v in first.items() if k[:7] == "layer 3"}
    assert suggest(Genes(unread)) == suggest(Genes(second | {"num_layers": "2"}))


def test_one_gene_changes_one_thing() -> None:
    base = {"num_layers": "4"}
    unchanged = suggest(Genes(base)).to_json()
    for name, choices in GENES.items():
        others = {suggest(Genes(base | {name: choice})).to_json() for choice in choices}
        assert len(others) == len(choices)
        assert unchanged in others


def few_wide(genotype: EncoderGenotype) -> tuple[float, float]:
    """A cheap objective with one best genotype, and one that pulls the other way."""
    attending = sum(each.operation == "SA-SDP" for each in genotype.layers)
    width = sum(each.feed_forward_dimension * each.num_feed_forward for each in genotype.layers)
    return attending + genotype.hidden_size / 256, float(width)


def test_optuna_draws_all_choices() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    drawn = [suggest(study.ask()) for _ in range(100)]
    assert Counter(genotype.num_layers for genotype in drawn).keys() == {2, 4}
    assert {each.operation for genotype in drawn for each in genotype.layers} == set(OPERATIONS)
    assert len(set(drawn)) > 90


def test_a_tpe_search_learns() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        direction="maximize", sampler=optuna.samplers.TPESampler(seed=0, n_startup_trials=10)
    )
    study.optimize(lambda trial: few_wide(suggest(trial))[0], n_trials=60)
    values = [trial.value or 0.0 for trial in study.trials]
    assert sum(values[-20:]) > sum(values[:20])
    assert study.best_value >= 4
    assert set(study.best_params) == set(GENES)
    assert few_wide(suggest(optuna.trial.FixedTrial(study.best_params)))[0] == study.best_value


def test_an_nsga_ii_search_crosses_over_all_genes() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        directions=["maximize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(population_size=10, seed=0),
    )
    study.optimize(lambda trial: few_wide(suggest(trial)), n_trials=80)
    assert len(study.trials) == 80
    assert all(set(trial.params) == set(GENES) for trial in study.trials)
    # Children get a whole parent's set of genes only if every trial has all of them.
    last = [few_wide(suggest(optuna.trial.FixedTrial(t.params)))[1] for t in study.trials[-20:]]
    first = [few_wide(suggest(optuna.trial.FixedTrial(t.params)))[1] for t in study.trials[:20]]
    assert sum(last) < sum(first)
