"""Presets by their names and spaces."""

from __future__ import annotations

from typing import Literal, overload

from archscout.errors import InputError
from archscout.training.electra import pretraining_settings as encoders
from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.recurrent import language_model_settings as recurrent
from archscout.training.recurrent.language_model_settings import TrainingSettings
from archscout.training.training_settings import Preset, find_preset


@overload
def named_preset(name: str, space: Literal["rnn"] = ...) -> Preset[TrainingSettings]: ...
@overload
def named_preset(name: str, space: Literal["flexibert"]) -> Preset[PretrainingSettings]: ...
@overload
def named_preset(
    name: str, space: str
) -> Preset[TrainingSettings] | Preset[PretrainingSettings]: ...
def named_preset(
    name: str, space: str = "rnn"
) -> Preset[TrainingSettings] | Preset[PretrainingSettings]:
    """The preset of that name, with the scale that it is for.

    Args:
        name: `quick` or `published`; of recurrent networks also `published-wikitext-2`.
        space: `rnn` or `flexibert`.

    Raises:
        InputError: the space has none of that name, or is none that is trained.
    """
    if space == "rnn":
        return find_preset(recurrent.PRESETS, name)
    if space == "flexibert":
        return find_preset(encoders.PRESETS, name)
    raise InputError(f"space {space!r} has no presets; accepted: rnn, flexibert")


def comparison_preset(
    name: str, space: str
) -> Preset[TrainingSettings] | Preset[PretrainingSettings]:
    """The preset of that name, for comparing architectures: encoders predict masked tokens.

    ELECTRA's loss would not compare them: the generator grows with its encoder, and what it fills
    in is the encoder's task.

    Raises:
        InputError: as `named_preset`.

    >>> comparison_preset("quick", "flexibert").settings.objective
    'masked'
    """
    found = named_preset(name, space)
    if isinstance(found.settings, PretrainingSettings):
        return found._replace(settings=found.settings.resized(objective="masked"))
    return found


@overload
def preset(name: str, space: Literal["rnn"] = ...) -> TrainingSettings: ...
@overload
def preset(name: str, space: Literal["flexibert"]) -> PretrainingSettings: ...
@overload
def preset(name: str, space: str) -> TrainingSettings | PretrainingSettings: ...
def preset(name: str, space: str = "rnn") -> TrainingSettings | PretrainingSettings:
    """The settings of that name; see `named_preset`.

    Raises:
        InputError: there are none.

    >>> preset("published").sequence_length
    70
    >>> preset("published", "flexibert").sequence_length
    128
    """
    return named_preset(name, space).settings
