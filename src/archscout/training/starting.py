"""How a training begins: in a new folder, or where the folder's last checkpoint is."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from archscout.text import Tokenizer
from archscout.training.checkpoints import Checkpoint
from archscout.training.outcome import forget_problem
from archscout.training.training_folder import VOCABULARY, TrainingFolder, check_identity

if TYPE_CHECKING:
    from accelerate import Accelerator


def begin(
    folder: TrainingFolder,
    identity: dict[str, Any],
    tokenizer: Tokenizer,
    resume: bool,
    warn: Callable[[str], None],
    accelerator: Accelerator | None = None,
) -> Checkpoint | None:
    """Start the folder, or find the checkpoint to go on from.

    Args:
        folder: of the training.
        identity: what is trained.
        tokenizer: of the text, which the folder keeps.
        resume: go on with what lies in the folder, if there is a training.
        warn: called with what the user should know.
        accelerator: of a training that may have several processes; the main one writes.

    Returns:
        The last whole checkpoint; None where the training begins at its beginning.

    Raises:
        InputError: the folder or its checkpoint is of another training, or cannot be written.
    """
    is_main = accelerator is None or accelerator.is_main_process
    starts = not (resume and folder.exists)
    if accelerator is not None:
        accelerator.wait_for_everyone()  # until all processes have looked
    if starts:
        if is_main:
            folder.start(identity)
            tokenizer.save(folder.path / VOCABULARY)
        return None
    folder.check(identity)
    if is_main:
        if not (folder.path / VOCABULARY).exists():  # a kill may have come before it was written
            tokenizer.save(folder.path / VOCABULARY)
        forget_problem(folder.path)
    checkpoint, damages = folder.checkpoints.latest()
    for damage in damages:
        warn(damage)
    if checkpoint is None:
        warn(f"{folder} holds no whole checkpoint; starting from the beginning")
        return None
    place = f"the checkpoint in {folder.checkpoints.folder}"
    check_identity(checkpoint.state.get("identity"), identity, place)
    return checkpoint
