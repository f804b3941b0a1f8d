"""Where work runs: in this process, or in several of this machine, one interface for both.

A task is a plain function of a state, which all tasks share and which is sent to a process once,
and of an item. What it returns does not depend on where it ran, nor on what ran before.
"""

from archscout.execution.processes import stopping
from archscout.execution.workers import MAX_DEATHS, Workers, check_workers

__all__ = ["MAX_DEATHS", "Workers", "check_workers", "stopping"]
