"""Scoring: an architecture (or any module) and a minibatch in, scores out.

The one place where spaces, text and metrics meet.
"""

from __future__ import annotations

import copy
import math
import os
import time
import traceback
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archscout import metrics as metrics_room
from archscout import spaces, tracing
from archscout.errors import InputError
from archscout.metrics.registry import LAST_LAYER, MissingLayer, Request
from archscout.recorders.transformers import module_recorder
from archscout.recording import Kind, Recorder, kind_of
from archscout.rounding import rounding
from archscout.spaces.base import RecordingSpace, Scale, Space
from archscout.text import Corpus, Tokenizer, load_corpus, tokenizer_for
from archscout.tracing.quantities import (
    OBJECTIVES,
    OF_FORWARD,
    OF_OBJECTIVE,
    OF_SHAPES,
    OF_SQUARE,
    QUANTITIES,
    Objective,
    Trace,
)

TextSource = str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | Corpus

MAX_SEED = 2**32  # numpy, which draws the noise, takes no more

_DEFAULT_OBJECTIVE: Mapping[Kind, Objective] = {"transformer": "cotangent", "other": "sum"}


@dataclass(frozen=True)
class Score:
    """The scores of one network.

    Attributes:
        fingerprint: of the architecture; None for a module that belongs to no space.
        scores: metric's name to value; of a per-layer metric one entry a layer, `name[1]`, ...,
            and the bare name for the layer that the paper uses.
        seconds: time for building and scoring it.
        problem: why a score is not finite, or means nothing; or None.
        inapplicable: of a module scored by every metric, those that do not apply to it, and why.
    """

    fingerprint: str | None
    scores: dict[str, float]
    seconds: float
    problem: str | None = None
    inapplicable: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> float:
        return self.scores[name]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; a score that is not finite becomes None (JSON has no infinity)."""
        return {
            "fingerprint": self.fingerprint,
            "scores": {k: v if math.isfinite(v) else None for k, v in self.scores.items()},
            "seconds": self.seconds,
            "problem": self.problem,
        }


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
        vocabulary_limit: size limit of the vocabulary.
        minibatch_index: which minibatch of the text, from 0.
        device: where the passes run, such as `cpu` or `cuda`.
        objective: what gradients are taken of, see `metrics.trace.Objective`; by default the sum
            of the output for recurrent networks, and for transformers, whose layer norm makes
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
        vocabulary_limit: int | None = None,
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
            self.space.tokenization, self.corpus, vocabulary_limit, tokenizer
        )
        self.split = split
        self.minibatch = self._minibatch(minibatch_index)

    def _minibatch(self, index: int) -> Tensor:
        return self.vocabulary.minibatch(
            self.corpus,
            self.split,
            self.scale.sequence_length,
            self.scale.batch_size,
            index,
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

    @property
    def depth(self) -> int | None:
        """The number of layers that the metrics need, None for all."""
        depth = 0
        for asked in self.requests:
            if asked.metric.needs <= OF_SHAPES:
                continue
            layer = asked.layer
            if layer is None or layer == LAST_LAYER or not asked.metric.needs <= OF_FORWARD:
                return None
            depth = max(depth, layer)
        return depth

    @contextmanager
    def recorder(self, architecture: Any, depth: int | None = None) -> Iterator[Recorder]:
        """The network for the trace: the space's own recorder, or one of the plain network.

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
        plain = module_recorder(network)
        if kind_of(plain) != self.space.kind:
            raise InputError(
                f"space {self.space.name} is of kind {self.space.kind!r}, and what it builds is "
                f"recorded as {kind_of(plain)!r}; say so, or give the space a recorder"
            )
        batch = self.minibatch.t() if plain.batch_first else self.minibatch
        with plain.given(batch) as recorder:
            yield recorder

    def score(self, architecture: Any) -> Score:
        """Scores of one architecture (a genotype of the space)."""
        start = time.perf_counter()
        with (
            _threads(1 if self.scale.is_small else None),
            self.recorder(architecture, self.depth) as recorder,
        ):
            for asked in self.requests:
                if reason := _why_not(recorder, asked, self.objective):
                    raise InputError(
                        f"metric {asked.column} does not apply to space {self.space.name}: {reason}"
                    )
            scores, problems = _measure(
                recorder, self.minibatch, self.requests, self.depth, self.seed, self.objective, True
            )
        mark = self.space.fingerprint(architecture)
        return Score(mark, scores, time.perf_counter() - start, "; ".join(problems) or None)

    def score_all(self, architectures: Iterable[Any]) -> Iterator[Score]:
        """Scores of many architectures, in their order, as they come."""
        return map(self.score, architectures)


