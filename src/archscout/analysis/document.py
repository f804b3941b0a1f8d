"""A page of results: text, tables and figures, as Markdown and as one HTML file.

Every figure is written as PNG and PDF, every table as CSV. The Markdown page refers to them; the
HTML page holds them, with figures that answer to the pointer where they are given as such.
"""

from __future__ import annotations

import base64
import io
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib
import pandas as pd
from markdown_it import MarkdownIt
from markupsafe import Markup

from archscout.analysis.statistics import with_ends
from archscout.files import write_whole
from archscout.report import figures, templates

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 200
_LONG = 40  # characters, above which a cell is a text rather than a number or a name
_MOST_LINKS = 6  # that contents show unfolded
_SHOWN = 6  # panels of a figure before the others are folded
_CODE_OR_STAR = re.compile(r"(`[^`]*`)|\*")
_MARKDOWN = MarkdownIt("commonmark", {"html": False}).enable("table")


@dataclass(frozen=True)
class Plot:
    """A figure with what it shows.

    Both drawings are made when the page is written. One that fails ends nothing: the page says that
    it is missing, and why.

    Attributes:
        name: of its files, without suffix.
        draw: draws it by matplotlib, for the files.
        caption: one or two sentences; Markdown.
        numbers: what it was drawn from or says, written as `<name>.csv`; None if a table says it.
        panels: draws it by plotly, for the HTML page, in one figure or several; the page shows the
            files' picture if None.
    """

    name: str
    draw: Callable[[], Figure] = field(repr=False)
    caption: str
    numbers: pd.DataFrame | None = field(default=None, repr=False)
    panels: Callable[[], Sequence[figures.Figure]] | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Table:
    """A table with what it shows; its index is shown where it has a name.

    Attributes:
        name: of its CSV file, without suffix.
        frame: the numbers.
        caption: one or two sentences; Markdown.
        decimals: of numbers that are not whole, as shown; the file has them all.
        shown: what the page shows in place of it, such as rounded numbers with their intervals.
        folded: whether the HTML page shows it when asked only.
    """

    name: str
    frame: pd.DataFrame = field(repr=False)
    caption: str
    decimals: int = 3
    shown: pd.DataFrame | None = field(default=None, repr=False)
    folded: bool = False


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
        group: what several sections on end are about, before the title in headings.
        text: Markdown, before everything else.
        content: plots and tables in their order.
        remarks: what a reader must know to judge the numbers; shown set apart.
        conclusion: Markdown, after everything else.
        modified: names of the files it was made from that are not as published; those of the
            whole page if None.
    """

    title: str
    text: str = ""
    content: Sequence[Plot | Table] = ()
    remarks: Sequence[str] = ()
    conclusion: str = ""
    modified: Sequence[str] | None = None
    group: str = ""

    @property
    def heading(self) -> str:
        """The title, after the group's."""
        return f"{self.group}: {self.title}" if self.group else self.title


