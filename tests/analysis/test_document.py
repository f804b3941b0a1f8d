"""Pages of results: what is on them, and that no figure ends a command."""

import json
import re
from functools import partial

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from markdown_it import MarkdownIt
from matplotlib.figure import Figure

from archscout.analysis.document import Document, Plot, Section, Table, settings_section
from archscout.report.figures import Figure as Panel

NAMES = [f"metric {i}" for i in range(15)]


def panels(count):
    return [Panel(go.Figure(), f"label {i}", f"caption `{i}`") for i in range(count)]


def plot(name="picture", draw=Figure, count=1):
    return Plot(name, draw, "What it shows.", panels=partial(panels, count))


def fails():
    raise ValueError("Axis limits cannot be NaN or Inf")


def written(folder, *sections, **options):
    page = Document("Title", "Words.", sections, **options).write(folder)
    return page.read_text(), (folder / "report.md").read_text()


def test_a_figure_that_fails_is_said_to_be_missing_and_why(tmp_path):
    (tmp_path / "picture.png").write_bytes(b"of an earlier page")
    table = Table("numbers", pd.DataFrame({"a": [1]}), "Numbers.")
    sections = [Section("One", content=[plot(draw=fails), table]), Section("Two", "Goes on.")]
    html, markdown = written(tmp_path, *sections)
    for text in (html, markdown):
        assert "This figure is missing" in text
        assert "ValueError: Axis limits cannot be NaN or Inf" in text
        assert "Goes on." in text
    assert "picture.png" not in markdown
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("index.html", "numbers.csv", "report.md")
    ]


def test_a_panel_that_fails_leaves_the_picture(tmp_path):
    failing = Plot("picture", Figure, "What it shows.", panels=fails)
    html, markdown = written(tmp_path, Section("One", content=[failing]))
    assert "This figure is missing" in html
    assert '<img src="data:image/png;base64,' in html
    assert "![picture](picture.png)" in markdown


def test_plotly_is_there_once_if_at_all_and_panels_have_their_data(tmp_path):
    html, _ = written(tmp_path, Section("One", content=[plot("a", count=3), plot("b")]))
    assert html.count("plotly.js v") == 1
    data = re.search(r'<script type="application/json" id="figures">(.*?)</script>', html, re.S)
    places = re.findall(r'class="plot" id="([^"]+)"', html)
    assert list(json.loads(data[1])) == places
    assert len(set(places)) == 4
    assert "caption <code>2</code>" in html
    static, _ = written(tmp_path, Section("One", content=[Plot("a", Figure, "Shows.")]))
    assert "plotly" not in static


def test_many_panels_are_folded_but_for_the_first(tmp_path):
    html, _ = written(tmp_path, Section("One", content=[plot(count=20)]))
    before, after = html.split("<summary>14 more</summary>")
    assert before.count('class="plot"') == 6
    assert after.count('class="plot"') == 14


def test_contents_are_short_and_groups_one_entry(tmp_path):
    few = [Section(f"part {i}", group=group) for group in ("a", "b") for i in range(4)]
    html, markdown = written(tmp_path, *few)
    nav = re.search(r"<nav.*?</nav>", html, re.S)[0]
    assert re.findall(r"<summary>(.*?)</summary>", nav) == ["a", "b"]
    assert nav.count("<a ") == 8
    for place in re.findall(r'href="#([^"]+)"', nav):
        assert f'<section id="{place}"' in html
    assert "- [b: part 3](#b-part-3)" in markdown
    many, _ = written(tmp_path, *(Section(name) for name in NAMES))
    assert "<summary>Contents</summary>" in many


def test_tables_scroll_in_their_own_box_with_row_headers(tmp_path):
    frame = pd.DataFrame({"n": [3], "τ": ["0.5 [0.1,\u00a00.9]"]}, index=pd.Index(["x"], name="m"))
    html, _ = written(tmp_path, Section("One", content=[Table("t", frame, "All.")]))
    assert html.count('<div class="scroll"') == html.count("<table") == 1
    assert '<th scope="row" class="text">x</th>' in html
    assert '<td class="number">3</td>' in html
    assert re.search(r"th:first-child \{ position: sticky; left: 0;", html)


