"""The audit: what is known about the published data, computed again from the data at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd

from archscout.analysis.document import Document, Section, Table
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError
from archscout.paper.audit import (
    ceilings,
    corrupt_column,
    equal_sizes,
    gradient,
    malformed_file,
    operations,
    parameter_column,
    readings,
    released_code,
)
from archscout.paper.audit.point import Material, Point, Progress, in_one_line
from archscout.scoring import TextSource, check_count, check_seed
from archscout.text import Corpus, load_corpus

__all__ = ["POINTS", "Point", "audit"]

POINTS: Sequence[tuple[str, Callable[[Material], Point]]] = (
    (parameter_column.TITLE, parameter_column.check),
    (operations.TITLE, operations.check),
    (equal_sizes.TITLE, equal_sizes.check),
    (gradient.TITLE, gradient.check),
    (readings.TITLE, readings.check),
    (corrupt_column.TITLE, corrupt_column.check),
    (released_code.TITLE, released_code.check),
    (malformed_file.TITLE, malformed_file.check),
    (ceilings.TITLE, ceilings.check),
)
"""The points in their order: title, and the function that checks it."""

_FILES = (
    "BERT_benchmark.json",
    "BERT_results_activation.csv",
    "RNN_results.csv",
    "RNN_parameters.csv",
    "train_logs_wikitext-2/logs.zip",
)


def audit(
    folder: DataFolder,
    out: Path,
    *,
    encoders: int | None = None,
    seed: int = 0,
    text: TextSource = "python-docs",
    progress: Progress | None = None,
    on_point: Callable[[Point], None] | None = None,
) -> Path:
    """Check every point on the data at hand and write the HTML page.

    A point whose files are missing says so, and how to get them; the others go on. Scores of
    recomputed encoders are stored in `out/readings` as soon as they are there, and an audit that
    was stopped goes on with them.
    """
    if encoders is not None:
        check_count("encoders", encoders)
    check_seed(seed)
    if not any(folder.holds(name) for name in _FILES):
        folder.find(_FILES[0])  # raises, and says how to get it
    corpus = text if isinstance(text, Corpus) else load_corpus(text, folder.path)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write {out}: {error.strerror}; name another folder") from error
    told = progress or (lambda *_: None)
    material = Material(folder, out, corpus, encoders, seed, told)
    points = []
    for title, check in POINTS:
        try:
            checked = check(material)
        except InputError as error:
            checked = Point(title, "not checked", in_one_line(error))
        points.append(checked)
        if on_point is not None:
            on_point(checked)
    return _document(points, material).write(out)


def _document(points: Sequence[Point], material: Material) -> Document:
    sources = {source.file.name: source for point in points for source in point.sources}
    summary = pd.DataFrame(
        [(i, p.title, p.standing, p.verdict) for i, p in enumerate(points, start=1)],
        columns=["point", "claim", "standing", "on the data at hand"],
    )
    files = pd.DataFrame(
        [
            (name, "modified" if s.modified else "as published", s.size, str(s.path))
            for name, s in sorted(sources.items())
        ],
        columns=["file", "state", "bytes", "path"],
    )
    return Document(
        "Audit of the published data",
        "What is known about the published benchmark data of NAS-Bench-NLP and NAS-Bench-BERT and "
        "their tables of training-free metrics (Serianni and Kalita, ACL 2023), computed again "
        "from the data at hand. Every point says how it was checked, so that whoever doubts it "
        "can check it again, and ends in what follows for a user. *Confirmed* means that the data "
        f"at hand show it. Text for untrained networks: {material.corpus.name} (SHA-256 "
        f"{material.corpus.sha256[:16]}…); seed {material.seed}.",
        [
            Section("Summary", content=[Table("summary", summary, "All points.")]),
            *[replace(p.section, title=f"{i}. {p.title}") for i, p in enumerate(points, start=1)],
            Section("Files", content=[Table("files", files, "What was read.")]),
        ],
        [source.file.name for source in sources.values() if source.modified],
    )
