"""`archscout ranker`: models that learn from trained results to rank architectures."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column

from archscout.cli import options, output
from archscout.cli.execution import Execution, with_execution
from archscout.cli.ranker_scoring import Scoring, own_option, parts_of, scoring_options
from archscout.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

    from archscout.analysis.evaluation_results import Evaluation
    from archscout.benchmarks import Benchmark
    from archscout.predictors import Information, Judgement

app = typer.Typer(
    help="Learn to rank architectures from trained results, beside the label-free metrics.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

_FOLDS = 5


@app.command("fit")
@scoring_options
def fit(
    benchmarks: Annotated[
        list[str],
        typer.Argument(
            metavar="BENCHMARK...",
            help="Benchmarks, as for `archscout evaluate`; NAME:DATASET says what each is trained "
            "on.",
        ),
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="File of the ranker.")],
    asked: Scoring,
    dataset: Annotated[str | None, typer.Option(help="What the networks were trained on.")] = None,
    limit: Annotated[
        int | None,
        typer.Option(
            help="So many architectures of each benchmark, drawn at random; all by default."
        ),
    ] = None,
    resamples: options.Resamples = 1000,
    as_json: options.Json = False,
) -> None:
    """Fit a ranker on the trained results of one benchmark or several.

    Scores the architectures, chooses an estimator by cross-validation over them, fits it, and
    writes it to a file with what it was fitted on.

    Examples:
        archscout ranker fit archscout-mini-rnn --out mini.ranker

        archscout ranker fit nas-bench-nlp --dataset ptb --text wikitext-2 --out ptb.ranker

        archscout ranker fit nas-bench-bert --limit 200 --out encoders.ranker

        archscout ranker fit nas-bench-nlp:ptb archscout-mini-rnn --seeds 3 --out both.ranker
    """
    loaded = [asked.load(name, dataset) for name in benchmarks]
    from archscout import predictors
    from archscout.predictors import checks, saving

    saving.check_installed()  # all that can be said is said before minutes of scoring
    saving.check_writable(out)
    checks.check_bootstrap(asked.seed, resamples)
    checks.check_one_space(loaded)
    checks.check_different(loaded)
    with _stoppable(asked.evaluations, asked.resume):
        evaluated = [asked.evaluate(each, limit) for each in loaded]
        with output.progress("fitting") as bar:
            ranker = predictors.fit(
                evaluated,
                metrics=asked.metrics,
                seed=asked.seed,
                resamples=resamples,
                progress=bar.set,
            )
        output.interrupts.check()
        ranker.save(out)
    _report_fit(out, ranker.information, as_json)


@app.command("judge")
@scoring_options
def judge(
    learned: Annotated[
        str,
        typer.Argument(
            metavar="RANKER_OR_TRAINING",
            help="The file of a ranker, or a benchmark to learn from, as NAME or NAME:DATASET.",
        ),
    ],
    benchmark: Annotated[
        str,
        typer.Argument(metavar="BENCHMARK", help="Benchmark to judge on, as NAME or NAME:DATASET."),
    ],
    asked: Scoring,
    dataset: Annotated[
        str | None, typer.Option(help="What the judged networks were trained on.")
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(
            help="Parts of the judged architectures, each predicted by a ranker that was fitted "
            "without them, where there is a benchmark to learn from; 5 by default."
        ),
    ] = None,
    resamples: options.Resamples = 1000,
    as_json: options.Json = False,
) -> None:
    """Judge a ranker on a benchmark, on architectures whose results it has not seen.

    Of a file, architectures that it learned from are left out, and the settings of scoring are
    its own (--text says where its text lies now). Of a training, a ranker is fitted for each fold,
    without the fold's architectures; the training may be the judged benchmark itself.

    Examples:
        archscout ranker judge mini.ranker nas-bench-nlp

        archscout ranker judge nas-bench-nlp:ptb nas-bench-nlp:wikitext-2 --text wikitext-2

        archscout ranker judge nas-bench-bert nas-bench-bert --size reading=trained
    """
    from archscout.predictors.checks import check_bootstrap

    check_bootstrap(asked.seed, resamples)  # said before minutes of scoring
    target = asked.load(benchmark, dataset)
    with _stoppable(asked.evaluations, asked.resume):
        if _is_training(learned):
            number = _FOLDS if folds is None else folds
            found, judged = _judge_training(asked.load(learned), asked, target, number, resamples)
        else:
            asked.refuse(folds=folds)
            found, judged = _judge_file(learned, asked, target, resamples)
    _report_judgement(found, judged, as_json)


@app.command("score")
@with_execution
def score(
    ranker: Annotated[Path, typer.Argument(metavar="RANKER", help="The file of a ranker.")],
    architectures: options.Architectures,
    execution: Execution,
    text: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TEXT", help="Where the text that the ranker was fitted with lies now."
        ),
    ] = None,
    metric_file: options.MetricFiles = None,
    device: options.Device = "cpu",
    data_dir: options.DataDir = None,
    evaluations: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Keeps the scores; nothing keeps them by default."),
    ] = None,
    resume: options.Resume = False,
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
    from archscout.predictors import Ranker

    loaded = Ranker.load(ranker)
    if resume and evaluations is None:
        raise InputError("--resume goes on with a folder of scores; name it with --evaluations")
    space = spaces.get(loaded.information.scoring.space)
    called, genotypes = zip(*reader.read_named(space, architectures), strict=True)
    ending = nullcontext() if evaluations is None else _stoppable(evaluations, resume)
    with ending, own_option(), output.progress("scoring") as bar:
        ranked = loaded.score(
            genotypes,
            out=evaluations,
            text=text,
            data_dir=data_dir,
            metric_files=metric_file or (),
            device=device,
            workers=execution.place(),
            resume=resume,
            progress=bar.set,
        )
    built_at = loaded.information.scoring.built_at
    _report_ranks(ranked, reader.titles(space, genotypes, built_at, called), as_json)


def _stoppable(evaluations: Path, resume: bool) -> AbstractContextManager[None]:
    return output.stoppable("what was scored", evaluations, resume)


def _is_training(learned: str) -> bool:
    """Whether it names a benchmark, not the file of a ranker."""
    from archscout.benchmarks import BENCHMARKS
    from archscout.benchmarks.built import is_built

    return parts_of(learned)[0] in BENCHMARKS or is_built(Path(learned))


def _judge_training(
    source: Benchmark, asked: Scoring, target: Benchmark, folds: int, resamples: int
) -> tuple[Judgement, Evaluation]:
    from archscout.predictors import judge_by_folds
    from archscout.predictors.checks import check_one_space
    from archscout.predictors.judging import check_folds
    from archscout.predictors.scores import same_benchmark

    check_one_space([source, target])
    check_folds(target, options.scale_of(target.space, asked.size), folds)
    training = judged = asked.evaluate(source)
    if not same_benchmark(source, target):
        judged = asked.evaluate(target)
    with output.progress("fitting") as bar:
        found = judge_by_folds(
            training,
            judged,
            metrics=asked.metrics,
            folds=folds,
            seed=asked.seed,
            resamples=resamples,
            progress=bar.set,
        )
    return found, judged


def _judge_file(
    path: str, asked: Scoring, target: Benchmark, resamples: int
) -> tuple[Judgement, Evaluation]:
    from archscout.predictors import Ranker, judge
    from archscout.predictors.judging import check_unseen

    ranker = Ranker.load(path)
    check_unseen(ranker, target)
    judged = asked.evaluate_for(ranker, target)
    return judge(ranker, judged, resamples=resamples, seed=asked.seed), judged


def _report_fit(out: Path, information: Information, as_json: bool) -> None:
    found = information.cross_validation
    if as_json:
        whole = information.model_dump(mode="json", exclude={"features", "fingerprints"})
        counts = {"labels": information.labels, "architectures": information.architectures}
        output.print_json({"ranker": str(out), **counts, **whole})
        return
    rows = []
    for name, tau in found.candidates.items():
        mark = " (chosen)" if name == information.estimator else ""
        rows.append([f"{name}{mark}", "–" if tau is None else output.fixed(tau)])
    output.print_table([Column("estimator"), "τ-b in cross-validation"], rows)
    output.console.print(
        f"{information.labels} labels of {information.architectures} architectures; τ-b "
        f"{found.kendall:.3f}, 95 % interval {found.low:.3f} to {found.high:.3f}, of architectures "
        "not fitted on.",
        highlight=False,
    )
    output.warn_of_modified(sorted({name for o in information.origins for name in o.modified}))
    output.say(f"Ranker  {out}")


def _report_judgement(found: Judgement, judged: Evaluation, as_json: bool) -> None:
    table = found.comparison.table
    least, most = found.labels
    if as_json:
        document = {
            "benchmark": judged.benchmark.name,
            "dataset": judged.benchmark.dataset,
            "labels": [least, most],
            "shared": found.shared,
            "folds": found.folds,
            "estimators": found.estimators,
            "baselines": found.baselines,
            "difference": None if found.difference is None else vars(found.difference),
            "statistics": output.records(table.reset_index()),
        }
        output.print_json(document)
        return
    output.print_statistics("", table, "pairs")
    count = f"{least}" if least == most else f"{least} to {most}"
    place = "the training of their fold" if found.folds > 1 else "what is judged"
    seen = f"; {found.shared} architectures are shared, and left out of {place}"
    output.console.print(
        f"The ranker learned from {count} labels{seen if found.shared else ''}. The metrics, which "
        "saw no label, are the best on its training.",
        highlight=False,
    )
    if (gain := found.difference) is not None:
        output.console.print(
            f"Ranker less first metric: τ-b {gain.difference:+.3f}, 95 % interval {gain.low:.3f} "
            f"to {gain.high:.3f} ({gain.n} architectures).",
            highlight=False,
        )
    output.warn_of_modified(judged.benchmark.modified)


def _report_ranks(ranked: pd.DataFrame, titles: list[str], as_json: bool) -> None:
    if as_json:
        for record in ranked.to_dict(orient="records"):
            output.print_json(record)
        return
    rows = []
    named = ranked.assign(title=titles).sort_values("rank", kind="stable")
    for _, row in named.iterrows():
        seen = "yes" if row["seen"] else "no"
        rows.append([row["title"], str(row["rank"]), f"{row['prediction']:.3f}", seen])
    output.print_table([Column("fingerprint"), "rank", "prediction", "learned from"], rows)
