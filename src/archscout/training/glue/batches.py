"""Examples as token ids, and the batches that they are read in.

Shapes: N examples, B of a batch, T tokens of its longest.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, islice

import numpy as np
import tokenizers
import torch
from numpy.typing import NDArray
from tokenizers import processors
from torch import Tensor

from archscout.text import WordPiece
from archscout.text.wordpiece_training import CLS, PAD, SEP
from archscout.training.glue.examples import Examples
from archscout.training.glue.metrics import Numbers
from archscout.training.glue.tasks import Task
from archscout.training.seeds import seed_of

_AT_ONCE = 10_000


@dataclass(frozen=True)
class Encoded:
    """Examples as token ids, one after the other.

    Attributes:
        ids: of all tokens.
        types: of all tokens, 0 in the first sentence and 1 in the second.
        starts: where each example starts, and at last where the last one ends, (N + 1,).
        targets: the labels, (N,), those of a regression between 0 and 1.
        padding: the id that fills batches up.
    """

    ids: NDArray[np.int32]
    types: NDArray[np.int8]
    starts: NDArray[np.int64]
    targets: Numbers
    padding: int

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, chosen: NDArray[np.int64], device: torch.device) -> dict[str, Tensor]:
        """Inputs of a classifier: token ids, types and mask (B, T), and labels (B,).

        Args:
            chosen: numbers of the examples, (B,).
            device: where it is needed.
        """
        starts = self.starts[chosen, None]  # (B, 1)
        lengths = self.starts[chosen + 1, None] - starts
        positions = np.arange(lengths.max())[None]  # (1, T)
        mask = positions < lengths
        places = np.where(mask, starts + positions, 0)
        arrays = {
            "input_ids": np.where(mask, self.ids[places], self.padding).astype(np.int64),
            "token_type_ids": np.where(mask, self.types[places], 0).astype(np.int64),
            "attention_mask": mask,
            "labels": self.targets[chosen],
        }
        return {name: torch.from_numpy(array).to(device) for name, array in arrays.items()}


def encode(examples: Examples, task: Task, pieces: WordPiece, max_length: int) -> Encoded:
    """Examples as `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`.

    Args:
        examples: to encode.
        task: whose they are.
        pieces: the encoder's tokenizer.
        max_length: at most so many tokens; the longer sentence of a pair is cut first.
    """
    tokenizer = tokenizers.Tokenizer.from_str(pieces.definition)
    tokenizer.post_processor = processors.BertProcessing(
        (SEP, pieces.id_of(SEP)), (CLS, pieces.id_of(CLS))
    )
    tokenizer.enable_truncation(max_length, strategy="longest_first")
    first, second = examples.first, examples.second
    inputs = iter(first) if second is None else zip(first, second, strict=True)
    ids, types, lengths = list[NDArray[np.int32]](), list[NDArray[np.int8]](), list[int]()
    while some := list(islice(inputs, _AT_ONCE)):
        encodings = tokenizer.encode_batch(some)
        lengths += [len(encoding) for encoding in encodings]
        ids.append(np.concatenate([np.array(e.ids, dtype=np.int32) for e in encodings]))
        types.append(np.concatenate([np.array(e.type_ids, dtype=np.int8) for e in encodings]))
    targets = examples.targets(task)
    if task.is_regression:
        targets = (targets / task.largest).astype(np.float32)
    starts = np.array([0, *accumulate(lengths)], dtype=np.int64)
    return Encoded(np.concatenate(ids), np.concatenate(types), starts, targets, pieces.id_of(PAD))


def shuffled(count: int, batch_size: int, seed: int, epoch: int) -> list[NDArray[np.int64]]:
    """The examples of each step of an epoch; the last step may have fewer."""
    order = np.random.default_rng(seed_of(seed, epoch, 0)).permutation(count)
    return [order[start : start + batch_size] for start in range(0, count, batch_size)]


def by_length(encoded: Encoded, batch_size: int) -> list[NDArray[np.int64]]:
    """All examples in batches of about one length, so that little is padding."""
    order = np.argsort(np.diff(encoded.starts), kind="stable")
    return [order[start : start + batch_size] for start in range(0, len(order), batch_size)]
