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
        title: of its section.
        standing: whether the data at hand bear the claim out.
        verdict: one sentence with the numbers that decide.
        claim: what is said about the published data.
        method: how it was checked, in words, with formula, number of networks and seed.
        follows: for a user of the data.
        content: the evidence.
        sources: the files that it was computed from.
        remarks: what a reader must know to judge the numbers.
    """

    title: str
    standing: Standing
    verdict: str
    claim: str = ""
    method: str = ""
    follows: str = ""
    content: Sequence[Plot | Table] = field(default=(), repr=False)
    sources: Sequence[StoredFile] = ()
    remarks: Sequence[str] = ()

    @property
    def section(self) -> Section:
        """Claim, method, files, evidence, verdict, what follows; of no claim the verdict alone."""
        verdict = f"**{self.standing.capitalize()}.** {self.verdict}"
        if not self.claim:
            return Section(self.title, conclusion=verdict)
        names = dict.fromkeys(f"`{source.file.name}`" for source in self.sources)
        return Section(
            self.title,
            f"**The claim.** {self.claim}\n\n**How it was checked.** {self.method}\n\n"
            f"**Files.** {', '.join(names) or 'none'}.",
            self.content,
            self.remarks,
            f"{verdict}\n\n**What follows.** {self.follows}",
        )


def in_one_line(error: Exception) -> str:
    """The message of an error, without its line breaks."""
    return " ".join(str(error).split())
