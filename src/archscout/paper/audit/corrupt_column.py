"""The Jacobian covariance of the recurrent results, which the ablations contradict."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from archscout.analysis.document import Plot, Table
from archscout.analysis.kendall import kendall_tau_b
from archscout.paper.audit import ablations
from archscout.paper.audit.ablations import Ablations
from archscout.paper.audit.plots import BLUE, GREEN, VERMILION, panels
from archscout.paper.audit.point import Material, Point, Standing

TITLE = "One column of the recurrent results is corrupt"
_COLUMN, _PRODUCT = "jacobian_covariance", "more_noised_jacobian"
_NARROW = 0.01  # largest spread, as a share of the median, of a column that hardly varies
_AGREES = 0.01  # largest relative difference of figures that are the same


def check(material: Material) -> Point:
    """Compare the column with the ablations' for the same networks, and the noise columns too."""
    found = ablations.load(material.folder)
    column, measured = found.results[_COLUMN], found.rows[_COLUMN]
    side_by_side = _side_by_side(found)
    ranges = _ranges(column, measured, found.results[_PRODUCT])
    shared = len(side_by_side)
    return Point(
        TITLE,
        *judge(column, measured, side_by_side),
        claim="*Jacobian Covariance* in RNN_results.csv lies between -71.17 and -71.01 for every "
        "architecture, while the ablation files and the released code give values from about -60 "
        "to -10⁷. The noise columns, computed from the uncorrupted values, are right.",
        method=f"The column's {len(column):,} values are compared with the {len(measured)} of the "
        "ablation files (ten networks, ten minibatches or initialisations each), whose first draw "
        f"is the published setting; {shared} of these networks are in both tables. Two scores of "
        "the same networks should rank alike: Kendall's τ-b between them. *More Noised Jacobian* "
        "is the product of four covariance scores, s(J)·s(J, 0.1)·s(J, 10)·s(J, 100), so its "
        "fourth root should rank as |s(J)| does, and equal products in both files show which of "
        "the two columns is wrong.",
        follows="Do not use *Jacobian Covariance* of RNN_results.csv, nor figures or tables made "
        "from it. Recompute it (`archscout evaluate nas-bench-nlp --metrics jacobian_covariance`). "
        "The noise columns can be used, but look at their signs first: some were turned in the "
        "results.",
        content=[
            Plot(
                "jacobian_covariance",
                partial(_figure, found),
                "Distribution of the Jacobian covariance, sign turned, on a logarithmic scale: the "
                "column of the results, what the product column implies for the same networks, and "
                "the ablations. Shares of each group.",
            ),
            Table("jacobian_covariance_ranges", ranges, "Ranges of the values.", 2),
            Table(
                "jacobian_covariance_networks",
                side_by_side,
                "Networks that are in both tables. `implied` is the fourth root of the product in "
                "the results, sign turned.",
                2,
            ),
        ],
        sources=found.sources,
        remarks=[*found.remarks, *found.missing, *_signs(found)],
    )


def _side_by_side(found: Ablations) -> pd.DataFrame:
    """The networks that are in both tables, most negative ablation last."""
    published = found.results.loc[found.first.index]
    table = pd.DataFrame(
        {
            "results": published[_COLUMN],
            "ablation": found.first[_COLUMN],
            "implied": -(np.abs(published[_PRODUCT]) ** 0.25),
            "product, results": published[_PRODUCT],
            "product, ablation": found.first[_PRODUCT],
        }
    )
    return table.sort_values("ablation", ascending=False).rename_axis("log name")


def _signs(found: Ablations) -> list[str]:
    """Noise columns whose sign differs between the files."""
    published = found.results.loc[found.first.index]
    noise = [name for name in map(str, found.first) if "nois" in name]
    turned = (published[noise] * found.first[noise] < 0).sum()
    return [
        f"`{name}` has opposite signs in the two files for {count} of {len(published)} networks."
        for name, count in turned.items()
        if count
    ]


def _ranges(column: pd.Series, measured: pd.Series, product: pd.Series) -> pd.DataFrame:
    series = {
        "results": column,
        "ablations": measured,
        "implied by the results' product": -(product.abs() ** 0.25),
    }
    columns = ["n", "different values", "least", "median", "largest"]
    rows = [(len(v), v.nunique(), v.min(), v.median(), v.max()) for v in series.values()]
    return pd.DataFrame(rows, pd.Index(series, name="source"), columns)


def judge(column: pd.Series, measured: pd.Series, shared: pd.DataFrame) -> tuple[Standing, str]:
    """Whether the column hardly varies where the ablations do, and contradicts them."""
    spread = float((column.max() - column.min()) / abs(column.median()))
    numbers = (
        f"the results' {len(column):,} values lie between {column.min():.2f} and "
        f"{column.max():.2f} ({column.nunique()} different ones), the ablations' between "
        f"{measured.min():.3g} and {measured.max():.3g}"
    )
    differing = int((_relative(shared["results"], shared["ablation"]) > _AGREES).sum())
    products = int(
        (_relative(shared["product, results"], shared["product, ablation"]) <= _AGREES).sum()
    )
    if len(shared):
        numbers += (
            f"; of {len(shared)} networks in both, the column differs in {differing}, the product "
            f"of the noise scores agrees in {products}"
        )
    if len(shared) > 2:
        numbers += (
            f"; τ-b with the ablations: column {_tau(shared['results'], shared['ablation'])}, "
            f"product's root {_tau(shared['implied'], shared['ablation'])}"
        )
    narrow = spread < _NARROW
    wide = float((measured.max() - measured.min()) / abs(measured.median())) > _NARROW
    if narrow and wide and differing == len(shared) > 0:
        if products == len(shared):
            return "confirmed", f"The column is corrupt, the noise columns are not: {numbers}."
        return "partly confirmed", f"The column is corrupt, and noise columns differ: {numbers}."
    if narrow or differing:
        return "partly confirmed", f"The column is doubtful: {numbers}."
    return "not confirmed", f"Nothing is wrong with the column: {numbers}."


def _relative(a: pd.Series, b: pd.Series) -> pd.Series:
    return (a - b).abs() / b.abs()


def _tau(a: pd.Series, b: pd.Series) -> str:
    tau = kendall_tau_b(a, b)
    return "undefined" if np.isnan(tau) else f"{tau:.2f}"


def _figure(found: Ablations) -> Any:
    groups = {
        "results": (found.results[_COLUMN].abs(), VERMILION),
        "implied by product": (found.results[_PRODUCT].abs() ** 0.25, GREEN),
        "ablations": (found.rows[_COLUMN].abs(), BLUE),
    }
    figure, axes = panels(3, 10.5, 3.0, sharex=True, sharey=True)
    shown = {
        name: (values[(values > 0) & np.isfinite(values)], colour)
        for name, (values, colour) in groups.items()
    }
    every = np.log10(pd.concat([values for values, _ in shown.values()]))
    edges = np.linspace(np.floor(2 * every.min()) / 2, np.ceil(2 * every.max()) / 2 + 0.25, 36)
    for axis, (name, (values, colour)) in zip(axes, shown.items(), strict=True):
        weights = np.full(len(values), 1 / max(1, len(values)))
        axis.hist(values, list(10.0**edges), weights=weights, color=colour)
        axis.set_xscale("log")
        axis.set_title(f"{name} (n = {len(values):,})", fontsize=10)
        axis.set_xlabel("|Jacobian covariance|")
    axes[0].set_ylabel("share")
    return figure
