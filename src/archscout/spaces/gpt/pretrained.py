"""The decoder as a transformers model.

An exported folder carries this file, network.py and vocabulary_bands.py, so that
`AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True)` works where archscout is
not installed.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    DynamicCache,
    GenerationMixin,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import CausalLMOutputWithPast
from transformers.utils.generic import can_return_tuple

# Relative, for in an exported folder this file lies beside the other without a package.
from .network import DecoderNetwork, draw_weights

# Earlier versions of transformers (5.3 is one) copy only what this file itself names.
from .vocabulary_bands import Head  # noqa: F401

# Later versions of transformers call it by another name.
_CACHE = "cache" if hasattr(CausalLMOutputWithPast, "cache") else "past_key_values"


class DecoderConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """Configuration of `DecoderForCausalLM`.

    Args:
        network: arguments of `network.DecoderNetwork`, but the vocabulary's size and the number of
            positions.
        vocab_size: V.
        max_position_embeddings: the longest text.
        tie_word_embeddings: whether tokens are predicted by their embeddings.
        **kwargs: those of `PretrainedConfig`.
    """

    model_type = "archscout-gpt"
    keys_to_ignore_at_inference = ["past_key_values"]  # noqa: RUF012  (as transformers declares it)

    def __init__(
        self,
        network: dict[str, Any] | None = None,
        vocab_size: int = 1,
        max_position_embeddings: int = 1,
        tie_word_embeddings: bool = True,
        **kwargs: Any,
    ) -> None:
        self.network = network or {"d_model": 1, "n_head": [1], "n_kv_head": [1], "d_inner": [1]}
        self.vocab_size = vocab_size
        self.max_position_embeddings = max_position_embeddings
        self.tie_word_embeddings = tie_word_embeddings
        # Under the names by which transformers, and what is built on it, reads sizes.
        self.hidden_size = self.network["d_model"]
        self.num_hidden_layers = len(self.network["d_inner"])
        super().__init__(**kwargs)


class DecoderForCausalLM(PreTrainedModel, GenerationMixin):  # type: ignore[no-untyped-call]
    """A decoder that predicts the next token."""

    config_class = DecoderConfig
    base_model_prefix = "model"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True
    _supports_sdpa = True

    def __init__(self, config: DecoderConfig) -> None:
        super().__init__(config)
        self.model = DecoderNetwork(
            vocabulary_size=config.vocab_size,
            num_positions=config.max_position_embeddings,
            tied=config.tie_word_embeddings,
            **config.network,
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def _init_weights(self, module: nn.Module) -> None:
        """Draw those weights of a module that were not loaded."""
        names = {id(p): name for name, p in self.model.named_parameters()}
        for parameter in module.parameters(recurse=False):
            if not getattr(parameter, "_is_hf_initialized", False):
                name = names.get(id(parameter), "embedding")  # one that is being resized
                draw_weights(name, parameter, self.config.num_hidden_layers)

    def get_input_embeddings(self) -> nn.Module:
        """The embedding, of the commonest tokens where there are bands."""
        table: nn.Module = self.model.embedding.tables[0]
        return table

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the embedding, by which tokens are predicted, too."""
        self.model.embedding.tables[0] = value

    def get_output_embeddings(self) -> nn.Module | None:
        """What predicts the commonest tokens; None where it reads the embedding where it is."""
        return None if self.config.tie_word_embeddings else self.model.head.words[0]

    def set_output_embeddings(self, value: nn.Module) -> None:
        """Replace what predicts tokens, where it is not the embedding."""
        if not self.config.tie_word_embeddings:
            self.model.head.words[0] = value

    def resize_token_embeddings(self, *arguments: Any, **named: Any) -> nn.Embedding:
        """As in transformers.

        Raises:
            NotImplementedError: the softmax is adaptive: its bands end with the vocabulary.
        """
        if self.model.head.sizes and (arguments or named):
            raise NotImplementedError("a decoder with an adaptive softmax cannot be resized")
        resized: nn.Embedding = super().resize_token_embeddings(*arguments, **named)
        return resized

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        past_key_values: Any = None,
        cache: Any = None,
        inputs_embeds: Tensor | None = None,
        labels: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits, the cache if it is used, and, with labels, the loss.

        Args:
            input_ids: token ids (B, T).
            attention_mask: (B, S), 0 for padding, which changes nothing at other positions.
            past_key_values: a cache of the tokens before, to go on from there; `cache` is its name
                in later versions of transformers.
            cache: the same.
            inputs_embeds: (B, T, D), in place of ids.
            labels: token ids (B, T), each compared with the prediction made one step before;
                -100 is left out.
            use_cache: whether there is a cache where none is given.
            logits_to_keep: of the last tokens only; 0 for all.
            **kwargs: of transformers' loss.

        Raises:
            ValueError: both or neither of ids and embeddings are given, or positions are, which
                follow from the mask here.
        """
        if kwargs.pop("position_ids", None) is not None:
            raise ValueError("position_ids are not taken: positions follow from attention_mask")
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        cache = past_key_values if cache is None else cache
        if use_cache and cache is None:
            cache = DynamicCache()
        outputs = self.model.decode(input_ids, inputs_embeds, attention_mask, cache)
        logits = self.model.logits(outputs.last_hidden_state[:, -logits_to_keep:])
        loss = None
        if labels is not None:
            loss = self.loss_function(
                logits.contiguous(), labels, vocab_size=self.config.vocab_size, **kwargs
            )
        answer: Any = CausalLMOutputWithPast
        return answer(loss=loss, logits=logits, **{_CACHE: cache})  # type: ignore[no-any-return]


def wrap(network: DecoderNetwork) -> DecoderForCausalLM:
    """The transformers model around a network, with its weights."""
    given = dict(network.arguments)
    config = DecoderConfig(
        vocab_size=given.pop("vocabulary_size"),
        max_position_embeddings=given.pop("num_positions"),
        tie_word_embeddings=given.pop("tied"),
        network=given,
    )
    with torch.device("meta"):
        model = DecoderForCausalLM(config)
    model.model = network
    return model


# What is saved has this file, and those that it needs, beside it.
DecoderConfig.register_for_auto_class()  # type: ignore[no-untyped-call]
DecoderForCausalLM.register_for_auto_class("AutoModelForCausalLM")  # type: ignore[no-untyped-call]
AutoConfig.register(DecoderConfig.model_type, DecoderConfig, exist_ok=True)
AutoModelForCausalLM.register(DecoderConfig, DecoderForCausalLM, exist_ok=True)
