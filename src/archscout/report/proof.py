"""What ways of spending a budget found: did the search pay?"""

from __future__ import annotations

import math
from dataclasses import dataclass

from archscout.comparison import Found, Proof, Standing, compare
from archscout.comparison.verdict import SEARCH
from archscout.promotion.strategies import STRATEGIES
from archscout.report.axes import Axis
from archscout.report.figures import BLUE, INK, MUTED, PALE_BLUE, VERMILLION, Figure, blank, escape
from archscout.report.numbers import MISSING, bits, count, number
from archscout.report.templates import Column, Table
from archscout.training.outcome import written_bits

_DIGITS = 4
_COLOURS: dict[str, str] = dict(zip(STRATEGIES, (VERMILLION, BLUE, PALE_BLUE, MUTED), strict=True))


@dataclass(frozen=True)
class ProofSummary:
    """Trainings in words and as a table."""

    verdict: str
    sentences: list[str]
    table: Table


def summarise(proof: Proof) -> ProofSummary:
    """A proof in words and as a table of the ways of spending the budget."""
    standings = compare(proof)
    sentences = [
        *(_beside(proof, each) for each in standings if each.strategy != SEARCH),
        _control(proof),
        _failures(standings),
    ]
    table = _table(proof, standings)
    return ProofSummary(_verdict(proof, standings), [s for s in sentences if s], table)


def plot_proof(proof: Proof) -> list[Figure]:
    """What was found against what it cost; nothing if all trainings failed."""
    title = f"{proof.part} {proof.measure}"
    there = [each for each in proof.found if each.steps]
    if not there:
        return []
    up = Axis.of(proof.measure, [proof.result(loss) for each in there for _, loss in each.steps])
    costs = {"title": "cost, in full trainings", "rangemode": "tozero"}
    figure = blank(x=costs, y={"title": escape(title), **up.options()})
    for name in proof.strategies:
        found = [each for each in proof.of(name).values() if each.steps]
        is_named = name not in _COLOURS
        for i, each in enumerate(found):
            figure.add_scatter(
                x=[cost for cost, _ in each.steps],
                y=up.place([proof.result(loss) for _, loss in each.steps]),
                mode="markers" if len(each.steps) == 1 else "lines+markers",
                name=escape(name),
                legendgroup=name,
                showlegend=not i,
                line={"shape": "hv", "width": 1.2},
                marker={
                    "size": 12 if name == SEARCH else 8,
                    "symbol": "star" if is_named else "diamond" if name == SEARCH else "circle",
                    "color": INK if is_named else _COLOURS[name],
                },
                hovertext=[f"<b>{escape(name)}</b><br>seed {each.seed}"] * len(each.steps),
                hoverinfo="text+y",
            )
    seeds = count(len(proof.seeds), "seed")
    label = f"{title} found by {len(proof.strategies)} ways of spending a budget, from {seeds}."
    caption = (
        f"The {title} of the best one by validation, against the cost; a line for each seed, a "
        f"point for each network that was trained whole. {up.note}"
    )
    return [Figure.of(figure, label, caption)]


def _verdict(proof: Proof, standings: list[Standing]) -> str:
    ours = standings[0]
    if ours.mean is None:
        return "The search found nothing: all of its trainings failed."
    seeds = count(len(proof.seeds), "seed")
    others = [each for each in standings if each.strategy != SEARCH]
    paid = [each for each in others if (each.won or 0) > each.seeds / 2]
    names = _listed([each.strategy for each in paid])
    lost = _listed([each.strategy for each in others if each not in paid])
    said = f"better than {names}" if paid else ""
    if lost:
        said += f"{', but ' if paid else ''}not better than {lost}"
    most = "in most of them " if len(proof.seeds) > 1 else ""
    return (
        f"For {_trainings(proof.budget, 4)} the search finds a {proof.part} {proof.measure} of "
        f"{_mean(proof, ours)} over {seeds}{written_bits(ours.bits_per_byte)}: {most}{said}."
    )


def _beside(proof: Proof, each: Standing) -> str:
    mean, seeds = _mean(proof, each), each.seeds
    equal = ""
    if each.equal:
        equal = f" ({each.equal} of {seeds} less than 1 % apart)"
    return (
        f"{each.strategy}: {mean} for {_trainings(each.cost, 2)}; the search was better from "
        f"{each.won} of {count(seeds, 'seed')}{equal}."
    )


def _trainings(cost: float, digits: int) -> str:
    said = f"{cost:.{digits}g}"
    return f"{said} full training{'' if said == '1' else 's'}"


def _control(proof: Proof) -> str:
    if not any(proof.drawn):
        return "No random proposal was within the limits, so that none were trained."
    whence = f"{min(proof.drawn):,} proposals made before any score was known"
    if len(set(proof.drawn)) > 1:
        whence += " (the fewest of a seed)"
    return (
        f"Random ones were drawn from {whence}. Each way is charged for its own trainings, as if "
        "there had been no others; scoring is not counted."
    )


def _failures(standings: list[Standing]) -> str:
    failed = [f"{each.strategy} ({each.failed})" for each in standings if each.failed]
    return f"From some seeds nothing was found: {', '.join(failed)}." if failed else ""


def _table(proof: Proof, standings: list[Standing]) -> Table:
    columns = [Column("found by"), Column("mean", "number", f"{proof.part} {proof.measure}")]
    columns += [Column(f"seed {seed}", "number") for seed in proof.seeds]
    with_bits = any(each.bits_per_byte is not None for each in standings)
    columns += [Column("bits per byte", "number", f"mean, {proof.part}")] * with_bits
    columns += [
        Column("cost", "number", "full trainings"),
        Column("trained", "number", "networks"),
        Column("search better", "number"),
    ]
    rows = []
    for each in standings:
        found = proof.of(each.strategy)
        values = [_written(proof, found.get(seed)) for seed in proof.seeds]
        won = "–" if each.won is None else f"{each.won} of {each.seeds}"
        sizes = [f"{each.cost:.3g}", f"{each.trained:.3g}"]
        in_bits = [bits(each.bits_per_byte)] * with_bits
        rows.append([each.strategy, _mean(proof, each), *values, *in_bits, *sizes, won])
    kind = "geometric mean" if proof.is_exponential else "mean"
    caption = (
        f"The {proof.part} {proof.measure} of what each way of spending the budget found, all "
        f"trained with the same recipe and text; its {kind} over seeds. The validation part chose."
    )
    return Table(caption, columns, rows)


def _mean(proof: Proof, each: Standing) -> str:
    return MISSING if each.mean is None else number(proof.result(each.mean), _DIGITS)


def _written(proof: Proof, found: Found | None) -> str:
    loss = None if found is None else proof.loss(found)
    if loss is None or not math.isfinite(loss):
        return MISSING
    return number(proof.result(loss), _DIGITS)


def _listed(names: list[str]) -> str:
    if not names:
        return ""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
