"""A Ray cluster: where it is, what a worker asks of it, and whether it can be used.

Ray is imported only where a cluster is used.
"""

from __future__ import annotations

import importlib
import logging
import math
import os
import re
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from archscout.errors import InputError

ANSWER_SECONDS = 10.0
"""So long the address of a cluster is asked for an answer."""

_PROBE_SECONDS = 120.0
_LOCAL, _AUTO, _CLIENT = "local", "auto", "ray://"
_TOKEN = "; a cluster that asks for a token needs RAY_AUTH_MODE=token in the environment"
_known_nodes: set[str] = set()

# A node that is cut off closes nothing: Ray asks after the process of a task for a sign of life
# after five minutes, and waits for two. Each process refuses to be asked more often than once a
# minute, unless the head was started with other settings, which then hold here, too.
_SIGNS_OF_LIFE = {
    "RAY_grpc_client_keepalive_time_ms": "70000",
    "RAY_grpc_client_keepalive_timeout_ms": "20000",
}


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, and the workers that it is asked for; results do not depend on it.

    Attributes:
        address: `local` starts Ray on this machine, `auto` finds the one that this machine is part
            of; others are `HOST:PORT` of its head and, from outside, `ray://HOST:PORT`.
        workers: that work at the same time at most; as many as there is room for if None, those of
            nodes that come later among them.
        worker_cpus: processors of each, or a part of one.
        worker_gpus: GPUs of each, or a part of one.
        alone_on: a custom resource of Ray; each worker then has a node with it for itself, whole.
        not_on: a custom resource of Ray; nodes with it get no worker.
        tell: called with what the user should know, such as what was lost and is tried again.

    Raises:
        InputError: a number is out of range.
    """

    address: str = _LOCAL
    workers: int | None = None
    worker_cpus: float = 1.0
    worker_gpus: float = 0.0
    alone_on: str | None = None
    not_on: str | None = None
    tell: Callable[[str], None] = field(default=lambda _: None, compare=False)

    def __post_init__(self) -> None:
        asked = {"CPUs": (self.worker_cpus, 0.001), "GPUs": (self.worker_gpus, 0.0)}
        for what, (value, least) in asked.items():
            if not least <= value < math.inf or (value > 1 and value != int(value)):
                raise InputError(
                    f"{value:g} {what} a worker; accepted are a part of one, such as 0.25, and "
                    f"whole numbers{' from 0' if not least else ''}"
                )
        if self.workers is not None and self.workers < 1:
            raise InputError(f"{self.workers} workers; accepted is a whole number of at least 1")

    def connect(self) -> None:
        """Join the cluster, or start it; once in a process. Then check its nodes.

        Raises:
            InputError: Ray is not installed, nothing answers at the address, no node has room for
                a worker, or a node has other versions than this process.
        """
        ray = _ray()
        is_new = not ray.is_initialized()
        if is_new:
            self._join(ray)
        nodes = self.nodes()
        if not any(map(self._room, nodes)):
            raise InputError(self._lack(nodes))
        _check_versions(ray, [node for node in nodes if self._room(node)])
        if is_new:
            room, places = self.count(), sum(map(bool, map(self._room, nodes)))
            self.tell(
                f"Ray: {room} worker{'s' * (room != 1)} on {places} node{'s' * (places != 1)}"
            )

    def nodes(self) -> list[dict[str, Any]]:
        """The nodes that are alive, as Ray describes them."""
        return [node for node in _ray().nodes() if node["Alive"]]

    def answers(self) -> bool:
        """Whether something still listens where the head of the cluster is."""
        address = self.address
        if not address.startswith(_CLIENT):
            address = _ray().get_runtime_context().gcs_address
        try:
            _touch(address)
        except OSError:
            return False
        return True

    def count(self) -> int:
        """Workers that work at the same time; 0 while there is room for none."""
        room = self._room_in_all()
        return min(room, self._within(room))

    def wanted(self) -> int:
        """Workers for which there may be tasks: what was asked for, to which a cluster may grow.

        Without, as many as there is room for; 0 while there is room for none.
        """
        return self._within(self._room_in_all())

    def in_hand(self) -> int:
        """Tasks that Ray may be given at a time.

        One for each worker and one to go on with, for which it need not wait for this process;
        where there is room for more workers than were asked for, they would run it at once, and
        there is none.
        """
        room = self._room_in_all()
        count = self._within(room)
        return count if count < room else 2 * count

    def _within(self, room: int) -> int:
        return self.workers if self.workers is not None and room else room

    def _room_in_all(self) -> int:
        return sum(map(self._room, self.nodes()))

    def options(self) -> dict[str, Any]:
        """What a worker asks of Ray, by the nodes that there are now."""
        if self.alone_on is not None:
            whole = self.whole_node()
            resources = {self.alone_on: whole[self.alone_on]}
            return {"num_cpus": whole["CPU"], "num_gpus": whole["GPU"], "resources": resources}
        options: dict[str, Any] = {"num_cpus": self.worker_cpus, "num_gpus": self.worker_gpus}
        if self.not_on is not None:
            kept = [node["NodeID"] for node in self.nodes() if self.not_on in _custom(node)]
            if kept:
                options["label_selector"] = {"ray.io/node-id": f"!in({','.join(kept)})"}
        return options

    def whole_node(self) -> dict[str, float]:
        """What the largest of the nodes with `alone_on` has, or what one must have at least."""
        assert self.alone_on is not None
        asked = ("CPU", "GPU", self.alone_on)
        found = [node["Resources"] for node in self.nodes() if self.alone_on in _custom(node)]
        has = [{name: each.get(name, 0.0) for name in asked} for each in found]
        least = {"CPU": 0.0, "GPU": 0.0, self.alone_on: 1.0}
        return max(has, key=lambda each: each["CPU"], default=least)

    def _lack(self, nodes: Sequence[Mapping[str, Any]]) -> str:
        """Why there is no room."""
        if self.alone_on is not None:
            there = ", ".join(sorted({name for node in nodes for name in _custom(node)}))
            return (
                f"no node of the Ray cluster has the resource {self.alone_on!r}; there "
                f"{f'are {there}' if there else 'is none'}; a node is given it by "
                f"""`ray start --address=... --resources='{{"{self.alone_on}": 1}}'`"""
            )
        amount = _amount(self.worker_cpus, self.worker_gpus)
        kept = f", beside those with {self.not_on!r}" if self.not_on is not None else ""
        return (
            f"no node of the Ray cluster has {amount} for a worker (--worker-cpus, "
            f"--worker-gpus){kept}; there {_described(nodes)}"
        )

    def _room(self, node: Mapping[str, Any]) -> int:
        """For so many workers."""
        resources, custom = node["Resources"], _custom(node)
        if self.alone_on is not None:
            return self.alone_on in custom and all(
                resources.get(name, 0.0) >= amount for name, amount in self.whole_node().items()
            )
        if self.not_on in custom:
            return 0
        room: float = resources.get("CPU", 0.0) / self.worker_cpus
        if self.worker_gpus:
            gpus = resources.get("GPU", 0.0)
            # Workers that share GPUs do not lie across two of them.
            each = 1 / self.worker_gpus
            room = min(room, gpus * math.floor(each + 1e-6) if each >= 1 else gpus * each)
        return math.floor(room + 1e-6)

    def _join(self, ray: Any) -> None:
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
        address = self.address
        if address == _AUTO:
            address = os.environ.get("RAY_ADDRESS") or _AUTO
        if address == _LOCAL:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
            cpus = None if self.workers is None else math.ceil(self.workers * self.worker_cpus)
            options |= {"num_cpus": cpus, "include_dashboard": False}
        elif address != _AUTO:
            _check_answers(address)
        try:
            ray.init(address, **options)
        except (Exception, SystemExit) as error:  # Ray leaves the process where it gives up
            said = " ".join(str(error).split())
            token = "" if "RAY_AUTH_MODE" in os.environ or address in (_LOCAL, _AUTO) else _TOKEN
            raise InputError(f"the Ray cluster {address} cannot be used: {said}{token}") from error
        # Ray would print what its processes say among results; what matters of it is told here.
        vars(sys.modules["ray._private.worker"])["_worker_logs_enabled"] = False


def node_name(node: Mapping[str, Any]) -> str:
    """What a message calls a node that Ray describes."""
    return str(node["NodeManagerHostname"])


def _custom(node: Mapping[str, Any]) -> set[str]:
    """The resources that a node has beside those that Ray counts by itself."""
    usual = ("CPU", "GPU", "memory", "object_store_memory")
    return {
        name
        for name in node["Resources"]
        if name not in usual and not name.startswith(("node:", "accelerator_type:"))
    }


def _asker() -> Callable[[Sequence[str]], dict[str, str]]:
    """A function that travels whole, for it has no module: archscout may not be installed there."""

    def installed(path: Sequence[str]) -> dict[str, str]:
        import platform
        import sys
        from importlib import metadata

        sys.path += [place for place in path if place not in sys.path]

        def version(name: str) -> str:
            try:  # builds for other devices are the same version
                return metadata.version(name).partition("+")[0]
            except metadata.PackageNotFoundError:
                return "is missing"

        found = {"Python": platform.python_version()}
        found |= {name: version(name) for name in ("archscout", "torch")}
        points = metadata.entry_points()
        for group in ("archscout.metrics", "archscout.spaces", "archscout.trainers"):
            for point in points.select(group=group):
                if point.dist is not None:
                    found[f"the plug-in {point.dist.name}"] = point.dist.version
        return found

    return installed


installed = _asker()
"""What must be the same in all processes of a run: versions, those of plug-ins among them.

