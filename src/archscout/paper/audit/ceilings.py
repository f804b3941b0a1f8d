"""How much of the trained results metrics could predict, and how much they do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from archscout.analysis.document import Plot, Table, intervals, with_interval
from archscout.analysis.statistics import Difference, compare, error_bars, with_ends
from archscout.benchmarks import Benchmark, nas_bench_nlp
from archscout.benchmarks.nas_bench_nlp import DATASETS
from archscout.benchmarks.published_tables import recurrent_scores
from archscout.benchmarks.store import StoredFile
from archscout.errors import InputError
from archscout.metrics import request
from archscout.metrics.registry import Metric, Request
from archscout.paper.audit.plots import BLUE, GREY, ORANGE, panels
from archscout.paper.audit.point import Material, Point, Standing, in_one_line
from archscout.scoring import Scorer
from archscout.spaces.base import Space
from archscout.tracing.quantities import Trace

TITLE = "Ceilings: what could be predicted, and what is"
_METRIC = "hidden_covariance[1]"
_PUBLISHED_TITLE = "published hidden covariance, layer 1"
_RECOMPUTED = "recomputed hidden covariance, layer 1, WikiText-2"
_FOREST, _TEXTS = "random forest on forward statistics, WikiText-2", "loss on"
_FOLDS, _REPEATS, _TREES = 5, 5, 200
_REGISTERED = [
    *("hidden_covariance", "hidden_covariance_of_inputs"),
    *("activation_distance", "parameters"),
]
_CLAIM = (
    "The best published metric, hidden covariance of layer 1, reaches τ 0.37 with the loss on Penn "
    "Treebank (8,794 architectures) and 0.33 on WikiText-2. Losses of the same architectures on "
    "the two texts agree at τ 0.82, a ceiling for any metric. In between, a random forest on cheap "
    "statistics of the untrained network reaches 0.61 in cross-validation: there is much more "
    "signal than the published metrics use."
)


class Ceiling(NamedTuple):
    """What predicts what, as a row of the table (`n`, τ-b, pairs), and from which files."""

    title: str
    row: Mapping[str, float]
    sources: Sequence[StoredFile]


def check(material: Material) -> Point:
    """Each ceiling on its own: what is missing for one does not stop the others."""
    found: list[Ceiling] = []
    remarks: list[str] = []
    content: list[Plot | Table] = []
    difference: Difference | None = None
    for compute in (_published_metric, _metric_on_wikitext, _other_text):
        try:
            found.append(compute(material))
        except InputError as error:
            remarks.append(f"Not checked: {in_one_line(error)}")
    try:
        forest, difference, evidence = _forest(material)
        # Last stays the agreement of two texts, above which nothing is to be expected.
        place = len(found) - bool(found and found[-1].title.startswith(_TEXTS))
        found[place:place] = forest
        content += evidence
    except InputError as error:
        remarks.append(f"Not checked, the random forest: {in_one_line(error)}")
    if not found:
        return Point(TITLE, "not checked", remarks[0])
    table = pd.DataFrame(
        [ceiling.row for ceiling in found],
        index=pd.Index([ceiling.title for ceiling in found], name="prediction"),
    )
    table["n"] = table["n"].astype(int)
    return Point(
        TITLE,
        *judge(table, difference),
        claim=_CLAIM,
        method="Kendall's τ-b and the share of pairs ordered right, with 95 % bootstrap intervals "
        "over architectures, losses negated so that positive means prediction. The forest: the "
        "WikiText-2 recipes whose training did not fail are scored at the fast scale (embedding "
        f"64, hidden 96) on one minibatch of {material.corpus.name}, forward only, weights of seed "
        f"{material.seed}; its inputs are hidden covariance over units and over inputs of each "
        "layer, activation distance, the number of parameters, and of each layer's hidden states "
        "mean magnitude, standard deviation over inputs and over units, mean change from step to "
        f"step, share above 0.95 in magnitude, and participation ratio. {_TREES} trees predict "
        f"the rank of the loss; {_FOLDS} folds, {_REPEATS} repeats with other folds and seeds; the "
        "same architecture under several names is always in one fold (it would be learnt by heart "
        "otherwise; what that brings is told below). The prediction is the mean "
        "of a recipe's out-of-fold predictions. The forest is not a metric that needs no training: "
        "it is fitted to losses of other recipes, and shows what the statistics contain.",
        follows="Do not take the published metrics for the best that can be had: cheap statistics "
        "of the same forward pass hold more. Nor expect more than the agreement of two texts: a "
        "metric that ranks far above it on one benchmark is fitted to it.",
        content=[
            Plot(
                "ceilings",
                partial(_figure, table),
                "Kendall's τ-b with the trained loss, with 95 % intervals.",
                table,
            ),
            Table("ceilings_table", table, "The ceilings.", shown=_shown(table)),
            *content,
        ],
        sources=[source for ceiling in found for source in ceiling.sources],
        remarks=remarks,
    )


def _published_metric(material: Material) -> Ceiling:
    table = recurrent_scores(material.folder)
    row = _row(table.frame[[_METRIC]], table.frame["loss"], material.seed)
    return Ceiling(f"{_PUBLISHED_TITLE}, Penn Treebank", row, [table.source])


def _other_text(material: Material) -> Ceiling:
    wikitext, treebank = (nas_bench_nlp.load(material.folder, name) for name in DATASETS)
    both = wikitext.results.join(treebank.results[["loss"]], how="inner")
    both = both[["loss", "test_loss"]].dropna()
    row = _row(-both[["loss"]], both["test_loss"], material.seed)
    title = f"{_TEXTS} Penn Treebank, for WikiText-2"
    return Ceiling(title, row, [*wikitext.sources, *treebank.sources])


def _metric_on_wikitext(material: Material) -> Ceiling:
    wikitext, treebank = (nas_bench_nlp.load(material.folder, name) for name in DATASETS)
    both = treebank.metrics[[_METRIC]].join(wikitext.results[["test_loss"]], how="inner")
    row = _row(both[[_METRIC]], both["test_loss"], material.seed)
    return Ceiling(f"{_PUBLISHED_TITLE}, WikiText-2", row, [*wikitext.sources, *treebank.sources])


def _row(scores: pd.DataFrame, losses: pd.Series, seed: int) -> Mapping[str, float]:
    """Statistics of one column of scores, larger better, against losses."""
    table = compare(scores, losses, result_larger_is_better=False, seed=seed).table
    row = table.iloc[0]
    if row["problem"]:
        raise InputError(f"{table.index[0]}: {row['problem']}")
    return {"n": row["n"], **row[with_ends("kendall", "pairs")].astype(float)}


def _forest(material: Material) -> tuple[list[Ceiling], Difference, list[Plot | Table]]:
    """Out-of-fold predictions against the losses, and the metric on the same recipes."""
    benchmark = nas_bench_nlp.load(material.folder)
    losses = benchmark.results[benchmark.target].dropna()
    if len(losses) < 2 * _FOLDS:
        raise InputError(
            f"{len(losses)} recipes were trained to the end; cross-validation takes {2 * _FOLDS}"
        )
    statistics = forward_statistics(material, benchmark, list(losses.index))
    groups = [benchmark.space.fingerprint(benchmark.architectures[n]) for n in losses.index]
    repeats = out_of_fold(statistics, losses, groups, material.seed)
    apart = out_of_fold(statistics, losses, list(losses.index), material.seed)
    ignoring = _row(-apart.mean(axis=1).to_frame("prediction"), losses, material.seed)
    mean = repeats.mean(axis=1).to_frame("prediction")
    row = _row(-mean, losses, material.seed)
    metric = _row(statistics[[_METRIC]], losses, material.seed)
    both = (-mean).join(statistics[[_METRIC]])
    compared = compare(both, losses, result_larger_is_better=False, seed=material.seed)
    single = [_row(-repeats[[column]], losses, material.seed)["kendall"] for column in repeats]
    alone = _alone(statistics, losses, material.seed)
    numbers = pd.DataFrame(
        {"kendall": single}, index=pd.RangeIndex(1, 1 + len(single), name="repeat")
    )
    predictions = statistics.join(mean).join(losses.rename("loss")).rename_axis("recipe")
    found = [
        Ceiling(_RECOMPUTED, metric, benchmark.sources),
        Ceiling(_FOREST, row, benchmark.sources),
    ]
    evidence: list[Plot | Table] = [
        Table(
            "forest_repeats",
            numbers,
            f"Out-of-fold τ-b of each repeat: mean {np.mean(single):.3f}, standard deviation "
            f"{np.std(single, ddof=1):.3f}; {len(losses)} recipes, {len(set(groups))} different "
            "architectures. With folds that put copies of one architecture apart, so that the "
            "forest has seen some answers, the mean prediction would reach "
            f"{ignoring['kendall']:.3f}.",
        ),
        Table(
            "forest_statistics",
            alone,
            "The forest's inputs alone: τ-b of the loss with each, sign as it falls, largest "
            "first.",
            shown=alone.head(10),
        ),
        Plot(
            "forest_predictions",
            partial(_predictions, mean["prediction"], losses),
            "Out-of-fold prediction (mean rank, the least loss 0) against the trained loss.",
            predictions,
        ),
    ]
    return found, compared.test("prediction", _METRIC), evidence


def forward_statistics(
    material: Material, benchmark: Benchmark, names: Sequence[str]
) -> pd.DataFrame:
    """Statistics of the untrained networks, one row a recipe; what is not finite is very large."""
    space: Space[Any] = benchmark.space
    requests = [request(name, space.kind) for name in _REGISTERED]
    requests += [_request(name) for name in _STATISTICS]
    scorer = Scorer(space, material.corpus, requests, "fast", material.seed)
    rows = []
    for done, name in enumerate(names):
        material.progress("recipes", done, len(names))
        rows.append(scorer.score(benchmark.architectures[name]).scores)
    table = pd.DataFrame(rows, index=pd.Index(names, name="recipe"))
    # The bare name of a metric of layers repeats one of them.
    columns = [str(column) for column in table]
    bare = {column.partition("[")[0] for column in columns if "[" in column}
    table = table.drop(columns=[column for column in columns if column in bare])
    limit = float(np.finfo(np.float32).max) / 2
    return table.replace([np.inf, -np.inf, np.nan], -limit).clip(-limit, limit)


def out_of_fold(
    statistics: pd.DataFrame, losses: pd.Series, groups: Sequence[str], seed: int
) -> pd.DataFrame:
    """Predicted ranks of the losses, each by trees that saw no recipe of its fold; by repeat.

    Statistics (n, features) are finite; recipes of one group are in one fold.
    """
    from sklearn.ensemble import RandomForestRegressor  # type: ignore[import-untyped]

    ranks = losses.rank().sub(1).to_numpy()
    x = statistics.to_numpy(dtype=float)
    names, membership = np.unique(np.asarray(groups), return_inverse=True)
    columns = {}
    for repeat in range(_REPEATS):
        rng = np.random.default_rng([seed, repeat])
        folds = (rng.permutation(len(names)) % _FOLDS)[membership]
        predicted = np.full(len(ranks), np.nan)
        for fold in np.unique(folds):
            held_out = folds == fold
            state = int(rng.integers(2**31))
            forest = RandomForestRegressor(
                _TREES, min_samples_leaf=2, max_features=1 / 3, random_state=state
            )
            forest.fit(x[~held_out], ranks[~held_out])
            predicted[held_out] = forest.predict(x[held_out])
        columns[f"repeat {repeat + 1}"] = predicted
    return pd.DataFrame(columns, index=losses.index)


def _alone(statistics: pd.DataFrame, losses: pd.Series, seed: int) -> pd.DataFrame:
    table = compare(statistics, losses, result_larger_is_better=False, seed=seed).table
    order = table["kendall"].abs().sort_values(ascending=False).index
    return table.loc[order, ["n", *with_ends("kendall")]].rename_axis("statistic")


def _participation(states: Tensor) -> Tensor:
    """(Σ λ)² / Σ λ² of the covariance of units, over the number of units."""
    units = states.flatten(0, 1)
    covariance = torch.cov(units.t())
    return covariance.trace() ** 2 / covariance.square().sum() / len(covariance)


_STATISTICS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "magnitude": lambda states: states.abs().mean(),
    "deviation_over_inputs": lambda states: states.std(1).mean(),
    "deviation_over_units": lambda states: states.std(2).mean(),
    "change": lambda states: (states[1:] - states[:-1]).abs().mean(),
    "saturation": lambda states: (states.abs() > 0.95).double().mean(),
    "participation": _participation,
}
"""Of one layer's hidden states (T, B, H)."""


