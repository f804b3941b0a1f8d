"""Building a benchmark: architectures of a space, each trained under the same budget."""

from archscout.benchmarks.build.build import build, standing
from archscout.benchmarks.build.plan import plan_jobs

__all__ = ["build", "plan_jobs", "standing"]
