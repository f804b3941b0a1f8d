"""The ranker: a model of trained results that ranks architectures by their scores."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd

from archscout import spaces
from archscout.analysis.evaluation import evaluate
from archscout.analysis.evaluation_results import Evaluation
from archscout.benchmarks import Benchmark, DataFolder
from archscout.errors import InputError
from archscout.execution import Cluster
from archscout.predictors import saving
from archscout.predictors.estimators import Model, Progress
from archscout.predictors.examples import columns_of, scores_of
from archscout.predictors.information import Information, Scoring
from archscout.scoring import TextSource
from archscout.spaces import network_fingerprint
from archscout.text import Corpus, load_corpus

_ASKED = "architectures"  # the benchmark that architectures of one's own are scored as


@dataclass(frozen=True, eq=False)
class Ranker:
    """A supervised model that ranks architectures by their scores.

    Unlike a metric it has seen trained results. What it predicts is the normalised rank that an
    architecture's result would have among the training's, 0 the worst and 1 the best; it is good
    for comparing architectures, and says nothing of losses.

    Attributes:
        information: what it was fitted on, and how well it predicts in cross-validation.
    """

    information: Information
    _regressor: Any = field(repr=False)

    @property
    def model(self) -> Model:
        """The estimator with its features."""
        return Model(self.information.features, self._regressor)

    @cached_property
    def _fingerprints(self) -> frozenset[str]:
        return frozenset(self.information.fingerprints)

    def has_seen(self, fingerprint: str) -> bool:
        """Whether results of a network were among the labels, by its fingerprint."""
        return fingerprint in self._fingerprints

    @property
    def evaluation_arguments(self) -> dict[str, Any]:
        """What `evaluate` takes to make scores as the ranker's were, but for the text."""
        return {"metrics": self.information.metrics, **self.information.scoring.arguments()}

    def check_space(self, benchmark: Benchmark) -> None:
        """Make sure that a benchmark is of the ranker's space."""
        ours, theirs = self.information.scoring.space, benchmark.space.name
        if theirs != ours:
            raise InputError(
                f"{benchmark.name} ({benchmark.dataset}) is of space {theirs}; the ranker is for "
                f"space {ours}"
            )

    def predict(self, evaluation: Evaluation) -> pd.Series[float]:
        """Predicted normalised ranks of an evaluation's architectures, by name; mean over draws.

        Raises:
            InputError: the evaluation is of another space, its scores were made in another way,
                or it lacks a metric.
        """
        benchmark = evaluation.benchmark
        self.check_space(benchmark)
        place = f"the evaluation of {benchmark.name} ({benchmark.dataset})"
        self.information.scoring.check_same(Scoring.of(evaluation.settings), place)
        columns_of([evaluation], self.information.metrics)
        columns = list(self.information.features.finite)
        predicted = [
            self.model.predict(scores_of(evaluation, draw, columns))
            for draw in evaluation.settings.draws
        ]
        return pd.concat(predicted, axis=1).mean(axis=1)

    def score(
        self,
        architectures: Iterable[Any],
        *,
        out: str | os.PathLike[str] | None = None,
        text: TextSource | None = None,
        data_dir: str | os.PathLike[str] | None = None,
        metric_files: Sequence[str | os.PathLike[str]] = (),
        device: str = "cpu",
        workers: int | Cluster = 1,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> pd.DataFrame:
        """Rank architectures: their scores are taken as the ranker's were, and its model asked.

        Args:
            architectures: genotypes of the ranker's space, or their JSON.
            out: a folder that keeps the scores; by default they are kept nowhere.
            text: where the ranker's text lies now; by default where it lay.
            data_dir: the data folder.
            metric_files: files of Python that define metrics; a ranker's file names none.
            device: where networks run.
            workers: processes, or a cluster, that score.
            resume: go on with what `out` holds.
            progress: called with the number of scores that are there and that there will be.

        Returns:
            One row an architecture, in the order given: `fingerprint`, `prediction` (from 0 to 1
            or a little beyond), `rank` (from 1, the best) and `seen` (whether a result of the same
            network was among the labels).

        Raises:
            InputError: an architecture or the text cannot be used, or the text is another one.
        """
        scoring = self.information.scoring
        space = spaces.get(scoring.space)
        parsed = [space.parse(architecture) for architecture in architectures]
        prints = [space.fingerprint(architecture) for architecture in parsed]
        source = scoring.text if text is None else text
        self.check_text(source, data_dir)
        place: Any = nullcontext(out)
        if out is None:  # the scores are kept nowhere
            place = tempfile.TemporaryDirectory(prefix="archscout-")
        with place as folder:
            done = evaluate(
                _as_benchmark(scoring, dict(zip(prints, parsed, strict=True))),
                out=folder,
                data_dir=data_dir,
                text=source,
                metric_files=metric_files,
                device=device,
                workers=workers,
                resume=resume,
                progress=progress,
                **self.evaluation_arguments,
            )
        predicted = self.predict(done).loc[prints].to_numpy()
        ranks = pd.Series(predicted).rank(ascending=False, method="min").astype(int)
        marks = [network_fingerprint(space, each, scoring.built_at) for each in parsed]
        columns = {"fingerprint": prints, "prediction": predicted, "rank": ranks}
        return pd.DataFrame({**columns, "seen": [self.has_seen(mark) for mark in marks]})

    def check_text(self, source: TextSource, data_dir: str | os.PathLike[str] | None) -> None:
        """Make sure that a text is the one that the ranker's scores were made on."""
        data = DataFolder(data_dir).path
        corpus = source if isinstance(source, Corpus) else load_corpus(source, data)
        expected = self.information.scoring.text_sha256
        if corpus.sha256 != expected:
            raise InputError(
                f"text {corpus.name} has the SHA-256 {corpus.sha256[:12]}…, the ranker's has "
                f"{expected[:12]}…; only the text that it was fitted with is accepted"
            )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, without pickle.

        Raises:
            InputError: skops is not installed, or the file cannot be written.
        """
        saving.write(Path(path), self.information, self._regressor)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """The ranker in a file that `save` wrote."""
        return cls(*saving.read(Path(path)))


def _as_benchmark(scoring: Scoring, architectures: dict[str, Any]) -> Benchmark:
    """Architectures without results, by fingerprint, for `evaluate` to score."""
    if not architectures:
        raise InputError("no architecture to rank; at least one is accepted")
    results = pd.DataFrame({"result": np.nan}, index=pd.Index(architectures, name="architecture"))
    return Benchmark(
        name=_ASKED,
        dataset="none",
        space=spaces.get(scoring.space),
        architectures=architectures,
        results=results,
        target="result",
        larger_is_better=True,
        text=scoring.text,
    )
