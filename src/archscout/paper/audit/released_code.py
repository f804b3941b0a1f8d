"""How the released code's figures and the published columns differ."""

from __future__ import annotations

import math
import re

import numpy as np
import pandas as pd

from archscout.analysis.document import Table
from archscout.benchmarks import nas_bench_nlp
from archscout.benchmarks.published_tables import RECURRENT_METRICS
from archscout.errors import InputError
from archscout.paper.audit import ablations
from archscout.paper.audit.ablations import Ablations
from archscout.paper.audit.point import Material, Point, Standing, in_one_line
from archscout.scoring import Scorer
from archscout.text import load_corpus

TITLE = "Released code and published columns differ in three metrics"
_DIFFERING = ("activation_distance", "synaptic_saliency", "hidden_synaptic_saliency")
_AGREEING = ("hidden_covariance[1]", "hidden_covariance[2]", "hidden_covariance[3]")
_SAME = 1e-3  # largest relative difference of figures that are the same
_BATCH_SIZE = 50
_RECOMPUTED = 3
_FORMS = ("published", "released")
_CLAIM = (
    "The released code gives other figures than the published columns for activation distance (two "
    "forward passes in place of one, which adds B·ln 2), synaptic saliency (the gradient of ½‖y‖² "
    "in place of Σ y) and hidden synaptic saliency. Hidden covariance, Jacobian cosine and the "
    "noise metrics agree to all printed digits."
)


def check(material: Material) -> Point:
    """Compare the ablations, made by the released code, with the results; recompute where we can.

    The corrupt column has a point of its own.
    """
    found = ablations.load(material.folder)
    compared = compare_columns(found)
    content = [
        Table(
            "released_code_columns",
            compared,
            f"The same {len(found.first)} networks in both files, column by column: how many "
            f"figures agree to {_SAME:g} of their size, the median relative difference of "
            "magnitudes, and median and range of ablation ÷ results.",
            4,
        ),
        Table(
            "released_code_activation_distance",
            _shift(found),
            f"Activation distance, network by network: the difference is B·ln 2 = "
            f"{_BATCH_SIZE * math.log(2):.4f} where the ablation counted two passes.",
            4,
        ),
    ]
    remarks = [*found.remarks, *found.missing]
    sources = list(found.sources)
    try:
        recomputed, used = _recompute(material)
        sources += used
        content.append(
            Table(
                "released_code_recomputed",
                recomputed,
                "Recomputed at the paper's scale on Penn Treebank, seed 0: relative difference of "
                "each form from the published figure.",
                5,
            )
        )
    except InputError as error:
        remarks.append(
            "Not checked: recomputing the published figures from networks, which takes the text "
            f"of Penn Treebank. {in_one_line(error)}"
        )
    return Point(
        TITLE,
        *judge(compared, _shift(found)),
        claim=_CLAIM,
        method="The ablation files' first draw is the published minibatch and initialisation, "
        "written by the released code, so their rows should equal those of RNN_results.csv for "
        f"the {len(found.first)} networks that are in both. Per column: relative difference "
        "d = ||a| - |r|| / |r| of ablation a and result r (magnitudes, since signs were turned for "
        f"plotting); a and r agree where d ≤ {_SAME:g}. Where the text of Penn Treebank is at "
        f"hand, the first {_RECOMPUTED} recipes with published figures are scored anew "
        "(batch 50, length 70, weights of seed 0) in the published and the released form.",
        follows="Compare ablation files with each other only. To reproduce a published column ask "
        "for `activation_distance_published` and `synaptic_saliency_published`, to reproduce what "
        "the released code prints, for the `..._released` forms; ranks by activation distance are "
        "not affected, for its shift is the same for all networks.",
        content=content,
        sources=sources,
        remarks=remarks,
    )


def compare_columns(found: Ablations) -> pd.DataFrame:
    """The ablations' first draw beside the results, one row a metric."""
    metrics = list(RECURRENT_METRICS)
    published = found.results.loc[found.first.index, metrics].abs()
    ablation = found.first[metrics].abs()
    relative, ratio = (ablation - published).abs() / published, ablation / published
    table = pd.DataFrame(
        {
            "n": len(published),
            "agree": (relative <= _SAME).sum(),
            "median difference": relative.median(),
            "ratio": ratio.median(),
            "least ratio": ratio.min(),
            "largest ratio": ratio.max(),
        }
    )
    return table.rename_axis("metric")


def _shift(found: Ablations) -> pd.DataFrame:
    table = pd.DataFrame(
        {
            "results": found.results.loc[found.first.index, "activation_distance"],
            "ablation": found.first["activation_distance"],
        }
    )
    table["difference"] = table["ablation"] - table["results"]
    return table.rename_axis("log name")


def judge(compared: pd.DataFrame, shift: pd.DataFrame) -> tuple[Standing, str]:
    """Whether just the three metrics differ, and activation distance by B ln 2."""
    n = int(compared["n"].iloc[0])
    if not n:
        return "not checked", "No network is in both the results and an ablation file."
    others = [m for m in RECURRENT_METRICS if m not in (*_DIFFERING, "jacobian_covariance")]
    agreeing = [m for m in others if compared.loc[m, "agree"] == n]
    differing = [m for m in _DIFFERING if compared.loc[m, "agree"] == 0]
    exact = int(np.isclose(shift["difference"], _BATCH_SIZE * math.log(2), atol=1e-2).sum())
    numbers = (
        f"of {n} networks in both files, {', '.join(differing) or 'no expected metric'} "
        f"differ in all; {len(agreeing)} of the {len(others)} others agree in all; activation "
        f"distance differs by B·ln 2 in {exact} of {n}."
    )
    if len(differing) == len(_DIFFERING) and agreeing == others and exact == n:
        return "confirmed", f"Just these three differ: {numbers}"
    if differing:
        return "partly confirmed", f"Some differ as said: {numbers}"
    return "not confirmed", f"They do not differ: {numbers}"


def _recompute(material: Material) -> tuple[pd.DataFrame, tuple]:  # type: ignore[type-arg]
    """Both forms of what differs, and what should agree, for the first recipes with figures."""
    corpus = load_corpus("ptb", material.folder.path)
    benchmark = nas_bench_nlp.load(material.folder, "ptb")
    names = list(benchmark.metrics.dropna().index[:_RECOMPUTED])
    asked = [f"{metric}_{form}" for metric in _DIFFERING for form in _FORMS]
    asked += list(_AGREEING)
    scorer = Scorer(benchmark.space, corpus, asked, "paper", 0)
    rows = []
    for done, name in enumerate(names):
        material.progress("recipes on Penn Treebank", done, len(names))
        scores = scorer.score(benchmark.architectures[name]).scores
        for column in asked:
            metric = re.sub(f"_({'|'.join(_FORMS)})$", "", column)
            published = abs(benchmark.metrics.loc[name, metric])
            rows.append(
                {
                    "recipe": name,
                    "form": column,
                    "published": published,
                    "recomputed": scores[column],
                    "relative difference": abs(scores[column]) / published - 1,
                }
            )
    return pd.DataFrame(rows), benchmark.sources
