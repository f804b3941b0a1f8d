"""GLUE from the hub, with data sets that are made here in place of it."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from archscout.errors import InputError
from archscout.training.glue import TASKS
from archscout.training.glue.data import load_tasks
from archscout.training.glue.hub import download_task

datasets = pytest.importorskip("datasets")

NAMES = {
    "cola": ["unacceptable", "acceptable"],
    "sst2": ["negative", "positive"],
    "mrpc": ["not_equivalent", "equivalent"],
    "qqp": ["not_duplicate", "duplicate"],
    "mnli": ["entailment", "neutral", "contradiction"],
    "qnli": ["entailment", "not_entailment"],
    "rte": ["entailment", "not_entailment"],
}


def table(configuration: str, columns: tuple[str, ...], count: int) -> Any:
    """A split as the hub has it."""
    names = NAMES.get(configuration)
    kind = datasets.ClassLabel(names=names) if names else datasets.Value("float32")
    values = {column: [f"{column} {i}" for i in range(count)] for column in columns}
    labels: list[float] = [i % len(names) if names else i / 2 for i in range(count)]
    features = {column: datasets.Value("string") for column in columns}
    return datasets.Dataset.from_dict(
        {**values, "label": labels, "idx": list(range(count))},
        features=datasets.Features({**features, "label": kind, "idx": datasets.Value("int32")}),
    )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What the hub was asked for."""
    found: list[tuple[str, str]] = []

    def load_dataset(repository: str, configuration: str) -> Any:
        found.append((repository, configuration))
        task = next(t for t in TASKS.values() if t.hub and t.hub.configuration == configuration)
        assert task.hub is not None
        splits = task.hub.parts.values()
        return datasets.DatasetDict(
            {name: table(configuration, task.hub.sentences, 7 - i) for i, name in enumerate(splits)}
        )

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return found


@pytest.mark.parametrize("name", TASKS)
def test_every_task_is_converted(name: str, asked: list[tuple[str, str]]) -> None:
    task = TASKS[name]
    data = load_tasks("hub", [task])[name]
    assert task.hub is not None and task.files is not None
    assert asked == [("nyu-mll/glue", task.hub.configuration)]
    first, *second = task.hub.sentences
    assert data.train.first == [f"{first} {i}" for i in range(7)]
    assert data.train.second == ([f"{second[0]} {i}" for i in range(7)] if second else None)
    if task.is_regression:
        assert data.train.labels == [i / 2 for i in range(7)]
    else:
        assert data.train.labels == [i % len(task.labels) for i in range(7)]
        # The numbers stand for the same classes as in the benchmark's own files.
        if not task.labels[0].isdigit():
            assert list(task.labels) == NAMES[task.hub.configuration]
    assert [len(examples) for examples in data.evaluation.values()] == (
        [6, 5] if name == "mnli" else [6]
    )


def test_without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(InputError, match=r"pip install 'archscout\[glue\]'"):
        download_task(TASKS["cola"])


def test_without_a_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_dataset(*_: str) -> Any:
        raise ConnectionError("Couldn't reach the Hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = r"\(ConnectionError: Couldn't reach the Hub\);\nwithout a network, give the folder"
    with pytest.raises(InputError, match=message):
        download_task(TASKS["rte"])


@pytest.mark.parametrize(
    ("splits", "message"),
    [
        ({"train": ("sentence",)}, "cola, split validation is not there; it has train"),
        ({"train": ("text",)}, "cola, split train lacks the column 'sentence'; it has text, label"),
    ],
)
def test_other_data_sets(
    monkeypatch: pytest.MonkeyPatch, splits: dict[str, tuple[str, ...]], message: str
) -> None:
    made = datasets.DatasetDict({k: table("cola", columns, 3) for k, columns in splits.items()})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: made)
    with pytest.raises(InputError, match=message):
        download_task(TASKS["cola"])


def test_hidden_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's test parts have -1 in place of labels."""
    split = datasets.Dataset.from_dict({"sentence": ["a"], "label": [-1]})
    made = datasets.DatasetDict({"train": split, "validation": split})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: made)
    message = r"task cola, part train: labels\[0\] is -1; accepted are whole numbers from 0 to 1$"
    with pytest.raises(InputError, match=message):
        load_tasks("hub", [TASKS["cola"]])


def test_classes_in_another_order(monkeypatch: pytest.MonkeyPatch) -> None:
    split = table("rte", ("sentence1", "sentence2"), 4)
    turned = datasets.ClassLabel(names=NAMES["rte"][::-1])
    made = datasets.DatasetDict({"train": split.cast_column("label", turned), "validation": split})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: made)
    message = "rte, split train has the classes not_entailment, entailment; accepted: entailment, n"
    with pytest.raises(InputError, match=message):
        download_task(TASKS["rte"])


def test_missing_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    split = datasets.Dataset.from_dict({"sentence": ["a", "b"], "label": [1, None]})
    made = datasets.DatasetDict({"train": split, "validation": split})
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: made)
    with pytest.raises(InputError, match=r"part train: labels\[1\] is None; accepted are whole"):
        load_tasks("hub", [TASKS["sst"]])
