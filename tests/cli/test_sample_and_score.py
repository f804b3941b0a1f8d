"""`archscout sample` and `archscout score`."""

import contextlib
import csv
import io
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import archscout as package
from archscout.metrics import available
from archscout.spaces import Recipe, RecurrentSpace

SPACE = RecurrentSpace()
NAMES = ("lstm", "gru", "rnn")
MARKS = [SPACE.fingerprint(SPACE.named[name]) for name in NAMES]
FAST = ("--metrics", "parameters")
Program = Any  # see conftest.py


@pytest.fixture
def score(archscout: Program, words: Path, tiny: tuple[str, ...]) -> Program:
    """Scores at tiny sizes, but for those that the arguments give."""

    def run(*arguments: object) -> Any:
        given = {str(each).partition("=")[0] for each in arguments}
        sizes = [size for size in tiny[1::2] if size.partition("=")[0] not in given]
        usual = [word for size in sizes for word in ("--size", size)]
        return archscout("score", "rnn", "--text", words, *usual, *arguments)

    return run


def strict(line: str) -> dict[str, Any]:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    found: dict[str, Any] = json.loads(line, parse_constant=refuse)
    return found


# sample


def test_samples_are_different_recipes_one_a_line(archscout: Program) -> None:
    result = archscout("sample", "rnn", "-n", 20, "--seed", 4)
    assert result.code == 0 and result.err == ""
    recipes = [SPACE.parse(line) for line in result.lines]
    assert len({SPACE.fingerprint(recipe) for recipe in recipes}) == 20
    assert recipes[0] == SPACE.sample(4)


def test_the_seed_decides_the_samples(archscout: Program) -> None:
    one, same, other = (archscout("sample", "rnn", "-n", 5, "--seed", s).out for s in (1, 1, 2))
    assert one == same != other
    assert archscout("sample", "rnn", "-n", 3, "--seed", 1).lines == one.splitlines()[:3]
    assert len(archscout("sample", "rnn").lines) == 1


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["rnn", "-n", 0], "-n is 0; a positive whole number is accepted"),
        (["rnn", "-n", -3], "-n is -3; a positive whole number is accepted"),
        (["rnn", "--seed", -1], "--seed is -1; "),
        (["rnnn"], "unknown space 'rnnn' (did you mean rnn?)"),
    ],
)
def test_a_mistake_in_sampling_is_named(
    arguments: list[Any], complaint: str, archscout: Program
) -> None:
    result = archscout("sample", *arguments)
    assert result.code == 2 and result.out == ""
    assert result.err.startswith("Error: ") and complaint in result.err


# score, what it prints


def test_json_is_one_strict_object_a_line_in_the_order_given(score: Program) -> None:
    result = score(*NAMES, "--json")
    assert result.code == 0 and result.err == ""
    documents = [strict(line) for line in result.lines]
    assert [document["fingerprint"] for document in documents] == MARKS
    for document in documents:
        assert list(document) == ["fingerprint", "scores", "seconds", "problem"]
        assert available().keys() <= document["scores"].keys()
        assert {f"hidden_covariance[{i}]" for i in (1, 2, 3)} <= document["scores"].keys()
        assert document["seconds"] > 0
        missing = [name for name, value in document["scores"].items() if value is None]
        assert bool(missing) == (document["problem"] is not None)


def test_the_programs_scores_are_those_of_the_interface(
    score: Program, words: Path, tiny: tuple[str, ...]
) -> None:
    scale = SPACE.scales["fast"].resized(
        embedding_size=8, hidden_size=8, batch_size=4, sequence_length=6
    )
    names = ["hidden_covariance", "jacobian_cosine"]
    (line,) = score("gru", "--json", "--metrics", ",".join(names), "--seed", 5).lines
    expected = package.score("rnn", "gru", text=words, metrics=names, scale=scale, seed=5)
    assert isinstance(expected, package.Score)
    assert strict(line)["scores"] == expected.scores


def test_scores_that_are_not_finite_are_null_with_the_reason(
    score: Program, tmp_path: Path
) -> None:
    linear = {"h_new_0": {"op": "linear", "input": ["x", "h_prev_0"]}}
    (tmp_path / "linear.json").write_text(json.dumps(linear))
    arguments = (tmp_path / "linear.json", "--metrics", "activation_distance")
    document = strict(score(*arguments, "--json").out)
    assert document["scores"]["activation_distance"] is None
    assert "activation_distance is -inf" in document["problem"]
    result = score(*arguments)
    assert result.code == 0 and "activation_distance is -inf" in result.err


