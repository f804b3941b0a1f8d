"""Settings of a scoring that a folder of results keeps, and goes on with."""

from __future__ import annotations

from typing import Self

from archscout.folders import StoredSettings
from archscout.scoring.settings import ScoringSettings


class StoredScoring(StoredSettings, ScoringSettings):
    """Everything that decides scores, and what else decides what a folder holds.

    Attributes:
        text_parts: the splits of the text.
    """

    text_parts: tuple[str, ...] = ()

    def check_continues(self, other: StoredSettings) -> None:
        """Make sure that scores of other settings belong with those of these.

        A text is the same by its content and its parts, wherever it lies; these, and the content
        of files of metrics, were not always kept.
        """
        assert isinstance(other, StoredScoring)
        same = {"metric_sha256": other.metric_sha256 or self.metric_sha256}
        if not other.text_parts:
            other = other.model_copy(update={"text_parts": self.text_parts})
        if (other.text_sha256, other.text_parts) == (self.text_sha256, self.text_parts):
            same["text"] = self.text
        super().check_continues(other.model_copy(update=same))

    def after(self, other: Self) -> Self:
        """These settings, and of files whose content was not kept then still none."""
        return self if other.metric_sha256 else self.model_copy(update={"metric_sha256": ()})
