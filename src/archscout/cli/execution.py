"""How commands say where their work runs, and how many workers there are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from archscout.cli import options, output
from archscout.errors import InputError

if TYPE_CHECKING:
    from archscout.execution import Cluster

_PANEL = "Where it runs"

Executor = Annotated[
    Literal["serial", "processes", "ray"] | None,
    typer.Option(
        help="Run in this process (serial), in processes of this machine, or on a Ray cluster; by "
        "default in so many processes as there are workers. The result does not depend on it.",
        rich_help_panel=_PANEL,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        help="Processes that work at the same time; by default 1, one a core for the scores of a "
        "search and for --executor processes, and on a cluster as many as there is room for.",
        rich_help_panel=_PANEL,
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="Address of the cluster of --executor ray: local starts Ray on this machine (the "
        "default), auto finds the cluster that this machine is part of, HOST:PORT names its head, "
        "and ray://HOST:PORT reaches it from outside.",
        rich_help_panel=_PANEL,
    ),
]
WorkerCPUs = Annotated[
    float | None,
    typer.Option(
        "--worker-cpus",
        help="Processors of the cluster that each worker takes, or a part of one; 1 by default.",
        rich_help_panel=_PANEL,
    ),
]
WorkerGPUs = Annotated[
    float | None,
    typer.Option(
        "--worker-gpus",
        help="GPUs of the cluster that each worker takes, or a part of one, such as 0.25; 0 by "
        "default.",
        rich_help_panel=_PANEL,
    ),
]
LatencyOn = Annotated[
    str | None,
    typer.Option(
        "--latency-on",
        metavar="RESOURCE",
        help="Measure latency on a node of the cluster of --executor ray that was started with "
        "this custom resource, such as laptop; nothing else of the search runs there. It is "
        "measured on the node's GPU where the search has one and the node, too.",
        rich_help_panel=_PANEL,
    ),
]


@dataclass(frozen=True)
class Execution:
    """Where the work of a command runs: the options of that name, as they were given."""

    executor: Executor = None
    workers: Workers = None
    ray: Ray = None
    worker_cpus: WorkerCPUs = None
    worker_gpus: WorkerGPUs = None

    def place(self, count: int = 1) -> int | Cluster:
        """Processes, of which 1 is this process, or a cluster.

        Args:
            count: where no option says it.

        Raises:
            InputError: options contradict each other, or a number is out of range.
        """
        if self.executor == "ray":
            from archscout.execution import Cluster

            cpus, gpus = self.worker_cpus, self.worker_gpus
            return Cluster(
                "local" if self.ray is None else self.ray,
                self.workers,
                1 if cpus is None else cpus,
                0 if gpus is None else gpus,
                tell=output.warn,
            )
        of_ray = {"ray": self.ray, "worker-cpus": self.worker_cpus, "worker-gpus": self.worker_gpus}
        for name, value in of_ray.items():
            if value is not None:
                raise InputError(f"--{name} {value} is about a cluster; it needs --executor ray")
        if self.executor == "serial":
            if self.workers not in (None, 1):
                raise InputError(
                    f"--workers {self.workers}: --executor serial has one, this process; accepted "
                    "are more with processes and ray"
                )
            return 1
        usual = (os.cpu_count() or 1) if self.executor == "processes" else count
        return usual if self.workers is None else self.workers


with_execution = options.grouped(Execution, "execution")
"""Gives a command these options, which it gets together."""
