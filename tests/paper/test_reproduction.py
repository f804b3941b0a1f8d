"""The paper's statistics, against computations of their own and made-up files."""

import csv
import math
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure
from scipy import stats

import made_up as titles
from archscout.analysis.document import Table
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError
from archscout.paper.reproduction import (
    Reproduction,
    compute,
    encoders,
    part,
    recurrent,
)

DATA = Path("training-free-nas", "data")
RECURRENT = titles.RECURRENT_TITLES
ENCODER = [title for title in titles.ENCODER_TITLES if title != "Number of Parameters"]
LOSSES = ["loss", "perplexity", "bits per word"]
GROWING = ("Head Confidence", "Head Softmax Confidence")


@pytest.fixture(scope="module")
def no_figures() -> Iterator[None]:
    """Empty figures, which take no time; the real ones have tests of their own."""
    with pytest.MonkeyPatch.context() as patch:
        for room in (encoders, part, recurrent):
            for name in ("metric_grid", "box_plots", "lines", "bars"):
                if hasattr(room, name):
                    patch.setattr(room, name, lambda *_, **__: Figure(figsize=(1, 1)))
        yield


def write(folder: Path, name: str, header: list[str], rows: list[list[object]]) -> None:
    path = folder / DATA / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def log(i: int) -> str:
    return f"log_stats_model_{1000 + i}_2020-04-13_04-50-42_9{i}.json"


