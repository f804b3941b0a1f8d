"""Training-free metrics: the registry, and one file for each method, under its own name.

What methods share is in `shared`, metrics that are written as text in `formula`.
"""

from importlib import import_module
from pkgutil import iter_modules

from archscout.metrics.registry import (
    Metric,
    Request,
    available,
    metric,
    registered,
    request,
)
from archscout.metrics.sources import carried, load_file, sha256_of

__all__ = [
    "Metric",
    "Request",
    "available",
    "carried",
    "load_file",
    "metric",
    "registered",
    "request",
    "sha256_of",
]

for _file in iter_modules(__path__):
    import_module(f"{__name__}.{_file.name}")  # which registers its metric
