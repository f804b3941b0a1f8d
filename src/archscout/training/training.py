"""Training by the space: recurrent language models, and pretrained encoders."""

from __future__ import annotations

import os
from typing import Any, Literal, TypeVar, overload

from archscout import spaces
from archscout.errors import InputError
from archscout.scoring import TextSource
from archscout.spaces.base import Space
from archscout.spaces.flexibert.space import FlexibertSpace
from archscout.spaces.recurrent.space import RecurrentSpace
from archscout.training.electra.pretraining_settings import PretrainingSettings
from archscout.training.electra.streams import StreamedText
from archscout.training.electra.training import Pretrained, pretrain
from archscout.training.recurrent.language_model_settings import TrainingSettings
from archscout.training.recurrent.training import Trained, train_language_model
from archscout.training.training_settings import Settings

S = TypeVar("S", bound=Settings)


@overload
def train(
    space: Literal["rnn"] | RecurrentSpace,
    architecture: Any,
    text: TextSource,
    settings: TrainingSettings | str = ...,
    out: str | os.PathLike[str] = ...,
    **options: Any,
) -> Trained: ...
@overload
def train(
    space: Literal["flexibert"] | FlexibertSpace,
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
    settings: TrainingSettings | PretrainingSettings | str = ...,
    out: str | os.PathLike[str] = ...,
    **options: Any,
) -> Trained | Pretrained: ...
def train(
    space: str | Space[Any],
    architecture: Any,
    text: TextSource | StreamedText,
    settings: TrainingSettings | PretrainingSettings | str = "quick",
    out: str | os.PathLike[str] = "training",
    **options: Any,
) -> Trained | Pretrained:
    """Train one architecture on a text, as its space has it.

    The same arguments give the same weights, bit for bit, on the same machine with as many
    threads (on a GPU only as far as its operations repeat themselves); stopped at any time and
    resumed, too (unless `settings.minutes` ended it).

    Args:
        space: a space, or its name: of `rnn` a language model is trained, of `flexibert` an
            encoder is pretrained.
        architecture: a genotype, its JSON, or its name.
        text: a corpus, or what `load_corpus` takes. Of a text without splits the last tenth is
            held out for validation, and the tenth before it for testing. For encoders also a
            `StreamedText`.
        settings: the recipe, or a preset's name.
        out: the training folder.
        **options: further arguments of `train_language_model` or `pretrain`.

    Returns:
        The trained model, with the weights of its best evaluation.

    Raises:
        InputError: something given cannot be used, differs from what is resumed, or a file cannot
            be written; `Diverged` if the loss is no number any more.
        KeyboardInterrupt: Ctrl-C; a checkpoint was written.
    """
    found = spaces.get(space) if isinstance(space, str) else space
    if isinstance(found, RecurrentSpace):
        if isinstance(text, StreamedText):
            raise InputError(f"the data set {str(text)!r}: recurrent networks read a text whole")
        return train_language_model(
            found, architecture, text, _checked(settings, TrainingSettings), out, **options
        )
    if isinstance(found, FlexibertSpace):
        return pretrain(
            found, architecture, text, _checked(settings, PretrainingSettings), out, **options
        )
    raise InputError(f"space {found.name!r} is not trained; accepted: rnn, flexibert")


def _checked(settings: object, kind: type[S]) -> S | str:
    """Settings that are of the space."""
    if isinstance(settings, kind | str):
        return settings
    raise InputError(f"settings of {type(settings).__name__}; this space takes {kind.__name__}")
