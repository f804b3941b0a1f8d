"""LiteTransformerSearch: GPT-2-like decoders, each trained by itself, whose layers differ.

Source: Javaheripi et al., "LiteTransformerSearch: Training-free Neural Architecture Search for
Efficient Language Models" (NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from archscout.benchmarks import packing
from archscout.benchmarks.base import Benchmark
from archscout.benchmarks.store import DataFolder
from archscout.errors import InputError
from archscout.spaces.gpt import GptSpace
from archscout.spaces.gpt.sizes import decoder_parameters

NAME = "lts-gpt2"
SPACE = GptSpace.name
DATASETS: Mapping[str, str] = {
    "wt103": "random_GPT2_wt103",
    "lm1b": "random_GPT2_lm1b",
    "lm1b-arm": "pareto_GPT2_lm1b_arm",
    "lm1b-corei7": "pareto_GPT2_lm1b_corei7",
    "lm1b-titanxp": "pareto_GPT2_lm1b_titanxp",
}
_TEXTS = {"wt103": "wikitext-103"}
# Keys of a configuration, and what it must say for the decoder to be one of the space.
_READ = ("n_layer", "d_model", "n_head", "d_inner", "d_embed", "div_val", "cutoffs", "n_token")
_FIXED: Mapping[str, Any] = {"attn_type": 0, "primer_conv": False, "primer_square": False}
_SIZES = {"decoder_parameters": "nonembedding", "parameters": "total"}
_RESULTS = {"valid_ppl": "valid_ppl", "test_ppl": "test_ppl", "seconds": "train_elapsed"}
_MEASURED = {"latency_ms": "latency_summary.yaml", "memory_mb": "memory_summary.yaml"}


def load(folder: DataFolder, dataset: str | None = None) -> Benchmark:
    """The decoders that were trained on one text, or found for one device.

    `results` has, by the published name: `valid_ppl` (the perplexity on the validation text, the
    target), `decoder_parameters` (all but those of embeddings), `parameters`, and what else is
    published: `test_ppl`, `seconds` of training, `latency_ms` and `memory_mb` on the device. The
    columns of word perplexities are left out, since those on LM1B are not what they are called.

    Raises:
        InputError: there is no such dataset, or its files are missing or damaged.
    """
    dataset = dataset or next(iter(DATASETS))
    if dataset not in DATASETS:
        raise InputError(f"{NAME} has no dataset {dataset!r}; accepted are {', '.join(DATASETS)}")
    content, source = folder.read(DATASETS[dataset])
    texts, place = packing.members(content), str(source.path)
    try:
        table = _table(texts, source.file.summaries)
        space, architectures, bandless = GptSpace(), {}, 0
        for name in map(str, table.index):
            configuration = packing.mapping(texts, packing.place_of(name))
            architectures[name] = space.parse(genotype(configuration, name))
            bandless += _without_bands(configuration) and configuration["div_val"] > 1
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
    counts = {name: decoder_parameters(genes) for name, genes in architectures.items()}
    others = int((table["decoder_parameters"] != pd.Series(counts)).sum())
    remarks = {
        f"{bandless} decoders say div_val 2 or 4, though all their tokens lie before the first "
        "cutoff; they are taken as div_val 1, without the square projection that upstream "
        "adds.": bandless,
        f"{others} decoders have another number of decoder parameters upstream than as GPT-2: that "
        "of Transformer-XL, whose attention has a fifth projection; `decoder_parameters` is "
        "upstream's.": others,
    }
    return Benchmark(
        name=NAME,
        dataset=dataset,
        space=space,
        architectures=architectures,
        results=table,
        target="valid_ppl",
        larger_is_better=False,
        text=(_TEXTS.get(dataset, "lm1b"),),
        sources=(source,),
        remarks=tuple(remark for remark, count in remarks.items() if count),
        size="decoder_parameters",
    )


def genotype(configuration: Mapping[str, Any], name: str) -> dict[str, Any]:
    """The genes of a decoder, from its configuration upstream.

    Raises:
        ValueError: the configuration lacks something, or has a part that the space does not know.
    """
    missing = [key for key in _READ if key not in configuration]
    if missing:
        raise ValueError(f"the configuration of {name} lacks {', '.join(missing)}")
    for key, value in _FIXED.items():
        if configuration.get(key, value) != value:
            raise ValueError(
                f"the configuration of {name} has {key} {configuration[key]!r}; {value!r} is "
                f"accepted, as of all decoders of {NAME}"
            )
    genes = {key: configuration[key] for key in ("n_layer", "d_model", "n_head", "d_inner")}
    bands = 1 if _without_bands(configuration) else configuration["div_val"]
    return genes | {"d_embed": configuration["d_embed"], "div_val": bands}


def _without_bands(configuration: Mapping[str, Any]) -> bool:
    cutoffs = configuration["cutoffs"]
    return not cutoffs or bool(cutoffs[0] >= configuration["n_token"])


def _table(texts: Mapping[str, str], summaries: tuple[str, ...]) -> pd.DataFrame:
    """Results and sizes by name; only decoders of which all of it is published."""
    reached, sizes = (packing.mapping(texts, name) for name in summaries[:2])
    rows = {}
    for name, results in reached.items():
        if name not in sizes:
            raise ValueError(f"{name} stands in {summaries[0]} and not in {summaries[1]}")
        # Of the Pareto fronts there is the perplexity alone.
        found = results if isinstance(results, Mapping) else {"valid_ppl": results}
        rows[name] = _numbers(found, _RESULTS, name) | _numbers(sizes[name], _SIZES, name)
        for needed in ("valid_ppl", *_SIZES):
            if needed not in rows[name]:
                raise ValueError(f"{name} has no {(_RESULTS | _SIZES)[needed]}")
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis("architecture")
    for column, summary in _MEASURED.items():
        if summary in summaries:
            table[column] = pd.Series(packing.mapping(texts, summary), dtype=float)
    return table


def _numbers(found: Any, columns: Mapping[str, str], name: str) -> dict[str, float]:
    if not isinstance(found, Mapping):
        raise ValueError(f"what is said of {name} is {found!r}, and no mapping")
    numbers = {column: found[key] for column, key in columns.items() if key in found}
    for column, value in numbers.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{columns[column]} of {name} is {value!r}, and no number")
    return {column: float(value) for column, value in numbers.items()}
