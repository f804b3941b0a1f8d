#!/usr/bin/env bash
# archai's proxy of LiteTransformerSearch counts the output layer of decoders whose output is their own.
#
# LiteTransformerSearch (Javaheripi et al., 2022) ranks decoders by their decoder parameters: those of the
# blocks, without the vocabulary's. In archai 1.0.0, from its authors, NonEmbeddingParamsProxy takes
# the parameters of nn.Embedding away from all. GPT-2 and OPT use their embedding again as output layer, so
# that is the same but for a final norm. CodeGen, another type of decoder of the same search space, has an
# output layer of its own, which is no nn.Embedding: vocabulary times width stay in the count. At the
# space's vocabulary of 10,000 that is about half of it, and the same thirty configurations come in another order,
# wide ones first, than by their blocks.
#
# Output seen:
#   archai 1.0.0, gpt2: 30 decoders, the blocks' part 1.00, tau with the blocks' parameters 1.00
#   archai 1.0.0, codegen: 30 decoders, the blocks' part 0.54, tau with the blocks' parameters 0.75
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.4.6' 'scipy==1.17.1' 'pandas==3.1.1' \
    'transformers==4.27.4' 'overrides==3.1.0' 'matplotlib==3.11.2' 'einops==0.8.2' 'opt-einsum==3.4.0' \
    'onnxruntime==1.32.0' 'onnx==1.23.2' 'ray==2.60.0' 'psutil==7.2.2' 'pyyaml==6.0.4' 'tqdm==4.70.1'
# The rest of what it asks for serves other parts of it.
"$folder/venv/bin/pip" install --quiet --no-deps 'archai==1.0.0'
"$folder/venv/bin/python" - <<'PYTHON'
import statistics
import sys
import warnings
from importlib.metadata import version

warnings.simplefilter("ignore")
from archai.discrete_search.evaluators.nlp.parameters import NonEmbeddingParamsProxy
from archai.discrete_search.search_spaces.nlp.transformer_flex.search_space import (
    TransformerFlexSearchSpace,
)
from scipy.stats import kendalltau

COUNT = 30


def counted(kind: str) -> tuple[list[dict], list[float], list[int]]:
    """Configurations, the proxy and the blocks' parameters of decoders drawn from one seed."""
    space = TransformerFlexSearchSpace(
        kind,
        max_layers=16,
        d_model_options=[64, 128, 256],
        d_inner_options=[256, 512, 1024],
        n_head_options=[4, 8],
        max_sequence_length=128,
        random_seed=1,
    )
    drawn = [space.random_sample() for _ in range(COUNT)]
    proxy = NonEmbeddingParamsProxy()
    blocks = [
        sum(p.numel() for name, p in model.arch.named_parameters() if ".h." in name)
        for model in drawn
    ]
    return [m.metadata["config"] for m in drawn], [proxy.evaluate(m) for m in drawn], blocks


found = {}
for kind in ("gpt2", "codegen"):
    configurations, proxies, blocks = counted(kind)
    part = statistics.median(b / p for b, p in zip(blocks, proxies))
    found[kind] = configurations, part, kendalltau(proxies, blocks).statistic
    print(
        f"archai {version('archai')}, {kind}: {COUNT} decoders, the blocks' part {part:.2f}, "
        f"tau with the blocks' parameters {found[kind][2]:.2f}"
    )
(ours, whole, same), (theirs, part, other) = found.values()
sys.exit(not (ours == theirs and whole > 0.99 and part < 0.7 and same == 1 and other < 0.9))
PYTHON
