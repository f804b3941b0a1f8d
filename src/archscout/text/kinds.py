"""The kinds of tokenizers, and which of them a file holds."""

import json
import os
from typing import Literal, get_args

from archscout.errors import InputError
from archscout.text.byte_level import ByteLevel, is_byte_level
from archscout.text.corpora import Corpus
from archscout.text.vocabulary import Vocabulary, read_json
from archscout.text.wordpiece import WordPiece

TokenizerKind = Literal["words", "wordpiece", "bpe"]
"""What recurrent networks read, what encoders read, and what decoders read."""


def tokenizer_for(
    kind: TokenizerKind,
    corpus: Corpus,
    limit: int | None = None,
    source: str | os.PathLike[str] | None = None,
) -> Vocabulary | WordPiece | ByteLevel:
    """The tokenizer of a kind for a corpus.

    Args:
        kind: `words` for `Corpus.vocabulary`; `wordpiece` for pieces of words, `bpe` for those of
            bytes, trained on all splits of the corpus where no source is given.
        corpus: The text.
        limit: The largest number of entries, where the tokenizer is made from the corpus.
        source: Where to load pieces from; see `WordPiece.load` and `ByteLevel.load`.

    Raises:
        InputError: There is no such kind, the limit is out of range, the source holds none of
            this kind, words are given a source, or a source and a limit are given together.
    """
    if kind not in get_args(TokenizerKind):
        raise InputError(f"tokenizer {kind!r}: accepted are {', '.join(get_args(TokenizerKind))}")
    if kind == "words":
        if source is not None:
            raise InputError(
                f"tokenizer {os.fspath(source)!r}: recurrent networks read the words of the text "
                "and take none; it is for encoders and decoders"
            )
        return corpus.vocabulary(limit)
    pieces: type[WordPiece | ByteLevel] = WordPiece if kind == "wordpiece" else ByteLevel
    if source is None:
        return pieces.train(corpus) if limit is None else pieces.train(corpus, limit)
    if limit is not None:
        raise InputError(
            f"vocabulary limit {limit!r} for the tokenizer {os.fspath(source)!r}, which is ready "
            "made; accepted is one of the two"
        )
    return pieces.load(source)


def load_vocabulary(path: str | os.PathLike[str]) -> Vocabulary | WordPiece | ByteLevel:
    """Read what `save` of any kind wrote.

    Args:
        path: A file with a JSON list of words, or with the JSON object of a WordPiece or of
            byte-level BPE.

    Raises:
        InputError: The file cannot be read or holds none of them.
    """
    accepted = (
        "accepted is a JSON list of distinct words or the JSON object of a WordPiece or of "
        "byte-level BPE"
    )
    content = read_json(path, accepted)
    if isinstance(content, list):
        return Vocabulary.load(path)
    if isinstance(content, dict):
        return (ByteLevel if is_byte_level(content) else WordPiece).load(path)
    name = os.fspath(path)
    raise InputError(f"the vocabulary {name!r} holds {json.dumps(content):.40}; {accepted}")
