"""Tasks for worker processes, which import them by name."""

import gc
import os
import signal
import time
from pathlib import Path

from archscout.execution import processes, stopping


def scaled(state: int, item: int) -> tuple[int, bool]:
    """The product, and whether another process made it."""
    return state * item, os.environ.get("DRIVER") != str(os.getpid())


def frozen(state: int, item: int) -> int:
    """Objects that garbage collection leaves out in the process."""
    return gc.get_freeze_count()


def slow_first(state: int, item: int) -> int:
    time.sleep(0.3 if item == 0 else 0)
    return state * item


def asleep(state: int, item: float) -> float:
    """Takes so many seconds."""
    time.sleep(item)
    return item


def deadly(state: Path, item: int) -> int:
    """Ends its process at 3 every time, and at 5 the first time."""
    with (state / str(item)).open("a") as tries:
        tries.write("x")
    if item == 3 or (item == 5 and (state / "5").stat().st_size == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    return item


def deadly_elsewhere(state: object, item: int) -> str:
    """Ends its process at 3, but not the driver's."""
    if os.environ.get("DRIVER") == str(os.getpid()):
        return "in the driver"
    if item == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return "elsewhere"


def deadly_segment(state: object, part: object) -> None:
    """Ends the process in which a training is to be."""
    os.kill(os.getpid(), signal.SIGKILL)


def failing(state: int, item: int) -> int:
    if item == 2:
        raise ValueError(f"no {item}")
    return item


class Missing:
    """A state that only its own process can load."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (_load, (str(os.getpid()),))


def _load(process: str) -> object:
    if process != str(os.getpid()):
        raise ModuleNotFoundError("no module named 'plugin'")
    return Missing()


def place_of(state: Path, item: int) -> int:
    """Writes down which process this is."""
    (state / str(item)).write_text(str(os.getpid()))
    return item


def until_stopped(state: int, item: int) -> tuple[int, bool]:
    """Ends when the driver stops, or at once for items that are even."""
    while item % 2 and not stopping():
        time.sleep(0.01)
    return item, stopping()


def together(state: tuple[Path, str], item: int) -> tuple[int, str]:
    """Which process this is and what it knows, once another is at the same."""
    folder, said = state
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    known = os.environ.get("KNOWN")
    return os.getpid(), f"{said}, {'stopping' if stopping() else 'not stopping'}, {known}"


def be_short() -> None:
    """Have a process give its task hardly any time to end when its driver is gone."""
    processes._GRACE_SECONDS = 0.5
