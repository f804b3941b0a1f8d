"""The eight tasks: what is asked, where it stands in the files, and how an answer is judged.

Sources: Wang et al. 2019, "GLUE" (tasks, files, leaderboard); Clark et al. 2020, "ELECTRA", and its
released code (epochs, both orders of a pair, which metric is a task's score). The published scores
of Serianni and Kalita 2023 do not say which metrics they are; those of MRPC are all multiples of
1/408, for 408 examples, and so accuracies.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from archscout.benchmarks.published_tables import TASKS as NAMES
from archscout.errors import InputError

CLASS_METRICS = ("accuracy", "f1", "matthews")
"""What answers that are classes are judged by; F1 is of two classes, for the second."""
CORRELATIONS = ("pearson", "spearman")
"""What answers that are numbers are judged by."""


@dataclass(frozen=True)
class FileLayout:
    """Where a task lies in a folder of GLUE's own files.

    Attributes:
        folder: of the task.
        sentences: titles of their columns, one or two.
        label: title of its column.
        parts: files by part; all but `train` are evaluated on, the first of them for the score.
        titles: of all columns, where the files have no line of titles; None where they have one.
    """

    folder: str
    sentences: tuple[str, ...]
    label: str = "label"
    parts: Mapping[str, str] = field(
        default_factory=lambda: {"train": "train.tsv", "dev": "dev.tsv"}
    )
    titles: tuple[str, ...] | None = None


@dataclass(frozen=True)
class HubLayout:
    """Where a task lies in `nyu-mll/glue` on the Hugging Face hub.

    Attributes:
        configuration: its name there.
        sentences: their fields, one or two.
        parts: splits by part.
        classes: their names there in the order of `Task.labels`; empty where they are the same.
    """

    configuration: str
    sentences: tuple[str, ...]
    parts: Mapping[str, str] = field(
        default_factory=lambda: {"train": "train", "dev": "validation"}
    )
    classes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    """A task of classification or, without labels, of regression.

    Attributes:
        name: as in the published files, such as `sst`.
        title: as the benchmark writes it, such as `SST-2`.
        labels: the classes in the order of their numbers; empty for regression.
        metrics: what is measured: `accuracy`, `f1`, `matthews`, `pearson`, `spearman`.
        score: the metrics whose mean is the task's score, as published; all by default.
        leaderboard: the same on GLUE's own leaderboard.
        epochs: of fine-tuning, as published.
        largest: the largest number, from 0, of regression.
        symmetric: whether the order of the two sentences means nothing; both are trained on.
        files: where it lies in GLUE's files.
        hub: where it lies on the hub.

    Raises:
        InputError: a metric is unknown or not one of such labels, or a score is the mean of what
            is not measured.
    """

    name: str
    title: str
    labels: tuple[str, ...]
    metrics: tuple[str, ...] = ("accuracy",)
    score: tuple[str, ...] = ()
    leaderboard: tuple[str, ...] = ()
    epochs: int = 3
    largest: float = 1.0
    symmetric: bool = False
    files: FileLayout | None = None
    hub: HubLayout | None = None

    def __post_init__(self) -> None:
        accepted: tuple[str, ...] = CORRELATIONS if self.is_regression else CLASS_METRICS
        if len(self.labels) != 2:
            accepted = tuple(name for name in accepted if name != "f1")
        if not self.metrics or not set(self.metrics) <= set(accepted):
            kind = "numbers" if self.is_regression else f"{len(self.labels)} classes"
            raise InputError(
                f"task {self.name} has the metrics {', '.join(self.metrics) or 'none'}; accepted "
                f"for {kind}: {', '.join(accepted)}"
            )
        for name in (*self.score, *self.leaderboard):
            # Those of further parts are called `accuracy_PART`.
            if not any(name == m or name.startswith(f"{m}_") for m in self.metrics):
                raise InputError(
                    f"task {self.name}: {name} counts for its score and is not measured; accepted: "
                    f"{', '.join(self.metrics)}"
                )

    @property
    def is_regression(self) -> bool:
        """Whether numbers are predicted, not classes."""
        return not self.labels

    @property
    def is_paired(self) -> bool:
        """Whether there must be a second sentence, as far as the task says."""
        layout = self.files or self.hub
        return self.symmetric or (layout is not None and len(layout.sentences) == 2)

    @property
    def accepted_labels(self) -> str:
        """In words, as numbers."""
        if self.is_regression:
            return f"numbers from 0 to {self.largest:g}"
        return f"whole numbers from 0 to {len(self.labels) - 1}"

    def mean(self, values: Mapping[str, float], leaderboard: bool = False) -> float:
        """The task's score.

        Args:
            values: of the metrics by name.
            leaderboard: whether the leaderboard's score is meant, not the published one.
        """
        chosen = (leaderboard and self.leaderboard) or self.score or self.metrics
        return sum(values[name] for name in chosen) / len(chosen)


_ENTAILMENT = ("entailment", "not_entailment")
_QUESTIONS = ("question1", "question2")
_PAIR = ("sentence1", "sentence2")
_BOTH = ("accuracy", "f1")

_TASKS = (
    Task(
        "cola",
        "CoLA",
        ("0", "1"),
        ("matthews", "accuracy"),
        score=("matthews",),
        leaderboard=("matthews",),
        files=FileLayout(
            "CoLA", ("sentence",), titles=("source", "label", "original label", "sentence")
        ),
        hub=HubLayout("cola", ("sentence",), classes=("unacceptable", "acceptable")),
    ),
    Task(
        "mnli",
        "MNLI",
        ("entailment", "neutral", "contradiction"),
        leaderboard=("accuracy", "accuracy_mismatched"),
        files=FileLayout(
            "MNLI",
            _PAIR,
            "gold_label",
            {
                "train": "train.tsv",
                "matched": "dev_matched.tsv",
                "mismatched": "dev_mismatched.tsv",
            },
        ),
        hub=HubLayout(
            "mnli",
            ("premise", "hypothesis"),
            {
                "train": "train",
                "matched": "validation_matched",
                "mismatched": "validation_mismatched",
            },
        ),
    ),
    Task(
        "mrpc",
        "MRPC",
        ("0", "1"),
        _BOTH,
        score=("accuracy",),
        leaderboard=_BOTH,
        symmetric=True,
        files=FileLayout("MRPC", ("#1 String", "#2 String"), "Quality"),
        hub=HubLayout("mrpc", _PAIR, classes=("not_equivalent", "equivalent")),
    ),
    Task(
        "qnli",
        "QNLI",
        _ENTAILMENT,
        files=FileLayout("QNLI", ("question", "sentence")),
        hub=HubLayout("qnli", ("question", "sentence")),
    ),
    Task(
        "qqp",
        "QQP",
        ("0", "1"),
        _BOTH,
        score=("accuracy",),
        leaderboard=_BOTH,
        files=FileLayout("QQP", _QUESTIONS, "is_duplicate"),
        hub=HubLayout("qqp", _QUESTIONS, classes=("not_duplicate", "duplicate")),
    ),
    Task(
        "rte",
        "RTE",
        _ENTAILMENT,
        epochs=10,
        files=FileLayout("RTE", _PAIR),
        hub=HubLayout("rte", _PAIR),
    ),
    Task(
        "sst",
        "SST-2",
        ("0", "1"),
        files=FileLayout("SST-2", ("sentence",)),
        hub=HubLayout("sst2", ("sentence",), classes=("negative", "positive")),
    ),
    Task(
        "sts",
        "STS-B",
        (),
        CORRELATIONS,
        epochs=10,
        largest=5.0,
        symmetric=True,
        files=FileLayout("STS-B", _PAIR, "score"),
        hub=HubLayout("stsb", _PAIR),
    ),
)

TASKS: Mapping[str, Task] = {task.name: task for task in _TASKS}
"""The eight tasks by name, in the published files' order."""
assert tuple(TASKS) == NAMES

_SPELLINGS = {task.title.lower(): task.name for task in _TASKS} | {"sst2": "sst", "stsb": "sts"}


def named_tasks(names: str | Sequence[str] | None = None) -> tuple[Task, ...]:
    """The tasks of these names, each once, in the order of `TASKS`; all of them for None.

    Args:
        names: as in `TASKS`, or as the benchmark or the hub writes them; one or several, in a text
            with commas between them.

    Raises:
        InputError: a task is unknown, or there is none.

    Example:
        >>> ", ".join(task.title for task in named_tasks(["SST-2", "cola"]))
        'CoLA, SST-2'
    """
    if names is None:
        return _TASKS
    chosen = set()
    for name in names.split(",") if isinstance(names, str) else names:
        known = _SPELLINGS.get(name.strip().lower(), name.strip().lower())
        if known not in TASKS:
            raise InputError(f"unknown task {name!r}; accepted: {', '.join(TASKS)}")
        chosen.add(known)
    if not chosen:
        raise InputError(f"no task is named; accepted: {', '.join(TASKS)}")
    return tuple(task for task in _TASKS if task.name in chosen)
