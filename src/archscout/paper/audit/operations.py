"""Whether the operation types of encoders left a trace in what was trained."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import pandas as pd

from archscout.analysis.document import Plot, Table
from archscout.benchmarks import nas_bench_bert
from archscout.errors import InputError
from archscout.paper.audit.plots import BLUE, ORANGE, panels
from archscout.paper.audit.point import Material, Point, Standing
from archscout.paper.audit.regression import JointTest, Regression, joint_test, least_squares
from archscout.spaces.flexibert.genotype import OPERATIONS, EncoderGenotype

TITLE = "The operation types left no trace in the trained scores"
_LEVEL = 0.05
_BASE = "SA-SDP"
_NAMES = [
    f"{kind}-{parameter}" for kind, parameters in OPERATIONS.items() for parameter in parameters
]
_SHARES = [f"share of {name}" for name in _NAMES if name != _BASE]
_TYPES = [f"share of {kind}" for kind in OPERATIONS if kind != _BASE.partition("-")[0]]
_SIZES = [
    *("hidden size × layers", "layers", "feed-forward dimension"),
    *("feed-forward layers", "mean heads"),
]
_SPECIFICATIONS = {
    "all sizes": _SIZES,
    "no depth of its own, all heads": [_SIZES[0], _SIZES[2], "heads"],
    "no depth of its own, mean heads": [_SIZES[0], _SIZES[2], "mean heads"],
}
_CODINGS = {"operations": _SHARES, "types": _TYPES}
_RESPONSES = {"glue": "GLUE score", "seconds": "training time (s)"}
_CONTROL = "published parameters"
_CLAIM = (
    "The training code chooses the operation by comparing strings with `is`. Strings read from a "
    "JSON file are never identical to literals, so every layer would have been trained as plain "
    "scaled dot-product attention. On the complete data no operation's coefficient for GLUE can be "
    "told from zero (p from 0.15 to 0.75), heads can (p < 1e-5), and operations do not change the "
    "training time either (p from 0.25 to 0.99), though a Fourier layer and an attention layer do "
    "not cost the same."
)
_METHOD = (
    "Ordinary least squares, y = β₀ + Σ βⱼ xⱼ + ε, over all encoders with a result (n in the "
    "tables): x are hidden size × layers, layers, feed-forward dimension summed over all "
    "feed-forward layers, their number, mean heads, and for each operation the share of layers "
    f"that have it, `{_BASE}` left out as the base (shares add up to one). β̂ = (XᵀX)⁻¹Xᵀy by QR; "
    "standard errors from s²(XᵀX)⁻¹; p two-sided from Student's t with n less the number of terms "
    f"degrees of freedom. The F test asks whether all {len(_SHARES)} operation coefficients are "
    "zero at once, which one small p among several does not tell. As a control that this "
    "regression can find an effect of operations, the same predictors explain the published "
    "parameter column, which is of networks that do have the operations."
)


def check(material: Material) -> Point:
    """Regress GLUE and training time on sizes and shares of operations."""
    benchmark = nas_bench_bert.load(material.folder)
    architectures = benchmark.architectures
    known = pd.DataFrame([features(a) for a in architectures.values()], list(architectures))
    predictors = known[[*_SIZES, *_SHARES]]
    responses = {
        title: benchmark.results[name].dropna()
        for name, title in _RESPONSES.items()
        if benchmark.results[name].notna().any()
    }
    if "parameters" in benchmark.metrics:
        responses[_CONTROL] = benchmark.metrics["parameters"].dropna()
    fits = {title: least_squares(predictors.loc[y.index], y) for title, y in responses.items()}
    tests = {t: joint_test(predictors.loc[y.index], y, _SHARES) for t, y in responses.items()}
    if "GLUE score" not in fits:
        raise InputError("no encoder has a GLUE score")
    others, effects = _specifications(known, responses), _effects(fits, responses)
    return Point(
        TITLE,
        *judge(fits, tests),
        claim=_CLAIM,
        method=_METHOD,
        follows="Do not learn from the published scores which operation is better: as far as they "
        "tell, only attention was trained. Judge metrics of operations on networks in the "
        "reading `trained`. That no effect is found does not prove it zero; the intervals say how "
        "large it can be.",
        content=[
            Plot(
                "operation_effects",
                partial(_figure, effects),
                "What replacing every `SA-SDP` by another operation changes, in standard "
                "deviations of the response, with 95 % intervals. The rightmost panel is the "
                "control.",
                effects,
            ),
            *[_regression(title, fit, tests[title]) for title, fit in fits.items()],
            Table(
                "regression_specifications",
                others,
                "Does it depend on which predictors are taken? `least p`: the smallest p of an "
                "operation's coefficient; `F p`: of all being zero; `heads p`: of the heads' "
                "coefficient. *types* has one share for LT and one for DSC, with SA as the base.",
                shown=others.assign(**others[["least p", "F p", "heads p"]].map(shown)),
            ),
        ],
        sources=benchmark.sources,
        remarks=[*benchmark.remarks, *_remarks(others)],
    )


def features(architecture: EncoderGenotype) -> dict[str, float]:
    """Sizes of an encoder, and the shares of its layers that have each operation but the base."""
    layers = architecture.layers
    operations = [layer.operation for layer in layers]
    types = [layer.operation_type for layer in layers]
    return {
        "hidden size × layers": architecture.hidden_size * len(layers),
        "layers": len(layers),
        "heads": sum(layer.num_operation_heads for layer in layers),
        "feed-forward dimension": sum(
            x.feed_forward_dimension * x.num_feed_forward for x in layers
        ),
        "feed-forward layers": sum(layer.num_feed_forward for layer in layers),
        "mean heads": sum(layer.num_operation_heads for layer in layers) / len(layers),
        **{f"share of {x}": operations.count(x) / len(layers) for x in _NAMES if x != _BASE},
        **{f"share of {kind}": types.count(kind) / len(layers) for kind in OPERATIONS},
    }


def _specifications(known: pd.DataFrame, responses: Mapping[str, pd.Series]) -> pd.DataFrame:
    """The same question with other predictors, one row a regression."""
    rows = []
    for title in _RESPONSES.values():
        if title not in responses:
            continue
        y = responses[title]
        for specification, sizes in _SPECIFICATIONS.items():
            for coding, shares in _CODINGS.items():
                x = known.loc[y.index, [*sizes, *shares]]
                fit = least_squares(x, y)
                rows.append(
                    {
                        "response": title,
                        "sizes": specification,
                        "shares of": coding,
                        "n": fit.n,
                        "R²": fit.r_squared,
                        "least p": fit.table.loc[shares, "p"].min(),
                        "F p": joint_test(x, y, shares).p,
                        "heads p": fit.table.loc[sizes[-1], "p"],
                    }
                )
    return pd.DataFrame(rows)


def _remarks(others: pd.DataFrame) -> list[str]:
    """What the choice of predictors changes."""
    low = int((others["F p"] < _LEVEL).sum())
    heads = others.loc[others["response"] == _RESPONSES["glue"], "heads p"]
    return [
        f"In {low} of the {len(others)} regressions of the last table all operations being zero is "
        f"rejected at {_LEVEL:g}; by chance alone {_LEVEL * len(others):.1f} would be expected, "
        "were they independent, which they are not.",
        f"The heads' p for GLUE depends on the predictors: from {shown(heads.min())} to "
        f"{shown(heads.max())}. Without a term for depth, the number of heads, which grows with "
        "depth, stands in for it.",
    ]


def judge(fits: Mapping[str, Regression], tests: Mapping[str, JointTest]) -> tuple[Standing, str]:
    """Whether operations can be told from none, for GLUE and the time, in words."""
    parts, found = [], []
    for title in _RESPONSES.values():
        if title not in fits:
            continue
        p = fits[title].table.loc[_SHARES, "p"]
        differs = tests[title].p < _LEVEL
        found.append(differs)
        parts.append(
            f"{title}: operations' p from {shown(p.min())} to {shown(p.max())}, all zero p = "
            f"{shown(tests[title].p)} (n = {fits[title].n})"
        )
    heads = float(fits["GLUE score"].table["p"]["mean heads"])
    parts.append(f"heads for GLUE p = {shown(heads)}")
    if _CONTROL in tests:
        parts.append(f"control, published parameters: all zero p = {shown(tests[_CONTROL].p)}")
    numbers = "; ".join(parts) + "."
    if not any(found) and _CONTROL in tests and tests[_CONTROL].p >= _LEVEL:
        return (
            "partly confirmed",
            f"Too few encoders: operation types cannot be told from none, nor in the control, "
            f"where they do count. {numbers}",
        )
    if not any(found):
        return "confirmed", f"Operation types cannot be told from none. {numbers}"
    if all(found):
        return "not confirmed", f"Operation types show in the data at hand. {numbers}"
    return "partly confirmed", f"Operation types show in one of the two. {numbers}"


def shown(p: float) -> str:
    """A p-value as it is read."""
    return f"{p:.3f}" if p >= 0.001 else f"{p:.1e}"


def _regression(title: str, fit: Regression, test: JointTest) -> Table:
    digits = fit.table[["coefficient", "error", "low", "high"]].map(lambda x: f"{x:,.4g}")
    digits["t"] = fit.table["t"].map(lambda x: f"{x:.2f}")
    digits["p"] = fit.table["p"].map(shown)
    return Table(
        f"regression_{title.split(' (')[0].lower().replace(' ', '_')}",
        fit.table,
        f"Regression of the {title}: n = {fit.n}, R² = {fit.r_squared:.3f}; all operations zero: "
        f"F({test.degrees[0]}, {test.degrees[1]}) = {test.f:.2f}, p = {shown(test.p)}.",
        shown=digits,
    )


def _effects(fits: Mapping[str, Regression], responses: Mapping[str, pd.Series]) -> pd.DataFrame:
    """Coefficients of the operations in standard deviations of the response, in long form."""
    columns = ["coefficient", "low", "high"]
    parts = []
    for title, fit in fits.items():
        shares = fit.table.loc[_SHARES]
        part = shares[columns] / float(responses[title].std())
        part.insert(0, "response", title)
        part.insert(1, "operation", [term.removeprefix("share of ") for term in _SHARES])
        parts.append(part.assign(p=shares["p"]))
    return pd.concat(parts, ignore_index=True)


def _figure(effects: pd.DataFrame) -> Any:
    from matplotlib.ticker import MaxNLocator

    titles = list(dict.fromkeys(effects["response"]))
    figure, axes = panels(len(titles), 1.4 + 3.1 * len(titles), 3.0, sharey=True)
    for axis, title in zip(axes, titles, strict=True):
        chosen = effects[effects["response"] == title].reset_index(drop=True)
        axis.axvline(0, color="#222222", linewidth=0.9)
        colour, marker = (ORANGE, "s") if title == _CONTROL else (BLUE, "o")
        ends = [chosen["coefficient"] - chosen["low"], chosen["high"] - chosen["coefficient"]]
        axis.errorbar(
            chosen["coefficient"], chosen.index, xerr=ends, fmt=marker, color=colour,
            ecolor=colour, capsize=3, markersize=5,
        )  # fmt: skip
        reach = max(1.0, 1.1 * float(chosen[["low", "high"]].abs().to_numpy().max()))
        axis.set_xlim(-reach, reach)
        axis.set_title(title + (" (control)" if title == _CONTROL else ""), fontsize=10)
        axis.set_xlabel("change in standard deviations", fontsize=9)
        axis.xaxis.set_major_locator(MaxNLocator(5))
        axis.set_yticks(chosen.index, chosen["operation"])
    axes[0].set_ylim(len(_SHARES) - 0.5, -0.5)
    return figure
