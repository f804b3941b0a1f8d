"""What states keep of tokens, and what a search for decoders goes by."""

import math

import pytest
import torch
from scipy.stats import f_oneway

import archscout
from archscout.metrics.attention_share import attention_share
from archscout.metrics.decoder_memory import decoder_memory
from archscout.metrics.token_share import explained_by_groups, token_share
from archscout.tracing import Trace

NAMES = ("decoder_memory", "decoder_capacity", "token_share", "linear_memory_lag_0")
SIZES = {"n_layer": 2, "d_model": 64, "n_head": 4, "d_inner": 128}


def test_chance_explains_nothing_and_tokens_all() -> None:
    torch.manual_seed(0)
    groups = torch.arange(200).repeat(3)
    assert explained_by_groups(torch.randn(600, 16), groups) == pytest.approx(0, abs=0.03)
    assert explained_by_groups(torch.randn(200, 16)[groups], groups) == 1
    half = torch.randn(200, 16)[groups] + torch.randn(600, 16)
    assert explained_by_groups(half, groups) == pytest.approx(0.5, abs=0.03)


def test_it_is_the_f_test_in_other_words() -> None:
    """Of one unit, ε² is 1 - (n - 1) / (n - k + (k - 1) F), F of an analysis of variance."""
    torch.manual_seed(1)
    parts = [torch.randn(size, 1) + size for size in (2, 3, 5)]
    groups = torch.repeat_interleave(torch.arange(3), torch.tensor([2, 3, 5]))
    statistic = f_oneway(*(part[:, 0].numpy() for part in parts)).statistic
    expected = 1 - 9 / (7 + 2 * statistic)
    assert explained_by_groups(torch.cat(parts), groups) == pytest.approx(expected, rel=1e-5)


def test_what_comes_once_is_left_out() -> None:
    torch.manual_seed(0)
    values, groups = torch.randn(20, 4), torch.arange(5).repeat(4)
    more = torch.cat([values, 100 * torch.randn(3, 4)])
    alone = torch.cat([groups, torch.tensor([7, 8, 9])])
    assert explained_by_groups(more, alone) == pytest.approx(explained_by_groups(values, groups))


@pytest.mark.parametrize(
    ("values", "groups"),
    [
        (torch.randn(4, 2), torch.arange(4)),
        (torch.randn(4, 2), torch.zeros(4)),
        (torch.full((4, 2), 0.1), torch.arange(2).repeat(2)),
        (torch.tensor([[1.0], [math.inf], [0.0], [1.0]]), torch.arange(2).repeat(2)),
    ],
    ids=["each once", "one token", "no variation", "not finite"],
)
def test_without_something_to_compare_it_is_undefined(
    values: torch.Tensor, groups: torch.Tensor
) -> None:
    assert math.isnan(explained_by_groups(values, groups))
    trace = Trace(0, groups[:, None], hidden_states=[values[:, None]], embeddings=values[:, None])
    assert math.isnan(token_share(trace)[0]) and math.isnan(decoder_memory(trace))


def test_numbers_are_no_tokens() -> None:
    values = torch.randn(8, 1, 2)
    trace = Trace(0, values, hidden_states=[values], embeddings=values)
    assert math.isnan(token_share(trace)[0])


def test_added_positions_hide_tokens_and_rotary_ones_do_not() -> None:
    space = archscout.spaces.GptSpace()
    scorer = archscout.Scorer(space, "python-docs", NAMES)
    rope, learned, sinusoidal = (
        scorer.score(space.parse(SIZES | {"position": position})).scores
        for position in ("rope", "learned", "sinusoidal")
    )
    assert rope["token_share"] > 0.9 > 0.6 > learned["token_share"] > sinusoidal["token_share"]
    # Embeddings and learned positions are drawn alike.
    assert learned["token_share[1]"] == pytest.approx(0.5, abs=0.1)
    for scores in (rope, learned, sinusoidal):
        kept = scores["token_share"] * scores["linear_memory_lag_0"]
        expected = scores["decoder_capacity"] * kept**0.5
        assert scores["decoder_memory"] == pytest.approx(expected, rel=1e-6)


def test_weights_that_are_not_of_feed_forward_blocks_are_attention() -> None:
    space = archscout.spaces.GptSpace()
    scorer = archscout.Scorer(space, "python-docs", ["attention_share"])
    # Four maps of 64 x 64, and two of 64 x 128; keys and values of one head of four.
    found = scorer.score(space.parse(SIZES)).scores["attention_share"]
    assert found == pytest.approx(4 / (4 + 4))
    few = scorer.score(space.parse(SIZES | {"n_kv_head": 1})).scores["attention_share"]
    assert few == pytest.approx(2.5 / (2.5 + 4))
    assert math.isnan(attention_share(Trace(0, torch.zeros(1, 1))))


def test_a_search_for_decoders_goes_by_it() -> None:
    assert archscout.spaces.GptSpace().default_metric == "decoder_memory"


@pytest.mark.parametrize("width", [4, 64, 1024])
def test_states_that_differ_by_rounding_alone_say_nothing(width: int) -> None:
    tokens = torch.tensor([0, 0, 1, 1])
    states = torch.ones(4, width)
    states[2:] = torch.nextafter(states[2:], torch.tensor(2.0))
    assert math.isnan(explained_by_groups(states, tokens))
