"""Building a benchmark: architectures of a space, each trained under the same budget."""

from archscout.building.build import build, standing
from archscout.building.plan import plan_jobs

__all__ = ["build", "plan_jobs", "standing"]
