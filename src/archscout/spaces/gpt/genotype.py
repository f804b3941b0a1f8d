"""Decoders as genotypes: one shape and set of parts, and sizes of each layer.

Sources: Radford et al. 2019, "GPT-2"; Touvron et al. 2023, "Llama"; Javaheripi et al. 2022,
"LiteTransformerSearch", whose decoders differ by layer; Baevski and Auli 2019, "Adaptive input
representations" (`d_embed` and `div_val`).
"""

from __future__ import annotations

import hashlib
import json
import reprlib
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, StrictBool, ValidationError, model_validator

from archscout.errors import InputError, nearest
from archscout.spaces.base import unique_keys

Norm = Literal["layernorm", "rmsnorm"]
Activation = Literal["gelu", "relu", "swiglu"]
Position = Literal["learned", "sinusoidal", "rope"]

BY_LAYER = ("n_head", "n_kv_head", "d_inner")
_NEEDED = ("n_layer", "d_model", "n_head", "d_inner")

_LARGEST = 2**20
Size = Annotated[int, Field(strict=True, ge=1, le=_LARGEST)]


class _Refusing(BaseModel):
    """A model that refuses bad values with InputError, which pydantic would wrap."""

    def __init__(self, /, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise InputError(_complaint(error)) from error


class DecoderGenotype(_Refusing):
    """A decoder: its width, its parts, and the sizes of each layer, the first nearest to the input.

    What is said by layer may be one number, which is then that of every layer.

    Attributes:
        n_layer: number of layers.
        d_model: width of the residual stream.
        n_head: by layer, heads of attention; they divide `d_model`.
        n_kv_head: by layer, heads that keys and values have, which divide `n_head`: grouped-query
            attention (Ainslie et al. 2023). As `n_head` if left out.
        d_inner: by layer, width of the feed-forward block.
        d_embed: width of the embedding of the commonest tokens, -1 for that of the model.
        div_val: how many times narrower each band of the vocabulary is embedded than the one
            before; where the bands end, a scale says.
        norm: `layernorm` or `rmsnorm`.
        activation: of the feed-forward blocks: `gelu` (as in GPT-2, by the hyperbolic tangent),
            `relu`, or `swiglu` (gated, with three matrices in place of two).
        position: how positions enter: `learned` embeddings, `sinusoidal` ones, or `rope` (rotated
            queries and keys).
        bias: whether linear maps and layer norms have biases.

    Raises:
        InputError: a field is missing, unknown or out of range, heads do not divide, or a list has
            not one entry a layer.

    Examples:
        >>> DecoderGenotype(n_layer=2, d_model=64, n_head=4, d_inner=[128, 256]).n_head
        (4, 4)
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    n_layer: Size
    d_model: Size
    n_head: tuple[Size, ...]
    n_kv_head: tuple[Size, ...] = ()
    d_inner: tuple[Size, ...]
    d_embed: Annotated[int, Field(strict=True, ge=-1, le=_LARGEST)] = -1
    div_val: Annotated[int, Field(strict=True, ge=1, le=_LARGEST)] = 1
    norm: Norm = "layernorm"
    activation: Activation = "gelu"
    position: Position = "learned"
    bias: StrictBool = True

    @model_validator(mode="before")
    @classmethod
    def _spread(cls, values: dict[str, Any]) -> dict[str, Any]:
        """One number by layer is that of every layer; keys have as many heads as queries."""
        values = dict(values)
        if values.get("n_kv_head") is None and "n_head" in values:
            values["n_kv_head"] = values["n_head"]
        layers = values.get("n_layer")
        if _is_whole(layers) and 1 <= layers <= _LARGEST:
            alike = [name for name in BY_LAYER if _is_whole(values.get(name))]
            values |= {name: (values[name],) * layers for name in alike}
        if values.get("d_embed") == values.get("d_model"):
            values["d_embed"] = -1
        return values

    @model_validator(mode="after")
    def _check(self) -> DecoderGenotype:
        if self.d_embed == 0:
            raise InputError("d_embed is 0; accepted are -1 (as wide as the model) and 1 or more")
        for name in BY_LAYER:
            found: Sequence[int] = getattr(self, name)
            if len(found) != self.n_layer:
                raise InputError(
                    f"{name} has {len(found)} entries {_shown(list(found))}, but n_layer is "
                    f"{self.n_layer}; one for each layer, or one number for all, is accepted"
                )
        for i, (heads, groups) in enumerate(zip(self.n_head, self.n_kv_head, strict=True), 1):
            if self.d_model % heads:
                raise InputError(
                    f"layer {i}: n_head is {heads}, which does not divide d_model {self.d_model}; "
                    f"accepted: {_either(divisors(self.d_model))}"
                )
            if heads % groups:
                raise InputError(
                    f"layer {i}: n_kv_head is {groups}, which does not divide n_head {heads}; "
                    f"accepted: {_either(divisors(heads))}"
                )
            if self.position == "rope" and self.d_model // heads % 2:
                raise InputError(
                    f"layer {i}: n_head {heads} of d_model {self.d_model} makes heads of "
                    f"{self.d_model // heads}; position rope turns pairs of features, so an even "
                    "size is accepted"
                )
        return self

    @property
    def embedding_size(self) -> int:
        """How wide the commonest tokens are embedded."""
        return self.d_model if self.d_embed == -1 else self.d_embed

    @property
    def is_homogeneous(self) -> bool:
        """Whether all layers have the same sizes."""
        return all(len(set(getattr(self, name))) == 1 for name in BY_LAYER)

    def to_dict(self) -> dict[str, Any]:
        """The genotype as plain JSON types, with a list by layer."""
        return self.model_dump(mode="json")


def parse(document: Any) -> DecoderGenotype:
    """A genotype from JSON, as text or parsed.

    Raises:
        InputError: not JSON, or no genotype; the message names the value and what is accepted.
    """
    if isinstance(document, DecoderGenotype):
        return document
    shape = f"expected an object with {', '.join(_NEEDED)}"
    if isinstance(document, str | bytes | bytearray):
        try:
            document = json.loads(document, object_pairs_hook=unique_keys)
        except InputError:
            raise
        except (ValueError, RecursionError) as error:
            shown = _shown(document)
            raise InputError(f"genotype {shown} is not valid JSON: {error}; {shape}") from error
    if not isinstance(document, Mapping):
        raise InputError(f"genotype is {_shown(document)}; {shape}")
    return DecoderGenotype(**{str(name): value for name, value in document.items()})


def fingerprint(genotype: DecoderGenotype) -> str:
    """Sixteen hexadecimal digits that equal genotypes share."""
    return hashlib.sha256(genotype.model_dump_json().encode()).hexdigest()[:16]


def describe(genotype: DecoderGenotype) -> str:
    """The genotype in a few words: layers and width, heads, inner widths, and what is not GPT-2's.

    Examples:
        >>> describe(DecoderGenotype(n_layer=2, d_model=64, n_head=4, d_inner=[128, 256]))
        '2 x 64: 4 heads, inner 128-256'
    """
    heads = _range(genotype.n_head)
    if genotype.n_kv_head != genotype.n_head:
        heads += f"/{_range(genotype.n_kv_head)}"
    words = [f"{heads} heads", f"inner {_range(genotype.d_inner)}"]
    if genotype.d_embed != -1 or genotype.div_val != 1:
        narrowed = f" / {genotype.div_val}" if genotype.div_val != 1 else ""
        words.append(f"embedding {genotype.embedding_size}{narrowed}")
    words += [
        getattr(genotype, name)
        for name in ("norm", "activation", "position")
        if getattr(genotype, name) != DecoderGenotype.model_fields[name].default
    ]
    if not genotype.bias:
        words.append("no bias")
    return f"{genotype.n_layer} x {genotype.d_model}: {', '.join(words)}"


def divisors(number: int) -> list[int]:
    """The whole numbers that divide a number, from 1 up."""
    return [candidate for candidate in range(1, number + 1) if number % candidate == 0]


def _range(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return str(low) if low == high else f"{low}-{high}"


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _complaint(error: ValidationError) -> str:
    """The first problem, in one sentence."""
    problem = error.errors()[0]
    if problem["type"] == "value_error":
        return str(problem["ctx"]["error"])
    name, *rest = problem["loc"]
    if problem["type"] == "missing":
        missing = [str(p["loc"][0]) for p in error.errors() if p["type"] == "missing"]
        missing = [name for name in missing if name in _NEEDED]
        return f"genotype has no {' and no '.join(missing)}; it needs {', '.join(_NEEDED)}"
    if problem["type"] == "extra_forbidden":
        known = DecoderGenotype.model_fields
        hint = nearest(str(name), known)
        return f"genotype: unknown key {name!r}{hint}; accepted: {', '.join(known)}"
    place = f"layer {rest[0] + 1}: {name}" if rest and isinstance(rest[0], int) else str(name)
    message = problem["msg"]
    if problem["type"] == "tuple_type":
        message = "A whole number, or a list with one for each layer, is accepted"
    return f"{place} is {_shown(problem['input'])}; {message[0].lower()}{message[1:]}"


def _either(choices: Sequence[int]) -> str:
    return " or ".join(filter(None, (", ".join(map(str, choices[:-1])), str(choices[-1]))))


def _shown(value: object) -> str:
    brief = reprlib.Repr()
    brief.maxstring = brief.maxother = 60
    return brief.repr(value)
