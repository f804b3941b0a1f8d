"""Export: an architecture and its weights become a folder that transformers loads.

The folder holds the weights (safetensors), the configuration, the code of the network, the
tokenizer and the vocabulary, the genotype, and a README that says how to load it.
"""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError
from torch import nn

from archscout.errors import InputError
from archscout.files import replace_folder
from archscout.spaces.base import Space
from archscout.text import Tokenizer

if TYPE_CHECKING:
    # What it is, not the room itself: training exports, too, and stands below the search.
    from archscout.runs import Candidate

GENOTYPE = "genotype.json"
VOCABULARY = "vocabulary.json"
README = "README.md"

_README = """\
# {title}

A network of space `{space}` with architecture `{fingerprint}` ({description}),
{parameters:,} parameters, {origin}. Made by archscout.

```python
from transformers import {auto_class}, PreTrainedTokenizerFast

model = {auto_class}.from_pretrained("{folder}", trust_remote_code=True)
tokenizer = PreTrainedTokenizerFast.from_pretrained("{folder}")
```

`{genotype}` holds the architecture and `{vocabulary}` the tokens as archscout reads them. The
tokenizer {tokenizer}.
"""


def export(
    space: Space[Any],
    architecture: Any,
    network: nn.Module,
    vocabulary: Tokenizer,
    folder: str | os.PathLike[str],
    origin: str = "untrained",
    *,
    replace: bool = False,
) -> Path:
    """Write a network as a folder that transformers loads, whole or not at all.

    Args:
        space: the architecture's space.
        architecture: the genotype.
        network: what `space.build` returned for it, trained or not.
        vocabulary: of the text it is for: words, or pieces of them.
        folder: to be made; it may be there if it is empty.
        origin: what the weights are, for the README.
        replace: the folder may hold something, which is removed once the new one is complete.

    Returns:
        The folder.

    Raises:
        InputError: the folder is not empty, or cannot be written.
    """
    path = Path(folder)
    if not replace:
        _check_free(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part = Path(tempfile.mkdtemp(prefix=f".{path.name}.", dir=path.parent))
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
    try:
        with quiet():
            space.save_pretrained(network, architecture, part)
            vocabulary.save_pretrained(part)
        vocabulary.save(part / VOCABULARY)
        document = {"space": space.name, "architecture": space.to_dict(architecture)}
        _write(part / GENOTYPE, json.dumps(document, indent=2) + "\n")
        readme = _README.format(
            title=path.name,
            space=space.name,
            fingerprint=space.fingerprint(architecture),
            description=space.describe(architecture),
            parameters=sum(p.numel() for p in network.parameters()),
            origin=origin,
            folder=path.name,
            genotype=GENOTYPE,
            vocabulary=VOCABULARY,
            auto_class=space.auto_class,
            tokenizer=vocabulary.describe(),
        )
        _write(part / README, readme)
        # Temporary folders are closed to others, and so are files of safetensors.
        part.chmod(0o755)
        for file in part.iterdir():
            file.chmod(0o644)
        if replace:
            replace_folder(part, path)
        else:
            os.replace(part, path)
    # Whatever goes wrong in writing weights, a full disk too, safetensors has an error of its own.
    except (OSError, SafetensorError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot write {path}: {reason}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def export_candidate(
    candidate: Candidate,
    folder: str | os.PathLike[str],
    seed: int | None = None,
    *,
    replace: bool = False,
) -> Path:
    """Write what a run found, with the run's vocabulary and model scale; see `export`.

    Args:
        candidate: from a run.
        folder: to be made; it may be there if it is empty.
        seed: of the weights; the run's by default.
        replace: as of `export`.
    """
    run = candidate.run
    seed = run.settings.seed if seed is None else seed
    return export(
        run.space,
        candidate.architecture,
        candidate.build(seed),
        run.vocabulary,
        folder,
        origin=f"untrained, weights drawn from seed {seed}",
        replace=replace,
    )


@contextmanager
def quiet() -> Iterator[None]:
    """Without transformers' progress bars, which count the files of one small model."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()  # type: ignore[no-untyped-call]


def _check_free(path: Path) -> None:
    try:
        if file := next((above for above in path.parents if above.is_file()), None):
            raise InputError(f"cannot write {path}: {file} is a file, not a folder")
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise InputError(f"{path} is there already; name a folder that is not, or is empty")
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
