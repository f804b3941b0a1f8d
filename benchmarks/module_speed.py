"""How many passes metrics cost: processor time over that of one pass of the same network.

    python benchmarks/module_speed.py

A pass is a forward and a backward pass of the network as its authors meant it, on one core, timed
in turn with the metrics; each number is the fastest of several. `score_module` takes all metrics of
a GPT-2 (12 layers, 256 wide, 8 texts of 64 tokens), nine that other libraries have, and one that
reads weights alone, of a BERT (4 layers, 256 wide, 16 texts of 64 tokens). Then come the metrics of
a decoder of the space gpt, grouped by the passes that their definitions need: what the trace takes,
and what the metrics make of it afterwards. docs/benchmarks.md tells how few passes there can be.
"""

import platform
import time
from collections.abc import Callable, Set

import torch
import transformers

import archscout
from archscout.metrics import available, request
from archscout.spaces import GptSpace
from archscout.tracing import Trace, trace
from archscout.tracing.quantities import OF_FORWARD, OF_INPUTS, OF_OBJECTIVE, OF_SHAPES

NINE = (
    *("gradient_norm", "snip", "grasp", "plain", "l2_norm", "synflow", "jacobian_covariance"),
    *("fisher", "naswot"),
)
REPEATS = 3
DECODER, VOCABULARY_SIZE, TEXTS = "gpt2-mini", 5000, 8
NOISED = frozenset(need for need in OF_OBJECTIVE if need.startswith("noised"))
TWICE = frozenset({"hessian_gradient_products"})
PLAIN = OF_FORWARD - {"gaussian_outputs"}
# What a group of metrics needs, at most; a metric is of the first group that it fits.
GROUPS: dict[str, Set[str]] = {
    "weights and shapes": OF_SHAPES | {"weights"},
    "forward": PLAIN,
    "forward and backward": PLAIN | (OF_OBJECTIVE - OF_INPUTS - NOISED - TWICE),
    "each input's gradient": PLAIN | OF_INPUTS,
    "layer probes": PLAIN | {"layer_probes"},
    "Gaussian embeddings": {"gaussian_outputs"},
    "SynFlow": {"synaptic_flow"},
    "noise": PLAIN | NOISED | {"embedding_gradient"},
    "differentiated twice": PLAIN | TWICE,
}
# Those that one forward and one backward pass can serve.
SHARING = ("weights and shapes", "forward", "forward and backward", "each input's gradient")


def passes(one_pass: Callable[[], object], *runs: Callable[[], object]) -> list[float]:
    """Processor time of each of several runs, over that of one pass."""
    times: list[list[float]] = [[] for _ in (one_pass, *runs)]
    for _ in range(REPEATS):
        for found, run in zip(times, (one_pass, *runs), strict=True):
            start = time.process_time()
            run()
            found.append(time.process_time() - start)
    once, *others = map(min, times)
    return [seconds / once for seconds in others]


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


def of_modules() -> None:
    """Print what `score_module` costs."""
    for name, make, metrics, target in (
        ("GPT-2, all metrics", gpt2, None, 12.0),
        ("BERT, nine metrics", bert, list(NINE), 5.0),
        ("BERT, l2_norm", bert, ["l2_norm"], 0.0),
    ):
        model, tokens = make()

        def one_pass(model: torch.nn.Module = model, tokens: torch.Tensor = tokens) -> None:
            model(input_ids=tokens)[0].sum().backward()
            model.zero_grad()

        def score(
            model: torch.nn.Module = model,
            tokens: torch.Tensor = tokens,
            metrics: list[str] | None = metrics,
        ) -> None:
            archscout.score_module(model, {"input_ids": tokens}, metrics)

        one_pass()
        (ratio,) = passes(one_pass, score)
        print(f"{name:36}{ratio:8.2f}{target:8.1f}")


def of_a_decoder() -> None:
    """Print what the metrics of a decoder of the space gpt cost, by the passes that they need."""
    space = GptSpace()
    genotype, scale = space.named[DECODER], space.scales[space.default_scale]
    tokens = torch.randint(VOCABULARY_SIZE, (scale.sequence_length, TEXTS))
    network = space.build(genotype, VOCABULARY_SIZE, scale, 0).eval()
    recorder = space.recorder(genotype, VOCABULARY_SIZE, scale, 0)
    cotangent = torch.randn(TEXTS, scale.sequence_length, genotype.d_model)

    def one_pass() -> None:
        network.zero_grad()
        (network.decode(tokens.t()).last_hidden_state * cotangent).sum().backward()

    def traced(names: list[str]) -> Trace:
        needs = frozenset().union(*(metrics[name].needs for name in names))
        return trace(recorder, tokens, needs, objective="cotangent")

    def read(names: list[str], kept: Trace) -> None:
        kept._memory.clear()  # what it remembers of the time before
        for name in names:
            request(name, "transformer").values(kept)

    def show(title: str, names: list[str], target: str = "") -> None:
        kept = traced(names)
        ratios = passes(one_pass, lambda: traced(names), lambda: read(names, kept))
        print(f"{title:36}{ratios[0]:8.2f}{target:>8}{ratios[1]:10.2f}{len(names):9}")

    metrics = available("transformer")
    groups: dict[str, list[str]] = {name: [] for name in GROUPS}
    for name, metric in metrics.items():
        groups[next(group for group, most in GROUPS.items() if metric.needs <= most)].append(name)
    print(f"\n{f'{DECODER}, {scale.sequence_length} x {TEXTS} tokens':36}{'passes':>8}"
          f"{'target':>8}{'readings':>10}{'metrics':>9}")  # fmt: skip
    for group, names in groups.items():
        show(group, names)
    shared = [name for group in SHARING for name in groups[group]]
    show("the first four in one", shared, "1.3")
    show("all", list(metrics), "1.3")


def main() -> None:
    """Print ratios."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"Python {platform.python_version()}, torch {torch.__version__}, "
          f"transformers {transformers.__version__}, one thread")  # fmt: skip
    print(f"{'score_module':36}{'passes':>8}{'target':>8}")
    of_modules()
    of_a_decoder()


if __name__ == "__main__":
    main()
