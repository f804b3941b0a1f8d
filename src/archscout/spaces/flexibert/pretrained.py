"""The encoder as transformers models: alone, and with three heads.

An exported folder carries this file and network.py, so that
`AutoModel.from_pretrained(folder, trust_remote_code=True)` and its sisters work where archscout
is not installed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForPreTraining,
    AutoModelForSequenceClassification,
    PretrainedConfig,
    PreTrainedModel,
)
from transformers.modeling_outputs import BaseModelOutput, MaskedLMOutput, SequenceClassifierOutput
from transformers.models.electra.modeling_electra import ElectraForPreTrainingOutput
from transformers.utils.generic import can_return_tuple

# Relative, for in an exported folder this file lies beside the other without a package.
from .network import FlexibertNetwork, MaskedTokenHead, SeparableConvolution


class FlexibertConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """Configuration of the FlexiBERT models.

    Args:
        layers: one mapping a layer, see `network.FlexibertNetwork`.
        vocab_size: V.
        hidden_size: H.
        embedding_size: E.
        max_position_embeddings: the longest input.
        type_vocab_size: number of token types.
        hidden_dropout_prob: rate of every dropout.
        initializer_range: standard deviation of the weights of heads that are new.
        pad_token_id: of the piece that fills up shorter texts.
        tie_word_embeddings: true, for the decoder of masked tokens has the embedding's weight.
        **kwargs: those of `PretrainedConfig`.
    """

    model_type = "archscout-flexibert"

    def __init__(
        self,
        layers: list[dict[str, Any]] | None = None,
        vocab_size: int = 30522,
        hidden_size: int = 256,
        embedding_size: int = 128,
        max_position_embeddings: int = 512,
        type_vocab_size: int = 2,
        hidden_dropout_prob: float = 0.1,
        initializer_range: float = 0.02,
        pad_token_id: int | None = 0,
        tie_word_embeddings: bool = True,
        **kwargs: Any,
    ) -> None:
        self.layers = layers or []
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.max_position_embeddings = max_position_embeddings
        self.type_vocab_size = type_vocab_size
        self.hidden_dropout_prob = hidden_dropout_prob
        self.initializer_range = initializer_range
        self.num_hidden_layers = len(self.layers)
        self.pad_token_id = pad_token_id
        self.tie_word_embeddings = tie_word_embeddings
        super().__init__(**kwargs)


class FlexibertPreTrainedModel(PreTrainedModel):  # type: ignore[no-untyped-call]
    """What the models share: loading, saving, and the weights of what a checkpoint lacks."""

    config_class = FlexibertConfig
    base_model_prefix = "flexibert"
    main_input_name = "input_ids"
    accepts_loss_kwargs = False  # each loss is the mean of its batch
    _no_split_modules = ["Layer"]  # noqa: RUF012  (as transformers declares it)

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Embedding | nn.Conv1d):
            nn.init.normal_(module.weight, std=self.config.initializer_range)
        if isinstance(module, nn.Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
        if isinstance(module, MaskedTokenHead | SeparableConvolution):
            nn.init.zeros_(module.bias)
        if isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)


class FlexibertModel(FlexibertPreTrainedModel):
    """The encoder alone."""

    def __init__(self, config: FlexibertConfig) -> None:
        super().__init__(config)
        self.network = FlexibertNetwork(
            config.layers,
            config.vocab_size,
            config.hidden_size,
            config.embedding_size,
            config.max_position_embeddings,
            config.type_vocab_size,
            config.hidden_dropout_prob,
        )
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Embedding:
        """The word embedding."""
        return self.network.embeddings.word_embeddings

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word embedding."""
        self.network.embeddings.word_embeddings = value  # type: ignore[assignment]

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        output_hidden_states: bool | None = None,
        output_attentions: bool | None = None,
        **kwargs: Any,
    ) -> BaseModelOutput:
        """Hidden states (B, T, H) of token ids (B, T).

        Args:
            input_ids: token ids (B, T).
            attention_mask: (B, T), 0 for padding, which then changes nothing at other positions.
            token_type_ids: (B, T).
            inputs_embeds: (B, T, E), in place of ids.
            output_hidden_states: whether every layer's are returned.
            output_attentions: whether each operation's probabilities are returned.
            **kwargs: what else transformers may give, which is ignored.

        Raises:
            ValueError: both or neither of ids and embeddings are given, or positions are.
        """
        if kwargs.get("position_ids") is not None:
            raise ValueError("position_ids are not taken: positions are counted from 0")
        if (input_ids is None) == (inputs_embeds is None):
            raise ValueError("give either input_ids or inputs_embeds")
        if output_hidden_states is None:
            output_hidden_states = self.config.output_hidden_states
        if output_attentions is None:
            output_attentions = self.config.output_attentions
        outputs = self.network(
            input_ids, attention_mask, token_type_ids, inputs_embeds, bool(output_attentions)
        )
        return BaseModelOutput(
            last_hidden_state=outputs.last_hidden_state,
            hidden_states=tuple(outputs.hidden_states) if output_hidden_states else None,
            attentions=tuple(outputs.probabilities) if output_attentions else None,
        )


