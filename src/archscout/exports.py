"""Export: an architecture and its weights become a folder that transformers loads.

The folder holds the weights (safetensors), the configuration, the code of the network, the
tokenizer and the vocabulary, the genotype, and a README that says how to load it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from archscout import spaces
from archscout.errors import InputError
from archscout.files import new_folder
from archscout.folders import check_new
from archscout.spaces.base import Space
from archscout.text import UNK, Tokenizer, Vocabulary

if TYPE_CHECKING:
    # What it is, not the room itself: training exports, too, and stands below the search.
    from archscout.runs import Candidate

GENOTYPE = "genotype.json"
VOCABULARY = "vocabulary.json"
_CONFIG = "config.json"

_README = """\
# {title}

A network of space `{space}` with architecture `{fingerprint}` ({description}),
{parameters:,} parameters, {origin}. Made by archscout.

```python
{loading}
tokenizer = PreTrainedTokenizerFast.from_pretrained("{folder}")
```

`{genotype}` holds the architecture and `{vocabulary}` the tokens as archscout reads them. The
tokenizer {tokenizer}.
"""

_LOADING = """\
from transformers import {auto_class}, PreTrainedTokenizerFast

model = {auto_class}.from_pretrained("{folder}", trust_remote_code=True)"""


def drawn_text(folder: str | os.PathLike[str], words: int = 40, seed: int = 0) -> str:
    """Text that an exported language model draws, from a new line on.

    Loaded by transformers, as its users do. Unknown words are never drawn.

    Args:
        folder: an export whose class has transformers' `generate`.
        words: tokens to draw, or as many as the network has positions for.
        seed: of the draws.

    Raises:
        InputError: there is no such folder.
        OSError: it holds no such model.
    """
    if not Path(folder).is_dir():  # transformers would look for its name on the hub
        raise InputError(f"no folder {os.fspath(folder)!r}; that of an export is accepted")
    import torch

    # Takes seconds, and only who looks at a model needs it.
    from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

    with quiet():
        model = AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    start = torch.tensor([[tokenizer.eos_token_id or 0]])
    unknown = tokenizer.unk_token_id
    # Of a recurrent network there is no end.
    words = min(words, getattr(model.config, "max_position_embeddings", words + 1) - 1)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        drawn = model.generate(
            start,
            do_sample=True,
            max_new_tokens=words,
            min_new_tokens=words,
            top_k=0,
            suppress_tokens=None if unknown is None else [unknown],
        )
    text: str = tokenizer.decode(drawn[0, 1:])
    if tokenizer.eos_token:
        text = "\n".join(line.strip() for line in text.split(tokenizer.eos_token))
    return text.strip()


def export(
    space: str | Space[Any],
    architecture: Any,
    network: nn.Module,
    vocabulary: Tokenizer,
    folder: str | os.PathLike[str],
    origin: str = "untrained",
    *,
    trained: bool = False,
    replace: bool = False,
) -> Path:
    """Write a network as a folder that transformers loads, whole or not at all.

    Where the vocabulary has no `<unk>`, the folder's has one more token, and the network there a
    row for it, if the space can give it one: so its tokenizer takes any word.

    Args:
        space: the architecture's space, or its name.
        architecture: a genotype, its JSON, or its name.
        network: what `space.build` returned for it, trained or not.
        vocabulary: of the text it is for: words, or pieces of them.
        folder: to be made; it may be there if it is empty.
        origin: what the weights are, for the README.
        trained: whether they are, for programs.
        replace: the folder may hold something, which is removed once the new one is complete.

    Returns:
        The folder.

    Raises:
        InputError: the folder is not empty or cannot be written, or there is no such space or
            architecture.
    """
    path, space = Path(folder), spaces.get(space) if isinstance(space, str) else space
    architecture = space.parse(architecture)
    if not replace:
        check_new(path, "name a folder that is not, or is empty")
    with_unknown = getattr(space, "with_unknown", None)
    if with_unknown is not None and UNK not in vocabulary.tokens:
        network, vocabulary = with_unknown(network), Vocabulary((*vocabulary.tokens, UNK))
        origin += f", with a row for `{UNK}`"
    with new_folder(path) as part:
        with quiet():
            space.save_pretrained(network, architecture, part)
            vocabulary.save_pretrained(part)
            _agree(part)
        vocabulary.save(part / VOCABULARY)
        document = {
            "space": space.name,
            "architecture": space.to_dict(architecture),
            "trained": trained,
        }
        (part / GENOTYPE).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
        if (says := getattr(space, "loading", None)) is not None:
            loading = says(network, path.name, len(vocabulary))
        else:
            loading = _LOADING.format(auto_class=space.auto_class, folder=path.name)
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
            loading=loading,
            tokenizer=vocabulary.describe(),
        )
        (part / "README.md").write_text(readme, encoding="utf-8")
        for file in part.iterdir():
            file.chmod(0o644)  # files of safetensors are closed to others
    return path


def _agree(folder: Path) -> None:
    """Tell the network's files of the tokenizer's special tokens, and it of the longest input."""
    from transformers import PreTrainedTokenizerFast

    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    # Not of `<eos>`: it ends a line, and texts go on.
    ids = {"bos_token_id": tokenizer.bos_token_id, "pad_token_id": tokenizer.pad_token_id}
    known = {name: token for name, token in ids.items() if token is not None}
    changes: dict[str, dict[str, Any]] = {_CONFIG: known, "generation_config.json": known}
    config = json.loads((folder / _CONFIG).read_text("utf-8"))
    # GPT-2's configuration has a name of its own for it.
    longest = config.get("max_position_embeddings", config.get("n_positions"))
    if longest is not None:
        changes["tokenizer_config.json"] = {"model_max_length": longest}
    for name, change in changes.items():
        if (folder / name).exists():
            document = json.loads((folder / name).read_text("utf-8")) | change
            text = json.dumps(document, indent=2, sort_keys=True, ensure_ascii=False) + "\n"
            (folder / name).write_text(text, encoding="utf-8")


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
