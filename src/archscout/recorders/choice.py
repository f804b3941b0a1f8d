"""The one way of choosing a recorder: by what of a module runs."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn

from archscout.recorders.batch import Given
from archscout.recorders.modules import ModuleRecorder
from archscout.recorders.structure import attention_layers
from archscout.recorders.transformers import TransformerRecorder


@contextmanager
def recorded(
    module: nn.Module, batch: Given, batch_first: bool | None = None
) -> Iterator[ModuleRecorder]:
    """The recorder that fits what of a module runs on a batch, while it records this batch.

    Blocks with attention, or recurrent modules, that are there and do not run decide nothing.

    Args:
        module: any module.
        batch: what it is called with, see `ModuleRecorder.given`.
        batch_first: whether its minibatches are (B, T, ...) and not (T, B, ...).

    Raises:
        InputError: the module takes its batches in the other order.
    """
    if attention_layers(module):
        with TransformerRecorder(module, batch_first).given(batch) as recorder:
            if recorder.fits:
                yield recorder
                return
    with ModuleRecorder(module, batch_first).given(batch) as plain:
        yield plain
