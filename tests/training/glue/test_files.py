"""GLUE's own files: the eight layouts, and what may be wrong with them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from archscout.errors import InputError
from archscout.training.glue import TASKS
from archscout.training.glue.data import load_tasks
from archscout.training.glue.files import read_task
from glue_runs import (
    ENTAILMENT,
    MNLI,
    TITLES,
    Row,
    pair_rows,
    similar_rows,
    single_rows,
    write_file,
)


@pytest.fixture
def root(glue_data: Path, tmp_path: Path) -> Path:
    """Data that a test may damage."""
    return shutil.copytree(glue_data, tmp_path / "glue_data")


ROWS: dict[str, list[Row]] = {
    "cola": single_rows(40, 0),
    "sst": single_rows(40, 10),
    "mnli": pair_rows(40, len("train"), MNLI),
    "mrpc": pair_rows(40, 0, ("0", "1")),
    "qnli": pair_rows(40, 0, ENTAILMENT),
    "qqp": pair_rows(40, 0, ("1", "0")),
    "rte": pair_rows(40, 0, ENTAILMENT),
    "sts": similar_rows(40, 0),
}


@pytest.mark.parametrize("name", TASKS)
def test_every_layout_is_read(name: str, glue_data: Path) -> None:
    task = TASKS[name]
    data = read_task(task, glue_data)
    rows = ROWS[name]
    assert list(data.train.first) == [row[0] for row in rows]
    second = None if rows[0][1] is None else [row[1] for row in rows]
    assert data.train.second == second
    expected = [float(row[2]) if task.is_regression else task.labels.index(row[2]) for row in rows]
    assert list(data.train.labels) == expected
    parts = ["matched", "mismatched"] if name == "mnli" else ["dev"]
    assert list(data.evaluation) == parts
    assert all(len(examples) == 20 for examples in data.evaluation.values())
    assert data.notes == ()


def test_quotes_and_odd_line_ends_are_text(root: Path) -> None:
    rows: list[Row] = [
        ('He said "no', None, "1"),
        ('"', None, "0"),
        ("a carriage\rreturn \u2028 and others", None, "1"),
    ]
    write_file(root / "SST-2" / "train.tsv", TITLES["SST-2"], rows)
    assert list(read_task(TASKS["sst"], root).train.first) == [row[0] for row in rows]


def test_columns_are_found_by_their_titles(root: Path) -> None:
    rows = pair_rows(5, 3, ENTAILMENT)
    write_file(root / "RTE" / "train.tsv", ["label", "sentence2", "index", "sentence1"], rows)
    train = read_task(TASKS["rte"], root).train
    assert list(train.first) == [row[0] for row in rows]
    assert train.second == [row[1] for row in rows]


def test_short_lines_are_left_out_and_counted(root: Path) -> None:
    path = root / "QQP" / "train.tsv"
    lines = path.read_text().splitlines()
    lines[3] = "\t".join(lines[3].split("\t")[:4])
    lines[7] = "x"
    path.write_text("\n".join(lines) + "\n\n")
    warnings: list[str] = []
    data = load_tasks(root, [TASKS["qqp"]], warnings.append)["qqp"]
    assert len(data.train) == 38
    assert warnings == [
        "QQP: train.tsv: 2 of 40 lines left out for having too few columns, the first of them "
        "line 4"
    ]


def original_mrpc(root: Path) -> Path:
    folder = root / "MRPC"
    for name, new in (("train.tsv", "msr_paraphrase_train.txt"), ("dev.tsv", None)):
        if new:
            (folder / name).rename(folder / new)
        else:
            (folder / name).unlink()
    write_file(folder / "msr_paraphrase_test.txt", TITLES["MRPC"], pair_rows(9, 5, ("0", "1")))
    return folder


def test_the_original_paraphrase_corpus(root: Path) -> None:
    folder = original_mrpc(root)
    data = read_task(TASKS["mrpc"], root)
    assert len(data.train) == 40 and len(data.evaluation["dev"]) == 9
    assert "evaluated on msr_paraphrase_test.txt" in data.notes[0]
    (folder / "dev_ids.tsv").write_text("x3\tx3\nx5\tx5\n")
    data = read_task(TASKS["mrpc"], root)
    rows = ROWS["mrpc"]
    assert list(data.evaluation["dev"].first) == [rows[3][0], rows[5][0]]
    assert len(data.train) == 38 and not data.notes
    (folder / "dev_ids.tsv").write_text("7\t8\n")
    with pytest.raises(InputError, match=r"dev_ids.tsv names no pair of msr_paraphrase_train.txt"):
        read_task(TASKS["mrpc"], root)
    (folder / "dev_ids.tsv").unlink()
    (folder / "msr_paraphrase_test.txt").unlink()
    with pytest.raises(InputError, match=r"task mrpc lacks its part dev: there is neither .*dev.t"):
        read_task(TASKS["mrpc"], root)


def replace(path: Path, line: int, column: int, value: str) -> None:
    lines = [row.split("\t") for row in path.read_text().splitlines()]
    lines[line - 1][column] = value
    path.write_text("\n".join("\t".join(row) for row in lines))


@pytest.mark.parametrize(
    ("task", "place", "value", "message"),
    [
        (
            "cola",
            ("CoLA/train.tsv", 3, 1),
            "maybe",
            r"CoLA/train.tsv, line 3, column 'label': label 'maybe'; accepted: 0, 1",
        ),
        (
            "mnli",
            ("MNLI/dev_mismatched.tsv", 5, 11),
            "-",
            "line 5, column 'gold_label': label '-'; accepted: entailment, neutral, contradiction",
        ),
        (
            "sts",
            ("STS-B/dev.tsv", 2, 9),
            "5.1",
            "line 2, column 'score': label '5.1'; accepted are numbers from 0 to 5$",
        ),
        ("sts", ("STS-B/dev.tsv", 2, 9), "nan", "label 'nan'; accepted are numbers from 0 to 5$"),
        ("sts", ("STS-B/dev.tsv", 2, 9), "high", "label 'high'; accepted are numbers"),
        (
            "rte",
            ("RTE/train.tsv", 1, 2),
            "hypothesis",
            "RTE/train.tsv lacks the column 'sentence2'; its first line has 'index', 'sentence1'",
        ),
    ],
)
def test_labels_and_columns_that_are_none(
    root: Path, task: str, place: tuple[str, int, int], value: str, message: str
) -> None:
    name, line, column = place
    replace(root / name, line, column, value)
    with pytest.raises(InputError, match=message):
        read_task(TASKS[task], root)


def test_missing_files(root: Path) -> None:
    (root / "MNLI" / "dev_mismatched.tsv").unlink()
    with pytest.raises(InputError, match=r"mnli lacks its part mismatched: there is no .*/dev_"):
        read_task(TASKS["mnli"], root)
    with pytest.raises(InputError, match=r"no folder .*nowhere with GLUE's files"):
        read_task(TASKS["cola"], root / "nowhere")
    shutil.rmtree(root / "RTE")
    with pytest.raises(InputError, match=r"task rte lacks its part train: there is no .*RTE/train"):
        read_task(TASKS["rte"], root)


def test_files_without_examples(root: Path) -> None:
    write_file(root / "RTE" / "dev.tsv", TITLES["RTE"], [])
    with pytest.raises(InputError, match=r"RTE/dev.tsv has no examples"):
        read_task(TASKS["rte"], root)
    (root / "RTE" / "dev.tsv").write_text("")
    with pytest.raises(InputError, match="lacks the column 'sentence1' and 'sentence2' and 'label"):
        read_task(TASKS["rte"], root)


def test_files_that_are_no_text(root: Path) -> None:
    (root / "SST-2" / "dev.tsv").write_bytes(b"sentence\tlabel\n\xff\xfe\t1\n")
    with pytest.raises(InputError, match=r"SST-2/dev.tsv is not UTF-8"):
        read_task(TASKS["sst"], root)
