"""Metrics of one network on one minibatch: the passes that they need, and their values."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from archscout import tracing
from archscout.metrics.registry import MissingLayer, Request
from archscout.recording import Recorder
from archscout.rounding import rounding
from archscout.scoring.found import Found
from archscout.tracing.amplification import amplified
from archscout.tracing.quantities import OF_OBJECTIVE, OF_SQUARE, QUANTITIES, Objective, Trace

# Scores that are shown of one that is printed.
_SHOWN = 8


@dataclass(frozen=True)
class Score:
    """The scores of one network.

    Attributes:
        fingerprint: of the architecture; None for a module that belongs to no space.
        scores: metric's name to value; of a per-layer metric one entry a layer, `name[1]`, ...,
            and the bare name for the layer that the paper uses.
        seconds: time for building and scoring it.
        problem: why a score is not finite, or means nothing; or None.
        missing: names of scores that are NaN, for the network has no such layer.
        inapplicable: of a module scored by every metric, those that do not apply to it, and why.
        found: of a module, what it was taken for.
    """

    fingerprint: str | None
    scores: dict[str, float]
    seconds: float
    problem: str | None = None
    missing: Sequence[str] = ()
    inapplicable: Mapping[str, str] = field(default_factory=dict)
    found: Found | None = None

    def __str__(self) -> str:
        """What was found, and what of it can be trusted, in a few lines."""
        lines = [] if self.found is None else str(self.found).splitlines()
        lines.append(f"scores: {len(self.scores)}")
        if self.inapplicable:
            lines[-1] += f", and {len(self.inapplicable)} that do not apply"
        if self.problem:
            lines.append(f"problem: {self.problem}")
        shown = [f"{name}: {value:.6g}" for name, value in list(self.scores.items())[:_SHOWN]]
        rest = ["..."] if len(self.scores) > _SHOWN else []
        return "\n".join([*lines, *shown, *rest])

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


def why_not(recorder: Recorder, asked: Request, objective: Objective) -> str | None:
    """The reason for which a metric does not apply to a network, if any."""
    needs = asked.metric.needs
    fields = frozenset().union(*(QUANTITIES[need] for need in needs))
    if needs & OF_OBJECTIVE and objective == "loss" and not asked.metric.as_published:
        fields |= {"loss"}
    reasons = [recorder.recordable[name] for name in sorted(fields)]
    return next((reason for reason in reasons if reason is not None), None)


def measure(
    recorder: Recorder,
    tokens: Tensor,
    requests: Sequence[Request],
    depth: int | None,
    seed: int,
    objective: Objective,
    missing: list[str] | None = None,
    failed: dict[str, Exception] | None = None,
) -> tuple[dict[str, float], list[str]]:
    """Scores by name, and why some are not finite, or mean nothing.

    With a place for them, names of scores of layers that the network does not have are put there,
    and these are NaN; and what metrics raise is put into its place, by the names that they were
    asked for by.
    """
    traces: dict[tuple[bool, bool], Trace] = {}
    for form in dict.fromkeys(map(_form, requests)):
        as_published, is_amplified = form
        group = [asked for asked in requests if _form(asked) == form]
        needs = frozenset().union(*(asked.metric.needs for asked in group))
        taken_of: Objective = "sum" if as_published else objective
        with amplified(recorder, tokens) if is_amplified else nullcontext(recorder) as running:
            traces[form] = tracing.trace(
                running, tokens, needs, depth, seed, taken_of, training=as_published
            )
    scores: dict[str, float] = {}
    problems = []
    for asked in requests:
        traced = traces[_form(asked)]
        try:
            values = asked.values(traced)
        except MissingLayer as error:
            if failed is not None:
                failed[asked.column] = error
                continue
            if missing is None:
                raise
            missing.append(asked.column)
            scores[asked.column] = math.nan
            problems.append(str(error))
            continue
        except Exception as error:
            if failed is None:
                raise
            failed[asked.column] = error
            continue
        scores |= values
        if bad := [name for name, value in values.items() if not math.isfinite(value)]:
            shown = ", ".join(f"{name} is {scores[name]}" for name in bad)
            problems.append(f"{shown}: {_cause(traced, asked) or asked.metric.undefined}")
    with_gradients = [
        asked for asked in requests if asked.metric.needs & (OF_OBJECTIVE | OF_SQUARE)
    ]
    for form, traced in traces.items():
        gradients = any(_form(asked) == form for asked in with_gradients)
        if gradients and traced.objective == "sum" and traced.sums_are_constant:
            advice = "so are the published scores" if form[0] else "take objective cotangent"
            problems.append(
                "the features of the output add up to a constant, as after a layer norm, so "
                f"gradients of their sum are rounding errors; {advice}"
            )
    return scores, problems


def _form(asked: Request) -> tuple[bool, bool]:
    """In which form of the network a metric is measured: metrics of one form share a trace."""
    return asked.metric.as_published, asked.metric.amplified


def _cause(traced: Trace, asked: Request) -> str | None:
    """What is wrong with the hidden states, if anything that matters for a metric."""
    for layer, states in enumerate(traced.hidden_states, start=1):
        finite = torch.isfinite(states).flatten(1).all(1)
        if not bool(finite.all()):
            return (
                f"the hidden states of layer {layer} overflow at step {int((~finite).nonzero()[0])}"
            )
        units = states.flatten(0, 1)
        spread = units.amax(0) - units.amin(0)
        still = int((spread <= rounding(units.abs().amax(0), units.dtype)).sum())
        if still and "hidden_states" in asked.metric.needs:
            return f"{still} of {units.shape[1]} hidden units of layer {layer} do not vary"
    return None