def test_csv_has_a_header_and_a_row_for_each(score: Program) -> None:
    result = score(*NAMES, "--csv", "--metrics", "hidden_covariance,parameters")
    rows = list(csv.DictReader(io.StringIO(result.out)))
    assert [row["fingerprint"] for row in rows] == MARKS
    assert list(rows[0]) == [
        "fingerprint",
        "hidden_covariance",
        "hidden_covariance[1]",
        "hidden_covariance[2]",
        "hidden_covariance[3]",
        "parameters",
        "seconds",
        "problem",
    ]
    documents = [strict(line) for line in score(*NAMES, "--json", *FAST).lines]
    for row, document in zip(rows, documents, strict=True):
        assert float(row["parameters"]) == document["scores"]["parameters"]


@pytest.mark.usefixtures("width")
@pytest.mark.parametrize("metrics", ["parameters", "hidden_covariance,parameters", None])
def test_the_table_has_every_architecture_and_value(metrics: str | None, score: Program) -> None:
    chosen = () if metrics is None else ("--metrics", metrics)
    result = score(*NAMES, *chosen)
    assert result.code == 0
    assert all(mark in result.out for mark in MARKS)
    documents = [strict(line) for line in score(*NAMES, "--json", *FAST).lines]
    for document in documents:
        assert f"{int(document['scores']['parameters']):,}" in result.out
    assert all(len(line) <= 200 for line in result.lines)
    assert "…" not in result.out


def test_one_layer_may_be_asked_for(score: Program) -> None:
    document = strict(score("lstm", "--json", "--metrics", "hidden_covariance[1]").out)
    assert list(document["scores"]) == ["hidden_covariance[1]"]


def test_sizes_seed_and_text_reach_the_scorer(score: Program, archscout: Program) -> None:
    def value(*arguments: Any) -> Any:
        names = ("--metrics", "hidden_covariance[1],parameters")
        return strict(score("lstm", "--json", *names, *arguments).out)["scores"]

    usual = value()
    assert value() == usual
    for changes in (
        ("--seed", 1),
        ("--scoring", "minibatch=1"),
        ("--size", "hidden_size=9"),
        ("--size", "embedding_size=9"),
        ("--size", "batch_size=5"),
        ("--size", "sequence_length=7"),
        ("--scoring", "vocabulary_size=20"),
        ("--size", "initialisation=published"),
    ):
        assert value(*changes) != usual
    fewer = value("--size", "num_layers=1")
    assert fewer["parameters"] < usual["parameters"]


# score, what it reads


def test_architectures_come_from_files_of_every_kind(score: Program, tmp_path: Path) -> None:
    recipes = [SPACE.to_dict(SPACE.named[name]) for name in NAMES]
    files = {
        "lines.jsonl": "\n".join(map(json.dumps, recipes)) + "\n\n",
        "list.json": json.dumps(recipes),
        "pretty.json": json.dumps(recipes[0], indent=4),
        "wrapped.json": json.dumps({"fingerprint": "x", "architecture": recipes[1]}),
        "best.json": json.dumps({"front": [{"architecture": r, "scores": {}} for r in recipes]}),
        "marked.json": "\ufeff" + json.dumps(recipes[2]),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    result = score(*(tmp_path / name for name in files), "gru", "--json", *FAST)
    found = [strict(line)["fingerprint"] for line in result.lines]
    assert found == [*MARKS, *MARKS, MARKS[0], MARKS[1], *MARKS, MARKS[2], MARKS[1]]


def test_a_node_may_be_called_architecture(score: Program, tmp_path: Path) -> None:
    recipe = {
        "architecture": {"op": "linear", "input": ["x", "h_prev_0"]},
        "h_new_0": {"op": "activation_tanh", "input": ["architecture"]},
    }
    (tmp_path / "cell.json").write_text(json.dumps(recipe))
    assert strict(score(tmp_path / "cell.json", "--json", *FAST).out)["fingerprint"] == MARKS[2]


def test_standard_input_is_read(score: Program, type_in: Callable[[str | bytes], None]) -> None:
    recipe = json.dumps(SPACE.to_dict(SPACE.named["gru"]))
    type_in(f"\ufeff{recipe}")
    assert strict(score("-", "--json", *FAST).out)["fingerprint"] == MARKS[1]


@pytest.mark.parametrize("command", ["score", "export"])
def test_standard_input_that_is_no_text_is_refused(
    command: str, archscout: Program, type_in: Callable[[str | bytes], None], tmp_path: Path
) -> None:
    type_in(b'{"a": "\xff"}')
    words = (
        ("score", "rnn", "-") if command == "score" else ("export", "-", "--out", tmp_path / "m")
    )
    refused = archscout(*words)
    assert refused.code == 2
    assert "standard input is not text: byte 7 is not UTF-8" in refused.err


def test_lines_are_scored_before_the_last_one_is_read(
    score: Program, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    line = json.dumps(SPACE.to_dict(SPACE.named["gru"])) + "\n"
    printed: list[int] = []

    def lines() -> Iterator[bytes]:
        for _ in range(5):
            printed.append(len(capsys.readouterr().out.splitlines()))
            yield line.encode()

    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=lines()))
    result = score("-", "--json", *FAST)
    # A second line tells that these are lines; then each waits for the one before.
    assert printed == [0, 0, 2, 1, 1] and len(result.lines) == 1


