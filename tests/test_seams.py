"""A space, with its training, is added by its own package: nothing else names a concrete one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import archscout

SOURCE = Path(archscout.__file__).parent

ROOMS = (
    *("archscout.spaces.recurrent", "archscout.spaces.flexibert", "archscout.spaces.gpt"),
    *("archscout.training.recurrent", "archscout.training.electra", "archscout.training.gpt"),
)
CLASSES = {
    *("RecurrentSpace", "RecurrentScale", "Recipe"),
    *("FlexibertSpace", "EncoderScale", "EncoderGenotype"),
    *("GptSpace", "DecoderScale", "DecoderGenotype"),
}
NAMES = {"rnn", "flexibert", "gpt"}

OWN = (
    # The spaces, what trains them, and what is only of encoders: fine-tuning on GLUE.
    *("spaces/recurrent/", "spaces/flexibert/", "spaces/gpt/"),
    *("training/recurrent/", "training/electra/", "training/glue/", "training/gpt/"),
    # What was published is of these spaces, and so are their drawings.
    *("benchmarks/nas_bench_nlp.py", "benchmarks/nas_bench_bert.py", "benchmarks/mini.py"),
    "benchmarks/lts_gpt2.py",
    *("paper/", "report/recurrent.py", "report/encoder.py", "report/decoder.py"),
    # What the package offers to `import`.
    *("spaces/__init__.py", "training/__init__.py"),
)

EXCEPTIONS = {
    "training/by_space.py": "registers our trainers, and types what `preset` and `train` return",
    "cli/reproduce.py": "the paper's tables are of these spaces",
}


def found_in(tree: ast.AST) -> Iterator[str]:
    """The places that name a concrete space, as line numbers and what is named there."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
            named = [name for name in names if name.startswith(ROOMS)]
            named += [alias.name for alias in node.names if alias.name in CLASSES]
        elif isinstance(node, ast.Import):
            named = [alias.name for alias in node.names if alias.name.startswith(ROOMS)]
        elif isinstance(node, ast.Attribute):
            named = [node.attr] if node.attr in CLASSES else []
        elif isinstance(node, ast.Constant):
            named = [node.value] if node.value in NAMES else []
        else:
            continue
        for name in named:
            yield f"line {getattr(node, 'lineno', 0)}: {name}"


def test_no_concrete_space_is_named_elsewhere() -> None:
    found: dict[str, list[str]] = {}
    for path in SOURCE.rglob("*.py"):
        name = path.relative_to(SOURCE).as_posix()
        if not name.startswith(OWN):
            found[name] = list(found_in(ast.parse(path.read_text(encoding="utf-8"))))
    assert len(found) > 100
    assert {name: named for name, named in found.items() if named and name not in EXCEPTIONS} == {}
    assert all(found[name] for name in EXCEPTIONS), "an exception is none any more"


@pytest.mark.parametrize(
    "text",
    [
        "from archscout.spaces import RecurrentSpace",
        "from archscout.spaces.flexibert.space import make",
        "from archscout.training import electra",
        "import archscout.training.recurrent.loop",
        "isinstance(space, spaces.FlexibertSpace)",
        "if space.name == 'rnn': pass",
    ],
)
def test_what_names_one_is_found(text: str) -> None:
    assert list(found_in(ast.parse(text)))
