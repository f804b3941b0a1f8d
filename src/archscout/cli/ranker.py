"""`archscout ranker`: models that learn from trained results to rank architectures."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.output import console, interrupts, progress, stopped, warn
from archscout.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from archscout.analysis.evaluation import Evaluation
    from archscout.benchmarks import Benchmark
    from archscout.ranking import Information, Judgement, Ranker

app = typer.Typer(
    help="Learn to rank architectures from trained results, beside the label-free metrics.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_EVALUATIONS = Path("evaluations") / "ranker"
_FOLDS = 5
_LEARNED = "What is learned from"
_DRAWS = "Draws"

Metrics = Annotated[
    str | None,
    typer.Option(
        help="The features: names, comma-separated; every metric without gradients by default.",
        rich_help_panel=_LEARNED,
    ),
]
MetricFiles = Annotated[
    list[Path] | None,
    typer.Option(
        "--metric-file", help="A file of Python that defines metrics with archscout.metric."
    ),
]
Seeds = Annotated[int, typer.Option(help="How many initialisations.", rich_help_panel=_DRAWS)]
Minibatches = Annotated[int, typer.Option(help="How many minibatches.", rich_help_panel=_DRAWS)]
Workers = Annotated[int, typer.Option(help="Processes that score.")]
Evaluations = Annotated[
    Path,
    typer.Option(metavar="FOLDER", help="Keeps the scores, a folder for each benchmark."),
]
Resume = Annotated[
    bool, typer.Option("--resume", help="Go on with the scores that the folder holds.")
]


@app.command("fit")
def fit(
    benchmarks: Annotated[
        list[str],
        typer.Argument(
            metavar="BENCHMARK...",
            help="As of `archscout evaluate`; of several, NAME:DATASET says what each is trained "
            "on.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="The ranker.")],
    dataset: Annotated[
        str | None,
        typer.Option(help="What the networks were trained on.", rich_help_panel=_LEARNED),
    ] = None,
    metrics: Metrics = None,
    metric_file: MetricFiles = None,
    text: options.Texts = None,
    split: options.Split = None,
    vocabulary_size: options.VocabularySize = None,
    tokenizer: options.TokenizerSource = None,
    scale: options.ScaleName = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    batch_size: options.BatchSize = None,
    sequence_length: options.SequenceLength = None,
    initialisation: options.Initialisation = None,
    reading: options.Reading = None,
    seeds: Seeds = 1,
    minibatches: Minibatches = 1,
    resamples: options.Resamples = 1000,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    workers: Workers = 1,
    data_dir: options.DataDir = None,
    evaluations: Evaluations = _EVALUATIONS,
    resume: Resume = False,
    as_json: options.Json = False,
) -> None:
    """Fit a ranker on the trained results of one benchmark or several.

    Scores the architectures, chooses an estimator by cross-validation over them, fits it, and
    writes it to a file with what it was fitted on.

    Examples:
        archscout ranker fit archscout-mini-rnn --out mini.ranker

        archscout ranker fit nas-bench-nlp --dataset ptb --text wikitext-2 --out ptb.ranker

        archscout ranker fit nas-bench-nlp:ptb archscout-mini-rnn --seeds 3 --out both.ranker
    """
    from archscout import ranking
    from archscout.ranking.saving import check_installed

    check_installed()  # said before minutes of scoring
    asked = _Scoring(
        {
            "metrics": metrics,
            "text": text,
            "split": split,
            "vocabulary_limit": vocabulary_size,
            "tokenizer": tokenizer,
            "seeds": seeds,
            "minibatches": minibatches,
            "seed": seed,
        },
        scale,
        {
            "embedding_size": embedding_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "batch_size": batch_size,
            "sequence_length": sequence_length,
            "initialisation": initialisation,
            "reading": reading,
        },
        {"metric_files": metric_file or (), "device": device, "workers": workers},
        data_dir,
        evaluations,
        resume,
    )
    try:
        evaluated = [asked.evaluate(asked.load(name, dataset)) for name in benchmarks]
        with progress("fitting", 1) as bar:
            ranker = ranking.fit(
                evaluated, metrics=metrics, seed=seed, resamples=resamples, progress=bar.set
            )
        interrupts.check()
        ranker.save(out)
    except KeyboardInterrupt:
        raise stopped(f"Stopped; what was scored is in {evaluations}", resume) from None
    _report_fit(out, ranker.information, as_json)


@app.command("judge")
def judge(
    learned: Annotated[
        str,
        typer.Argument(
            metavar="RANKER_OR_TRAINING",
            help="The file of a ranker, or a benchmark to learn from, as NAME or NAME:DATASET.",
        ),
    ],
    benchmark: Annotated[
        str, typer.Argument(metavar="BENCHMARK", help="To judge on, as NAME or NAME:DATASET.")
    ],
    dataset: Annotated[
        str | None, typer.Option(help="What the judged networks were trained on.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Of a training: so many parts of the judged architectures, each predicted by a "
            "ranker that was fitted without them; 5 by default.",
        ),
    ] = None,
    metrics: Metrics = None,
    metric_file: MetricFiles = None,
    text: options.Texts = None,
    split: options.Split = None,
    vocabulary_size: options.VocabularySize = None,
    tokenizer: options.TokenizerSource = None,
    scale: options.ScaleName = None,
    embedding_size: options.EmbeddingSize = None,
    hidden_size: options.HiddenSize = None,
    num_layers: options.NumLayers = None,
    batch_size: options.BatchSize = None,
    sequence_length: options.SequenceLength = None,
    initialisation: options.Initialisation = None,
    reading: options.Reading = None,
    seeds: Seeds = 1,
    minibatches: Minibatches = 1,
    resamples: options.Resamples = 1000,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    workers: Workers = 1,
    data_dir: options.DataDir = None,
    evaluations: Evaluations = _EVALUATIONS,
    resume: Resume = False,
    as_json: options.Json = False,
) -> None:
    """Judge a ranker on a benchmark, on architectures whose results it has not seen.

    Of a file, architectures that it learned from are left out, and the settings of scoring are
    its own (--text says where its text lies now). Of a training, a ranker is fitted for each fold,
    without the fold's architectures; the training may be the judged benchmark itself.

    Examples:
        archscout ranker judge mini.ranker nas-bench-nlp

        archscout ranker judge nas-bench-nlp:ptb nas-bench-nlp:wikitext-2 --text wikitext-2

        archscout ranker judge nas-bench-bert nas-bench-bert --reading trained --folds 5
    """
    asked = _Scoring(
        {
            "metrics": metrics,
            "text": text,
            "split": split,
            "vocabulary_limit": vocabulary_size,
            "tokenizer": tokenizer,
            "seeds": seeds,
            "minibatches": minibatches,
            "seed": seed,
        },
        scale,
        {
            "embedding_size": embedding_size,
            "hidden_size": hidden_size,
            "num_layers": num_layers,
            "batch_size": batch_size,
            "sequence_length": sequence_length,
            "initialisation": initialisation,
            "reading": reading,
        },
        {"metric_files": metric_file or (), "device": device, "workers": workers},
        data_dir,
        evaluations,
        resume,
    )
    try:
        if _is_training(learned):
            found, judged = _judge_training(
                learned, asked, benchmark, dataset, folds, metrics, seed, resamples
            )
        else:
            asked.refuse(folds=folds)
            found, judged = _judge_file(learned, asked, benchmark, dataset, seed, resamples)
    except KeyboardInterrupt:
        raise stopped(f"Stopped; what was scored is in {evaluations}", resume) from None
    _report_judgement(found, judged, as_json)


@app.command("score")
def score(
    ranker: Annotated[Path, typer.Argument(metavar="RANKER", help="The file of a ranker.")],
    architectures: Annotated[
        list[str],
        typer.Argument(
            metavar="ARCHITECTURE...",
            help="Files of JSON or JSON Lines, - for standard input, or names (rnn, gru, lstm).",
        ),
    ],
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="Where the text that the ranker was fitted with lies now."
        ),
    ] = None,
    metric_file: MetricFiles = None,
    device: options.Device = "cpu",
    workers: Workers = 1,
    data_dir: options.DataDir = None,
    evaluations: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keeps the scores; nothing keeps them by default."),
    ] = None,
    resume: Resume = False,
    as_json: options.Json = False,
) -> None:
    """Rank architectures by a ranker, the best first; --json prints them in the order given.

    Examples:
        archscout ranker score mini.ranker rnn gru lstm

        archscout sample rnn -n 50 | archscout ranker score mini.ranker -

        archscout ranker score mini.ranker cells.jsonl --json --evaluations scores --resume
    """
    from archscout import spaces
    from archscout.cli import architectures as reader
    from archscout.ranking import Ranker

    loaded = Ranker.load(ranker)
    if resume and evaluations is None:
        raise InputError("--resume goes on with a folder of scores; name it with --evaluations")
    genotypes = reader.read(spaces.get(loaded.information.scoring.space), architectures)
    try:
        with _own_option(), progress("scoring", 1) as bar:
            ranked = loaded.score(
                genotypes,
                out=evaluations,
                text=text,
                data_dir=data_dir,
                metric_files=metric_file or (),
                device=device,
                workers=workers,
                resume=resume,
                progress=bar.set,
            )
    except KeyboardInterrupt:
        if evaluations is None:
            raise
        raise stopped(f"Stopped; what was scored is in {evaluations}", resume) from None
    _report_ranks(ranked, as_json)


@dataclass(frozen=True)
class _Scoring:
    """How a command's options say that benchmarks are scored.

    Attributes:
        settings: arguments of `evaluate` that decide its scores.
        scale: name of the scale.
        sizes: its fields to change.
        work: arguments of `evaluate` that decide no score.
        data_dir: the data folder.
        evaluations: keeps a folder for each benchmark.
        resume: go on with what is there.
    """

    settings: dict[str, Any]
    scale: str | None
    sizes: dict[str, int | str | None]
    work: dict[str, Any]
    data_dir: str | None
    evaluations: Path
    resume: bool

    def refuse(self, **others: int | None) -> None:
        """Make sure that no option contradicts a finished ranker.

        Args:
            **others: options that are not about scoring.

        Raises:
            InputError: one does.
        """
        names = ("metrics", "split", "vocabulary_limit", "tokenizer")
        given = {name: self.settings[name] for name in names}
        for name, value in (others | given | {"scale": self.scale} | self.sizes).items():
            if value is not None:
                option = name.replace("vocabulary_limit", "vocabulary_size").replace("_", "-")
                raise InputError(
                    f"--{option} {value}: a finished ranker is judged as it was fitted; accepted "
                    "with a benchmark to learn from"
                )

    def load(self, name: str, dataset: str | None = None) -> Benchmark:
        """A benchmark by NAME or NAME:DATASET."""
        from archscout.benchmarks import DataFolder, load

        folder = DataFolder(None if self.data_dir is None else Path(self.data_dir))
        named, own = _parts(name)
        return load(named, folder, own or dataset)

    def evaluate(self, found: Benchmark) -> Evaluation:
        """Scores by the options; every benchmark of a ranker is scored on one text."""
        text = self.settings["text"] or "python-docs"
        scale = options.resolve(found.space, self.scale, **self.sizes)
        metrics = self.settings["metrics"] or _default_metrics(found)
        asked = self.settings | {"text": text, "metrics": metrics, "scale": scale}
        return self._evaluate(found, asked)

    def evaluate_for(self, ranker: Ranker, found: Benchmark) -> Evaluation:
        """Scores as a finished ranker's were made."""
        ranker.check_space(found)
        text = self.settings["text"] or ranker.information.scoring.text
        ranker.check_text(text, self.data_dir)
        return self._evaluate(found, ranker.evaluation_arguments | {"text": text})

    def _evaluate(self, found: Benchmark, arguments: dict[str, Any]) -> Evaluation:
        from archscout.analysis.evaluation import evaluate

        folder = self.evaluations / f"{found.name}-{found.dataset}"
        with _own_option(), progress(f"scoring {found.name}", 1) as bar:
            return evaluate(
                found,
                out=folder,
                data_dir=self.data_dir,
                resume=self.resume,
                progress=bar.set,
                **arguments,
                **self.work,
            )


