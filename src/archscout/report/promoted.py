"""What became of a budget of training: who was trained how long, and the winner."""

from __future__ import annotations

from archscout.promotion import Promoted, Promotion
from archscout.report.axes import Axis
from archscout.report.figures import BLUE, INK, VERMILLION, Figure, blank, escape
from archscout.report.numbers import bits, count, number
from archscout.report.proof import ProofSummary
from archscout.report.templates import Column, Table
from archscout.training.outcome import written_bits

_DIGITS = 4


def summarise(promotion: Promotion) -> ProofSummary:
    """A promotion in words and as a table of the networks that were trained."""
    named = [_named(promotion, each) for each in promotion.candidates if each.name is not None]
    sentences = [
        _cost(promotion),
        f"Named architectures: {'; '.join(named)}." if named else "",
        _told(promotion),
        _bred(promotion),
        _failures(promotion),
    ]
    return ProofSummary(_verdict(promotion), [s for s in sentences if s], _table(promotion))


def plot_promotion(promotion: Promotion) -> list[Figure]:
    """Validation results by the part of a training, a line each."""
    title = f"validation {promotion.measure}"
    values = [promotion.result(v) for each in promotion.candidates for v in each.losses.values()]
    if not values:
        return []
    up = Axis.of(promotion.measure, values)
    parts = _parts(promotion)
    figure = blank(
        x={
            "title": "part of a full training",
            "type": "log",
            "tickvals": [float(part) for part in parts],
            "ticktext": [_percent(part) for part in parts],
        },
        y={"title": escape(title), **up.options()},
    )
    seen: set[str] = set()
    # The winner last, so that it lies above the others.
    for each in reversed(promotion.candidates):
        group, colour, width = "other", BLUE, 1.2
        if each.name is not None:
            group, colour, width = "named", INK, 1.6
        if each == promotion.winner:
            group, colour, width = "winner", VERMILLION, 2.6
        figure.add_scatter(
            x=[float(part) for part in each.losses],
            y=up.place([promotion.result(loss) for loss in each.losses.values()]),
            mode="lines+markers",
            name=group,
            legendgroup=group,
            showlegend=group not in seen,
            line={"color": colour, "width": width},
            marker={"size": 6},
            opacity=0.6 if group == "other" else 1,
            hovertext=[f"<b>{escape(each.title)}</b><br>rank {each.rank}"] * len(each.losses),
            hoverinfo="text+y",
        )
        seen.add(group)
    networks = count(len(promotion.candidates), "network")
    caption = (
        f"The {title} of {networks} by how long they were trained; a line ends where its network "
        f"left. {up.note}"
    )
    return [Figure.of(figure, f"{title} of {networks} by part of a training.", caption)]


def _verdict(promotion: Promotion) -> str:
    winner = promotion.winner
    part = "test" if "test" in winner.results else "valid"
    return (
        f"The winner is {winner.title}, rank {winner.rank:,} by score: trained whole, it reaches a "
        f"{part} {promotion.measure} of {_written(promotion, winner.results.get(part))}"
        f"{written_bits(winner.bits_per_byte.get(part))}."
    )


def _cost(promotion: Promotion) -> str:
    others = [each for each in promotion.candidates if each != promotion.winner]
    whole = sum(_is_whole(each) for each in others)
    return (
        f"{promotion.spent:.2f} of {promotion.budget:.4g} full trainings were spent, on it and on "
        f"{count(len(others), 'other candidate')} ({whole or 'none'} of them trained whole)."
    )


def _named(promotion: Promotion, each: Promoted) -> str:
    if each == promotion.winner:
        return f"{each.name} won"
    if not each.losses:
        return f"{each.name} failed"
    part, loss = max(each.losses.items(), key=lambda item: float(item[0]))
    reached = f"{promotion.measure} {_written(promotion, loss)}"
    if (winner := promotion.winner.losses.get(part)) is not None:
        reached += f", the winner {_written(promotion, winner)}"
    left = "was trained whole" if _is_whole(each) else f"left at {_percent(part)} of a training"
    return f"{each.name} {left} ({reached})"


def _is_whole(each: Promoted) -> bool:
    return each.reached == 1 and each.problem is None


def _told(promotion: Promotion) -> str:
    """Which scores told something; nothing where too few were trained."""
    if not promotion.told:
        return ""
    shown = [
        f"{each.name} {number(each.kendall, 2)} (p = {each.p_value:.2g})" for each in promotion.told
    ]
    first, n = _parts(promotion)[0], promotion.told[0].n
    return (
        f"Kendall's τ-b with the validation loss at {_percent(first)} of a training, over {n} that "
        f"were trained so far (which scores chose, so their spread is small): {', '.join(shown)}."
    )


def _bred(promotion: Promotion) -> str:
    if not promotion.bred:
        return ""
    return (
        f"{count(promotion.bred, 'candidate')} were bred from those that trained best so far, each "
        "near its parent."
    )


def _failures(promotion: Promotion) -> str:
    failed = sum(each.problem is not None for each in promotion.candidates)
    return f"{count(failed, 'training')} failed." if failed else ""


def _table(promotion: Promotion) -> Table:
    parts = _parts(promotion)
    columns = [Column("rank", "number"), Column("parameters", "number")]
    columns += [Column(_percent(part), "number", "of a training") for part in parts]
    with_bits = any("test" in each.bits_per_byte for each in promotion.candidates)
    columns += [Column("test", "number")]
    columns += [Column("bits per byte", "number", "test")] * with_bits
    columns += [Column("fingerprint", "code"), Column("outcome")]
    rows = [
        [
            str(each.rank),
            f"{each.parameters:,}",
            *(_written(promotion, each.losses.get(part)) for part in parts),
            _written(promotion, each.results.get("test")),
            *[bits(each.bits_per_byte.get("test"), "–")] * with_bits,
            each.title,
            _outcome(promotion, each),
        ]
        for each in promotion.candidates
    ]
    caption = (
        f"Validation {promotion.measure} after parts of a full training, each a stretch of one "
        "training with the same recipe, seed and text; test is that of the best evaluation."
    )
    return Table(caption, columns, rows)


def _outcome(promotion: Promotion, each: Promoted) -> str:
    if each.problem is not None:
        return f"failed: {each.problem}"
    return "◆ winner" if each == promotion.winner else ""


def _parts(promotion: Promotion) -> list[str]:
    return sorted({part for each in promotion.candidates for part in each.losses}, key=float)


def _percent(part: str) -> str:
    return f"{float(part):.0%}"


def _written(promotion: Promotion, loss: float | None) -> str:
    return "–" if loss is None else number(promotion.result(loss), _DIGITS)
