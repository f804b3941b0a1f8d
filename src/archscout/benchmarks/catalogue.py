"""The published files that archscout uses: whose they are, where they lie, how to know them."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import NamedTuple

from archscout.errors import InputError


class Source(NamedTuple):
    """Where files come from.

    Attributes:
        repository: owner and name on GitHub.
        commit: the state of the repository that the files are of.
        licence: of the files.
    """

    repository: str
    commit: str
    licence: str


SOURCES: Mapping[str, Source] = {
    "training-free-nas": Source(
        "aaronserianni/training-free-nas",
        "2d76e01b9586cad7340e8268dadba3056efd070b",
        "CC BY 4.0",
    ),
    "nas-bench-nlp": Source(
        "fmsnew/nas-bench-nlp-release",
        "a6d90a3b19e3966b1d009c0970b3761aa46707d1",
        "Apache-2.0",
    ),
    "wikitext-2": Source(
        "pytorch/examples",
        "77f55b912142e11fcfdf5b530231fb9c52f181e8",
        "CC BY-SA 3.0",
    ),
}
"""The repositories by the name of what they published."""


@dataclass(frozen=True)
class PublishedFile:
    """One file that somebody published.

    Attributes:
        name: what commands call it; no other file has it.
        source: a name in `SOURCES`.
        path: where it lies in a data folder, relative, with `/`: as in a checkout of its source.
        url: where it is fetched from.
        licence: of its content.
        sha256: of its content, in hexadecimal; None where only git's name of it is known.
        git_blob: git's name of its content, in hexadecimal; None where the SHA-256 is known.
        description: what is in it, in a few words.
        columns: of a table: the titles that its first line begins with.
        corpus: of an archive of texts: the corpus whose texts are unpacked from it.
    """

    name: str
    source: str
    path: str
    url: str
    licence: str
    sha256: str | None
    git_blob: str | None
    description: str
    columns: tuple[str, ...] = ()
    corpus: str | None = None

    @property
    def checksum(self) -> str:
        """What its content is known by: the SHA-256, or git's name where only that is known."""
        return self.sha256 or self.git_blob or ""

    @property
    def basename(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """What kind of file it is: `.csv`, `.json`, `.zip` or `.txt`."""
        return PurePosixPath(self.path).suffix


def checksums(content: bytes) -> frozenset[str]:
    """The SHA-256 of some content and git's name of it, the SHA-1 of a header and the content.

    >>> sorted(checksums(b""), key=len)[0]
    'e69de29bb2d1d6434b8b29ae775ad8c2e48c5391'
    """
    blob = hashlib.sha1(b"blob %d\0" % len(content), usedforsecurity=False)
    blob.update(content)
    return frozenset({hashlib.sha256(content).hexdigest(), blob.hexdigest()})


def select(names: Iterable[str], files: Sequence[PublishedFile]) -> list[PublishedFile]:
    """The files that a user means.

    Args:
        names: of files, of sources (all files of one), or of a corpus that is unpacked from one.
        files: to choose from.

    Returns:
        The files in the order named, none twice.

    Raises:
        InputError: a name is none of these.
    """
    chosen: dict[str, PublishedFile] = {}
    for name in names:
        meant = [file for file in files if name in (file.name, file.source, file.corpus)]
        if not meant:
            raise InputError(_unknown(name, files))
        chosen.update((file.name, file) for file in meant)
    return list(chosen.values())


def _unknown(name: str, files: Sequence[PublishedFile]) -> str:
    sources = dict.fromkeys(file.source for file in files)
    near = difflib.get_close_matches(name, [*(file.name for file in files), *sources], n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return (
        f"no published file {name!r}{hint}\naccepted are the names that `archscout data list` "
        f"shows, and {', '.join(sources)} for all of one source"
    )


def _url(source: str, path: str) -> str:
    repository, commit, _ = SOURCES[source]
    return f"https://raw.githubusercontent.com/{repository}/{commit}/{path}"


_RECURRENT = ("log name", "loss", "perplexity", "bits per word")
_RECURRENT_SCORES = (*_RECURRENT, "Activation Distance")
_ENCODER_SCORES = ("ID", "GLUE Score", "Synaptic Diversity")


def _table(
    name: str, sha256: str, description: str, columns: tuple[str, ...] = ()
) -> PublishedFile:
    """A file of training-free-nas."""
    source = "training-free-nas"
    return PublishedFile(
        name=name,
        source=source,
        path=f"training-free-nas/data/{name}",
        url=_url(source, f"data/{name}"),
        licence=SOURCES[source].licence,
        sha256=sha256,
        git_blob=None,
        description=description,
        columns=columns,
    )


def _archive(
    name: str,
    description: str,
    path: str = "",
    sha256: str | None = None,
    git_blob: str | None = None,
    corpus: str | None = None,
) -> PublishedFile:
    """A file of nas-bench-nlp."""
    source = "nas-bench-nlp"
    return PublishedFile(
        name=name,
        source=source,
        path=f"nas-bench-nlp-release/{path or name}",
        url=_url(source, path or name),
        licence=SOURCES[source].licence,
        sha256=sha256,
        git_blob=git_blob,
        description=description,
        corpus=corpus,
    )


def _split(
    split: str, description: str, sha256: str | None = None, git_blob: str | None = None
) -> PublishedFile:
    """A text of wikitext-2."""
    name = f"wikitext-2/{split}.txt"
    return PublishedFile(
        name=name,
        source="wikitext-2",
        path=name,
        url=_url("wikitext-2", f"word_language_model/data/{name}"),
        licence=SOURCES["wikitext-2"].licence,
        sha256=sha256,
        git_blob=git_blob,
        description=description,
    )


FILES: tuple[PublishedFile, ...] = (
    _table(
        "RNN_results.csv",
        "4f084a9b437e4f89475ddb2ada896de2d6cb32268c59924e5542dbf017b90852",
        "metrics and losses of recurrent networks",
        _RECURRENT_SCORES,
    ),
    _table(
        "RNN_parameters.csv",
        "536548fa3eb073264b7db8c2fa4625ac6e2333aee0ba0f67b4b154048ac86428",
        "parameters of recurrent networks",
        (*_RECURRENT, "trainable paramters"),
    ),
    _table(
        "RNN_batch_ablation.csv",
        "e089e73ad5fa2fd420ad97ed36b64a5587a64a4af37ba319097e3a1ccc9bfe8e",
        "10 recurrent networks × 10 minibatches",
        _RECURRENT_SCORES,
    ),
    _table(
        "RNN_initialization_ablation.csv",
        "920523728d69078ade80896aa682841f08615a0e4d3b9241078fbc6c87f8dff3",
        "10 recurrent networks × 10 draws",
        _RECURRENT_SCORES,
    ),
    _table(
        "BERT_benchmark.json",
        "fa2ff7198dcd71e0b8021ed2ace1c221672c33cc56931b6dff31fda3d044784f",
        "500 encoders and their GLUE scores",
    ),
    _table(
        "BERT_results_activation.csv",
        "95fb60a0e702102d6b09a60d13745068270aa28183b7cc8dacb79d5ec6a4b36d",
        "metrics of the 500 encoders",
        _ENCODER_SCORES,
    ),
    _table(
        "BERT_batch_ablation.csv",
        "72f23597ae609d525977610f3ca03341d7037344bc074637a2f4b82a261ee74b",
        "10 encoders × 10 minibatches",
        _ENCODER_SCORES,
    ),
    _table(
        "BERT_initialization_ablation.csv",
        "a04fb46723cdddad622f3a46575652b26baa55a1ddc8f0c50361f355db278f27",
        "10 encoders × 10 draws",
        _ENCODER_SCORES,
    ),
    _table(
        "BERT_train_ablation.csv",
        "21170bf3464f33d6b1f5a9c296e678e236a971906172c80243a3009004a572d3",
        "10 encoders, GLUE while pretraining",
        ("id", "steps", "cola"),
    ),
    _table(
        "BERT_benchmark_train_ablation.json",
        "9b4c5d93814cbb5b506c156a3f9b39a8c023af33b167cc1791cb98768f46eab3",
        "the same, with the architectures",
    ),
    _archive(
        "train_logs_single_run/logs.zip",
        "logs on Penn Treebank, one run each",
        git_blob="53e2e0dc72a1c22519b240e6d3fc77b513de7ea8",
    ),
    _archive(
        "train_logs_multi_runs/logs.zip",
        "logs on Penn Treebank, several runs each",
        git_blob="7414e12600ecb30cf1f46431ca420f35484b4546",
    ),
    _archive(
        "train_logs_wikitext-2/logs.zip",
        "logs on WikiText-2",
        sha256="f5052d6bea6398001e32c986322a243e8cdedffa906caf242eb0a62ee105aa12",
    ),
    _archive(
        "datasets.zip",
        "the texts; ptb is unpacked from it",
        path="data/datasets.zip",
        git_blob="cf3371ef75b6b7174140bf2bd21e9f39c4c0573e",
        corpus="ptb",
    ),
    _split(
        "train", "WikiText-2, for training", git_blob="2d84b35af79e411d73ea7cae83c73964c6ac83b4"
    ),
    _split(
        "valid",
        "WikiText-2, for validation",
        sha256="f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8",
    ),
    _split(
        "test",
        "WikiText-2, for testing",
        sha256="d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0",
    ),
)
"""Every file that archscout can use, benchmarks first."""
