"""Trainers, presets and trainings by the space's name."""

from __future__ import annotations

import os
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Literal, overload

from pydantic import BaseModel

from archscout import spaces
from archscout.errors import InputError
from archscout.scoring import TextSource
from archscout.spaces.base import Space
from archscout.training.causal.trainer import CausalTrainer
from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.electra.streams import StreamedText
from archscout.training.electra.trainer import ElectraTrainer, Pretrained
from archscout.training.gpt.trainer import GptTrainer
from archscout.training.recurrent.language_model_settings import TrainingSettings
from archscout.training.recurrent.trainer import RecurrentTrainer, Trained
from archscout.training.trainer import Trainer
from archscout.training.training_settings import Preset, Settings, find_preset

GROUP = "archscout.trainers"
"""The entry points of other packages' trainers, named as their spaces."""


@cache
def trainers() -> dict[str, Trainer[Any]]:
    """Trainers by the names of their spaces: our own, and those of other packages."""
    own: list[Trainer[Any]] = [RecurrentTrainer(), ElectraTrainer(), GptTrainer()]
    others = {point.name: point.load()() for point in entry_points(group=GROUP)}
    return {trainer.space: trainer for trainer in own} | others


def register(trainer: Trainer[Any]) -> None:
    """Make a trainer known by its space's name in this process, in place of one that was.

    A `ModuleSpace` needs none: its modules are trained by `CausalTrainer` unless another is
    registered.
    """
    trainers()[trainer.space] = trainer


def trainer_of(space: str | Space[Any]) -> Trainer[Any] | None:
    """The trainer of a space, or of that of a name; None where it has none.

    Raises:
        InputError: there is no space of that name.
    """
    name = space if isinstance(space, str) else space.name
    if name in trainers():
        return trainers()[name]
    found = spaces.get(space) if isinstance(space, str) else space
    return CausalTrainer(found) if isinstance(found, spaces.ModuleSpace) else None


def find_trainer(space: str | Space[Any], lacks: str = "trainer") -> Trainer[Any]:
    """The trainer of a space.

    Args:
        space: the space, or its name.
        lacks: what a space without one has none of, for the message.

    Raises:
        InputError: it has none; the message says what to register.
    """
    if (found := trainer_of(space)) is None:
        name = space if isinstance(space, str) else space.name
        raise InputError(
            f"space {name!r} has no {lacks}; accepted: {', '.join(trainers())};\n"
            "archscout.training.register gives a space a trainer in this process, and a package by "
            f"the entry point {name!r} in the group {GROUP}"
        )
    return found


def named_preset(name: str, space: str | Space[Any] = spaces.DEFAULT) -> Preset[Any]:
    """The preset of that name, with the scale that it is for.

    Args:
        name: `quick`, `published`, or what else the space's trainer has.
        space: the space, or its name.

    Raises:
        InputError: the space has none of that name, or is none that is trained.
    """
    return find_preset(find_trainer(space, "presets").presets, name)


def comparison_preset(name: str, space: str | Space[Any]) -> Preset[Any]:
    """The preset of that name, for comparing architectures: encoders predict masked tokens.

    Raises:
        InputError: as `named_preset`.

    >>> comparison_preset("quick", "flexibert").settings.task
    'masked'
    """
    found = named_preset(name, space)
    return found._replace(settings=find_trainer(space).for_comparison(found.settings))


def comparison_settings(settings: BaseModel | str, space: str | Space[Any]) -> BaseModel:
    """A recipe for comparing architectures, from the name of a preset, or as it is.

    Raises:
        InputError: there is no such preset, or it is no recipe of the space's trainer.
    """
    if isinstance(settings, str):
        recipe: BaseModel = comparison_preset(settings, space).settings
        return recipe
    _check_settings(settings, find_trainer(space))
    return settings


def _check_settings(settings: object, trainer: Trainer[Any]) -> None:
    if type(settings) is not trainer.settings_type:
        raise InputError(
            f"settings of {type(settings).__name__}; this space takes "
            f"{trainer.settings_type.__name__}"
        )


@overload
def preset(name: str, space: Literal["rnn"] = ...) -> TrainingSettings: ...
@overload
def preset(name: str, space: Literal["flexibert"]) -> PretrainingSettings: ...
@overload
def preset(name: str, space: str | Space[Any]) -> Any: ...
def preset(name: str, space: str | Space[Any] = spaces.DEFAULT) -> Any:
    """The settings of that name; see `named_preset`.

    Raises:
        InputError: there are none.

    >>> preset("published").sequence_length
    70
    >>> preset("published", "flexibert").sequence_length
    128
    """
    return named_preset(name, space).settings


@overload
def train(
    space: Literal["rnn"],
    architecture: Any,
    text: TextSource,
    settings: TrainingSettings | str = ...,
    out: str | os.PathLike[str] = ...,
    **options: Any,
) -> Trained: ...
@overload
def train(
    space: Literal["flexibert"],
    architecture: Any,
    text: TextSource | StreamedText,
    settings: PretrainingSettings | str = ...,
    out: str | os.PathLike[str] = ...,
    **options: Any,
) -> Pretrained: ...
@overload
def train(
    space: str | Space[Any],
    architecture: Any,
    text: TextSource | StreamedText,
    settings: Settings | str = ...,
    out: str | os.PathLike[str] = ...,
    **options: Any,
) -> Any: ...
def train(
    space: str | Space[Any],
    architecture: Any,
    text: TextSource | StreamedText,
    settings: Settings | str = "quick",
    out: str | os.PathLike[str] = "training",
    **options: Any,
) -> Any:
    """Train one architecture on a text, as its space has it.

    The same arguments give the same weights, bit for bit, on the same machine with as many
    threads (on a GPU only as far as its operations repeat themselves); stopped at any time and
    resumed, too (unless `settings.minutes` ended it).

    Args:
        space: a space, or its name: of `rnn` and `gpt` a language model is trained, of a
            `ModuleSpace` too, and of `flexibert` an encoder is pretrained.
        architecture: a genotype, its JSON, or its name.
        text: a corpus, or what `load_corpus` takes. Of a text without splits the last tenth is
            held out for validation, and the tenth before it for testing. For encoders also a
            `StreamedText`.
        settings: the recipe, or a preset's name.
        out: the training folder.
        **options: further arguments of `Trainer.train`.

    Returns:
        The trained model, with the weights of its best evaluation; where it stopped, if `until`
        asks for that.

    Raises:
        InputError: something given cannot be used, differs from what is resumed, or a file cannot
            be written; `Diverged` if the loss is no number any more.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written.
    """
    found = spaces.get(space) if isinstance(space, str) else space
    trainer = find_trainer(found)
    if isinstance(text, StreamedText) and not trainer.reads_streams:
        raise InputError(
            f"the data set {str(text)!r}: networks of space {found.name} read a text whole"
        )
    # Not those of a derived class either, some of which would be ignored.
    if not isinstance(settings, str):
        _check_settings(settings, trainer)
    return trainer.train(found, architecture, text, settings, out, **options)
