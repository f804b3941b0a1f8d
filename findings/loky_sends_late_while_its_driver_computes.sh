#!/usr/bin/env bash
# loky gives a task to a process that waits some 11 ms late while the driver computes; Ray does not.
#
# An architecture search draws candidates in Python while its workers score those before. One would take a
# task that is submitted to an idle worker to begin at once, whatever the driver does next. With loky 3.7.0
# (and with Python's own ProcessPoolExecutor) two threads of the driver have to run before it is in the pipe, and each
# gets its turn only once the computing thread has held the interpreter for the switch interval of 5 ms. So
# it begins after 10.9 ms, and after 0.5 if the driver waits for it. If the driver sleeps for 0.7 ms after
# `submit` and computes then, it begins after 0.6 ms. Ray 2.60.0, whose driver sends by threads that need no
# interpreter, takes 2 ms either way: the one that costs more for each task is the quicker to begin.
#
# Output seen (two cores of an AMD EPYC, Python 3.11, medians of 40; times vary):
#   loky 3.7.0: the driver waits 0.5 ms, computes 10.9 ms, sleeps for 0.7 ms and computes 0.6 ms
#   ray 2.60.0: the driver waits 2.1 ms, computes 2.0 ms
#
# Exits with 0 while a task of loky's begins four times as late if the driver computes, Ray's less than twice,
# and a short sleep mends it; and with 1 when that has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'loky==3.7.0' 'ray==2.60.0'
cat > "$folder/measure.py" <<'PYTHON'
import statistics
import sys
import time

import loky
import ray


def began() -> float:
    return time.perf_counter()


def compute(seconds: float) -> None:
    number, end = 0, time.perf_counter() + seconds
    while time.perf_counter() < end:
        number += 1


def sleep_and_compute(seconds: float) -> None:
    time.sleep(0.0007)
    compute(seconds)


def milliseconds(submit, result, then) -> float:
    """From submitting a task to its beginning, while the driver does something for 40 ms."""
    taken = []
    for _ in range(40):
        time.sleep(0.01)
        start = time.perf_counter()
        task = submit()
        then(0.04)
        taken.append(1e3 * (result(task) - start))
    return statistics.median(taken)


if __name__ == "__main__":
    pool = loky.ProcessPoolExecutor(1)
    pool.submit(began).result()
    by_loky = [
        milliseconds(lambda: pool.submit(began), lambda task: task.result(), then)
        for then in (time.sleep, compute, sleep_and_compute)
    ]
    pool.shutdown()
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    task = ray.remote(began)
    ray.get(task.remote())
    by_ray = [milliseconds(task.remote, ray.get, then) for then in (time.sleep, compute)]
    ray.shutdown()
    print(
        f"loky {loky.__version__}: the driver waits {by_loky[0]:.1f} ms, computes {by_loky[1]:.1f} ms, "
        f"sleeps for 0.7 ms and computes {by_loky[2]:.1f} ms"
    )
    print(f"ray {ray.__version__}: the driver waits {by_ray[0]:.1f} ms, computes {by_ray[1]:.1f} ms")
    late = by_loky[1] > 4 * by_loky[0] and by_loky[2] < by_loky[1] / 2
    sys.exit(not (late and by_ray[1] < 2 * by_ray[0]))
PYTHON
"$folder/venv/bin/python" "$folder/measure.py"
