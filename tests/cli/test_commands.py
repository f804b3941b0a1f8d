"""What holds for every command: how many options there are, and how their help reads."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from archscout.cli.main import app

MOST = 21
# Where work runs is the same question for every command that has workers, in a part of its own.
WHERE = {"executor", "workers", "ray", "worker_cpus", "worker_gpus"}


def commands(command: Any, path: str = "archscout") -> Iterator[tuple[str, Any]]:
    yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}")


COMMANDS = dict(commands(typer.main.get_command(app)))


def parameters(command: Any) -> list[Any]:
    return [parameter for parameter in command.params if parameter.name != "help"]


@pytest.mark.parametrize("path", COMMANDS)
def test_no_command_has_too_many_parameters(path: str) -> None:
    found = parameters(COMMANDS[path])
    where = [each for each in found if getattr(each, "rich_help_panel", None) == "Where it runs"]
    # Of a search, where latency is measured, too.
    assert {each.name for each in where} - {"latency_on"} in (set(), WHERE)
    assert len(found) - len(where) <= MOST


@pytest.mark.parametrize("path", COMMANDS)
def test_help_is_in_sentences(path: str) -> None:
    command = COMMANDS[path]
    texts = {"the command": command.help.strip().partition("\n\n")[0]}
    texts |= {parameter.name: parameter.help or "" for parameter in parameters(command)}
    for name, text in texts.items():
        assert text.strip()[:1].isupper(), f"{name}: {text}"
        assert not text.startswith("Of "), f"{name}: {text}"
        assert text.strip().endswith("."), f"{name}: {text}"


def test_help_lists_what_the_command_accepts() -> None:
    helps = {path: {p.name: p.help for p in parameters(COMMANDS[path])} for path in COMMANDS}
    numbered = {path for path in helps if "minibatch (" in helps[path].get("scoring", "")}
    assert numbered == {"archscout score", "archscout search"}
    for name in ("evaluate", "leaderboard", "discover"):
        assert "by default the text that the bench" in helps[f"archscout {name}"]["text"]
    for name in ("train", "benchmark build"):
        assert "`archscout spaces SPACE` lists them" in helps[f"archscout {name}"]["preset"]


@pytest.mark.parametrize(
    ("command", "advice"),
    [
        (("score", "rnn", "lstm", "--hidden-size", "8"), "use --size hidden_size=VALUE"),
        (("search", "rnn", "--train-set", "epochs=2"), "use --set NAME=VALUE"),
        (("train", "lstm", "--batch-size", "8"), "use --set batch_size=VALUE"),
        (("train", "lstm", "--hidden-size", "8"), "use --size hidden_size=VALUE"),
        (("train", "e.json", "--objective", "masked"), "use --set task=VALUE"),
        (("train", "e.json", "--dataset-buffer", "9"), "use --dataset-set buffer=VALUE"),
        (("finetune", "e", "--limit", "9"), "use --set limit=VALUE"),
    ],
)
def test_an_option_of_earlier_versions_says_what_to_write(
    archscout: Any, command: tuple[str, ...], advice: str
) -> None:
    result = archscout(*command)
    assert result.code == 2
    assert result.err.splitlines()[0].startswith("Error: No such option: --")
    assert advice in result.err.splitlines()[0]


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (("search", "rnn", "--max-parameters", "1"), "max_parameters is 1, the smallest"),
        (("search", "rnn", "--max-flops=nonsense"), "max_flops is 'nonsense'"),
        (("search", "rnn", "--model-scale", "huge"), "unknown scale 'huge'"),
        (("search", "rnn", "--metric", "huge"), "unknown metric 'huge'"),
        (("score", "rnn", "lstm", "--scale", "huge"), "unknown scale 'huge'"),
        (("score", "rnn", "lstm", "--split", "valid"), "has no split 'valid'"),
        (("score", "rnn", "lstm", "--split"), "--split"),
    ],
)
def test_what_is_written_often_may_be_short(
    archscout: Any, command: tuple[str, ...], complaint: str
) -> None:
    result = archscout(*command)
    assert result.code == 2 and complaint in result.err


@pytest.mark.parametrize(
    "command",
    [
        ("sample", "rnn", "--device", "cuda"),
        ("sample", "rnn", "--scale", "paper"),
        ("sample", "rnn", "--hidden-size", "8"),
        ("train", "lstm", "--max-parameters", "3M"),
        ("finetune", "e", "--hidden-size=8"),
        ("score", "rnn", "lstm", "--dataset-buffer", "9"),
        ("search", "rnn", "--population", "9"),
    ],
)
def test_an_option_that_no_other_stands_for_is_named_as_written(
    archscout: Any, command: tuple[str, ...]
) -> None:
    result = archscout(*command)
    (written,) = (word.partition("=")[0] for word in command if word.startswith("--"))
    assert result.code == 2
    assert result.err.splitlines()[0].startswith(f"Error: No such option: {written}")
    assert "use --" not in result.err


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (
            ("score", "rnn", "lstm", "--size", "hiden_size=8"),
            "(did you mean hidden_size?)",
        ),
        (("score", "rnn", "lstm", "--size", "papr"), "unknown scale 'papr' (did you mean paper?)"),
        (("score", "rnn", "lstm", "--size", "paper", "--size", "fast"), "accepted is one scale"),
        (("score", "rnn", "lstm", "--size", "hidden_size="), "accepted is NAME=VALUE"),
        (
            ("score", "rnn", "lstm", "--size", "hidden_size=8", "--size", "hidden_size=9"),
            "--size hidden_size is given twice: 8 and 9",
        ),
        (("score", "rnn", "lstm", "--scoring", "splt=x"), "(did you mean split?)"),
        (("score", "rnn", "lstm", "--scoring", "minibatch=x"), "minibatch=x: a whole number"),
        (("search", "rnn", "--max", "latncy=5ms"), "(did you mean latency?)"),
        (("search", "rnn", "--sampler", "tpe:9"), "accepted is nsga2 with a whole number"),
        (("search", "rnn", "--sampler", "nsga2:²"), "accepted is nsga2 with a whole number"),
        (("train", "lstm", "--set", "epoch=8"), "(did you mean epochs?)"),
        (("train", "lstm", "--set", "schedule=linear"), "'constant' or 'cosine'"),
        (("train", "lstm", "--size", "batch_size=8"), "--set batch_size=VALUE"),
        (("benchmark", "build", "rnn", "x", "-n", "3", "--repeat", "two"), "NUMBERxTIMES"),
        (("benchmark", "build", "rnn", "x", "-n", "3", "--repeat", "²"), "NUMBERxTIMES"),
        (("benchmark", "build", "rnn", "x", "-n", "3", "--repeat", "2x²"), "NUMBERxTIMES"),
        (("spaces", "rnn", "--finetuning"), "SPACE (rnn) and --finetuning exclude each other"),
    ],
)
def test_a_wrong_name_or_value_is_named(
    archscout: Any, command: tuple[str, ...], complaint: str
) -> None:
    result = archscout(*command)
    assert result.code == 2
    assert complaint in result.err
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    "command",
    [
        ("search", "rnn", "--trials", "3", "--out", "gone"),
        ("train", "lstm", "--out", "gone"),
        ("evaluate", "archscout-mini-rnn", "--metrics", "l2_norm", "--out", "gone"),
        ("discover", "archscout-mini-rnn", "--out", "gone"),
        ("leaderboard", "--limit", "9", "--metrics", "l2_norm", "--out", "gone"),
        ("benchmark", "build", "rnn", "gone", "-n", "2"),
        ("ranker", "fit", "archscout-mini-rnn", "--out", "r", "--evaluations", "gone"),
        ("ranker", "judge", *2 * ("archscout-mini-rnn",), "--evaluations", "gone"),
    ],
)
def test_what_is_not_there_cannot_be_gone_on_with(
    archscout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = archscout(*command, "--resume")
    assert result.code == 2
    assert "there is no gone to go on with; without --resume" in result.err
    assert list(tmp_path.iterdir()) == []


def test_spaces_lists_sizes_and_recipes(archscout: Any) -> None:
    assert {"rnn", "flexibert"} <= {
        name for line in archscout("spaces").lines for name in line.split()
    }
    for words in (("hidden_size", "published, canonical"), ("learning_rate", "weight_drop")):
        shown = archscout("spaces", "rnn").out
        assert all(word in shown for word in words)
    assert "replaced, masked" in archscout("spaces", "flexibert").out
    assert "layer_decay" in archscout("spaces", "--finetuning").out
    assert "did you mean rnn?" in archscout("spaces", "rn").err


def test_spaces_lists_the_costs_that_a_space_has(archscout: Any) -> None:
    listed = "--max of a search: parameters, non_embedding_parameters, flops, latency, memory"
    assert " ".join(archscout("spaces", "rnn").out.split()).count(f"{listed} ") == 1
    costs = json.loads(archscout("spaces", "gpt", "--json").out)["costs"]
    assert costs[-3:] == ["prefill_latency", "token_latency", "cache_memory"]


def test_a_cost_that_a_space_lacks_is_refused_before_its_search(
    archscout: Any, tmp_path: Path
) -> None:
    for given in (("-m", "token_latency"), ("--max-cache-memory", "50MB")):
        result = archscout("search", "flexibert", *given, "--out", tmp_path / "run")
        assert result.code == 2
        assert "those of space flexibert have none; accepted: parameters, non" in result.err
    assert not (tmp_path / "run").exists()
