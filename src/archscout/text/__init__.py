"""Texts become corpora, vocabularies, and minibatches of token ids.

>>> from archscout.text import WordPiece, load_corpus
>>> corpus = load_corpus("python-docs")
>>> corpus.vocabulary().minibatch(corpus, "all", sequence_length=35, batch_size=20).shape
torch.Size([35, 20])
>>> pieces = WordPiece.train(corpus, limit=1000)
>>> pieces.minibatch(corpus, "all", sequence_length=35, batch_size=20).shape
torch.Size([35, 20])

Whatever has the interface of `Tokenizer` numbers the tokens of a text: a `Vocabulary` its words,
a `WordPiece` pieces of them, a `ByteLevel` pieces of any text.
"""

from archscout.text.byte_level import ByteLevel
from archscout.text.corpora import CORPORA, Corpus, KnownCorpus, load_corpus
from archscout.text.kinds import TokenizerKind, load_vocabulary, tokenizer_for
from archscout.text.minibatches import framed_minibatch, minibatch
from archscout.text.tokenizer import SplitText, Tokenizer
from archscout.text.vocabulary import EOS, UNK, Vocabulary
from archscout.text.wordpiece import WordPiece
from archscout.text.wordpiece_training import SPECIAL_PIECES

__all__ = [
    "CORPORA",
    "EOS",
    "SPECIAL_PIECES",
    "UNK",
    "ByteLevel",
    "Corpus",
    "KnownCorpus",
    "SplitText",
    "Tokenizer",
    "TokenizerKind",
    "Vocabulary",
    "WordPiece",
    "framed_minibatch",
    "load_corpus",
    "load_vocabulary",
    "minibatch",
    "tokenizer_for",
]
