"""What a training's folder says it is of, and what is called another."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from archscout.errors import InputError
from archscout.training.training_folder import (
    TrainingFolder,
    check_identity,
    milestone_name,
    milestone_step,
)


@pytest.mark.parametrize(
    ("there", "now", "message"),
    [
        ({"settings": {"a": 1}}, {"settings": {"a": 1, "b": None}}, "settings: b: absent there, N"),
        ({"settings": {"a": 1, "b": None}}, {"settings": {"a": 1}}, "settings: b: None there, abs"),
        ({"settings": {"a": 1}}, {"settings": {"a": 1.0}}, "settings: a: 1 there, 1.0 here"),
        ({"data": {"a": {"b": 1}}}, {"data": {"a": {"b": True}}}, "data: a: {'b': 1} there"),
        ({}, {"seed": 3}, "seed: absent there, 3 here"),
        ({}, {"limit": None}, "limit: absent there, None here"),
        (None, {"vocabulary_size": 3}, "vocabulary size: absent there, 3 here"),
        (
            {"architecture": [1], "fingerprint": "x"},
            {"architecture": [2], "fingerprint": "y"},
            "architecture: x there, y here",
        ),
        (
            {"architecture": {"a": 1, "b": 2}, "fingerprint": "x"},
            {"architecture": {"b": 2, "a": 1}, "fingerprint": "x"},
            "architecture: its nodes in another order there, as given here",
        ),
    ],
)
def test_what_differs_is_named(there: Any, now: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"^out is a training of another {message}"):
        check_identity(there, now, "out")


def test_the_same_is_accepted() -> None:
    now = {"seed": 0, "tasks": ("cola",), "settings": {"a": 1, "b": None}}
    there = {"settings": {"b": None, "a": 1}, "tasks": ["cola"], "seed": 0, "versions": {}}
    check_identity(there, now, "out")


def test_names_of_milestones() -> None:
    assert [milestone_step(milestone_name(step)) for step in (0, 20, 10**9)] == [0, 20, 10**9]
    assert milestone_step("step-20") == 20
    assert [milestone_step(name) for name in ("step-", "step-x", "a step-2", "step-2 ")] == [
        None
    ] * 4


def test_a_part_that_a_kill_left_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / ".training.json.17-ab.part").write_text("{")
    folder = TrainingFolder(tmp_path)
    folder.start({"seed": 0})
    assert folder.exists
