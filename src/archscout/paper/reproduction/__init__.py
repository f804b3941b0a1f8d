"""The paper's tables and figures from the published files.

Source: Serianni and Kalita, "Training-free Neural Architecture Search for RNNs and Transformers"
(ACL 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Literal, get_args

import pandas as pd

from archscout.analysis.document import Document, Section, Table, intervals
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError
from archscout.paper.reproduction import encoders, recurrent
from archscout.paper.reproduction.part import STATISTICS, Part

Which = Literal["rnn", "flexibert", "all"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Reproduction:
    """The paper's tables and figures, as far as the files at hand give them.

    Attributes:
        document: the page.
        summary: a row for each correlation. `networks` (recurrent or encoder), `metric`, `result`,
            `n`, `problem`; `kendall`, `spearman`, `pearson` and `pairs` (share of the pairs that
            the metric orders as the result does), raw, each with the ends of its 95 % interval
            (`kendall_low`, `kendall_high`, ...); `kendall_absolute` and `spearman_absolute`, as
            the paper prints them; `published_kendall` and `published_spearman`, what the complete
            data give, where that is known.
        problems: why something could not be made: a message for each missing or damaged file.
    """

    document: Document
    summary: pd.DataFrame
    problems: tuple[str, ...] = ()

    @property
    def complaint(self) -> str | None:
        """All problems in one message; None where there are none."""
        if not self.problems:
            return None
        return "not everything could be made:\n" + "\n".join(self.problems)


def compute(
    folder: DataFolder, which: Which, resamples: int = 1000, progress: Progress | None = None
) -> Reproduction:
    """Make the paper's tables and figures; progress is told how many of how many parts are done.

    Raises:
        InputError: an argument cannot be used, or nothing can be made of the files at hand.
    """
    if which not in get_args(Which):
        raise InputError(f"cannot reproduce {which!r}; accepted are {', '.join(get_args(Which))}")
    if resamples < 1:
        raise InputError(f"resamples is {resamples}; a whole number of at least 1 is accepted")
    makers = _makers(folder, which, resamples)
    parts, problems = [], []
    for i, make in enumerate(makers, start=1):
        try:
            parts.append(make())
        except InputError as error:
            problems.append(str(error))
        if progress:
            progress(i, len(makers))
    # Two parts may lack the same file.
    problems = list(dict.fromkeys(problems))
    if not parts:
        raise InputError("\n".join(problems))
    rows = [part.statistics for part in parts if part.statistics is not None]
    summary = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    sections = [part.section for part in parts]
    modified = list(dict.fromkeys(name for each in sections for name in each.modified or ()))
    if rows:
        sections.insert(0, _summary(summary, bool(modified)))
    if problems:
        listed = "\n".join(f"- {' '.join(problem.split())}" for problem in problems)
        text = f"These parts could not be made:\n\n{listed}"
        sections.append(Section("What is missing", text))
    document = Document(
        "Training-free NAS for RNNs and Transformers, reproduced",
        "Tables and figures of Serianni and Kalita, *Training-free Neural Architecture Search for "
        "RNNs and Transformers* (ACL 2023), made from the files published with it. Nothing here "
        f"is scored anew. Intervals are of 95 %, from {resamples:,} bootstrap resamples of the "
        "architectures (seed 0).",
        sections,
        modified,
    )
    return Reproduction(document, summary, tuple(problems))


def _makers(folder: DataFolder, which: Which, resamples: int) -> list[Callable[[], Part]]:
    of_recurrent: list[Callable[[], Part]] = [
        lambda: recurrent.metrics(folder, resamples),
        lambda: recurrent.parameters(folder, resamples),
        lambda: recurrent.draws(folder, "minibatch"),
        lambda: recurrent.draws(folder, "initialisation"),
    ]
    of_encoders: list[Callable[[], Part]] = [
        lambda: encoders.metrics(folder, resamples),
        lambda: encoders.draws(folder, "minibatch"),
        lambda: encoders.draws(folder, "initialisation"),
        lambda: encoders.pretraining(folder),
    ]
    return of_recurrent * (which != "flexibert") + of_encoders * (which != "rnn")


def _summary(summary: pd.DataFrame, modified: bool) -> Section:
    shown = summary[["networks", "metric", "result", "n"]].copy()
    for name in STATISTICS:
        shown[name] = intervals(summary, name)
    pairs = [(f"{name}_absolute", f"published_{name}") for name in ("kendall", "spearman")]
    for name in chain(*pairs):
        shown[name] = summary[name].map(lambda value: "" if pd.isna(value) else f"{value:.4f}")
    if summary["problem"].notna().any():
        shown["problem"] = summary["problem"].fillna("")
    remark = (
        "The data at hand are modified, so the absolute values cannot equal the published ones: "
        "those are of the complete files."
        if modified
        else "On the complete files the absolute values equal the published ones, to rounding."
    )
    return Section(
        "Summary",
        "Every metric against the trained result. *kendall* (τ-b), *spearman* (ρ) and *pearson* "
        "(r) are of the raw columns, with their 95 % intervals, and *pairs* is the share of pairs "
        "in one order, a tie counting half, which ties cannot lift: no metric and no result is "
        "turned round, so a good metric of which more is better is negative against the loss and "
        "positive against GLUE. *absolute*: as the paper prints them. *published*: what the "
        "complete data give, where archscout knows it (recurrent: 8,794 networks on Penn Treebank; "
        "encoders: 500).",
        [Table("summary", summary, "All correlations.", shown=shown)],
        [remark],
    )
