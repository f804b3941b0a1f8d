"""Discovering: metrics as formulas, bred on one part of a benchmark and judged on others."""

from archscout.errors import InputError

try:
    import deap  # noqa: F401  (which the files below import)
except ImportError as error:
    raise InputError(
        "to breed formulas, the package deap is needed: pip install 'archscout[discover]'"
    ) from error

from archscout.metric_search.discovery import Discovery, discover
from archscout.metric_search.discovery_folder import DiscoverySettings
from archscout.metric_search.page import write_discovery
from archscout.metric_search.parts import Parts, divide

__all__ = ["Discovery", "DiscoverySettings", "Parts", "discover", "divide", "write_discovery"]
