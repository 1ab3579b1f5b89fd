"""An evaluation as a page with tables and figures: a pure function of the evaluation."""

from exportimpact.report.folder import render, write_report
from exportimpact.report.numbers import numbers

__all__ = ["numbers", "render", "write_report"]
