"""Examples given in Python that no task can be learned from."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from archscout.errors import InputError
from archscout.training.glue import TASKS, Examples, Task, TaskData
from archscout.training.glue.data import load_tasks

TONE = Task("tone", "Tone", ("low", "high"))
LEVEL = Task("level", "Level", (), ("spearman",), largest=2.5)


def check(task: Task, train: Examples, **parts: Examples) -> None:
    load_tasks({task.name: TaskData(train, parts or {"dev": train})}, [task])


def single(*labels: Any) -> Examples:
    return Examples(["a"] * len(labels), None, labels)


@pytest.mark.parametrize("value", [0.7, 2, -1, 1.5, float("nan"), None, "1", np.float32(0.5), 1j])
def test_labels_that_are_no_class(value: Any) -> None:
    message = r"task tone, part dev: labels\[1\] is .*; accepted are whole numbers from 0 to 1$"
    with pytest.raises(InputError, match=message):
        check(TONE, single(0, 1), dev=single(1, value))


@pytest.mark.parametrize("value", [2.6, -0.1, float("nan"), float("inf"), None, "1"])
def test_labels_out_of_range(value: Any) -> None:
    message = r"task level, part train: labels\[2\] is .*; accepted are numbers from 0 to 2.5$"
    with pytest.raises(InputError, match=message):
        check(LEVEL, single(0, 1, value), dev=single(1))


def test_labels_of_several_kinds() -> None:
    check(TONE, single(0, 1.0, np.int64(1), np.float32(0), True))
    check(TONE, Examples(["a", "b"], None, np.array([0, 1])))  # type: ignore[arg-type]
    check(LEVEL, single(0, 2.5, np.float64(1.1)))


def test_columns_are_as_long_as_each_other() -> None:
    with pytest.raises(InputError, match="part train: labels has 30 entries; accepted are 40, as"):
        check(TONE, Examples(["a"] * 40, None, [1] * 30))
    with pytest.raises(InputError, match="part train: second has 1 entries; accepted are 2, as"):
        check(TONE, Examples(["a"] * 2, ["b"], [1] * 2))
    with pytest.raises(InputError, match=r"part train: second\[1\] is None; accepted are texts"):
        check(TONE, Examples(["a"] * 2, ["b", None], [1] * 2))  # type: ignore[list-item]


@pytest.mark.parametrize("name", ["rte", "sts"])
def test_pairs_where_the_task_has_pairs(name: str) -> None:
    with pytest.raises(InputError, match=f"task {name}, part train has no second sentences"):
        check(TASKS[name], single(0, 1))


def test_pairs_in_all_parts() -> None:
    pairs = Examples(["a"], ["b"], [1])
    with pytest.raises(InputError, match="task tone, part dev has no second sentences; accepted"):
        check(TONE, pairs, dev=single(1))
    alike = Task("alike", "Alike", ("no", "yes"), symmetric=True)
    with pytest.raises(InputError, match="task alike, part train has no second sentences"):
        check(alike, single(0, 1))


def test_parts_that_the_score_is_a_mean_of() -> None:
    pairs = Examples(["a"], ["b"], [1])
    with pytest.raises(InputError, match="task mnli: accuracy_mismatched counts for its score; of"):
        check(TASKS["mnli"], pairs, matched=pairs)
    check(TASKS["mnli"], pairs, matched=pairs, mismatched=pairs)
