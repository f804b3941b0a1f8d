"""Does a search with training lose anything, whatever of it is killed?

A search that trains candidates is run undisturbed, then again and again while something of it is
killed at random by SIGKILL, until so many kills were made: in processes with the folder's journal
(a worker, the driver), in processes with PostgreSQL (the server, too), and on a Ray cluster of two
nodes (a worker, a node, the driver). A server or node that was killed is started again; a command
that ended is given again with --resume. Then it is counted

- what had been stored before a kill and is not there any more (proposals, and rungs of trainings);
- what differs from the undisturbed run: proposals, scores, ranking, losses, the winner's weights;
- tracebacks among what the commands said.

Workers are started at once, however little work is left, so that there are some to be killed.

    python benchmarks/kills.py [--kills 50] [--each 10] [--seed 0] [--seconds 40]
                               [--places processes postgresql ray] [--folder runs/kills]

The kills are appended to FOLDER/kills.jsonl, and what the commands said lies beside it. It needs
Linux, and PostgreSQL's programs.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import cycle
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from archscout.runs import Run
from postgresql import Server, served

_PROGRAM = """
from archscout.cli.main import main
from archscout.execution import workers
workers.WORTH_SECONDS = 0
main()
"""
_SEARCH = [
    *("search", "rnn", "--trials", "40", "--sampler", "nsga2:10", "--workers", "2"),
    *("--size", "batch_size=4", "--size", "sequence_length=8"),
    *("--size", "embedding_size=16", "--size", "hidden_size=16"),
    *("--budget", "3", "--set", "epochs=6", "--set", "patience=6"),
]
_TARGETS = {
    "processes": ("worker", "driver"),
    "postgresql": ("worker", "driver", "server"),
    "ray": ("worker", "driver", "node"),
}
_ENDINGS = 10
_TIMES = ("seconds", "tokens_per_second")


def children(process: int) -> Iterator[tuple[int, str]]:
    """Processes below one, with their command lines."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if parent == process:
            yield int(folder.name), line
            yield from children(int(folder.name))


class Nodes:
    """A Ray cluster whose head does no work, and two nodes that do."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        watch = {"health_check_initial_delay_ms": 0, "health_check_period_ms": 500}
        head = {"num_cpus": 0, "include_dashboard": False, "_system_config": watch}
        self._small = {"num_cpus": 1, "object_store_memory": 80_000_000}
        self._cluster = Cluster(
            initialize_head=True, head_node_args=head | {"object_store_memory": 80_000_000}
        )
        self._nodes = [self._cluster.add_node(**self._small) for _ in range(2)]
        self.address = self._cluster.address

    def workers(self) -> list[int]:
        """Processes that run tasks."""
        raylets = [node.all_processes["raylet"][0].process.pid for node in self._nodes]
        found = [one for raylet in raylets for one in children(raylet)]
        return [number for number, line in found if line.startswith("ray::_work")]

    def lose(self, number: int) -> None:
        """Kill a node; another comes in its place."""
        self._cluster.remove_node(self._nodes.pop(number), allow_graceful=False)
        self._nodes.append(self._cluster.add_node(**self._small))

    def stop(self) -> None:
        self._cluster.shutdown()


class Search:
    """A search in a folder, which is given again until it is done."""

    def __init__(self, folder: Path, place: str, server: Server | None, nodes: Nodes | None):
        self.folder, self.place, self._server, self._nodes = folder, place, server, nodes
        self.said = folder.with_suffix(".txt")
        self._words = [*_SEARCH, "--text", str(folder.parent / "words.txt"), "--out", str(folder)]
        self._words += ["--executor", "ray" if nodes else "processes"]
        if nodes:
            self._words += ["--ray", nodes.address]
        if server:
            self._words += ["--storage", server.address("kills")]
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Give the command, with --resume where there is a run."""
        words = self._words + ["--resume"] * (self.folder / "run.json").exists()
        with self.said.open("ab") as said:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM, *words], stdout=said, stderr=said
            )
        return self.process

    def kill(self, target: str, rng: random.Random) -> str:
        """Kill what is named, or the driver where there is no such thing at the moment."""
        assert self.process is not None
        if target == "server" and self._server is not None:
            self._server.stop(signal.SIGKILL)
            time.sleep(rng.uniform(1, 5))
            self._server.start()
            return target
        if target == "node" and self._nodes is not None:
            self._nodes.lose(rng.randrange(2))
            return target
        below = [n for n, line in children(self.process.pid) if "popen_loky" in line]
        workers = self._nodes.workers() if self._nodes else below
        if target == "driver" or not workers:
            self.process.kill()
            self.process.wait()
            return "driver"
        os.kill(rng.choice(workers), signal.SIGKILL)
        return target

    def stored(self) -> set[str]:
        """What is stored: proposals, and rungs of trainings, of which one may be half written."""
        found: set[str] = set()
        if self._server is None:
            found |= lines(self.folder / "study.jsonl")
        elif (self.folder / "run.json").exists():
            name = json.loads((self.folder / "run.json").read_text())["study"]
            query = (
                "select trial_id, value_json from trial_user_attributes join trials using "
                f"(trial_id) join studies using (study_id) where study_name = '{name}'"
            )
            found |= {str(row) for row in self._server.ask(query, "kills")}
        return found | lines(self.folder / "promoted" / "rungs.jsonl")


