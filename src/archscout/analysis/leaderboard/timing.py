"""What each metric costs alone: the time it takes for one architecture."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd

from archscout.analysis.evaluation_results import Evaluation
from archscout.benchmarks import DataFolder
from archscout.folders import drop_torn_line, read_lines
from archscout.recording import Kind
from archscout.scoring import Scorer, check_count, parse_requests
from archscout.text import load_corpus
from archscout.threads import one_thread

TIMINGS = "timings.jsonl"
REFERENCE: Mapping[Kind, str] = {
    "other": "hidden_covariance[1]",
    "transformer": "softmax_confidence",
}
"""The metric that costs about one forward pass, with which costs are compared."""
TIMED = 5

_REPEATS = 3
_Progress = Callable[[int, int], None]


def milliseconds(
    evaluation: Evaluation,
    folder: DataFolder,
    count: int = TIMED,
    progress: _Progress | None = None,
) -> pd.Series[float]:
    """Time for building and scoring one network with one metric alone, by metric.

    Each metric is timed on the same architectures, drawn at random: the median over them of the
    median of three repeats, after one that warms up, on one thread. On a CPU it is the
    processor's time, which other work on the machine hardly changes; elsewhere the clock's. What
    was timed is stored in the evaluation's folder at once, and is not timed again.

    Args:
        evaluation: whose metrics, and the metric in `REFERENCE`, are timed, with its settings.
        folder: the data folder, for the text.
        count: of architectures; fewer where the evaluation has fewer.
        progress: called with the number of timings that are there and that there will be.

    Raises:
        InputError: the count is below 1, or the stored timings are damaged.
    """
    check_count("timed", count)
    reference = REFERENCE[evaluation.benchmark.space.kind]
    metrics = list(dict.fromkeys([*evaluation.metrics, reference]))
    # A longer list begins with the shorter one, so that what was timed counts.
    # Not of a network at which workers died, which might end this process, too.
    lost = set(evaluation.rows.loc[evaluation.rows["lost"], "architecture"])
    order = np.random.default_rng(0).permutation(evaluation.scores.index.to_numpy())
    drawn = [name for name in order if name not in lost][:count]
    wanted = [(metric, str(name)) for metric in metrics for name in drawn]
    path = evaluation.folder / TIMINGS
    drop_torn_line(path)
    timing = itemgetter("metric", "architecture", "milliseconds")
    stored = read_lines(path, timing, "delete the file to time anew")
    done = {(metric, architecture): taken for metric, architecture, taken in stored}
    missing = [pair for pair in wanted if pair not in done]
    if missing:
        corpus = load_corpus(evaluation.settings.text, folder.path)
        scorer = Scorer.of(evaluation.settings, corpus, [reference])
        # A copy, for a scorer remembers how deep its own metrics look.
        if copy.copy(scorer).inapplicable(evaluation.benchmark.architectures[str(drawn[0])]):
            metrics = [metric for metric in metrics if metric != reference]
            wanted = [pair for pair in wanted if pair[0] != reference]
            missing = [pair for pair in missing if pair[0] != reference]
        with one_thread(), path.open("a", encoding="utf-8") as file:
            for i, (metric, name) in enumerate(missing, start=len(wanted) - len(missing) + 1):
                taken = _timed(scorer, metric, evaluation.benchmark.architectures[name])
                row = {"metric": metric, "architecture": name, "milliseconds": taken}
                file.write(json.dumps(row) + "\n")
                file.flush()
                done[metric, name] = taken
                if progress is not None:
                    progress(i, len(wanted))
    medians = {m: np.median([np.median(done[m, str(name)]) for name in drawn]) for m in metrics}
    return pd.Series(medians, dtype=float, name="milliseconds")


def _timed(scorer: Scorer, metric: str, architecture: Any) -> list[float]:
    alone = copy.copy(scorer)
    alone.requests = parse_requests([metric], scorer.space.kind)
    clock = time.process_time if scorer.device == "cpu" else time.perf_counter
    alone.score(architecture)
    taken = []
    for _ in range(_REPEATS):
        start = clock()
        alone.score(architecture)
        taken.append(1e3 * (clock() - start))
    return taken