def test_a_table_may_be_folded_and_long_names_have_places_to_break(tmp_path):
    frame = pd.DataFrame({"metric": ["a_b+c"], "link": ["[d_e](f_g.html)"]})
    tables = [Table("t", frame, "All.", folded=True), Table("u", frame[["link"]], "Links.")]
    html, _ = written(tmp_path, Section("One", content=tables))
    assert html.count("<details>") == 1 and "<summary>All.</summary>" in html
    assert '>a_<wbr class="narrow">b+<wbr>c</th>' in html
    assert '<a href="f_g.html">d_<wbr class="narrow">e</a></th>' in html


def test_columns_of_words_have_room(tmp_path):
    frame = pd.DataFrame({"n": [1], "short": ["word"], "long": ["word " * 10]})
    tables = [Table("t", frame, "All."), Table("u", frame.head(0), "None.")]
    html, _ = written(tmp_path, Section("One", content=tables))
    assert re.findall(r'<td class="([^"]+)"', html) == ["text", "text long"]


def test_what_users_name_is_escaped(tmp_path):
    evil = "<img src=x onerror=alert(1)>"
    frame = pd.DataFrame({evil: [evil]})
    html, _ = written(
        tmp_path,
        Section(evil, evil, [Table("t", frame, evil)], [evil], group=evil),
        modified=[evil],
    )
    assert "<img" not in html


def test_stars_of_formulas_are_no_emphasis_in_cells(tmp_path):
    name = "formula:mean(l1(weights*weight_gradients*weights))"
    frame = pd.DataFrame({"metric": [name], "said": [f"`{name}` times *one*"], "n": ["a*b*c"]})
    html, markdown = written(tmp_path, Section("One", content=[Table("t", frame, "All.")]))
    rendered = [html, MarkdownIt("commonmark").enable("table").render(markdown)]
    for text in rendered:
        assert "<em>" not in text
        cells = [re.sub("<.*?>", "", cell) for cell in re.findall(r"<t[dh].*?</t[dh]>", text)]
        assert cells[-3:] == [name, f"{name} times *one*", "a*b*c"]
    assert pd.read_csv(tmp_path / "t.csv")["metric"].tolist() == [name]


def test_modified_data_are_marked_at_the_top_and_in_captions(tmp_path):
    sections = [
        Section("One", content=[Table("t", pd.DataFrame({"a": [1]}), "Mine.")]),
        Section("Two", content=[Table("u", pd.DataFrame({"a": [1]}), "Other.")], modified=()),
    ]
    html, markdown = written(tmp_path, *sections, modified=["logs.zip"])
    assert "logs.zip differ from the published files" in html
    assert "Mine. <em>(modified data)</em>" in html
    assert "Other. *(mod" not in markdown and "Mine. *(modified data)*" in markdown


def test_the_same_page_twice(tmp_path):
    pages = [written(tmp_path, Section("One", content=[plot(count=2)])) for _ in range(2)]
    assert pages[0] == pages[1]


@pytest.mark.parametrize(
    ("value", "shown"), [(None, "none"), ([], "none"), ([1, 2], "1, 2"), ({"a": 1}, "a 1")]
)
def test_settings_as_they_are_read(value, shown):
    (table,) = settings_section({"name": value}, "All.").content
    assert table.frame["value"].tolist() == [shown]


def test_numbers_of_a_plot_are_written(tmp_path):
    numbers = pd.DataFrame({"a": [1.5, np.nan]})
    written(tmp_path, Section("One", content=[Plot("p", Figure, "Shows.", numbers)]))
    assert pd.read_csv(tmp_path / "p.csv").equals(numbers)
