"""Where encoders are trained."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from archscout.errors import InputError
from archscout.training.acceleration import accelerator
from archscout.training.seeds import random_devices


class MadeUp:
    """An accelerator or its state, on GPUs that are not there."""

    device = torch.device("cuda")
    num_processes = 1

    def __init__(self, **_: Any) -> None:
        pass


@pytest.fixture
def chosen(monkeypatch: pytest.MonkeyPatch) -> list[torch.device]:
    """The GPUs that were made the current one."""
    devices: list[torch.device] = []
    monkeypatch.setattr("accelerate.Accelerator", MadeUp)
    monkeypatch.setattr("accelerate.PartialState", MadeUp)
    monkeypatch.setattr(torch.cuda, "set_device", devices.append)
    return devices


def test_the_gpu_that_was_asked_for_is_used(chosen: list[torch.device]) -> None:
    accelerator("cuda", "float32")
    assert not chosen
    accelerator("cuda:1", "float32")
    assert chosen == [torch.device("cuda:1")]


def test_one_gpu_for_several_processes_is_refused(
    chosen: list[torch.device], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(MadeUp, "num_processes", 2)
    accelerator("cuda", "float32")
    with pytest.raises(InputError, match="'cuda:1': each of 2 processes takes a GPU of its own"):
        accelerator("cuda:1", "float32")
    assert not chosen


def test_another_device_than_asked_for_is_refused(chosen: list[torch.device]) -> None:
    with pytest.raises(InputError, match="device 'cpu': accelerate takes cuda"):
        accelerator("cpu", "float32")
    assert not chosen


def test_random_numbers_are_those_of_the_current_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 3)
    devices = ("cpu", "cuda", "cuda:1")
    assert [random_devices(torch.device(name)) for name in devices] == [[], [3], [1]]