It is given where the driver looks for packages, for on one machine they may lie beside its script.
"""


def check_same(name: str, there: Mapping[str, str], here: Mapping[str, str]) -> None:
    """Make sure that a node has what the driver has.

    Args:
        name: of the node.
        there: what `installed` gives there.
        here: and with the driver.

    Raises:
        InputError: it has something else, or lacks it.
    """
    differences = [
        f"{what} {there.get(what, 'is missing')} there, and {version} here"
        for what, version in here.items()
        if there.get(what) != version
    ]
    if differences:
        raise InputError(
            f"node {name} of the Ray cluster has other versions than this machine: "
            f"{'; '.join(differences)}"
        )


def _check_versions(ray: Any, nodes: Sequence[Mapping[str, Any]]) -> None:
    """Ask each node that was not asked before."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    new = [node for node in nodes if node["NodeID"] not in _known_nodes]
    if not new:
        return
    task = ray.remote(installed)
    asked = []
    for node in new:
        place = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
        asked.append(
            task.options(num_cpus=0, max_retries=0, scheduling_strategy=place).remote(sys.path)
        )
    here = installed(())
    for node, answer in zip(new, asked, strict=True):
        try:
            there = ray.get(answer, timeout=_PROBE_SECONDS)
        except ray.exceptions.NodeDiedError:
            continue  # Ray lists it for a while yet; each worker compares versions, too
        except ray.exceptions.RayError as error:
            said = str(getattr(error, "cause", None) or type(error).__name__)
            raise InputError(f"node {node_name(node)} of the Ray cluster: {said}") from error
        check_same(node_name(node), there, here)
        _known_nodes.add(node["NodeID"])