def lines(path: Path) -> set[str]:
    """The complete lines of a file, which may not be there."""
    text = path.read_text() if path.exists() else ""
    return set(text.rpartition("\n")[0].splitlines())


def timeless(document: Any) -> Any:
    """A document without the times that things took."""
    if isinstance(document, dict):
        return {k: timeless(v) for k, v in document.items() if k not in _TIMES}
    return [timeless(item) for item in document] if isinstance(document, list) else document


def found(folder: Path, address: str | None) -> dict[str, Any]:
    """What a search came to, without times and names."""
    if address is not None:
        os.environ["ARCHSCOUT_STORAGE"] = address
    run, content = Run(folder), {}
    content["table"] = run.table.drop(columns="seconds").to_json()
    for number, trial in enumerate(run.trials):
        content[f"proposal {number}"] = (trial.params, trial.values, timeless(trial.user_attrs))
    outcomes = sorted((folder / "promoted" / "outcomes").iterdir())
    for path in [folder / "best.json", folder / "promoted.json", *outcomes]:
        content[path.name] = timeless(json.loads(path.read_text()))
    content["weights"] = (folder / "model" / "model.safetensors").read_bytes()
    return content


def text(path: Path) -> None:
    """A text that takes no time."""
    rng = random.Random(0)
    words = (" ".join(f"w{rng.randrange(60)}" for _ in range(12)) for _ in range(400))
    path.write_text("\n".join(words))


def disturb(
    search: Search, rng: random.Random, seconds: float, kills: int, record: Path
) -> tuple[int, int]:
    """Kill, and go on, until the search is done or there are enough kills; then let it end.

    Returns:
        How many kills were made, and how much that had been stored was lost.
    """
    made = lost = ended = 0
    process, before = search.start(), set[str]()
    while True:
        try:
            process.wait(rng.uniform(0, seconds) if made < kills else None)
        except subprocess.TimeoutExpired:
            before = search.stored()
            target = search.kill(rng.choice(_TARGETS[search.place]), rng)
            made += 1
            if process.poll() is not None:
                process = search.start()
        else:
            if process.returncode == 0:
                return made, lost + len(before - search.stored())
            ended += 1
            if ended == _ENDINGS:
                raise SystemExit(f"{search.said} says why it ends again and again")
            target = f"(it ended with {process.returncode} by itself)"
            process = search.start()
        gone = len(before - search.stored())
        lost += gone
        told = {"run": search.folder.name, "killed": target, "stored": len(before), "lost": gone}
        with record.open("a") as file:
            file.write(json.dumps(told) + "\n")
        print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--each", type=int, default=10, help="kills in one search, at most")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=40, help="between kills, at most")
    parser.add_argument("--places", nargs="+", choices=list(_TARGETS), default=list(_TARGETS))
    parser.add_argument("--folder", type=Path, default=Path("runs/kills"))
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    folder, rng = given.folder.absolute(), random.Random(given.seed)
    text(folder / "words.txt")

    whole = Search(folder / "whole", "processes", None, None)
    if whole.start().wait():
        raise SystemExit(f"the undisturbed run failed; {whole.said} says why")
    expected = found(whole.folder, None)
    made = lost = runs = different = 0
    with ExitStack() as stack:
        server = nodes = None
        if "postgresql" in given.places:
            server = stack.enter_context(served())
            server.ask("create database kills")
        if "ray" in given.places:
            nodes = Nodes()
            stack.callback(nodes.stop)
        for place in cycle(given.places):
            if made >= given.kills:
                break
            runs += 1
            search = Search(
                folder / f"{runs}-{place}",
                place,
                server if place == "postgresql" else None,
                nodes if place == "ray" else None,
            )
            kills = min(given.each, given.kills - made)
            more, gone = disturb(search, rng, given.seconds, kills, folder / "kills.jsonl")
            made, lost = made + more, lost + gone
            address = server.address("kills") if server and place == "postgresql" else None
            came = found(search.folder, address)
            unlike = [name for name in expected | came if expected.get(name) != came.get(name)]
            different += len(unlike)
            shown = f"{len(unlike)}, such as {unlike[0]}" if unlike else "nothing"
            print(f"{search.folder.name}: {more} kills, different: {shown}", flush=True)
    said = [path.read_text() for path in folder.glob("*.txt") if path.name != "words.txt"]
    tracebacks = sum(each.count("Traceback") for each in said)
    print(
        f"{made} kills in {runs} searches: {lost} stored results lost, {different} differences, "
        f"{tracebacks} tracebacks"
    )


if __name__ == "__main__":
    # A cluster of this machine alone, which searches join from processes of their own.
    os.environ |= {"OMP_NUM_THREADS": "1", "RAY_AUTH_MODE": "disabled"}
    main()
