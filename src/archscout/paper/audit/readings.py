"""Encoder metrics as published, and recomputed in the three readings of a genotype."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from archscout.analysis.document import Plot, Table
from archscout.analysis.evaluation import evaluate
from archscout.analysis.evaluation_folder import SETTINGS
from archscout.analysis.statistics import MINIMUM, Comparison, compare
from archscout.benchmarks import Benchmark, nas_bench_bert
from archscout.benchmarks.published_tables import ENCODER_METRICS
from archscout.errors import InputError
from archscout.paper.audit.plots import horizontal_bars, panels
from archscout.paper.audit.point import Material, Point, Standing, point, with_interval
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


class Setting(NamedTuple):
    """One way of recomputing.

    Attributes:
        reading: of the genotypes.
        objective: what gradients are taken of.
    """

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
    comparisons = _comparisons(material, benchmark, {_PUBLISHED: published} | scores, directions)
    table = _table(comparisons)
    differences = _differences(material, benchmark, published, scores[TRAINED.title], directions)
    standing, verdict = judge(differences, table)
    wide = _wide(table)
    return point(
        TITLE,
        claim="Kendall τ-b with GLUE rises for most metrics when the network that was trained is "
        "scored, and the gradient is one that exists (on the complete data, published → as "
        "trained: softmax confidence 0.216 → 0.668, synaptic diversity 0.156 → 0.684, head "
        "importance 0.164 → 0.677, activation distance 0.222 → 0.600, parameters 0.454 → 0.573, "
        "head confidence 0.478 → 0.552, synaptic saliency 0.188 → 0.412).",
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
        standing=standing,
        verdict=verdict,
        follows="Score encoders in the reading `trained` when you validate metrics on this "
        "benchmark, use the masked-token loss or a random cotangent, and do not conclude from the "
        "published figures that a metric does not work. Compare against size: what does not beat "
        "the baseline has not shown that it sees more than size. One draw each: expect the second "
        "decimal to move.",
        content=[
            Plot(
                "readings",
                _figure(table),
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
            Table(
                "readings_kendall", wide["kendall"][1], "Kendall's τ-b.", shown=wide["kendall"][0]
            ),
            Table(
                "readings_pairs",
                wide["pairs"][1],
                "Share of pairs ordered right, ties counting half; one half is chance.",
                shown=wide["pairs"][0],
            ),
        ],
        sources=benchmark.sources,
        remarks=[*benchmark.remarks, *_remarks(differences)],
    )


def recompute(
    material: Material, benchmark: Benchmark, setting: Setting
) -> tuple[pd.DataFrame, Mapping[str, bool]]:
    """Scores by encoder, and every metric's direction; what is scored is stored at once.

    Raises:
        InputError: the folder holds scores of other settings, or the text is too short.
    """
    folder = material.out / "readings" / setting.title.replace(", ", "-")
    scale = benchmark.space.scales["fast"].resized(
        reading=setting.reading, batch_size=_BATCH_SIZE, sequence_length=_LENGTH
    )
    trained = benchmark.results[benchmark.target].notna()
    limit = material.encoders
    evaluation = evaluate(
        benchmark,
        out=folder,
        data_dir=material.folder.path,
        text=material.corpus,
        metrics=[*ENCODER_METRICS, "parameters"],
        scale=scale,
        seed=material.seed,
        objective=setting.objective,
        limit=limit,
        resume=(folder / SETTINGS).exists(),
        progress=lambda done, total: material.progress(f"encoders, {setting.title}", done, total),
    )
    scores = evaluation.scores
    return scores.loc[trained.reindex(scores.index)], evaluation.larger_is_better


def _comparisons(
    material: Material,
    benchmark: Benchmark,
    scores: Mapping[str, pd.DataFrame],
    directions: Mapping[str, bool],
) -> dict[str, Comparison]:
    found = {}
    for title, frame in scores.items():
        frame = frame.copy()
        if title == _PUBLISHED:
            architectures = [benchmark.architectures[name] for name in frame.index]
            frame[_BASELINE] = [float(a.num_layers**2 * a.hidden_size) for a in architectures]
        found[title] = compare(
            frame,
            benchmark.results[benchmark.target].reindex(frame.index),
            larger_is_better={n: directions[n] for n in map(str, frame) if n in directions},
            result_larger_is_better=benchmark.larger_is_better,
            seed=material.seed,
        )
    return found


def _differences(
    material: Material,
    benchmark: Benchmark,
    published: pd.DataFrame,
    trained: pd.DataFrame,
    directions: Mapping[str, bool],
) -> pd.DataFrame:
    """τ-b as trained less τ-b as published, one row a metric, tested by a paired bootstrap."""
    metrics = [name for name in _SHOWN if name in published and published[name].notna().any()]
    before, after = (
        frame[metrics].add_suffix(f", {title}")
        for frame, title in ((published, _PUBLISHED), (trained, TRAINED.title))
    )
    comparison = compare(
        before.join(after),
        benchmark.results[benchmark.target].reindex(published.index),
        larger_is_better={
            f"{name}, {title}": directions[name]
            for name in metrics
            for title in (_PUBLISHED, TRAINED.title)
        },
        result_larger_is_better=benchmark.larger_is_better,
        seed=material.seed,
    )
    kendall = comparison.table["kendall"]
    rows = {}
    for name in metrics:
        a, b = f"{name}, {TRAINED.title}", f"{name}, {_PUBLISHED}"
        test = comparison.test(a, b)
        rows[name] = {
            "n": test.n,
            "published": kendall[b],
            "as trained": kendall[a],
            "difference": test.difference,
            "low": test.low,
            "high": test.high,
            "p": test.p_value,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("metric")


def _shown_differences(table: pd.DataFrame) -> pd.DataFrame:
    shown = table[["n", "published", "as trained"]].copy()
    ends = table[["difference", "low", "high"]]
    shown["difference"] = [with_interval(*row) for row in ends.itertuples(index=False)]
    shown["p"] = table["p"].map(lambda p: "–" if p != p else f"{p:.3f}")
    return shown.astype({"n": int})


def _table(comparisons: Mapping[str, Comparison]) -> pd.DataFrame:
    """All statistics in long form: `metric`, `scores`, `n`, τ-b and pairs with intervals."""
    columns = [f"{name}{end}" for name in ("kendall", "pairs") for end in ("", "_low", "_high")]
    parts = [
        comparison.table[["n", *columns]].reset_index().assign(scores=title)
        for title, comparison in comparisons.items()
    ]
    table = pd.concat(parts, ignore_index=True)
    return table[["metric", "scores", "n", *columns]]


def _wide(table: pd.DataFrame) -> dict[str, tuple[pd.DataFrame, pd.DataFrame]]:
    """For each statistic, the table for reading and the one for files."""
    found = {}
    for statistic in ("kendall", "pairs"):
        texts = [
            with_interval(*row)
            for row in table[[statistic, f"{statistic}_low", f"{statistic}_high"]].itertuples(
                index=False
            )
        ]
        titles = list(dict.fromkeys(table["scores"]))
        rows = [name for name in (*_SHOWN, _BASELINE) if name in set(table["metric"])]
        shown = table.assign(text=texts).pivot(index="metric", columns="scores", values="text")
        shown = shown.reindex(index=rows, columns=titles).fillna("–")
        ends = ["metric", "scores", statistic, f"{statistic}_low", f"{statistic}_high"]
        found[statistic] = (shown.rename_axis(columns=None), table[ends])
    return found


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
        values, low, high = (
            chosen[c].to_numpy(dtype=float) for c in ("kendall", "kendall_low", "kendall_high")
        )
        series[title] = (values, low, high)
    horizontal_bars(axis, names, series)
    baseline = table[(table["metric"] == _BASELINE) & (table["scores"] == _PUBLISHED)]
    if len(baseline) and np.isfinite(baseline["kendall"].iloc[0]):
        axis.axvline(
            baseline["kendall"].iloc[0],
            color="#222222",
            linestyle=(0, (4, 3)),
            linewidth=1.1,
            label=_BASELINE,
        )
    axis.set_xlabel("Kendall's τ-b with GLUE")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    return figure