def score(space: str | Space[Any], architecture: Any, **settings: Any) -> Score | list[Score]:
    """Scores of one architecture, or of a list of them.

    Args:
        space: a space or its name.
        architecture: a genotype of the space, its JSON (text or parsed), or a list of these.
        **settings: those of `Scorer`: text, metrics, scale, seed, split, vocabulary_limit,
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


def score_module(
    module: nn.Module,
    batch: Tensor | Mapping[str, Tensor] | Sequence[Any],
    metrics: Iterable[str] | None = None,
    *,
    batch_first: bool | None = None,
    seed: int = 0,
    objective: Objective | None = None,
) -> Score:
    """Scores of any PyTorch module as it is, on one batch; its weights and mode are left alone.

    Hidden states are taken from `torch.nn.RNN`, `GRU` and `LSTM` (run step by step) and from
    their cells, activations from activation modules, linear maps from `torch.nn.Linear` and the
    recurrent modules, embeddings from the first `torch.nn.Embedding`, or from the batch itself
    where it is not of integers. In models of transformers (BERT, ELECTRA, GPT-2, Llama and their
    kind) layers, heads and feed-forward blocks are found by their structure, and the metrics are
    those of transformers.

    Args:
        module: any module; it is run in evaluation mode.
        batch: its input: a tensor (T, B) or (T, B, features), or with `batch_first` (B, T) and
            so on, or a mapping of keyword arguments or a sequence of arguments whose first is it.
        metrics: names; by default every metric that applies; the result's `inapplicable` says
            which do not, and why, those that failed on this module among them.
        batch_first: which axis of batch, states and activations is which; by default as the
            recurrent modules say, and batch first where there are none.
        seed: of the noise on the embeddings, of the cotangent, and of dropout.
        objective: what gradients are taken of: `sum` (of the module's first output), `cotangent`
            (its product with random numbers; the default for transformers) or `loss` (what the
            module returns as its loss, from labels in the batch).

    Raises:
        InputError: a metric asked for does not apply; the message says why.
        Exception: whatever the module itself raises on this batch.
    """
    start = time.perf_counter()
    with module_recorder(module, batch_first).given(batch) as recorder:
        kind = kind_of(recorder)
        objective = resolve_objective(objective, kind)
        requests = parse_requests(metrics, kind)
        attempt = _Attempt(recorder, recorder.minibatch, seed, objective)
        applicable = [asked for asked in requests if attempt.applies(asked)]
        if metrics is not None:
            attempt.refuse_failures()
        attempt.measure(applicable)
        if metrics is not None:
            attempt.refuse_failures()
    failed = attempt.failed
    inapplicable = {r.column: _reason(failed[r.column]) for r in requests if r.column in failed}
    problem = "; ".join(dict.fromkeys(attempt.problems)) or None
    return Score(None, attempt.scores, time.perf_counter() - start, problem, inapplicable)


def parse_requests(names: Iterable[str | Request] | None, kind: Kind = "other") -> list[Request]:
    """What the names of metrics ask for (a request asks for itself); every metric if None.

    Args:
        names: comma-separated or apart.
        kind: of the networks that are to be measured.

    Raises:
        InputError: a name is unknown, or there is none.
    """
    if isinstance(names, str):
        names = names.split(",")
    if names is None:
        names = metrics_room.available(kind)
    requests = [n if isinstance(n, Request) else metrics_room.request(n, kind) for n in names]
    if not requests:
        raise InputError("no metric was named; 'archscout score --help' lists them")
    return requests


def resolve_objective(objective: str | None, kind: Kind) -> Objective:
    """An objective from its name, the default for these networks if None.

    Raises:
        InputError: there is none of that name.
    """
    if objective is None:
        return _DEFAULT_OBJECTIVE[kind]
    for known in OBJECTIVES:
        if objective == known:
            return known
    raise InputError(f"unknown objective {objective!r}; accepted: {', '.join(OBJECTIVES)}")


def resolve_scale(space: Space[Any], scale: str | Scale | None) -> Any:
    """A scale from its name, the space's default scale if None.

    Raises:
        InputError: the space has no scale of that name.
    """
    if isinstance(scale, Scale):
        return scale
    name = scale or space.default_scale
    if name not in space.scales:
        raise InputError(
            f"unknown scale {name!r}; space {space.name} has {', '.join(space.scales)}"
        )
    return space.scales[name]


def check_seed(seed: int) -> int:
    """The seed, if it is one.

    Raises:
        InputError: it is out of range.
    """
    if not 0 <= seed < MAX_SEED:
        raise InputError(f"seed is {seed}; from 0 to {MAX_SEED - 1} are accepted")
    return seed


def check_device(device: str) -> None:
    """Make sure that a device is there.

    Raises:
        InputError: it is not.
    """
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise InputError(f"device {device!r} cannot be used: {reason}") from error


@contextmanager
def _threads(count: int | None) -> Iterator[None]:
    """Torch's threads within one operation set to a count, or left alone."""
    before = torch.get_num_threads()
    torch.set_num_threads(count or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _why_not(recorder: Recorder, asked: Request, objective: Objective) -> str | None:
    needs = asked.metric.needs
    fields = frozenset().union(*(QUANTITIES[need] for need in needs))
    if needs & OF_OBJECTIVE and objective == "loss" and not asked.metric.as_published:
        fields |= {"loss"}
    reasons = [recorder.recordable[name] for name in sorted(fields)]
    return next((reason for reason in reasons if reason is not None), None)


@dataclass
class _Attempt:
    """Measures what can be measured of a module: no metric's failure costs the others.

    Attributes:
        scores: by name.
        problems: why some are not finite, or mean nothing.
        failed: by metric, why it has no score.
    """

    recorder: Recorder
    tokens: Tensor
    seed: int
    objective: Objective
    scores: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)

    def applies(self, asked: Request) -> bool:
        """Whether the module has what a metric needs."""
        try:
            if reason := _why_not(self.recorder, asked, self.objective):
                self.failed[asked.column] = InputError(reason)
        except Exception as error:
            self._fail(asked, error)
        return asked.column not in self.failed

    def measure(self, requests: Sequence[Request]) -> None:
        """Measure all in the same passes, or, where these fail, each half in its own."""
        try:
            scores, problems = _measure(
                self.recorder, self.tokens, requests, None, self.seed, self.objective, False
            )
        except Exception as error:
            if len(requests) == 1:
                self._fail(requests[0], error)
                return
        else:
            self.scores |= scores
            self.problems += problems
            return
        middle = len(requests) // 2
        self.measure(requests[:middle])
        self.measure(requests[middle:])

    def refuse_failures(self) -> None:
        """Make sure that no metric has failed.

        Raises:
            InputError: one has; the message names it.
        """
        for name, error in self.failed.items():
            if isinstance(error, MissingLayer):  # which names the metric itself
                raise error
            cause = error if error.__traceback__ else None
            raise InputError(
                f"metric {name} does not apply to this module: {_reason(error)}"
            ) from cause

    def _fail(self, asked: Request, error: Exception) -> None:
        # What fails without any metric is the module's own error.
        with torch.no_grad():
            self.recorder.record(self.tokens, frozenset({"output"}))
        # The error's frames would keep the tensors of its pass.
        traceback.clear_frames(error.__traceback__)
        self.failed[asked.column] = error


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else f"{type(error).__name__}: {error}"


def _measure(
    recorder: Recorder,
    tokens: Tensor,
    requests: Sequence[Request],
    depth: int | None,
    seed: int,
    objective: Objective,
    lenient: bool,
) -> tuple[dict[str, float], list[str]]:
    """Scores by name, and why some are not finite, or mean nothing.

    Where lenient, the score of a layer that the network does not have is NaN.
    """
    traces: dict[bool, Trace] = {}
    for as_published in {asked.metric.as_published for asked in requests}:
        group = [asked for asked in requests if asked.metric.as_published == as_published]
        needs = frozenset().union(*(asked.metric.needs for asked in group))
        taken_of: Objective = "sum" if as_published else objective
        traces[as_published] = tracing.trace(
            recorder, tokens, needs, depth, seed, taken_of, training=as_published
        )
    scores: dict[str, float] = {}
    problems = []
    for asked in requests:
        traced = traces[asked.metric.as_published]
        try:
            values = asked.values(traced)
        except MissingLayer as error:
            if not lenient:
                raise
            scores[asked.column] = math.nan
            problems.append(str(error))
            continue
        scores |= values
        bad = [name for name, value in values.items() if not math.isfinite(value)]
        if bad:
            shown = ", ".join(f"{name} is {scores[name]}" for name in bad)
            problems.append(f"{shown}: {_cause(traced) or asked.metric.undefined}")
    for as_published, traced in traces.items():
        gradients = any(
            asked.metric.needs & (OF_OBJECTIVE | OF_SQUARE)
            for asked in requests
            if asked.metric.as_published == as_published
        )
        if gradients and traced.objective == "sum" and traced.sums_are_constant:
            advice = "so are the published scores" if as_published else "take objective cotangent"
            problems.append(
                "the features of the output add up to a constant, as after a layer norm, so "
                f"gradients of their sum are rounding errors; {advice}"
            )
    return scores, problems


def _cause(traced: Trace) -> str | None:
    """What is wrong with the hidden states, if anything."""
    for layer, states in enumerate(traced.hidden_states, start=1):
        finite = torch.isfinite(states).flatten(1).all(1)
        if not bool(finite.all()):
            return (
                f"the hidden states of layer {layer} overflow at step {int((~finite).nonzero()[0])}"
            )
        units = states.flatten(0, 1)
        spread = units.amax(0) - units.amin(0)
        still = int((spread <= rounding(units.abs().amax(0), units.dtype)).sum())
        if still:
            return f"{still} of {units.shape[1]} hidden units of layer {layer} do not vary"
    return None