@dataclass(frozen=True)
class Document:
    """A page of results.

    Attributes:
        title: its heading.
        introduction: Markdown.
        sections: its parts.
        modified: names of files that are not as published; said at the top, and in the captions
            of what was made from them.
    """

    title: str
    introduction: str
    sections: Sequence[Section]
    modified: Sequence[str] = ()

    def write(self, folder: Path) -> Path:
        """Write `index.html` (its path is returned), `report.md`, and figures and tables."""
        drawn = {}
        for item in itertools.chain.from_iterable(section.content for section in self.sections):
            if isinstance(item, Plot):
                drawn[item.name] = _drawn(folder, item)
            _write_numbers(folder, item)
        write_whole(folder / "report.md", self._markdown(drawn).encode())
        page = folder / "index.html"
        write_whole(page, self._html(drawn).encode())
        return page

    @property
    def _modified(self) -> str:
        return (
            f"**Modified data.** {', '.join(self.modified)} differ from the published "
            "files, so these figures need not equal the published ones."
            if self.modified
            else ""
        )

    def _caption(self, section: Section, item: Plot | Table) -> str:
        modified = self.modified if section.modified is None else section.modified
        return f"{item.caption} *(modified data)*" if modified else item.caption

    def _markdown(self, drawn: Mapping[str, _Drawn]) -> str:
        parts = [f"# {self.title}", self.introduction]
        if self.modified:
            parts.append(f"> {self._modified}")
        if len(self.sections) > 1:
            titles = (section.heading for section in self.sections)
            parts.append("\n".join(f"- [{title}](#{_anchor(title)})" for title in titles))
        for section in self.sections:
            parts += [f"## {section.heading}", section.text]
            parts += [f"> {remark}" for remark in section.remarks]
            for item in section.content:
                caption = self._caption(section, item)
                if isinstance(item, Table):
                    parts += [caption, _markdown_table(item)]
                else:
                    plot = drawn[item.name]
                    parts += [f"![{item.name}]({item.name}.png)" if plot.picture else "", caption]
                    parts.append(plot.problem)
            parts.append(section.conclusion)
        return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"

    def _html(self, drawn: Mapping[str, _Drawn]) -> str:
        groups = [
            {"name": name, "sections": [self._section(section, drawn) for section in sections]}
            for name, sections in itertools.groupby(self.sections, lambda section: section.group)
        ]
        links = sum(1 if group["name"] else len(group["sections"]) for group in groups)
        plots = [(_place(name, i), panel) for name, d in drawn.items() for i, panel in d.panels]
        return templates.render_page(
            "document.html.jinja",
            {place: panel.to_json() for place, panel in plots},
            title=self.title,
            introduction=_as_html(self.introduction),
            modified=_as_html(self._modified),
            groups=groups,
            folded=links > _MOST_LINKS,
        )

    def _section(self, section: Section, drawn: Mapping[str, _Drawn]) -> dict[str, Any]:
        """What the template has of a section."""
        content = []
        for item in section.content:
            caption = self._caption(section, item)
            if isinstance(item, Table):
                table = _html_table(item, caption)
                place = {"id": f"{item.name}-table", "folded": item.folded}
                content.append({"kind": "table", "table": table, **place})
                continue
            plot = drawn[item.name]
            places = {
                _place(item.name, i): replace(panel, caption=_as_inline_html(panel.caption))
                for i, panel in plot.panels
            }
            shown = len(places) if len(places) <= 2 * _SHOWN else _SHOWN
            content.append(
                {
                    "kind": "plot",
                    "id": item.name,
                    "caption": _as_html(f"{caption}\n\n{plot.problem}"),
                    "shown": dict(list(places.items())[:shown]),
                    "folded": dict(list(places.items())[shown:]),
                    "picture": _inline(plot.picture),
                }
            )
        return {
            "id": _anchor(section.heading),
            "title": section.title,
            "text": _as_html(section.text),
            "remarks": [_as_html(remark) for remark in section.remarks],
            "content": content,
            "conclusion": _as_html(section.conclusion),
        }


class _Drawn(NamedTuple):
    """What became of a plot: its picture as PNG, its panels by number, and what went wrong."""

    picture: bytes
    panels: list[tuple[int, figures.Figure]]
    problem: str


def _drawn(folder: Path, plot: Plot) -> _Drawn:
    """Draw a plot, and write its files."""
    files: dict[str, bytes] = {}
    panels: list[tuple[int, figures.Figure]] = []
    problem = ""
    try:
        figure = plot.draw()
        files = {form: _rendered(figure, form) for form in ("png", "pdf")}
        panels = list(enumerate(plot.panels() if plot.panels else ()))
    except Exception as error:  # whatever the libraries that draw raise
        said = re.sub(r"[\s`]+", " ", f"{type(error).__name__}: {error}")
        problem = f"**This figure is missing**, for drawing it failed: `{said}`"
    for form in ("png", "pdf"):
        path = folder / f"{plot.name}.{form}"
        if form in files:
            write_whole(path, files[form])
        else:
            path.unlink(missing_ok=True)
    return _Drawn(files.get("png", b""), panels, problem)


def settings_section(settings: Mapping[str, object], caption: str) -> Section:
    """The settings that decide a page's results, a row each."""
    rows = []
    for name, value in settings.items():
        if isinstance(value, dict):
            value = [f"{key} {entry}" for key, entry in value.items()]
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        rows.append((name, "none" if value is None or not shown else shown))
    table = pd.DataFrame(rows, columns=["setting", "value"])
    return Section("Settings", content=[Table("settings", table, caption)])


def intervals(table: pd.DataFrame, name: str) -> list[str]:
    """A statistic as it is read, with the interval that its table has in further columns."""
    return [with_interval(*row) for row in table[with_ends(name)].itertuples(index=False)]


