"""The recurrent language model as a transformers model.

An exported folder carries this file and language_model.py, so that
`AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)` works where archscout is
not installed. Here the batch comes first, as everywhere in transformers.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput

# Relative, for in an exported folder this file lies beside the other without a package.
from .language_model import Dropout, RecurrentLanguageModel, States


class RecurrentConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """Configuration of `RecurrentForCausalLM`.

    Args:
        cell: the recipe's nodes in order, each with its name, op and input (a list, for the
            configuration's file sorts the keys of mappings, and the order of nodes counts).
        vocab_size: V.
        embedding_size: E, width of the embedding and of the last layer.
        hidden_size: width of the layers before the last.
        num_hidden_layers: L.
        dropout: rates by name, see `language_model.Dropout`.
        **kwargs: those of `PretrainedConfig`.
    """

    model_type = "archscout-rnn"

    def __init__(
        self,
        cell: list[dict[str, Any]] | None = None,
        vocab_size: int = 1,
        embedding_size: int = 400,
        hidden_size: int = 600,
        num_hidden_layers: int = 3,
        dropout: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        self.cell = cell or []
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.dropout = dropout or dataclasses.asdict(Dropout())
        super().__init__(**kwargs)


@dataclasses.dataclass
class RecurrentOutput(ModelOutput):
    """What `RecurrentForCausalLM` returns.

    Attributes:
        loss: mean negative log-likelihood per token, nats, where labels were given.
        logits: of the next token, (B, T, V).
        states: every layer's hidden states after the last step, L of k of (B, H).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    states: Any = None


class RecurrentForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """A recurrent language model; `forward` goes on from `states` where they are given."""

    config_class = RecurrentConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _is_stateful = True

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        self.model = RecurrentLanguageModel(
            {node["name"]: node for node in config.cell},
            config.vocab_size,
            config.embedding_size,
            config.hidden_size,
            config.num_hidden_layers,
            Dropout(**config.dropout),
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: torch.nn.Module) -> None:
        """Nothing: weights come from archscout's own initialisation or from a checkpoint."""

    def forward(
        self,
        input_ids: Tensor,
        states: States | None = None,
        labels: Tensor | None = None,
        **_: Any,
    ) -> RecurrentOutput:
        """Logits, states and, with labels, the loss.

        Args:
            input_ids: token ids (B, T).
            states: from an earlier call, to go on from there.
            labels: token ids (B, T), each compared with the prediction made one step before;
                -100 is left out.
        """
        logits, states = self.model(input_ids.t(), states)
        logits = logits.transpose(0, 1)
        loss = None
        if labels is not None:
            loss = F.cross_entropy(logits[:, :-1].flatten(0, 1), labels[:, 1:].flatten())
        return RecurrentOutput(loss=loss, logits=logits, states=states)

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, states: States | None = None, **_: Any
    ) -> dict[str, Any]:
        """The newest token and the states before it."""
        return {"input_ids": input_ids if states is None else input_ids[:, -1:], "states": states}

    def _update_model_kwargs_for_generation(
        self, outputs: ModelOutput, model_kwargs: dict[str, Any], *_: Any, **__: Any
    ) -> dict[str, Any]:
        return model_kwargs | {"states": outputs["states"]}
