"""The recurrent space: language models around the cells of NAS-Bench-NLP."""

from __future__ import annotations

import copy
import dataclasses
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from archscout.errors import InputError, nearest
from archscout.recording import Kind
from archscout.spaces.base import Scale, Trial, unwrapped
from archscout.spaces.drawing import different
from archscout.spaces.recurrent.canonical import canonical, fingerprint, live
from archscout.spaces.recurrent.cells import CELLS
from archscout.spaces.recurrent.initialisation import initialise_canonical, initialise_published
from archscout.spaces.recurrent.language_model import RecurrentLanguageModel, layer_widths
from archscout.spaces.recurrent.mutation import mutate
from archscout.spaces.recurrent.recipe import INPUT, Recipe
from archscout.spaces.recurrent.recorder import RecurrentRecorder
from archscout.spaces.recurrent.sampler import SEARCH_STEPS, genes, sample, suggest


@dataclasses.dataclass(frozen=True)
class RecurrentScale(Scale):
    """Sizes of a recurrent language model and its minibatch.

    Attributes:
        embedding_size: E, width of the embedding and of the last layer.
        hidden_size: H, width of the layers before the last.
        num_layers: L.
        initialisation: `published` (bit for bit the released code's weights for a seed; depends
            on the order of nodes) or `canonical` (depends on neither their names nor their order).
    """

    embedding_size: int
    hidden_size: int
    num_layers: int
    initialisation: Literal["published", "canonical"]

    @property
    def is_small(self) -> bool:
        """Whether one step's product of state and weight is below two million multiplications."""
        return self.batch_size * self.hidden_size**2 < 2_000_000


SCALES = {
    "paper": RecurrentScale(50, 70, 400, 600, 3, "published"),
    "fast": RecurrentScale(20, 35, 64, 96, 3, "canonical"),
}


