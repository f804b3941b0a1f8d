"""How the commands of `archscout ranker` say that benchmarks are scored."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archscout.cli import options
from archscout.cli.evaluate import Minibatches, Seeds
from archscout.cli.execution import Execution
from archscout.cli.output import progress, tell
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.analysis.evaluation_results import Evaluation
    from archscout.benchmarks import Benchmark
    from archscout.predictors import Ranker

Metrics = Annotated[
    str | None,
    typer.Option(
        help="Features: names, comma-separated; by default every metric whose pass needs no output."
    ),
]
Evaluations = Annotated[
    Path, typer.Option(metavar="FOLDER", help="Keeps the scores, a folder for each benchmark.")
]


@dataclass(frozen=True)
class Scoring(Execution):
    """How benchmarks are scored: the options of that name, as they were given."""

    metrics: Metrics = None
    metric_file: options.MetricFiles = None
    text: options.Texts = None
    size: options.Sizes = None
    scoring: options.DrawnScoringChanges = None
    seeds: Seeds = None
    minibatches: Minibatches = None
    seed: options.Seed = 0
    device: options.Device = "cpu"
    data_dir: options.DataDir = None
    evaluations: Evaluations = Path("evaluations") / "ranker"
    resume: options.Resume = False

    def __post_init__(self) -> None:
        if self.resume and not self.evaluations.is_dir():
            raise InputError(
                f"there is no {self.evaluations} to go on with; without --resume it is begun, and "
                "--evaluations names another"
            )
        options.load_metrics(self.metric_file)  # what it defines is among the default features
        options.scoring(self.scoring, draws=True)  # complains of what cannot be used

    def refuse(self, **others: int | None) -> None:
        """Make sure that no option contradicts a finished ranker."""
        given = others | {
            "metrics": self.metrics,
            "size": " ".join(self.size or ()),
            "seeds": self.seeds,
            "minibatches": self.minibatches,
            "scoring": " ".join(self.scoring or ()),
        }
        for name, value in given.items():
            if value not in (None, ""):
                raise InputError(
                    f"--{name} {value}: a finished ranker is judged as it was fitted; accepted "
                    "with a benchmark to learn from"
                )

    def load(self, name: str, dataset: str | None = None) -> Benchmark:
        """A benchmark by NAME or NAME:DATASET."""
        from archscout.benchmarks import DataFolder, load

        folder = DataFolder(None if self.data_dir is None else Path(self.data_dir))
        named, own = parts_of(name)
        if own and dataset and own != dataset:
            raise InputError(f"{name} and --dataset {dataset} contradict each other; give one")
        return load(named, folder, own or dataset)

    def evaluate(self, found: Benchmark, limit: int | None = None) -> Evaluation:
        """Scores by the options; every benchmark of a ranker is scored on one text.

        A limit leaves so many of the architectures, drawn by the seed.
        """
        from archscout.predictors import forward_metrics

        arguments = {
            "text": self.text or "python-docs",
            "metrics": self.metrics or forward_metrics(found.space.kind),
            "scale": options.scale_of(found.space, self.size),
            "seed": self.seed,
            "seeds": 1 if self.seeds is None else self.seeds,
            "minibatches": 1 if self.minibatches is None else self.minibatches,
            "limit": limit,
        }
        return self._evaluate(found, arguments | options.scoring(self.scoring, draws=True))

    def evaluate_for(self, ranker: Ranker, found: Benchmark) -> Evaluation:
        """Scores as a finished ranker's were made."""
        text = self.text or ranker.information.scoring.text
        ranker.check_text(text, self.data_dir)
        return self._evaluate(found, ranker.evaluation_arguments | {"text": text})

    def _evaluate(self, found: Benchmark, arguments: dict[str, Any]) -> Evaluation:
        from archscout.analysis.evaluation import evaluate
        from archscout.analysis.evaluation_folder import EvaluationFolder
        from archscout.predictors.scores import is_finished, scores_folder

        arguments = arguments | {
            "metric_files": self.metric_file or (),
            "device": self.device,
            "workers": self.place(),
        }
        folder = scores_folder(self.evaluations, found, arguments)
        begun = EvaluationFolder(folder).exists
        if self.resume and not begun:  # of several benchmarks, one after that which was stopped
            tell(f"There are no scores of {found.name} to go on with; it is scored from the start")
        with own_option(), progress(f"scoring {found.name}") as bar:
            return evaluate(
                found,
                out=folder,
                data_dir=self.data_dir,
                resume=(self.resume and begun) or is_finished(folder, found, arguments),
                progress=bar.set,
                **arguments,
            )


scoring_options = options.grouped(Scoring, "asked")
"""Gives a command the options of scoring, which it gets together."""


@contextmanager
def own_option() -> Iterator[None]:
    """Messages about a folder of scores name the option that it has here: --out is a ranker."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace("--out", "--evaluations")) from error


def parts_of(name: str) -> tuple[str, str | None]:
    """The name of a benchmark and perhaps a dataset, from NAME or NAME:DATASET."""
    from archscout.benchmarks import BENCHMARKS

    named, colon, dataset = name.rpartition(":")
    return (named, dataset) if colon and named in BENCHMARKS else (name, None)
