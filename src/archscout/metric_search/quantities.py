"""The quantities of a benchmark's networks on disk: each is traced once, whatever is bred."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from archscout import tracing
from archscout.analysis.kendall import Floats
from archscout.benchmarks import Benchmark
from archscout.errors import InputError
from archscout.files import write_whole
from archscout.metrics.formula import Formula
from archscout.metrics.formula.operations import TERMINALS, Values, quantities
from archscout.recording import Recorder
from archscout.scoring import Scorer
from archscout.threads import one_thread
from archscout.tracing.quantities import QUANTITIES, Objective

_PARAMETERS = "parameters"


class TracedQuantities:
    """Quantities of the networks of a benchmark, stored in float32, the trace's own precision."""

    def __init__(
        self, folder: Path, benchmark: Benchmark, scorer: Scorer, names: Sequence[str] | None
    ) -> None:
        self._folder = folder
        self._benchmark = benchmark
        self._scorer = scorer
        self.names = self._checked(names)

    def _checked(self, names: Sequence[str] | None) -> tuple[str, ...]:
        first = next(iter(self._benchmark.architectures.values()))
        with self._scorer.recorder(first) as recorder:
            reasons = {name: _why_not(recorder, name, self._scorer.objective) for name in TERMINALS}
        if names is None:
            return tuple(name for name, reason in reasons.items() if reason is None)
        known = ", ".join(name for name, reason in reasons.items() if reason is None)
        if not names:
            raise InputError(f"quantities names none; accepted are {known}")
        for name in names:
            if name not in TERMINALS:
                raise InputError(f"unknown quantity {name!r}; accepted are {known}")
            if reason := reasons[name]:
                raise InputError(f"quantity {name}: {reason}")
        return tuple(name for name in TERMINALS if name in names)

    def values(
        self, formulas: Sequence[Formula], architectures: Sequence[str], tick: Callable[[], None]
    ) -> Floats:
        """Values of formulas, (architectures, formulas); NaN where one has none."""
        found = np.full((len(architectures), len(formulas)), np.nan)
        with one_thread(), torch.no_grad():
            for row, name in enumerate(architectures):
                read = self.of(name)
                memory: dict[str, Values] = {}
                found[row] = [formula.value(read, memory) for formula in formulas]
                tick()
        return found

    def of(self, architecture: str) -> dict[str, Values]:
        """The quantities of one network, traced if they are not stored."""
        path = (
            self._folder / f"{hashlib.sha256(architecture.encode()).hexdigest()[:16]}.safetensors"
        )
        if not path.exists():
            write_whole(path, self._traced(architecture))
        try:
            stored = load_file(path)
        except SafetensorError as error:
            raise InputError(f"{path} is damaged: {error}; remove it and go on") from error
        found: dict[str, list[torch.Tensor]] = {name: [] for name in self.names}
        for key in sorted(stored):
            found[key.partition(".")[0]].append(stored[key].double())
        return {name: tuple(tensors) for name, tensors in found.items()}

    def _traced(self, architecture: str) -> bytes:
        scorer = self._scorer
        genotype = self._benchmark.architectures[architecture]
        with one_thread(), scorer.recorder(genotype) as recorder:
            trace = tracing.trace(
                recorder, scorer.minibatch, self.names, seed=scorer.seed, objective=scorer.objective
            )
        stored: dict[str, Any] = {}
        for name, tensors in quantities(trace, self.names).items():
            for i, tensor in enumerate(tensors):
                kept = tensor if name == _PARAMETERS else tensor.float()
                stored[f"{name}.{i:04d}"] = kept.cpu().contiguous()
        return save(stored)


def _why_not(recorder: Recorder, name: str, objective: Objective) -> str | None:
    fields = QUANTITIES[name]
    if "output" in fields and objective == "loss":
        fields |= {"loss"}
    reasons = (recorder.recordable[field] for field in sorted(fields))
    return next((reason for reason in reasons if reason is not None), None)
