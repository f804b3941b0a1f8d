"""How many passes `score_module` costs: its processor time over that of one pass of the model.

    python benchmarks/module_speed.py

A pass is a forward and a backward pass of the model as its authors meant it, on one core. All
metrics are taken of a GPT-2 (12 layers, 256 wide, 8 texts of 64 tokens), nine that other libraries
have, and one that reads weights alone, of a BERT (4 layers, 256 wide, 16 texts of 64 tokens).
"""

import time
from collections.abc import Callable

import torch
import transformers

import archscout

NINE = (
    *("gradient_norm", "snip", "grasp", "plain", "l2_norm", "synflow", "jacobian_covariance"),
    *("fisher", "naswot"),
)
REPEATS = 3


def least_seconds(run: Callable[[], object]) -> float:
    """Processor time of the fastest of several runs."""
    found = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


def gpt2() -> tuple[torch.nn.Module, torch.Tensor]:
    """A GPT-2, and tokens for it."""
    config = transformers.GPT2Config(
        vocab_size=5000,
        n_positions=64,
        n_embd=256,
        n_layer=12,
        n_head=4,
        bos_token_id=1,
        eos_token_id=2,
    )
    return transformers.GPT2LMHeadModel(config).eval(), torch.randint(5, 5000, (8, 64))


def bert() -> tuple[torch.nn.Module, torch.Tensor]:
    """A BERT, and tokens for it."""
    config = transformers.BertConfig(
        vocab_size=5000,
        hidden_size=256,
        num_hidden_layers=4,
        num_attention_heads=4,
        intermediate_size=1024,
    )
    return transformers.BertModel(config).eval(), torch.randint(5, 5000, (16, 64))


def main() -> None:
    """Print ratios."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for name, make, metrics in (
        ("GPT-2, all metrics", gpt2, None),
        ("BERT, nine metrics", bert, list(NINE)),
        ("BERT, l2_norm", bert, ["l2_norm"]),
    ):
        model, tokens = make()

        def one_pass(model: torch.nn.Module = model, tokens: torch.Tensor = tokens) -> None:
            model(input_ids=tokens)[0].sum().backward()
            model.zero_grad()

        one_pass()
        found = archscout.score_module(model, {"input_ids": tokens}, metrics)
        once = least_seconds(one_pass)
        score = least_seconds(
            lambda m=model, t=tokens, n=metrics: archscout.score_module(m, {"input_ids": t}, n)
        )
        values = len(found.scores)
        print(f"{name}: {score / once:.1f} passes of {once:.3f} s for {values} values")


if __name__ == "__main__":
    main()
