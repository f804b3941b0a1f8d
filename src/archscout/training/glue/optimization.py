"""AdamW with a learning rate for every layer.

Source: the released code of Clark et al. 2020, "ELECTRA".
"""

from __future__ import annotations

import re
from typing import Any

import torch
from torch import nn

from archscout.training.glue.finetuning_settings import FinetuningSettings
from archscout.training.weights import is_decayed

_LAYER = re.compile(r"\.encoder\.layer\.(\d+)\.")


def rate_factors(names: list[str], num_layers: int, decay: float) -> dict[str, float]:
    """What each parameter's learning rate is multiplied by.

    The head's rate is the full one. As in the released code the last layer's is two steps lower
    (decay squared), each layer's below it one more, and the embedding's one below the first's.

    Args:
        names: of the parameters of a classifier.
        num_layers: of its encoder.
        decay: from 0 to 1.

    >>> names = ["flexibert.network.encoder.layer.1.output.dense.weight", "out_proj.weight"]
    >>> list(rate_factors(names, num_layers=2, decay=0.5).values())
    [0.25, 1.0]
    """
    factors = {}
    for name in names:
        steps = 0
        if found := _LAYER.search(name):
            steps = num_layers + 1 - int(found[1])
        elif name.startswith("flexibert."):
            steps = num_layers + 2
        factors[name] = decay**steps
    return factors


def adamw(model: nn.Module, num_layers: int, settings: FinetuningSettings) -> torch.optim.AdamW:
    """The optimizer; each of its groups holds its rate's `factor`."""
    parameters = dict(model.named_parameters())
    factors = rate_factors(list(parameters), num_layers, settings.layer_decay)
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for name, parameter in parameters.items():
        weight_decay = settings.weight_decay if is_decayed(name) else 0.0
        group = groups.setdefault(
            (factors[name], weight_decay),
            {"params": [], "factor": factors[name], "weight_decay": weight_decay},
        )
        group["params"].append(parameter)
    return torch.optim.AdamW(
        list(groups.values()), lr=settings.learning_rate, eps=settings.epsilon, fused=True
    )
