"""Scripts in two processes that know of each other, as `accelerate launch` starts them."""

import os
import subprocess
import sys
from pathlib import Path


def run_in_two_processes(script: Path, *arguments: str) -> None:
    launch = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")
    done = subprocess.run(
        [sys.executable, *launch, str(script), *arguments],
        capture_output=True,
        check=False,
        text=True,
        timeout=240,
        env={**os.environ, "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
