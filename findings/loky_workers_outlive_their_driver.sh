#!/usr/bin/env bash
# loky's worker processes outlive a driver that was killed, and wait for ever.
#
# Seen with loky 3.7.0 on Python 3.11, Linux. Workers of a ProcessPoolExecutor that has no timeout
# block on a queue of which each of them holds both ends, so they do not notice that nobody is left
# to write to it. After a driver was killed (SIGKILL, as by a batch system or for memory), its idle
# workers stay, with all that they have loaded, until somebody ends them by hand.
#
# Output seen:
#   loky 3.7.0: 2 of 2 workers alive 15 s after the driver was killed
#
# Exits with 0 while this is so, and with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'loky==3.7.0'
cat > "$folder/driver.py" <<'PYTHON'
import os
import sys
import time

from loky import ProcessPoolExecutor


def number(_: int) -> int:
    time.sleep(0.5)
    return os.getpid()


executor = ProcessPoolExecutor(2)
print(*sorted(set(executor.map(number, range(4)))), file=open(sys.argv[1], "w"), flush=True)
time.sleep(600)
PYTHON
"$folder/venv/bin/python" "$folder/driver.py" "$folder/workers" &
driver=$!
for _ in $(seq 600); do
  [ -s "$folder/workers" ] && break
  sleep 0.1
done
kill -9 "$driver"
wait "$driver" 2>/dev/null || true
sleep 15
alive=0
total=0
for worker in $(cat "$folder/workers"); do
  total=$((total + 1))
  if kill -0 "$worker" 2>/dev/null; then
    alive=$((alive + 1))
    kill -9 "$worker"
  fi
done
echo "loky 3.7.0: $alive of $total workers alive 15 s after the driver was killed"
[ "$total" -gt 0 ] && [ "$alive" -eq "$total" ]