def _request(name: str) -> Request:
    """A statistic of each layer; the first, zero state left out."""
    function = _STATISTICS[name]

    def values(trace: Trace) -> list[float]:
        return [float(function(states[1:].double())) for states in trace.hidden_states]

    needs = frozenset({"hidden_states"})
    return Request(name, Metric(name, values, needs, larger_is_better=True, main_layer=1))


def judge(table: pd.DataFrame, difference: Difference | None) -> tuple[Standing, str]:
    """Whether the forest is above the metric, paired, and below what two texts share."""
    kendall = table["kendall"]
    numbers = "; ".join(
        f"{title} τ {value:.3f} (n = {n:,})"
        for title, value, n in zip(table.index, kendall, table["n"], strict=True)
    )
    texts = [value for title, value in kendall.items() if str(title).startswith(_TEXTS)]
    if difference is None or not texts:
        return "partly confirmed", f"Only some could be checked: {numbers}."
    numbers += (
        f"; forest less metric on the same recipes "
        f"{with_interval(difference.difference, difference.low, difference.high)}."
    )
    below = max(kendall[_FOREST], kendall[_RECOMPUTED]) < texts[0]
    if difference.low > 0 and below:
        return "confirmed", f"The metric leaves signal unused: {numbers}"
    if difference.difference > 0 and below:
        return "partly confirmed", f"The forest is better, but not beyond doubt: {numbers}"
    return "not confirmed", f"The data at hand do not show it: {numbers}"


