"""A search space of one's own: any function that builds a module from a configuration."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_model
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from archscout.errors import InputError
from archscout.recording import KINDS, Kind, declared_batch_first
from archscout.spaces.base import Scale, Trial, unique_keys, unwrapped
from archscout.spaces.drawing import different
from archscout.spaces.random_trial import RandomTrial

Configuration = Mapping[str, Any]


class ModuleSpace:
    """Modules that a function builds from configurations, which another function suggests.

    It is scored, searched and trained like any space: each module is recorded as
    `archscout.score_module` records it, on batches of token ids (B, T), and trained by
    `training.CausalTrainer`, unless another trainer is registered. A process that searches it, or
    opens a run of it, makes it known by its name first, see `spaces.register`.

    Args:
        name: of the space, as it stands in runs and tables.
        suggest: draws a configuration, a mapping of plain JSON values, from a trial, as of Optuna.
        build: makes a module from a configuration and a number of words; it reads token ids
            (B, T), or (T, B) where it holds recurrent modules that are not `batch_first`.
        kind: `transformer` where the modules are made of blocks with attention, else `other`.
        default_metric: of a search.
        batch_size: texts in a minibatch.
        sequence_length: tokens of each.
        named: configurations that have a name. They are among the first proposals of a search
            where `genes` tells how.
        genes: what a trial suggests, by name, for `suggest` to draw a configuration; None where
            nothing does. With it, a search can start from given configurations.
        tokenization: how text becomes token ids, `words`, `wordpiece` or `bpe`.

    Examples:
        >>> import torch
        >>> from archscout.spaces import ModuleSpace
        >>> def suggest(trial):
        ...     return {"width": 8 * trial.suggest_int("width", 1, 8)}
        >>> def build(configuration, words):
        ...     width = configuration["width"]
        ...     return torch.nn.Sequential(torch.nn.Embedding(words, width), torch.nn.GELU())
        >>> space = ModuleSpace("mine", suggest, build, kind="other", default_metric="naswot")
        >>> space.describe(space.sample(0))
        'width=56'
    """

    auto_class = "AutoModel"
    default_scale = "default"
    published_sample: Sequence[Configuration] = ()

    def __init__(
        self,
        name: str,
        suggest: Callable[[Trial], Configuration],
        build: Callable[[Configuration, int], nn.Module],
        *,
        kind: Kind,
        default_metric: str,
        batch_size: int = 16,
        sequence_length: int = 64,
        named: Mapping[str, Configuration] | None = None,
        genes: Callable[[Configuration], Mapping[str, Any] | None] | None = None,
        tokenization: Literal["words", "wordpiece", "bpe"] = "words",
    ) -> None:
        if kind not in KINDS:
            raise InputError(f"kind is {kind!r}; accepted: {', '.join(KINDS)}")
        self.name = name
        self.kind = kind
        self.tokenization = tokenization
        self.default_metric = default_metric
        self.scales = {self.default_scale: _ModuleScale(batch_size, sequence_length)}
        self._suggest, self._build, self._genes = suggest, build, genes
        self.named: Mapping[str, Configuration] = {}
        self.named = {known: self.parse(each) for known, each in (named or {}).items()}

    def samples(self, seed: int) -> Iterator[Configuration]:
        """Different configurations drawn at random, until hardly any are left."""
        generator = random.Random(seed)
        return different(lambda: self.suggest(RandomTrial(generator)), self.fingerprint)

    def sample(self, seed: int) -> Configuration:
        """The first of `samples`."""
        return next(islice(self.samples(seed), 1))

    def suggest(self, trial: Trial) -> Configuration:
        """A configuration from genes that a search suggests."""
        return self.parse(self._suggest(trial))

    def genes(self, architecture: Configuration) -> Mapping[str, Any] | None:
        """Genes that suggest a configuration; None where there are none."""
        return None if self._genes is None else self._genes(architecture)

    def parse(self, document: Any) -> Configuration:
        """A configuration from JSON (text or parsed), its name, or itself.

        Raises:
            InputError: it is none.
        """
        if isinstance(document, str) and document in self.named:
            return self.named[document]
        found = unwrapped(document, self.name, is_said=True)
        try:
            text = found if isinstance(found, str) else json.dumps(found)
            found = json.loads(text, object_pairs_hook=unique_keys)
        except InputError:
            raise
        except (TypeError, ValueError, RecursionError) as error:
            raise InputError(f"{document!r} is no configuration of {self.name}: {error}") from error
        if not isinstance(found, dict):
            raise InputError(
                f"{document!r} is no configuration of {self.name}; a mapping of plain JSON values "
                "is accepted"
            )
        return found

    def to_dict(self, architecture: Configuration) -> dict[str, Any]:
        """The configuration itself, in one order however it was written."""
        written: dict[str, Any] = json.loads(json.dumps(architecture, sort_keys=True))
        return written

    def canonical(self, architecture: Configuration) -> Configuration:
        """The configuration itself."""
        return architecture

    def fingerprint(self, architecture: Configuration) -> str:
        """Sixteen hexadecimal digits, the same in whatever order a configuration is written."""
        written = json.dumps(architecture, sort_keys=True)
        return hashlib.blake2b(written.encode(), digest_size=8).hexdigest()

    def describe(self, architecture: Configuration) -> str:
        """The configuration in a line."""
        return ", ".join(f"{name}={value}" for name, value in architecture.items())

    def build(
        self, architecture: Configuration, vocabulary_size: int, scale: Any, seed: int
    ) -> nn.Module:
        """The module with random weights, drawn by the seed."""
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            return self._whole(self._build(architecture, vocabulary_size), scale)

    def skeleton(self, architecture: Configuration, vocabulary_size: int, scale: Any) -> nn.Module:
        """The module on the meta device."""
        with torch.device("meta"):
            return self._whole(self._build(architecture, vocabulary_size), scale)

    def _whole(self, module: nn.Module, scale: Any) -> nn.Module:
        """A module with the parameters that only its first run makes."""
        if any(map(is_lazy, module.parameters())):
            mode = module.training
            with torch.no_grad():
                self.step(module.eval(), scale, 1)
            module.train(mode)
        return module

    def save_pretrained(self, network: Any, architecture: Configuration, folder: Path) -> None:
        """Write a module of transformers as such, of another the configuration and the weights."""
        if hasattr(network, "save_pretrained"):
            network.save_pretrained(folder)
            return
        written = {"space": self.name, "architecture": self.to_dict(architecture)}
        (folder / "config.json").write_text(json.dumps(written, indent=2) + "\n", "utf-8")
        save_model(network, str(folder / "model.safetensors"))

    def loading(self, network: nn.Module, folder: str, words: int) -> str:
        """Lines of Python that load what `save_pretrained` wrote."""
        kind = type(network)
        if hasattr(network, "save_pretrained"):
            return (
                "from transformers import PreTrainedTokenizerFast\n"
                f"from {kind.__module__} import {kind.__name__}\n\n"
                f'model = {kind.__name__}.from_pretrained("{folder}")'
            )
        return (
            "from pathlib import Path\n\n"
            "from safetensors.torch import load_model\n"
            "from transformers import PreTrainedTokenizerFast\n\n"
            f"# `space` is the ModuleSpace {self.name!r}, made as for the search.\n"
            f'architecture = space.parse(Path("{folder}/genotype.json").read_text())\n'
            f'model = space.build(architecture, {words}, space.scales["default"], seed=0)\n'
            f'load_model(model, "{folder}/model.safetensors")'
        )

    def step(self, network: Any, scale: Scale, batch_size: int) -> Tensor:
        """Run the module on whole sequences."""
        device = next(network.parameters()).device
        shape = (batch_size, scale.sequence_length)
        tokens = torch.zeros(shape, dtype=torch.long, device=device)
        result = network(tokens if declared_batch_first(network) else tokens.t())
        return result if isinstance(result, Tensor) else next(iter(result))


class _ModuleScale(Scale):
    """Minibatches of texts that a module reads whole."""

    @property
    def step_tokens(self) -> int:
        """All of a text."""
        return self.sequence_length