Answer = TypeVar("Answer")


def _answer(
    kind: Callable[..., Answer], outputs: BaseModelOutput, logits: Tensor, loss: Tensor | None
) -> Answer:
    """What a model with a head returns, the encoder's hidden states and attentions with it."""
    kept = {"hidden_states": outputs.hidden_states, "attentions": outputs.attentions}
    return kind(loss=loss, logits=logits, **kept)


class FlexibertForMaskedLM(FlexibertPreTrainedModel):
    """Predicts masked tokens; the decoder is tied to the word embedding.

    transformers wants the decoder as a module: here it is, with the embedding's weight, and
    without the head's bias.

    Raises:
        ValueError: the configuration's `tie_word_embeddings` is false.
    """

    _tied_weights_keys = {  # noqa: RUF012  (as transformers declares it)
        "decoder.weight": "flexibert.network.embeddings.word_embeddings.weight"
    }

    def __init__(self, config: FlexibertConfig) -> None:
        if not config.tie_word_embeddings:
            raise ValueError("tie_word_embeddings is false; the decoder has the embedding's weight")
        super().__init__(config)
        self.flexibert = FlexibertModel(config)
        self.head = MaskedTokenHead(config.hidden_size, config.embedding_size, config.vocab_size)
        with torch.device("meta"):  # tied when the weights are there
            self.decoder = nn.Linear(config.embedding_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the word embedding, and with it the decoder's weight."""
        self.flexibert.set_input_embeddings(value)
        self.tie_weights()

    def get_output_embeddings(self) -> nn.Module:
        """The decoder."""
        return self.decoder

    def set_output_embeddings(self, new_embeddings: nn.Module) -> None:
        """Replace the decoder, and with its weight the word embedding's."""
        self.decoder = new_embeddings  # type: ignore[assignment]
        self.flexibert.get_input_embeddings().weight = self.decoder.weight

    def tie_weights(self, missing_keys: set[str] | None = None, *_: Any, **__: Any) -> None:
        """Give the decoder the word embedding's weight.

        transformers 5.3 itself unties those of models that it does not have.

        Args:
            missing_keys: names that a checkpoint lacks, out of which the tied one is taken.
        """
        self.decoder.weight = self.flexibert.get_input_embeddings().weight
        if missing_keys is not None:
            missing_keys.difference_update(self._tied_weights_keys)

    def resize_token_embeddings(self, *arguments: Any, **named: Any) -> nn.Embedding:
        """As in transformers; the bias of new pieces is zero."""
        resized: nn.Embedding = super().resize_token_embeddings(*arguments, **named)
        bias = self.head.bias
        values = F.pad(bias.detach(), (0, resized.num_embeddings - len(bias)))
        self.head.bias = nn.Parameter(values, bias.requires_grad)
        return resized

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self, input_ids: Tensor | None = None, labels: Tensor | None = None, **inputs: Any
    ) -> MaskedLMOutput:
        """Logits (B, T, V), and with labels the mean cross-entropy in nats.

        Args:
            input_ids: token ids (B, T).
            labels: token ids (B, T); -100 is left out.
            **inputs: those of `FlexibertModel`.
        """
        outputs = self.flexibert(input_ids, return_dict=True, **inputs)
        logits = self.head(outputs.last_hidden_state, self.decoder.weight)
        loss = None
        if labels is not None:
            loss = self.loss_function(logits, labels, vocab_size=self.config.vocab_size)
        return _answer(MaskedLMOutput, outputs, logits, loss)


