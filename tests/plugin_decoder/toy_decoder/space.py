"""The space: genotypes, and the decoders that they describe."""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import itertools
import json
import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from archscout import counting
from archscout.errors import InputError
from archscout.recording import Recorder, Recording
from archscout.spaces import Scale
from archscout.spaces.base import Trial

from .network import ToyDecoder

LAYERS, WIDTHS, HEADS = (1, 2, 3, 4), (8, 16, 32), (1, 2, 4)
_NOT_RECORDED = "the toy decoder does not record it"


@dataclasses.dataclass(frozen=True)
class Genotype:
    """How a decoder is built."""

    n_layer: int
    d_model: int
    n_head: int


@dataclasses.dataclass(frozen=True)
class ToyScale(Scale):
    """Sizes that a genotype does not say."""

    num_positions: int


class ToySpace:
    """Causal transformer decoders of one shape throughout."""

    name = "toy-decoder"
    kind = "transformer"
    tokenization = "words"
    auto_class = "AutoModelForCausalLM"
    signature = "n_layer"
    scales: Mapping[str, ToyScale] = {"fast": ToyScale(4, 8, 32)}
    default_scale = "fast"
    default_metric = "softmax_confidence"
    named: Mapping[str, Genotype] = {}
    published_sample: tuple[Genotype, ...] = ()

    def samples(self, seed: int) -> Iterator[Genotype]:
        """All of them, in a random order."""
        every = list(itertools.product(LAYERS, WIDTHS, HEADS))
        random.Random(seed).shuffle(every)
        return itertools.starmap(Genotype, every)

    def sample(self, seed: int) -> Genotype:
        """The first of `samples`."""
        return next(self.samples(seed))

    def suggest(self, trial: Trial) -> Genotype:
        """A genotype from three genes."""
        layers = trial.suggest_int("n_layer", LAYERS[0], LAYERS[-1])
        width = trial.suggest_categorical("d_model", tuple(map(str, WIDTHS)))
        return Genotype(layers, int(width), 2 ** trial.suggest_int("n_head", 0, 2))

    def parse(self, document: Any) -> Genotype:
        """A genotype from JSON (text or parsed), or itself."""
        if isinstance(document, Genotype):
            return document
        try:
            found = Genotype(**(json.loads(document) if isinstance(document, str) else document))
        except (ValueError, TypeError) as error:
            raise InputError(f"no decoder: {error}") from error
        if (found.n_layer, found.d_model, found.n_head) not in itertools.product(
            LAYERS, WIDTHS, HEADS
        ):
            raise InputError(f"{found} is not in the space")
        return found

    def to_dict(self, architecture: Genotype) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(architecture)

    def canonical(self, architecture: Genotype) -> Genotype:
        """Itself."""
        return architecture

    def fingerprint(self, architecture: Genotype) -> str:
        """Sixteen hexadecimal digits."""
        return hashlib.blake2b(repr(architecture).encode(), digest_size=8).hexdigest()

    def describe(self, architecture: Genotype) -> str:
        """In a few words."""
        return f"{architecture.n_layer} x {architecture.d_model}, {architecture.n_head} heads"

    def skeleton(self, architecture: Genotype, vocabulary_size: int, scale: ToyScale) -> ToyDecoder:
        """On the meta device."""
        with torch.device("meta"):
            return self._made(architecture, vocabulary_size, scale)

    def build(
        self, architecture: Genotype, vocabulary_size: int, scale: ToyScale, seed: int
    ) -> ToyDecoder:
        """With random weights."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._made(architecture, vocabulary_size, scale)

    def _made(self, architecture: Genotype, words: int, scale: ToyScale) -> ToyDecoder:
        sizes = (architecture.n_layer, architecture.d_model, architecture.n_head)
        return ToyDecoder(*sizes, words, scale.num_positions)

    def recorder(
        self,
        architecture: Genotype,
        vocabulary_size: int,
        scale: ToyScale,
        seed: int,
        depth: int | None = None,
        device: str = "cpu",
        mask_token: int | None = None,
    ) -> ToyRecorder:
        """The decoder for the trace."""
        network = self.build(architecture, vocabulary_size, scale, seed).to(device)
        return ToyRecorder(network)

    def save_pretrained(self, network: ToyDecoder, architecture: Genotype, folder: Path) -> None:
        """Configuration, weights and code."""
        from . import network as network_file
        from . import pretrained

        words, width = network.embedding.weight.shape
        config = pretrained.ToyConfig(
            layers=len(network.blocks),
            width=width,
            heads=architecture.n_head,
            words=words,
            positions=len(network.positions.weight),
        )
        config.auto_map = {
            "AutoConfig": "pretrained.ToyConfig",
            "AutoModelForCausalLM": "pretrained.ToyForCausalLM",
        }
        with torch.device("meta"):
            model = pretrained.ToyForCausalLM(config)
        model.model = network
        model.save_pretrained(folder)
        for module in (network_file, pretrained):
            shutil.copy(inspect.getfile(module), folder)

    def step(self, network: ToyDecoder, scale: ToyScale, batch_size: int) -> Tensor:
        """Logits after one token."""
        tokens = torch.zeros(batch_size, 1, dtype=torch.long)
        logits: Tensor = network(tokens.to(network.embedding.weight.device))
        return logits


class ToyRecorder(Recorder):
    """A decoder as the trace sees it; time comes first there, and the batch first here."""

    has_attention = True
    states_enter_steps = False
    _network: ToyDecoder
    recordable: Mapping[str, str | None] = {
        **dict.fromkeys(("output", "hidden_states", "softmaxes", "embedding")),
        **dict.fromkeys(("embedding_by_step", "output_by_step")),
        **dict.fromkeys(("linears", "linear_uses", "loss", "projections"), _NOT_RECORDED),
        **dict.fromkeys(("activations", "preactivations"), _NOT_RECORDED),
        **dict.fromkeys(("layer_input", "position_embedding"), _NOT_RECORDED),
    }

    def __init__(self, network: ToyDecoder) -> None:
        super().__init__(network.requires_grad_(False))

    @property
    def depth(self) -> int:
        """Blocks."""
        return len(self._network.blocks)

    @property
    def width(self) -> float:
        """Of the embedding."""
        return self._network.embedding.weight.shape[1]

    def flops(self, minibatch: Tensor) -> int:
        """Of one token."""
        return counting.flops(lambda: self._network(minibatch.t())) // minibatch.numel()

    def embed(self, minibatch: Tensor) -> Tensor:
        """Embeddings (T, B, D)."""
        return self._network.embed(minibatch.t()).transpose(0, 1)

    def linear_parameters(self) -> list[Tensor]:
        """Weights of the linear maps."""
        maps = (m for m in self._network.modules() if isinstance(m, torch.nn.Linear))
        return [linear.weight for linear in maps]

    def record(
        self,
        minibatch: Tensor,
        wanted: frozenset[str],
        depth: int | None = None,
        embeddings: Tensor | None = None,
        since: int = 0,
    ) -> Recording:
        """Run the layers once and keep what is wanted."""
        recording = Recording()
        x = (self.embed(minibatch) if embeddings is None else embeddings).transpose(0, 1)
        for block in self._network.blocks[:depth]:
            x, attention = block(x)
            if "hidden_states" in wanted:
                recording.hidden_states.append(x.transpose(0, 1))
            if "softmaxes" in wanted:
                recording.softmaxes.append(attention)
        if "output" in wanted:
            recording.output = self._network.norm(x).transpose(0, 1)
        return recording