@contextmanager
def _own_option() -> Iterator[None]:
    """Messages about a folder of scores name the option that it has here: --out is a ranker."""
    try:
        yield
    except InputError as error:
        raise InputError(str(error).replace("--out", "--evaluations")) from error


def _default_metrics(benchmark: Benchmark) -> list[str]:
    from archscout.ranking import forward_metrics

    return forward_metrics(benchmark.space.kind)


def _parts(name: str) -> tuple[str, str | None]:
    """The name of a benchmark and perhaps a dataset, from NAME or NAME:DATASET."""
    from archscout.benchmarks import BENCHMARKS

    named, colon, dataset = name.rpartition(":")
    return (named, dataset) if colon and named in BENCHMARKS else (name, None)


def _is_training(learned: str) -> bool:
    """Whether it names a benchmark, not the file of a ranker."""
    from archscout.benchmarks import BENCHMARKS
    from archscout.benchmarks.built import is_built

    return _parts(learned)[0] in BENCHMARKS or is_built(Path(learned))


def _judge_training(
    learned: str,
    asked: _Scoring,
    benchmark: str,
    dataset: str | None,
    folds: int | None,
    metrics: str | None,
    seed: int,
    resamples: int,
) -> tuple[Judgement, Evaluation]:
    from archscout.ranking import judge_by_folds

    source, target = asked.load(learned), asked.load(benchmark, dataset)
    training = judged = asked.evaluate(source)
    if (target.name, target.dataset) != (source.name, source.dataset):
        judged = asked.evaluate(target)
    with progress("fitting", 1) as bar:
        found = judge_by_folds(
            training,
            judged,
            metrics=metrics,
            folds=_FOLDS if folds is None else folds,
            seed=seed,
            resamples=resamples,
            progress=bar.set,
        )
    return found, judged


