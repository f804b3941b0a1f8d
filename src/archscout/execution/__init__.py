"""Where work runs: in this process, in several of this machine, or by Ray; one interface for all.

A task is a plain function of a state, which all tasks share and which is sent to a process once,
and of an item. What it returns does not depend on where it ran, nor on what ran before.
"""

from archscout.execution.cluster import Cluster
from archscout.execution.processes import stopping
from archscout.execution.workers import Workers, check_workers, count_workers

__all__ = ["Cluster", "Workers", "check_workers", "count_workers", "stopping"]
