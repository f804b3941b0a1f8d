"""The training loop: steps up to an evaluation, checkpoints between them, and where to stop.

Whatever is random in a step follows from the seed and the step's number; so the state of a training
is its tensors and a few numbers.
"""

from __future__ import annotations

import dataclasses
import math
import signal
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, NoReturn, Self, TypeVar

import torch
from torch import Tensor, nn

from archscout.execution import stopping
from archscout.files import write_json_lines
from archscout.training.checkpoints import Checkpoint, Checkpoints
from archscout.training.outcome import Diverged, Paused
from archscout.training.schedule import LOWEST_RATE, Clock, rate_factor
from archscout.training.seeds import random_devices
from archscout.training.tracking import open_trackers
from archscout.training.training_folder import CHECKPOINTS, METRICS
from archscout.training.weights import remove_superseded, restore_tensors, training_tensors

if TYPE_CHECKING:
    from accelerate import Accelerator

Batch = TypeVar("Batch")
Losses = TypeVar("Losses")
T = TypeVar("T")

_SMOOTHING = 0.98


def smoothed(before: float | None, now: float) -> float:
    """A running mean with one more value; None where there was no value before."""
    return now if before is None else _SMOOTHING * before + (1 - _SMOOTHING) * now


@dataclasses.dataclass
class TrainingState:
    """Where a training is, apart from its tensors: plain JSON types.

    Attributes:
        record_type: what an evaluation found, a dataclass.
        step: steps that are done, of the training or of its epoch.
        seconds: of training so far, evaluation left out.
        records: of the evaluations.
        ended: why it is over; None while it is not.
    """

    record_type: ClassVar[type[Any]]

    step: int = 0
    seconds: float = 0.0
    records: list[Any] = dataclasses.field(default_factory=list)
    ended: str | None = None

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """From what `dataclasses.asdict` gave."""
        records = [cls.record_type(**record) for record in values["records"]]
        return cls(**{**values, "records": records})


