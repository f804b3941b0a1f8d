"""The program `archscout`: its commands, and how it ends."""

from __future__ import annotations

import os
import sys

import click
import typer

from archscout.cli import export, metrics, report, sample, score, search
from archscout.cli.output import errors
from archscout.errors import InputError

app = typer.Typer(
    name="archscout",
    help="Rank language-model architectures before training them.",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("search")(search.search)
app.command("score")(score.score)
app.command("sample")(sample.sample)
app.command("metrics")(metrics.metrics)
app.command("export")(export.export)
app.command("report")(report.report)


@app.callback()
def _options(
    version: bool = typer.Option(
        False, "--version", help="Print the version and leave.", is_eager=True
    ),
) -> None:
    if version:
        from archscout import __version__

        typer.echo(f"archscout {__version__}")
        raise typer.Exit


def main() -> None:
    """Run the program; a user's mistake is one message and exit code 2, never a traceback."""
    try:
        code = app(standalone_mode=False)
    except InputError as error:
        errors.print(f"Error: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        code = 2
    except click.ClickException as error:
        error.show()
        code = 2
    except (KeyboardInterrupt, click.Abort):
        errors.print("Stopped.")
        code = 130
    except BrokenPipeError:
        # Whoever read our output has left; Python would complain once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)


if __name__ == "__main__":
    main()
