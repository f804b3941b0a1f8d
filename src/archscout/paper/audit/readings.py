"""Encoder metrics as published, and recomputed in the three readings of a genotype."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from archscout.analysis.document import Plot, Table, intervals, with_interval
from archscout.analysis.evaluation import evaluate
from archscout.analysis.evaluation_folder import EvaluationFolder
from archscout.analysis.evaluation_results import compare_on
from archscout.analysis.statistics import MINIMUM, Comparison, with_ends
from archscout.benchmarks import Benchmark, nas_bench_bert
from archscout.benchmarks.published_tables import ENCODER_METRICS
from archscout.errors import InputError
from archscout.paper.audit.plots import horizontal_bars, panels
from archscout.paper.audit.point import Material, Point, Standing
from archscout.spaces.flexibert.readings import Reading
from archscout.tracing.quantities import Objective

TITLE = "Scored as trained, with a gradient that exists, the same metrics work"
_BATCH_SIZE, _LENGTH = 8, 64
_GRADIENT = ("synaptic_diversity", "head_importance", "synaptic_saliency")
_FORWARD = ("softmax_confidence", "activation_distance", "head_confidence")
_SHOWN = (*_FORWARD, "parameters", *_GRADIENT, "jacobian_covariance", "jacobian_cosine")
# τ-b as trained on the complete data, with gradients of the masked-token loss.
_APART = 0.1
_COMPLETE = {
    "softmax_confidence": 0.668,
    "synaptic_diversity": 0.684,
    "head_importance": 0.677,
    "activation_distance": 0.600,
    "parameters": 0.573,
    "head_confidence": 0.552,
    "synaptic_saliency": 0.412,
}
_PUBLISHED, _BASELINE = "published", "layers² × hidden size"
_CLAIM = (
    "Kendall τ-b with GLUE rises for most metrics when the network that was trained is scored, and "
    "the gradient is one that exists (on the complete data, published → as trained: softmax "
    "confidence 0.216 → 0.668, synaptic diversity 0.156 → 0.684, head importance 0.164 → 0.677, "
    "activation distance 0.222 → 0.600, parameters 0.454 → 0.573, head confidence 0.478 → 0.552, "
    "synaptic saliency 0.188 → 0.412)."
)
_FOLLOWS = (
    "Score encoders in the reading `trained` when you validate metrics on this benchmark, use the "
    "masked-token loss or a random cotangent, and do not conclude from the published figures that "
    "a metric does not work. Compare against size: what does not beat the baseline has not shown "
    "that it sees more than size. One draw each: expect the second decimal to move."
)


class Setting(NamedTuple):
    """One way of recomputing: the reading of genotypes, and what gradients are taken of."""

    reading: Reading
    objective: Objective

    @property
    def title(self) -> str:
        """In words."""
        return f"{self.reading}, {self.objective}"


TRAINED = Setting("trained", "loss")
SETTINGS_RECOMPUTED = (
    Setting("scored", "loss"),
    Setting("declared", "loss"),
    TRAINED,
    Setting("trained", "cotangent"),
)


def check(material: Material) -> Point:
    """Compare τ-b of the published figures with τ-b of the recomputed ones."""
    benchmark = nas_bench_bert.load(material.folder)
    if benchmark.metrics.empty:
        material.folder.find("BERT_results_activation.csv")  # raises, and says how to get it
    if material.encoders is not None and material.encoders < MINIMUM:
        raise InputError(f"encoders is {material.encoders}; this point takes at least {MINIMUM}")
    scores: dict[str, pd.DataFrame] = {}
    directions: Mapping[str, bool] = {}
    for setting in SETTINGS_RECOMPUTED:
        scores[setting.title], directions = recompute(material, benchmark, setting)
    names = next(iter(scores.values())).index
    known = [name for name in ENCODER_METRICS if name in benchmark.metrics]
    published = benchmark.metrics.loc[names, [*known, "parameters"]]
    architectures = [benchmark.architectures[name] for name in names]
    sizes = [float(a.num_layers**2 * a.hidden_size) for a in architectures]
    every = {_PUBLISHED: published.assign(**{_BASELINE: sizes})} | scores
    compared = partial(compare_on, benchmark, seed=material.seed)
    table = _table({title: compared(each, directions) for title, each in every.items()})
    differences = _differences(published, scores[TRAINED.title], directions, compared)
    pairs = "Share of pairs ordered right, ties counting half; one half is chance."
    return Point(
        TITLE,
        *judge(differences, table),
        claim=_CLAIM,
        method=f"{len(names)} encoders with a GLUE score"
        f"{'' if material.encoders is None else f', drawn at random with seed {material.seed}'}, "
        "each built in the readings `scored`, `declared` and `trained`, scored once, in evaluation "
        f"mode, on one minibatch of {_BATCH_SIZE} × {_LENGTH} tokens of {material.corpus.name}, "
        f"weights of seed {material.seed}, gradients of the masked-token loss (for `trained` of a "
        "random cotangent, too). τ-b = (C - D) / √((P - Tₓ)(P - Tᵧ)), C and D the concordant and "
        "discordant of P pairs, T the tied ones; *pairs* is the share of pairs with different "
        "GLUE that the metric orders right, a tie counting half. Both are oriented: positive (over "
        "½) means the metric predicts as it claims. Intervals: 95 % percentile bootstrap "
        f"over encoders, 1,000 resamples; the differences are tested on the same resamples "
        f"(p twice the smaller tail). The baseline `{_BASELINE}` needs no network; it has "
        "few values, which lifts τ-b but not *pairs*. Every score is in `readings/*/scores.jsonl`.",
        follows=_FOLLOWS,
        content=[
            Plot(
                "readings",
                partial(_figure, table),
                "Kendall's τ-b with GLUE, with 95 % intervals: published figures against the same "
                "encoders recomputed.",
                table,
            ),
            Table(
                "readings_differences",
                differences,
                "Published figures against the network as trained (masked-token loss), paired: "
                "τ-b of both and their difference with its 95 % interval.",
                shown=_shown_differences(differences),
            ),
            _wide(table, "kendall", "Kendall's τ-b."),
            _wide(table, "pairs", pairs),
        ],
        sources=benchmark.sources,
        remarks=[*benchmark.remarks, *_remarks(differences)],
    )


def recompute(
    material: Material, benchmark: Benchmark, setting: Setting
) -> tuple[pd.DataFrame, Mapping[str, bool]]:
    """Scores by encoder, and every metric's direction; what is scored is stored at once."""
    folder = material.out / "readings" / setting.title.replace(", ", "-")
    scale = benchmark.space.scales["fast"].resized(
        reading=setting.reading, batch_size=_BATCH_SIZE, sequence_length=_LENGTH
    )
    evaluation = evaluate(
        benchmark,
        out=folder,
        data_dir=material.folder.path,
        text=material.corpus,
        metrics=[*ENCODER_METRICS, "parameters"],
        scale=scale,
        seed=material.seed,
        objective=setting.objective,
        limit=material.encoders,
        resume=EvaluationFolder(folder).exists,
        progress=lambda done, total: material.progress(f"encoders, {setting.title}", done, total),
    )
    scores = evaluation.scores
    return scores[benchmark.reached(scores.index).notna()], evaluation.larger_is_better


