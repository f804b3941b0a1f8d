"""The vocabulary: which token has which id."""

import json
import math
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import torch

from archscout.errors import InputError
from archscout.text.minibatches import check_at_least, minibatch
from archscout.text.pretrained import write_pretrained, writing
from archscout.text.tokenizer import SplitText

EOS = "<eos>"
"""The token that closes every line."""

UNK = "<unk>"
"""The token that stands for all that have no id of their own."""


_NO_OTHERS = """\
there is no `<unk>` among
them, so it raises an error at every other word. Export or search with `--vocabulary-size N` for a
vocabulary that has one"""


@dataclass(frozen=True, repr=False)
class Vocabulary:
    """An immutable numbering of distinct tokens: `tokens[i]` has the id `i`.

    Args:
        tokens: The tokens in the order of their ids, at least one, no two alike.

    Raises:
        InputError: There is no token, one occurs twice, or one is not a string.
    """

    tokens: tuple[str, ...]
    _ids: dict[str, int] = field(init=False, compare=False)

    def __post_init__(self) -> None:
        if not self.tokens:
            raise InputError("a vocabulary without tokens; accepted is at least one token")
        ids: dict[str, int] = {}
        for position, token in enumerate(self.tokens):
            if not isinstance(token, str):
                raise InputError(
                    f"{token!r:.80} at id {position} is no token: accepted is a string"
                )
            if ids.setdefault(token, position) != position:
                raise InputError(
                    f"the token {token!r:.80} stands at id {ids[token]} and at id {position}; "
                    "accepted are distinct tokens"
                )
        object.__setattr__(self, "_ids", ids)

    @classmethod
    def from_tokens(cls, tokens: Iterable[str], limit: int | None = None) -> Self:
        """Number the tokens of a text by their first appearance.

        Without a limit every token gets an id, and `<unk>` only where it occurs in the text, as
        published (Serianni and Kalita, ACL 2023, released code; from Merity et al., 2018). With
        one, the most frequent tokens keep an id, ties going to those that appear first; `<unk>`
        always keeps one, and `<eos>` does wherever it occurs, and both count towards the limit.
        A `<unk>` that did not occur comes last.

        Args:
            tokens: The text.
            limit: The largest number of entries, at least 2, or None for all.

        Raises:
            InputError: `limit` is no whole number of at least 2, or there are no tokens.

        >>> Vocabulary.from_tokens("to be or not to be".split()).tokens
        ('to', 'be', 'or', 'not')
        >>> Vocabulary.from_tokens("or not to be is to be".split(), limit=3).tokens
        ('to', 'be', '<unk>')
        """
        if limit is not None:
            check_at_least("vocabulary limit", limit, 2, f" ({UNK} and {EOS} count)")
        counts = Counter(tokens)
        if not counts:
            raise InputError("a text without tokens; accepted is at least one token")
        return cls(tuple(counts) if limit is None else _most_frequent(counts, limit))

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read a vocabulary that `save` wrote.

        Args:
            path: A file with a JSON list of tokens in the order of their ids.

        Raises:
            InputError: The file cannot be read or is no JSON list of distinct strings.
        """
        name = os.fspath(path)
        accepted = "accepted is a JSON list of distinct strings"
        tokens = read_json(path, accepted)
        if not isinstance(tokens, list):
            raise InputError(f"the vocabulary {name!r} holds {json.dumps(tokens):.40}; {accepted}")
        try:
            return cls(tuple(tokens))
        except InputError as error:
            raise InputError(f"the vocabulary {name!r}: {error}") from error

    def describe(self) -> str:
        """What it does with a text, to follow `The tokenizer`."""
        others = "every other word becomes `<unk>`" if UNK in self else _NO_OTHERS
        return f"splits at whitespace and knows {len(self):,} tokens; {others}"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokens as a JSON list, in the order of their ids, in UTF-8.

        Raises:
            InputError: The file cannot be written.
        """
        with writing("vocabulary", path):
            Path(path).write_text(json.dumps(self.tokens, ensure_ascii=False), encoding="utf-8")

    @property
    def mask_token(self) -> None:
        """None: words are not masked."""

    def encode(self, tokens: Iterable[str]) -> torch.Tensor:
        """Turn tokens into ids.

        Args:
            tokens: N tokens. Those without an id become `<unk>` where the vocabulary has it.

        Returns:
            The ids, (N,), int64.

        Raises:
            InputError: A token has no id, and the vocabulary has no `<unk>`.
        """
        unknown = self._ids.get(UNK)
        if unknown is not None:
            return torch.tensor([self._ids.get(t, unknown) for t in tokens], dtype=torch.long)
        try:
            return torch.tensor([self._ids[t] for t in tokens], dtype=torch.long)
        except KeyError as error:
            raise InputError(
                f"the token {error.args[0]!r:.80} is not in this vocabulary of {len(self)} tokens, "
                f"which has no {UNK}; encode the text that it was made from, or give it a limit"
            ) from error

    def decode(self, ids: torch.Tensor | Iterable[int]) -> list[str]:
        """Turn ids back into tokens.

        Args:
            ids: N ids, (N,).

        Raises:
            InputError: `ids` has another shape, or an id lies outside 0 .. len(self) - 1.
        """
        if isinstance(ids, torch.Tensor):
            if ids.dim() != 1:
                raise InputError(
                    f"ids of shape {tuple(ids.shape)}; accepted is one dimension, (N,)"
                )
            ids = ids.tolist()
        decoded = []
        for position, number in enumerate(ids):
            # A negative id would pass as an index from the end.
            if not 0 <= number < len(self):
                raise InputError(
                    f"id {number} at position {position}: accepted are 0 to {len(self) - 1}"
                )
            decoded.append(self.tokens[number])
        return decoded

    def byte_lengths(self, tokens: Sequence[str]) -> torch.Tensor:
        """How many bytes of a text each of its tokens is, with the space before it.

        The words of a line stand between single spaces, and `<eos>` is the end of a line.

        Args:
            tokens: N tokens.

        Returns:
            The lengths, (N,), float64; NaN where a token has no id, so that what stands for it
            does not say which it was.

        >>> Vocabulary(("be", "to", "<eos>")).byte_lengths(["to", "be", "<eos>", "<eos>", "or"])
        tensor([2., 3., 1., 1., nan], dtype=torch.float64)
        """
        lengths = {token: 1.0 + len(token.encode()) for token in self.tokens} | {EOS: 1.0}
        found = torch.tensor([lengths.get(t, math.nan) for t in tokens], dtype=torch.float64)
        begins = [not i or tokens[i - 1] == EOS for i in range(len(tokens))]
        spaces = [token != EOS for token in tokens]
        found[torch.tensor(begins, dtype=torch.bool) & torch.tensor(spaces, dtype=torch.bool)] -= 1
        return found

    def minibatch(
        self,
        corpus: SplitText,
        split: str | None,
        sequence_length: int,
        batch_size: int,
        index: int = 0,
    ) -> torch.Tensor:
        """Cut one minibatch (T, B) out of a split, as published.

        See `Tokenizer.minibatch` and `archscout.text.minibatch`: the split must have at least
        B * T * (index + 1) tokens.
        """
        return minibatch(self.encode(corpus.tokens(split)), sequence_length, batch_size, index)

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write a transformers tokenizer that splits on whitespace, as the vocabulary was made.

        Shorter texts of a batch are filled up on the left, by `<unk>`, and what is drawn without a
        prompt begins after a line's end. A decoded text begins with a space, to follow another.

        Raises:
            InputError: The folder cannot be written.
        """
        # Only exports need transformers, which takes seconds to import.
        from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
        from transformers import PreTrainedTokenizerFast

        unknown, line_end = (token if token in self else None for token in (UNK, EOS))
        tokenizer = Tokenizer(models.WordLevel(self._ids, unk_token=unknown or ""))
        tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        tokenizer.decoder = decoders.Replace(Regex("^"), " ")
        fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            tokenizer_object=tokenizer,
            unk_token=unknown,
            pad_token=unknown,
            bos_token=line_end,
            eos_token=line_end,
            padding_side="left",
            model_input_names=["input_ids", "attention_mask"],
        )
        write_pretrained(fast, folder)

    def __len__(self) -> int:
        return len(self.tokens)

    def __contains__(self, token: object) -> bool:
        return token in self._ids

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} tokens>"


def read_json(path: str | os.PathLike[str], accepted: str) -> Any:
    """What a file of a vocabulary holds; a complaint says what is accepted."""
    name = os.fspath(path)
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the vocabulary {name!r}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"the vocabulary {name!r} is not JSON ({error}); {accepted}") from error


def _most_frequent(counts: Counter[str], limit: int) -> tuple[str, ...]:
    """At most `limit` of the counted tokens by first appearance, `<unk>` among them or last."""
    always = {UNK} | ({EOS} & counts.keys())
    # Counter keeps the order of first appearance, and sorted keeps it among equal counts.
    others = sorted((t for t in counts if t not in always), key=lambda token: -counts[token])
    kept = always.union(others[: limit - len(always)])
    return tuple(dict.fromkeys([*(t for t in counts if t in kept), UNK]))
