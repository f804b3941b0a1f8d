"""What became of the candidates that were trained: did the search pay?"""

from __future__ import annotations

from dataclasses import dataclass

from archscout.comparison import Comparison, Proof, Trainee, compare
from archscout.report.axes import Axis
from archscout.report.figures import (
    BLUE,
    VERMILLION,
    Figure,
    Quantity,
    add_points,
    add_ring,
    blank,
    escape,
)
from archscout.report.numbers import MISSING, count, duration, number, unit_of
from archscout.report.templates import Column, Table

TOP, RANDOM = "top", "random"
_DIGITS = 4


@dataclass(frozen=True)
class ProofSummary:
    """A proof in words and as a table of the networks that were trained."""

    verdict: str
    sentences: list[str]
    table: Table


def summarise(proof: Proof, proposals: int | None = None) -> ProofSummary:
    """A proof in words and as a table, of a run that has made so many proposals by now."""
    found = compare(proof)
    sentences = [
        _winner(proof),
        _means(proof, found),
        _failures(found),
        _correlations(found),
        _control(proof),
        _time(proof, found),
        _since(proof, proposals),
    ]
    return ProofSummary(_verdict(proof, found), [s for s in sentences if s], _table(proof))


def plot_proof(proof: Proof) -> list[Figure]:
    """Each objective against the trained result; nothing if all trainings failed."""
    if proof.winner is None:
        return []
    return [_plot(proof, Quantity(name, sign)) for name, sign in proof.directions.items()]


# In words


def _verdict(proof: Proof, found: Comparison) -> str:
    top, random = found.best_top, found.best_random
    ours = f"the best of the {len(proof.top)} top candidates"
    theirs = f"the best of {count(len(proof.random), 'random one')}"
    if top is None and random is None:
        return "All trainings failed, so they tell nothing about the search."
    if random is None:
        return f"The search paid here: {ours} {_reached(proof, top)}, and all random ones failed."
    if top is None:
        others = f"{theirs} {_reached(proof, random)}, and all top ones failed"
        return f"The search did not pay here: {others}."
    if found.paid is None:
        return (
            f"The search made no difference here: {ours} {_reached(proof, top)}, {theirs} "
            f"{_value(proof, random)}, less apart than another seed may bring them."
        )
    paid, better, first, worse, second = "paid", ours, top, theirs, random
    if not found.paid:
        paid, better, first, worse, second = "did not pay", theirs, random, ours, top
    gap = number(100 * (1 - _result(proof, first) / _result(proof, second)), 2)
    return (
        f"The search {paid} here: {better} {_reached(proof, first)}, {gap} % below the "
        f"{_value(proof, second)} that {worse} reaches."
    )


def _reached(proof: Proof, trainee: Trainee | None) -> str:
    return f"reaches a {proof.part} {proof.measure} of {_value(proof, trainee)}"


def _value(proof: Proof, trainee: Trainee | None) -> str:
    assert trainee is not None
    return number(_result(proof, trainee), _DIGITS)


def _result(proof: Proof, trainee: Trainee) -> float:
    return proof.result(trainee.loss(proof.part))


def _winner(proof: Proof) -> str:
    winner = proof.winner
    if winner is None:
        return ""
    group = "one of the best by score" if winner in proof.top else "one of those drawn at random"
    return (
        f"The validation part chooses the winner of all: {winner.fingerprint}, rank "
        f"{winner.rank:,}, {group}."
    )


def _means(proof: Proof, found: Comparison) -> str:
    if found.mean_top is None or found.mean_random is None:
        return ""
    better = "better" if found.mean_top < found.mean_random else "no better"
    top = number(proof.result(found.mean_top), _DIGITS)
    random = number(proof.result(found.mean_random), _DIGITS)
    kind = "geometric mean" if proof.is_exponential else "mean"
    chance = ""
    if found.p_value is not None:
        chance = f" (p = {found.p_value:.2g}, by exchanging networks between the groups)"
    return (
        f"On average the top ones are {better}: their {kind} is {top}, that of the random ones "
        f"{random}{chance}. With {len(proof.trainees)} networks and one seed each, only a large "
        "difference is more than chance."
    )


def _failures(found: Comparison) -> str:
    if not found.failed or found.seconds_each is None:
        return ""
    return (
        f"{count(found.failed, 'training')} failed; the means count a failure as the worst of the "
        "others, the correlation as the last."
    )


def _correlations(found: Comparison) -> str:
    if found.seconds_each is None:
        return ""
    parts = [
        f"{c.name} {number(c.kendall, 2)} (p = {c.p_value:.2g})"
        for c in found.correlations
        if c.kendall is not None and c.p_value is not None
    ]
    if not parts:
        return "No rank correlation with the trained result is defined: all are equal."
    n = found.correlations[0].n
    return (
        f"Kendall's τ-b with the trained result, over these n = {n} networks: {', '.join(parts)}. "
        "That is few, and the top ones were chosen for their score: it is not the correlation in "
        "the space as a whole."
    )


