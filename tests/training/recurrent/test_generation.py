import pytest

from archscout.errors import InputError
from archscout.spaces import RecurrentScale, RecurrentSpace
from archscout.text import EOS, UNK, Vocabulary
from archscout.training import sample_text

WORDS = Vocabulary(("to", "be", EOS, "or", UNK))
SCALE = RecurrentScale(2, 3, 4, 4, 1, "canonical")


def model():  # type: ignore[no-untyped-def]
    return RecurrentSpace().build(RecurrentSpace().parse("lstm"), len(WORDS), SCALE)


def test_words_are_drawn_after_the_prompt() -> None:
    text = sample_text(model(), WORDS, "to be", n=30, seed=3)
    assert text.startswith("to be")
    assert set(text.split()) == {"to", "be", "or"}
    assert EOS not in text and UNK not in text
    assert len(text.split()) + text.count("\n") == 32
    assert text == sample_text(model(), WORDS, "to be", n=30, seed=3)
    assert text != sample_text(model(), WORDS, "to be", n=30, seed=4)


def test_low_temperature_takes_the_likeliest() -> None:
    texts = {sample_text(model(), WORDS, n=10, temperature=1e-4, seed=s) for s in range(3)}
    assert len(texts) == 1
    for least in (1e-40, 5e-324):
        assert sample_text(model(), WORDS, n=10, temperature=least, seed=3) in texts


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"n": 0}, "0 words to sample"),
        ({"temperature": 0.0}, "temperature 0.0"),
        ({"temperature": float("nan")}, "temperature nan"),
    ],
)
def test_bad_values(given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        sample_text(model(), WORDS, **given)  # type: ignore[arg-type]


def test_a_prompt_of_unknown_words() -> None:
    closed = Vocabulary(("to", "be"))
    network = RecurrentSpace().build(RecurrentSpace().parse("rnn"), 2, SCALE)
    with pytest.raises(InputError, match="the token 'or' is not in this vocabulary"):
        sample_text(network, closed, "or")
