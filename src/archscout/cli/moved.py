"""Where options went that earlier versions had."""

from __future__ import annotations

_SIZES = (
    *("embedding-size", "hidden-size", "num-layers", "batch-size", "sequence-length"),
    *("initialisation", "reading"),
)
_RECIPES = (
    *("minutes", "patience", "learning-rate", "schedule", "warm-up", "batch-size"),
    *("sequence-length", "clip", "weight-decay", "unigram-bias", "precision"),
    *("checkpoint-minutes", "epochs", "evaluation-batch-size", "jitter", "activation-alpha"),
    *("activation-beta", "embedding-dropout", "input-dropout", "between-dropout"),
    *("output-dropout", "weight-drop", "steps", "accumulation", "evaluate-every", "milestones"),
    *("dropout", "mask-share", "generator-share", "discriminator-weight", "limit", "layer-decay"),
    *("epsilon", "max-length", "both-orders"),
)
_SCORING = ("split", "vocabulary-size", "minibatch", "objective", "tokenizer")
_OTHERS = {
    "all": "archscout leaderboard judges every metric on every benchmark at hand",
    "scale": "use --size with the scale's name",
    "model-scale": "use --model-size with the scale's name",
    "metric": "use --metrics",
    "population": "use --population-size",
    "population-size": "use --sampler nsga2:NUMBER",
    "train-preset": "use --preset",
    "train-set": "use --set NAME=VALUE",
    "combine-by": "use --combine 'median(a+b)' or 'log(a+b)'",
    "repeats": "use --repeat NUMBERxTIMES",
    "one-order": "use --set both_orders=false",
    "no-jitter": "use --set jitter=false",
    "no-unigram-bias": "use --set unigram_bias=false",
}


def advice(option: str, command: str) -> str | None:
    """What to write in place of an option that a command does not know.

    Args:
        option: as given, such as `--hidden-size`.
        command: such as `archscout score`.

    Returns:
        None where no version knew it.
    """
    name = option.lstrip("-")
    field = name.replace("-", "_")
    trains = command.split()[-1] in ("train", "finetune")
    if trains and name == "objective":
        return "use --set task=VALUE"
    if trains and name in _RECIPES:
        return f"use --set {field}=VALUE"
    if name in _SIZES:
        return f"use --size {field}=VALUE"
    if name in _SCORING:
        return f"use --scoring {field}=VALUE"
    if name.startswith("max-"):
        return f"use --max {field.removeprefix('max_')}=VALUE"
    if name.startswith("dataset-"):
        return f"use --dataset-set {field.removeprefix('dataset_')}=VALUE"
    return _OTHERS.get(name)
