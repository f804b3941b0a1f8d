"""Training a WordPiece vocabulary, the same on every run.

The trainer of the tokenizers library walks hash tables in random order: it numbers the pieces of
one character as it meets them, and those numbers decide between merges of equal count, so that
two runs over one text end with different pieces. Here the pieces of one character are chosen and
numbered beforehand, by how often their characters occur and then by code point.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

import tokenizers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from archscout.errors import InputError
from archscout.text.minibatches import check_at_least

PAD, UNKNOWN, CLS, SEP, MASK = SPECIAL_PIECES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUES = "##"

# As the tokenizers library has it; the many rare characters of an encyclopedia would otherwise
# take thousands of entries.
_LARGEST_ALPHABET = 1000
_SMALLEST_LIMIT = len(SPECIAL_PIECES) + 2
# A merge that is seen once names one word of one text.
_LEAST_COUNT = 2
_WORDS_AT_ONCE = 1000


def train_wordpiece(texts: Iterable[str], limit: int) -> tokenizers.Tokenizer:
    """Train an uncased WordPiece as BERT's (Devlin et al., 2019): its text rules, merged pieces.

    Equal texts, each of whole words, are counted together, so that many words cost little more
    than the distinct ones. The characters take at most two entries each of the `limit`; those of
    the 1000 most frequent for which there is room have them.
    """
    counted = f" ({', '.join(SPECIAL_PIECES)} and two pieces of a character)"
    check_at_least("vocabulary limit", limit, _SMALLEST_LIMIT, counted)
    words = _count_words(texts)
    if not words:
        raise InputError("a text without words; accepted is at least one word")
    trainer = trainers.WordPieceTrainer(
        vocab_size=limit,
        min_frequency=_LEAST_COUNT,
        special_tokens=[*SPECIAL_PIECES, *_characters(words, limit - len(SPECIAL_PIECES))],
        limit_alphabet=0,
        continuing_subword_prefix=CONTINUES,
        show_progress=False,
    )
    learner = tokenizers.Tokenizer(models.WordPiece(unk_token=UNKNOWN))
    learner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    learner.train_from_iterator(_repeated(words), trainer)
    return _assemble(learner.get_vocab())


def _count_words(texts: Iterable[str]) -> Counter[str]:
    """How often each word occurs, words as BERT's rules cut and spell them."""
    normalizer, splitter = _normalizer(), pre_tokenizers.BertPreTokenizer()
    words: Counter[str] = Counter()
    for text, count in Counter(texts).items():
        for word, _ in splitter.pre_tokenize_str(normalizer.normalize_str(text)):
            words[word] += count
    return words


def _characters(words: Mapping[str, int], room: int) -> list[str]:
    """The pieces of one character, most frequent first; at most `room`."""
    counts: Counter[str] = Counter()
    continuing: set[str] = set()
    for word, count in words.items():
        for character in word:
            counts[character] += count
        continuing.update(word[1:])
    pieces: list[str] = []
    ranked = sorted(counts, key=lambda character: (-counts[character], character))
    for character in ranked[:_LARGEST_ALPHABET]:
        # The trainer would number a continuing piece that it is not given by itself.
        own = [character, CONTINUES + character] if character in continuing else [character]
        if len(pieces) + len(own) > room:
            break
        pieces += own
    return pieces


def _repeated(words: Mapping[str, int]) -> Iterator[str]:
    """Every word as often as it occurs: the library counts for itself.

    Texts in this form pass through the trainer ten times as fast as raw ones do.
    """
    for word, count in words.items():
        for start in range(0, count, _WORDS_AT_ONCE):
            yield " ".join([word] * min(_WORDS_AT_ONCE, count - start))


def _normalizer() -> normalizers.Normalizer:
    return normalizers.BertNormalizer(lowercase=True)


def _assemble(vocabulary: dict[str, int]) -> tokenizers.Tokenizer:
    tokenizer = tokenizers.Tokenizer(
        models.WordPiece(vocabulary, unk_token=UNKNOWN, continuing_subword_prefix=CONTINUES)
    )
    tokenizer.normalizer = _normalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece(prefix=CONTINUES)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{CLS}:0 $A:0 {SEP}:0",
        pair=f"{CLS}:0 $A:0 {SEP}:0 $B:1 {SEP}:1",
        special_tokens=[(piece, vocabulary[piece]) for piece in (CLS, SEP)],
    )
    tokenizer.add_special_tokens(list(SPECIAL_PIECES))
    return tokenizer
