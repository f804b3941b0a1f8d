"""What every search space offers, and the sizes at which its networks are built."""

from __future__ import annotations

import dataclasses
import json
import reprlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import (
    Any,
    Literal,
    Protocol,
    Self,
    TypeVar,
    get_args,
    get_type_hints,
    runtime_checkable,
)

from torch import Tensor, nn

from archscout.errors import InputError, nearest
from archscout.recording import Kind, Recorder

Genotype = TypeVar("Genotype")


@dataclasses.dataclass(frozen=True)
class Scale:
    """At what size networks are built and scored. Spaces add sizes of their own.

    Attributes:
        batch_size: B, sequences in the minibatch.
        sequence_length: T, tokens of each.
    """

    batch_size: int
    sequence_length: int

    @property
    def step_tokens(self) -> int:
        """How many tokens of a sequence a network takes at a time."""
        return 1

    @property
    def is_small(self) -> bool:
        """Whether the network's matrices are so small that threads cost more than they save."""
        return False

    def resized(self, **changes: int | str | None) -> Self:
        """This scale with some fields changed; None leaves a field as it is.

        What a field of text holds, the scale checks itself.

        Raises:
            InputError: the scale has no such field, a size is not a positive whole number, or a
                choice is not one of those that the field's type names.
        """
        kinds = get_type_hints(type(self))
        given: dict[str, Any] = {k: v for k, v in changes.items() if v is not None}
        for name, value in given.items():
            if name not in kinds:
                hint = nearest(name, kinds)
                raise InputError(f"unknown size {name!r}; this space has {', '.join(kinds)}{hint}")
            if kinds[name] is str:
                given[name] = str(value)
            elif choices := get_args(kinds[name]):
                if value not in choices:
                    raise InputError(f"{name} is {value!r}; accepted: {', '.join(choices)}")
            elif not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
                raise InputError(f"{name} is {value!r}; a positive whole number is accepted")
            else:
                given[name] = int(value)
        return dataclasses.replace(self, **given)


def unwrapped(document: Any, space: str, is_said: bool = False) -> Any:
    """The genotype within what archscout writes around one: its `space` and `architecture`.

    A document, JSON as text or parsed, is returned itself where nothing is around it; where
    `is_said`, also where no space is named: a genotype may have a part called `architecture`.

    Raises:
        InputError: it says that it is of another space.
    """
    parsed = document
    if isinstance(document, str) and '"architecture"' in document:
        try:
            parsed = json.loads(document, object_pairs_hook=unique_keys)
        except InputError:
            raise
        except (ValueError, RecursionError):  # of which who reads the genotype complains
            return document
    if not isinstance(parsed, Mapping) or not isinstance(parsed.get("architecture"), Mapping):
        return document
    is_node = parsed["architecture"].keys() == {"op", "input"}  # of a recipe, with that name
    if (is_node or is_said) and not isinstance(parsed.get("space"), str):
        return document
    if (said := parsed.get("space", space)) != space:
        raise InputError(f"an architecture of space {said}; one of {space} is accepted here")
    return parsed["architecture"]