class RecurrentSpace:
    """Recurrent cells as graphs, in an AWD language model.

    Source: Klyuchnikov et al. 2020, "NAS-Bench-NLP".

    Args:
        states: number of hidden states of sampled cells, 1 to 3; any by default.
        steps: growing steps of sampled cells, 1 to 12; as published by default.

    Example:
        >>> space = RecurrentSpace()
        >>> space.sample(seed=0).num_states in (1, 2, 3)
        True
    """

    name = "rnn"
    kind: Kind = "other"
    tokenization: Literal["words", "wordpiece", "bpe"] = "words"
    auto_class = "AutoModelForCausalLM"
    scales: Mapping[str, RecurrentScale] = SCALES
    default_scale = "fast"
    default_metric = "amplified_memory"
    other_metrics = ("token_sensitivity", "responsive_memory", "hidden_covariance[1]")
    named: Mapping[str, Recipe] = CELLS

    def __init__(self, states: int | None = None, steps: int | None = None) -> None:
        self.states = states
        self.steps = steps

    @property
    def arguments(self) -> dict[str, int]:
        """What it was made with, but for defaults."""
        given = {"states": self.states, "steps": self.steps}
        return {name: value for name, value in given.items() if value is not None}

    @property
    def published_sample(self) -> tuple[Recipe, ...]:
        """None: the recipes of NAS-Bench-NLP lie in its log files."""
        return ()

    def samples(self, seed: int) -> Iterator[Recipe]:
        """Different recipes from the published distribution.

        Ends only where `states` and `steps` leave so few that a thousand draws in a row bring
        nothing new.
        """
        rng = random.Random(seed)
        return different(lambda: sample(rng, self.states, self.steps), fingerprint)

    def sample(self, seed: int) -> Recipe:
        """A recipe from the published distribution."""
        return next(self.samples(seed))

    def suggest(self, trial: Trial) -> Recipe:
        """A recipe from genes, see `sampler.suggest`."""
        return suggest(trial, self.steps or SEARCH_STEPS, self.states)

    def genes(self, architecture: Recipe) -> dict[str, float] | None:
        """Genes that suggest a recipe's live part; None where none do."""
        found = genes(live(architecture), self.steps or SEARCH_STEPS)
        if found is not None and self.states is not None:
            return found if found.pop("states") == self.states else None
        return found

    def mutate(self, architecture: Recipe, rng: random.Random) -> Recipe:
        """A recipe that one edit makes of another, see `mutation.mutate`."""
        return mutate(architecture, rng)

    def parse(self, document: Any) -> Recipe:
        """A recipe from JSON (text or parsed), or the cell of that name: rnn, gru, lstm.

        Raises:
            InputError: no such name, not JSON, or it breaks a rule of recipes.
        """
        if isinstance(document, Recipe):
            return document
        document = unwrapped(document, self.name)
        if isinstance(document, str) and re.fullmatch(r"\s*[A-Za-z][\w-]*\s*", document):
            name = document.strip()
            if name in self.named:
                return self.named[name]
            raise InputError(
                f"no architecture {name!r}{nearest(name, self.named)}; JSON, or one of "
                f"{', '.join(self.named)}, is accepted"
            )
        return Recipe.from_json(document)

    def to_dict(self, architecture: Recipe) -> dict[str, Any]:
        """The recipe as plain JSON types."""
        return architecture.to_dict()

    def canonical(self, architecture: Recipe) -> Recipe:
        """The recipe with canonical names and order."""
        return canonical(architecture)

    def live(self, architecture: Recipe) -> Recipe:
        """The recipe without nodes and hidden states that reach no output."""
        return live(architecture)

    def fingerprint(self, architecture: Recipe) -> str:
        """Sixteen hexadecimal digits that ignore names and order."""
        return fingerprint(architecture)

    def describe(self, architecture: Recipe) -> str:
        """Hidden states and nodes by operation, such as `2 states: 3 linear, 1 blend`."""
        ops = Counter(
            node.op.removeprefix("elementwise_").removeprefix("activation_")
            for node in architecture.nodes.values()
        )
        states = f"{architecture.num_states} state{'s' if architecture.num_states > 1 else ''}"
        return f"{states}: " + ", ".join(f"{count} {op}" for op, count in ops.most_common())

    def skeleton(
        self, architecture: Recipe, vocabulary_size: int, scale: RecurrentScale
    ) -> RecurrentLanguageModel:
        """The language model on the meta device."""
        if scale.initialisation == "canonical":
            architecture = canonical(architecture)
        with torch.device("meta"):
            return RecurrentLanguageModel(
                architecture.to_dict(),
                vocabulary_size,
                scale.embedding_size,
                scale.hidden_size,
                scale.num_layers,
            )

    def count_parameters(
        self, architecture: Recipe, vocabulary_size: int, scale: RecurrentScale
    ) -> int:
        """All parameters of the language model, tied ones once."""
        linear = [node.input for node in architecture.nodes.values() if node.op == "linear"]
        from_x = sum(inputs.count(INPUT) for inputs in linear)
        from_within = sum(map(len, linear)) - from_x
        widths = layer_widths(scale.embedding_size, scale.hidden_size, scale.num_layers)
        layers = sum(
            after * (from_x * before + from_within * after + len(linear))
            for before, after in widths
        )
        return vocabulary_size * (scale.embedding_size + 1) + layers

    def build(
        self,
        architecture: Recipe,
        vocabulary_size: int,
        scale: RecurrentScale | None = None,
        seed: int = 0,
    ) -> RecurrentLanguageModel:
        """The language model with random weights, on the CPU.

        Args:
            architecture: a recipe.
            vocabulary_size: V.
            scale: sizes and way of initialisation; `fast` by default.
            seed: of the weights.
        """
        scale = scale or self.scales[self.default_scale]
        return self._filled(architecture, vocabulary_size, scale, seed, scale.num_layers)

    def recorder(
        self,
        architecture: Recipe,
        vocabulary_size: int,
        scale: RecurrentScale,
        seed: int,
        depth: int | None,
        device: str = "cpu",
        mask_token: int | None = None,
    ) -> RecurrentRecorder:
        """The language model for the trace, with weights in its first `depth` layers only."""
        depth = scale.num_layers if depth is None else min(depth, scale.num_layers)
        if not depth:
            return RecurrentRecorder(self.skeleton(architecture, vocabulary_size, scale))
        model = self._filled(architecture, vocabulary_size, scale, seed, depth, share=True)
        if device != "cpu":
            for layer in model.recurrent_layers[depth:]:
                layer.to_empty(device=device)
            model.to(device)
        return RecurrentRecorder(model)

    def _filled(
        self,
        architecture: Recipe,
        vocabulary_size: int,
        scale: RecurrentScale,
        seed: int,
        depth: int,
        share: bool = False,
    ) -> RecurrentLanguageModel:
        model = self.skeleton(architecture, vocabulary_size, scale)
        if scale.initialisation == "published":
            initialise_published(model, seed, depth, scale.hidden_size)
        else:
            initialise_canonical(model, seed, depth, share)
        return model

    def with_unknown(self, network: RecurrentLanguageModel) -> RecurrentLanguageModel:
        """The network with one more token, the last, which is the mean of the others."""
        grown = copy.deepcopy(network)
        for name in ("embedding", "decoder_bias"):
            rows = getattr(network, name).detach()
            setattr(grown, name, nn.Parameter(torch.cat([rows, rows.mean(0, keepdim=True)])))
        return grown

    def save_pretrained(
        self, network: RecurrentLanguageModel, architecture: Recipe, folder: Path
    ) -> None:
        """Write configuration, weights and code, for transformers to load."""
        # Importing transformers takes seconds, and only exports need it.
        from archscout.spaces.recurrent import pretrained

        config = pretrained.RecurrentConfig(
            cell=[{"name": name, **node} for name, node in network.cell.items()],
            vocab_size=network.embedding.shape[0],
            embedding_size=network.embedding.shape[1],
            hidden_size=network.recurrent_layers[0].hidden_size,
            num_hidden_layers=len(network.layers),
            dropout=dataclasses.asdict(network.dropout),
        )
        name = pretrained.__name__.rpartition(".")[2]
        config.auto_map = {
            "AutoConfig": f"{name}.RecurrentConfig",
            "AutoModel": f"{name}.RecurrentForCausalLM",
            "AutoModelForCausalLM": f"{name}.RecurrentForCausalLM",
        }
        with torch.device("meta"):
            model = pretrained.RecurrentForCausalLM(config)
        model.model = network
        model.tie_weights()
        model.save_pretrained(folder)

    def step(
        self, network: RecurrentLanguageModel, scale: RecurrentScale, batch_size: int
    ) -> Tensor:
        """Logits (1, B, V) of one token for each of B sequences."""
        tokens = torch.zeros(1, batch_size, dtype=torch.long, device=network.embedding.device)
        logits: Tensor = network(tokens)[0]
        return logits