def _shown(table: pd.DataFrame) -> pd.DataFrame:
    shown = table[["n"]].copy()
    return shown.assign(**{name: intervals(table, name) for name in ("kendall", "pairs")})


def _figure(table: pd.DataFrame) -> Any:
    figure, (axis,) = panels(1, 8.0, 0.8 + 0.5 * len(table))
    colours = [
        BLUE if title == _FOREST else GREY if title.startswith(_TEXTS) else ORANGE
        for title in table.index
    ]
    rows = np.arange(len(table))
    axis.barh(rows, table["kendall"], 0.62, color=colours)
    axis.errorbar(
        table["kendall"], rows, xerr=error_bars(table, "kendall"), fmt="none", ecolor="#222222",
        capsize=3, elinewidth=1,
    )  # fmt: skip
    axis.set_yticks(rows, [f"{title}\nn = {n:,}" for title, n in table["n"].items()], fontsize=9)
    axis.invert_yaxis()
    axis.axvline(0, color="#222222", linewidth=0.8)
    axis.set_xlabel("Kendall's τ-b with the trained loss")
    return figure


def _predictions(predicted: pd.Series, losses: pd.Series) -> Any:
    figure, (axis,) = panels(1, 5.4, 3.8)
    axis.scatter(predicted, losses, s=20, alpha=0.65, color=BLUE, linewidths=0)
    axis.set_xlabel("predicted rank (out of fold)")
    axis.set_ylabel("test loss (nats per token)")
    return figure
