"""The kinds of tokenizers, and which of them a file holds."""

import json
import os
from typing import Literal, get_args

from archscout.errors import InputError
from archscout.text.corpora import Corpus
from archscout.text.vocabulary import Vocabulary, read_json
from archscout.text.wordpiece import WordPiece

TokenizerKind = Literal["words", "wordpiece"]
"""What recurrent networks read, and what encoders read."""


def tokenizer_for(
    kind: TokenizerKind,
    corpus: Corpus,
    limit: int | None = None,
    source: str | os.PathLike[str] | None = None,
) -> Vocabulary | WordPiece:
    """The tokenizer of a kind for a corpus.

    Args:
        kind: `words` for `Corpus.vocabulary`; `wordpiece` for pieces, trained on all splits of the
            corpus where no source is given.
        corpus: The text.
        limit: The largest number of entries, where the tokenizer is made from the corpus.
        source: Where to load a WordPiece from; see `WordPiece.load`.

    Raises:
        InputError: There is no such kind, the limit is out of range, the source holds no
            WordPiece, words are given a source, or a source and a limit are given together.
    """
    if kind not in get_args(TokenizerKind):
        raise InputError(f"tokenizer {kind!r}: accepted are {', '.join(get_args(TokenizerKind))}")
    if kind == "words":
        if source is not None:
            raise InputError(
                f"tokenizer {os.fspath(source)!r}: recurrent networks read the words of the text "
                "and take none; it is for encoders, as those of space flexibert"
            )
        return corpus.vocabulary(limit)
    if source is None:
        return WordPiece.train(corpus) if limit is None else WordPiece.train(corpus, limit)
    if limit is not None:
        raise InputError(
            f"vocabulary limit {limit!r} for the tokenizer {os.fspath(source)!r}, which is ready "
            "made; accepted is one of the two"
        )
    return WordPiece.load(source)


def load_vocabulary(path: str | os.PathLike[str]) -> Vocabulary | WordPiece:
    """Read what `save` of either kind wrote.

    Args:
        path: A file with a JSON list of words, or with the JSON object of a WordPiece.

    Raises:
        InputError: The file cannot be read or holds neither.
    """
    accepted = "accepted is a JSON list of distinct words or the JSON object of a WordPiece"
    content = read_json(path, accepted)
    if isinstance(content, list):
        return Vocabulary.load(path)
    if isinstance(content, dict):
        return WordPiece.load(path)
    name = os.fspath(path)
    raise InputError(f"the vocabulary {name!r} holds {json.dumps(content):.40}; {accepted}")
