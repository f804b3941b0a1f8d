"""Help, the version, and what a command line that cannot be read gets."""

import json
import subprocess
import sys
from typing import Any

import pytest

from archscout import __version__
from archscout.metrics import available

COMMANDS = (
    *("search", "score", "sample", "metrics", "export", "report", "train"),
    *("evaluate", "leaderboard", "reproduce", "audit", "data download", "finetune"),
    *("benchmark build", "benchmark status", "discover"),
    *("ranker fit", "ranker judge", "ranker score"),
)

# Asks every command for help, then tells what that imported.
PROGRAM = """
import contextlib, io, json, sys
from archscout.cli.main import main
printed = {}
for command in sys.argv[1:]:
    sys.argv = ["archscout", *command.split(), "--help"]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        try:
            main()
        except SystemExit as error:
            printed[command] = [error.code, out.getvalue()]
heavy = {"torch", "transformers", "optuna", "pandas", "numpy"} & set(sys.modules)
print(json.dumps([printed, sorted(heavy)]))
"""


@pytest.fixture(scope="module")
def helped() -> Any:
    arguments = [sys.executable, "-c", PROGRAM, "", *COMMANDS]
    return json.loads(subprocess.run(arguments, capture_output=True, check=True).stdout)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_examples(command: str, helped: Any) -> None:
    code, text = helped[0][command]
    assert code == 0
    assert "Example" in text
    assert f"archscout {command} " in text.replace("\n", " ") or command == "metrics"


def test_the_programs_help_lists_the_commands(helped: Any) -> None:
    code, text = helped[0][""]
    assert code == 0
    assert all(command.split()[0] in text for command in COMMANDS)


def test_help_imports_nothing_heavy(helped: Any) -> None:
    assert helped[1] == []


def test_the_version_is_the_packages(archscout: Any) -> None:
    assert archscout("--version").out == f"archscout {__version__}\n"
    assert archscout("--version").code == 0


def test_without_a_command_there_is_help(archscout: Any) -> None:
    result = archscout()
    assert "search" in result.out + result.err and "Traceback" not in result.err


def test_metrics_are_listed(archscout: Any) -> None:
    entries = [json.loads(line) for line in archscout("metrics", "--json").lines]
    for kind, networks in (("transformer", "transformers"), ("other", "others")):
        names = {e["name"] for e in entries if e["networks"] in (networks, "all")}
        assert names >= available(kind).keys()
    assert {e["networks"] for e in entries if e["name"] == "synaptic_saliency"} == {
        "others",
        "transformers",
    }
    assert all(entry["summary"] for entry in entries)


def test_a_metric_is_a_line_at_any_width(archscout: Any, width: int) -> None:
    lines = archscout("metrics").lines
    names = {*available("transformer"), *available("other")}
    assert len(lines) == len(names) + 2 and all(len(line) <= width for line in lines)
    # Whole names, of those with layers so, and which way is better.
    found = dict(line.split(maxsplit=1) for line in lines[1:-1])
    assert {name.removesuffix("[layer]") for name in found} == names
    assert found["hidden_covariance[layer]"].startswith("larger  ")
    assert found["synaptic_saliency"].startswith("smaller / larger  ")
    assert found["jacobian_covariance"].startswith("larger / smaller  ")


def test_of_one_metric_all_is_shown(archscout: Any) -> None:
    shown = archscout("metrics", "activation_distance").out
    assert "of transformers\n" in shown and "of networks other than transformers\n" in shown
    assert shown.count("Mellor et al. 2021, equation 2") == 2 and "needs   activations" in shown
    assert "name alone stands for layer 1" in archscout("metrics", "hidden_covariance").out
    assert "name alone stands for the last one" in archscout("metrics", "linear_memory").out
    forms = archscout("metrics", "synaptic_saliency_published").out
    assert forms.count("As published: in training mode") == 1 and "networks other than" in forms
    (form,) = map(json.loads, archscout("metrics", "head_importance_released", "--json").lines)
    assert form["as_published"] and form["networks"] == "transformers"
    only = archscout("score", "rnn", "lstm", "--metrics", "head_importance_published")
    assert "is defined for transformers only" in only.err.replace("\n", " ")
    formula = archscout("metrics", "formula:sum(mean(projections))")
    assert formula.code == 2 and "unknown metric" in formula.err
    wrong = archscout("metrics", "linear_memry")
    assert wrong.code == 2 and "did you mean linear_memory?" in wrong.err


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["serch"], "No such command 'serch'"),
        (["search"], "Missing argument 'SPACE'"),
        (["score", "rnn"], "Missing argument 'ARCHITECTURE...'"),
        (["export", "lstm"], "Missing option '--out'"),
        (["report"], "Missing argument 'RUN'"),
        (["sample", "rnn", "--numbr", "3"], "No such option: --numbr"),
        (["sample", "rnn", "-n", "three"], "'three'"),
        (["sample", "rnn", "-n"], "requires an argument"),
        (["search", "rnn", "--trials", "1.5"], "'1.5'"),
        (["sample", "rnn", "again"], "again"),
    ],
)
def test_a_command_line_that_cannot_be_read_is_one_message(
    arguments: list[str], complaint: str, archscout: Any
) -> None:
    result = archscout(*arguments)
    assert result.code == 2 and result.out == ""
    first, second = result.err.splitlines()
    assert first.startswith("Error: ") and complaint in first
    assert second.startswith("Try 'archscout") and second.endswith("--help'.")