def _differences(
    published: pd.DataFrame,
    trained: pd.DataFrame,
    directions: Mapping[str, bool],
    compared: Callable[[pd.DataFrame, Mapping[str, bool]], Comparison],
) -> pd.DataFrame:
    """τ-b as trained less τ-b as published, one row a metric, tested by a paired bootstrap."""
    metrics = [name for name in _SHOWN if name in published and published[name].notna().any()]
    before, after = f", {_PUBLISHED}", f", {TRAINED.title}"
    both = published[metrics].add_suffix(before).join(trained[metrics].add_suffix(after))
    known = {str(column): directions[str(column).partition(", ")[0]] for column in both}
    comparison = compared(both, known)
    kendall = comparison.table["kendall"]
    rows = []
    for name in metrics:
        test = comparison.test(name + after, name + before)
        found = (test.difference, test.low, test.high, test.p_value)
        rows.append((test.n, kendall[name + before], kendall[name + after], *found))
    columns = ["n", "published", "as trained", "difference", "low", "high", "p"]
    return pd.DataFrame(rows, pd.Index(metrics, name="metric"), columns)


def _shown_differences(table: pd.DataFrame) -> pd.DataFrame:
    shown = table[["n", "published", "as trained"]].copy()
    ends = table[["difference", "low", "high"]]
    shown["difference"] = [with_interval(*row) for row in ends.itertuples(index=False)]
    shown["p"] = table["p"].map(lambda p: "–" if p != p else f"{p:.3f}")
    return shown.astype({"n": int})


