"""LiteTransformerSearch's decoders as they are read from its training logs."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from archscout import benchmarks
from archscout.analysis.beyond_size import beyond_size
from archscout.benchmarks import DataFolder
from archscout.errors import InputError
from archscout.spaces.gpt.sizes import decoder_parameters, embedding_parameters, head_parameters

LOGS = "archai/archai/nlp/nas/saved_logs"
CONFIGURATION: dict[str, Any] = {
    "n_layer": 2,
    "d_model": 8,
    "n_head": [2, 4],
    "d_inner": [17, 5],
    "d_embed": 4,
    "div_val": 2,
    "cutoffs": [10, 20, 500, 100],
    "n_token": 100,
    "attn_type": 0,
    "pre_lnorm": False,
    "primer_conv": False,
    "primer_square": False,
}
SIZES = {"nonembedding": 1008.0, "total": 2000.0, "Attn": 576.0}
RESULTS = {"valid_ppl": 40.5, "test_ppl": 41.5, "train_elapsed": 60.0, "test_word_ppl": 1e12}


def write(data: Path, name: str, **files: Mapping[str, Any]) -> DataFolder:
    for place, content in files.items():
        path = data / LOGS / name / place.replace("__", "/")
        path.with_suffix(".yaml").parent.mkdir(parents=True, exist_ok=True)
        path.with_suffix(".yaml").write_text(yaml.safe_dump(dict(content)))
    return DataFolder(data)


def trained(data: Path, **changes: Any) -> DataFolder:
    """One decoder on WikiText-103, with another configuration, results or sizes."""
    return write(
        data,
        "random_GPT2_wt103",
        ppl_summary={"config_0_j3": changes.get("results", RESULTS)},
        params_summary={changes.get("sized", "config_0_j3"): changes.get("sizes", SIZES)},
        config_0__j3__model_config=changes.get("configuration", CONFIGURATION),
    )


def test_a_decoder_has_its_genes_results_and_sizes(tmp_path: Path) -> None:
    found = benchmarks.load("lts-gpt2", trained(tmp_path))
    entry = found.entry("config_0_j3")
    genes = entry.architecture
    assert (genes.n_head, genes.n_kv_head, genes.d_inner) == ((2, 4), (2, 4), (17, 5))
    assert (genes.d_embed, genes.div_val) == (4, 2)
    assert (genes.norm, genes.activation, genes.position) == ("layernorm", "gelu", "learned")
    assert entry.results == {
        "valid_ppl": 40.5,
        "test_ppl": 41.5,
        "seconds": 60.0,
        "decoder_parameters": 1008.0,
        "parameters": 2000.0,
    }
    assert (found.target, found.larger_is_better, found.size) == (
        "valid_ppl",
        False,
        "decoder_parameters",
    )


def test_a_vocabulary_before_the_first_cutoff_has_no_bands(tmp_path: Path) -> None:
    before = CONFIGURATION | {"cutoffs": [200, 300, 100]}
    found = benchmarks.load("lts-gpt2", trained(tmp_path, configuration=before))
    assert found.entry("config_0_j3").architecture.div_val == 1
    assert found.remarks[0].startswith("1 decoders say div_val 2 or 4")


def test_other_published_sizes_are_said(tmp_path: Path) -> None:
    found = benchmarks.load("lts-gpt2", trained(tmp_path, sizes=SIZES | {"nonembedding": 7}))
    assert found.remarks == tuple(r for r in found.remarks if "Transformer-XL" in r) != ()
    assert found.results["decoder_parameters"].tolist() == [7]


def test_a_pareto_front_has_latency_and_memory(tmp_path: Path) -> None:
    folder = write(
        tmp_path,
        "pareto_GPT2_lm1b_arm",
        ppl_summary={"M2": 70.5},
        params_summary={"M2": SIZES},
        latency_summary={"M2": 1060.5},
        memory_summary={"M2": 125},
        M2__model_config=CONFIGURATION,
    )
    row = benchmarks.load("lts-gpt2", folder, "lm1b-arm").results.loc["M2"]
    assert (row["valid_ppl"], row["latency_ms"], row["memory_mb"]) == (70.5, 1060.5, 125)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"configuration": {"n_layer": 2}}, "config_0_j3 lacks d_model, n_head, d_inner"),
        ({"configuration": CONFIGURATION | {"primer_conv": True}}, "has primer_conv True; False"),
        ({"configuration": CONFIGURATION | {"n_head": [3, 4]}}, "n_head is 3, which does not"),
        ({"configuration": CONFIGURATION | {"n_head": [2]}}, "n_head has 1 entries"),
        ({"results": {"test_ppl": 3.0}}, "config_0_j3 has no valid_ppl"),
        ({"results": RESULTS | {"valid_ppl": "low"}}, "valid_ppl of config_0_j3 is 'low'"),
        ({"sizes": {"total": 3}}, "config_0_j3 has no nonembedding"),
        ({"sizes": 5}, "said of config_0_j3 is 5, and no mapping"),
        ({"sized": "config_1_j0"}, "stands in ppl_summary.yaml and not in params_summary.yaml"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(
    tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises(InputError, match=reason) as caught:
        benchmarks.load("lts-gpt2", trained(tmp_path, **changes))
    assert str(tmp_path / LOGS / "random_GPT2_wt103") in str(caught.value)


def test_an_unknown_dataset_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no dataset 'wt2'; accepted are wt103, lm1b, lm1b-arm"):
        benchmarks.load("lts-gpt2", DataFolder(tmp_path), "wt2")


def test_published_decoders_are_counted_as_upstream_counted_them(shared: Path) -> None:
    found = benchmarks.load("lts-gpt2", DataFolder(shared / "upstream"), "wt103")
    assert found.remarks == ()
    assert found.modified == ("random_GPT2_wt103",)
    cutoffs = (19997, 39997, 199997)
    for name, genes in found.architectures.items():
        size = decoder_parameters(genes)
        size += embedding_parameters(genes, 50264, 192, cutoffs)
        size += head_parameters(genes, 50264, cutoffs, adaptive=True)
        assert size == found.results.loc[name, "parameters"]


def test_size_says_most_but_little_among_decoders_of_one_size(shared: Path) -> None:
    found = benchmarks.load("lts-gpt2", DataFolder(shared / "upstream"), "wt103")
    sizes = found.results["decoder_parameters"]
    table = beyond_size(
        sizes.to_frame(),
        found.results["valid_ppl"],
        sizes,
        larger_is_better={"decoder_parameters": True},
        result_larger_is_better=False,
        resamples=20,
    )
    row = table.loc["decoder_parameters"]
    assert (row["n"], row["pairs"]) == (118, 180)
    # Of all 200 decoders: 0.967, 0.64, 0.56.
    assert row["spearman"] == pytest.approx(0.967, abs=0.01)
    assert row["within"] == pytest.approx(0.64, abs=0.03)
    assert row["near"] == pytest.approx(0.56, abs=0.03)
