"""How far does one search go: what do 1,000, 10,000 and 100,000 proposals cost the driver?

The objective is the number of parameters, which takes a millisecond or two of a network that is
built without weights; so what is measured is proposing, storing and writing. Each stage is a
process of its own that goes on with the run of the stage before, and takes

- processor time a proposal, with its evaluation and without, at the end of the stage;
- the largest memory of the process, which ends by writing the tables;
- what the study and the table take on the disk;
- processor time until a resumed run can make its next proposal;
- processor time of the report, and what it takes on the disk.

    python benchmarks/scale.py [--folder runs/scale] [--samplers random nsga2]
                               [--counts 1000 10000 100000] [--plot docs/scale.png]

Results are appended to FOLDER/scale.jsonl; what is there is not measured again, so the same command
goes on where it was stopped.

    python benchmarks/scale.py --lines [--counts 10000 100000 1000000]

measures `archscout sample rnn -n 1000000 | archscout score rnn - --metrics parameters --json`
instead, each time that so many lines have come out: processor time and largest memory of both.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from search_speed import Clock

import archscout
from archscout.report import write_report
from archscout.runs import Progress, Run

_SHARE, _LEAST = 0.1, 500
_TOLD = 5000
_MORE = 20_000


def searched(folder: Path, sampler: str, trials: int, on_progress: Any = None) -> Run:
    return archscout.search(
        "rnn",
        metrics="parameters:max",
        trials=trials,
        sampler=sampler,
        out=folder,
        resume=folder.exists(),
        on_progress=on_progress,
    )


def grown(folder: Path, sampler: str, count: int) -> dict[str, Any]:
    """What the proposals up to that many cost."""
    times: list[tuple[int, float, float]] = []

    with Clock() as clock:

        def note(state: Progress) -> None:
            times.append((state.done, time.process_time(), clock.now()))
            if state.done % _TOLD == 0:
                print(f"{sampler}: {state.done:,}", file=sys.stderr, flush=True)

        searched(folder, sampler, count, note)
    (last, end, end_without) = times[-1]
    share = max(_LEAST, int(_SHARE * count))
    first, start, start_without = next(one for one in times if one[0] >= last - share)
    return {
        "ms": 1e3 * (end - start) / (last - first),
        "ms_without_evaluation": 1e3 * (end_without - start_without) / (last - first),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "study_mb": (folder / "study.jsonl").stat().st_size / 1e6,
        "table_mb": (folder / "scores.parquet").stat().st_size / 1e6,
    }


def resumed(folder: Path, sampler: str, count: int) -> dict[str, Any]:
    """What it takes to be ready for the next proposal of a run with that many."""
    ready: list[float] = []
    start = time.process_time()
    run = searched(folder, sampler, count, lambda _: ready.append(time.process_time() - start))
    start = time.process_time()
    report = write_report(run)
    return {
        "resume_s": ready[0],
        "report_s": time.process_time() - start,
        "report_mb": report.stat().st_size / 1e6,
        "architectures": len(run.table),
    }


def stage(folder: Path, sampler: str, count: int) -> dict[str, Any]:
    """A stage, measured in processes of its own."""
    found: dict[str, Any] = {"sampler": sampler, "proposals": count}
    for part in ("grown", "resumed"):
        words = [sys.executable, __file__, "--part", part, "--folder", folder]
        words += ["--samplers", sampler, "--counts", str(count)]
        done = subprocess.run(words, stdout=subprocess.PIPE, check=True)
        found |= json.loads(done.stdout.splitlines()[-1])
    return found


def table(rows: list[dict[str, Any]]) -> str:
    """The results as Markdown."""
    lines = [
        "| sampler | proposals | ms a proposal | without evaluation | memory (MB) | study (MB) "
        "| scores.parquet (MB) | resume (s) | report (s) | report (MB) |",
        "| --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |",
    ]
    lines += [
        f"| {row['sampler']} | {row['proposals']:,} | {row['ms']:.2f} "
        f"| {row['ms_without_evaluation']:.2f} | {row['memory_mb']:,.0f} | {row['study_mb']:,.1f} "
        f"| {row['table_mb']:.1f} | {row['resume_s']:.1f} | {row['report_s']:.1f} "
        f"| {row['report_mb']:.1f} |"
        for row in rows
    ]
    return "\n".join(lines)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    import matplotlib.pyplot as plt

    panels = {
        "ms": "processor time a proposal (ms)",
        "memory_mb": "memory (MB)",
        "resume_s": "processor time to resume (s)",
        "study_mb": "study.jsonl (MB)",
    }
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.2), layout="constrained")
    for axis, (name, title) in zip(axes, panels.items(), strict=True):
        for (sampler, color), mark in zip(
            {"random": "#0072B2", "nsga2": "#D55E00"}.items(), "os", strict=True
        ):
            chosen = [row for row in rows if row["sampler"] == sampler]
            axis.plot(
                [row["proposals"] for row in chosen],
                [row[name] for row in chosen],
                color=color,
                marker=mark,
                label=sampler,
            )
        axis.set(xscale="log", ylim=(0, None), xlabel="proposals", title=title)
        axis.title.set_fontsize(10)
        axis.grid(color="#e6e9ed")
    axes[0].legend(frameon=False)
    figure.savefig(path, dpi=110)


def usage(process: subprocess.Popen[bytes]) -> tuple[float, float]:
    """Processor time so far, in seconds, and the largest memory, in MB, of a process on Linux."""
    times = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    status = Path(f"/proc/{process.pid}/status").read_text()
    largest = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK"), int(largest.split()[1]) / 1e3


def lines(folder: Path, counts: list[int]) -> None:
    """Sample and score cells, line by line; a few more, so that both are there at the end."""
    archscout = [sys.executable, "-c", "from archscout.cli.main import main; main()"]
    begin = time.perf_counter()
    sampling = subprocess.Popen(
        [*archscout, "sample", "rnn", "-n", str(max(counts) + _MORE)], stdout=subprocess.PIPE
    )
    scoring = subprocess.Popen(
        [*archscout, "score", "rnn", "-", "--metrics", "parameters", "--json"],
        stdin=sampling.stdout,
        stdout=subprocess.PIPE,
    )
    assert scoring.stdout is not None
    for number, _ in enumerate(scoring.stdout, start=1):
        if number in counts:
            seconds, memory = usage(scoring)
            found = {
                "lines": number,
                "seconds": seconds,
                "wall_s": time.perf_counter() - begin,
                "memory_mb": memory,
                "sampling_memory_mb": usage(sampling)[1],
            }
            print(json.dumps(found), flush=True)
            with (folder / "lines.jsonl").open("a") as file:
                file.write(json.dumps(found) + "\n")
        if number == max(counts):
            break
    sampling.terminate()
    scoring.terminate()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("runs/scale"))
    parser.add_argument("--samplers", nargs="+", default=["random", "nsga2"])
    parser.add_argument("--counts", nargs="+", type=int, default=[1000, 10_000, 100_000])
    parser.add_argument("--lines", action="store_true", help="measure sample and score")
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--part", choices=["grown", "resumed"], help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.part:
        measure = {"grown": grown, "resumed": resumed}[given.part]
        folder = given.folder / given.samplers[0]
        print(json.dumps(measure(folder, given.samplers[0], given.counts[0])))
        return
    given.folder.mkdir(parents=True, exist_ok=True)
    if given.lines:
        lines(given.folder, given.counts)
        return
    results = given.folder / "scale.jsonl"
    for count in given.counts:
        for sampler in given.samplers:
            rows = read(results)
            if not any((row["sampler"], row["proposals"]) == (sampler, count) for row in rows):
                found = stage(given.folder, sampler, count)
                with results.open("a") as file:
                    file.write(json.dumps(found) + "\n")
    rows = sorted(read(results), key=lambda row: (row["sampler"] != "random", row["proposals"]))
    print(table(rows))
    if given.plot:
        plot(rows, given.plot)


def read(results: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in results.open()] if results.exists() else []


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
