"""Which process a worker is, and whether it is still there."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

_PROC = Path("/proc")


@cache
def machine() -> str:
    """What no other machine or container has: a name alone may be shared.

    Of Linux the start of the system and the namespace of processes, of others the name.
    """
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').stat().st_ino}"
    except OSError:
        return socket.gethostname()


def this_process() -> tuple[str, str, int, int]:
    """The machine's name, `machine()`, the process's number, and when it started."""
    pid = os.getpid()
    return socket.gethostname(), machine(), pid, _born(pid) or 0


def runs(pid: int, born: int) -> bool:
    """Whether a process of this machine is still there, and not another of the same number.

    Args:
        pid: its number.
        born: when it started, 0 if that is not known.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    now = _born(pid)
    return now is None or (now > 0 and born in (0, now))


def _born(pid: int) -> int | None:
    """When a process started, in the system's ticks; 0 if it has ended, None if nothing tells."""
    try:
        # The name, in brackets, may hold anything.
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0 if (_PROC / "self").exists() else None
    return 0 if fields[0] in "ZX" else int(fields[19])
