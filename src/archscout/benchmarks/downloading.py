"""One published file over the network."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import pooch
import requests

from archscout.benchmarks.catalogue import PublishedFile, checksums
from archscout.errors import InputError

_TIMEOUT = 30.0  # seconds without an answer


class ProgressBar(Protocol):
    """What is told how far a download is, in bytes; pooch's own interface."""

    total: int

    def update(self, n: int) -> object:
        """So many bytes more."""

    def reset(self) -> object:
        """None so far."""

    def close(self) -> object:
        """All is there."""


def fetch(file: PublishedFile, part: Path, bar: ProgressBar | None = None) -> bytes:
    """Download a published file to where it has no name yet; its content, which is as published.

    Raises:
        InputError: the network failed, or something else than the file came.
        OSError: it cannot be written.
    """
    download = pooch.HTTPDownloader(progressbar=bar or False, timeout=_TIMEOUT)
    try:
        download(file.url, str(part), None)
    except requests.RequestException as error:
        raise InputError(
            f"cannot download {file.url}: {_reason(error)}; `archscout data add` takes a copy"
        ) from error
    content = part.read_bytes()
    if file.checksum not in checksums(content):
        raise InputError(
            f"{file.url} did not send {file.name} as published: of its {len(content):,} bytes "
            f"neither SHA-256 nor git's name is {file.checksum}"
        )
    return content


def _reason(error: requests.RequestException) -> str:
    """What went wrong, in one line; requests tells of pools and retries."""
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"the server says {error.response.status_code} {error.response.reason}".rstrip()
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return "the connection ended before the file did"
    if isinstance(error, requests.Timeout) or "timed out" in str(error):
        return f"no answer for {_TIMEOUT:.0f} seconds"
    inner = error.args[0] if error.args else error
    cause = str(getattr(inner, "reason", inner))
    # urllib3 puts the connection as an object before the reason.
    return " ".join(cause.rpartition("): ")[2].split()) or type(error).__name__
