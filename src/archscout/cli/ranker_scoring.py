"""How the commands of `archscout ranker` say that benchmarks are scored."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from archscout.cli import options
from archscout.cli.output import progress
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.analysis.evaluation_results import Evaluation
    from archscout.benchmarks import Benchmark
    from archscout.predictors import Ranker
    from archscout.spaces import Scale

_EVALUATIONS = Path("evaluations") / "ranker"

Metrics = Annotated[
    str | None,
    typer.Option(
        help="Features: names, comma-separated; every metric without gradients by default."
    ),
]
Seeds = Annotated[int | None, typer.Option(help="How many initialisations; 1 by default.")]
Minibatches = Annotated[int | None, typer.Option(help="How many minibatches; 1 by default.")]
Evaluations = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="Keeps the scores, a folder for each benchmark."),
]


@dataclass(frozen=True)
class Scoring:
    """How a command's options say that benchmarks are scored.

    Attributes:
        settings: arguments of `evaluate` that decide its scores.
        size: a scale, and its fields to change.
        scoring: how scores are made otherwise; `settings` has it, too.
        work: arguments of `evaluate` that decide no score.
        data_dir: the data folder.
        evaluations: keeps a folder for each benchmark and way of scoring.
        resume: go on with what is there.
        seed: of the first initialisation, and of all else that is random.
    """

    settings: dict[str, Any]
    size: Sequence[str]
    scoring: Sequence[str]
    work: dict[str, Any]
    data_dir: str | None
    evaluations: Path
    resume: bool
    seed: int

    @property
    def metrics(self) -> str | None:
        """The features, as given."""
        metrics: str | None = self.settings["metrics"]
        return metrics

    def refuse(self, **others: int | None) -> None:
        """Make sure that no option contradicts a finished ranker.

        Args:
            **others: options that are not about scoring.

        Raises:
            InputError: one does.
        """
        given = {"metrics": self.metrics, "size": " ".join(self.size)}
        given |= {name: self.settings[name] for name in ("seeds", "minibatches")}
        given["scoring"] = " ".join(self.scoring)
        for name, value in (others | given).items():
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
        return load(named, folder, own or dataset)

    def scale_for(self, found: Benchmark) -> Scale:
        """The scale at which a benchmark is scored by the options."""
        return options.scale_of(found.space, self.size)

    def evaluate(self, found: Benchmark) -> Evaluation:
        """Scores by the options; every benchmark of a ranker is scored on one text."""
        from archscout.predictors import forward_metrics

        asked = {
            "text": self.settings["text"] or "python-docs",
            "metrics": self.metrics or forward_metrics(found.space.kind),
            "scale": self.scale_for(found),
            "seed": self.seed,
            "seeds": _once(self.settings["seeds"]),
            "minibatches": _once(self.settings["minibatches"]),
        }
        return self._evaluate(found, self.settings | asked)

    def evaluate_for(self, ranker: Ranker, found: Benchmark) -> Evaluation:
        """Scores as a finished ranker's were made."""
        text = self.settings["text"] or ranker.information.scoring.text
        ranker.check_text(text, self.data_dir)
        return self._evaluate(found, ranker.evaluation_arguments | {"text": text})

    def _evaluate(self, found: Benchmark, arguments: dict[str, Any]) -> Evaluation:
        from archscout.analysis.evaluation import evaluate
        from archscout.predictors.scores import is_finished, scores_folder

        arguments = arguments | self.work
        folder = scores_folder(self.evaluations, found, arguments)
        with own_option(), progress(f"scoring {found.name}", 1) as bar:
            return evaluate(
                found,
                out=folder,
                data_dir=self.data_dir,
                resume=self.resume or is_finished(folder, found, arguments),
                progress=bar.set,
                **arguments,
            )


def scoring_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of scoring, which it gets together as `asked`."""
    own = inspect.signature(command, eval_str=True).parameters.values()
    shared = inspect.signature(_read, eval_str=True).parameters.values()

    @wraps(command)
    def with_options(**given: Any) -> None:
        command(asked=_read(**{each.name: given.pop(each.name) for each in shared}), **given)

    merged = [
        each.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for each in (*own, *shared)
        if each.name != "asked"
    ]
    # typer reads both.
    vars(with_options)["__signature__"] = inspect.Signature(merged)
    with_options.__annotations__ = {each.name: each.annotation for each in merged}
    return with_options


def _read(
    metrics: Metrics = None,
    metric_file: options.MetricFiles = None,
    text: options.Texts = None,
    size: options.Sizes = None,
    scoring: options.ScoringChanges = None,
    seeds: Seeds = None,
    minibatches: Minibatches = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    workers: options.ScoringWorkers = 1,
    data_dir: options.DataDir = None,
    evaluations: Evaluations = _EVALUATIONS,
    resume: options.Resume = False,
) -> Scoring:
    from archscout.metrics import load_file

    for file in metric_file or ():
        load_file(file)  # what it defines is among the default features
    settings = {"metrics": metrics, "text": text, "seeds": seeds, "minibatches": minibatches}
    settings |= options.scoring(scoring, draws=True)
    work = {"metric_files": metric_file or (), "device": device, "workers": workers}
    return Scoring(settings, size or (), scoring or (), work, data_dir, evaluations, resume, seed)


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


def _once(count: int | None) -> int:
    return 1 if count is None else count
