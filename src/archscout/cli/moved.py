"""Options that stand for others: shorter ways of writing them, and where earlier ones went."""

from __future__ import annotations

import re
from collections.abc import Collection

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
_SCORING = ("split", "vocabulary-size", "minibatch", "objective", "tokenizer", "device")
_COSTS = (
    *("parameters", "non-embedding-parameters", "flops", "latency", "memory"),
    *("prefill-latency", "token-latency", "cache-memory"),
)
_OTHERS = {
    "all": "archscout leaderboard judges every metric on every benchmark at hand",
    "population": "use --population-size",
    "population-size": "use --sampler nsga2:NUMBER",
    "train-top": "use --budget NUMBER, and --prove SEEDS to see whether it pays",
    "train-preset": "use --preset",
    "train-set": "use --set NAME=VALUE",
    "combine-by": "use --combine 'median(a+b)' or 'log(a+b)'",
    "repeats": "use --repeat NUMBERxTIMES",
    "one-order": "use --set both_orders=false",
    "no-jitter": "use --set jitter=false",
    "no-unigram-bias": "use --set unigram_bias=false",
}


# What is written often, and what it is short for.
_SHORT = {
    "metric": ("--metrics", ""),
    "scale": ("--size", ""),
    "model-scale": ("--model-size", ""),
    **{f"max-{cost}": ("--max", f"{cost.replace('-', '_')}=") for cost in _COSTS},
    **{name: ("--scoring", f"{name.replace('-', '_')}=") for name in _SCORING},
}


def in_full(option: str, words: list[str], taken: Collection[str]) -> list[str] | None:
    """A command line with the first such option written in full, None where it is short for none.

    Args:
        option: as `--scale`.
        words: of the line, in which options stand as `--option value` or `--option=value`.
        taken: the options that the command has.
    """
    full, beginning = _SHORT.get(option.lstrip("-"), ("", ""))
    if full not in taken:
        return None
    for i, word in enumerate(words):
        if word == option and i + 1 < len(words):
            return [*words[:i], full, beginning + words[i + 1], *words[i + 2 :]]
        if word.startswith(f"{option}="):
            value = word.removeprefix(f"{option}=")
            return [*words[:i], full, beginning + value, *words[i + 1 :]]
    return None


def advice(option: str, command: str, taken: Collection[str]) -> str | None:
    """What to write in place of an option that a command does not know; None if nothing serves.

    Args:
        option: as `--hidden-size`.
        command: as `archscout score`.
        taken: the options that it has.
    """
    found = _place_of(option.lstrip("-"), command) or ""
    named = re.findall("--[a-z-]+", found)
    return found if found and set(named) <= set(taken) else None


def _place_of(name: str, command: str) -> str | None:
    """Where an option went that some command had."""
    trains, field = command.split()[-1] in ("train", "finetune"), name.replace("-", "_")
    if trains and name == "objective":
        return "use --set task=VALUE"
    if trains and name in _RECIPES:
        return f"use --set {field}=VALUE"
    if name in _SIZES:
        return f"use --size {field}=VALUE"
    if name.startswith("dataset-"):
        return f"use --dataset-set {field.removeprefix('dataset_')}=VALUE"
    return _OTHERS.get(name)
