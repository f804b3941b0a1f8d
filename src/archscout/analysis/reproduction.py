"""The paper's tables and figures from the published files.

Source: Serianni and Kalita, "Training-free Neural Architecture Search for RNNs and Transformers"
(ACL 2023).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, combinations, pairwise
from pathlib import Path
from typing import Literal, get_args

import pandas as pd
from scipy import stats

from archscout.analysis.document import Document, Plot, Section, Table
from archscout.analysis.figures import bars, box_plots, lines, metric_grid
from archscout.analysis.reliability import reliability
from archscout.analysis.statistics import compare
from archscout.benchmarks import published_tables as tables
from archscout.benchmarks.published_tables import Draw, PublishedTable
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError

Which = Literal["rnn", "flexibert", "all"]
Progress = Callable[[int, int], None]

_STATISTICS = ("kendall", "spearman", "pearson", "pairs")
# What the paper's complete data give, absolute values: of recurrent networks over 8,794
# architectures on Penn Treebank, of encoders over 500.
_PUBLISHED = {
    ("recurrent", "hidden_covariance[1]"): (0.3715, 0.5244),
    ("encoder", "softmax_confidence"): (0.216, None),
    ("encoder", "synaptic_diversity"): (0.156, None),
    ("encoder", "head_importance"): (0.164, None),
    ("encoder", "activation_distance"): (0.222, None),
    ("encoder", "parameters"): (0.454, None),
    ("encoder", "head_confidence"): (0.478, None),
    ("encoder", "synaptic_saliency"): (0.188, None),
    ("encoder", "jacobian_covariance"): (0.042, None),
}
_DRAWN = {"minibatch": "minibatches", "initialisation": "initialisations"}
_SIGNS = (
    "Correlations are those of the raw columns, with nothing turned round: negative where a larger "
    "score goes with a smaller {result}{better}. The paper prints absolute values."
)
_FIGURE = (
    "Darker points lie closer together. Axes are logarithmic where a metric spans magnitudes; "
    "triangles stand for values beyond an axis, which count in the statistics."
)


@dataclass(frozen=True)
class _Part:
    """What came of some of the files.

    Attributes:
        section: of the page.
        statistics: rows of the summary; None where there are none.
        modified: names of the files that are not as published.
    """

    section: Section
    statistics: pd.DataFrame | None
    modified: tuple[str, ...]


@dataclass(frozen=True)
class Reproduction:
    """The paper's tables and figures, as far as the files at hand give them.

    Attributes:
        document: the page.
        summary: a row for each correlation. `networks` (recurrent or encoder), `metric`, `result`,
            `n`, `problem`; `kendall`, `spearman`, `pearson` and `pairs` (share of the pairs that
            the metric orders as the result does), raw, each with the ends of its 95 % interval
            (`kendall_low`, `kendall_high`, ...); `kendall_absolute` and `spearman_absolute`, as
            the paper prints them; `published_kendall` and `published_spearman`, what the complete
            data give, where that is known.
        problems: why something could not be made: a message for each missing or damaged file.
    """

    document: Document
    summary: pd.DataFrame
    problems: tuple[str, ...] = field(default=())

    @property
    def complaint(self) -> str | None:
        """All problems in one message; None where there are none."""
        if not self.problems:
            return None
        return "not everything could be made:\n" + "\n".join(self.problems)


def reproduce(
    folder: DataFolder,
    which: Which,
    out: Path,
    resamples: int = 1000,
    progress: Progress | None = None,
) -> Path:
    """Write the paper's tables and figures as a page.

    Args:
        folder: of the published files.
        which: of recurrent networks, of encoders, or all.
        out: folder to write.
        resamples: of the bootstrap, for 95 % intervals.
        progress: is told how many of how many parts are done.

    Returns:
        The HTML page.

    Raises:
        InputError: an argument cannot be used; or a file is missing or damaged, after what does
            not need it was written.
    """
    done = compute(folder, which, resamples, progress)
    page = done.document.write(out)
    if done.complaint:
        raise InputError(f"{done.complaint}\nthe rest is in {page}")
    return page


def compute(
    folder: DataFolder, which: Which, resamples: int = 1000, progress: Progress | None = None
) -> Reproduction:
    """Make the paper's tables and figures.

    Args:
        folder: of the published files.
        which: of recurrent networks, of encoders, or all.
        resamples: of the bootstrap, for 95 % intervals.
        progress: is told how many of how many parts are done.

    Raises:
        InputError: an argument cannot be used, or nothing can be made of the files at hand.
    """
    if which not in get_args(Which):
        raise InputError(f"cannot reproduce {which!r}; accepted are {', '.join(get_args(Which))}")
    if resamples < 1:
        raise InputError(f"resamples is {resamples}; a whole number of at least 1 is accepted")
    makers = _makers(folder, which, resamples)
    parts, problems = [], []
    for i, make in enumerate(makers, start=1):
        try:
            parts.append(make())
        except InputError as error:
            problems.append(str(error))
        if progress:
            progress(i, len(makers))
    # Two parts may lack the same file.
    problems = list(dict.fromkeys(problems))
    if not parts:
        raise InputError("\n".join(problems))
    rows = [part.statistics for part in parts if part.statistics is not None]
    summary = pd.concat(rows, ignore_index=True) if rows else pd.DataFrame()
    modified = list(dict.fromkeys(name for part in parts for name in part.modified))
    sections = [replace(part.section, modified=part.modified) for part in parts]
    if rows:
        sections.insert(0, _summary(summary, bool(modified)))
    if problems:
        sections.append(_missing(problems))
    document = Document(
        "Training-free NAS for RNNs and Transformers, reproduced",
        "Tables and figures of Serianni and Kalita, *Training-free Neural Architecture Search for "
        "RNNs and Transformers* (ACL 2023), made from the files published with it. Nothing here "
        f"is scored anew. Intervals are of 95 %, from {resamples:,} bootstrap resamples of the "
        "architectures (seed 0).",
        sections,
        modified,
    )
    return Reproduction(document, summary, tuple(problems))


def _makers(folder: DataFolder, which: Which, resamples: int) -> list[Callable[[], _Part]]:
    recurrent: list[Callable[[], _Part]] = [
        lambda: _recurrent_metrics(folder, resamples),
        lambda: _recurrent_parameters(folder, resamples),
        lambda: _recurrent_draws(folder, "minibatch"),
        lambda: _recurrent_draws(folder, "initialisation"),
    ]
    encoders: list[Callable[[], _Part]] = [
        lambda: _encoder_metrics(folder, resamples),
        lambda: _encoder_draws(folder, "minibatch"),
        lambda: _encoder_draws(folder, "initialisation"),
        lambda: _pretraining(folder),
    ]
    chosen = {"rnn": recurrent, "flexibert": encoders, "all": recurrent + encoders}
    return chosen[which]


def _recurrent_metrics(folder: DataFolder, resamples: int) -> _Part:
    table = tables.recurrent_scores(folder)
    scores, loss = table.frame[list(tables.RECURRENT_METRICS)], table.frame["loss"]
    statistics = _statistics("recurrent", scores, loss, resamples)
    modified = table.source.modified
    remarks = [*_left_out(table), *_corrupt(scores["jacobian_covariance"], folder)]
    remarks.append(
        "Released code and published columns differ in activation distance, synaptic saliency and "
        "hidden synaptic saliency; the columns are shown as published."
    )
    section = Section(
        "Recurrent networks: metrics against loss",
        f"The twelve published metrics of {len(scores):,} recurrent networks of NAS-Bench-NLP "
        "against their loss after training on Penn Treebank. "
        + _SIGNS.format(result="loss", better=", as it should be for a metric of which more is "
                        "better"),
        [
            Plot(
                "recurrent_metrics",
                metric_grid(scores, loss, "loss", modified=modified),
                f"Each metric against the loss (smaller is better), one point a network. {_FIGURE}",
                table.frame,
            ),
            _kendall_bars("recurrent", statistics, "loss", modified),
        ],
        remarks,
    )  # fmt: skip
    return _Part(section, statistics, _modified(table))


def _recurrent_parameters(folder: DataFolder, resamples: int) -> _Part:
    table, sizes = tables.recurrent_scores(folder), tables.recurrent_parameters(folder)
    joined = table.frame[["loss"]].join(sizes.frame[["parameters"]], how="inner")
    statistics = _statistics("recurrent", joined[["parameters"]], joined["loss"], resamples)
    without = len(table.frame) - len(joined)
    modified = _modified(table, sizes)
    section = Section(
        "Recurrent networks: parameters against loss",
        f"The number of trainable parameters of {len(joined):,} networks: those of "
        f"RNN_results.csv ({len(table.frame):,}) that RNN_parameters.csv ({len(sizes.frame):,}) "
        f"has too, by the name of their log; {without:,} are without a number.",
        [
            Plot(
                "recurrent_parameters",
                metric_grid(
                    joined[["parameters"]], joined["loss"], "loss", modified=bool(modified)
                ),
                f"Parameters against the loss (smaller is better). {_FIGURE}",
                joined,
            )
        ],
        _left_out(sizes),
    )
    return _Part(section, statistics, modified)


def _recurrent_draws(folder: DataFolder, draw: Draw) -> _Part:
    table = tables.recurrent_ablation(folder, draw)
    scores = table.frame[list(tables.RECURRENT_METRICS)]
    return _draws("Recurrent", "networks", draw, table, scores, "loss", _left_out(table))


def _encoder_metrics(folder: DataFolder, resamples: int) -> _Part:
    table = tables.encoder_scores(folder)
    glue, modified = table.frame["glue"].rename("GLUE"), table.source.modified
    names = [*tables.ENCODER_METRICS, "parameters"]
    statistics = _statistics("encoder", table.frame[names], glue, resamples)
    normalized = [name for name in tables.ENCODER_METRICS if _is_normalized(name)]
    plain = [name for name in tables.ENCODER_METRICS if name not in normalized]
    plots = [
        Plot(
            name,
            metric_grid(table.frame[columns], glue, "GLUE", modified=modified),
            f"{what} against GLUE (larger is better), one point an encoder. {_FIGURE}",
            table.frame[["glue", *columns]],
        )
        for name, columns, what in (
            ("encoder_metrics", plain, "Metrics that are not normalised"),
            ("encoder_metrics_normalized", normalized, "Normalised metrics"),
            ("encoder_parameters", ["parameters"], "The number of parameters"),
        )
    ]
    section = Section(
        "Encoders: metrics against GLUE",
        f"The published metrics of {len(glue):,} encoders of NAS-Bench-BERT against their mean "
        "score on GLUE, as sums over the network, divided by the number of terms (normalised), "
        "and the number of parameters. "
        + _SIGNS.format(result="GLUE score", better=""),
        [*plots, _kendall_bars("encoder", statistics, "GLUE", modified)],
        [*_left_out(table), *_ENCODER_REMARKS],
    )  # fmt: skip
    return _Part(section, statistics, _modified(table))


_ENCODER_REMARKS = (
    "These metrics were computed on other networks than were trained. The published scoring code "
    "fixes hidden size 256 and feed-forward size 1,024 for every encoder, and its linear-transform "
    "layers lack the output projection, residual and layer norm; so does the parameter column, "
    "which does not depend on the hidden size.",
    "The training code compares the names of operations by `is`, which strings from a JSON file "
    "never satisfy; every layer would have been trained as scaled dot-product attention.",
    "The gradient behind synaptic diversity, synaptic saliency, head importance and both Jacobian "
    "scores is zero: the published code differentiates the sum of a layer norm's output, which is "
    "a constant at initialisation. These columns are made of rounding errors.",
)


def _encoder_draws(folder: DataFolder, draw: Draw) -> _Part:
    table = tables.encoder_ablation(folder, draw)
    scores = table.frame[list(tables.ENCODER_METRICS)]
    remarks = [*_left_out(table), *_growing(scores, draw)]
    return _draws("Encoders", "encoders", draw, table, scores, "glue", remarks)


def _pretraining(folder: DataFolder) -> _Part:
    table = tables.pretraining_ablation(folder)
    curves = table.frame["glue"].unstack("steps").T.sort_index().rename_axis("steps")
    last = curves.index[-1]
    agreement = pd.DataFrame(
        [(steps, *_agreement(row, curves.loc[last])) for steps, row in curves.iterrows()],
        columns=["steps", "n", "kendall"],
    )
    section = Section(
        "Encoders: GLUE against pretraining steps",
        f"{curves.shape[1]} encoders, fine-tuned on GLUE after every so many steps of pretraining, "
        f"up to {last:,}; at 0 steps with the initial weights.",
        [
            Plot(
                "encoder_pretraining",
                lines(curves, "pretraining steps", "GLUE", modified=table.source.modified),
                "One line an encoder, coloured by its last score; *id* is the ablation's own.",
                curves,
            ),
            Table(
                "encoder_pretraining_ranking",
                agreement,
                f"Kendall's τ-b of the ranking after so many steps with that after {last:,}.",
            ),
        ],
        [*_left_out(table), *_repeated(table.frame)],
    )
    return _Part(section, None, _modified(table))


def _draws(
    title: str,
    networks: str,
    draw: Draw,
    table: PublishedTable,
    scores: pd.DataFrame,
    result: str,
    remarks: Sequence[str],
) -> _Part:
    """The section on what other minibatches or initialisations do to the scores."""
    drawn = _DRAWN[draw]
    results = table.frame[result].groupby(level=0).first()
    name = f"{'recurrent' if title == 'Recurrent' else 'encoder'}_{drawn}"
    spread, fewer = _spread(scores, results)
    if fewer:
        remarks = [*remarks, f"{fewer} with fewer {drawn} than the others are not in the table."]
    count = scores.groupby(level=0).size()
    heading = f"{title} networks" if title == "Recurrent" else title
    section = Section(
        f"{heading}: {draw} ablation",
        f"The same {len(count)} {networks}, scored with {count.max()} {drawn} each.",
        [
            Plot(
                name,
                box_plots(
                    scores,
                    results.rename("GLUE" if result == "glue" else result),
                    modified=table.source.modified,
                ),
                f"Scores over the {drawn}: a point each, a box for the quartiles, whiskers to the "
                f"extremes. {networks.capitalize()} are ordered by their trained result.",
                scores.join(table.frame[result]),
            ),
            Table(
                f"{name}_spread",
                spread,
                "By metric: *mean* of all scores; *standard_deviation* between draws, and "
                "*coefficient_of_variation*, that over the size of the mean score (both of one "
                f"architecture, mean over the {networks}); *between_draws*, Kendall's τ-b between "
                "the rankings of two draws (mean over pairs of draws), and the least; *kendall*, "
                f"τ-b of one draw with the trained result, raw, mean over draws and its deviation.",
            ),
        ],
        list(remarks),
    )
    return _Part(section, None, _modified(table))


def _spread(scores: pd.DataFrame, results: pd.Series) -> tuple[pd.DataFrame, int]:
    """How much scores vary over draws, by metric; and how many architectures lack draws.

    Raises:
        InputError: there are fewer than two draws.
    """
    counts = scores.groupby(level=0).size()
    whole = counts.index[counts == counts.max()]
    complete = scores.loc[whole]
    by_draw = [frame.droplevel("draw").loc[whole] for _, frame in complete.groupby(level="draw")]
    groups = complete.groupby(level=0)
    means, deviations = groups.mean(), groups.std(ddof=1)
    spread = pd.DataFrame(
        {
            "mean": complete.mean(),
            "standard_deviation": deviations.mean(),
            "coefficient_of_variation": (deviations / means.abs()).mean(),
        }
    )
    agreement = reliability(
        by_draw, results.loc[whole], dict.fromkeys(map(str, scores.columns), True), True
    )
    # Of the same ranking in all draws the deviation is a rounding error.
    deviation = agreement["kendall_deviation"]
    agreement["kendall_deviation"] = deviation.where((deviation > 1e-12) | deviation.isna(), 0.0)
    columns = ["between_draws", "between_draws_least", "kendall", "kendall_deviation"]
    return spread.join(agreement[columns]).rename_axis("metric"), len(counts) - len(whole)


def _statistics(
    networks: str, scores: pd.DataFrame, results: pd.Series, resamples: int
) -> pd.DataFrame:
    """Rows of the summary: metrics against a result, raw."""
    # Both read as if larger were better, so that signs are those of the raw columns.
    compared = compare(
        scores,
        results,
        larger_is_better=dict.fromkeys(map(str, scores.columns), True),
        result_larger_is_better=True,
        resamples=resamples,
    ).table
    known = [_PUBLISHED.get((networks, name), (None, None)) for name in compared.index]
    ends = [f"{name}{end}" for name in _STATISTICS for end in ("", "_low", "_high")]
    table = compared[["n", "problem", *ends]].reset_index()
    table.insert(0, "networks", networks)
    table.insert(2, "result", str(results.name))
    for i, name in enumerate(("kendall", "spearman")):
        table[f"{name}_absolute"] = table[name].abs()
        table[f"published_{name}"] = pd.Series([pair[i] for pair in known], dtype=float)
    return table


def _summary(summary: pd.DataFrame, modified: bool) -> Section:
    shown = summary[["networks", "metric", "result", "n"]].copy()
    for name in ("kendall", "spearman", "pearson"):
        shown[name] = [
            _with_interval(*row)
            for row in zip(*(summary[f"{name}{end}"] for end in ("", "_low", "_high")), strict=True)
        ]
    pairs = [(f"{name}_absolute", f"published_{name}") for name in ("kendall", "spearman")]
    for name in chain(*pairs):
        shown[name] = summary[name].map(lambda value: "" if pd.isna(value) else f"{value:.4f}")
    if summary["problem"].notna().any():
        shown["problem"] = summary["problem"].fillna("")
    remark = (
        "The data at hand are modified, so the absolute values cannot equal the published ones: "
        "those are of the complete files."
        if modified
        else "On the complete files the absolute values equal the published ones, to rounding."
    )
    return Section(
        "Summary",
        "Every metric against the trained result. *kendall* (τ-b), *spearman* (ρ) and *pearson* "
        "(r) are of the raw columns, with their 95 % intervals: no metric and no result is turned "
        "round, so a good metric of which more is better is negative against the loss and positive "
        "against GLUE. *absolute*: as the paper prints them. *published*: what the complete data "
        "give, where archscout knows it (recurrent: 8,794 networks on Penn Treebank; encoders: "
        "500).",
        [Table("summary", summary, "All correlations.", shown=shown)],
        [remark],
    )


def _missing(problems: Sequence[str]) -> Section:
    return Section(
        "What is missing",
        "These parts could not be made:\n\n"
        + "\n".join(f"- {' '.join(problem.split())}" for problem in problems),
    )


def _kendall_bars(networks: str, statistics: pd.DataFrame, result: str, modified: bool) -> Plot:
    figure = bars(
        statistics.set_index("metric"),
        "kendall",
        f"Kendall's τ-b with {result}, 95 % interval",
        modified=modified,
    )
    return Plot(f"{networks}_kendall", figure, f"Kendall's τ-b with {result}, raw.")


def _corrupt(jacobian: pd.Series, folder: DataFolder) -> list[str]:
    """What is to be said of the recurrent networks' column of Jacobian covariance."""
    low, high = jacobian.min(), jacobian.max()
    if high - low > 0.01 * abs(high):
        return []
    remark = (
        f"The column Jacobian Covariance is corrupt: it is between {low:.2f} and {high:.2f} for "
        f"all {len(jacobian):,} networks"
    )
    if folder.holds("RNN_batch_ablation.csv"):
        again = tables.recurrent_ablation(folder, "minibatch").frame["jacobian_covariance"]
        remark += (
            f", while RNN_batch_ablation.csv has values from {again.max():,.0f} down to "
            f"{again.min():,.0f}"
        )
    return [f"{remark}. The noise columns, computed from the right values, are not affected."]


