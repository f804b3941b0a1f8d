"""The page about a search for a decoder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from archscout.report.page import build_page
from archscout.runs import Run
from archscout.spaces import GptSpace


@pytest.fixture(scope="module")
def decoders(find: Callable[..., Path]) -> Run:
    """A run over decoders by what it costs to generate text with them."""
    goals = "parameters,prefill_latency,token_latency,cache_memory"
    sizes = GptSpace.scales["fast"].resized(batch_size=2, sequence_length=9)
    return Run(find(space="gpt", trials=2, metrics=goals, scale=sizes))


def test_what_a_cache_costs_is_said_and_of_which_text(decoders: Run) -> None:
    text = build_page(decoders)
    assert "Prefill is reading 8 tokens at once." in text
    assert "Token latency is that of generating one token after 9." in text
    assert "The cache holds 9 tokens." in text
    for heading in ("prefill_latency", "token_latency", "cache_memory"):
        assert f"{heading} (" in text