def _judge_file(
    path: str, asked: _Scoring, benchmark: str, dataset: str | None, seed: int, resamples: int
) -> tuple[Judgement, Evaluation]:
    from archscout.ranking import Ranker, judge

    ranker = Ranker.load(path)
    judged = asked.evaluate_for(ranker, asked.load(benchmark, dataset))
    return judge(ranker, judged, resamples=resamples, seed=seed), judged


def _report_fit(out: Path, information: Information, as_json: bool) -> None:
    found = information.cross_validation
    if as_json:
        whole = information.model_dump(mode="json", exclude={"features", "fingerprints"})
        typer.echo(json.dumps({"ranker": str(out), "labels": information.labels, **whole}))
        return
    table = Table("estimator")
    table.add_column("τ-b in cross-validation", justify="right")
    for name, tau in found.candidates.items():
        mark = " (chosen)" if name == information.estimator else ""
        table.add_row(f"{name}{mark}", "–" if tau is None else f"{tau:.3f}")
    console.print(table)
    console.print(
        f"{information.labels} labels; τ-b {found.kendall:.3f}, 95 % interval {found.low:.3f} to "
        f"{found.high:.3f}, of architectures not fitted on.",
        highlight=False,
    )
    _warn_of_modified(sorted({name for o in information.origins for name in o.modified}))
    console.print(f"Ranker  {out}", highlight=False, soft_wrap=True)


