"""The recurrent language model as a transformers model.

An exported folder carries this file and language_model.py, so that
`AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)` works where archscout is
not installed. Here the batch comes first, as everywhere in transformers.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.utils.generic import ModelOutput, can_return_tuple

# Relative, for in an exported folder this file lies beside the other without a package.
from .language_model import (
    EMBEDDING_BOUND,
    Dropout,
    LinearNode,
    RecurrentLanguageModel,
    States,
    locked_dropout,
    word_dropout,
)


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
        pad_token_id: of the token that fills up shorter texts.
        tie_word_embeddings: true, for the decoder has the embedding's weight.
        **kwargs: those of `PretrainedConfig`.
    """

    model_type = "archscout-rnn"
    keys_to_ignore_at_inference = ["states"]  # noqa: RUF012  (as transformers declares it)

    def __init__(
        self,
        cell: list[dict[str, Any]] | None = None,
        vocab_size: int = 1,
        embedding_size: int = 400,
        hidden_size: int = 600,
        num_hidden_layers: int = 3,
        dropout: dict[str, float] | None = None,
        pad_token_id: int | None = None,
        tie_word_embeddings: bool = True,
        **kwargs: Any,
    ) -> None:
        self.cell = cell or []
        self.vocab_size = vocab_size
        self.embedding_size = embedding_size
        self.hidden_size = hidden_size
        self.num_hidden_layers = num_hidden_layers
        self.dropout = dropout or dataclasses.asdict(Dropout())
        self.pad_token_id = pad_token_id
        self.tie_word_embeddings = tie_word_embeddings
        super().__init__(**kwargs)


@dataclasses.dataclass
class RecurrentOutput(ModelOutput):
    """What `RecurrentForCausalLM` returns.

    Attributes:
        loss: mean negative log-likelihood per token, nats, where labels were given.
        logits: of the next token, (B, T, V).
        states: every layer's hidden states after the last token, L of k of (B, H).
        hidden_states: where they were asked for, the embedded tokens and every layer's outputs,
            L + 1 of (B, T, width).
    """

    loss: Tensor | None = None
    logits: Tensor | None = None
    states: Any = None
    hidden_states: tuple[Tensor, ...] | None = None


class RecurrentForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """A recurrent language model; `forward` goes on from `states` where they are given.

    transformers wants the embedding and the decoder as modules: here they are, with the weights
    of the language model.

    Raises:
        ValueError: the configuration's `tie_word_embeddings` is false.
    """

    config_class = RecurrentConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    _is_stateful = True
    _tied_weights_keys = {  # noqa: RUF012  (as transformers declares it)
        "embeddings.weight": "model.embedding",
        "lm_head.weight": "model.embedding",
        "lm_head.bias": "model.decoder_bias",
    }

    def __init__(self, config: RecurrentConfig) -> None:
        if not config.tie_word_embeddings:
            raise ValueError("tie_word_embeddings is false; the decoder has the embedding's weight")
        super().__init__(config)
        self.model = RecurrentLanguageModel(
            {node["name"]: node for node in config.cell},
            config.vocab_size,
            config.embedding_size,
            config.hidden_size,
            config.num_hidden_layers,
            Dropout(**config.dropout),
        )
        with torch.device("meta"):  # tied when the weights are there
            self.embeddings = nn.Embedding(config.vocab_size, config.embedding_size)
            self.lm_head = nn.Linear(config.embedding_size, config.vocab_size)
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Draw weights from archscout's distributions."""
        if isinstance(module, LinearNode | nn.ParameterList):
            for parameter in module.parameters(recurse=False):
                bound = 1 / math.sqrt(len(parameter))
                nn.init.uniform_(parameter, -bound, bound)
        elif isinstance(module, nn.Embedding):
            nn.init.uniform_(module.weight, -EMBEDDING_BOUND, EMBEDDING_BOUND)
        elif isinstance(module, RecurrentLanguageModel):
            nn.init.uniform_(module.embedding, -EMBEDDING_BOUND, EMBEDDING_BOUND)
            nn.init.zeros_(module.decoder_bias)

    def get_input_embeddings(self) -> nn.Module:
        """The embedding."""
        return self.embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embedding, and with it the decoder's weight."""
        self.embeddings = value  # type: ignore[assignment]
        self.model.embedding = self.embeddings.weight
        self.tie_weights()

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the decoder, and with its weight the embedding's."""
        self.lm_head = new_embeddings
        self.model.embedding, self.model.decoder_bias = self.lm_head.weight, self.lm_head.bias
        self.tie_weights()

    def tie_weights(self, missing_keys: set[str] | None = None, *_: Any, **__: Any) -> None:
        """Give the embedding and the decoder the language model's weights.

        transformers 5.3 itself unties those of models that it does not have.

        Args:
            missing_keys: names that a checkpoint lacks, out of which tied ones are taken.
        """
        self.embeddings.weight = self.lm_head.weight = self.model.embedding
        self.lm_head.bias = self.model.decoder_bias
        if missing_keys is not None:
            missing_keys.difference_update(self._tied_weights_keys)

    def resize_token_embeddings(self, *arguments: Any, **named: Any) -> nn.Embedding:
        """As in transformers; the decoder's bias of new tokens is the mean of the others'."""
        resized: nn.Embedding = super().resize_token_embeddings(*arguments, **named)
        bias, size = self.model.decoder_bias, resized.num_embeddings
        with torch.no_grad():
            values = torch.cat([bias[:size], bias.mean().expand(max(0, size - len(bias)))])
        self.model.decoder_bias = nn.Parameter(values, bias.requires_grad)
        self.tie_weights()
        return resized

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        states: States | None = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        output_hidden_states: bool | None = None,
        **kwargs: Any,
    ) -> RecurrentOutput:
        """Logits, states and, with labels, the loss.

        Args:
            input_ids: token ids (B, T).
            attention_mask: (B, T), 0 for padding, which changes nothing at other positions; of a
                longer one the last T columns count.
            states: from an earlier call, to go on from there.
            inputs_embeds: (B, T, E), in place of ids; of these no words are dropped in training.
            labels: token ids (B, T), each compared with the prediction made one step before;
                -100 is left out.
            output_hidden_states: whether every layer's outputs are returned.
            **kwargs: of transformers' loss.

        Raises:
            ValueError: both or neither of ids and embeddings are given.
        """
        rates = self.model.rates
        if input_ids is not None and inputs_embeds is None:
            tokens = input_ids.t()
            embedded = self.embeddings(tokens)
            if rates.embedding:
                kept = word_dropout(embedded.new_ones(self.config.vocab_size, 1), rates.embedding)
                embedded = embedded * kept[tokens]
        elif inputs_embeds is not None and input_ids is None:
            embedded = inputs_embeds.transpose(0, 1).contiguous()
        else:
            raise ValueError("give either input_ids or inputs_embeds")
        present = None
        if attention_mask is not None:
            present = attention_mask[:, -len(embedded) :].t().bool()
        outputs, states = self.model.run(embedded, states, present)
        logits = self.lm_head(locked_dropout(outputs[-1], rates.output)).transpose(0, 1)
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits.contiguous(), labels, vocab_size=self.config.vocab_size, **kwargs
            )
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        layers = tuple(layer.transpose(0, 1) for layer in (embedded, *outputs))
        return RecurrentOutput(loss, logits, states, layers if output_hidden_states else None)

    def prepare_inputs_for_generation(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None = None,
        states: States | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: States | None = None,
        output_hidden_states: bool | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        """All that was given at first, then the newest token and the states before it."""
        inputs: dict[str, Any] = {"output_hidden_states": output_hidden_states}
        if past_key_values is not None:
            return inputs | {"input_ids": input_ids[:, -1:], "states": past_key_values}
        inputs |= {"attention_mask": attention_mask, "states": states}
        if inputs_embeds is not None:
            return inputs | {"inputs_embeds": inputs_embeds}
        return inputs | {"input_ids": input_ids}

    def _update_model_kwargs_for_generation(
        self, outputs: ModelOutput, model_kwargs: dict[str, Any], *_: Any, **__: Any
    ) -> dict[str, Any]:
        # Beam search has states reordered under the first of these names in transformers 5.3, and
        # under the second later.
        return model_kwargs | dict.fromkeys(("past_key_values", "state"), outputs["states"])

    def _reorder_cache(self, states: States, beams: Tensor) -> States:
        """The states of other beams, in place, for they have two names."""
        states[:] = [tuple(state[beams] for state in layer) for layer in states]
        return states

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    def _prepare_attention_mask_for_generation(  # type: ignore[override]
        self, inputs_tensor: Tensor, *_: Any, **__: Any
    ) -> Tensor:
        # Padding is `<unk>`, which in a text without a mask is a word as any.
        return inputs_tensor.new_ones(inputs_tensor.shape[:2], dtype=torch.long)


# What is saved has this file and language_model.py beside it.
RecurrentConfig.register_for_auto_class()  # type: ignore[no-untyped-call]
RecurrentForCausalLM.register_for_auto_class("AutoModelForCausalLM")  # type: ignore[no-untyped-call]
