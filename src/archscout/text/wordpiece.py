"""Word pieces: the tokens that encoders read."""

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Self

import numpy as np
import tokenizers
import torch
from tokenizers import models

from archscout.errors import InputError
from archscout.text.minibatches import framed_minibatch
from archscout.text.pretrained import pieces_of, read_pretrained, write_pretrained, writing
from archscout.text.tokenizer import SplitText
from archscout.text.vocabulary import EOS, UNK
from archscout.text.wordpiece_training import (
    CLS,
    MASK,
    PAD,
    SEP,
    SPECIAL_PIECES,
    UNKNOWN,
    train_wordpiece,
)

_ACCEPTED = f"accepted is a WordPiece tokenizer with the pieces {', '.join(SPECIAL_PIECES)}"


@dataclass(frozen=True, repr=False)
class WordPiece:
    """An immutable WordPiece tokenizer, as BERT and ELECTRA have: words become known pieces.

    A text is seen as words between whitespace, each of which becomes pieces by itself. Two words
    of this package's corpora are marks of its own and not text: `<unk>`, as WikiText has it for
    rare words, anywhere in a word, is the one piece `[UNK]`, not `<`, `unk`, `>`; `<eos>`, which
    closes every line of a `Corpus`, has no piece.

    Args:
        definition: The tokenizer as JSON of the tokenizers library. Padding and truncation, which
            it may ask for, are dropped.

    Attributes:
        tokens: The pieces in the order of their ids.

    Raises:
        InputError: The definition is none, its model is no WordPiece, it lacks one of `[PAD]`,
            `[UNK]`, `[CLS]`, `[SEP]`, `[MASK]`, or its ids have gaps.
    """

    definition: str
    tokens: tuple[str, ...] = field(init=False, compare=False)
    _tokenizer: tokenizers.Tokenizer = field(init=False, compare=False)

    def __post_init__(self) -> None:
        tokenizer = _parse(self.definition)
        tokens = pieces_of(tokenizer)
        object.__setattr__(self, "definition", tokenizer.to_str())
        object.__setattr__(self, "tokens", tokens)
        object.__setattr__(self, "_tokenizer", tokenizer)

    @classmethod
    def train(cls, texts: str | Iterable[str] | SplitText, limit: int = 30522) -> Self:
        """Train an uncased WordPiece on a text (BERT's rules; Devlin et al., 2019).

        The pieces and their ids depend on the text and the limit alone, given one version of the
        tokenizers library.

        Args:
            texts: A text, several, or a corpus, of which all splits are taken.
            limit: The largest number of entries, at least 7; by default that of BERT. Pieces are
                merged while pairs occur twice, so that a small text has fewer.

        Returns:
            The tokenizer; `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]` are its ids 0 to 4.

        Raises:
            InputError: `limit` is no whole number of at least 7, or there are no words.
        """
        if isinstance(texts, SplitText):
            words = chain.from_iterable(texts.tokens(name) for name in texts.names())
        else:
            each = [texts] if isinstance(texts, str) else texts
            words = chain.from_iterable(text.split() for text in each)
        known = (word.replace(UNK, " ") for word in words if word != EOS)
        return cls(train_wordpiece(known, limit).to_str())

    @classmethod
    def load(cls, place: str | os.PathLike[str]) -> Self:
        """Read a tokenizer that `save` wrote, or one that transformers loads.

        Args:
            place: A file that `save` wrote; a folder with `tokenizer.json` or `vocab.txt`, such as
                `save_pretrained` writes; or a name on the Hugging Face hub, such as
                `google/electra-small-discriminator`, which is downloaded or, without a network,
                taken from the hub's cache.

        Raises:
            InputError: There is none at that place, it cannot be read or downloaded, or it is no
                WordPiece with `[PAD]`, `[UNK]`, `[CLS]`, `[SEP]` and `[MASK]`.
        """
        name = os.fspath(place)
        definition = _read_file(name) if os.path.isfile(name) else read_pretrained(name)
        try:
            return cls(definition)
        except InputError as error:
            raise InputError(f"the tokenizer {name!r}: {error}") from error

    def describe(self) -> str:
        """What it does with a text, to follow `The tokenizer`."""
        return f"cuts words into {len(self):,} pieces; a word with unknown characters is `[UNK]`"

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the tokenizer as JSON of the tokenizers library, in UTF-8.

        Raises:
            InputError: The file cannot be written.
        """
        with writing("tokenizer", path):
            Path(path).write_text(self.definition, encoding="utf-8")

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """Write a tokenizer that transformers' AutoTokenizer loads from the folder.

        It frames inputs by `[CLS]` and `[SEP]` and numbers the segments of pairs. Unlike here, a
        literal `<unk>` is text to it.

        Args:
            folder: Where its files go; made where it is not there.

        Raises:
            InputError: The folder cannot be written.
        """
        from transformers import PreTrainedTokenizerFast

        fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
            # A copy, as transformers sets padding and truncation in the object that it is given.
            tokenizer_object=tokenizers.Tokenizer.from_str(self.definition),
            pad_token=PAD,
            unk_token=UNKNOWN,
            cls_token=CLS,
            sep_token=SEP,
            mask_token=MASK,
            model_max_length=512,  # as BERT's; an export says its network's own
            model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        )
        write_pretrained(fast, folder)

    def encode(self, texts: str | Iterable[str]) -> torch.Tensor:
        """Turn a text into the ids of its pieces, without `[CLS]` and `[SEP]`.

        Every distinct word is cut into pieces once, which is what makes large texts quick.

        Args:
            texts: A text, or its words, such as `Corpus.tokens` returns.

        Returns:
            The ids, (N,), int64. A word with characters that no piece has is `[UNK]`; one that
            spells a special piece, such as `[MASK]`, is that piece.
        """
        words = texts.split() if isinstance(texts, str) else list(texts)
        distinct = list(dict.fromkeys(words))
        encodings = self._tokenizer.encode_batch_fast(
            [word.replace(UNK, UNKNOWN) for word in distinct], add_special_tokens=False
        )
        ids = {word: e.ids for word, e in zip(distinct, encodings, strict=True)} | {EOS: []}
        pieces = chain.from_iterable(map(ids.__getitem__, words))
        return torch.from_numpy(np.fromiter(pieces, dtype=np.int64))

    def minibatch(
        self,
        corpus: SplitText,
        split: str | None,
        sequence_length: int,
        batch_size: int,
        index: int = 0,
    ) -> torch.Tensor:
        """Cut one minibatch (T, B) out of a split, every input from `[CLS]` to `[SEP]`.

        See `Tokenizer.minibatch`. The split is one stream of pieces, across the ends of lines; the
        rows between the first and the last are cut out of it as `archscout.text.minibatch` cuts
        T - 2 rows, so that T is at least 3 and the split has B * (T - 2) * (index + 1) pieces.
        """
        first, last = self.id_of(CLS), self.id_of(SEP)
        ids = self.encode(corpus.tokens(split))
        return framed_minibatch(ids, first, last, sequence_length, batch_size, index)

    @property
    def mask_token(self) -> int:
        """The id of `[MASK]`."""
        return self.id_of(MASK)

    def id_of(self, piece: str) -> int:
        """The id of one piece, such as `[PAD]`.

        Raises:
            InputError: There is no such piece.
        """
        number = self._tokenizer.token_to_id(piece)
        if number is None:
            raise InputError(f"{piece!r:.80} is none of the {len(self)} pieces of this tokenizer")
        return number

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"<WordPiece of {len(self)} pieces>"


def _parse(definition: str) -> tokenizers.Tokenizer:
    try:
        tokenizer = tokenizers.Tokenizer.from_str(definition)
    # The library raises no class of its own.
    except Exception as error:
        raise InputError(f"no tokenizer ({str(error)!r:.150}); {_ACCEPTED}") from error
    model = tokenizer.model
    if not isinstance(model, models.WordPiece):
        raise InputError(f"its model is {type(model).__name__}; {_ACCEPTED}")
    pieces = tokenizer.get_vocab(with_added_tokens=False)
    # transformers gives a vocabulary that lacks some of them new ids beyond its end.
    if missing := [piece for piece in SPECIAL_PIECES if piece not in pieces]:
        raise InputError(f"it has no piece {' or '.join(missing)}; {_ACCEPTED}")
    if model.unk_token != UNKNOWN:
        raise InputError(f"its unknown piece is {model.unk_token!r}; {_ACCEPTED}")
    # Others are cut up where they stand in a text.
    tokenizer.add_special_tokens(list(SPECIAL_PIECES))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def _read_file(name: str) -> str:
    try:
        return Path(name).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot read the tokenizer {name!r}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"the tokenizer {name!r} is not UTF-8 ({error}); {_ACCEPTED}") from error
