"""The program, called as a user calls it."""

import io
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import pytest

from archscout.analysis import document
from archscout.cli import output
from archscout.cli.main import main

TINY = (
    *("--size", "embedding_size=8", "--size", "hidden_size=8"),
    *("--size", "batch_size=4", "--size", "sequence_length=6"),
)


@dataclass(frozen=True)
class Result:
    """How a call ended and what it printed."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


Program = Callable[..., Result]


@pytest.fixture
def archscout(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Program:
    """The program with some arguments."""

    def run(*arguments: object) -> Result:
        monkeypatch.setattr(sys, "argv", ["archscout", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        code = ended.value.code
        return Result(code if isinstance(code, int) else int(bool(code)), printed.out, printed.err)

    return run


@pytest.fixture
def type_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str | bytes], None]:
    """Give the program something on its standard input."""

    def give(content: str | bytes) -> None:
        raw = content.encode() if isinstance(content, str) else content
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))

    return give


@pytest.fixture(scope="session")
def called() -> Program:
    """The program as above, for what several tests read; it prints 80 columns wide."""

    def run(*arguments: object) -> Result:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as ended:
            patch.setattr(sys, "argv", ["archscout", *map(str, arguments)])
            patch.setattr(output.console, "width", 80)
            with redirect_stdout(out), redirect_stderr(err):
                main()
        code = ended.value.code
        code = code if isinstance(code, int) else int(bool(code))
        return Result(code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="module")
def plain_pictures() -> Iterator[None]:
    """Pages without rendered figures, which take most of a page's time.

    The figures and the pages of each room have tests of their own.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(document, "_rendered", lambda figure, form: form.encode())
        yield


@pytest.fixture(params=[80, 200])
def width(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Of the terminal."""
    monkeypatch.setattr(output.console, "width", request.param)
    return int(request.param)


@pytest.fixture(scope="session")
def words(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = random.Random(0)
    path = tmp_path_factory.mktemp("text") / "words.txt"
    lines = (" ".join(f"w{rng.randrange(40)}" for _ in range(10)) for _ in range(60))
    path.write_text("\n".join(lines))
    return path


@pytest.fixture(scope="session")
def tiny() -> tuple[str, ...]:
    return TINY
