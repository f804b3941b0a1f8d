"""Scoring architectures of a space: the place where spaces, text and metrics meet."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from archscout import spaces
from archscout.errors import InputError
from archscout.metrics import load_file
from archscout.metrics.registry import LAST_LAYER, Request
from archscout.recorders.choice import recorded
from archscout.recording import Recorder, declared_batch_first, kind_of
from archscout.scoring.arguments import (
    TextSource,
    check_device,
    check_seed,
    parse_requests,
    resolve_objective,
    resolve_scale,
)
from archscout.scoring.found import Found, found_in
from archscout.scoring.measuring import Score, measure, why_not
from archscout.scoring.settings import ScoringSettings
from archscout.spaces.base import RecordingSpace, Scale, Space
from archscout.text import Corpus, Tokenizer, load_corpus, tokenizer_for
from archscout.threads import one_thread
from archscout.tracing.quantities import OF_FORWARD, OF_SHAPES, Objective


class Scorer:
    """Scores architectures of one space on one minibatch of text.

    Every architecture is scored for itself: its score depends on nothing that was scored before.

    Args:
        space: a space or its name.
        text: a corpus, its name, a file, several files or a folder.
        metrics: names, such as `hidden_covariance` (all layers) or `hidden_covariance[1]` (one,
            and no deeper pass than it needs); every metric by default.
        scale: a scale or its name; the space's default for search if None.
        seed: of weights and noise.
        split: of the corpus; `test` if it has splits, as published.
        vocabulary_size: size limit of the vocabulary.
        minibatch_index: which minibatch of the text, from 0.
        device: where the passes run, such as `cpu` or `cuda`.
        objective: what gradients are taken of, see `tracing.Objective`; by default the sum of the
            output for recurrent networks, and for transformers, whose layer norm makes
            that a constant, its product with a random cotangent. The loss is that of the next
            token, or of masked tokens for encoders.
        tokenizer: of encoders: a folder, or a name on the Hugging Face hub; by default one is
            trained on the text.

    Attributes:
        requests: what the names of metrics ask for.
        vocabulary: what turns the text into token ids.
        minibatch: token ids (T, B).

    Raises:
        InputError: unknown space, metric, scale or device, or a text that cannot be used.
    """

    def __init__(
        self,
        space: str | Space[Any],
        text: TextSource = "python-docs",
        metrics: Iterable[str | Request] | None = None,
        scale: str | Scale | None = None,
        seed: int = 0,
        split: str | None = None,
        vocabulary_size: int | None = None,
        minibatch_index: int = 0,
        device: str = "cpu",
        objective: Objective | None = None,
        tokenizer: str | None = None,
    ) -> None:
        self.space: Space[Any] = spaces.get(space) if isinstance(space, str) else space
        self.scale: Any = resolve_scale(self.space, scale)
        self.requests = parse_requests(metrics, self.space.kind)
        self.objective = resolve_objective(objective, self.space.kind)
        num_layers = getattr(self.scale, "num_layers", None)
        for asked in self.requests:
            if num_layers is not None and (asked.layer or 0) > num_layers:
                raise InputError(f"metric {asked.column}: the network has {num_layers} layer(s)")
        self.seed = check_seed(seed)
        check_device(device)
        self.device = device
        self.corpus = text if isinstance(text, Corpus) else load_corpus(text)
        self.vocabulary: Tokenizer = tokenizer_for(
            self.space.tokenization, self.corpus, vocabulary_size, tokenizer
        )
        self.split = split
        self.minibatch = self._minibatch(minibatch_index)

    @classmethod
    def of(
        cls,
        settings: ScoringSettings,
        text: TextSource | None = None,
        metrics: Iterable[str | Request] | None = None,
        space: Space[Any] | None = None,
    ) -> Scorer:
        """A scorer as settings describe it, in their first draw.

        Args:
            settings: of the scores.
            text: where the settings' text lies now, or the corpus itself.
            metrics: in place of the settings' own.
            space: in place of the one of the settings' name.

        Raises:
            InputError: something cannot be used.
        """
        for file in settings.metric_files:
            load_file(file)
        return cls(
            space or settings.space,
            settings.text if text is None else text,
            settings.metrics if metrics is None else metrics,
            settings.built_at,
            settings.seeds[0],
            settings.split,
            settings.vocabulary_size,
            settings.minibatches[0],
            settings.device,
            settings.objective,
            settings.tokenizer,
        )

    def _minibatch(self, index: int) -> Tensor:
        scale = self.scale
        return self.vocabulary.minibatch(
            self.corpus, self.split, scale.sequence_length, scale.batch_size, index
        ).to(self.device)

    def drawn(self, seed: int, minibatch_index: int) -> Scorer:
        """A scorer of the same settings with other weights and another minibatch.

        Raises:
            InputError: the text has no such minibatch, or the seed is out of range.
        """
        other = copy.copy(self)
        other.seed = check_seed(seed)
        other.minibatch = self._minibatch(minibatch_index)
        return other

    @cached_property
    def depth(self) -> int | None:
        """The number of layers that the metrics need, None for all."""
        passing = [asked for asked in self.requests if not asked.metric.needs <= OF_SHAPES]
        layers = [asked.layer for asked in passing if asked.metric.needs <= OF_FORWARD]
        if len(layers) < len(passing) or not {None, LAST_LAYER}.isdisjoint(layers):
            return None
        return max((layer for layer in layers if layer), default=0)

    @contextmanager
    def recorder(self, architecture: Any, depth: int | None = None) -> Iterator[Recorder]:
        """The network for the trace, by the space's own recorder or one of the plain network.

        Args:
            architecture: a genotype of the space.
            depth: number of layers that matter; all by default.
        """
        size = len(self.vocabulary)
        if isinstance(self.space, RecordingSpace):
            mask = self.vocabulary.mask_token if self.objective == "loss" else None
            yield self.space.recorder(
                architecture, size, self.scale, self.seed, depth, self.device, mask
            )
            return
        network = self.space.build(architecture, size, self.scale, self.seed).to(self.device)
        batch_first = declared_batch_first(network)
        batch = self.minibatch.t() if batch_first else self.minibatch
        with recorded(network, batch, batch_first) as recorder:
            if kind_of(recorder) != self.space.kind:
                raise InputError(
                    f"space {self.space.name} is of kind {self.space.kind!r}, and what it builds "
                    f"is recorded as {kind_of(recorder)!r}; say so, or give the space a recorder"
                )
            yield recorder

    def score(self, architecture: Any) -> Score:
        """Scores of one architecture (a genotype of the space)."""
        start = time.perf_counter()
        is_slowed = torch.get_num_threads() > 1 and self.scale.is_small
        with (
            one_thread() if is_slowed else nullcontext(),
            self.recorder(architecture, self.depth) as recorder,
        ):
            for column, reason in self._reasons(recorder).items():
                raise InputError(
                    f"metric {column} does not apply to space {self.space.name}: {reason}"
                )
            how = (self.depth, self.seed, self.objective)
            missing: list[str] = []
            scores, problems = measure(recorder, self.minibatch, self.requests, *how, missing)
            problems += recorder.problems
        mark, seconds = self.space.fingerprint(architecture), time.perf_counter() - start
        return Score(mark, scores, seconds, "; ".join(problems) or None, missing)

    def inapplicable(self, architecture: Any) -> dict[str, str]:
        """Why metrics do not apply to an architecture's network, by column; empty if all do."""
        with self.recorder(architecture, self.depth) as recorder:
            return self._reasons(recorder)

    def _reasons(self, recorder: Recorder) -> dict[str, str]:
        reasons = {r.column: why_not(recorder, r, self.objective) for r in self.requests}
        return {column: reason for column, reason in reasons.items() if reason is not None}

    def explain(self, architecture: Any) -> Found:
        """What metrics take an architecture's network for."""
        with self.recorder(architecture) as recorder:
            return found_in(recorder, self.objective)

    def score_all(self, architectures: Iterable[Any]) -> Iterator[Score]:
        """Scores of many architectures, in their order, as they come."""
        return map(self.score, architectures)


def score(space: str | Space[Any], architecture: Any, **settings: Any) -> Score | list[Score]:
    """Scores of one architecture, or of a list of them.

    Args:
        space: a space or its name.
        architecture: a genotype of the space, its JSON (text or parsed), or a list of these.
        **settings: those of `Scorer`: text, metrics, scale, seed, split, vocabulary_size,
            minibatch_index, device, objective, tokenizer.

    Raises:
        InputError: an architecture, metric, scale or text that cannot be used.

    Example:
        >>> import archscout
        >>> space = archscout.spaces.RecurrentSpace()
        >>> result = archscout.score(space, space.sample(0), metrics=["hidden_covariance[1]"])
        >>> sorted(result.scores)
        ['hidden_covariance[1]']
    """
    scorer = Scorer(space, **settings)
    if isinstance(architecture, list | tuple):
        return [scorer.score(scorer.space.parse(a)) for a in architecture]
    return scorer.score(scorer.space.parse(architecture))
