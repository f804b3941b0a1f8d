"""`archscout audit`, called as a user calls it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import made_up
from archscout.paper import audit as room

pytestmark = pytest.mark.usefixtures("plain_pictures")
Program = Callable[..., Any]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Enough for the points about recurrent networks."""
    return made_up.recurrent_data(tmp_path / "data")


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without what takes seconds."""
    slow = {room.gradient.TITLE, room.readings.TITLE}
    monkeypatch.setattr(room, "POINTS", [p for p in room.POINTS if p[0] not in slow])


def test_a_line_a_point_and_where_the_page_lies(
    archscout: Program, data: Path, tmp_path: Path, short: None
) -> None:
    result = archscout("audit", "--data-dir", data, "--out", tmp_path / "out", "--encoders", 3)
    assert result.code == 0
    for number, (title, _) in enumerate(room.POINTS, start=1):
        assert result.lines[number - 1].startswith(f"{number}. {title}: ")
    assert "RNN_results.csv" in result.err
    assert result.lines[-1] == f"Page  {tmp_path / 'out' / 'index.html'}"
    assert (tmp_path / "out" / "index.html").exists()


def test_json_for_machines(archscout: Program, data: Path, tmp_path: Path, short: None) -> None:
    result = archscout("audit", "--data-dir", data, "--out", tmp_path / "out", "--json")
    points = json.loads(result.out)["points"]
    assert [point["title"] for point in points] == [title for title, _ in room.POINTS]
    assert points[0]["standing"] == "not checked"


def test_no_data_is_one_message(archscout: Program, tmp_path: Path) -> None:
    result = archscout("audit", "--data-dir", tmp_path / "none", "--out", tmp_path / "out")
    assert result.code == 2
    assert "archscout data download" in result.err


def test_a_wrong_text_is_one_message(archscout: Program, data: Path, tmp_path: Path) -> None:
    result = archscout(
        "audit", "--data-dir", data, "--out", tmp_path / "out", "--text", tmp_path / "missing.txt"
    )
    assert result.code == 2
    assert "missing.txt" in result.err


def test_ctrl_c_says_how_to_go_on(
    archscout: Program, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(room, "POINTS", [*room.POINTS[5:7], ("stop", stop)])
    result = archscout("audit", "--data-dir", data, "--out", tmp_path / "out")
    assert result.code == 130
    assert "after 2 of 3 points" in result.err
    assert "archscout audit --data-dir" in result.err
