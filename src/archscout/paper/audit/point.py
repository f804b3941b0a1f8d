"""What one point of the audit is: a claim, how it was checked, and what came out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from archscout.analysis.document import Plot, Section, Table
from archscout.benchmarks.store import DataFolder, StoredFile
from archscout.text import Corpus

Standing = Literal["confirmed", "partly confirmed", "not confirmed", "not checked"]
Progress = Callable[[str, int, int], None]
"""Called with what is being computed, how many are done, and how many there are."""


@dataclass(frozen=True)
class Material:
    """What every point may draw on.

    Attributes:
        folder: of the published files.
        out: where the page goes, and what takes long to compute.
        corpus: the text on which untrained networks are scored.
        encoders: how many are recomputed; all if None.
        seed: of weights, cotangents, bootstraps and folds.
        progress: told of everything that takes long.
    """

    folder: DataFolder
    out: Path
    corpus: Corpus
    encoders: int | None
    seed: int
    progress: Progress


@dataclass(frozen=True)
class Point:
    """One point, checked on the data at hand.

    Attributes:
        title: what it is about.
        standing: whether the data at hand bear the claim out.
        verdict: one sentence with the numbers that decide.
        section: of the page.
        sources: the published files that it was computed from.
    """

    title: str
    standing: Standing
    verdict: str
    section: Section = field(repr=False)
    sources: tuple[StoredFile, ...] = ()


def point(
    title: str,
    *,
    claim: str,
    method: str,
    standing: Standing,
    verdict: str,
    follows: str,
    content: Sequence[Plot | Table],
    sources: Sequence[StoredFile],
    remarks: Sequence[str] = (),
) -> Point:
    """A point with its section: claim, method, files, evidence, verdict, what follows.

    Args:
        title: of the section.
        claim: what is said about the published data.
        method: how it was checked, in words, with formula, number of networks and seed.
        standing: whether the data at hand bear the claim out.
        verdict: one sentence with the numbers that decide.
        follows: for a user of the data.
        content: the evidence.
        sources: the files that it was computed from.
        remarks: what a reader must know to judge the numbers.
    """
    unique = tuple({source.file.name: source for source in sources}.values())
    files = ", ".join(f"`{source.file.name}`" for source in unique) or "none"
    section = Section(
        title,
        f"**The claim.** {claim}\n\n**How it was checked.** {method}\n\n**Files.** {files}.",
        content,
        remarks,
        f"**{standing.capitalize()}.** {verdict}\n\n**What follows.** {follows}",
    )
    return Point(title, standing, verdict, section, unique)


def unchecked(title: str, reason: str) -> Point:
    """A point that cannot be checked with what is at hand.

    Args:
        title: of the section.
        reason: why, and how to change that.
    """
    reason = " ".join(reason.split())
    return Point(
        title,
        "not checked",
        reason,
        Section(title, conclusion=f"**Not checked.** {reason}"),
    )


def with_interval(value: float, low: float, high: float, decimals: int = 3) -> str:
    """A statistic and its 95 % interval; a dash where there is none."""
    if value != value:
        return "–"
    return f"{value:.{decimals}f} [{low:.{decimals}f}, {high:.{decimals}f}]"
