"""The page as a whole."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest

from archscout.errors import InputError
from archscout.report import page, write_report
from archscout.report.page import build_page
from archscout.runs import Run
from archscout.spaces import RecurrentSpace

SECTIONS = ["ranking", "parameters", "history", "best", "time", "settings"]
HEADINGS = [
    "Ranking",
    "Score and parameters",
    "History of the search",
    "Best architecture",
    "Scoring time",
    "Settings",
]
RUNS = ["ordinary", "limited", "several", "single", "hopeless", "equal", "encoders"]
LOADS = {"src", "srcset", "href", "xlink:href", "data", "poster", "action", "background"}
EVIL = "<img src=x onerror=alert(1)></script><script>alert(2)</script>"

SPACE = RecurrentSpace()


class Page(HTMLParser):
    """A page taken apart.

    Attributes:
        tags: every element with its attributes.
        raw: the contents of scripts and styles.
        headings: texts of headings.
        sections: identifier of a section to its text.
        rows: identifier of a section to the cells of its tables' rows.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: list[tuple[str, str]] = []
        self.headings: list[str] = []
        self.sections: dict[str, str] = {"": ""}
        self.rows: dict[str, list[list[str]]] = {}
        self._section = ""
        self._inside: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "section":
            self._section = str(dict(attrs)["id"])
            self.sections[self._section] = ""
            self.rows[self._section] = []
        if tag == "tr" and self._section:
            self.rows[self._section].append([])
        if tag in ("th", "td") and self._section:
            self.rows[self._section][-1].append("")
        if tag in ("h1", "h2"):
            self.headings.append("")
        if tag in ("script", "style", "h1", "h2", "th", "td"):
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if self._inside and self._inside[-1] == tag:
            self._inside.pop()
        if tag == "main":
            self._section = ""

    def handle_data(self, data: str) -> None:
        inside = self._inside[-1] if self._inside else ""
        if inside in ("script", "style"):
            self.raw.append((inside, data))
            return
        self.sections[self._section] += data
        if inside in ("h1", "h2"):
            self.headings[-1] += data
        if inside in ("th", "td") and self._section:
            self.rows[self._section][-1][-1] += data

    def attributes(self, name: str) -> list[str]:
        """The values of an attribute, wherever it stands."""
        return [str(attributes[name]) for _, attributes in self.tags if name in attributes]


@pytest.fixture(scope="module", params=RUNS)
def text(request: pytest.FixtureRequest) -> str:
    """The page of every kind of run."""
    return build_page(request.getfixturevalue(request.param))


@pytest.fixture(scope="module")
def found(text: str) -> Page:
    """The same page taken apart."""
    return Page(text)


def without_plotly(text: str) -> str:
    """The page's text but for plotly itself, which names many addresses that it never loads."""
    return re.sub(r"<script>/\*\*\n\* plotly\.js.*?</script>", "", text, flags=re.DOTALL)


# What is on it


def test_every_section_is_there_in_order_whatever_the_run(found: Page) -> None:
    assert found.headings[1:] == HEADINGS
    assert [a["id"] for tag, a in found.tags if tag == "section"] == SECTIONS
    assert found.attributes("href") == [f"#{section}" for section in SECTIONS]


def test_no_placeholder_and_no_missing_value_is_left(text: str, found: Page) -> None:
    text = without_plotly(text)
    visible = " ".join(found.sections.values())
    assert "{{" not in text and "{%" not in text
    assert not re.search(
        r"\b(None|nan|NaT|undefined|Markup)\b", re.sub("is nan|None was", "", visible)
    )


def test_the_ranking_is_the_table(plain: Run) -> None:
    found = Page(build_page(plain))
    rows = found.rows["ranking"]
    ranked = plain.table[plain.table["front"].notna()]
    assert len(ranked) > 20
    assert rows[0][:4] == ["rank", "front", "hidden_covariancelarger is better", "parameters"]
    for cells, (_, row) in zip(rows[1:21], ranked.iterrows(), strict=False):
        rank, _, score, parameters, milliseconds, mark, description = cells
        assert rank == str(row["rank"])
        written = float(score.replace("−", "-").replace(",", ""))
        assert written == pytest.approx(row["hidden_covariance"], rel=1e-3)
        assert parameters == f"{row['parameters']:,}"
        assert float(milliseconds) == pytest.approx(1e3 * row["seconds"], abs=0.051)
        name = {SPACE.fingerprint(cell): name for name, cell in SPACE.named.items()}
        assert mark.split() == [row["fingerprint"], *name.get(row["fingerprint"], "").split()]
        assert description == plain.space.describe(plain.space.parse(row["architecture"]))
    assert f"The first 20 of {len(ranked)} scored architectures" in found.sections["ranking"]