def _check_answers(address: str) -> None:
    """Make sure that something listens at an address: Ray itself tries for minutes.

    Raises:
        InputError: nothing does.
    """
    if not re.fullmatch(r"(ray://)?.+:\d{1,5}", address):
        raise InputError(
            f"--ray {address}; accepted are local, auto, HOST:PORT of a cluster's head (6379 by "
            "default) and ray://HOST:PORT (10001)"
        )
    try:
        _touch(address)
    except (OSError, OverflowError) as error:
        raise InputError(
            f"no Ray cluster answers at {address} within {ANSWER_SECONDS:g} s: "
            f"{getattr(error, 'strerror', None) or error}; it is started by `ray start --head`"
        ) from error


def _touch(address: str) -> None:
    host, _, port = address.removeprefix(_CLIENT).rpartition(":")
    socket.create_connection((host.strip("[]"), int(port)), ANSWER_SECONDS).close()


def _ray() -> Any:
    for name, value in _SIGNS_OF_LIFE.items():  # read when Ray is first imported
        os.environ.setdefault(name, value)
    try:
        return importlib.import_module("ray")
    except ImportError as error:
        raise InputError(
            "Ray is not installed; `pip install archscout[distributed]` brings it"
        ) from error


def _amount(cpus: float, gpus: float) -> str:
    said = f"{cpus:g} CPU{'s' * (cpus != 1)}"
    return f"{said} and {gpus:g} GPU{'s' * (gpus != 1)}" if gpus else said


def _described(nodes: Sequence[Mapping[str, Any]]) -> str:
    kinds: dict[str, int] = {}
    for node in nodes:
        has = node["Resources"]
        kind = f"{has.get('CPU', 0):g} CPUs and {has.get('GPU', 0):g} GPUs"
        kinds[kind] = kinds.get(kind, 0) + 1
    said = [f"{count} node{'s' * (count != 1)} with {kind}" for kind, count in kinds.items()]
    return f"{'is' if len(nodes) == 1 else 'are'} {', '.join(said) or 'no nodes'}"
