"""One seed is one search, whatever the processor."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from archscout.runs import Run, search
from archscout.runs.study import result_of
from processors import PROCESSORS, environment

PROGRAM = """
import sys
from archscout import search
search("rnn", trials=50, population_size=10, out=sys.argv[1])
"""


@pytest.mark.slow
def test_processors_propose_and_rank_the_same(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "oldest")]
    with subprocess.Popen(command, env=environment("the oldest")) as process:
        here = search("rnn", trials=50, population_size=10, out=tmp_path / "here")
    assert process.returncode == 0
    runs = [here, Run(tmp_path / "oldest")]
    one, other = ([result_of(trial)["fingerprint"] for trial in run.trials] for run in runs)
    assert one == other
    scores = [[result_of(trial)["scores"] for trial in run.trials] for run in runs]
    if not PROCESSORS["the oldest"].items() <= os.environ.items():
        assert scores[0] != scores[1]  # the processors did differ
    assert runs[0].best.fingerprint == runs[1].best.fingerprint
    assert list(runs[0].table["fingerprint"][:20]) == list(runs[1].table["fingerprint"][:20])
