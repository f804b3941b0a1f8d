import pytest

from archscout.errors import InputError
from archscout.spaces.recurrent.language_model import Dropout
from archscout.training import PRESETS, TrainingSettings, preset


def test_published_recipe() -> None:
    settings = preset("published")
    assert settings == TrainingSettings()
    assert (settings.learning_rate, settings.weight_decay, settings.clip) == (1e-3, 1.2e-6, 0.25)
    assert (settings.batch_size, settings.sequence_length, settings.epochs) == (20, 70, 50)
    assert (settings.activation_alpha, settings.activation_beta) == (2, 1)
    assert settings.evaluation_batch_size == 50 and settings.jitter
    assert settings.dropout == Dropout(0.1, 0.4, 0.25, 0.4, 0.5)
    assert preset("published-wikitext-2").dropout == Dropout(0, 0.4, 0.25, 0.1, 0.1)
    assert PRESETS["published"].scale == "paper"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("epochs", 0),
        ("learning_rate", -1.0),
        ("learning_rate", float("nan")),
        ("learning_rate", float("inf")),
        ("weight_drop", 1.0),
        ("output_dropout", -0.1),
        ("batch_size", 2.5),
        ("schedule", "linear"),
        ("precision", "float8"),
        ("minutes", 0),
        ("patience", 0),
    ],
)
def test_bad_values_are_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"training setting {name} is {value!r}: "):
        TrainingSettings().resized(**{name: value})


def test_unknown_settings_and_presets_are_named() -> None:
    with pytest.raises(InputError, match="learning is 1: there is none of that name; accepted: ep"):
        TrainingSettings().resized(learning=1)
    with pytest.raises(InputError, match="unknown preset 'slow'; accepted: published, "):
        preset("slow")
