"""Scoring any PyTorch module as it is, on one batch."""

import time
import traceback
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import overload

import torch
from torch import Tensor, nn

from archscout.errors import InputError
from archscout.metrics.registry import MissingLayer, Request
from archscout.recorders.batch import Given
from archscout.recorders.choice import recorded
from archscout.recorders.modules import ModuleRecorder
from archscout.recorders.returned import main_tensor
from archscout.recording import kind_of
from archscout.scoring.arguments import check_seed, parse_requests, resolve_objective
from archscout.scoring.found import found_in
from archscout.scoring.measuring import Score, measure, why_not
from archscout.tracing.failures import PassFailed
from archscout.tracing.quantities import OF_FORWARD, OF_SHAPES, Objective


@overload
def score_module(
    module: nn.Module,
    batch: Given,
    metrics: Iterable[str] | None = None,
    *,
    batch_first: bool | None = None,
    seed: int = 0,
    objective: Objective | None = None,
) -> Score: ...
@overload
def score_module(
    module: Sequence[nn.Module],
    batch: Given,
    metrics: Iterable[str] | None = None,
    *,
    batch_first: bool | None = None,
    seed: int = 0,
    objective: Objective | None = None,
) -> list[Score]: ...
def score_module(
    module: nn.Module | Sequence[nn.Module],
    batch: Given,
    metrics: Iterable[str] | None = None,
    *,
    batch_first: bool | None = None,
    seed: int = 0,
    objective: Objective | None = None,
) -> Score | list[Score]:
    """Scores of any PyTorch module as it is, on one batch; its weights and mode are left alone.

    What is measured is what runs. Weights of linear maps are the parameters that enter a product, a
    convolution or a bilinear form, stacks of experts and packed projections among them. Which axis
    of a tensor counts inputs and which steps shows when inputs and steps of the batch are changed.
    Hidden states are taken from `torch.nn.RNN`, `GRU` and `LSTM` (run step by step) and from their
    cells, activations from activation modules, embeddings from the `torch.nn.Embedding` that reads
    the tokens, or from the batch itself where it is not of integers. In models with repeated blocks
    that hold attention (BERT, ELECTRA, GPT-2, Llama and their kind) layers, heads and feed-forward
    blocks are found by their structure, and the metrics are those of transformers. The result's
    `found` says what was found.

    Args:
        module: any module; it is run in evaluation mode. Of a list of them each is scored by
            itself, on the same batch.
        batch: its input: a tensor (T, B) or (T, B, features), or with `batch_first` (B, T) and
            so on; or a packed sequence; or a mapping of keyword arguments or a sequence of
            arguments, in which it is `input_ids`, `inputs_embeds` or the first tensor.
        metrics: names; by default every metric that applies; the result's `inapplicable` says
            which do not, and why, those that failed on this module among them.
        batch_first: whether the batch is (B, T, ...) and not (T, B, ...); by default this is found
            out, and where nothing shows it the result's `problem` says what was assumed.
        seed: of the noise on the embeddings, of the cotangent, and of dropout.
        objective: what gradients are taken of: `sum` (of the module's first output), `cotangent`
            (its product with random numbers; the default for transformers) or `loss` (what the
            module returns as its loss, from labels in the batch).

    Raises:
        InputError: a metric asked for does not apply; the message says why.
        Exception: whatever the module itself raises on this batch.
    """
    seed = check_seed(seed)
    if not isinstance(module, nn.Module):
        metrics = metrics if metrics is None or isinstance(metrics, str) else list(metrics)
        each_of = partial(score_module, batch_first=batch_first, seed=seed, objective=objective)
        return [each_of(each, batch, metrics) for each in module]
    start = time.perf_counter()
    with recorded(module, batch, batch_first) as recorder:
        kind = kind_of(recorder)
        objective = resolve_objective(objective, kind)
        requests = parse_requests(metrics, kind)
        attempt = _Attempt(recorder, seed, objective)
        applicable = [asked for asked in requests if attempt.applies(asked)]
        if metrics is not None:
            attempt.refuse_failures()
        attempt.measure(applicable)
        if metrics is not None:
            attempt.refuse_failures()
        found = found_in(recorder, objective)
        problems = [*attempt.problems, *recorder.problems]
    failed = attempt.failed
    inapplicable = {r.column: _reason(failed[r.column]) for r in requests if r.column in failed}
    problem = "; ".join(dict.fromkeys(problems)) or None
    seconds = time.perf_counter() - start
    return Score(None, attempt.scores, seconds, problem, inapplicable=inapplicable, found=found)


