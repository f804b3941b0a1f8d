"""The program `archscout`: its commands, and how it ends."""

from __future__ import annotations

import errno
import os
import sys
from pathlib import Path
from typing import Any, cast

import typer
from pydantic import ValidationError

from archscout.cli import (
    audit,
    benchmark,
    data,
    discover,
    evaluate,
    export,
    finetune,
    leaderboard,
    metrics,
    moved,
    options,
    ranker,
    report,
    reproduce,
    sample,
    score,
    search,
    spaces,
    train,
)
from archscout.cli.output import Stopped, interrupts, tell
from archscout.errors import InputError

# What typer raises for a command line that it cannot read. The class is click's in some versions
# of typer and typer's own in others, and has a public name in neither.
_UsageError: type[Exception] = cast(type[Exception], typer.BadParameter.__mro__[1])
_MISTAKEN, _INTERRUPTED = 2, 130

app = typer.Typer(
    name="archscout",
    help="Rank language-model architectures before training them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    search.search,
    score.score,
    sample.sample,
    spaces.spaces,
    metrics.metrics,
    train.train,
    finetune.finetune,
    export.export,
    report.report,
    evaluate.evaluate,
    leaderboard.leaderboard,
    discover.discover,
    audit.audit,
    reproduce.reproduce,
):
    app.command()(_command)
app.add_typer(benchmark.app, name="benchmark")
app.add_typer(data.app, name="data")
app.add_typer(ranker.app, name="ranker")


def _print_version(asked: bool) -> None:
    if asked:
        from archscout import __version__

        typer.echo(f"archscout {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: bool = typer.Option(
        False,
        "--version",
        help="Print the version and leave.",
        is_eager=True,
        callback=_print_version,
    ),
    plugin: list[Path] | None = typer.Option(
        None,
        "--plugin",
        metavar="FILE",
        help="Run a file of Python before the command, one that registers spaces with "
        "archscout.spaces.register, or trainers with archscout.training.register; repeat the "
        "option for more.",
    ),
) -> None:
    options.load_plugins(plugin)


def main() -> None:
    """Run the program; a user's mistake is one message and exit code 2, never a traceback."""
    with interrupts.remembered():
        code = _run()
    sys.exit(code)


def _run() -> int:
    try:
        code = _call(sys.argv[1:])
        # The word of some versions of typer for Ctrl-C; others raise Abort.
        return _stop() if code == _INTERRUPTED else code
    except InputError as error:
        return _complain(str(error))
    except _UsageError as error:
        return _complain_of_usage(error)
    except Stopped as stopped:
        return _stop(str(stopped))
    except (KeyboardInterrupt, typer.Abort):
        return _stop()
    except BrokenPipeError:
        # Whoever read our output has left.
        _drop_output()
        return 0
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _complain(f"cannot write: {error.strerror}; room on the disk is needed")
        _drop_output()
        return _MISTAKEN
    except Exception:
        # An import that Ctrl-C broke may complain of something else.
        if not interrupts.asked:
            raise
        return _stop()


def _call(words: list[str]) -> int:
    """Run a command line, its short options written in full where the command has none such."""
    try:
        code: int = app(words, prog_name="archscout", standalone_mode=False)
    except _UsageError as error:
        full = moved.in_full(getattr(error, "option_name", ""), words, _taken(error))
        if full is None:
            raise
        return _call(full)
    return code


def _taken(error: Any) -> set[str]:
    """The options of the command that was used wrongly."""
    context = getattr(error, "ctx", None)
    parameters = context.command.params if context else []
    return {option for parameter in parameters for option in parameter.opts}


def _stop(message: str = "Stopped.") -> int:
    tell(message)
    return _INTERRUPTED


def _drop_output() -> None:
    """Throw away what is left to print: Python would complain once more at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> int:
    tell(f"Error: {message}", "red")
    return _MISTAKEN


def _complain_of_usage(error: Any) -> int:
    if type(error).__name__ == "NoArgsIsHelpError":
        error.show()
        return _MISTAKEN
    place = error.ctx.command_path if error.ctx else "archscout"
    message = error.format_message()
    if advice := moved.advice(getattr(error, "option_name", ""), place, _taken(error)):
        message = f"No such option: {error.option_name}; {advice}"
    if isinstance(error.__cause__, ValidationError):  # some versions of typer leave the value out
        message += f": {error.__cause__.errors()[0]['input']!r}"
    return _complain(f"{message}\nTry '{place} --help'.")


if __name__ == "__main__":
    main()
