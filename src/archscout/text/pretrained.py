"""Tokenizers as transformers keeps them: folders, and names on the Hugging Face hub.

transformers takes seconds to import, and the hub's client half a second; both are imported only
where they are used.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import tokenizers

from archscout.errors import InputError

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_FILES = (
    "added_tokens.json",
    "config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
)
_HUB_TIMEOUT = 10
_ACCEPTED = (
    "accepted is a saved tokenizer, a folder with tokenizer.json or vocab.txt, or a name on the "
    "hub such as google/electra-small-discriminator;\nwithout any, a tokenizer is trained on the "
    "text"
)


@contextmanager
def writing(what: str, place: str | os.PathLike[str]) -> Iterator[None]:
    """Complain of what cannot be written in words of ours."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise InputError(f"cannot write the {what} {os.fspath(place)!r}: {reason}") from error
    except Exception as error:
        if type(error) is not Exception:  # the tokenizers library has no other
            raise
        raise InputError(f"cannot write the {what} {os.fspath(place)!r}: {error}") from error


def write_pretrained(tokenizer: "PreTrainedTokenizerFast", folder: str | os.PathLike[str]) -> None:
    """Write a transformers tokenizer into a folder, which is made where it is not there.

    Raises:
        InputError: The folder cannot be written.
    """
    with writing("tokenizer", folder):
        # transformers only logs that a path is no folder.
        Path(folder).mkdir(parents=True, exist_ok=True)
        tokenizer.save_pretrained(folder)


def read_pretrained(place: str | os.PathLike[str]) -> str:
    """The tokenizer of a folder or of the hub, as JSON of the tokenizers library.

    A name on the hub is looked up there and, where it cannot be reached, in its cache on this
    machine.

    Raises:
        InputError: The folder holds no tokenizer that runs on the tokenizers library, or the name
            can neither be downloaded nor lies in the cache.
    """
    name = os.fspath(place)
    return _read_folder(name, Path(name) if os.path.isdir(name) else _download(name))


def _download(name: str) -> Path:
    """A folder with the tokenizer files of a name on the hub."""
    from huggingface_hub import HfApi, snapshot_download

    failure = None
    try:
        # The other calls wait for ever on a hub that does not answer, or, in AutoTokenizer, retry
        # for the better part of a minute where there is no network.
        HfApi().model_info(name, timeout=_HUB_TIMEOUT)
    # The hub's client lets errors of the HTTP library through, which are of no common class.
    except Exception as error:
        failure = error
    try:
        with _without_progress_bars():
            folder = snapshot_download(
                name, allow_patterns=list(_FILES), local_files_only=failure is not None
            )
    except Exception as error:
        raise InputError(
            f"no tokenizer {name!r}: it is no file or folder here, nor to be had from the hub "
            f"({_reason(failure or error)}); {_ACCEPTED}"
        ) from error
    return Path(folder)


@contextmanager
def _without_progress_bars() -> Iterator[None]:
    from huggingface_hub.utils.tqdm import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        yield
    finally:
        if shown:
            enable_progress_bars()


def _read_folder(name: str, folder: Path) -> str:
    if not any((folder / file).is_file() for file in ("tokenizer.json", "vocab.txt")):
        raise InputError(
            f"{name!r} has no tokenizer: neither tokenizer.json nor vocab.txt is there; {_ACCEPTED}"
        )
    try:
        return _definition(folder)
    # transformers raises whatever its many readers raise.
    except Exception as error:
        raise InputError(
            f"{name!r} has no tokenizer that transformers reads ({_reason(error)}); {_ACCEPTED}"
        ) from error


def _definition(folder: Path) -> str:
    from transformers import AutoTokenizer, BertTokenizer

    # AutoTokenizer cannot tell what reads a vocab.txt that lies alone.
    if (folder / "tokenizer.json").is_file() or (folder / "config.json").is_file():
        tokenizer = AutoTokenizer.from_pretrained(
            folder, local_files_only=True, trust_remote_code=False
        )
    else:
        tokenizer = BertTokenizer.from_pretrained(folder, local_files_only=True)
    return str(tokenizer.backend_tokenizer.to_str())


def _reason(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]:.150}" if lines else type(error).__name__


def pieces_of(tokenizer: tokenizers.Tokenizer) -> tuple[str, ...]:
    """The pieces in the order of their ids.

    Raises:
        InputError: the ids have gaps.
    """
    ids = tokenizer.get_vocab(with_added_tokens=True)
    tokens = tuple(sorted(ids, key=ids.__getitem__))
    if any(ids[token] != position for position, token in enumerate(tokens)):
        raise InputError(
            f"ids of {len(tokens)} pieces that run up to {ids[tokens[-1]]}; "
            "accepted are the ids from 0 on without gaps"
        )
    return tokens
