"""Progress where nobody watches: lines on the error stream."""

import re
import time

import pytest

from archscout.cli import output


@pytest.fixture
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "_LINE_SECONDS", 0.05)


@pytest.mark.usefixtures("often")
def test_progress_is_told_in_lines_where_there_is_no_terminal(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with output.progress("scoring") as bar:
        time.sleep(0.2)
        for done in range(1000, 1004):
            bar.set(done, 2500)
            bar.advance_to(done, "best 0.4")
            time.sleep(0.1)
    first, *_, last = capsys.readouterr().err.splitlines()
    assert first == "scoring: preparing for 0:00:00"
    # 1497 left, four hundredths of them done in what the lines took.
    found = re.fullmatch(r"scoring: 1,003 of 2,500 in 0:00:00, 0:(\d\d):\d\d left, best 0.4", last)
    assert found and 1 <= int(found[1]) <= 9
    time.sleep(0.2)
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("often")
def test_the_line_is_of_the_file_that_is_read_now(capsys: pytest.CaptureFixture[str]) -> None:
    with output.live() as bars:
        bars.add_task("one.csv", total=10)
        bars.add_task("two.csv", total=20, completed=5)
        time.sleep(0.2)
    assert set(capsys.readouterr().err.splitlines()) == {"two.csv: 5 of 20 in 0:00:00"}


@pytest.mark.usefixtures("often")
def test_what_is_done_of_an_unknown_number_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("scoring") as bar:
        bar.advance()
        time.sleep(0.2)
    assert set(capsys.readouterr().err.splitlines()) == {"scoring: 1 in 0:00:00"}


def test_short_work_tells_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with output.progress("scoring", 2) as bar:
        bar.advance()
    assert capsys.readouterr().err == ""


def test_names_that_look_like_markup_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_table(["file"], [["cells[old].json"]])
    output.print_abreast(["file"], [["lists[new].json"]])
    output.say("Training  runs[v2]/x")
    printed = capsys.readouterr().out
    names = ("cells[old].json", "lists[new].json", "runs[v2]/x")
    assert all(name in printed for name in names)