@pytest.mark.parametrize("form", ["--json", "--csv"])
def test_what_stands_before_a_bad_line_is_scored(form: str, score: Program, tmp_path: Path) -> None:
    cells = tmp_path / "cells.jsonl"
    cells.write_text("\n".join([json.dumps(SPACE.to_dict(SPACE.named["gru"]))] * 3 + ["{}x"]))
    result = score(cells, form, *FAST)
    assert result.code == 2 and "cells.jsonl, line 4: not valid JSON" in result.err
    assert len(result.lines) == (3 if form == "--json" else 0)


def test_bytes_that_are_no_text_are_counted_over_all_lines(score: Program, tmp_path: Path) -> None:
    cells = tmp_path / "cells.jsonl"
    line = json.dumps(SPACE.to_dict(SPACE.named["gru"])).encode() + b"\n"
    cells.write_bytes(line * 2 + b"{\xff")
    result = score(cells, "--json", *FAST)
    assert f"cells.jsonl is not text: byte {2 * len(line) + 1} is not UTF-8" in result.err


PYTHON = f"{sys.executable} -m archscout.cli.main"


@pytest.mark.skipif(sys.platform == "win32", reason="no such shell")
def test_samples_can_be_piped_into_score(words: Path, tiny: tuple[str, ...]) -> None:
    command = (
        f"{PYTHON} sample rnn -n 4 | "
        f"{PYTHON} score rnn - --text {words} {' '.join(tiny)} --metrics parameters --json"
    )
    found = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert found.stderr == ""
    marks = [strict(line)["fingerprint"] for line in found.stdout.splitlines()]
    samples = SPACE.samples(0)
    assert marks == [SPACE.fingerprint(next(samples)) for _ in range(4)]


@pytest.mark.skipif(sys.platform == "win32", reason="no such shell")
def test_a_reader_that_leaves_early_is_no_error() -> None:
    # More than a pipe holds.
    command = f"{PYTHON} sample rnn -n 300 | head -n 1"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert found.stderr == ""
    assert SPACE.parse(found.stdout) == SPACE.sample(0)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
@pytest.mark.parametrize("command", ["sample", "score"])
def test_control_c_is_one_word(command: str, words: Path, tiny: tuple[str, ...]) -> None:
    arguments = {
        "sample": ["-n", "1000000"],
        "score": [*NAMES * 1000, "--text", str(words), *tiny, *FAST, "--json"],
    }[command]
    with subprocess.Popen(
        [*PYTHON.split(), command, "rnn", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "Stopped.\n"


def test_an_import_that_control_c_broke_is_no_traceback(
    archscout: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def samples(*_: Any) -> None:
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("cannot load module more than once") from None

    monkeypatch.setattr(RecurrentSpace, "samples", samples)
    result = archscout("sample", "rnn")
    assert (result.code, result.out, result.err) == (130, "", "Stopped.\n")


def test_a_control_c_that_got_lost_stops_sampling(
    archscout: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    def samples(*_: Any) -> Iterator[Recipe]:
        for i in range(5):
            if i == 2:
                with contextlib.suppress(KeyboardInterrupt):
                    signal.raise_signal(signal.SIGINT)
            yield SPACE.named["gru"]

    monkeypatch.setattr(RecurrentSpace, "samples", samples)
    result = archscout("sample", "rnn", "-n", 5)
    assert (result.code, len(result.lines), result.err) == (130, 3, "Stopped.\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full")
def test_output_to_a_full_disk_is_one_message() -> None:
    command = f"{PYTHON} sample rnn -n 3 > /dev/full"
    found = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=120)
    assert found.returncode == 2
    assert found.stderr.startswith("Error: cannot write: No space left on device")
    assert found.stderr.count("\n") == 1


# score, mistakes


def complaint_of(result: Any) -> str:
    """The one message of a mistake."""
    assert result.code == 2, result
    assert result.out == ""
    assert result.err.startswith("Error: ")
    assert len(result.err.splitlines()) <= 2
    return str(result.err)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "cells.jsonl is empty; "),
        (b" \n\n", "cells.jsonl is empty; "),
        (b"[]", "no architecture in "),
        (b"not json", "cells.jsonl is not valid JSON: "),
        (b"{", "cells.jsonl is not valid JSON: "),
        (b"\xff\xfe\x00\x01", "cells.jsonl is not text: byte 0 is not UTF-8"),
        (b"3", "cells.jsonl"),
        (b"null", "cells.jsonl"),
        (b"{}", "cells.jsonl: "),
        (b'{"h_new_0": {"op": "activation_tan", "input": ["x"]}}', "did you mean activation_tanh"),
        (b"[" * 100_000, "cells.jsonl is not valid JSON: "),
    ],
)
def test_a_file_that_is_no_architecture_is_named(
    content: bytes, complaint: str, score: Program, tmp_path: Path
) -> None:
    (tmp_path / "cells.jsonl").write_bytes(content)
    message = complaint_of(score(tmp_path / "cells.jsonl", *FAST))
    assert complaint in message and "cells.jsonl" in message