def _growing(scores: pd.DataFrame, draw: Draw) -> list[str]:
    """What is to be said of sums that grow from row to row."""
    draws = [frame.droplevel("draw") for _, frame in scores.groupby(level="draw")]
    if len(draws) < 4:  # fewer may increase by chance
        return []
    increases = pd.concat([b - a for a, b in pairwise(draws)])
    grown = [str(name) for name in scores if (increases[name].dropna() > 0).all()]
    if not grown:
        return []
    return [
        f"{', '.join(f'`{name}`' for name in grown)}: these sums grow from row to row, since the "
        "published code never removed the hooks of earlier passes. They are shown as published; "
        f"their spread is not one of {_DRAWN[draw]}. Normalised metrics are not affected."
    ]


def _repeated(frame: pd.DataFrame) -> list[str]:
    """What is to be said of steps of pretraining with the very same scores as others."""
    at = {step: rows.droplevel("steps") for step, rows in frame.groupby(level="steps")}
    pairs = [(a, b) for a, b in combinations(sorted(at), 2) if at[a].equals(at[b])]
    if not pairs:
        return []
    named = ", and ".join(f"{a:,} steps and {b:,}" for a, b in pairs)
    return [
        f"The rows of {named} are the same for every encoder and task, to the last digit, so at "
        "least one of each pair is not what was measured then. The lines are drawn as published; a "
        "ranking that is its own copy agrees by construction."
    ]


def _is_normalized(name: str) -> bool:
    return name.endswith("_normalized") or name == "jacobian_cosine"


def _left_out(table: PublishedTable) -> list[str]:
    return [table.remark] if table.remark else []


def _modified(*found: PublishedTable) -> tuple[str, ...]:
    return tuple(table.source.file.name for table in found if table.source.modified)


def _agreement(a: pd.Series, b: pd.Series) -> tuple[int, float]:
    """How many architectures have a value in both, and Kendall's τ-b over these."""
    both = a.notna() & b.notna()
    a, b = a[both], b[both]
    constant = a.nunique() < 2 or b.nunique() < 2
    return len(a), float("nan" if constant else stats.kendalltau(a, b).statistic)


def _with_interval(value: float, low: float, high: float) -> str:
    return "–" if pd.isna(value) else f"{value:.3f} [{low:.3f}, {high:.3f}]"
