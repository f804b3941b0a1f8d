import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr
from sklearn.metrics import accuracy_score, f1_score, matthews_corrcoef

from archscout.benchmarks.published_tables import TASKS as PUBLISHED
from archscout.errors import InputError
from archscout.training.glue import TASKS, Examples, Task, TaskData, majority_baseline, measure
from archscout.training.glue.examples import measure_parts
from archscout.training.glue.tasks import named_tasks

RNG = np.random.default_rng(0)
LABELS, ANSWERS = RNG.integers(0, 2, 50), RNG.integers(0, 2, 50)


def test_the_tasks_are_those_of_the_published_files() -> None:
    assert tuple(TASKS) == PUBLISHED
    assert [task.epochs for task in TASKS.values()] == [3, 3, 3, 3, 3, 10, 3, 10]
    assert [t.name for t in TASKS.values() if t.symmetric] == ["mrpc", "sts"]
    assert [t.name for t in TASKS.values() if t.is_regression] == ["sts"]
    assert len(TASKS["mnli"].labels) == 3


def test_tasks_by_any_of_their_names() -> None:
    names = [task.name for task in named_tasks(["STS-B", "sst2", "RTE", "rte", " cola "])]
    assert names == ["cola", "rte", "sst", "sts"]
    assert [task.name for task in named_tasks()] == list(TASKS)
    assert named_tasks("rte, cola") == named_tasks(["cola", "rte"])
    with pytest.raises(InputError, match="unknown task 'wnli'; accepted: cola, mnli, "):
        named_tasks(["cola", "wnli"])
    with pytest.raises(InputError, match="no task is named"):
        named_tasks([])


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("rte", {"accuracy": accuracy_score(LABELS, ANSWERS)}),
        ("qqp", {"f1": f1_score(LABELS, ANSWERS), "accuracy": accuracy_score(LABELS, ANSWERS)}),
        ("cola", {"matthews": matthews_corrcoef(LABELS, ANSWERS)}),
    ],
)
def test_metrics_are_those_of_scikit_learn(task: str, expected: dict[str, float]) -> None:
    measured = measure(TASKS[task], ANSWERS, LABELS)
    assert not measured.notes
    for name, value in expected.items():
        assert measured.values[name] == pytest.approx(100 * value)


def test_values_by_hand() -> None:
    labels, answers = np.array([1, 1, 1, 0, 0, 0, 0, 0]), np.array([1, 1, 0, 1, 0, 0, 0, 0])
    # Two true positives, one false one, one missed, four true negatives.
    values = measure(TASKS["mrpc"], answers, labels).values
    assert values == {"accuracy": 75.0, "f1": pytest.approx(200 / 3)}
    assert TASKS["mrpc"].mean(values) == 75.0
    assert TASKS["mrpc"].mean(values, leaderboard=True) == pytest.approx((75 + 200 / 3) / 2)
    matthews = (2 * 4 - 1 * 1) / (3 * 3 * 5 * 5) ** 0.5
    assert measure(TASKS["cola"], answers, labels).values["matthews"] == pytest.approx(
        100 * matthews
    )


@pytest.mark.parametrize(
    ("labels", "names", "message"),
    [
        ("ab", {"metrics": ("recall",)}, "metrics recall; accepted for 2 classes: accuracy, f1, m"),
        ("ab", {"metrics": ("pearson",)}, "metrics pearson; accepted for 2 classes: accuracy, f1"),
        ("ab", {"metrics": ()}, "metrics none; accepted for 2 classes: accuracy, f1, matthews"),
        ("abc", {"metrics": ("f1",)}, "metrics f1; accepted for 3 classes: accuracy, matthews"),
        ("", {}, "metrics accuracy; accepted for numbers: pearson, spearman"),
        ("ab", {"score": ("f1",)}, None),
        ("ab", {"leaderboard": ("f1",)}, None),
    ],
)
def test_metrics_that_do_not_fit(
    labels: str, names: dict[str, tuple[str, ...]], message: str | None
) -> None:
    message = f"has the {message}" if message else "f1 counts for its score and is not measured"
    with pytest.raises(InputError, match=f"^task tone:? {message}"):
        Task("tone", "Tone", tuple(labels), **names)  # type: ignore[arg-type]


def test_correlations() -> None:
    labels = np.array([0.0, 1.5, 3.0, 5.0])
    answers = np.array([0.1, 0.2, 0.9, 0.8])
    values = measure(TASKS["sts"], answers, labels).values
    assert values["pearson"] == pytest.approx(100 * pearsonr(labels, answers).statistic)
    assert values["spearman"] == pytest.approx(100 * spearmanr(labels, answers).statistic) == 80
    assert TASKS["sts"].mean(values) == (values["pearson"] + values["spearman"]) / 2


@pytest.mark.parametrize("task", ["cola", "sts"])
def test_constant_answers_correlate_with_nothing(task: str) -> None:
    measured = measure(TASKS[task], np.ones(5), np.array([0, 1, 1, 0, 1]))
    score = TASKS[task].mean(measured.values)
    assert score == 0.0
    assert "is 0 because the predictions are all the same" in measured.notes[0]
    alike = measure(TASKS[task], np.array([0, 1]), np.ones(2))
    assert "because the labels are all the same" in alike.notes[0]


def test_constant_answers_without_a_hit_have_no_f1() -> None:
    values = measure(TASKS["qqp"], np.zeros(3, int), np.array([1, 1, 0])).values
    assert values["f1"] == 0.0


def examples(labels: list[float]) -> Examples:
    return Examples(["a"] * len(labels), ["b"] * len(labels), labels)


def test_the_majority_is_that_of_the_examples_to_learn_from() -> None:
    task = TASKS["mnli"]
    parts = {"matched": examples([0, 1, 2, 2]), "mismatched": examples([1, 1, 2, 1])}
    data = TaskData(examples([1, 1, 2]), parts)
    assert majority_baseline(task, data).values == {
        "accuracy": 25.0,
        "accuracy_mismatched": 75.0,
    }
    answers = {"matched": np.array([0, 1, 2, 0]), "mismatched": np.array([0, 0, 0, 0])}
    assert measure_parts(task, data, answers).values == {
        "accuracy": 75.0,
        "accuracy_mismatched": 0.0,
    }
    numbers = TaskData(examples([1.0, 3.0]), {"dev": examples([0.5, 5.0])})
    assert majority_baseline(TASKS["sts"], numbers).values == {"pearson": 0.0, "spearman": 0.0}