@pytest.mark.parametrize("bad", ["{", '{"h_new_0": 3}', '{"h_new_0": {"op": "x", "input": []}}'])
def test_the_line_that_is_malformed_is_named(bad: str, score: Program, tmp_path: Path) -> None:
    good = json.dumps(SPACE.to_dict(SPACE.named["gru"]))
    (tmp_path / "cells.jsonl").write_text(f"{good}\n\n{bad}\n{good}\n")
    assert "cells.jsonl, line 3: " in complaint_of(score(tmp_path / "cells.jsonl", *FAST))


def test_the_item_that_is_malformed_is_named(score: Program, tmp_path: Path) -> None:
    good = SPACE.to_dict(SPACE.named["gru"])
    (tmp_path / "cells.json").write_text(json.dumps([good, {}]))
    assert "cells.json, item 2: " in complaint_of(score(tmp_path / "cells.json", *FAST))


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["lsmt"], "no architecture 'lsmt'"),
        (["/no/such/file.json"], "no architecture '/no/such/file.json'"),
        (["."], "cannot read ."),
        (
            ["lstm", "--metrics", "parametres"],
            "unknown metric 'parametres'; did you mean parameters",
        ),
        (["lstm", "--metrics", ""], "unknown metric ''"),
        (["lstm", "--metrics", "hidden_covariance[9]"], "the network has 3 layer(s)"),
        (["lstm", "--metrics", "hidden_covariance[0]"], "hidden_covariance[0]"),
        (["lstm", "--json", "--csv"], "--json and --csv exclude each other"),
        (["lstm", "--json", "--explain"], "--explain goes with the table"),
        (["lstm", "--csv", "--explain"], "--explain goes with the table"),
        (["lstm", "--size", "batch_size=0"], "batch_size is 0; a positive whole number"),
        (["lstm", "--size", "hidden_size=-8"], "hidden_size is -8; a positive whole number"),
        (["lstm", "--size", "embedding_size=0"], "embedding_size is 0; a positive whole number"),
        (["lstm", "--size", "num_layers=0"], "num_layers is 0; a positive whole number"),
        (
            ["lstm", "--size", "sequence_length=-1"],
            "sequence_length is -1; a positive whole number",
        ),
        (["lstm", "--scoring", "vocabulary_size=0"], "vocabulary limit 0"),
        (["lstm", "--scoring", "minibatch=-1"], "minibatch index -1"),
        (["lstm", "--scoring", "minibatch=9999"], "minibatch 9999"),
        (["lstm", "--size", "huge"], "unknown scale 'huge'; space rnn has paper, fast"),
        (
            ["lstm", "--size", "initialisation=zero"],
            "initialisation is 'zero'; accepted: published",
        ),
        (["lstm", "--seed", "-1"], "seed is -1; from 0"),
        (["lstm", "--device", "abacus"], "device 'abacus' cannot be used"),
        (["lstm", "--scoring", "split=valid"], "no split 'valid'"),
    ],
)
def test_a_mistake_in_the_arguments_is_named(
    arguments: list[str], complaint: str, score: Program
) -> None:
    assert complaint in complaint_of(score(*arguments))


