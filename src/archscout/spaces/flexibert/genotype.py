"""Encoders of the FlexiBERT space: genotypes, the published sampler, and a search's genes.

Sources: Tuli et al. 2022, "FlexiBERT"; Serianni and Kalita 2023, "Training-free neural
architecture search for RNNs and transformers", whose benchmark file gives the JSON form and
whose code the sampler.
"""

from __future__ import annotations

import hashlib
import json
import random
import reprlib
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeVar

from pydantic import BaseModel, ConfigDict

from archscout.errors import InputError, nearest
from archscout.spaces.base import Trial, unique_keys

# The order of all choices is the published sampler's: with it, a seed gives the published sample.
HIDDEN_SIZES: Final = (128, 256)
NUM_LAYERS: Final = (2, 4)
OPERATIONS: Final[Mapping[str, tuple[str | int, ...]]] = {
    "SA": ("SDP", "WMA"),
    "LT": ("DFT", "DCT"),
    "DSC": (5, 9),
}
LAYER_SIZES: Final[Mapping[str, tuple[int, ...]]] = {
    "num_operation_heads": (2, 4),
    "feed_forward_dimension": (512, 1024),
    "num_feed_forward": (1, 3),
}

_LAYER_KEYS = ("operation_type", "operation_parameter", *LAYER_SIZES)
_SHAPE = '{"hidden_size": ..., "nas_config": {"encoder_layers": [...]}}'
_SHOWN_LENGTH = 60

T = TypeVar("T")


