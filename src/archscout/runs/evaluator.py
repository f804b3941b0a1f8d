"""What becomes of proposals: costs, limits, scores."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import replace
from itertools import chain, islice, tee
from typing import Any, NamedTuple

from optuna.trial import FrozenTrial

from archscout.errors import InputError
from archscout.execution import Workers
from archscout.rounding import reproducible
from archscout.runs.costs import COSTS, Meter
from archscout.runs.given_genes import of_limited_size
from archscout.runs.search_settings import Objective, SearchSettings, parse_objectives
from archscout.runs.study import Evaluation, result_of
from archscout.scoring import Scorer, TextSource, resolve_scale
from archscout.spaces import live
from archscout.spaces.base import Space

_PROBES = 100
_SLOW_PROBES = 10


class Measured(NamedTuple):
    """What a worker returns of an architecture.

    Attributes:
        costs: by name.
        scores: by name, None for one that is not finite; empty outside the limits.
        seconds: that scoring took.
        problem: why a score is not finite, or means nothing; or None.
    """

    costs: dict[str, float]
    scores: dict[str, float | None]
    seconds: float = 0.0
    problem: str | None = None


class Evaluator:
    """Measures architectures, in the workers that it is sent to, and judges what was measured.

    Args:
        scorer: of the objectives' metrics.
        model_scale: at which costs are taken.
        objectives: of the search.
        limits: cost to upper limit.

    Attributes:
        meter: of the costs that limits and objectives ask for.
    """

    def __init__(
        self,
        scorer: Scorer,
        model_scale: Any,
        objectives: list[Objective],
        limits: Mapping[str, float],
    ) -> None:
        self.scorer = scorer
        self._objectives = objectives
        self._limits = limits
        wanted = [o.name for o in objectives if o.request is None]
        self._metrics = [o.name for o in objectives if o.request]
        self.meter = Meter(
            scorer.space,
            len(scorer.vocabulary),
            model_scale,
            list(dict.fromkeys(["parameters", *limits, *wanted])),
            scorer.device,
        )

    @classmethod
    def of(cls, settings: SearchSettings, space: Space[Any], text: TextSource) -> Evaluator:
        """The evaluator of a search, on the text that is at hand.

        Raises:
            InputError: something cannot be used.
        """
        objectives = parse_objectives(settings.objectives, space.kind)
        scorer = Scorer.of(settings.scoring, text, space=space)
        model_scale = resolve_scale(space, None).resized(**settings.model_scale)
        return cls(scorer, model_scale, objectives, settings.limits)

    @property
    def measures_latency(self) -> bool:
        """Whether an evaluation takes the time that networks need."""
        return any(COSTS[name].is_timed for name in self.meter.names)

    def check_limits(
        self, seed: int, measured: Callable[[Iterable[Any]], Iterable[dict[str, float]]]
    ) -> None:
        """Make sure that some sampled architecture meets the limits.

        Args:
            seed: of the sample.
            measured: the costs of architectures, as they come.

        Raises:
            InputError: none does; the message has the smallest costs seen.
        """
        if not self._limits:
            return
        probes = _SLOW_PROBES if self.measures_latency else _PROBES
        seen: list[dict[str, float]] = []
        space = self.scorer.space
        sampled = chain(of_limited_size(space, seed, self._limits), space.samples(seed))
        for found in measured(islice(sampled, probes)):
            if self._is_within(found):
                return
            seen.append(found)
        smallest = "; ".join(
            f"max_{name} is {limit:,g}, the smallest {name} seen is "
            f"{min(found[name] for found in seen):,.6g}"
            for name, limit in self._limits.items()
        )
        raise InputError(f"no architecture of {probes} sampled meets the limits: {smallest}")

    def _is_within(self, found: Mapping[str, float]) -> bool:
        return all(found[name] <= limit for name, limit in self._limits.items())

    def evaluate(self, architecture: Any) -> Measured:
        """Costs of an architecture in its canonical form, and its scores if it is within limits."""
        return self.score((architecture, measured_costs(self.meter, architecture)))

    def score(self, item: tuple[Any, Measured]) -> Measured:
        """What was measured of an architecture, with its scores if it is within limits."""
        architecture, measured = item
        # What is outside the limits is not scored: that is the point of having them.
        if measured.problem or not self._is_within(measured.costs) or not self._metrics:
            return measured
        score = self.scorer.score(architecture)
        return Measured(measured.costs, score.to_dict()["scores"], score.seconds, score.problem)

    def lost(self, architecture: Any, reason: str) -> Measured:
        """What is known of an architecture at which processes died: all but its latency."""
        others = [name for name in self.meter.names if not COSTS[name].is_timed]
        found = replace(self.meter, names=others).measure(architecture)
        return Measured(found, dict.fromkeys(self._metrics), 0.0, reason)

    def lost_score(self, item: tuple[Any, Measured], reason: str) -> Measured:
        """What is known of an architecture of known costs at which processes died."""
        return Measured(item[1].costs, dict.fromkeys(self._metrics), 0.0, reason)

    def judge(self, architecture: Any, fingerprint: str, measured: Measured) -> Evaluation:
        """What becomes of an architecture, from what was measured of it."""
        found, scores = measured.costs, measured.scores
        values = [
            _compared(scores.get(o.name, -o.sign * math.inf)) if o.request else found.get(o.name)
            for o in self._objectives
        ]
        limits = {name: limit for name, limit in self._limits.items() if name in found}
        is_known = None not in values and len(limits) == len(self._limits)
        return Evaluation(
            values=[v for v in values if v is not None] if is_known else None,
            violations={name: found[name] / limit - 1 for name, limit in limits.items()},
            result={
                "architecture": self.scorer.space.to_dict(architecture),
                "fingerprint": fingerprint,
                "scores": scores,
                "costs": found,
                "seconds": measured.seconds,
                "problem": measured.problem,
            },
        )

    def judged(self, result: Mapping[str, Any]) -> Evaluation:
        """What becomes of an architecture, from the result of an evaluation before."""
        measured = Measured(**{name: result[name] for name in Measured._fields})
        architecture = self.scorer.space.parse(result["architecture"])
        return self.judge(architecture, result["fingerprint"], measured)


def measured_costs(meter: Meter, architecture: Any) -> Measured:
    """Costs of an architecture, which is not scored yet."""
    return Measured(meter.measure(architecture), {})


class Evaluations:
    """The evaluations of a run, of which none is made twice.

    Args:
        workers: that hold the evaluator.
        meters: workers that take costs, where those that score do not.
        evaluator: the same one.
        trials: evaluated earlier.
        kept: evaluated earlier, but not stored.
    """

    def __init__(
        self,
        workers: Workers[Evaluator],
        meters: Workers[Meter] | None,
        evaluator: Evaluator,
        trials: Iterable[FrozenTrial],
        kept: Iterable[Evaluation],
    ) -> None:
        self._workers, self._meters, self._evaluator = workers, meters, evaluator
        self._known: dict[str, Evaluation] = {}
        for trial in trials:
            self._known.setdefault(result_of(trial)["fingerprint"], Evaluation.of(trial))
        for evaluation in kept:
            self._known.setdefault(evaluation.result["fingerprint"], evaluation)

    def unstored(self, trials: Iterable[FrozenTrial]) -> list[dict[str, Any]]:
        """The results of what none of these trials holds."""
        stored = {result_of(trial)["fingerprint"] for trial in trials}
        return [known.result for mark, known in self._known.items() if mark not in stored]

    def of(self, architectures: Iterable[Any]) -> Iterator[Evaluation]:
        """Those of proposals, in their order, as they come.

        A proposal is asked for once a worker has room for it, so that workers have something to do
        while the next ones are drawn.
        """
        space = self._evaluator.scorer.space
        networks: dict[str, Any] = {}
        waiting: deque[str] = deque()

        def unknown() -> Iterator[Any]:
            for architecture in architectures:
                network = live(space, architecture)
                mark = space.fingerprint(network)
                waiting.append(mark)
                if mark not in self._known and mark not in networks:
                    networks[mark] = network
                    yield network

        with ExitStack() as stack:
            if self._meters is None:
                found = self._workers.map(Evaluator.evaluate, unknown(), self._evaluator.lost)
            else:
                asked, measured = tee(unknown())
                costs = self._meters.map(measured_costs, measured, self._evaluator.lost)
                stack.enter_context(closing(costs))
                items = zip(asked, costs, strict=True)
                found = self._workers.map(Evaluator.score, items, self._evaluator.lost_score)
            stack.enter_context(closing(found))
            for each in found:
                mark = next(mark for mark in waiting if mark not in self._known)
                self._known[mark] = self._evaluator.judge(networks[mark], mark, each)
                while waiting and waiting[0] in self._known:
                    yield self._known[waiting.popleft()]
            for mark in waiting:
                yield self._known[mark]


def _compared(score: float | None) -> float | None:
    """What the search compares of a score; None where it is not finite."""
    return None if score is None else reproducible(score)
