"""The report: a run folder becomes one self-contained HTML page."""

from archscout.report.page import write_report

__all__ = ["write_report"]