class FlexibertForPreTraining(FlexibertPreTrainedModel):
    """ELECTRA's discriminator: tells which tokens were replaced."""

    def __init__(self, config: FlexibertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexibertModel(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = nn.GELU()
        self.prediction = nn.Linear(config.hidden_size, 1)
        self.post_init()  # type: ignore[no-untyped-call]

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        labels: Tensor | None = None,
        **inputs: Any,
    ) -> ElectraForPreTrainingOutput:
        """Logits (B, T), positive where a token seems replaced; with labels the mean loss in nats.

        Args:
            input_ids: token ids (B, T).
            attention_mask: (B, T), 0 for padding, which the loss leaves out.
            labels: (B, T), 1 where a token was replaced, 0 where not; -100 is left out.
            **inputs: those of `FlexibertModel`.
        """
        outputs = self.flexibert(input_ids, attention_mask, return_dict=True, **inputs)
        hidden = self.activation(self.dense(outputs.last_hidden_state))
        logits = self.prediction(hidden).squeeze(-1)
        loss = None
        if labels is not None:
            there = labels != -100
            if attention_mask is not None:
                there &= attention_mask.bool()
            loss = F.binary_cross_entropy_with_logits(logits[there], labels[there].to(logits))
        return _answer(ElectraForPreTrainingOutput, outputs, logits, loss)


class FlexibertForSequenceClassification(FlexibertPreTrainedModel):
    """ELECTRA's classifier on the first position; regression where there is one label.

    Labels of floating point are of several classes at once; the configuration's `problem_type`
    decides where it is given.
    """

    def __init__(self, config: FlexibertConfig) -> None:
        super().__init__(config)
        self.flexibert = FlexibertModel(config)
        self.dense = nn.Linear(config.hidden_size, config.hidden_size)
        self.activation = nn.GELU()
        self.dropout = nn.Dropout(config.hidden_dropout_prob)
        self.out_proj = nn.Linear(config.hidden_size, config.num_labels or 1)
        self.post_init()  # type: ignore[no-untyped-call]

    @can_return_tuple  # type: ignore[untyped-decorator]
    def forward(
        self, input_ids: Tensor | None = None, labels: Tensor | None = None, **inputs: Any
    ) -> SequenceClassifierOutput:
        """Logits (B, labels), and with labels the mean loss.

        Args:
            input_ids: token ids (B, T).
            labels: classes (B,), numbers (B,) where the configuration has one label, or (B, labels)
                where several classes may hold at once.
            **inputs: those of `FlexibertModel`.
        """
        outputs = self.flexibert(input_ids, return_dict=True, **inputs)
        first = self.dropout(outputs.last_hidden_state[:, 0])
        hidden = self.dropout(self.activation(self.dense(first)))
        logits = self.out_proj(hidden)
        loss = None
        if labels is not None:
            labels = labels.to(logits) if self.config.num_labels == 1 else labels
            loss = self.loss_function(labels, logits, self.config)
        return _answer(SequenceClassifierOutput, outputs, logits, loss)


AUTO_CLASSES: dict[str, type] = {
    "AutoConfig": FlexibertConfig,
    "AutoModel": FlexibertModel,
    "AutoModelForMaskedLM": FlexibertForMaskedLM,
    "AutoModelForPreTraining": FlexibertForPreTraining,
    "AutoModelForSequenceClassification": FlexibertForSequenceClassification,
}


def wrap(network: FlexibertNetwork) -> FlexibertModel:
    """The transformers model around a network, sharing its weights."""
    words = network.embeddings.word_embeddings
    config = FlexibertConfig(
        layers=network.encoder.layers,
        vocab_size=words.num_embeddings,
        hidden_size=network.encoder.hidden_size,
        embedding_size=words.embedding_dim,
        max_position_embeddings=network.embeddings.position_embeddings.num_embeddings,
        type_vocab_size=network.embeddings.token_type_embeddings.num_embeddings,
        hidden_dropout_prob=network.embeddings.dropout.p,
    )
    with torch.device("meta"):
        model = FlexibertModel(config)
    model.network = network
    return model


# What is saved has this file and network.py beside it.
for auto_class, kind in AUTO_CLASSES.items():
    kind.register_for_auto_class(auto_class)  # type: ignore[attr-defined]
AutoConfig.register(FlexibertConfig.model_type, FlexibertConfig, exist_ok=True)
AutoModel.register(FlexibertConfig, FlexibertModel, exist_ok=True)
AutoModelForMaskedLM.register(FlexibertConfig, FlexibertForMaskedLM, exist_ok=True)
AutoModelForPreTraining.register(FlexibertConfig, FlexibertForPreTraining, exist_ok=True)
AutoModelForSequenceClassification.register(
    FlexibertConfig, FlexibertForSequenceClassification, exist_ok=True
)
