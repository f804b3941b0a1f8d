import pytest

from archscout.errors import InputError
from archscout.training import PretrainingSettings, named_preset, preset


def test_published_recipe() -> None:
    settings = preset("published", "flexibert")
    assert settings == PretrainingSettings()
    assert (settings.steps, settings.batch_size, settings.sequence_length) == (100_000, 128, 128)
    assert (settings.learning_rate, settings.weight_decay) == (5e-4, 0.01)
    assert settings.warm_up * settings.steps == 10_000 and settings.schedule == "linear"
    assert (settings.mask_share, settings.generator_share) == (0.15, 0.25)
    assert settings.discriminator_weight == 50 and settings.task == "replaced"
    assert named_preset("published", "flexibert").scale == "paper"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("task", "next"),
        ("steps", 0),
        ("accumulation", 0),
        ("sequence_length", 2),
        ("mask_share", 0.0),
        ("mask_share", 1.0),
        ("generator_share", 1.5),
        ("discriminator_weight", -1.0),
        ("evaluate_every", 0),
        ("milestones", 0),
        ("dropout", 1.0),
        ("schedule", "step"),
        ("warm_up", 1.0),
    ],
)
def test_bad_values_are_named(name: str, value: object) -> None:
    with pytest.raises(InputError, match=f"training setting {name} is {value!r}: "):
        PretrainingSettings().resized(**{name: value})


def test_unknown_settings_presets_and_spaces_are_named() -> None:
    with pytest.raises(InputError, match="epochs is 1: there is none of that name; accepted: task"):
        PretrainingSettings().resized(epochs=1)
    with pytest.raises(InputError, match="unknown preset 'slow'; accepted: published, quick"):
        preset("slow", "flexibert")
    with pytest.raises(InputError, match=r"unknown space 'other'.*; known: .*flexibert"):
        named_preset("quick", "other")
