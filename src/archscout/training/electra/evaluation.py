"""How well an encoder does what it is pretrained for, and how well something trivial would."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from archscout.training.electra.masking import Masking
from archscout.training.electra.objectives import Sums
from archscout.training.outcome import Loss
from archscout.training.seeds import seed_of

_MASKS = 2
_BATCH_TOKENS = 4096


@dataclasses.dataclass(frozen=True)
class PretrainingLoss:
    """An encoder's losses on a text, with those of trivial baselines.

    Attributes:
        nats: mean negative log-likelihood of a masked token, by the generator, or by the encoder
            itself where it is what predicts.
        accuracy: share of the masked tokens that are predicted.
        masked: number of masked tokens.
        unigram: nats of a masked token by the pieces' frequencies (plus one) in the training text.
        tokens: number of tokens.
        detection: mean negative log-likelihood, nats, of whether a token was replaced; None where
            none is.
        detection_accuracy: share of the tokens of which that is told right; None as above.
        original: share of the tokens that are the original: the accuracy of always saying so; None
            as above.
    """

    nats: float
    accuracy: float
    masked: int
    unigram: float
    tokens: int
    detection: float | None = None
    detection_accuracy: float | None = None
    original: float | None = None

    @property
    def base_rate(self) -> float | None:
        """Loss of detection by the share of replaced tokens alone, nats; None as above."""
        if self.original is None:
            return None
        shares = (self.original, 1 - self.original)
        return -sum(share * math.log(share) for share in shares if share)

    def to_dict(self) -> dict[str, Any]:
        """The losses, as result.json holds them."""
        masked = Loss(self.nats, self.masked)
        found: dict[str, float | None] = {
            "nats": self.nats,
            "perplexity": masked.perplexity,
            "accuracy": self.accuracy,
            "masked_tokens": self.masked,
            "tokens": self.tokens,
        }
        if self.detection is not None:
            found |= {
                "detection_nats": self.detection,
                "detection_accuracy": self.detection_accuracy,
            }
        return found

    def baselines(self) -> dict[str, float | None]:
        """What is to be beaten, as result.json holds it."""
        found: dict[str, float | None] = {"unigram_nats": self.unigram}
        if self.original is not None:
            found |= {"always_original": self.original, "base_rate_nats": self.base_rate}
        return found


def evaluate_encoder(
    model: nn.Module, sequences: Tensor, masking: Masking, counts: Tensor, seed: int
) -> PretrainingLoss:
    """The losses on sequences, with masks and fillings that follow from the seed.

    All tokens that are to be predicted are covered, unlike in training: what could be seen would
    flatter the loss.

    Args:
        model: `ReplacedTokens` or `MaskedTokens`; dropout is off, and its mode is left as it was.
        sequences: token ids (N, T), on the CPU.
        masking: chooses the tokens.
        counts: (V,), how often each piece occurs in the training text.
        seed: of the masks.
    """
    mode = model.training
    model.eval()
    device = next(model.parameters()).device
    frequencies = counts.double() + 1
    surprise = (frequencies.sum() / frequencies).log()  # (V,)
    sums = torch.zeros(len(Sums._fields), dtype=torch.double)
    unigram, masked, tokens = 0.0, 0, 0
    batch_size = max(1, _BATCH_TOKENS // sequences.shape[1])
    with torch.no_grad():
        for number, part in enumerate(sequences.split(batch_size)):
            batch = masking.mask(part, seed_of(seed, _MASKS, number), covered_share=1.0)
            unigram += float(surprise[batch.originals[batch.chosen]].sum())
            masked, tokens = masked + batch.num_chosen, tokens + batch.num_tokens
            sums += torch.stack([x.double().cpu() for x in model(batch.to(device))])
    model.train(mode)
    found: Sums[float] = Sums(*sums.tolist())
    loss = PretrainingLoss(
        found.nats / masked, found.hits / masked, masked, unigram / masked, tokens
    )
    if not hasattr(model, "generator"):
        return loss
    return dataclasses.replace(
        loss,
        detection=found.detection / tokens,
        detection_accuracy=found.detected / tokens,
        original=1 - found.replaced / tokens,
    )


def objective_of(losses: Mapping[str, float], settings: Mapping[str, Any]) -> float:
    """What a pretraining minimised, nats, from an entry of result.json's losses.

    Where an encoder tells replaced tokens, `nats` is its generator's alone.
    """
    weight = float(settings.get("discriminator_weight", 0.0))
    return losses["nats"] + weight * losses.get("detection_nats", 0.0)