class _Checked(BaseModel):
    """A model that refuses bad values with InputError.

    The check stands in a base class's initialiser: pydantic wraps what its own validators raise,
    and an initialiser in the models themselves would hide their fields' types from mypy.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    def __init__(self, /, **values: Any) -> None:
        super().__init__(**self._checked(values))

    @classmethod
    def _checked(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        raise NotImplementedError


class EncoderLayer(_Checked):
    """One layer of an encoder: a mixing operation and the feed-forward layers after it.

    Attributes:
        operation_type: `SA` (self-attention), `LT` (linear transform) or `DSC` (span-based
            dynamic convolution).
        operation_parameter: `SDP` (scaled dot product) or `WMA` (weighted multiplicative) for
            SA, `DFT` or `DCT` for LT, the kernel's size, 5 or 9, for DSC.
        num_operation_heads: 2 or 4.
        feed_forward_dimension: 512 or 1024.
        num_feed_forward: feed-forward layers, 1 or 3.

    Raises:
        InputError: a field is missing, unknown or none of its choices.
    """

    operation_type: str
    operation_parameter: str | int
    num_operation_heads: int
    feed_forward_dimension: int
    num_feed_forward: int

    @property
    def operation(self) -> str:
        """Type and parameter in one word, such as `SA-SDP` or `DSC-5`."""
        return f"{self.operation_type}-{self.operation_parameter}"

    @property
    def short_operation(self) -> str:
        """SDP, WMA, DFT, DCT, DSC-5 or DSC-9: only a kernel's size does not tell the type."""
        parameter = self.operation_parameter
        return parameter if isinstance(parameter, str) else self.operation

    @classmethod
    def _checked(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        _check_layer(values, "layer")
        return values


class EncoderGenotype(_Checked):
    """An encoder: its width and its layers, the first nearest to the input.

    Attributes:
        hidden_size: 128 or 256.
        layers: 2 or 4 of them.

    Raises:
        InputError: a field is missing, unknown or none of its choices.
    """

    hidden_size: int
    layers: tuple[EncoderLayer, ...]

    @property
    def num_layers(self) -> int:
        """Number of layers, 2 or 4."""
        return len(self.layers)

    def to_dict(self) -> dict[str, Any]:
        """The genotype as plain JSON types, in the form of the benchmark file."""
        layers = [layer.model_dump() for layer in self.layers]
        return {"hidden_size": self.hidden_size, "nas_config": {"encoder_layers": layers}}

    def to_json(self) -> str:
        """The genotype as one line of JSON, the same for equal genotypes."""
        return json.dumps(self.to_dict())

    @classmethod
    def _checked(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        _check_keys(values, "genotype", ("hidden_size", "layers"))
        _check_choice(values["hidden_size"], HIDDEN_SIZES, "genotype: hidden_size")
        layers = values["layers"]
        counts = _either(NUM_LAYERS)
        if not isinstance(layers, list | tuple):
            raise InputError(
                f"genotype's layers are {_shown(layers)}; a list of {counts} is accepted"
            )
        if len(layers) not in NUM_LAYERS:
            found = "1 layer" if len(layers) == 1 else f"{len(layers) or 'no'} layers"
            raise InputError(f"genotype has {found}; {counts} are accepted")
        for number, layer in enumerate(layers, 1):
            if not isinstance(layer, EncoderLayer):
                _check_layer(layer, f"layer {number}")
        made = (each if isinstance(each, EncoderLayer) else EncoderLayer(**each) for each in layers)
        return {"hidden_size": values["hidden_size"], "layers": tuple(made)}


def parse(document: object) -> EncoderGenotype:
    """A genotype from JSON (text or parsed), an entry of the benchmark file, or itself.

    JSON is ``{"hidden_size": ..., "nas_config": {"encoder_layers": [{"operation_type": ...,
    "operation_parameter": ..., "num_operation_heads": ..., "feed_forward_dimension": ...,
    "num_feed_forward": ...}, ...]}}``, or an object that has this at
    ``hparams.model_hparam_overrides``.

    Raises:
        InputError: the text is not JSON, not of this shape, or has a value that is none of its
            choices; the message names the value, its place and what is accepted.
    """
    if isinstance(document, EncoderGenotype):
        return document
    if isinstance(document, str | bytes | bytearray):
        document = _from_json(document)
    place = "genotype"
    if isinstance(document, Mapping) and "hparams" in document:
        place, hparams = "model_hparam_overrides", document["hparams"]
        if not isinstance(hparams, Mapping) or place not in hparams:
            raise InputError(f"hparams is {_shown(hparams)}; expected an object with {place}")
        document = hparams[place]
    if not isinstance(document, Mapping):
        raise InputError(f"{place} is {_shown(document)}; expected an object {_SHAPE}")
    _check_keys(document, place, ("hidden_size", "nas_config"))
    config = document["nas_config"]
    _check_keys(config, "nas_config", ("encoder_layers",))
    return EncoderGenotype(hidden_size=document["hidden_size"], layers=config["encoder_layers"])


def fingerprint(genotype: EncoderGenotype) -> str:
    """Sixteen hexadecimal digits that equal genotypes share."""
    return hashlib.sha256(genotype.to_json().encode()).hexdigest()[:16]


def describe(genotype: EncoderGenotype) -> str:
    """The genotype in a few words: width, then each layer's operation, heads and feed-forward.

    Example:
        >>> describe(published_sample()[3])
        '128 wide: DSC-9 4h 512, DSC-5 2h 512'
    """
    return f"{genotype.hidden_size} wide: " + ", ".join(map(_describe_layer, genotype.layers))


def size() -> int:
    """The number of architectures in the space.

    Example:
        >>> size()
        10621440
    """
    of_a_layer = sum(map(len, OPERATIONS.values()))
    for choices in LAYER_SIZES.values():
        of_a_layer *= len(choices)
    return len(HIDDEN_SIZES) * sum(of_a_layer**count for count in NUM_LAYERS)


def sample(rng: random.Random) -> EncoderGenotype:
    """A genotype drawn as by the published sampler, choice by choice.

    Half of the genotypes have two layers, though hardly any of the space's do; so the published
    sample, too, has some genotypes twice.
    """
    hidden_size = rng.choice(HIDDEN_SIZES)
    num_layers = rng.choice(NUM_LAYERS)
    layers = tuple(_sample_layer(rng) for _ in range(num_layers))
    return EncoderGenotype(hidden_size=hidden_size, layers=layers)


def published_sample() -> tuple[EncoderGenotype, ...]:
    """The 500 genotypes of the benchmark, each at the index that is its id there."""
    rng = random.Random(0)
    return tuple(sample(rng) for _ in range(500))


def suggest(trial: Trial) -> EncoderGenotype:
    """A genotype from genes that a search suggests; every setting of the genes gives a valid one.

    The genes are `hidden_size`, `num_layers`, and for each layer of the largest encoder
    `layer 1 operation`, `layer 1 num_operation_heads`, `layer 1 feed_forward_dimension` and
    `layer 1 num_feed_forward`. All are suggested every time, so that any two trials can be
    crossed over; those of layers that a smaller encoder lacks are not read. A type and its
    parameter are one gene, for neither means anything without the other.
    """
    hidden_size = _suggest(trial, "hidden_size", HIDDEN_SIZES)
    num_layers = _suggest(trial, "num_layers", NUM_LAYERS)
    layers = [_suggest_layer(trial, number) for number in range(1, max(NUM_LAYERS) + 1)]
    return EncoderGenotype(hidden_size=hidden_size, layers=tuple(layers[:num_layers]))


def genes(genotype: EncoderGenotype) -> dict[str, str]:
    """Genes by which `suggest` gives a genotype; layers that it lacks are as its last one."""
    found = {"hidden_size": str(genotype.hidden_size), "num_layers": str(genotype.num_layers)}
    for number in range(1, max(NUM_LAYERS) + 1):
        layer = genotype.layers[min(number, genotype.num_layers) - 1]
        found[f"layer {number} operation"] = layer.operation
        found |= {f"layer {number} {name}": str(getattr(layer, name)) for name in LAYER_SIZES}
    return found


def _describe_layer(layer: EncoderLayer) -> str:
    times = f"x{layer.num_feed_forward}" if layer.num_feed_forward > 1 else ""
    sizes = f"{layer.num_operation_heads}h {layer.feed_forward_dimension}{times}"
    return f"{layer.short_operation} {sizes}"


def _sample_layer(rng: random.Random) -> EncoderLayer:
    kind = rng.choice(tuple(OPERATIONS))
    parameter = rng.choice(OPERATIONS[kind])
    sizes = {name: rng.choice(choices) for name, choices in LAYER_SIZES.items()}
    return EncoderLayer(operation_type=kind, operation_parameter=parameter, **sizes)


def _suggest(trial: Trial, name: str, choices: Iterable[T]) -> T:
    by_word = {str(choice): choice for choice in choices}
    return by_word[trial.suggest_categorical(name, tuple(by_word))]


def _suggest_layer(trial: Trial, number: int) -> EncoderLayer:
    operations = {
        f"{kind}-{parameter}": (kind, parameter)
        for kind, parameters in OPERATIONS.items()
        for parameter in parameters
    }
    kind, parameter = operations[_suggest(trial, f"layer {number} operation", operations)]
    sizes = {
        name: _suggest(trial, f"layer {number} {name}", choices)
        for name, choices in LAYER_SIZES.items()
    }
    return EncoderLayer(operation_type=kind, operation_parameter=parameter, **sizes)


def _from_json(text: str | bytes | bytearray) -> object:
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(
            f"genotype {_shown(text)} is not valid JSON: {error}; expected an object {_SHAPE}"
        ) from error


def _check_layer(layer: object, place: str) -> None:
    values = _check_keys(layer, place, _LAYER_KEYS)
    kind, parameter = values["operation_type"], values["operation_parameter"]
    _check_choice(kind, OPERATIONS, f"{place}: operation_type")
    if not _is_one_of(parameter, OPERATIONS[kind]):
        raise InputError(
            f"{place}: operation_parameter is {_shown(parameter)}; with operation_type {kind!r} "
            f"it is {_either(OPERATIONS[kind])}"
        )
    for name, choices in LAYER_SIZES.items():
        _check_choice(values[name], choices, f"{place}: {name}")


def _check_keys(document: object, place: str, keys: Collection[str]) -> Mapping[str, Any]:
    """The document, which is an object with these keys and no others."""
    accepted = ", ".join(keys)
    if not isinstance(document, Mapping):
        raise InputError(
            f"{place} is {_shown(document)}; expected an object with the keys {accepted}"
        )
    for key in document:
        if key not in keys:
            hint = nearest(key, keys) if isinstance(key, str) else ""
            raise InputError(f"{place}: unknown key {_shown(key)}{hint}; accepted: {accepted}")
    if missing := [key for key in keys if key not in document]:
        raise InputError(f"{place} has no {' and no '.join(missing)}; it needs {accepted}")
    return document


def _check_choice(value: object, choices: Collection[str | int], name: str) -> None:
    if not _is_one_of(value, choices):
        raise InputError(f"{name} is {_shown(value)}; accepted: {_either(choices)}")


def _is_one_of(value: object, choices: Iterable[str | int]) -> bool:
    # By type as well, for True equals 1, and 2.0 equals 2.
    return any(type(value) is type(choice) and value == choice for choice in choices)


def _either(choices: Iterable[str | int]) -> str:
    *others, last = map(repr, choices)
    return f"{', '.join(others)} or {last}"


def _shown(value: object) -> str:
    # Plain repr fails on what is nested too deep, and takes long on what is large.
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = _SHOWN_LENGTH
    try:
        text = brief.repr(value)
    except ValueError:  # Python writes no integer of more than some thousand digits
        text = f"a very long {type(value).__name__}"
    return text if len(text) <= _SHOWN_LENGTH else text[: _SHOWN_LENGTH - 3] + "..."
