"""Small data in GLUE's layout and tiny encoders, for tests of fine-tuning."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from archscout.exports import export
from archscout.spaces import EncoderScale, FlexibertSpace
from archscout.text import WordPiece
from archscout.training.glue import FinetuningSettings

SPACE = FlexibertSpace()
# The smallest of the published encoders: two layers, with attention and a Fourier transform.
GENOTYPE = SPACE.parse(
    {
        "hidden_size": 128,
        "nas_config": {
            "encoder_layers": [
                {
                    "operation_type": kind,
                    "operation_parameter": parameter,
                    "num_operation_heads": 2,
                    "feed_forward_dimension": 512,
                    "num_feed_forward": 1,
                }
                for kind, parameter in (("SA", "SDP"), ("LT", "DFT"))
            ]
        },
    }
)
SCALE = EncoderScale(2, 8, 16, 32, "declared")
WORDS = [f"w{i}" for i in range(12)]
PIECES = WordPiece.train(" ".join([*WORDS, "good", "bad", "not", "?"] * 3))

SETTINGS = FinetuningSettings(
    learning_rate=2e-3,
    layer_decay=0.9,
    epochs=2,
    batch_size=8,
    max_length=24,
    evaluation_batch_size=16,
)

Row = tuple[str, str | None, str]


def export_tiny(folder: Path, seed: int = 0) -> Path:
    network = SPACE.build(GENOTYPE, len(PIECES), SCALE, seed)
    return export(SPACE, GENOTYPE, network, PIECES, folder)


def single_rows(count: int, seed: int) -> list[Row]:
    """Sentences in which one word decides."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for _ in range(count):
        label = int(rng.random() < 0.6)
        words = [*rng.choices(WORDS, k=rng.randint(2, 7)), ("bad", "good")[label]]
        rng.shuffle(words)
        rows.append((" ".join(words), None, str(label)))
    return rows


def pair_rows(count: int, seed: int, labels: tuple[str, ...]) -> list[Row]:
    """Pairs where the second sentence's word goes with the label."""
    rng = random.Random(seed)
    marks = ("good", "bad", "not")
    rows: list[Row] = []
    for _ in range(count):
        label = rng.choices(range(len(labels)), weights=(3, 2, 2)[: len(labels)])[0]
        first = rng.choices(WORDS, k=rng.randint(2, 6))
        second = [*rng.sample(first, k=2), marks[label]]
        rows.append((" ".join(first), " ".join(second), labels[label]))
    return rows


def similar_rows(count: int, seed: int) -> list[Row]:
    """Pairs whose score grows with the part of good words."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for _ in range(count):
        score = rng.randint(0, 5)
        words = ["good"] * score + ["bad"] * (5 - score)
        rng.shuffle(words)
        rows.append((" ".join(words), " ".join(rng.choices(WORDS, k=3)), f"{score:.3f}"))
    return rows


MNLI = ("entailment", "neutral", "contradiction")
ENTAILMENT = ("entailment", "not_entailment")
TITLES: dict[str, list[str]] = {
    "MNLI": [
        *("index", "promptID", "pairID", "genre", "sentence1_binary_parse"),
        *("sentence2_binary_parse", "sentence1_parse", "sentence2_parse"),
        *("sentence1", "sentence2", "label1", "gold_label"),
    ],
    "MRPC": ["Quality", "#1 ID", "#2 ID", "#1 String", "#2 String"],
    "QNLI": ["index", "question", "sentence", "label"],
    "QQP": ["id", "qid1", "qid2", "question1", "question2", "is_duplicate"],
    "RTE": ["index", "sentence1", "sentence2", "label"],
    "SST-2": ["sentence", "label"],
    "STS-B": [
        *("index", "genre", "filename", "year", "old_index", "source1", "source2"),
        *("sentence1", "sentence2", "score"),
    ],
}
_FIRST = {"sentence", "sentence1", "question", "question1", "#1 String"}
_SECOND = {"sentence2", "question2", "#2 String"}
_LABEL = {"label", "gold_label", "Quality", "is_duplicate", "score"}


def line(titles: list[str], number: int, row: Row) -> list[str]:
    """A row's cells; columns that nobody reads hold a mark."""
    cells = []
    for title in titles:
        if title in _SECOND or (title == "sentence" and row[1] is not None):
            cells.append(str(row[1]))
        elif title in _FIRST:
            cells.append(row[0])
        else:
            cells.append(row[2] if title in _LABEL else f"x{number}")
    return cells


def write_file(path: Path, titles: list[str] | None, rows: list[Row], **how: Any) -> None:
    """One file; CoLA's have no titles."""
    if titles is None:
        lines = [["gj04", row[2], "*" if row[2] == "0" else "", row[0]] for row in rows]
    else:
        lines = [titles, *(line(titles, i, row) for i, row in enumerate(rows))]
    path.parent.mkdir(parents=True, exist_ok=True)
    text = how.get("end", "\n").join("\t".join(cells) for cells in lines)
    path.write_bytes((how.get("mark", "") + text + how.get("end", "\n")).encode())


def write_glue(root: Path, train: int = 40, dev: int = 20) -> Path:
    """All eight tasks in the layout of the benchmark's download, BOM and line ends included."""
    sizes = {"train": train, "dev": dev}
    for seed, (part, count) in enumerate(sizes.items()):
        name = f"{part}.tsv"
        write_file(root / "CoLA" / name, None, single_rows(count, seed))
        write_file(root / "SST-2" / name, TITLES["SST-2"], single_rows(count, 10 + seed))
        for folder in ("QNLI", "RTE"):
            write_file(root / folder / name, TITLES[folder], pair_rows(count, seed, ENTAILMENT))
        write_file(
            root / "MRPC" / name,
            TITLES["MRPC"],
            pair_rows(count, seed, ("0", "1")),
            mark="\ufeff",
            end="\r\n",
        )
        write_file(root / "QQP" / name, TITLES["QQP"], pair_rows(count, seed, ("1", "0")))
        write_file(root / "STS-B" / name, TITLES["STS-B"], similar_rows(count, seed))
        for part_name in ["train"] if part == "train" else ["dev_matched", "dev_mismatched"]:
            rows = pair_rows(count, seed + len(part_name), MNLI)
            write_file(root / "MNLI" / f"{part_name}.tsv", TITLES["MNLI"], rows)
    return root
