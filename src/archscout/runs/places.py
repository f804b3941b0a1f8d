"""Where a search scores and where it measures latency, and whether it can do so there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from archscout.errors import InputError
from archscout.execution import Cluster, Workers
from archscout.runs.costs import Meter
from archscout.runs.evaluator import Evaluator, measured_costs
from archscout.runs.search_settings import SearchSettings
from archscout.runs.storage import shown
from archscout.threads import one_thread


def check_limits(settings: SearchSettings, evaluator: Evaluator, workers: int | Cluster) -> None:
    """Make sure that some sampled architecture meets the limits, as `Evaluator.check_limits`."""
    with one_thread(), meters(settings, evaluator, workers) as kept:

        def measured(architectures: Iterable[Any]) -> Iterator[dict[str, float]]:
            if kept is None:
                yield from map(evaluator.meter.measure, architectures)
            else:
                for found in kept.map(measured_costs, architectures, evaluator.lost):
                    yield dict.fromkeys(settings.limits, math.inf) | found.costs

        evaluator.check_limits(settings.seed, measured)


def check_latency(settings: SearchSettings, evaluator: Evaluator, workers: int | Cluster) -> None:
    """Make sure that there is a place to measure latency, if it is measured.

    Raises:
        InputError: there is none, or one is named in vain.
    """
    latency_on = settings.latency_on
    if latency_on is None:
        if evaluator.measures_latency and isinstance(workers, Cluster):
            raise InputError(
                "latency is measured alone on its machine, and workers of a cluster are never "
                "alone; accepted for it are --latency-on RESOURCE, which names nodes that are kept "
                "for it, and --executor processes, which measures in this process"
            )
    elif not evaluator.measures_latency:
        raise InputError(
            f"--latency-on {latency_on}: nothing asks for latency; --max latency=5ms and "
            "-m latency do"
        )
    else:
        nodes = _kept_nodes(workers, latency_on)
        nodes.connect()
        device = _meter_on(nodes, evaluator).device
        nodes.tell(f"Latency is measured on nodes with {latency_on}, alone there, on {device}")


def _kept_nodes(workers: int | Cluster, latency_on: str) -> Cluster:
    """The nodes on which latency is measured, as a cluster of their own.

    Raises:
        InputError: there is no cluster.
    """
    if not isinstance(workers, Cluster):
        raise InputError(f"--latency-on {latency_on} is about a cluster; it needs --executor ray")
    return replace(workers, workers=None, alone_on=latency_on)


def _meter_on(nodes: Cluster, evaluator: Evaluator) -> Meter:
    """What takes costs on nodes; without a GPU it takes latency on their processor."""
    has_gpu = nodes.whole_node()["GPU"] > 0
    return evaluator.meter if has_gpu else replace(evaluator.meter, device="cpu")


@contextmanager
def meters(
    settings: SearchSettings, evaluator: Evaluator, workers: int | Cluster
) -> Iterator[Workers[Meter] | None]:
    """Workers that take costs on the nodes that are kept for it, if any are."""
    if settings.latency_on is None:
        yield None
        return
    nodes = _kept_nodes(workers, settings.latency_on)
    nodes.connect()
    with Workers(_meter_on(nodes, evaluator), nodes) as pool:
        yield pool


def scoring_place(
    settings: SearchSettings, evaluator: Evaluator, workers: int | Cluster
) -> int | Cluster:
    """Where networks are scored: not where the time is taken that others need."""
    if evaluator.measures_latency and settings.latency_on is None:
        # Beside others on the same machine a network would seem slower.
        return 1 if isinstance(workers, Cluster) else min(workers, 1)
    return replace(workers, not_on=settings.latency_on) if isinstance(workers, Cluster) else workers


def check_storage_fit(address: str | None) -> None:
    """Make sure that a search can run on a cluster.

    Raises:
        InputError: it keeps its study in SQLite.
    """
    if address is not None and address.startswith("sqlite"):
        raise InputError(
            f"the study {shown(address)} is in SQLite, whose locks do not hold on the file systems "
            "that machines of a cluster share; accepted are the folder's own journal and "
            "PostgreSQL"
        )
