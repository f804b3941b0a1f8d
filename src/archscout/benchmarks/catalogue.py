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
        root: folder of the repository in which they lie.
        checkout: folder of a data folder in which they lie.
    """

    repository: str
    commit: str
    licence: str
    root: str
    checkout: str


SOURCES: Mapping[str, Source] = {
    "training-free-nas": Source(
        "aaronserianni/training-free-nas",
        "2d76e01b9586cad7340e8268dadba3056efd070b",
        "CC BY 4.0",
        "data/",
        "training-free-nas/data/",
    ),
    "nas-bench-nlp": Source(
        "fmsnew/nas-bench-nlp-release",
        "a6d90a3b19e3966b1d009c0970b3761aa46707d1",
        "Apache-2.0",
        "",
        "nas-bench-nlp-release/",
    ),
    "wikitext-2": Source(
        "pytorch/examples",
        "77f55b912142e11fcfdf5b530231fb9c52f181e8",
        "CC BY-SA 3.0",
        "word_language_model/data/",
        "",
    ),
    "lts-gpt2": Source(
        "microsoft/archai",
        "47770415327900684ed95c0bc9bf7cd0d0047fad",
        "MIT",
        "archai/nlp/nas/saved_logs/",
        "archai/archai/nlp/nas/saved_logs/",
    ),
}
"""The repositories by the name of what they published."""


@dataclass(frozen=True)
class PublishedFile:
    """One file that somebody published, or one folder of small files that belong together.

    Attributes:
        name: what commands call it; no other file has it.
        source: a name in `SOURCES`.
        description: what is in it, in a few words.
        checksum: what its content is known by, in hexadecimal: the SHA-256, or git's name of it
            where only that is known; empty of a folder, which is known by its name.
        columns: of a table: the titles that its first line begins with.
        place: where it lies at its source, where that is not its name.
        corpus: of an archive of texts: the corpus whose texts are unpacked from it.
        summaries: of a folder: its files that say what else is in it, the first by their keys.
        num_entries: of a folder: how many keys its first summary has; 0 where that is not known.
    """

    name: str
    source: str
    description: str
    checksum: str
    columns: tuple[str, ...] = ()
    place: str = ""
    corpus: str | None = None
    summaries: tuple[str, ...] = ()
    num_entries: int = 0

    @property
    def path(self) -> str:
        """Where it lies in a data folder, relative, with `/`: as in a checkout of its source."""
        return SOURCES[self.source].checkout + (self.place or self.name)

    @property
    def url(self) -> str:
        """Where it is fetched from."""
        source = SOURCES[self.source]
        place = f"{source.commit}/{source.root}{self.place or self.name}"
        if self.is_folder:
            return f"https://github.com/{source.repository}/tree/{place}"
        return f"https://raw.githubusercontent.com/{source.repository}/{place}"

    def url_of(self, member: str) -> str:
        """Of a folder: where one of its files is fetched from."""
        source = SOURCES[self.source]
        place = f"{source.commit}/{source.root}{self.name}/{member}"
        return f"https://raw.githubusercontent.com/{source.repository}/{place}"

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder of files."""
        return bool(self.summaries)

    @property
    def licence(self) -> str:
        """Of its content."""
        return SOURCES[self.source].licence

    @property
    def sha256(self) -> str | None:
        """Of its content; None where only git's name of it is known."""
        return self.checksum if len(self.checksum) == 64 else None

    @property
    def git_blob(self) -> str | None:
        """Git's name of its content; None where the SHA-256 is known, or neither."""
        return None if self.sha256 else self.checksum or None

    @property
    def basename(self) -> str:
        """The last part of its path."""
        return PurePosixPath(self.path).name

    @property
    def suffix(self) -> str:
        """What kind of file it is: `.csv`, `.json`, `.zip` or `.txt`; empty of a folder."""
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
    """The files that a user means, in the order named, none twice.

    Names are of files, of sources (all files of one), or of a corpus that is unpacked from one.
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


_RECURRENT = ("log name", "loss", "perplexity", "bits per word")
_SCORES = (*_RECURRENT, "Activation Distance")
_ENCODERS = ("ID", "GLUE Score", "Synaptic Diversity")
_PAPER, _NLP, _TEXT, _LTS = SOURCES
_TRAINED = ("ppl_summary.yaml", "params_summary.yaml")
_MEASURED = (*_TRAINED, "latency_summary.yaml", "memory_summary.yaml")

# fmt: off
FILES: tuple[PublishedFile, ...] = (
    PublishedFile("RNN_results.csv", _PAPER, "metrics and losses of recurrent networks",
        "4f084a9b437e4f89475ddb2ada896de2d6cb32268c59924e5542dbf017b90852", _SCORES),
    PublishedFile("RNN_parameters.csv", _PAPER, "parameters of recurrent networks",
        "536548fa3eb073264b7db8c2fa4625ac6e2333aee0ba0f67b4b154048ac86428",
        (*_RECURRENT, "trainable paramters")),
    PublishedFile("RNN_batch_ablation.csv", _PAPER, "10 recurrent networks × 10 minibatches",
        "e089e73ad5fa2fd420ad97ed36b64a5587a64a4af37ba319097e3a1ccc9bfe8e", _SCORES),
    PublishedFile("RNN_initialization_ablation.csv", _PAPER, "10 recurrent networks × 10 draws",
        "920523728d69078ade80896aa682841f08615a0e4d3b9241078fbc6c87f8dff3", _SCORES),
    PublishedFile("BERT_benchmark.json", _PAPER, "500 encoders and their GLUE scores",
        "fa2ff7198dcd71e0b8021ed2ace1c221672c33cc56931b6dff31fda3d044784f"),
    PublishedFile("BERT_results_activation.csv", _PAPER, "metrics of the 500 encoders",
        "95fb60a0e702102d6b09a60d13745068270aa28183b7cc8dacb79d5ec6a4b36d", _ENCODERS),
    PublishedFile("BERT_batch_ablation.csv", _PAPER, "10 encoders × 10 minibatches",
        "72f23597ae609d525977610f3ca03341d7037344bc074637a2f4b82a261ee74b", _ENCODERS),
    PublishedFile("BERT_initialization_ablation.csv", _PAPER, "10 encoders × 10 draws",
        "a04fb46723cdddad622f3a46575652b26baa55a1ddc8f0c50361f355db278f27", _ENCODERS),
    PublishedFile("BERT_train_ablation.csv", _PAPER, "10 encoders, GLUE while pretraining",
        "21170bf3464f33d6b1f5a9c296e678e236a971906172c80243a3009004a572d3",
        ("id", "steps", "cola")),
    PublishedFile("BERT_benchmark_train_ablation.json", _PAPER, "the same, with the architectures",
        "9b4c5d93814cbb5b506c156a3f9b39a8c023af33b167cc1791cb98768f46eab3"),
    PublishedFile("train_logs_single_run/logs.zip", _NLP, "logs on Penn Treebank, one run each",
        "53e2e0dc72a1c22519b240e6d3fc77b513de7ea8"),
    PublishedFile("train_logs_multi_runs/logs.zip", _NLP,
        "logs on Penn Treebank, several runs each", "7414e12600ecb30cf1f46431ca420f35484b4546"),
    PublishedFile("train_logs_wikitext-2/logs.zip", _NLP, "logs on WikiText-2",
        "f5052d6bea6398001e32c986322a243e8cdedffa906caf242eb0a62ee105aa12"),
    PublishedFile("datasets.zip", _NLP, "the texts; ptb is unpacked from it",
        "cf3371ef75b6b7174140bf2bd21e9f39c4c0573e", place="data/datasets.zip", corpus="ptb"),
    PublishedFile("wikitext-2/train.txt", _TEXT, "WikiText-2, for training",
        "2d84b35af79e411d73ea7cae83c73964c6ac83b4"),
    PublishedFile("wikitext-2/valid.txt", _TEXT, "WikiText-2, for validation",
        "f0737ed31fc1329026e95cb8b98e19c2a182c39c240ab909dc31abf2f8af58e8"),
    PublishedFile("wikitext-2/test.txt", _TEXT, "WikiText-2, for testing",
        "d790b833ef8cf03a90db7bf1271b7520b83c45ce07ba3c1a9699df81e239eca0"),
    PublishedFile("random_GPT2_wt103", _LTS, "200 decoders trained on WikiText-103", "",
        summaries=_TRAINED, num_entries=200),
    PublishedFile("random_GPT2_lm1b", _LTS, "200 decoders trained on LM1B", "",
        summaries=_TRAINED, num_entries=200),
    PublishedFile("pareto_GPT2_lm1b_arm", _LTS, "decoders and their latency on an ARM core", "",
        summaries=_MEASURED),
    PublishedFile("pareto_GPT2_lm1b_corei7", _LTS, "decoders and their latency on a Core i7", "",
        summaries=_MEASURED),
    PublishedFile("pareto_GPT2_lm1b_titanxp", _LTS, "decoders and their latency on a Titan Xp", "",
        summaries=_MEASURED),
)
# fmt: on
"""Every file that archscout can use, benchmarks first."""
