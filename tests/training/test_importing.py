"""What importing the rooms of training imports."""

import json
import subprocess
import sys

PROGRAM = """
import json, sys
import archscout.training
heavy = {'accelerate', 'datasets', 'transformers', 'sklearn'}
found = [sorted(heavy & set(sys.modules))]
import archscout.training.glue
print(json.dumps([*found, sorted(heavy & set(sys.modules))]))
"""


def test_importing_training_and_fine_tuning_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, check=True, text=True
    )
    assert json.loads(done.stdout) == [[], []]