def test_an_unknown_space_is_named(archscout: Program) -> None:
    assert "unknown space 'rnnn' (did you mean rnn?)" in complaint_of(
        archscout("score", "rnnn", "x")
    )


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is empty"),
        (b" \n\n ", "is empty"),
        (b"one one one\none\n", "one token"),
        (b"too short", "needs "),
        (b"\x00\x01\x02binary", "is not text: the byte 0x00 at offset 0"),
        (b"caf\xe9 au lait", "is not text: the byte 0xe9 at offset 3"),
    ],
)
@pytest.mark.parametrize(
    "command", [("score", "rnn", "lstm"), ("search", "rnn"), ("export", "lstm")]
)
def test_a_text_that_cannot_be_used_is_named(
    command: tuple[str, ...], content: bytes, complaint: str, archscout: Program, tmp_path: Path
) -> None:
    if command[0] == "export" and content == b"too short":
        return  # two words are a vocabulary
    (tmp_path / "text.txt").write_bytes(content)
    out = () if command[0] == "score" else ("--out", tmp_path / "out")
    message = complaint_of(archscout(*command, "--text", tmp_path / "text.txt", *out))
    assert complaint in message
    assert [path.name for path in tmp_path.iterdir()] == ["text.txt"]


def test_a_text_that_is_not_there_is_named(archscout: Program) -> None:
    message = complaint_of(archscout("score", "rnn", "lstm", "--text", "python-dosc"))
    assert "no text 'python-dosc'" in message and "python-docs" in message


# the space of a file


def test_a_sample_says_its_space_and_another_space_refuses_it(
    archscout: Program, score: Program, tmp_path: Path, type_in: Callable[[str | bytes], None]
) -> None:
    line = archscout("sample", "rnn", "--seed", 2).out
    assert json.loads(line)["space"] == "rnn"
    assert SPACE.parse(line) == SPACE.sample(2)
    place = tmp_path / "cell.jsonl"
    place.write_text(line)
    assert score(place, *FAST).code == 0
    refused = archscout("score", "flexibert", place, *FAST)
    assert refused.code == 2
    message = "an architecture of space rnn; one of flexibert is accepted here"
    assert message in refused.err
    refused = archscout("export", place, "--space", "flexibert", "--out", tmp_path / "model")
    assert refused.code == 2 and message in refused.err
    encoder = archscout("sample", "flexibert").out
    type_in(encoder)
    refused = archscout("train", "-", "--prompt", "w1", "--out", tmp_path / "t")
    assert "- is taken as one of flexibert" in refused.err
    bare = json.dumps(json.loads(line)["architecture"])
    assert SPACE.parse(bare) == SPACE.sample(2)


def test_a_table_keeps_the_names_given_and_marks_what_is_equal(
    score: Program, tmp_path: Path
) -> None:
    lstm = json.dumps(SPACE.to_dict(SPACE.named["lstm"]))
    (tmp_path / "mine.json").write_text(lstm)
    (tmp_path / "two.jsonl").write_text(f"{json.dumps(SPACE.to_dict(SPACE.named['gru']))}\n{lstm}")
    out = score("gru", tmp_path / "mine.json", tmp_path / "two.jsonl", *FAST).out
    gru, lstm = (SPACE.fingerprint(SPACE.named[name]) for name in ("gru", "lstm"))
    titles = [" ".join(line.split("│")[1].split()) for line in out.splitlines() if "│" in line]
    assert titles == [
        f"{gru} gru",
        f"{lstm} mine.json (lstm)",
        f"{gru} two.jsonl:1 (gru)",
        "equal to gru",
        f"{lstm} two.jsonl:2 (lstm)",
        "equal to mine.json",
    ]


def test_a_table_has_the_name_beside_the_fingerprint(score: Program) -> None:
    result = score("lstm", *FAST)
    assert f"{SPACE.fingerprint(SPACE.named['lstm'])} lstm" in result.out


def test_a_key_that_stands_twice_in_a_line_is_named_with_its_place(
    score: Program, tmp_path: Path
) -> None:
    cells = tmp_path / "cells.jsonl"
    node = '{"op": "linear", "input": ["x", "h_prev_0"]}'
    cells.write_text(f'{{"h_new_0": {node}, "h_new_0": {node}}}\n{{"h_new_0": {node}}}\n')
    result = score(cells, *FAST)
    assert result.code == 2
    assert "cells.jsonl, line 1: 'h_new_0' stands twice" in result.err.replace("\n", " ")
