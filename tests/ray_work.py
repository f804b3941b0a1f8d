"""Tasks for workers of Ray, which import them by name."""

import os
import signal
import time
import warnings
from pathlib import Path
from typing import Any

from archscout.scoring import Scorer
from archscout.training.jobs import Part, Segment, Shared, train_segment

# Of a task that scores, at least.
SECONDS = 1.5


def until_interrupted(state: int, item: int) -> tuple[int, bool]:
    """Ends at Ctrl-C, and still has a result."""
    try:
        for _ in range(3000):
            time.sleep(0.01)
    except KeyboardInterrupt:
        return item, True
    return item, False


def scored(state: tuple[Scorer, Path], item: Any) -> tuple[dict[str, float], str]:
    """Scores, after a while, and the Ray node that made them, which is written down before."""
    import ray

    scorer, folder = state
    node = ray.get_runtime_context().get_node_id()
    (folder / node).touch()
    time.sleep(SECONDS)
    return scorer.score(item).scores, node


def span(state: int, item: int) -> tuple[float, float]:
    """When it began and ended, by a clock that processes of a machine share."""
    start = time.monotonic()
    time.sleep(0.1)
    return start, time.monotonic()


class Odd(Exception):
    """What cannot be unpickled."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"{first} and {second}")


def odd(state: int, item: int) -> int:
    """Warns, and raises at 2 what has no way through pickle."""
    warnings.warn("this is odd", UserWarning, stacklevel=2)
    if item == 2:
        raise Odd(1, 2)
    return item


def killed_once(mark: Path, state: Shared, part: Part) -> Segment:
    """A segment whose process dies in its middle, the first time."""
    steps: list[object] = []

    def step(progress: object) -> None:
        steps.append(progress)
        if part.job.name == "1" and len(steps) == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    return train_segment(state, part, step)