def unique_keys(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON whose keys differ, as `json.loads` takes it for a hook.

    Raises:
        InputError: one stands twice.
    """
    items: dict[str, Any] = {}
    for key, value in pairs:
        if key in items:
            raise InputError(f"{reprlib.repr(key)} stands twice in one object; keys must be unique")
        items[key] = value
    return items


class Trial(Protocol):
    """What a search offers to draw genes from: the part of `optuna.Trial` that spaces use."""

    def suggest_int(self, name: str, low: int, high: int) -> int:
        """A whole number from low to high."""

    def suggest_float(self, name: str, low: float, high: float) -> float:
        """A number from low to high."""

    def suggest_categorical(self, name: str, choices: tuple[str, ...]) -> str:
        """One of the choices."""


class Space(Protocol[Genotype]):
    """A search space: which architectures there are, and the networks that they describe.

    Ten more members are optional: `arguments`, those that another space of the class is made with
    to be like it; `signature`, a name that stands in the JSON of its
    architectures and of no other space's; `live` and `network_fingerprint`, see the functions of
    these names in `spaces`; `genes`, see `spaces.classics`; `mutate(architecture, rng)`, another
    architecture near it; `other_metrics`, names of metrics that a budget of training is spent by
    beside the default one, the most different first; `traits(architecture, scale)`, numbers by name
    from which it learns beside scores; `with_unknown(network)`, the network with one more token,
    the last, for words that it was not made for, which an export takes where the vocabulary has no
    `<unk>`; and `loading(network, folder, words)`, lines of Python for an
    export's README that load its network, where `auto_class` does not.

    Attributes:
        name: as on the command line.
        kind: of the networks: which definitions of the metrics apply.
        tokenization: how text becomes token ids, `words`, `wordpiece` or `bpe`.
        auto_class: the class of transformers that loads an exported network.
        scales: named scales.
        default_scale: the name of the scale for search.
        default_metric: the metric for search.
        named: architectures that have a name in the literature.
        published_sample: those of a published benchmark by their ids, where a sampler gives them.
    """

    name: str
    kind: Kind
    tokenization: Literal["words", "wordpiece", "bpe"]
    auto_class: str
    scales: Mapping[str, Any]
    default_scale: str
    default_metric: str
    named: Mapping[str, Genotype]

    @property
    def published_sample(self) -> Sequence[Genotype]:
        """Empty where there is none."""

    def samples(self, seed: int) -> Iterator[Genotype]:
        """Different architectures drawn at random, until hardly any are left."""

    def sample(self, seed: int) -> Genotype:
        """The first of `samples`."""

    def suggest(self, trial: Trial) -> Genotype:
        """An architecture from genes that a search suggests; every setting gives a valid one."""

    def parse(self, document: Any) -> Genotype:
        """An architecture from JSON (text or parsed), its name, or itself.

        Raises InputError naming the place and the rule.
        """

    def to_dict(self, architecture: Genotype) -> dict[str, Any]:
        """The architecture as plain JSON types."""

    def canonical(self, architecture: Genotype) -> Genotype:
        """The same architecture for all ways of writing it."""

    def fingerprint(self, architecture: Genotype) -> str:
        """Sixteen hexadecimal digits, the same for all ways of writing an architecture."""

    def describe(self, architecture: Genotype) -> str:
        """The architecture in a few words, for tables."""

    def build(
        self, architecture: Genotype, vocabulary_size: int, scale: Any, seed: int
    ) -> nn.Module:
        """The network with random weights, ready to train."""

    def skeleton(self, architecture: Genotype, vocabulary_size: int, scale: Any) -> nn.Module:
        """The network on the meta device: shapes without weights."""

    def save_pretrained(self, network: Any, architecture: Genotype, folder: Path) -> None:
        """Write configuration, weights and code, for transformers to load."""

    def step(self, network: Any, scale: Any, batch_size: int) -> Tensor:
        """Run the network on the next `scale.step_tokens` tokens of each of B sequences."""


@runtime_checkable
class SizedSpace(Protocol):
    """A space that draws architectures by their size."""

    def size(self, architecture: Any, scale: Any = None) -> int:
        """Parameters, embeddings left out; at the usual scale's options where none is given."""

    def samples_of_size(self, seed: int, low: int, high: int) -> Iterator[Any]:
        """Different architectures drawn at random with such a size, until hardly any are left."""


@runtime_checkable
class CountingSpace(Protocol):
    """A space that counts the parameters of a network without making it, to be faster."""

    def count_parameters(self, architecture: Any, vocabulary_size: int, scale: Any) -> int:
        """All parameters, frozen ones too, tied ones once."""


@runtime_checkable
class CachingSpace(Protocol):
    """A space whose networks generate text by a key/value cache, each token read once.

    What that costs is then among the costs of a search.
    """

    def prefill(self, network: Any, scale: Any, batch_size: int) -> Any:
        """Read all but the last of `scale.sequence_length` tokens of each of B texts, at once.

        Returns the cache, without the logits of the next token, which were computed.
        """

    def next_token(self, network: Any, cache: Any, batch_size: int) -> Tensor:
        """Logits (B, V) of the token after the last, which is read; the cache is left as it was."""


@runtime_checkable
class RecordingSpace(Protocol):
    """A space that records its networks itself, to be faster, or to say more of them.

    Of another the network that it builds is recorded, as any module is.
    """

    def recorder(
        self,
        architecture: Any,
        vocabulary_size: int,
        scale: Any,
        seed: int,
        depth: int | None,
        device: str,
        mask_token: int | None,
    ) -> Recorder:
        """The network for the trace, with weights as far as `depth` layers need them.

        With a mask token it can record the loss of predicting masked tokens, where it is an
        encoder.
        """