def made_up(folder: Path) -> Path:
    """All published tables with 12 networks, or 5 and 6 draws, of random numbers."""
    rng = np.random.default_rng(0)

    def numbers(count: int) -> list[object]:
        return list(rng.normal(size=count).round(6))

    header = ["log name", *LOSSES, *RECURRENT]
    write(
        folder, "RNN_results.csv", header, [[log(i), *numbers(len(header) - 1)] for i in range(12)]
    )
    sizes = ["log name", *LOSSES, "trainable paramters", "total paramters"]
    rows: list[list[object]] = [[log(i), *numbers(3), 10 * i + 7, 1000] for i in range(10)]
    write(folder, "RNN_parameters.csv", sizes, [*rows, ["logs.zip", "", "", "", "", ""]])
    title = {"minibatch": "batch", "initialisation": "initialization"}
    encoders = ["ID", "GLUE Score", *ENCODER, "Number of Parameters"]
    for drawn in title.values():
        rows = [[log(i), float(i), 1, 1, *numbers(12)] for i in range(5) for _ in range(6)]
        write(folder, f"RNN_{drawn}_ablation.csv", header, rows)
        rows = [
            [i, float(i), *(d + 1 if name in GROWING else rng.normal() for name in ENCODER), 5]
            for i in range(5)
            for d in range(6)
        ]
        write(folder, f"BERT_{drawn}_ablation.csv", encoders, rows)
    write(
        folder,
        "BERT_results_activation.csv",
        encoders,
        [[i, *numbers(len(encoders) - 2), 1000 + i] for i in range(12)],
    )
    steps = ["id", "steps", *["cola", "mnli", "mrpc", "qnli", "qqp", "rte", "sst", "sts", "glue"]]
    rows = [[i, s, *numbers(8), 50 + i * s / 100 + i] for i in range(5) for s in (0, 50000)]
    write(folder, "BERT_train_ablation.csv", steps, rows)
    return folder


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_up(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def done(folder: Path, no_figures: None) -> Reproduction:
    return compute(DataFolder(folder), "all", resamples=20)


def table(done: Reproduction, name: str) -> pd.DataFrame:
    found = [
        item.frame
        for section in done.document.sections
        for item in section.content
        if isinstance(item, Table) and item.name == name
    ]
    assert len(found) == 1
    return found[0]


def remarks(done: Reproduction, title: str) -> str:
    return "\n".join(r for s in done.document.sections if title in s.title for r in s.remarks)


def column(path: Path, title: str, key: str) -> dict[str, float]:
    """One column of a CSV file, by key, read with nothing of archscout."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = list(csv.reader(file))
    titles = [name.strip() for name in rows[0]]
    found: dict[str, float] = {}
    for row in rows[1:]:
        if len(row) == len(titles) and row[titles.index(key)].endswith((".json", *"0123456789")):
            value = row[titles.index(title)]
            if value not in ("", "nan"):
                found[row[titles.index(key)]] = float(value)
    return found


CHECKED = [
    ("recurrent", "hidden_covariance[1]", "Layer 1 Hidden Covariance"),
    ("recurrent", "synaptic_saliency", "Synaptic Saliency"),
    ("recurrent", "more_noised_jacobian_cosine", "More Noised Jacobian Cosine"),
    ("encoder", "head_confidence", "Head Confidence"),
    ("encoder", "jacobian_cosine", "Jacobian Score Normalized"),
    ("encoder", "parameters", "Number of Parameters"),
]


def check_against_scipy(done: Reproduction, data: Path) -> None:
    for networks, metric, title in CHECKED:
        file, key, result = (
            ("RNN_results.csv", "log name", "loss")
            if networks == "recurrent"
            else ("BERT_results_activation.csv", "ID", "GLUE Score")
        )
        scores, trained = column(data / file, title, key), column(data / file, result, key)
        pairs = [[scores[name], trained[name]] for name in scores]
        row = done.summary.set_index(["networks", "metric"]).loc[(networks, metric)]
        assert row["n"] == len(pairs)
        expected = {
            "kendall": stats.kendalltau(*np.transpose(pairs)).statistic,
            "spearman": stats.spearmanr(*np.transpose(pairs)).statistic,
            "pearson": stats.pearsonr(*np.transpose(pairs)).statistic,
        }
        for name, value in expected.items():
            assert row[name] == pytest.approx(value, abs=1e-9), (metric, name)
        assert row["kendall_absolute"] == abs(row["kendall"])


def check_parameters(done: Reproduction, data: Path) -> None:
    sizes = column(data / "RNN_parameters.csv", "trainable paramters", "log name")
    losses = column(data / "RNN_results.csv", "loss", "log name")
    both = [(sizes[name], losses[name]) for name in losses if name in sizes]
    row = done.summary.set_index(["networks", "metric"]).loc[("recurrent", "parameters")]
    assert row["n"] == len(both)
    assert row["kendall"] == pytest.approx(stats.kendalltau(*zip(*both, strict=True)).statistic)


def check_draws(done: Reproduction, data: Path) -> None:
    """Hidden covariance over initialisations, with no pandas."""
    with (data / "RNN_initialization_ablation.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    at = [title.strip() for title in rows[0]].index("Layer 1 Hidden Covariance")
    drawn: dict[str, list[float]] = {}
    for row in rows[1:]:
        if len(row) == len(rows[0]):
            drawn.setdefault(row[0], []).append(float(row[at]))
    values = np.array(list(drawn.values()))
    between = [
        stats.kendalltau(values[:, a], values[:, b]).statistic
        for a, b in combinations(range(values.shape[1]), 2)
    ]
    deviations = values.std(axis=1, ddof=1)
    spread = table(done, "recurrent_initialisations_spread").loc["hidden_covariance[1]"]
    assert spread["mean"] == pytest.approx(values.mean())
    assert spread["standard_deviation"] == pytest.approx(deviations.mean())
    variation = (deviations / abs(values.mean(axis=1))).mean()
    assert spread["coefficient_of_variation"] == pytest.approx(variation)
    assert spread["between_draws"] == pytest.approx(np.mean(between))


@pytest.mark.parametrize("check", [check_against_scipy, check_parameters, check_draws])
def test_statistics_are_those_of_an_independent_computation(
    check: Callable[[Reproduction, Path], None], done: Reproduction, folder: Path
) -> None:
    check(done, folder / DATA)


@pytest.fixture(scope="module")
def published(shared: Path, no_figures: None) -> Reproduction:
    return compute(DataFolder(shared / "upstream"), "all", resamples=3)


@pytest.mark.parametrize("check", [check_against_scipy, check_parameters, check_draws])
def test_statistics_of_the_data_at_hand_are_right(
    check: Callable[[Reproduction, Path], None], published: Reproduction, shared: Path
) -> None:
    check(published, shared / "upstream" / DATA)


def test_what_is_known_of_the_data_at_hand_is_said(published: Reproduction) -> None:
    assert not published.problems
    metrics = remarks(published, "metrics against loss")
    assert "corrupt" in metrics
    assert "between -71.16 and -71.01" in metrics
    assert "from -64 down to -1,911,800" in metrics
    assert "lines between" in remarks(published, "parameters against loss")
    assert "rounding errors" in remarks(published, "against GLUE")
    for draw in ("minibatch", "initialisation"):
        grown = remarks(published, f"Encoders: {draw}").partition(":")[0]
        assert grown == "`activation_distance`, `head_confidence`, `softmax_confidence`"
        assert not remarks(published, f"Recurrent networks: {draw}")
    assert "100,000 steps and 1,000,000" in remarks(published, "pretraining")


def test_complete_data_give_the_published_figures(no_figures: None) -> None:
    folder = DataFolder()
    needed = ("RNN_results.csv", "BERT_results_activation.csv")
    if not all(folder.holds(name) and not folder.find(name).modified for name in needed):
        pytest.skip("the complete published files are not in the data folder")
    summary = compute(folder, "all", resamples=1).summary
    for name in ("kendall", "spearman"):
        known = summary[summary[f"published_{name}"].notna()]
        for _, row in known.iterrows():
            digits = 4 if row["networks"] == "recurrent" else 3
            printed = row[f"published_{name}"]
            assert abs(row[f"{name}_absolute"] - printed) <= 0.5 * 10.0**-digits + 1e-9, row


def test_every_file_of_numbers_is_reproduced(done: Reproduction) -> None:
    assert not done.problems
    assert done.complaint is None
    assert len(done.document.sections) == 9
    assert list(done.summary.groupby("networks").size()) == [15, 13]
    assert len(done.document.modified) == 8


def test_agreement_with_the_final_ranking(done: Reproduction) -> None:
    ranking = table(done, "encoder_pretraining_ranking").set_index("steps")
    assert ranking["kendall"].to_dict() == pytest.approx({0: 1.0, 50000: 1.0})


def test_growing_sums_are_found_and_others_are_not(done: Reproduction) -> None:
    said = remarks(done, "Encoders: minibatch")
    assert said.startswith("`head_confidence`, `softmax_confidence`: these sums grow")


def test_sound_columns_are_not_called_corrupt(done: Reproduction) -> None:
    assert "corrupt" not in remarks(done, "metrics against loss")


def test_modified_data_cannot_equal_the_published_figures(done: Reproduction) -> None:
    assert "modified" in remarks(done, "Summary")
    row = done.summary.set_index(["networks", "metric"]).loc[("recurrent", "hidden_covariance[1]")]
    assert (row["published_kendall"], row["published_spearman"]) == (0.3715, 0.5244)
    assert math.isnan(done.summary["published_kendall"].iloc[0])


def test_only_what_is_asked_for_is_made(folder: Path, no_figures: None) -> None:
    steps: list[tuple[int, int]] = []
    progress = lambda *step: steps.append(step)  # noqa: E731
    made = compute(DataFolder(folder), "rnn", resamples=2, progress=progress)
    assert set(made.summary["networks"]) == {"recurrent"}
    assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]


def test_the_rest_is_written_where_a_file_is_missing(tmp_path: Path, no_figures: None) -> None:
    data = made_up(tmp_path / "data")
    (data / DATA / "RNN_parameters.csv").unlink()
    out = tmp_path / "out"
    made = compute(DataFolder(data), "rnn", resamples=2)
    assert "RNN_parameters.csv is not in the data folder" in (made.complaint or "")
    assert made.document.write(out) == out / "index.html"
    page = (out / "report.md").read_text()
    assert "## What is missing" in page
    assert "archscout data download RNN_parameters.csv" in page
    assert "## Recurrent networks: metrics against loss" in page
    assert not (out / "recurrent_parameters.png").exists()
    assert len(pd.read_csv(out / "summary.csv")) == 12


def test_a_page_is_written(folder: Path, tmp_path: Path, no_figures: None) -> None:
    page = compute(DataFolder(folder), "rnn", resamples=2).document.write(tmp_path / "out")
    assert page.is_file()
    names = {path.name for path in page.parent.iterdir()}
    for name in ("metrics", "parameters", "kendall", "minibatches", "initialisations"):
        assert {f"recurrent_{name}.png", f"recurrent_{name}.pdf"} <= names
    assert {"summary.csv", "report.md"} <= names


def test_nothing_is_written_where_there_is_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"RNN_results\.csv is not in"):
        compute(DataFolder(tmp_path / "data"), "all")


@pytest.mark.parametrize(
    ("which", "resamples", "message"),
    [("cnn", 10, "'cnn'; accepted are rnn, flexibert, all"), ("rnn", 0, "resamples is 0")],
)
def test_bad_arguments(folder: Path, which: str, resamples: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        compute(DataFolder(folder), which, resamples)  # type: ignore[arg-type]


def test_networks_with_fewer_draws_are_said(tmp_path: Path, no_figures: None) -> None:
    data = made_up(tmp_path)
    path = data / DATA / "RNN_batch_ablation.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    made = compute(DataFolder(data), "rnn", resamples=2)
    assert "1 with fewer minibatches" in remarks(made, "minibatch")
