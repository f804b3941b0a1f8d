#!/usr/bin/env bash
# Optuna's journal does not survive the loss of a few bytes at its end, although it reads past it.
#
# Seen with optuna 5.0.0 on Python 3.11, Linux. A study in JournalStorage (JournalFileBackend) is a
# line of JSON for each record. Where a process was killed, or the disk was full, in the middle of
# writing the last one, that line has no end. Loading the study then works: the record is left out,
# and nothing is said. But the next trial that is added is written directly behind the torn record,
# on the same line: adding trials raises JSONDecodeError, and the study cannot be loaded any more.
#
# Output seen:
#   loaded after the tear: 2 trials
#   two more trials: raised JSONDecodeError
#   loaded again: not loadable, JSONDecodeError: Expecting ':' delimiter: line 1 column 310 (char 309)
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'optuna==5.0.0'
cat > "$folder/torn.py" <<'PYTHON'
import sys
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

optuna.logging.set_verbosity(optuna.logging.ERROR)
path = Path(sys.argv[1], "study.jsonl")


def opened() -> optuna.Study:
    storage = JournalStorage(JournalFileBackend(str(path)))
    return optuna.create_study(storage=storage, study_name="s", load_if_exists=True)


study = opened()
for value in (1.0, 2.0, 3.0):
    study.add_trial(optuna.trial.create_trial(value=value))
content = path.read_bytes()
path.write_bytes(content[:-20])  # the third record has lost its end

trials = len(opened().trials)
print(f"loaded after the tear: {trials} trials")
outcome = "kept"
try:
    again = opened()
    for value in (4.0, 5.0):
        again.add_trial(optuna.trial.create_trial(value=value))
except Exception as error:
    outcome = f"raised {type(error).__name__}"
print(f"two more trials: {outcome}")
try:
    loaded = f"{len(opened().trials)} trials"
except Exception as error:
    loaded = f"not loadable, {type(error).__name__}: {error}"
print(f"loaded again: {loaded}")
sys.exit(0 if trials == 2 and loaded.startswith("not loadable") else 1)
PYTHON
"$folder/venv/bin/python" "$folder/torn.py" "$folder"
