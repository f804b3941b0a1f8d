"""One published file over the network."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import pooch
import requests

from archscout.benchmarks import packing
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


def fetch(file: PublishedFile, part: Path, bar: ProgressBar | None = None) -> None:
    """Download a published file, or folder, to where it has no name yet.

    Raises:
        InputError: the network failed, or something else came than was published.
        OSError: it cannot be written.
    """
    if file.is_folder:
        _fetch_folder(file, part, bar)
        return
    _download(file.url, part, bar)
    content = part.read_bytes()
    if file.checksum not in checksums(content):
        raise InputError(
            f"{file.url} did not send {file.name} as published: of its {len(content):,} bytes "
            f"neither SHA-256 nor git's name is {file.checksum}"
        )


def _fetch_folder(file: PublishedFile, part: Path, bar: ProgressBar | None) -> None:
    """The summaries of a folder, and the configuration of each decoder that the first one names."""

    def fetch_all(names: Iterable[str]) -> None:
        for name in names:
            _download(file.url_of(name), part / name)
            if bar is not None:
                bar.update((part / name).stat().st_size)

    fetch_all(file.summaries)
    try:
        texts = packing.members(packing.pack(part))
        named = packing.mapping(texts, file.summaries[0])
        configurations = list(map(packing.place_of, named))
    except ValueError as error:
        raise InputError(f"{file.url} is not as published: {error}") from error
    fetch_all(configurations)
    if bar is not None:
        bar.close()


def _download(url: str, place: Path, bar: ProgressBar | None = None) -> None:
    place.parent.mkdir(parents=True, exist_ok=True)
    try:
        pooch.HTTPDownloader(progressbar=bar or False, timeout=_TIMEOUT)(url, str(place), None)
    except requests.RequestException as error:
        raise InputError(
            f"cannot download {url}: {_reason(error)}; `archscout data add` takes a copy"
        ) from error


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
