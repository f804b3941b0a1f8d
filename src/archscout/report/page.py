"""The page: everything about a run in one HTML file that needs nothing else."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from archscout.comparison import Proof, load_proof
from archscout.errors import InputError
from archscout.files import write_whole
from archscout.promotion import Promotion, load_promotion
from archscout.report import decoder, encoder, promoted, proof, recurrent, summary
from archscout.report.drawing import Drawing
from archscout.report.figures import Figure, Quantity
from archscout.report.findings import Findings
from archscout.report.numbers import COSTS, count, unit_of
from archscout.report.plots import plot_histories, plot_scoring_time, plot_trade_offs
from archscout.report.templates import Column, Table, render_page
from archscout.runs import Run
from archscout.spaces import network_fingerprint

REPORT = "report.html"
# By space: what draws an architecture as it is built at a scale, for so many tokens.
DRAWINGS: Mapping[str, Callable[[Any, Any, int], Drawing]] = {
    recurrent.SPACE: recurrent.draw,
    encoder.SPACE: encoder.draw,
    decoder.SPACE: decoder.draw,
}
_SHOWN = 20


def write_report(run: Run | str | os.PathLike[str], path: Path | None = None) -> Path:
    """Write one self-contained HTML page about a run.

    The page holds the ranking, what became of the candidates that were trained, if any were, score
    against parameters, the history of the search, the best architecture as a drawing, what scoring
    cost, and the settings. It opens without a network.

    Args:
        run: a run, or the folder where it lies.
        path: the file; report.html in the run folder by default.

    Returns:
        The file.

    Raises:
        InputError: no run lies in the folder, its promoted.json or proof.json is damaged, or the
            file cannot be written.
    """
    found = run if isinstance(run, Run) else Run(run)
    path = found.folder.path / REPORT if path is None else Path(path)
    if path.is_dir():
        raise InputError(f"cannot write {path}: it is a folder; a file is needed, as report.html")
    if not path.parent.is_dir():
        reason = errno.ENOTDIR if path.parent.exists() else errno.ENOENT
        raise InputError(f"cannot write {path}: {os.strerror(reason)}")
    write_whole(path, build_page(found).encode())
    return path


def build_page(run: Run) -> str:
    """The page as text."""
    findings = Findings(run)
    proven, promotion = load_proof(run.folder.path), load_promotion(run.folder.path)
    plots = _plots(findings, proven, promotion)
    return render_page(
        "page.html.jinja",
        {i: figure.to_json() for group in plots.values() for i, figure in group.items()},
        title=f"{run.settings.space} on {run.information['text']['name']}",
        run=run,
        started=_date(run.information.get("started")),
        best=findings.best,
        description=run.space.describe(findings.best.architecture) if findings.best else "",
        sentences=summary.sentences(findings),
        ranking=_ranking(findings),
        unranked=_unranked(findings),
        problems=_problems(findings),
        promoted=promotion and promoted.summarise(promotion),
        proof=proven and proof.summarise(proven),
        plots=plots,
        drawing=_drawing(findings),
        genotype=_genotype(findings),
        settings=summary.setting_groups(run.information),
        commands=summary.commands(run, len(findings.scored)),
    )


def _date(stamp: object) -> str:
    """A time stamp as people write it; as it is where it is none."""
    try:
        moment = datetime.fromisoformat(str(stamp)).astimezone(UTC)
    except ValueError:
        return str(stamp)
    return f"{moment.day} {moment:%B %Y, %H:%M} UTC"


def _plots(
    findings: Findings, proven: Proof | None, promotion: Promotion | None
) -> dict[str, dict[str, Figure]]:
    """The plots of each section, by identifiers that are unique on the page."""
    sections = {
        "promoted": promoted.plot_promotion(promotion) if promotion else [],
        "proof": proof.plot_proof(proven) if proven else [],
        "parameters": plot_trade_offs(findings),
        "history": plot_histories(findings),
        "time": plot_scoring_time(findings),
    }
    return {
        section: {f"{section}-{i}": plot for i, plot in enumerate(plots)}
        for section, plots in sections.items()
    }


def _ranking(findings: Findings) -> Table:
    """The first architectures: objectives, other costs, time, and what it is."""
    rows = findings.shown(_SHOWN)
    goals = [goal.name for goal in findings.objectives]
    costs = [name for name in COSTS if name in rows and name not in goals]
    columns = [Column("rank", "number"), Column("front", "mark")]
    columns += [Quantity.of(goal).column for goal in findings.objectives]
    columns += [Column(unit_of(name).heading(name), "number") for name in costs]
    columns += [Column("scoring (ms)", "number"), Column("fingerprint", "code")]
    columns.append(Column("architecture"))
    cells = [
        [
            str(row["rank"]),
            "◆ yes" if on_front else "",
            *(unit_of(name).write(row[name]) for name in [*goals, *costs]),
            f"{1e3 * row['seconds']:.1f}",
            findings.title(row["fingerprint"]),
            f"{description}{again}",
        ]
        for row, description, on_front, again in zip(
            rows.to_dict("records"),
            findings.describe(rows),
            findings.front[rows.index],
            _repeats(findings, rows),
            strict=True,
        )
    ]
    caption = _ranking_caption(findings)
    return Table(caption + _what_is_timed(findings.run, [*goals, *costs]), columns, cells)


def _what_is_timed(run: Run, names: Sequence[str]) -> str:
    """What the latencies of a table are those of, in a sentence each."""
    steps, length = run.model_scale.step_tokens, run.model_scale.sequence_length
    whole = f"whole sequence of {steps:,} tokens"
    said = {
        "latency": f"Latency is that of one {'token of one sequence' if steps == 1 else whole}.",
        "prefill_latency": f"Prefill is reading {length - 1:,} tokens at once.",
        "token_latency": f"Token latency is that of generating one token after {length:,}.",
        "cache_memory": f"The cache holds {length:,} tokens.",
    }
    return "".join(f" {sentence}" for name, sentence in said.items() if name in names)


def _repeats(findings: Findings, rows: pd.DataFrame) -> Iterator[str]:
    """For each architecture, which one before it is the same network as it is built, if any."""
    run = findings.run
    seen: dict[str, int] = {}
    for rank, text in zip(rows["rank"], rows["architecture"], strict=True):
        mark = network_fingerprint(run.space, run.space.parse(text), run.model_scale)
        first = seen.setdefault(mark, rank)
        yield "" if first == rank else f" (the same network as rank {first})"


def _ranking_caption(findings: Findings) -> str:
    total = count(len(findings.scored), "scored architecture")
    shown = f"The first {_SHOWN} of {total}" if len(findings.scored) > _SHOWN else total
    names = [goal.name for goal in findings.objectives]
    if names != ["parameters"] and len(names) == 1:
        names.append("parameters")
    front = f"the Pareto front of {summary.listed(names)}" if len(names) > 1 else "the best"
    marks = findings.scored["fingerprint"].iloc[_SHOWN:]
    below = [findings.named[mark] for mark in marks if mark in findings.named]
    beside = f" Below stands {summary.listed(below)}, for comparison." if below else ""
    return f"{shown}, best first.{beside} ◆ marks {front}."


def _unranked(findings: Findings) -> str:
    """How many architectures have no rank, and why."""
    kinds = ((findings.failed, "without a finite score"), (findings.outside, "outside the limits"))
    parts = [f"{count(len(rows), 'architecture')} {kind}" for rows, kind in kinds if len(rows)]
    return ", ".join(parts)


def _problems(findings: Findings) -> Table:
    """Why scores are not finite: reasons, how many architectures, and which."""
    groups: dict[str, list[str]] = {}
    for problem, mark in findings.failed[["problem", "fingerprint"]].itertuples(index=False):
        groups.setdefault(problem if isinstance(problem, str) else "unknown", []).append(mark)
    return Table(
        "Architectures whose score is not finite, by reason",
        [Column("reason"), Column("architectures", "number"), Column("fingerprints", "codes")],
        [
            [reason, f"{len(marks):,}", ", ".join(marks[:_SHOWN]) + " …" * (len(marks) > _SHOWN)]
            for reason, marks in sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
        ],
    )


def _drawing(findings: Findings) -> Drawing | None:
    """The best architecture drawn, where there is one and its space has a drawing."""
    run, best = findings.run, findings.best
    draw = DRAWINGS.get(run.settings.space)
    if draw is None or best is None:
        return None
    return draw(best.architecture, run.model_scale, run.vocabulary_size)


def _genotype(findings: Findings) -> str:
    """The best architecture as JSON, one node or layer a line."""
    best = findings.best
    return "" if best is None else _json(findings.run.space.to_dict(best.architecture))


def _json(value: Any, indent: str = "") -> str:
    """Plain types as JSON, in which what holds no object stands on one line."""
    within = value.values() if isinstance(value, Mapping) else value
    if not isinstance(value, Mapping | list) or not any(_holds_object(item) for item in within):
        return json.dumps(value)
    deeper = indent + "  "
    if isinstance(value, Mapping):
        lines = [f"{json.dumps(name)}: {_json(item, deeper)}" for name, item in value.items()]
        opening, closing = "{", "}"
    else:
        lines = [_json(item, deeper) for item in value]
        opening, closing = "[", "]"
    body = ",\n".join(deeper + line for line in lines)
    return f"{opening}\n{body}\n{indent}{closing}"


def _holds_object(value: Any) -> bool:
    return isinstance(value, Mapping) or (
        isinstance(value, list) and any(_holds_object(item) for item in value)
    )