def test_a_network_that_ranks_twice_is_marked(encoders: Run) -> None:
    run = Run(encoders.folder.path)
    first = json.loads(run.table.loc[0, "architecture"])
    # In the reading in which these are built, all layers have one kind of attention.
    for layer in first["nas_config"]["encoder_layers"]:
        other = "WMA" if layer["operation_parameter"] == "SDP" else "SDP"
        layer |= {"operation_type": "SA", "operation_parameter": other}
    run.table.loc[1, "architecture"] = json.dumps(first)
    rows = Page(build_page(run)).rows["ranking"]
    marked = [" (the same network as rank 1)" in row[-1] for row in rows[1:]]
    assert marked == [False, True, False]


def test_named_cells_stand_below_the_best_and_in_the_plots(plain: Run) -> None:
    page = build_page(plain)
    found = Page(page)
    ranked = list(plain.table.loc[plain.table["front"].notna(), "fingerprint"])
    headings, *rows = found.rows["ranking"]
    shown = [cells[5].split() for cells in rows if len(cells) == len(headings)]
    for name, cell in SPACE.named.items():
        mark = SPACE.fingerprint(cell)
        assert [mark, name] in shown
        assert f'"text":["{name}"]' in page.replace(" ", "")
    below = [mark for mark, *_ in shown[20:]]
    assert below == [mark for mark in ranked[20:] if mark in below]


def test_the_front_is_marked_in_one_objective_and_parameters(plain: Run) -> None:
    rows = Page(build_page(plain)).rows["ranking"][1:21]
    shown = plain.table.head(len(rows))
    for cells, (_, row) in zip(rows, shown.iterrows(), strict=True):
        at_least = (plain.table["parameters"] <= row["parameters"]) & (
            plain.table["hidden_covariance"] >= row["hidden_covariance"]
        )
        better = (plain.table["parameters"] < row["parameters"]) | (
            plain.table["hidden_covariance"] > row["hidden_covariance"]
        )
        assert bool(cells[1]) == (not (at_least & better).any())


def test_the_front_of_several_objectives_is_the_runs(several: Run) -> None:
    found = Page(build_page(several))
    headings, *rows = found.rows["ranking"]
    marked = {cells[-2].split()[0] for cells in rows if len(cells) == len(headings) and cells[1]}
    assert marked == {candidate.fingerprint for candidate in several.front}
    assert (
        "Pareto front of hidden_covariance, activation_distance and memory"
        in found.sections["ranking"]
    )
    assert "memory (MB)smaller is better" in headings


def test_problems_are_grouped_and_counted(hopeless: Run) -> None:
    found = Page(build_page(hopeless))
    table = hopeless.table
    assert "There is nothing to rank." in found.sections["ranking"]
    assert f"{len(table)} architectures without a finite score" in found.sections["ranking"]
    counts = table["problem"].value_counts()
    rows = found.rows["ranking"][1:]
    assert {reason: int(n) for reason, n, _ in rows} == counts.to_dict()
    assert sorted(", ".join(marks for *_, marks in rows).split(", ")) == sorted(
        table["fingerprint"]
    )


def test_what_is_outside_the_limits_is_counted(limited: Run) -> None:
    outside = int((~limited.table["within_limits"]).sum())
    assert outside
    text = Page(build_page(limited)).sections
    assert f"{outside} architectures outside the limits" in text["ranking"]
    assert f"{outside} outside the limits" in text[""]


def test_a_run_with_everything_outside_the_limits_is_reported(plain: Run) -> None:
    table = plain.table.drop(columns=["hidden_covariance"])
    plain.table = table.assign(within_limits=False, front=pd.NA, seconds=0.0)
    found = Page(build_page(plain))
    assert "nothing to rank" in found.sections[""]
    assert "What is outside the limits is not scored." in found.sections["ranking"]
    assert "Nothing was scored." in found.sections["time"]


def test_a_run_without_a_proposal_is_reported(plain: Run) -> None:
    plain.trials = []
    assert "No proposal has been made yet." in Page(build_page(plain)).sections[""]


def test_the_settings_are_those_of_the_run(plain: Run) -> None:
    cells = dict(Page(build_page(plain)).rows["settings"])
    information = plain.information
    assert cells["sha256"] == information["text"]["sha256"]
    assert cells["started"] == information["started"]
    assert cells["torch"] == information["versions"]["torch"]
    assert cells["objectives"] == "hidden_covariance:max"
    assert {cells["trials"], cells["hidden size"]} == {"30", "8"}
    names = {name.replace("_", " ") for name in plain.settings.model_dump()}
    assert names - {"limits", "scale", "model scale"} <= cells.keys()


