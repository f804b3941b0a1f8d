"""Texts become corpora, vocabularies, and minibatches of token ids.

>>> from archscout.text import load_corpus, minibatch
>>> corpus = load_corpus("python-docs")
>>> ids = corpus.vocabulary().encode(corpus.tokens())
>>> minibatch(ids, sequence_length=35, batch_size=20).shape
torch.Size([35, 20])
"""

from archscout.text.corpora import CORPORA, Corpus, KnownCorpus, load_corpus
from archscout.text.minibatches import minibatch
from archscout.text.vocabulary import EOS, UNK, Vocabulary

__all__ = [
    "CORPORA",
    "EOS",
    "UNK",
    "Corpus",
    "KnownCorpus",
    "Vocabulary",
    "load_corpus",
    "minibatch",
]
