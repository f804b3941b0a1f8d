"""Text from a trained language model."""

from __future__ import annotations

import math

import torch

from archscout.errors import InputError
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel
from archscout.text import EOS, UNK, Vocabulary


def sample_text(
    model: RecurrentLanguageModel,
    vocabulary: Vocabulary,
    prompt: str = "",
    n: int = 50,
    temperature: float = 1.0,
    seed: int = 0,
) -> str:
    """Draw words one after the other, each from the model's distribution given those before.

    `<unk>` is never drawn, for it stands for no word.

    Args:
        model: trained.
        vocabulary: that it was trained with.
        prompt: words to go on from, split at whitespace; a new line by default.
        n: words to draw, line ends among them.
        temperature: the logits are divided by it: below 1 likely words become likelier.
        seed: of the draws.

    Returns:
        The prompt and the n words, line ends as such.

    Raises:
        InputError: a word of the prompt is not in the vocabulary, n is no positive number, or the
            temperature none.
    """
    if n < 1:
        raise InputError(f"{n} words to sample; accepted is a whole number of at least 1")
    if not 0 < temperature < math.inf:
        raise InputError(f"temperature {temperature}; accepted is a number above 0")
    words = prompt.split()
    start = words or ([EOS] if EOS in vocabulary else [vocabulary.tokens[0]])
    device = model.embedding.device
    tokens = vocabulary.encode(start)[:, None].to(device)
    unknown = vocabulary.encode([UNK] if UNK in vocabulary else [])
    generator = torch.Generator().manual_seed(seed)
    mode = model.training
    model.eval()
    states = None
    drawn: list[int] = []
    with torch.inference_mode():
        for _ in range(n):
            logits, states = model(tokens, states)
            last = logits[-1, 0].float().cpu()
            last[unknown] = -math.inf
            # The likeliest stays at 0 however small the temperature is.
            scaled = (last - last.max()).double() / temperature
            tokens = torch.multinomial(scaled.softmax(0).float(), 1, generator=generator)
            drawn.append(int(tokens))
            tokens = tokens[:, None].to(device)
    model.train(mode)
    lines = " ".join([*words, *vocabulary.decode(drawn)]).split(EOS)
    return "\n".join(line.strip() for line in lines)
