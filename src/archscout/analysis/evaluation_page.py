"""The page of an evaluation: the table of metrics, what stands behind it, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from archscout.analysis import figures, panels
from archscout.analysis.beyond_size import COLUMNS, NEAR, PARTS, RESAMPLES, beyond_size
from archscout.analysis.budget_comparison import ORDERS, parts
from archscout.analysis.document import Document, Plot, Section, Table, intervals, settings_section
from archscout.analysis.evaluation import FALLBACK_TEXT
from archscout.analysis.evaluation_folder import EvaluationFolder
from archscout.analysis.evaluation_results import Evaluation, column_of
from archscout.analysis.statistics import Comparison
from archscout.metrics import request
from archscout.metrics.formula import PREFIX
from archscout.promotion.strategies import STRATEGIES

_SHOWN = ("kendall", "pairs", "spearman", "pearson", "partial", "overlap", "regret")
_ABLATED = 10


def write_evaluation(evaluation: Evaluation, comparison: Comparison, seed: int = 0) -> Path:
    """Write an evaluation's page, tables and figures into its folder.

    Args:
        evaluation: what was scored.
        comparison: of the scores with the results.
        seed: of what is random besides: resamples at one size, and orders that budgets meet.
    """
    sections = [_statistics(evaluation, comparison), _scatter(evaluation, comparison)]
    sections += beyond_size_sections(evaluation, seed) + _budgets(evaluation, seed)
    if len(evaluation.settings.draws) > 1:
        sections.append(_reliability(evaluation))
    sections.append(
        settings_section(
            evaluation.settings.model_dump()
            | {
                name: _counted(getattr(evaluation.settings, name))
                for name in ("seeds", "minibatches")
            },
            "Everything that decides the scores; `scores.jsonl` has every one of them.",
        )
    )
    benchmark = evaluation.benchmark
    return Document(
        f"Metrics judged on {benchmark.name} ({benchmark.dataset})",
        _introduction(evaluation),
        sections,
        benchmark.modified,
    ).write(evaluation.folder)


def _counted(numbers: Sequence[int]) -> str:
    """How many, as the option says it, and which."""
    which = f"numbers {numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"number {numbers[0]}"
    return f"{len(numbers)} ({which})"


def measured(evaluations: Mapping[str, Evaluation]) -> Table:
    """What metrics measure: by name, an evaluation that has scores of each."""
    rows = [
        (name, "larger" if evaluation.directions[name] else "smaller", measures(evaluation, name))
        for name, evaluation in evaluations.items()
    ]
    table = pd.DataFrame(rows, columns=["metric", "better", "measures"])
    caption = "What each metric measures, and which way is better."
    return Table("measures", table, caption, folded=True)


def measures(evaluation: Evaluation, name: str) -> str:
    """What a metric or combination of an evaluation measures, in a sentence."""
    for combination in evaluation.combinations:
        if combination.name == name:
            made = {"mean": "their mean", "median": "their median", "log": "the mean logarithm"}
            members = " and ".join(f"`{member}`" for member in combination.members)
            return f"Ranks by {members}, {made[combination.method]}."
    if name.startswith(PREFIX):
        return "The formula that is its name."
    found = request(name, evaluation.benchmark.space.kind)
    return f"{found.metric.summary} Layer {found.layer}." if found.layer else found.metric.summary


def better(larger: bool) -> str:
    """Which way is better."""
    return f"{'larger' if larger else 'smaller'} is better"


def summary(comparison: Comparison) -> pd.DataFrame:
    """The statistics, best τ-b first, with the test against the best metric.

    Columns as of `Comparison.table`, and `p_best`: of the hypothesis that the metric is as good
    as the first one of the table, by a paired bootstrap.
    """
    table = comparison.table.sort_values("kendall", ascending=False, kind="stable")
    best = table.index[0]
    p_best = [
        np.nan
        if name == best or pd.isna(table.loc[name, "kendall"])
        else comparison.test(best, name).p_value
        for name in table.index
    ]
    return table.assign(p_best=p_best).rename_axis("metric")


def readable(table: pd.DataFrame) -> pd.DataFrame:
    """The statistics for reading: one column each, its 95 % interval beside it."""
    shown = pd.DataFrame(index=table.index)
    shown["n"] = table["n"]
    for name in _SHOWN:
        if table[name].notna().any():
            shown[name] = intervals(table, name)
    shown["p_best"] = table["p_best"].map(lambda p: "" if pd.isna(p) else f"{p:.3f}")
    if table["problem"].notna().any():
        shown["problem"] = table["problem"].fillna("")
    return shown


def _introduction(evaluation: Evaluation) -> str:
    benchmark, settings = evaluation.benchmark, evaluation.settings
    trained = int(benchmark.reached(evaluation.scores.index).notna().sum())
    draws = len(settings.draws)
    taken = (
        "one initialisation and minibatch"
        if draws == 1
        else f"{len(settings.seeds)} initialisation(s) and {len(settings.minibatches)} "
        "minibatch(es); a score is the mean rank over them"
    )
    return (
        f"{len(evaluation.metrics)} metrics of {len(evaluation.scores)} untrained networks against "
        f"`{benchmark.target}` ({better(benchmark.larger_is_better)}) of the {trained} that were "
        "trained to the end. "
        f"Scored with {taken}, on {', '.join(settings.text)}; {evaluation.milliseconds:.0f} ms a "
        f"network, all metrics together (median). {default_said(evaluation)}"
    )


def default_said(evaluation: Evaluation) -> str:
    """What the default metric of the space measures, where it was scored; else nothing."""
    space = evaluation.benchmark.space
    name = column_of(space.default_metric, space.kind, evaluation.scores)
    if name is None:
        return ""
    return f"The default metric of `{space.name}` is `{name}`: {measures(evaluation, name)}"


def _statistics(evaluation: Evaluation, comparison: Comparison) -> Section:
    table = summary(comparison)
    title = "Kendall's τ-b with the trained result"
    draw = partial(
        figures.bars, table, "kendall", title, modified=bool(evaluation.benchmark.modified)
    )
    plot = Plot(
        "kendall",
        draw,
        "Kendall's τ-b with 95 % intervals.",
        panels=partial(panels.bars, table, "kendall", title),
    )
    return Section(
        "Statistics",
        "Every statistic is positive where a metric predicts as it claims, with a bootstrap 95 % "
        "interval over architectures. *kendall*: τ-b. *pairs*: share of pairs ordered right, a tie "
        "counting half; one half is chance. *partial*: τ-b given the number of parameters: what a "
        "metric says beyond size. *overlap*: share of the ten best that are among the ten "
        "best-scored. *regret*: what the best of the ten best-scored lacks to the best of all. "
        "*p_best*: paired bootstrap test against the first row.",
        [
            plot,
            Table("statistics", table, "All statistics.", shown=readable(table)),
            measured({str(name): evaluation for name in table.index}),
        ],
        list(_remarks(evaluation)),
    )


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    benchmark, settings = evaluation.benchmark, evaluation.settings
    yield from benchmark.remarks
    if failed := int(benchmark.reached(evaluation.scores.index).isna().sum()):
        yield f"{failed} network(s) failed in training and are left out of the statistics."
    for name, count in evaluation.problems.items():
        yield (
            f"`{name}` is not finite in {count} of {len(evaluation.rows)} networks and draws; "
            "they rank last."
        )
    yield from EvaluationFolder(evaluation.folder).remarks()
    trained_on = ", ".join(benchmark.text)
    if benchmark.text_sha256 not in (None, settings.text_sha256):
        yield (
            f"The networks were trained on {trained_on}; scores are taken on another text or "
            f"version of it, {', '.join(settings.text)}."
        )
    elif settings.text == (FALLBACK_TEXT,) != benchmark.text:
        yield f"The networks were trained on {trained_on}; scores are taken on {FALLBACK_TEXT}."


def _scatter(evaluation: Evaluation, comparison: Comparison) -> Section:
    benchmark, scores = evaluation.benchmark, evaluation.scores
    results, turned = benchmark.reached(scores.index), comparison.table
    what = "score" if len(evaluation.settings.draws) == 1 else "mean rank over draws"
    way = better(benchmark.larger_is_better)
    caption = (
        f"Each metric ({what}) against `{benchmark.target}` ({way}), one point an architecture; "
        "the line, where there is one, is the median of equal parts by score. τ (Kendall's τ-b) "
        "and ρ (Spearman's) are those of the table: positive where the metric predicts as it "
        "claims, whichever way the points lean."
    )
    names = list(map(str, scores))
    plot = Plot(
        "scores_against_results",
        partial(
            figures.metric_grid,
            scores,
            results,
            f"{benchmark.target} ({way})",
            turned=turned,
            modified=bool(benchmark.modified),
        ),
        caption,
        scores.join(results),
        partial(
            panels.scatter,
            scores,
            results,
            turned=turned,
            axes={name: f"{what} ({better(evaluation.directions[name])})" for name in names},
            result_axis=f"{benchmark.target} ({way})",
            captions={name: measures(evaluation, name) for name in names},
        ),
    )
    return Section("Scores against results", content=[plot])


def beyond_size_sections(evaluation: Evaluation, seed: int, group: str = "") -> list[Section]:
    """What metrics say of networks of one size; nothing where size does not say most by itself.

    Args:
        evaluation: what was scored.
        seed: of the resamples.
        group: of the section, on a page of several evaluations.
    """
    benchmark = evaluation.benchmark
    if benchmark.size is None:
        return []
    sizes = benchmark.results[benchmark.size].reindex(evaluation.scores.index)
    scores = evaluation.scores.assign(**{benchmark.size: sizes})
    table = beyond_size(
        scores,
        benchmark.reached(scores.index),
        sizes,
        larger_is_better=evaluation.directions | {benchmark.size: True},
        result_larger_is_better=benchmark.larger_is_better,
        seed=seed,
    )
    shown = pd.DataFrame({"n": table["n"].astype(int)})
    for name in COLUMNS:
        shown[name] = intervals(table, name)
    shown["pairs"] = table["pairs"].fillna(0).astype(int)
    text = (
        f"Size says most of what these networks reach: `{benchmark.size}`, published with the "
        "results, stands among the metrics. *spearman*: Spearman's ρ over all. *within*: its mean "
        f"inside {PARTS} equal parts by size. *near*: share of the pairs ordered right among the "
        f"*pairs* whose sizes differ by at most {NEAR - 1:.0%}; one half is chance. "
        f"Brackets are of {RESAMPLES} resamples."
    )
    name = f"{group}-beyond-size" if group else "beyond_size"
    found = Table(name, table, "Best first.", shown=shown)
    return [Section("Beyond size", text, [found], modified=benchmark.modified, group=group)]


def _budgets(evaluation: Evaluation, seed: int) -> list[Section]:
    """What budgets of training find; nothing where the benchmark has no learning curves."""
    benchmark = evaluation.benchmark
    table = evaluation.compare_budgets(seed)
    if table is None:
        return []
    percentiles = table.pivot(index="budget", columns="strategy", values="percentile")
    percentiles = percentiles[list(STRATEGIES)]
    shown = percentiles.copy().astype(str)
    for _, row in table.iterrows():
        text = f"{row['percentile']:.1f}\u00a0±\u00a0{row['error']:.1f}"
        shown.loc[row["budget"], row["strategy"]] = text
    curves = benchmark.learning_curves.columns.to_numpy(dtype=float)
    points = ", ".join(f"{part:.0%}" for part in parts(curves))
    text = (
        f"How many of the pool are better than what is found, in per cent, with its standard error "
        f"over {ORDERS} random orders; no training was run, the learning curves of the benchmark "
        f"stand in for them. *search* is what `archscout search --budget` does, but for breeding, "
        f"which no pool allows, by {', '.join(f'`{name}`' for name in evaluation.features)}, named "
        f"architectures first: halving after {points} of a training. "
        "*random* and *best by score* (the first of these metrics) train whole networks. What is "
        "found has the lowest validation loss of those trained longest, and is judged by the "
        "benchmark's result, so that even a training of all need not find the best."
    )
    content: list[Plot | Table] = [
        Plot(
            "budgets",
            partial(figures.spending, percentiles, modified=bool(benchmark.modified)),
            "What a budget finds, by the strategy that spends it.",
            panels=partial(panels.spending, percentiles),
        ),
        Table("budgets", table, "All budgets.", shown=shown.reset_index()),
    ]
    return [Section("What a budget of training finds", text, content)]


def _reliability(evaluation: Evaluation) -> Section:
    table = evaluation.reliability().sort_values("between_draws", ascending=False)
    settings, benchmark = evaluation.settings, evaluation.benchmark
    results = benchmark.reached(evaluation.scores.index).dropna()
    places = np.linspace(0, len(results) - 1, min(len(results), _ABLATED)).round().astype(int)
    spread = results.sort_values().index[places]
    drawn = {i: evaluation.draw(draw).loc[spread] for i, draw in enumerate(settings.draws)}
    frame = pd.concat(drawn, names=["draw"]).swaplevel()
    shown = results.loc[spread]
    caption = f"Scores of {len(spread)} architectures, spread over the results, in all draws."
    return Section(
        "How reliable is one draw?",
        f"{len(drawn)} draws: {len(settings.seeds)} initialisation(s) times "
        f"{len(settings.minibatches)} minibatch(es), every architecture in each. "
        "*between_draws*: τ-b between the rankings of two draws, mean over pairs of draws. "
        "*variation*: standard deviation between draws over that between architectures. "
        "*kendall*: τ-b with the results of one draw, mean and standard deviation.",
        [
            Table("reliability", table, "Agreement between draws, by metric."),
            Plot(
                "draws",
                partial(figures.box_plots, frame, shown, modified=bool(benchmark.modified)),
                caption,
                panels=partial(panels.boxes, frame, shown),
            ),
        ],
    )
