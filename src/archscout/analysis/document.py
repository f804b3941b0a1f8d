"""A page of results: text, tables and figures, as Markdown and as one HTML file.

Every figure is written as PNG and PDF, every table as CSV; the Markdown page refers to them, the
HTML page holds them.
"""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib
import pandas as pd
from markdown_it import MarkdownIt

from archscout.analysis.statistics import with_ends
from archscout.files import write_whole

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 200
_STYLE = """
:root { color-scheme: light; }
body { font: 16px/1.55 system-ui, sans-serif; color: #1c1c1c; background: #fff;
       max-width: 64rem; margin: 2rem auto; padding: 0 1.2rem; }
h1 { font-size: 1.8rem; line-height: 1.2; } h2 { margin-top: 2.6rem; border-top: 1px solid #ddd;
     padding-top: 1.2rem; font-size: 1.35rem; } h3 { font-size: 1.05rem; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .86rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #e4e4e4; text-align: left;
         white-space: nowrap; }
td.number, th.number { text-align: right; }
blockquote { margin: 1rem 0; padding: .5rem 1rem; background: #fff6e0;
             border-left: 4px solid #d99a00; }
code { background: #f2f2f2; padding: .1em .3em; border-radius: 3px; font-size: .9em; }
pre code { display: block; padding: .8rem; overflow-x: auto; }
figcaption { font-size: .88rem; color: #444; }
"""


@dataclass(frozen=True)
class Plot:
    """A figure with what it shows.

    Attributes:
        name: of its files, without suffix.
        figure: a figure of matplotlib.
        caption: one or two sentences; Markdown.
        numbers: what it was drawn from or says, written as `<name>.csv`; None if a table says it.
    """

    name: str
    figure: Figure = field(repr=False)
    caption: str
    numbers: pd.DataFrame | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Table:
    """A table with what it shows; its index is shown where it has a name.

    Attributes:
        name: of its CSV file, without suffix.
        frame: the numbers.
        caption: one or two sentences; Markdown.
        decimals: of numbers that are not whole, as shown; the file has them all.
        shown: what the page shows in place of it, such as rounded numbers with their intervals.
    """

    name: str
    frame: pd.DataFrame = field(repr=False)
    caption: str
    decimals: int = 3
    shown: pd.DataFrame | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Section:
    """A part of a page.

    Attributes:
        title: its heading.
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
        for section in self.sections:
            for item in section.content:
                _write_item(folder, item)
        write_whole(folder / "report.md", self._markdown().encode())
        page = folder / "index.html"
        write_whole(page, self._html(folder).encode())
        return page

    def _markdown(self) -> str:
        parts = [f"# {self.title}", self.introduction]
        if self.modified:
            parts.append(
                f"> **Modified data.** {', '.join(self.modified)} differ from the published "
                "files, so these figures need not equal the published ones."
            )
        if len(self.sections) > 1:
            titles = (section.title for section in self.sections)
            parts.append("\n".join(f"- [{title}](#{_anchor(title)})" for title in titles))
        for section in self.sections:
            parts += [f"## {section.title}", section.text]
            parts += [f"> {remark}" for remark in section.remarks]
            modified = self.modified if section.modified is None else section.modified
            parts += [_item(item, bool(modified)) for item in section.content]
            parts.append(section.conclusion)
        return "\n\n".join(part.strip() for part in parts if part.strip()) + "\n"

    def _html(self, folder: Path) -> str:
        body = MarkdownIt("commonmark").enable("table").render(self._markdown())
        body = re.sub(r'src="([^"]+)"', lambda m: f'src="{_inline(folder / m[1])}"', body)
        body = re.sub(
            r"<h2>(.*?)</h2>",
            lambda m: f'<h2 id="{_anchor(html.unescape(m[1]))}">{m[1]}</h2>',
            body,
        )
        body = body.replace("<table>", '<div class="wide"><table>').replace(
            "</table>", "</table></div>"
        )
        body = re.sub(r'<(t[hd]) style="text-align:right">', r'<\1 class="number">', body)
        return (
            '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>{html.escape(self.title)}</title><style>{_STYLE}</style></head>"
            f"<body>\n{body}</body></html>\n"
        )


def settings_section(settings: Mapping[str, object], caption: str) -> Section:
    """The settings that decide a page's results, a row each."""
    rows = []
    for name, value in settings.items():
        if isinstance(value, dict):
            value = [f"{key} {entry}" for key, entry in value.items()]
        shown = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        rows.append((name, shown))
    table = pd.DataFrame(rows, columns=["setting", "value"])
    return Section("Settings", content=[Table("settings", table, caption)])


def intervals(table: pd.DataFrame, name: str) -> list[str]:
    """A statistic as it is read, with the interval that its table has in further columns."""
    return [with_interval(*row) for row in table[with_ends(name)].itertuples(index=False)]


def with_interval(value: float, low: float, high: float) -> str:
    """A statistic and its 95 % interval; a dash where there is none."""
    return "–" if pd.isna(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _item(item: Plot | Table, modified: bool) -> str:
    mark = " *(modified data)*" if modified else ""
    if isinstance(item, Plot):
        return f"![{item.name}]({item.name}.png)\n\n{item.caption}{mark}"
    return f"{item.caption}{mark}\n\n{_markdown_table(item)}"


def _markdown_table(table: Table) -> str:
    """The table as Markdown, numbers to the right."""
    frame = table.frame if table.shown is None else table.shown
    if _is_named(frame.index):
        frame = frame.reset_index()
    numeric = [pd.api.types.is_numeric_dtype(frame[column]) for column in frame]
    rows = [
        "| " + " | ".join(str(column) for column in frame) + " |",
        "| " + " | ".join("---:" if right else "---" for right in numeric) + " |",
    ]
    for row in frame.itertuples(index=False):
        rows.append("| " + " | ".join(_cell(value, table.decimals) for value in row) + " |")
    return "\n".join(rows)


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
    return str(value).replace("|", "\\|").replace("\n", " ")


def _write_item(folder: Path, item: Plot | Table) -> None:
    if isinstance(item, Plot):
        for form in ("png", "pdf"):
            write_whole(folder / f"{item.name}.{form}", _rendered(item.figure, form))
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


def _inline(picture: Path) -> str:
    return "data:image/png;base64," + base64.b64encode(picture.read_bytes()).decode()


def _anchor(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
