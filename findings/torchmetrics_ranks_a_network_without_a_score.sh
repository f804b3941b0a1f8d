#!/usr/bin/env bash
# torchmetrics gives a rank correlation of scores of which some are NaN, as if NaN were the largest.
#
# A search has networks that overflow or diverge, whose score or loss is NaN. How well scores rank losses
# is Spearman's rho or Kendall's tau. With one NaN among six scores scipy 1.17.1 answers NaN, pandas 2.3.3
# leaves the network out, and torchmetrics 1.8.2 answers with a number for six: Spearman's rank of NaN is
# that of the best score, and Kendall's pairs with it are neither in order nor out of order, and count
# among all. The numbers have nothing to tell that a score was missing. For scores that are all the same,
# whose ranks say nothing, Spearman's is 0 (scipy: NaN) and Kendall's NaN.
#
# Output seen:
#   torchmetrics 1.8.2, scores 1 to 6 beside losses in that order: rho 1.000, tau 1.000
#   the first score NaN: torchmetrics rho 0.143, tau 0.667; scipy nan, nan; pandas 1.000, 1.000
#   the first score larger than all others: torchmetrics rho 0.143
#   all scores equal: torchmetrics rho 0.000, tau nan
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'scipy==1.17.1' 'pandas==2.3.3' \
    'torchmetrics==1.8.2'
"$folder/venv/bin/python" - <<'PYTHON'
import math
import sys

import pandas
import torch
import torchmetrics
from scipy import stats
from torchmetrics.functional import kendall_rank_corrcoef, spearman_corrcoef

final = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


def ranked(scores: list[float]) -> tuple[float, float]:
    pair = torch.tensor(scores), torch.tensor(final)
    return spearman_corrcoef(*pair).item(), kendall_rank_corrcoef(*pair).item()


lost = [math.nan, *final[1:]]
whole, missing, best, equal = map(ranked, (final, lost, [7.0, *final[1:]], [1.0] * 6))
by_scipy = stats.spearmanr(lost, final).statistic, stats.kendalltau(lost, final).statistic
column = pandas.Series(lost)
by_pandas = [column.corr(pandas.Series(final), method=name) for name in ("spearman", "kendall")]
print(
    f"torchmetrics {torchmetrics.__version__}, scores 1 to 6 beside losses in that order: "
    f"rho {whole[0]:.3f}, tau {whole[1]:.3f}"
)
print(
    f"the first score NaN: torchmetrics rho {missing[0]:.3f}, tau {missing[1]:.3f}; "
    f"scipy {by_scipy[0]:.3f}, {by_scipy[1]:.3f}; pandas {by_pandas[0]:.3f}, {by_pandas[1]:.3f}"
)
print(f"the first score larger than all others: torchmetrics rho {best[0]:.3f}")
print(f"all scores equal: torchmetrics rho {equal[0]:.3f}, tau {equal[1]:.3f}")
sys.exit(
    not (
        abs(missing[0] - best[0]) < 1e-6
        and 0 < missing[1] < 1
        and all(map(math.isnan, by_scipy))
        and min(by_pandas) > 0.999
        and equal[0] == 0
    )
)
PYTHON