def with_interval(value: float, low: float, high: float) -> str:
    """A statistic and its 95 % interval; a dash where there is none."""
    # The interval stays in one line.
    return "–" if pd.isna(value) else f"{value:.3f} [{low:.3f},\u00a0{high:.3f}]"


def _markdown_table(table: Table) -> str:
    """The table as Markdown, numbers to the right."""
    frame, numeric = _shown(table)
    rows = [
        "| " + " | ".join(str(column) for column in frame) + " |",
        "| " + " | ".join("---:" if right else "---" for right in numeric) + " |",
    ]
    for row in frame.itertuples(index=False):
        rows.append("| " + " | ".join(_cell(value, table.decimals) for value in row) + " |")
    return "\n".join(rows)


def _html_table(table: Table, caption: str) -> templates.Table:
    """The table as a page shows it; cells may be Markdown, such as links."""
    frame, numeric = _shown(table)
    columns = [
        templates.Column(str(name), "number" if right else _kind_of_text(frame[name]))
        for name, right in zip(frame, numeric, strict=True)
    ]
    rows: list[list[str]] = [
        [_as_inline_html(_cell(value, table.decimals)) for value in row]
        for row in frame.itertuples(index=False)
    ]
    for row in rows:
        row[0] = Markup(re.sub(r"([_+])(?![^<]*>)", _breakable, row[0]))
    return templates.Table(_as_inline_html(caption), columns, rows)


def _kind_of_text(column: pd.Series) -> str:
    """Whether a column holds words that need room."""
    return "text long" if column.astype(str).str.len().max() > _LONG else "text"


def _breakable(mark: re.Match[str]) -> str:
    """A mark in a name, after which it may go on in the next line; after an underscore if it must.

    The page's style says where it must.
    """
    return f"{mark[0]}<wbr>" if mark[0] == "+" else f'{mark[0]}<wbr class="narrow">'


def _shown(table: Table) -> tuple[pd.DataFrame, list[bool]]:
    """What is shown of a table, and which of its columns are numbers."""
    frame = table.frame if table.shown is None else table.shown
    if _is_named(frame.index):
        frame = frame.reset_index()
    return frame, [pd.api.types.is_numeric_dtype(frame[column]) for column in frame]


def _cell(value: object, decimals: int) -> str:
    if value is None or value is pd.NA or (isinstance(value, float) and value != value):
        return "–"
    if isinstance(value, float):
        if value.is_integer() and abs(value) < 1e15:
            return f"{int(value):,}" if abs(value) >= 10 or value == 0 else f"{value:.{decimals}f}"
        if abs(value) >= 1e6 or 0 < abs(value) < 10.0**-decimals / 2:
            return f"{value:.2e}"
        return f"{value:,.{decimals}f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    text = str(value).replace("|", "\\|").replace("\n", " ")
    # The stars of formulas, which are names, would be read as emphasis.
    return _CODE_OR_STAR.sub(lambda found: found[1] or r"\*", text)


def _write_numbers(folder: Path, item: Plot | Table) -> None:
    frame = item.frame if isinstance(item, Table) else item.numbers
    if frame is not None:
        content = frame.to_csv(index=_is_named(frame.index))
        write_whole(folder / f"{item.name}.csv", content.encode())


def _is_named(index: pd.Index) -> bool:
    return index.name is not None or index.nlevels > 1


def _rendered(figure: Figure, form: str) -> bytes:
    # Without dates, the same numbers give the same file.
    content = io.BytesIO()
    metadata = {"CreationDate": None} if form == "pdf" else {"Software": None}
    # Type 42: text of a PDF stays text that publishers accept.
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        figure.savefig(content, format=form, dpi=_DPI, bbox_inches="tight", metadata=metadata)
    return content.getvalue()


def _as_html(text: str) -> Markup:
    """Markdown as HTML."""
    return Markup(_MARKDOWN.render(text))


def _as_inline_html(text: str) -> Markup:
    return Markup(_MARKDOWN.renderInline(text))


def _inline(picture: bytes) -> str:
    return f"data:image/png;base64,{base64.b64encode(picture).decode()}" if picture else ""


def _place(name: str, panel: int) -> str:
    """The identifier of a panel's place on the page."""
    return f"{_anchor(name)}-panel-{panel}"


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
