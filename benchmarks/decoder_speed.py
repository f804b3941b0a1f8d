"""How fast decoders are beside transformers' GPT-2 of the same shape and weights, in one run.

    python benchmarks/decoder_speed.py [--rounds N]

A step is a forward and a backward pass of the next token's loss, without dropout. Generating is
64 tokens, the likeliest each time, after 64 that were read, with a key/value cache. Both do each in
turn on one core, and the ratio is the median of those of the rounds, of processor time: below 1 the
space's network is faster.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import transformers

from archscout.spaces import GptSpace
from archscout.spaces.gpt.generation import generate
from archscout.spaces.gpt.native import native

SPACE = GptSpace()
NEW = 64
SHAPES = (("gpt2-tiny", 8192, 16, 64), ("gpt2-mini", 8192, 16, 64), ("gpt2", 50257, 2, 128))


def seconds(run: Callable[[], object]) -> float:
    """Of the processor, for one call."""
    start = time.process_time()
    run()
    return time.process_time() - start


def compare(
    ours: Callable[[], object], theirs: Callable[[], object], rounds: int
) -> tuple[float, float]:
    """Median seconds of ours, and the median ratio to theirs."""
    ours(), theirs()
    pairs = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return statistics.median(a for a, _ in pairs), statistics.median(a / b for a, b in pairs)


def steps_and_texts(
    name: str, vocabulary_size: int, batch_size: int, length: int, rounds: int
) -> None:
    """Print seconds and ratios of a named decoder."""
    architecture = SPACE.named[name]
    scale = SPACE.scales["fast"].resized(sequence_length=length)
    network = SPACE.build(architecture, vocabulary_size, scale).eval()
    model: Any = native(SPACE.build(architecture, vocabulary_size, scale), architecture)
    assert isinstance(model, transformers.GPT2LMHeadModel)
    model.eval()
    tokens = torch.randint(vocabulary_size, (batch_size, length))
    targets, given = tokens.roll(-1, 1), tokens[:, :NEW]

    def our_step() -> None:
        hidden = network.decode(tokens).last_hidden_state
        network.loss(hidden, targets).backward()
        network.zero_grad()

    def their_step() -> None:
        model(input_ids=tokens, labels=tokens, use_cache=False).loss.backward()
        model.zero_grad()

    def our_text() -> None:
        generate(network, given, NEW, temperature=0)

    def their_text() -> None:
        model.generate(
            given,
            attention_mask=torch.ones_like(given),
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            do_sample=False,
            pad_token_id=0,
        )

    for what, ours, theirs in (
        (f"step, {batch_size} x {length}", our_step, their_step),
        (f"generating {NEW}, batch {batch_size}", our_text, their_text),
    ):
        took, ratio = compare(ours, theirs, rounds)
        print(f"{name:<10} {what:<26} {1e3 * took:9.1f} ms  ratio {ratio:.3f}", flush=True)


def main() -> None:
    """Print seconds and ratios of all shapes."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    torch.set_num_threads(1)
    print(f"torch {torch.__version__}, transformers {transformers.__version__}, {rounds} rounds")
    for shape in SHAPES:
        steps_and_texts(*shape, rounds)


if __name__ == "__main__":
    main()