def _control(proof: Proof) -> str:
    others = count(proof.pool, "other architecture")
    drawn, told = len(proof.random), ""
    if proof.sampler == "random":
        told = f"The random ones were drawn from the run's {others}, all proposed at random."
    elif proof.late < drawn:
        whence = f"{others} that {proof.sampler} proposed before it had seen a score"
        told = f"The random ones were drawn from {whence}."
    if proof.late:
        whose = "All random ones" if proof.late == drawn else f"{proof.late} of the random ones"
        verb = "comes" if proof.late == 1 < drawn else "come"
        told += (
            f" {whose} {verb} from later proposals of {proof.sampler}, for want of others: the "
            "score has shaped these, which makes the comparison harder for the search."
        )
    if drawn < proof.asked:
        told += f" There were no more than {drawn} to draw, {proof.asked} were asked for."
    return told.strip()


def _time(proof: Proof, found: Comparison) -> str:
    each, everything = found.seconds_each, found.seconds_all
    if each is None or everything is None:
        return ""
    share = number(100 * found.seconds_top / everything, 2)
    return (
        f"A training took {duration(each)} on average, so training all "
        f"{count(proof.architectures, 'architecture')} would take {duration(everything)}. Scoring "
        f"them ({duration(proof.scoring_seconds)}) and training the top {len(proof.top)} took "
        f"{duration(found.seconds_top)}, {share} % of it; with the random ones, which only this "
        f"comparison needs, {duration(found.seconds_spent)}. Times of several workers are added up."
    )


def _since(proof: Proof, proposals: int | None) -> str:
    if proposals is None or proposals == proof.proposals:
        return ""
    return (
        f"They were trained after {proof.proposals:,} proposals. By now there are {proposals:,}, "
        "and ranks may have changed."
    )


# As a table and a plot


def _table(proof: Proof) -> Table:
    parts = ["valid", "test"] if proof.part == "test" else ["valid"]
    columns = [Column("rank", "number"), Column("group")]
    columns += [Quantity(name, sign).column for name, sign in proof.directions.items()]
    if "parameters" not in proof.directions:
        columns.append(Column("parameters", "number"))
    columns += [Column(part, "number", proof.measure) for part in parts]
    columns.append(Column("seconds", "number", "of training"))
    columns += [Column("fingerprint", "code"), Column("outcome")]
    rows = [
        [
            str(trainee.rank),
            group,
            *(unit_of(name).write(trainee.scores[name]) for name in proof.directions),
            *([] if "parameters" in proof.directions else [f"{trainee.parameters:,}"]),
            *(_written(proof, trainee, part) for part in parts),
            number(trainee.seconds, 3),
            trainee.fingerprint,
            _outcome(proof, trainee),
        ]
        for group, trainees in ((TOP, proof.top), (RANDOM, proof.random))
        for trainee in trainees
    ]
    sizes = f"{len(proof.top)} best by score and {count(len(proof.random), 'random one')}"
    caption = (
        f"The {sizes}, each trained once with the same recipe, seed and text. The validation part "
        "chose the best epoch and the winner; the groups are compared on the "
        f"{'test' if proof.part == 'test' else 'validation'} part."
    )
    return Table(caption, columns, rows)


def _written(proof: Proof, trainee: Trainee, part: str) -> str:
    loss = trainee.losses.get(part)
    return MISSING if loss is None else number(proof.result(loss))


def _outcome(proof: Proof, trainee: Trainee) -> str:
    if trainee.problem is not None:
        return f"failed: {trainee.problem}"
    return "◆ winner" if trainee == proof.winner else ""


def _plot(proof: Proof, goal: Quantity) -> Figure:
    title = f"{proof.part} {proof.measure}"
    finished = [t for t in proof.trainees if proof.part in t.losses]
    across = Axis.of(goal.name, [t.scores[goal.name] for t in finished])
    up = Axis.of(proof.measure, [_result(proof, t) for t in finished])
    figure = blank(
        x={"title": goal.title, **across.options()}, y={"title": escape(title), **up.options()}
    )
    looks = (
        (f"{TOP} by score", proof.top, {"color": VERMILLION, "size": 10, "symbol": "diamond"}),
        (RANDOM, proof.random, {"color": BLUE, "size": 9, "opacity": 0.75}),
    )
    for name, group, marker in looks:
        there = [t for t in group if t in finished]
        x, y = [t.scores[goal.name] for t in there], [_result(proof, t) for t in there]
        hover = [_hover(proof, t) for t in there]
        add_points(figure, name, across.place(x), up.place(y), marker, hover)
    winner = proof.winner
    assert winner is not None
    places = across.place([winner.scores[goal.name]]), up.place([_result(proof, winner)])
    add_ring(figure, "winner", *places, 18)
    networks = count(len(finished), "trained network")
    label = f"{title} against {goal.name} of {networks}."
    caption = (
        f"{networks} by {goal} and {title} (smaller is better). The "
        f"ring marks the one that the validation part chose. {across.note} {up.note}"
    )
    if failed := len(proof.trainees) - len(finished):
        caption += f" Left out: {count(failed, 'training')} that failed."
    return Figure.of(figure, label, caption)


def _hover(proof: Proof, trainee: Trainee) -> str:
    scores = [f"{escape(name)} {unit_of(name).write(v)}" for name, v in trainee.scores.items()]
    lines = [f"<b>{escape(trainee.fingerprint)}</b>", f"rank {trainee.rank}", *scores]
    lines.append(f"{proof.measure} {_written(proof, trainee, proof.part)}")
    if "parameters" not in trainee.scores:
        lines.append(f"parameters {trainee.parameters:,}")
    return "<br>".join(lines)
