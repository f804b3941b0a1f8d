"""A leaderboard's page: all metrics on all benchmarks, and for each benchmark what they cost."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from archscout.analysis.document import Document, Plot, Section, Table, intervals, with_interval
from archscout.analysis.evaluation_page import (
    better,
    beyond_size_sections,
    default_said,
    measured,
    write_evaluation,
)
from archscout.analysis.leaderboard import Leaderboard, Round, figures, label, panels
from archscout.analysis.leaderboard.standings import BASELINES, LEVEL, verdicts
from archscout.analysis.leaderboard.timing import REFERENCE
from archscout.analysis.redundancy import THRESHOLD
from archscout.analysis.search_comparison import ROUND_BUDGETS


def write_leaderboard(leaderboard: Leaderboard) -> Path:
    """Write a leaderboard's page, tables and figures into its folder, and its evaluations'."""
    for done in leaderboard.rounds:
        write_evaluation(done.evaluation, done.comparison, leaderboard.rules.seed)
    sections = [_overall(leaderboard)]
    for done in leaderboard.rounds:
        sections.append(_standings(done))
        sections += beyond_size_sections(
            done.evaluation, leaderboard.rules.seed, label(done.benchmark)
        )
        sections += [_redundancy(done), _searches(leaderboard, done)]
    if leaderboard.absent:
        absent = pd.DataFrame(leaderboard.absent.items(), columns=["benchmark", "why"])
        table = Table("absent", absent, "Benchmarks whose files are missing or cannot be used.")
        text = "These benchmarks took no part; `archscout data list` shows what they need."
        sections.append(Section("Not at hand", text, [table]))
    modified = [name for done in leaderboard.rounds for name in done.benchmark.modified]
    return Document(
        "The leaderboard",
        f"Every metric on {len(leaderboard.rounds)} benchmark(s): how well it predicts trained "
        "results, whether it says more than the size of the network does, what it costs, which "
        "metrics say the same, and what a search by it finds.",
        sections,
        list(dict.fromkeys(modified)),
    ).write(leaderboard.folder)


def _overall(leaderboard: Leaderboard) -> Section:
    kendall, pairs = leaderboard.overall("kendall"), leaderboard.overall("pairs")
    columns, shown = {}, {}
    for name in map(str, kendall):
        columns[f"{name}_kendall"], columns[f"{name}_pairs"] = kendall[name], pairs[name]
        shown[name] = [
            "–" if pd.isna(tau) else f"{tau:.3f} ({share:.3f})"
            for tau, share in zip(kendall[name], pairs[name].reindex(kendall.index), strict=True)
        ]
    scored = {
        str(name): next(d.evaluation for d in leaderboard.rounds if name in d.standings.index)
        for name in kendall.index
    }
    return Section(
        "All metrics, all benchmarks",
        "Kendall's τ-b, and in brackets the share of pairs ordered right, a tie counting half. "
        "Both are turned so that more is better; no skill is 0 and one half. Rows are ordered by "
        "their mean τ-b over the benchmarks on which they are defined.",
        [
            Table(
                "leaderboard",
                pd.DataFrame(columns, index=kendall.index),
                "τ-b (pairs ordered right).",
                shown=pd.DataFrame(shown, index=kendall.index),
            ),
            Table(
                "records",
                leaderboard.records,
                "What was scored. `records.csv` holds every number of every benchmark.",
                shown=_covered(leaderboard),
            ),
            measured(scored),
        ],
    )


def _covered(leaderboard: Leaderboard) -> pd.DataFrame:
    """What was evaluated, a row a benchmark, for reading."""
    rows = []
    for done in leaderboard.rounds:
        evaluation, benchmark = done.evaluation, done.benchmark
        settings = evaluation.settings
        rows.append(
            {
                "benchmark": f"[{label(benchmark)}]({label(benchmark)}/index.html)",
                "scored": len(evaluation.scores),
                "trained": int(benchmark.reached(evaluation.scores.index).notna().sum()),
                "predicted": benchmark.target,
                "text": ", ".join(settings.text),
                "reading": settings.scale.get("reading", "–"),
                "gradient of": settings.objective,
                "draws": len(settings.draws),
            }
        )
    return pd.DataFrame(rows)


def _standings(done: Round) -> Section:
    name, target = label(done.benchmark), done.benchmark.target
    reference = REFERENCE[done.benchmark.space.kind]
    labels = {
        "x_label": "milliseconds an architecture, one thread",
        "y_label": f"Kendall's τ-b with {target}",
    }
    draw = partial(
        figures.cost_plot,
        done.standings,
        **labels,
        baselines=BASELINES,
        modified=bool(done.benchmark.modified),
    )
    drawn = partial(panels.cost_plot, done.standings, **labels, baselines=BASELINES)
    caption = (
        "How well metrics predict against what they cost, with 95 % intervals. Points without a "
        "name are in the table."
    )
    table = done.standings
    known = ", ".join(f"`{b}`" for b in BASELINES if b in done.standings.index)
    return Section(
        "Metrics",
        f"*gain*: τ-b less that of `parameters`, with the p-value of a paired bootstrap. "
        f"*partial*: τ given the number of parameters. *regret*: what the best of the ten "
        f"best-scored lacks to the best of all, in `{target}`. *ms*: to build and "
        f"score one network with this metric alone, on one thread; *cost*, the same over that of "
        f"`{reference}`, about one forward pass. *beats*: which baselines of size ({known}) it "
        f"exceeds in τ-b with p below {LEVEL:g}. Brackets are 95 % intervals. "
        f"{default_said(done.evaluation)}",
        [
            Plot(f"{name}-cost", draw, caption, panels=drawn),
            Table(f"{name}-standings", table, "All metrics.", shown=_readable(table)),
        ],
        list(_remarks(done)),
        modified=done.benchmark.modified,
        group=name,
    )


def _readable(table: pd.DataFrame) -> pd.DataFrame:
    shown = pd.DataFrame(index=table.index)
    shown["n"] = table["n"]
    titles = {"τ-b": "kendall", "pairs": "pairs", "Spearman": "spearman", "gain": "gain"}
    for title, column in titles.items():
        shown[title] = intervals(table, column)
    for title, column, digits in (
        *(("p", "gain_p", 3), ("partial", "partial", 3), ("regret", "regret", 3)),
        *(("ms", "milliseconds", 1), ("cost", "relative_cost", 2)),
    ):
        shown[title] = [f"{x:.{digits}f}" if pd.notna(x) else "–" for x in table[column]]
    shown["beats"] = list(verdicts(table))
    return shown


def _remarks(done: Round) -> Iterator[str]:
    """What a reader must know to judge the table."""
    yield from done.benchmark.remarks
    if failed := done.comparison.failed:
        yield (
            f"{failed} network(s) failed in training: they are left out of the statistics, and "
            "count as the worst that was trained where searches find them."
        )
    for name, problem in done.standings["problem"].dropna().items():
        yield f"`{name}` has no statistics: {problem}."


def _redundancy(done: Round) -> Section:
    name, found = label(done.benchmark), done.redundancy
    if found.correlations.empty:
        return Section("Which metrics say the same", "No metric ranks anything.", group=name)
    modified = done.benchmark.modified
    table = found.table(done.standings["kendall"], done.standings["milliseconds"])
    correlations = found.correlations
    constant = ", ".join(f"`{metric}`" for metric in found.constant)
    drawn = (correlations, found.clusters, "Kendall's τ-b")
    return Section(
        "Which metrics say the same",
        f"Kendall's τ-b between metrics, over the untrained networks alone. Every two metrics of a "
        f"cluster have |τ| of at least {THRESHOLD:g}: it is enough to compute one.",
        [
            Plot(
                f"{name}-redundancy",
                partial(figures.heat_map, *drawn, modified=bool(modified)),
                "Columns are in the order of the rows; a frame is a cluster. White stands where no "
                "architectures that both metrics have are told apart by both.",
                correlations.rename_axis("metric"),
                partial(panels.heat_map, *drawn),
            ),
            Table(
                f"{name}-clusters",
                table,
                "Clusters of several metrics, as they are framed from the top: the least |τ| "
                "between two, the member that predicts best, and the cheapest (milliseconds).",
            ),
        ],
        [f"Left out, as they rank nothing: {constant}."] if constant else [],
        modified=modified,
        group=name,
    )


def _searches(leaderboard: Leaderboard, done: Round) -> Section:
    name, benchmark = label(done.benchmark), done.benchmark
    target, larger_is_better = benchmark.target, benchmark.larger_is_better
    drawn = (done.searches, target, larger_is_better, done.best)
    few = [str(k) for k, part in figures.apart(done.searches).items() if part.empty]
    missing = (
        f" There is no picture of searches that train {' or '.join(few)}: fewer architectures were "
        "scored, so that no search differs from another."
        if few
        else ""
    )
    return Section(
        "Searches compared",
        "A search meets the architectures of the benchmark in random order, scores them, and "
        "trains the best by score; `random` scores nothing, and trains the first that it meets. "
        f"Mean over {leaderboard.rules.orders:,} orders.",
        [
            Plot(
                f"{name}-searches",
                partial(figures.search_curves, *drawn, modified=bool(benchmark.modified)),
                f"The best `{target}` ({better(larger_is_better)}) found against the number of "
                "architectures scored: lines are means, bars the middle half of the orders, and "
                f"the dotted line is the best of all.{missing}",
                panels=partial(panels.search_curves, *drawn),
            ),
            Table(
                f"{name}-searches",
                done.searches,
                f"The best `{target}` found: mean, the middle 95 % of the orders in "
                "square brackets, and in round ones how many networks one must train at random to "
                "find as good a one in the mean.",
                shown=_budgets(done.searches),
            ),
        ],
        [f"No search by `{left}`: these networks have no scores of it." for left in done.left_out],
        modified=benchmark.modified,
        group=name,
    )


def _budgets(found: pd.DataFrame) -> pd.DataFrame:
    """Searches by row, some budgets by column, for reading."""
    every = int(found["scored"].max())
    chosen = [*(budget for budget in ROUND_BUDGETS if 10 <= budget < every), every]
    rows = found[found["scored"].isin(chosen)]
    numbers = rows[["mean", "low", "high", "random_trainings"]].itertuples(index=False)
    rows = rows.assign(cell=[f"{with_interval(*row[:3])} ({row[3]})" for row in numbers])
    shown = rows.pivot(index=["search", "trained"], columns="scored", values="cell")
    order = list(dict.fromkeys(zip(found["search"], found["trained"], strict=True)))
    shown = shown.loc[order].reset_index()
    return shown.rename(columns={n: f"{n:,} scored" for n in chosen}).rename_axis(columns=None)
