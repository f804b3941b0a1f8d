"""Scoring any PyTorch module as it is, on one batch."""

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.metrics.registry import MissingLayer, Request
from archscout.recorders.transformers import module_recorder
from archscout.recording import Recorder, kind_of
from archscout.scoring.arguments import parse_requests, resolve_objective
from archscout.scoring.measuring import Score, measure, why_not
from archscout.tracing.quantities import Objective


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


@dataclass
class _Attempt:
    """Measures what can be measured of a module: no metric's failure costs the others."""

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
            if reason := why_not(self.recorder, asked, self.objective):
                self.failed[asked.column] = InputError(reason)
        except Exception as error:
            self._fail(asked, error)
        return asked.column not in self.failed

    def measure(self, requests: Sequence[Request]) -> None:
        """Measure all in the same passes, or, where these fail, each half in its own."""
        try:
            scores, problems = measure(
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
        """Make sure that no metric has failed."""
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