def _table(comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """All statistics in long form: `metric`, `scores`, `n`, τ-b and pairs with intervals."""
    parts = [
        comparison.table.reset_index().assign(scores=title)
        for title, comparison in comparisons.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[["metric", "scores", "n", *with_ends("kendall", "pairs")]]


def _wide(table: pd.DataFrame, statistic: str, caption: str) -> Table:
    """One statistic, shown with a column for each way of scoring."""
    texts = table.assign(text=intervals(table, statistic))
    shown = texts.pivot(index="metric", columns="scores", values="text").reindex(
        index=[name for name in (*_SHOWN, _BASELINE) if name in set(table["metric"])],
        columns=list(dict.fromkeys(table["scores"])),
    )
    shown = shown.fillna("–").rename_axis(columns=None)
    frame = table[["metric", "scores", *with_ends(statistic)]]
    return Table(f"readings_{statistic}", frame, caption, shown=shown)


def _remarks(differences: pd.DataFrame) -> list[str]:
    """Where τ-b as trained is not what the claim says of the complete data."""
    measured = differences["as trained"]
    apart = [
        f"{name} {measured[name]:.3f} against {claimed:.3f}"
        for name, claimed in _COMPLETE.items()
        if name in measured.index and abs(measured[name] - claimed) > _APART
    ]
    if not apart:
        return []
    return [
        f"τ-b as trained differs by more than {_APART:g} from the claim's: {'; '.join(apart)}. "
        "Here the direction is judged, not the size; why the sizes differ is not known."
    ]


def judge(differences: pd.DataFrame, table: pd.DataFrame) -> tuple[Standing, str]:
    """How many metrics predict better as trained than as published.

    Jacobian scores, for which nobody claims it, do not count.
    """
    chosen = differences.reindex(
        [name for name in (*_FORWARD, "parameters", *_GRADIENT) if name in differences.index]
    )
    better = int((chosen["difference"] > 0).sum())
    sure = int((chosen["low"] > 0).sum())
    values = zip(chosen.index, chosen["published"], chosen["as trained"], strict=True)
    numbers = (
        f"τ-b is higher as trained for {better} of {len(chosen)} metrics, for {sure} beyond "
        f"doubt (95 %), on {int(chosen['n'].max())} encoders ("
        + "; ".join(f"{name} {before:.3f} → {after:.3f}" for name, before, after in values)
        + ")"
    )
    baseline = table.loc[table["metric"] == _BASELINE, "kendall"]
    if len(baseline):
        numbers += f"; the baseline {_BASELINE} has {baseline.iloc[0]:.3f}"
    if better == len(chosen) and sure > len(chosen) / 2:
        return "confirmed", f"They work: {numbers}."
    if better > len(chosen) / 2:
        return "partly confirmed", f"Most seem to: {numbers}."
    return "not confirmed", f"The data at hand do not show it: {numbers}."


def _figure(table: pd.DataFrame) -> Any:
    names = [name for name in _SHOWN if name in set(table["metric"])]
    titles = [_PUBLISHED, *(s.title for s in SETTINGS_RECOMPUTED)]
    figure, (axis,) = panels(1, 8.4, 0.9 + 0.68 * len(names))
    series = {}
    for title in titles:
        chosen = table[table["scores"] == title].set_index("metric").reindex(names)
        if title == SETTINGS_RECOMPUTED[-1].title:  # without gradients it says the same again
            chosen.loc[[*_FORWARD, "parameters"]] = np.nan
        values, low, high = chosen[with_ends("kendall")].to_numpy(dtype=float).T
        series[title] = (values, low, high)
    horizontal_bars(axis, names, series)
    baseline = table[(table["metric"] == _BASELINE) & (table["scores"] == _PUBLISHED)]
    if len(baseline) and np.isfinite(baseline["kendall"].iloc[0]):
        axis.axvline(
            baseline["kendall"].iloc[0], color="#222222", linestyle=(0, (4, 3)), linewidth=1.1,
            label=_BASELINE,
        )  # fmt: skip
    axis.set_xlabel("Kendall's τ-b with GLUE")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure
