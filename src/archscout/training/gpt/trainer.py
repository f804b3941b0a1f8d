"""The trainer of decoders: their recipe, and text drawn from them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.spaces.gpt import DecoderNetwork, GptSpace
from archscout.spaces.gpt.generation import generate
from archscout.training.causal.causal_settings import CausalSettings
from archscout.training.causal.evaluation import LossFunction
from archscout.training.causal.trainer import CausalTrainer, TrainedCausal
from archscout.training.gpt.decoder_settings import PRESETS, DecoderSettings
from archscout.training.trainer import Assignment


class GptTrainer(CausalTrainer):
    """Trains decoders to predict the next token."""

    settings_type = DecoderSettings
    draws_text = True

    def __init__(self) -> None:
        super().__init__(GptSpace())
        self.presets = PRESETS

    def _built(
        self, task: Assignment[CausalSettings], words: int
    ) -> tuple[DecoderNetwork, LossFunction]:
        """A decoder, whose loss may be that of an adaptive softmax.

        Raises:
            InputError: it has too few positions.
        """
        space, settings = task.space, task.settings
        assert isinstance(space, GptSpace) and isinstance(settings, DecoderSettings)
        if settings.sequence_length > task.scale.num_positions:
            raise InputError(
                f"training setting sequence_length is {settings.sequence_length}: the decoder has "
                f"{task.scale.num_positions} positions"
            )
        network = space.build(task.architecture, words, task.scale, task.seed)
        _set_dropout(network, settings.dropout)
        network.gradient_checkpointing = settings.gradient_checkpointing
        return network.to(task.device), decoder_loss

    def draw(
        self, trained: TrainedCausal, prompt: str, n: int, temperature: float, seed: int
    ) -> str:
        """Draw n tokens after a prompt, or after the end of another text.

        Raises:
            InputError: n is no positive number, the temperature none, or the decoder has too few
                positions.
        """
        if n < 1:
            raise InputError(f"{n} tokens to sample; accepted is a whole number of at least 1")
        if not 0 < temperature < math.inf:
            raise InputError(f"temperature {temperature}; accepted is a number above 0")
        pieces, network = trained.vocabulary, trained.network
        start = pieces.encode(prompt).tolist() or [pieces.end]
        if len(start) + n > network.num_positions:
            raise InputError(
                f"{n} tokens to sample after {len(start)} of the prompt; the decoder has "
                f"{network.num_positions} positions"
            )
        device = next(network.parameters()).device
        generator = torch.Generator().manual_seed(seed)
        tokens = torch.tensor([start], device=device)
        drawn = generate(network.eval(), tokens, n, temperature, generator=generator)
        text: str = pieces.decode(drawn[0].tolist())
        return text


def decoder_loss(network: DecoderNetwork, ids: Tensor) -> Tensor:
    """The mean nats of each token of (B, T + 1) but the first."""
    return network.loss(network.decode(ids[:, :-1]).last_hidden_state, ids[:, 1:])


def _set_dropout(network: DecoderNetwork, rate: float) -> None:
    """Give every dropout of a network this rate, and its exports, too."""
    network.arguments["dropout"] = rate
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = rate
