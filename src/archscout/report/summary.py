"""A run in a few sentences, its settings as tables, and what to type next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from archscout.report.findings import Findings
from archscout.report.numbers import MISSING, count, duration, number, unit_of
from archscout.runs import Run
from archscout.runs.run_folder import BEST
from archscout.runs.search_settings import Objective
from archscout.scoring import resolve_objective

_GROUPS = {
    "limits": "Limits",
    "scale": "Sizes at which networks are scored",
    "model_scale": "Sizes at which costs are taken and the best is built",
}


def sentences(findings: Findings) -> list[str]:
    """What the run did, what it found, and how long it took."""
    if findings.architectures.empty:
        return ["No proposal has been made yet."]
    return [_outcome(findings), _winner(findings), _time(findings)]


def setting_groups(information: Mapping[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """Everything that run.json says: headings, and under each, names and values."""
    settings = information["settings"].model_dump()
    search = {name: value for name, value in settings.items() if name not in _GROUPS}
    others: dict[str, Mapping[str, Any]] = {title: settings[n] for n, title in _GROUPS.items()}
    for name, value in information.items():
        if isinstance(value, Mapping):
            others[name.capitalize()] = value
        elif value is not None and name != "settings":
            search[name] = value
    return [
        (title, [(name.replace("_", " "), _written(value)) for name, value in values.items()])
        for title, values in {"Search": search, **others}.items()
        if values
    ]


def commands(run: Run, ranked: int) -> list[tuple[str, str]]:
    """What can be done with the best architecture of a run: purposes and command lines."""
    if not ranked:
        return []
    folder = shlex.quote(str(run.folder))
    best = shlex.quote(str(run.folder.path / BEST))
    whose = "the best" if len(run.objectives) == 1 else "the Pareto front"
    score = ["archscout score", shlex.quote(run.settings.space), best, *_options(run)]
    export = f"archscout export {folder}"
    lines = [
        ("Write the best architecture as a model that transformers loads:", f"{export} --out best"),
        ("Or the one that ranks second:", f"{export} --rank 2 --out second"),
        (f"Take every metric of {whose}:", " ".join(score)),
    ]
    return lines if ranked > 1 else [lines[0], lines[2]]


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence in a row.

    >>> listed(["a", "b", "c"])
    'a, b and c'
    """
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _outcome(findings: Findings) -> str:
    bred = findings.run.num_bred
    made = count(len(findings.run.trials) - bred, "proposal")
    if bred:
        made += f" and {count(bred, 'bred one')}"
    distinct = count(len(findings.architectures), "distinct architecture")
    others = (findings.outside, "outside the limits"), (findings.failed, "without a finite score")
    parts = [f"{len(findings.scored):,} scored"]
    parts += [f"{len(rows):,} {what}" for rows, what in others if len(rows)]
    return f"{made} gave {distinct}: {listed(parts)}."


def _winner(findings: Findings) -> str:
    best = findings.best
    if best is None:
        return "None was within the limits and had a finite score, so there is nothing to rank."
    goals = findings.objectives
    row = findings.scored.iloc[0]
    reached = [_reached(goal, row[goal.name]) for goal in goals]
    if all(goal.name != "parameters" for goal in goals):
        reached.append(f"{number(row['parameters'])} parameters")
    where = f" in {goals[0].name}" if len(goals) > 1 else ""
    sentence = f"The best{where}, {best.fingerprint}, has {listed(reached)}."
    if len(goals) > 1:
        members = count(int(findings.front.sum()), "architecture")
        names = listed([goal.name for goal in goals])
        sentence += f" The Pareto front of {names} holds {members}."
    return sentence


def _reached(goal: Objective, value: float) -> str:
    unit = unit_of(goal.name)
    if goal.name == "parameters":
        return f"{unit.write(value)} parameters"
    return f"a {goal.name} of {unit.write(value)} {unit.label}".rstrip()


def _time(findings: Findings) -> str:
    sentence = f"It took {duration(findings.wall_seconds)} from the first proposal to the last"
    if not len(findings.milliseconds):
        return f"{sentence}."
    median = duration(float(np.median(findings.milliseconds)) / 1e3)
    return f"{sentence}; scoring an architecture took {median} (median)."


def _written(value: object) -> str:
    if value is None:
        return MISSING
    if isinstance(value, list):
        return ", ".join(map(str, value))
    if isinstance(value, float) and value.is_integer():
        return f"{value:,.0f}"
    # An address of a database may hold a password, and reports are passed on.
    return re.sub(r"(://[^:/@\s]*):[^@\s]*@", r"\1:***@", str(value))


def _options(run: Run) -> Iterable[str]:
    """Options with which the command line scores as the run did."""
    settings = run.settings
    pairs: list[tuple[str, object]] = [("text", place) for place in settings.text]
    default = run.space.scales[run.space.default_scale]
    names = [n for n, scale in run.space.scales.items() if vars(scale) == settings.scale]
    if names:
        pairs += [("size", name) for name in names[:1] if name != run.space.default_scale]
    else:
        changed = {k: v for k, v in settings.scale.items() if getattr(default, k) != v}
        pairs += [("size", f"{name}={value}") for name, value in changed.items()]
    usual = resolve_objective(None, run.space.kind)
    scoring = {
        "split": settings.split,
        "vocabulary_size": settings.vocabulary_size,
        "minibatch": settings.minibatch_index,
        "objective": None if settings.objective == usual else settings.objective,
        "tokenizer": settings.tokenizer,
    }
    pairs += [("scoring", f"{name}={value}") for name, value in scoring.items() if value]
    pairs += [("metric-file", file) for file in settings.metric_files]
    pairs += [("seed", settings.seed)] if settings.seed else []
    pairs += [("device", settings.device)] if settings.device != "cpu" else []
    for name, value in pairs:
        yield f"--{name} {shlex.quote(str(value))}"
