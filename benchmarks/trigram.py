"""An interpolated Kneser-Ney trigram, to measure trained language models against.

Reads the text as `archscout train` does: the same tokens, the same vocabulary (closed, of the whole
text), the same parts. Modified Kneser-Ney smoothing with three discounts an order, interpolated
(Chen and Goodman 1999); the lowest order is interpolated with the uniform distribution over the
vocabulary, so that words that only the held-out parts have get their share.

    python benchmarks/trigram.py TEXT
"""

from __future__ import annotations

import math
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

from archscout.text import load_corpus
from archscout.training.parts import splits

Context = tuple[int, ...]


class Order:
    """The discounted counts of one order."""

    def __init__(self, counts: Counter[Context]) -> None:
        self.counts = counts
        of = Counter(counts.values())
        n1, n2, n3, n4 = (max(of[i], 1) for i in range(1, 5))
        y = n1 / (n1 + 2 * n2)
        self.discounts = (
            0.0,
            1 - 2 * y * n2 / n1,
            max(0.0, 2 - 3 * y * n3 / n2),
            max(0.0, 3 - 4 * y * n4 / n3),
        )
        self.totals: Counter[Context] = Counter()
        self.removed: defaultdict[Context, float] = defaultdict(float)
        for gram, count in counts.items():
            self.totals[gram[:-1]] += count
            self.removed[gram[:-1]] += self.discounts[min(count, 3)]

    def mixed(self, gram: Context, lower: float) -> float:
        """The probability of the last token, given that of the order below."""
        total = self.totals[gram[:-1]]
        if not total:
            return lower
        count = self.counts[gram]
        kept = max(0.0, count - self.discounts[min(count, 3)])
        return (kept + self.removed[gram[:-1]] * lower) / total


class KneserNey:
    """A trigram over ids 0 to V - 1."""

    def __init__(self, ids: Sequence[int], vocabulary_size: int) -> None:
        self.uniform = 1 / vocabulary_size
        trigrams = Counter(zip(ids, ids[1:], ids[2:], strict=False))
        bigrams = Counter(gram[1:] for gram in trigrams)  # how many words come before each
        unigrams = Counter(gram[1:] for gram in set(pairwise(ids)))
        self.orders = [Order(unigrams), Order(bigrams), Order(trigrams)]

    def probability(self, gram: Context) -> float:
        found = self.uniform
        for n, order in enumerate(self.orders, start=1):
            found = order.mixed(gram[-n:], found)
        return found

    def perplexity(self, ids: Sequence[int]) -> float:
        grams = zip(ids, ids[1:], ids[2:], strict=False)
        logs = [math.log(self.probability(gram)) for gram in grams]
        return math.exp(-sum(logs) / len(logs))


def main() -> None:
    corpus = load_corpus(sys.argv[1] if len(sys.argv) > 1 else "python-docs")
    vocabulary = corpus.vocabulary()
    parts = {name: ids.tolist() for name, ids in splits(corpus, vocabulary).items()}
    model = KneserNey(parts["train"], len(vocabulary))
    some = parts["valid"][10:12]
    total = sum(model.probability((*some, word)) for word in range(len(vocabulary)))
    print(f"{corpus.name}: {len(parts['train']):,} tokens, {len(vocabulary):,} in the vocabulary")
    print(f"probabilities after one context add up to {total:.6f}")
    for name in ("valid", "test"):
        if name in parts:
            print(f"trigram, {name} perplexity: {model.perplexity(parts[name]):.2f}")


if __name__ == "__main__":
    main()