@dataclass
class _Attempt:
    """Measures what can be measured of a module: no metric's failure costs the others."""

    recorder: ModuleRecorder
    seed: int
    objective: Objective
    scores: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    failed: dict[str, Exception] = field(default_factory=dict)

    @cached_property
    def is_empty(self) -> bool:
        """Whether parameters, or the batch, hold no numbers."""
        return self.recorder.is_empty

    def applies(self, asked: Request) -> bool:
        """Whether the module has what a metric needs."""
        try:
            if not asked.metric.needs <= OF_SHAPES and self.is_empty:
                reason: str | None = "its parameters are on the meta device, and hold no numbers"
            else:
                reason = why_not(self.recorder, asked, self.objective)
            if reason:
                self.failed[asked.column] = InputError(reason)
        except Exception as error:
            self._fail([asked], error)
        return asked.column not in self.failed

    def measure(self, requests: Sequence[Request]) -> None:
        """Measure all in the same passes, or, where these fail, what is left without them."""
        if not requests:
            return
        try:
            scores, problems = measure(
                self.recorder,
                self._tokens(requests),
                requests,
                None,
                self.seed,
                self.objective,
                failed=self.failed,
            )
        except PassFailed as error:
            lost = [asked for asked in requests if asked.metric.needs & error.needs]
            self._fail(lost, error)
            self.measure([asked for asked in requests if asked not in lost])
        except Exception as error:
            self._split(requests, error)
        else:
            self.scores |= scores
            self.problems += problems

    def _tokens(self, requests: Sequence[Request]) -> Tensor:
        """The minibatch; of weights and shapes alone its axes do not matter, and are not found."""
        needs = frozenset().union(*(asked.metric.needs for asked in requests))
        of_weights = needs <= OF_SHAPES | {"weights"} and not any(
            asked.metric.amplified for asked in requests
        )
        return self.recorder.given_input if of_weights else self.recorder.minibatch

    def _split(self, requests: Sequence[Request], error: Exception) -> None:
        """Find out what a failed pass could not take."""
        with_gradients = [r for r in requests if r.metric.needs - OF_FORWARD - OF_SHAPES]
        if len(requests) == 1:
            self._fail(requests, error)
        elif len(with_gradients) > 1 and (cause := self._why_no_gradient()) is not None:
            self._fail(with_gradients, cause)
            self.measure([asked for asked in requests if asked not in with_gradients])
        else:
            middle = len(requests) // 2
            self.measure(requests[:middle])
            self.measure(requests[middle:])

    def _why_no_gradient(self) -> Exception | None:
        """What a plain backward pass raises, if anything."""
        try:
            with torch.enable_grad():
                output = main_tensor(self.recorder.run())
                weights = self.recorder.linear_parameters()
                torch.autograd.grad(output.sum(), weights, allow_unused=True)
        except Exception as error:
            reason = InputError("a backward pass through it fails")
            reason.__cause__ = error
            return reason
        return None

    def refuse_failures(self) -> None:
        """Make sure that no metric has failed."""
        for name, error in self.failed.items():
            if isinstance(error, MissingLayer):  # which names the metric itself
                raise error
            raise InputError(
                f"metric {name} does not apply to this module: {_reason(error)}"
            ) from error.__cause__ or error

    def _fail(self, requests: Sequence[Request], error: Exception) -> None:
        # What fails without any metric is the module's own error.
        with torch.no_grad():
            self.recorder.run()
        # The error's frames would keep the tensors of its pass.
        for raised in (error, error.__cause__):
            traceback.clear_frames(raised.__traceback__ if raised else None)
        self.failed |= {asked.column: error for asked in requests}


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, InputError) else "a run of the module for it fails"