class TrainingLoop(ABC, Generic[Batch, Losses]):
    """A training on its way; what is trained gives its steps, its evaluation and its tensors.

    Args:
        model: that is trained, on its device.
        optimizer: of its parameters, of Adam's kind.
        state: where it is.
        settings: the recipe.
        seed: of all that is random.
        folder: that is written to; None for no files.
        identity: what is trained, kept in every checkpoint.
        device: where it is trained.
        on_progress: called after every step.
        on_record: called after every evaluation.
        accelerator: of a training that may have several processes; the main one writes.
    """

    has_followers: bool = False
    """Whether other trainings follow, so that Ctrl-C stops even where this one is over."""
    _no_checkpoint: ClassVar[str] = "there is no checkpoint yet"
    _what: str = "training"
    """What diverges, for the message."""

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        state: TrainingState,
        settings: Any,
        seed: int,
        folder: Path | None,
        identity: dict[str, Any],
        device: torch.device,
        on_progress: Callable[[Any], None] | None,
        on_record: Callable[[Any], None] | None,
        accelerator: Accelerator | None = None,
    ) -> None:
        self.optimizer, self.state, self.settings, self.seed = optimizer, state, settings, seed
        self.identity, self.device, self.accelerator = identity, device, accelerator
        self.is_main = accelerator is None or accelerator.is_main_process
        self._network, self._path = model, folder
        self._checkpoints = None if folder is None else Checkpoints(folder / CHECKPOINTS)
        self._on_progress = on_progress or (lambda _: None)
        self._on_record = on_record or (lambda _: None)
        self._trackers: list[Any] = []
        self._evaluated: int | None = None

    # What a training gives

    @property
    @abstractmethod
    def done(self) -> int:
        """Tokens (or examples) that were trained on so far."""

    @property
    @abstractmethod
    def total(self) -> int:
        """Tokens (or examples) that are trained on, at most."""

    @abstractmethod
    def _batches(self) -> Iterable[Batch]:
        """What is left up to the next evaluation, or more; each is asked for when it is needed."""

    @abstractmethod
    def _step(self, batch: Batch) -> Losses:
        """Make one update; returns its losses."""

    @abstractmethod
    def _tell(self, losses: Losses, speed: float) -> None:
        """Log a step and call `on_progress`; the speed is in tokens (or examples) a second."""

    @abstractmethod
    def _is_evaluated(self) -> bool:
        """Whether an evaluation follows the step that was made."""

    @abstractmethod
    def _evaluate(self, speed: float) -> Any:
        """Evaluate, add a record to the state, and decide whether that was all; returns it."""

    @abstractmethod
    def _number(self) -> int:
        """The number of a checkpoint made now, which grows."""

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to do: the state says why it ended."""
        return self.state.ended is not None

    @property
    def network(self) -> nn.Module:
        """What is handed over when it is trained."""
        return self._network

    def _validation_loss(self) -> float:
        """What `Trainer.loss` is of the validation part, of the weights as they are, nats."""
        raise NotImplementedError(f"{type(self).__name__} stops nowhere but at its end")

    def _begin(self) -> None:
        """Do what comes before the first step, or the first after going on."""

    def _end(self) -> None:
        """Do what comes after the last step, such as to go back to the best weights."""

    def _keep_milestone(self) -> bool:
        """Keep what is kept after this step; returns whether a checkpoint goes with it."""
        return False

    def _agreed(self, value: T) -> T:
        """The main process's value: what ends a training or sets its rate must be one for all."""
        if self.accelerator is None or self.accelerator.num_processes == 1:
            return value
        from accelerate.utils import broadcast_object_list

        values: list[T] = [value]
        broadcast_object_list(values)
        return values[0]

    def _more_tensors(self) -> dict[str, Tensor]:
        """What a checkpoint holds beside weights and the optimizer's averages."""
        return {}

    def _more_state(self) -> dict[str, Any]:
        """What a checkpoint holds beside the identity and the state."""
        return {}

    def _restore_more(self, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
        """Take what `_more_tensors` and `_more_state` gave."""

    def _losses(self) -> Iterable[tuple[int, float]]:
        """N of `best-N.safetensors` and the validation loss of each evaluation, in their order."""
        return ()

    # Running

    def run(self, until: float | None = None, log_with: Sequence[str] = ()) -> Paused | None:
        """Train until the end, or stop on the way.

        Args:
            until: part of `total`, in (0, 1], after which to stop; None for the end.
            log_with: trackers of the curves, see `tracking`.

        Returns:
            Where it stopped, with a checkpoint; None where it is over.

        Raises:
            KeyboardInterrupt: Ctrl-C, or the driver of this process stops; a checkpoint was
                written, if there is a folder.
            Diverged: the loss is no number any more.
            InputError: a file cannot be written, or the text cannot be read.
        """
        stop = math.inf if until is None else math.ceil(until * self.total)
        if self._path is not None and self.is_main:
            self._trackers = open_trackers(log_with, self._path, self.done)
        try:
            with torch.random.fork_rng(devices=random_devices(self.device)):
                self._network.train()
                self._begin()
                while not self.is_over and self.done < stop:
                    self._run_to_evaluation(stop)
                if not self.is_over:
                    return self._paused()
        finally:
            for tracker in self._trackers:
                tracker.finish()
        self._end()
        return None

    def _run_to_evaluation(self, stop: float) -> None:
        """The steps that are left up to the next evaluation, and the evaluation.

        Or, where so many tokens are trained on before it, the steps up to there.
        """
        clock, saved = Clock(self.state.seconds, self.done), time.monotonic()
        with postponed_interrupts() as interrupt:
            for batch in self._batches():
                losses = self._step(batch)
                self.state.seconds = clock.seconds()
                self._tell(losses, clock.rate(self.done))
                asked = (self.state.seconds, interrupt.is_set() or stopping())
                self.state.seconds, is_stopped = self._agreed(asked)
                if self._is_evaluated():
                    break
                is_due = time.monotonic() - saved > 60 * self.settings.checkpoint_minutes
                is_there = self.done >= stop
                if self._keep_milestone() or is_stopped or is_due or is_there:
                    self.save()
                    saved = time.monotonic()
                if is_stopped:
                    raise KeyboardInterrupt
                if is_there:
                    return
            record = self._evaluate(clock.rate(self.done))
            self._evaluated = self.done
            if self._path is not None and self.is_main:
                lines = map(dataclasses.asdict, self.state.records)
                write_json_lines(self._path / METRICS, lines)
            self.save()
            self._on_record(record)
            is_left = self.has_followers or not self.is_over
            if self._agreed(interrupt.is_set() or stopping()) and is_left:
                raise KeyboardInterrupt

    def _paused(self) -> Paused:
        """Where it stopped before its end."""
        if self._evaluated == self.done:
            *_, (_, loss) = self._losses()
        else:
            loss = self._validation_loss()
        if not math.isfinite(loss):
            self._diverge(self.state.step, f"the validation loss is {loss}")
        return Paused(loss, self.done / self.total, self.done, self.state.seconds)

    def _log(self, values: Mapping[str, float]) -> None:
        """Log values by name, such as `loss/valid`, over what was trained on so far."""
        for tracker in self._trackers:
            tracker.log(dict(values), step=self.done)

    def _scheduled_rate(self, done: float) -> float:
        """The learning rate when a part of the steps, 0 to 1, is done.

        Where the time is limited, what counts is the part of the time, if that is more.
        """
        minutes = getattr(self.settings, "minutes", None)
        if minutes is not None:
            done = max(done, self.state.seconds / 60 / minutes)
        lowest = getattr(self.settings, "lowest_rate", LOWEST_RATE)
        rate: float = self.settings.learning_rate * rate_factor(self.settings, done, lowest)
        return rate

    def _why_over(self, is_last: bool, whole: str, since_best: int) -> str | None:
        """Why a training is over after an evaluation; None where it is not.

        Args:
            is_last: whether no step is left.
            whole: what is said then.
            since_best: evaluations since the best one.
        """
        if self._is_out_of_time():
            return "minutes"
        if is_last:
            return whole
        patience = self.settings.patience
        return "patience" if patience is not None and since_best >= patience else None

    def _is_out_of_time(self) -> bool:
        minutes = self.settings.minutes
        return minutes is not None and self.state.seconds >= 60 * minutes

    def _check(self, loss: float, norm: float) -> None:
        """Make sure of a step, before the weights are touched."""
        for what, value in (("the loss", loss), ("its gradient", norm)):
            if not math.isfinite(value):
                self._diverge(self.state.step + 1, f"{what} is {value}")

    def _diverge(self, step: int, what: str) -> NoReturn:
        """Stop, and name the checkpoint that is kept, where there is a folder for one."""
        kept = ""
        if self._checkpoints is not None:
            paths = self._checkpoints.paths()
            last = f"the last good checkpoint is {paths[-1]}" if paths else self._no_checkpoint
            kept = f"; {last}"
        epoch = f"epoch {self.state.epoch}, " if hasattr(self.state, "epoch") else ""
        raise Diverged(
            f"{self._what} diverged in {epoch}step {step}: {what}{kept}\n"
            "a smaller --set learning_rate=X or --set clip=X may help, in another folder"
        )

    # Checkpoints

    def save(self) -> None:
        """Write a checkpoint, if there is a folder, and remove what none needs any more."""
        if self._path is None or self._checkpoints is None or not self.is_main:
            return
        tensors = training_tensors(self._network, self.optimizer) | self._more_tensors()
        progress = dataclasses.asdict(self.state)
        state = {"identity": self.identity, "progress": progress, **self._more_state()}
        self._checkpoints.save(self._number(), Checkpoint(tensors, state))
        remove_superseded(self._path, self._losses())

    def restore(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint."""
        tensors = {name: tensor.to(self.device) for name, tensor in checkpoint.tensors.items()}
        restore_tensors(self._network, self.optimizer, tensors)
        self.state = type(self.state).from_dict(checkpoint.state["progress"])
        self._restore_more(tensors, checkpoint.state)


@contextmanager
def postponed_interrupts() -> Iterator[threading.Event]:
    """Remember the first Ctrl-C in place of raising it; a second one is raised at once.

    Outside the main thread, and where Ctrl-C is ignored, nothing changes.
    """
    asked = threading.Event()
    before = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or not callable(before):
        yield asked
        return

    def remember(*_: object) -> None:
        asked.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, remember)
    try:
        yield asked
    finally:
        signal.signal(signal.SIGINT, before)
