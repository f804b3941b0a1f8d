#!/usr/bin/env bash
# The evaluation loss of transformers' Trainer, and so the perplexity, changes with the batch size.
#
# A decoder's perplexity is the exponential of the mean loss over all tokens. Trainer.evaluate of
# transformers 5.24.0 averages the losses of batches, each of which is a mean over its own tokens, by the
# number of their texts: a token counts for more in a batch with fewer of them. For texts of different
# lengths the same network on the same data so has another perplexity with another
# per_device_eval_batch_size, and none of them need be that over all tokens. (A training loss is divided by
# the number of tokens; an evaluation's is not.) Two runs, or a run and a published figure, compare only
# if the batches were cut alike.
#
# Here are 32 texts, a quarter of 64 tokens, which the decoder has learnt, the rest of 4, unknown to it, in
# the order long, short, short, short, ...
#
# Output seen:
#   transformers 5.24.0, perplexity over all tokens 1.63
#   Trainer.evaluate, batches of 1: 8.9, of 2: 4.7, of 4: 1.6, of 32: 1.6
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'torch==2.13.0' 'numpy==2.3.5' 'transformers==5.24.0' \
    'accelerate==1.15.0'
cd "$folder"
TRANSFORMERS_VERBOSITY=error "$folder/venv/bin/python" - <<'PYTHON' | grep -v eval_runtime
import math
import sys

import torch
import transformers
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments

WORDS, LEARNT = 50, 7
IGNORED = -100  # of labels


def collate(texts: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    longest = max(map(len, texts))
    padded = {"input_ids": 0, "labels": IGNORED, "attention_mask": 0}
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in padded}
    for text in texts:
        values = {"input_ids": text, "labels": text, "attention_mask": torch.ones_like(text)}
        for name, value in values.items():
            filling = torch.full((longest - len(text),), padded[name])
            parts[name].append(torch.cat([value, filling]))
    return {name: torch.stack(tensors) for name, tensors in parts.items()}


torch.manual_seed(0)
configuration = GPT2Config(
    vocab_size=WORDS, n_positions=64, n_embd=32, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0
)
network = GPT2LMHeadModel(configuration)
long = torch.full((64,), LEARNT)
texts = [torch.randint(1, WORDS, (4,)) if i % 4 else long for i in range(32)]
optimizer = torch.optim.Adam(network.parameters(), 1e-2)
for _ in range(60):
    optimizer.zero_grad()
    network(long[None], labels=long[None]).loss.backward()
    optimizer.step()

network.eval()
total = tokens = 0
with torch.no_grad():
    for text in texts:
        count = len(text) - 1
        total += network(text[None], labels=text[None]).loss.item() * count
        tokens += count
whole = math.exp(total / tokens)
print(f"transformers {transformers.__version__}, perplexity over all tokens {whole:.2f}")

found = {}
for size in (1, 2, 4, 32):
    arguments = TrainingArguments(
        output_dir="out", per_device_eval_batch_size=size, use_cpu=True, report_to=[], disable_tqdm=True
    )
    trainer = Trainer(network, arguments, data_collator=collate, eval_dataset=texts)
    found[size] = math.exp(trainer.evaluate()["eval_loss"])
said = [f"of {size}: {perplexity:.1f}" for size, perplexity in found.items()]
print(f"Trainer.evaluate, batches {', '.join(said)}", flush=True)
sys.exit(not (found[1] > 1.5 * found[2] > 3 * found[4] and found[1] > 3 * whole))
PYTHON
