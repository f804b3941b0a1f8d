"""The page of an evaluation: the table of metrics, what stands behind it, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from archscout.analysis.document import Document, Plot, Section, Table
from archscout.analysis.evaluation import FALLBACK_TEXT
from archscout.analysis.evaluation_results import Evaluation
from archscout.analysis.figures import bars, box_plots, metric_grid
from archscout.analysis.statistics import Comparison

_SHOWN = ("kendall", "pairs", "spearman", "pearson", "partial", "overlap", "regret")
_ABLATED = 10


def write_evaluation(evaluation: Evaluation, comparison: Comparison) -> Path:
    """Write an evaluation's page, tables and figures into its folder.

    Returns:
        The HTML page.

    Raises:
        InputError: the folder cannot be written.
    """
    sections = [_statistics(evaluation, comparison), _scatter(evaluation)]
    if len(evaluation.settings.draws) > 1:
        sections.append(_reliability(evaluation))
    sections.append(_settings(evaluation))
    benchmark = evaluation.benchmark
    return Document(
        f"Metrics judged on {benchmark.name} ({benchmark.dataset})",
        _introduction(evaluation),
        sections,
        benchmark.modified,
    ).write(evaluation.folder)


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
            shown[name] = [
                _with_interval(*row)
                for row in zip(
                    table[name], table[f"{name}_low"], table[f"{name}_high"], strict=True
                )
            ]
    shown["p_best"] = table["p_best"].map(lambda p: "" if pd.isna(p) else f"{p:.3f}")
    if table["problem"].notna().any():
        shown["problem"] = table["problem"].fillna("")
    return shown


def _with_interval(value: float, low: float, high: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"


def _introduction(evaluation: Evaluation) -> str:
    benchmark, settings = evaluation.benchmark, evaluation.settings
    trained = int(benchmark.results.loc[evaluation.scores.index, benchmark.target].notna().sum())
    way = "larger" if benchmark.larger_is_better else "smaller"
    draws = len(settings.draws)
    taken = (
        "one initialisation and minibatch"
        if draws == 1
        else f"{len(settings.seeds)} initialisation(s) and {len(settings.minibatches)} "
        "minibatch(es); a score is the mean rank over them"
    )
    return (
        f"{len(evaluation.metrics)} metrics of {len(evaluation.scores)} untrained networks against "
        f"`{benchmark.target}` ({way} is better) of the {trained} that were trained to the end. "
        f"Scored with {taken}, on {', '.join(settings.text)}; {evaluation.milliseconds:.0f} ms a "
        "network, all metrics together (median)."
    )


def _statistics(evaluation: Evaluation, comparison: Comparison) -> Section:
    table = summary(comparison)
    return Section(
        "Statistics",
        "Every statistic is positive where a metric predicts as it claims, with a bootstrap 95 % "
        "interval over architectures. *kendall*: τ-b. *pairs*: share of pairs ordered right, a tie "
        "counting half; one half is chance. *partial*: τ-b given the number of parameters: what a "
        "metric says beyond size. *overlap*: share of the ten best that are among the ten "
        "best-scored. *regret*: what the best of the ten best-scored lacks to the best of all. "
        "*p_best*: paired bootstrap test against the first row.",
        [
            Plot(
                "kendall",
                bars(
                    table,
                    "kendall",
                    "Kendall's τ-b with the trained result",
                    modified=bool(evaluation.benchmark.modified),
                ),
                "Kendall's τ-b with 95 % intervals.",
            ),
            Table("statistics", table, "All statistics.", shown=readable(table)),
        ],
        list(_remarks(evaluation)),
    )


def _remarks(evaluation: Evaluation) -> Iterator[str]:
    benchmark, settings = evaluation.benchmark, evaluation.settings
    yield from benchmark.remarks
    scored = benchmark.results.loc[evaluation.scores.index, benchmark.target]
    if failed := int(scored.isna().sum()):
        yield f"{failed} network(s) failed in training and are left out of the statistics."
    for name, count in evaluation.problems.items():
        yield (
            f"`{name}` is not finite in {count} of {len(evaluation.rows)} networks and draws; "
            "they rank last."
        )
    trained_on = ", ".join(benchmark.text)
    if benchmark.text_sha256 not in (None, settings.text_sha256):
        yield (
            f"The networks were trained on {trained_on}; scores are taken on another text or "
            f"version of it, {', '.join(settings.text)}."
        )
    elif settings.text == (FALLBACK_TEXT,) != benchmark.text:
        yield f"The networks were trained on {trained_on}; scores are taken on {FALLBACK_TEXT}."


def _scatter(evaluation: Evaluation) -> Section:
    benchmark = evaluation.benchmark
    results = benchmark.results[benchmark.target].reindex(evaluation.scores.index)
    what = "its score" if len(evaluation.settings.draws) == 1 else "its mean rank over draws"
    return Section(
        "Scores against results",
        content=[
            Plot(
                "scores_against_results",
                metric_grid(
                    evaluation.scores,
                    results,
                    benchmark.target,
                    modified=bool(benchmark.modified),
                ),
                f"Each metric ({what}) against `{benchmark.target}`, one point an architecture.",
                evaluation.scores.join(results),
            )
        ],
    )


def _reliability(evaluation: Evaluation) -> Section:
    table = evaluation.reliability().sort_values("between_draws", ascending=False)
    draws = evaluation.settings.draws
    chosen = evaluation.scores.index
    results = evaluation.benchmark.results[evaluation.benchmark.target].reindex(chosen).dropna()
    spread = results.sort_values().index[:: max(1, len(results) // _ABLATED)][:_ABLATED]
    frame = pd.concat(
        [evaluation.draw(draw).loc[spread] for draw in draws],
        keys=range(len(draws)),
        names=["draw"],
    ).swaplevel()
    return Section(
        "How reliable is one draw?",
        f"{len(draws)} draws: {len(evaluation.settings.seeds)} initialisation(s) times "
        f"{len(evaluation.settings.minibatches)} minibatch(es), every architecture in each. "
        "*between_draws*: τ-b between the rankings of two draws, mean over pairs of draws. "
        "*variation*: standard deviation between draws over that between architectures. "
        "*kendall*: τ-b with the results of one draw, mean and standard deviation.",
        [
            Table("reliability", table, "Agreement between draws, by metric."),
            Plot(
                "draws",
                box_plots(
                    frame,
                    results.loc[spread],
                    modified=bool(evaluation.benchmark.modified),
                ),
                f"Scores of {len(spread)} architectures, spread over the results, in all draws.",
            ),
        ],
    )


def _settings(evaluation: Evaluation) -> Section:
    settings = evaluation.settings.model_dump()
    rows = [
        (
            name,
            ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value,
        )
        for name, value in settings.items()
    ]
    shown = [
        (name, ", ".join(map(str, value)) if isinstance(value, tuple) else str(value))
        for name, value in rows
    ]
    return Section(
        "Settings",
        content=[
            Table(
                "settings",
                pd.DataFrame(shown, columns=["setting", "value"]),
                "Everything that decides the scores; `scores.jsonl` has every one of them.",
            )
        ],
    )
