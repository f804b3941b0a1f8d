"""`archscout benchmark`: benchmarks of one's own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.table import Table

from archscout.cli import options
from archscout.cli.execution import Execution, with_execution
from archscout.cli.output import console, print_json, progress, say, stoppable, warn
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.spaces.base import Space
    from archscout.training.jobs import Job, Standing

app = typer.Typer(
    help="Build benchmarks: train many architectures, and judge metrics on them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)

Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder of the benchmark.")]


N = Annotated[
    int | None,
    typer.Option(
        "-n",
        help="How many: the space's named ones, and others drawn at random; of the sizes that "
        "--between says, if any.",
    ),
]
Architectures = Annotated[
    list[str] | None,
    typer.Option(
        help="A file of JSON or JSON Lines, or - for standard input, in place of -n.",
    ),
]
Repeat = Annotated[
    str,
    typer.Option(
        metavar="NUMBER[xTIMES]",
        help="Train so many of them again, with other seeds, each two or so many times: this "
        "tells how far the ranking can be trusted.",
    ),
]
Threads = Annotated[int, typer.Option(help="Threads of each worker.")]
KeepWeights = Annotated[
    bool,
    typer.Option("--keep-weights", help="Keep the weights of every training."),
]
Name = Annotated[str | None, typer.Option(help="Name of the benchmark; the folder's by default.")]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on with what the folder holds."),
]
RetryFailed = Annotated[
    bool,
    typer.Option("--retry-failed", help="With --resume: train again what has failed."),
]


@app.command("build")
@with_execution
def build(
    space: options.SpaceName,
    folder: Folder,
    execution: Execution,
    n: N = None,
    between: options.Between = None,
    architectures: Architectures = None,
    repeat: Repeat = "0",
    preset: options.Preset = "quick",
    changes: options.Changes = None,
    threads: Threads = 1,
    keep_weights: KeepWeights = False,
    name: Name = None,
    text: options.Texts = None,
    vocabulary_size: options.VocabularySize = None,
    tokenizer: options.TokenizerSource = None,
    size: options.Sizes = None,
    seed: options.Seed = 0,
    device: options.Device = "cpu",
    resume: Resume = False,
    retry_failed: RetryFailed = False,
    as_json: options.Json = False,
) -> None:
    """Train many architectures under the same budget, and write the results as a benchmark.

    Writes the results in the layout of the published benchmark of the space (logs.zip as
    NAS-Bench-NLP, encoders.json as NAS-Bench-BERT), those of other spaces in trainings.jsonl;
    `archscout evaluate FOLDER` judges metrics on
    them. Trainings that fail are recorded as failures. The same command with --resume goes on.

    Examples:
        archscout benchmark build rnn my-cells -n 100 --text my.txt --workers 4

        archscout benchmark build gpt my-decoders -n 40 --between 300K,3M --workers 2

        archscout benchmark build flexibert my-encoders -n 60 --repeat 6 --set steps=500

        archscout benchmark build rnn my-cells -n 100 --text my.txt --workers 4 --resume
    """
    from archscout import spaces
    from archscout.benchmarks.build import build as run
    from archscout.benchmarks.build import plan_jobs
    from archscout.folders import check_new, check_there
    from archscout.scoring import check_device, check_seed
    from archscout.text import load_corpus
    from archscout.training import comparison_preset, find_trainer
    from archscout.training.jobs import JobFolder, Plan
    from archscout.training.jobs.job_folder import PLAN

    found = spaces.get(space)
    chosen = comparison_preset(preset, found.name)
    settings = chosen.settings.resized(**options.pairs("--set", changes))
    sizes = options.scale_of(found, size, chosen.scale, minibatch=False)
    check_device(device)
    if retry_failed and not resume:
        raise InputError("--retry-failed is of a benchmark that was begun; it needs --resume")
    if threads < 1:
        raise InputError(f"--threads {threads}; accepted is a whole number of at least 1")
    chosen_ones = _architectures(found, n, between, architectures, seed)
    before: Sequence[Job] = ()
    if resume:
        check_there(folder, PLAN, "benchmark")
        before = JobFolder(folder).jobs
    else:
        check_new(folder, "go on with it by --resume, or name another")
    jobs = plan_jobs(found, chosen_ones, check_seed(seed), *_repeats(repeat), before)
    plan = Plan.of(
        found,
        load_corpus(text or "python-docs"),
        find_trainer(found.name).for_benchmark(settings),
        sizes,
        vocabulary_size,
        tokenizer,
        device=device,
        threads=threads,
        keep_weights=keep_weights,
    )

    def on_progress(now: Standing) -> None:
        bar.advance_to(now.done, f"{now.failed} failed" if now.failed else "")

    told, workers = name or folder.resolve().name, execution.place()
    with stoppable("what was trained", folder, resume), progress("training", len(jobs)) as bar:
        done = run(folder, told, plan, jobs, workers, on_progress, warn, retry_failed)
    _report(folder, done, as_json)


@app.command("status")
def status(folder: Folder, as_json: options.Json = False) -> None:
    """Show how far the building of a benchmark is, and when it will be done.

    Examples:
        archscout benchmark status my-cells
    """
    from archscout.benchmarks.build import standing

    _report(folder, standing(folder), as_json)


def _repeats(text: str) -> tuple[int, int]:
    """How many are trained again, and how often."""
    number, _, times = text.partition("x")
    if not number.isdecimal() or not (times or "2").isdecimal():
        raise InputError(f"--repeat {text}; accepted is NUMBER or NUMBERxTIMES, such as 6x2")
    return int(number), int(times or 2)


def _architectures(
    space: Space[Any], n: int | None, between: str | None, sources: list[str] | None, seed: int
) -> list[Any]:
    """What -n or --architectures asks for."""
    from archscout.benchmarks.build.plan import choose
    from archscout.cli import architectures

    if (n is None) == (sources is None):
        raise InputError("give either -n or --architectures: which architectures are trained")
    if n is not None:
        return choose(space, n, seed, options.sizes_between(space, between))
    if between is not None:
        raise InputError("--between is about what -n draws; --architectures says which there are")
    return architectures.read(space, sources or ())


def _report(folder: Path, now: Standing, as_json: bool) -> None:
    from archscout.benchmarks.built import is_built, read_information
    from archscout.report.numbers import duration

    agreement = read_information(folder)["seed_agreement"] if is_built(folder) else None
    left = now.seconds_left()
    if as_json:
        document = {
            "folder": str(folder),
            "trainings": now.total,
            "finished": len(now.outcomes),
            "failed": now.failed,
            "running": [{"training": job.job, "done": job.done} for job in now.running],
            "seconds_each": now.seconds_each,
            "seconds_left": left,
            "seed_agreement": agreement,
        }
        print_json(document)
        return
    failed = f", {now.failed} of them failed" if now.failed else ""
    console.print(
        f"{len(now.outcomes)} of {now.total} trainings are done{failed}.", highlight=False
    )
    for problem, count in _problems(now).items():
        console.print(f"  {count} x {problem}", markup=False, highlight=False)
    if now.running:
        table = Table("training", "part done", "speed", title="At work")
        for job in now.running:
            table.add_row(job.job, f"{job.done:.0%}", job.note)
        console.print(table)
    if now.seconds_each is not None and len(now.outcomes) < now.total:
        rest = "nobody is at it"
        if left is not None:
            end = datetime.now() + timedelta(seconds=left)
            rest = f"about {duration(left)} left, until {end:%Y-%m-%d %H:%M}"
        console.print(f"{duration(now.seconds_each)} each, {rest}.", highlight=False)
    if agreement is not None:
        console.print(
            f"Rank agreement between seeds (τ-b, {agreement['architectures']} architectures): "
            f"{agreement['mean']:.3f}, at least {agreement['least']:.3f}.",
            highlight=False,
        )
    if is_built(folder):
        say(f"Benchmark  {folder}")


def _problems(now: Standing) -> dict[str, int]:
    """What went wrong, without the place, and how often."""
    found: dict[str, int] = {}
    for outcome in now.outcomes.values():
        if outcome.problem is not None:
            problem = outcome.problem.rpartition(": ")[2]
            found[problem] = found.get(problem, 0) + 1
    return found