def _report_judgement(found: Judgement, judged: Evaluation, as_json: bool) -> None:
    table = found.comparison.table
    least, most = found.labels
    if as_json:
        records = table.reset_index().to_json(orient="records", double_precision=15)
        document = {
            "benchmark": judged.benchmark.name,
            "dataset": judged.benchmark.dataset,
            "labels": [least, most],
            "shared": found.shared,
            "folds": found.folds,
            "estimators": found.estimators,
            "baselines": found.baselines,
            "difference": None if found.difference is None else vars(found.difference),
            "statistics": json.loads(records),
        }
        typer.echo(json.dumps(document))
        return
    _print_judgement(table)
    count = f"{least}" if least == most else f"{least} to {most}"
    place = "the training of their fold" if found.folds > 1 else "what is judged"
    seen = f"; {found.shared} architectures are shared, and left out of {place}"
    console.print(
        f"The ranker learned from {count} labels{seen if found.shared else ''}. The metrics, which "
        "saw no label, are the best on its training.",
        highlight=False,
    )
    if (gain := found.difference) is not None:
        console.print(
            f"Ranker less first metric: τ-b {gain.difference:+.3f}, 95 % interval {gain.low:.3f} "
            f"to {gain.high:.3f} ({gain.n} architectures).",
            highlight=False,
        )
    _warn_of_modified(judged.benchmark.modified)


def _print_judgement(table: pd.DataFrame) -> None:
    shown = Table()
    shown.add_column("", overflow="fold")
    for title in ("n", "τ-b", "95 % interval", "pairs"):
        shown.add_column(title, justify="right", no_wrap=True)
    for name, row in table.iterrows():
        if row["problem"]:
            shown.add_row(str(name), str(row["n"]), "–", "", "–")
            warn(f"{name}: {row['problem']}")
            continue
        interval = f"{row['kendall_low']:.3f} to {row['kendall_high']:.3f}"
        values = (f"{row['kendall']:.3f}", interval, f"{row['pairs']:.3f}")
        shown.add_row(str(name), str(row["n"]), *values)
    console.print(shown)


def _report_ranks(ranked: pd.DataFrame, as_json: bool) -> None:
    if as_json:
        for record in ranked.to_dict(orient="records"):
            typer.echo(json.dumps(record, allow_nan=False))
        return
    table = Table("fingerprint")
    for title in ("rank", "prediction", "learned from"):
        table.add_column(title, justify="right")
    for _, row in ranked.sort_values("rank", kind="stable").iterrows():
        seen = "yes" if row["seen"] else "no"
        table.add_row(row["fingerprint"], str(row["rank"]), f"{row['prediction']:.3f}", seen)
    console.print(table)


def _warn_of_modified(names: Sequence[str]) -> None:
    if names:
        warn(f"Modified data: {', '.join(names)}")