def test_a_password_in_the_storages_address_is_left_out(plain: Run) -> None:
    assert plain.trials  # the true storage is read now
    plain.information["storage"] = "postgresql://me:secret@host/studies"
    text = build_page(plain)
    assert ":secret" not in text and "postgresql://me:***@host/studies" in text


def test_a_space_without_a_drawing_is_shown_as_json(
    plain: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(page, "DRAWINGS", {})
    found = Page(build_page(plain))
    assert "svg" not in [tag for tag, _ in found.tags]
    assert '"h_new_0": {' in found.sections["best"]
    assert ("details", {"open": None}) in found.tags


# What it needs


def test_nothing_is_loaded_from_elsewhere(found: Page) -> None:
    for tag, attributes in found.tags:
        for name in LOADS & attributes.keys():
            assert str(attributes[name]).startswith("#"), (tag, name)
        style = attributes.get("style") or ""
        assert "url(" not in style and "@import" not in style
    assert not {"link", "img", "iframe", "object", "embed", "base"} & {t for t, _ in found.tags}
    for style in (data for tag, data in found.raw if tag == "style"):
        assert "url(" not in style and "@import" not in style and "http" not in style


def test_the_browser_is_told_to_load_nothing(plain: Run) -> None:
    policies = [
        str(attributes["content"])
        for tag, attributes in Page(build_page(plain)).tags
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert len(policies) == 1
    assert "default-src 'none'" in policies[0] and "http" not in policies[0]


def test_plotly_is_there_once_and_every_plot_has_its_data(found: Page) -> None:
    scripts = [data for tag, data in found.raw if tag == "script"]
    assert len(scripts) == 3
    assert sum("plotly.js v" in script for script in scripts) == 1
    data = json.loads(scripts[1])
    plots = {a["id"] for _, a in found.tags if a.get("class") == "plot"}
    assert data.keys() == plots
    assert all({"data", "layout"} <= figure.keys() for figure in data.values())


def test_what_users_name_is_escaped(plain: Run) -> None:
    plain.information["text"]["name"] = EVIL
    plain.table.loc[3, "front"] = pd.NA
    plain.table.loc[3, "problem"] = EVIL
    plain.space.describe = lambda architecture: EVIL  # type: ignore[method-assign]
    text = build_page(plain)
    found = Page(text)
    assert [tag for tag, _ in found.tags].count("script") == 3
    assert "img" not in [tag for tag, _ in found.tags]
    assert not found.attributes("onerror")
    assert EVIL in found.headings[0]
    assert EVIL in found.sections["ranking"]
    hover = json.loads([data for tag, data in found.raw if tag == "script"][1])
    texts = hover["parameters-0"]["data"][0]["hovertext"]
    assert texts and all("<img" not in beside and "&lt;img" in beside for beside in texts)


def test_it_can_be_read_without_seeing_it(found: Page) -> None:
    tags = found.tags
    assert ("html", {"lang": "en"}) in tags
    pictures = [a for tag, a in tags if a.get("class") in ("plot", "graph")]
    assert all(a["role"] == "img" and a["aria-label"] for a in pictures)
    assert all(a.get("scope") in ("row", "col") for tag, a in tags if tag == "th")
    figures = [tag for tag, _ in tags]
    assert figures.count("figure") == figures.count("figcaption") == len(pictures)
    identifiers = [a["id"] for _, a in tags if "id" in a]
    assert len(set(identifiers)) == len(identifiers)


# Where it is written


def test_it_is_written_to_the_run_folder_or_where_it_is_told(
    plain_folder: Path, tmp_path: Path
) -> None:
    assert write_report(plain_folder) == plain_folder / "report.html"
    elsewhere = tmp_path / "page.html"
    assert write_report(Run(plain_folder), elsewhere) == elsewhere
    assert elsewhere.read_text("utf-8") == (plain_folder / "report.html").read_text("utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


@pytest.mark.parametrize("place", ["missing/page.html", "file/page.html", "folder"])
def test_a_place_that_cannot_be_written_is_named(
    place: str, plain_folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    with pytest.raises(InputError, match=re.escape(str(tmp_path / place))):
        write_report(plain_folder, tmp_path / place)


def test_a_full_disk_leaves_the_old_page(
    plain_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "page.html"
    old.write_text("old", encoding="utf-8")

    def full(source: object, target: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(InputError, match="No space left on device"):
        write_report(plain_folder, old)
    assert old.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_folder_without_a_run_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="holds no run"):
        write_report(tmp_path)


def test_the_same_run_gives_the_same_page(plain_folder: Path) -> None:
    assert build_page(Run(plain_folder)) == build_page(Run(plain_folder))
