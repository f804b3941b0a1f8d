"""Byte-level pairs: the tokens that decoders read."""

import json
import math
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, Self

import numpy as np
import tokenizers
import torch
from tokenizers import decoders, models, pre_tokenizers, trainers

from archscout.errors import InputError
from archscout.text.minibatches import check_at_least, minibatch
from archscout.text.pretrained import pieces_of, read_pretrained, write_pretrained, writing
from archscout.text.tokenizer import SplitText
from archscout.text.vocabulary import EOS

END = "<|endoftext|>"
"""The token behind a text, which is where a text begins."""

_ENDS = (END, "<|end_of_text|>", "</s>", "<eos>")
_BYTES = 256
# What cuts a text into parts, and does not change it unless it says so.
_CUTTING = {"ByteLevel", "Split", "Digits", "Punctuation"}
# A pair that is seen once names one place of one text.
_LEAST_COUNT = 2
_ACCEPTED = f"accepted is byte-level BPE with a token that ends a text, such as {END}"


@dataclass(frozen=True, repr=False)
class ByteLevel:
    """An immutable byte-level BPE tokenizer, as GPT-2 has: any text becomes known pieces.

    Source: Radford et al. 2019, "Language models are unsupervised multitask learners", section 2.2.

    Args:
        definition: The tokenizer as JSON of the tokenizers library. Padding and truncation, which
            it may ask for, are dropped.

    Attributes:
        tokens: The pieces in the order of their ids, each byte as a character.
        end: The id of the token that ends a text.

    Raises:
        InputError: The definition is none, its model is no BPE of bytes, it has no token that ends
            a text, or its ids have gaps.
    """

    definition: str
    tokens: tuple[str, ...] = field(init=False, compare=False)
    end: int = field(init=False, compare=False)
    _tokenizer: tokenizers.Tokenizer = field(init=False, compare=False)

    def __post_init__(self) -> None:
        tokenizer = _parse(self.definition)
        tokens = pieces_of(tokenizer)
        ends = [tokens.index(token) for token in _ENDS if token in tokens]
        if not ends:
            raise InputError(f"it has none of the tokens {', '.join(_ENDS)}; {_ACCEPTED}")
        object.__setattr__(self, "definition", tokenizer.to_str())
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "end", ends[0])
        object.__setattr__(self, "_tokenizer", tokenizer)

    @classmethod
    def train(cls, texts: str | Iterable[str] | SplitText, limit: int = 8192) -> Self:
        """Merge bytes of a text to pieces, the most frequent pairs first.

        The pieces and their ids depend on the text and the limit alone, given one version of the
        tokenizers library.

        Args:
            texts: A text, several, or a corpus, of which all splits are taken.
            limit: The largest number of pieces, at least 257. Pairs are merged while they occur
                twice, so that a small text has fewer.

        Returns:
            The tokenizer; `<|endoftext|>` is its id 0, the bytes are the ids 1 to 256.

        Raises:
            InputError: `limit` is no whole number of at least 257.
        """
        check_at_least("vocabulary limit", limit, _BYTES + 1, " (256 bytes and the end of a text)")
        lines: Iterable[str] = [texts] if isinstance(texts, str) else ()
        if isinstance(texts, SplitText):
            lines = chain.from_iterable(_lines(texts.tokens(name)) for name in texts.names())
        elif not isinstance(texts, str):
            lines = texts
        tokenizer = tokenizers.Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=limit,
            min_frequency=_LEAST_COUNT,
            special_tokens=[END],
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        tokenizer.train_from_iterator(lines, trainer)
        return cls(tokenizer.to_str())

    @classmethod
    def load(cls, place: str | os.PathLike[str]) -> Self:
        """Read a tokenizer that `save` wrote, or one that transformers loads.

        Args:
            place: A file that `save` wrote; a folder with `tokenizer.json`, such as
                `save_pretrained` writes; or a name on the Hugging Face hub, such as `gpt2`, which
                is downloaded or, without a network, taken from the hub's cache.

        Raises:
            InputError: There is none at that place, it cannot be read or downloaded, or it is no
                byte-level BPE with a token that ends a text.
        """
        name = os.fspath(place)
        try:
            if not os.path.isfile(name):
                return cls(read_pretrained(name))
            return cls(Path(name).read_text(encoding="utf-8"))
        except InputError as error:
            raise InputError(f"the tokenizer {name!r}: {error}") from error
        except (OSError, ValueError) as error:
            raise InputError(f"cannot read the tokenizer {name!r}: {error}") from error

    def describe(self) -> str:
        """What it does with a text, to follow `The tokenizer`."""
        return (
            f"cuts any text into {len(self):,} pieces of bytes; `{self.tokens[self.end]}` ends it"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as JSON of the tokenizers library, in UTF-8.

        Raises:
            InputError: The file cannot be written.
        """
        with writing("tokenizer", path):
            Path(path).write_text(self.definition, encoding="utf-8")

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write a tokenizer that transformers' AutoTokenizer loads from the folder.

        Args:
            folder: Where its files go; made where it is not there.

        Raises:
            InputError: The folder cannot be written.
        """
        from transformers import PreTrainedTokenizerFast

        end = self.tokens[self.end]
        fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            # A copy, as transformers sets padding and truncation in the object that it is given.
            tokenizer_object=tokenizers.Tokenizer.from_str(self.definition),
            **dict.fromkeys(("bos_token", "eos_token", "unk_token", "pad_token"), end),
            model_input_names=["input_ids", "attention_mask"],
        )
        write_pretrained(fast, folder)

    def encode(self, texts: str | Iterable[str]) -> torch.Tensor:
        """Turn a text into the ids of its pieces.

        Args:
            texts: A text, or its words, such as `Corpus.tokens` returns: those of a line stand
                between single spaces, and `<eos>` is the end of a line.

        Returns:
            The ids, (N,), int64.
        """
        lines = [texts] if isinstance(texts, str) else list(_lines(texts))
        encodings = self._tokenizer.encode_batch_fast(lines, add_special_tokens=False)
        pieces = chain.from_iterable(encoding.ids for encoding in encodings)
        return torch.from_numpy(np.fromiter(pieces, dtype=np.int64))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of pieces, without tokens that end one."""
        text: str = self._tokenizer.decode(list(ids))
        return text

    def byte_lengths(self) -> torch.Tensor:
        """How many bytes of a text each piece is.

        Returns:
            The lengths, (V,), float64; all NaN where the pieces of a text are not its bytes, each
            once: it is normalised, a space is put before it, or parts of it are left out.
        """
        definition = json.loads(self.definition)
        if not _keeps_bytes(definition):
            return torch.full((len(self),), math.nan, dtype=torch.float64)
        added = {token["content"] for token in definition["added_tokens"]}  # as they are written
        lengths = [len(t.encode()) if t in added else len(t) for t in self.tokens]
        ends = torch.tensor([token in _ENDS for token in self.tokens])
        return torch.tensor(lengths, dtype=torch.float64).masked_fill(ends, 0)

    def minibatch(
        self,
        corpus: SplitText,
        split: str | None,
        sequence_length: int,
        batch_size: int,
        index: int = 0,
    ) -> torch.Tensor:
        """Cut one minibatch (T, B) out of a split, as `archscout.text.minibatch` does.

        See `Tokenizer.minibatch`. The split is one stream of pieces, across the ends of lines.
        """
        return minibatch(self.encode(corpus.tokens(split)), sequence_length, batch_size, index)

    @property
    def mask_token(self) -> None:
        """None: decoders hide no token."""

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"<ByteLevel of {len(self)} pieces>"


def _lines(words: Iterable[str]) -> Iterator[str]:
    """The lines of a text, their ends included; the last one may have none."""
    line: list[str] = []
    for word in words:
        if word == EOS:
            yield " ".join(line) + "\n"
            line = []
        else:
            line.append(word)
    if line:
        yield " ".join(line)


def _parse(definition: str) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_str(definition)
    # The library raises no class of its own.
    except Exception as error:
        raise InputError(f"no tokenizer ({str(error)!r:.150}); {_ACCEPTED}") from error
    if not is_byte_level(json.loads(tokenizer.to_str())):
        raise InputError(
            f"its model is {type(tokenizer.model).__name__}, not of bytes; {_ACCEPTED}"
        )
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def is_byte_level(definition: Any) -> bool:
    """Whether a tokenizer's JSON is byte-level BPE: its pieces are merged, and become bytes."""
    try:
        last = definition["decoder"]
        parts = [part["type"] for part in last.get("decoders", [last])]
        return definition["model"]["type"] == "BPE" and "ByteLevel" in parts
    except (KeyError, TypeError, AttributeError):
        return False


def _keeps_bytes(definition: Any) -> bool:
    """Whether the pieces of any text are its bytes, each once, by a byte-level BPE's JSON."""
    first = definition["pre_tokenizer"] or {}
    parts = first.get("pretokenizers", [first])
    normalizer = definition["normalizer"]
    return (
        (normalizer is None or normalizer.get("normalizers") == [])
        and not any(token["lstrip"] or token["rstrip"] for token in definition["added_tokens"])
        and {"ByteLevel"} <= {part.get("type") for part in parts} <= _CUTTING
        and not any(part.get("add_prefix_space") for part in parts)
        and not any(part.get("behavior") == "Removed" for part in parts)
        and definition["model"]["vocab"].keys() >= set(pre_tokenizers.ByteLevel.alphabet())
    )
