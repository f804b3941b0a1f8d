#!/usr/bin/env bash
# torchmetrics gives a classifier that always answers with the larger class a Matthews correlation above 0.
#
# CoLA, a task of GLUE, is judged by Matthews' correlation because an encoder that has learnt nothing, and
# answers "acceptable" each time, gets 0 by it, however many sentences are acceptable. Of a constant answer
# the coefficient is 0 / 0, which scikit-learn 1.9.1 calls 0. torchmetrics 1.9.0 puts a small number into
# the empty cells of the table and takes what comes out: above 0 for always the larger class, as much below
# 0 for always the smaller one. It is 0 for classes of equal size alone, and the larger the fewer examples
# there are and the less even they are: for parts of classes p and q it is (p - q) / sqrt(n p q). With
# CoLA's parts an encoder that knows nothing so scores 0.026 on 1,000 sentences, 0.082 on 100 and 0.145 on
# 32; of a small task with one positive in ten it is 0.267, above much that has learnt something.
#
# Output seen:
#   torchmetrics 1.9.0, scikit-learn 1.9.1, always the larger class
#   500 of 1000: torchmetrics 0.000, scikit-learn 0.000
#   691 of 1000: torchmetrics 0.026, scikit-learn 0.000
#   69 of 100: torchmetrics 0.082, scikit-learn 0.000
#   90 of 100: torchmetrics 0.267, scikit-learn 0.000
#   always the smaller class, 31 of 100: torchmetrics -0.082
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'scikit-learn==1.9.1' \
    'torchmetrics==1.9.0'
"$folder/venv/bin/python" - <<'PYTHON'
import sys

import sklearn
import torch
import torchmetrics
from sklearn.metrics import matthews_corrcoef
from torchmetrics.functional.classification import binary_matthews_corrcoef



def judged(positives: int, count: int, answer: int) -> tuple[float, float]:
    """Matthews' correlation of one answer for all, by torchmetrics and by scikit-learn."""
    labels = torch.tensor([1] * positives + [0] * (count - positives))
    answers = torch.full_like(labels, answer)
    return binary_matthews_corrcoef(answers, labels).item(), matthews_corrcoef(labels, answers)


versions = f"torchmetrics {torchmetrics.__version__}, scikit-learn {sklearn.__version__}"
print(f"{versions}, always the larger class")
cases = (500, 1000), (691, 1000), (69, 100), (90, 100)
found = {case: judged(*case, 1) for case in cases}
for (positives, count), (by_torchmetrics, by_sklearn) in found.items():
    print(
        f"{positives} of {count}: torchmetrics {by_torchmetrics:.3f}, scikit-learn {by_sklearn:.3f}"
    )
smaller, _ = judged(69, 100, 0)
print(f"always the smaller class, 31 of 100: torchmetrics {smaller:.3f}")
values = [by_torchmetrics for by_torchmetrics, _ in found.values()]
is_same = values[0] == 0 and values[1] > 0.02 and values[2] > 0.08 and values[3] > 0.26
is_same &= abs(smaller + values[2]) < 1e-6 and not any(by_sklearn for _, by_sklearn in found.values())
sys.exit(not is_same)
PYTHON
