"""Every figure of a report as SVG, by name."""

from __future__ import annotations

from exportimpact.evaluation import Evaluation
from exportimpact.language import message
from exportimpact.plots import figure_svg, ladder_table
from exportimpact.report import matched, shown
from exportimpact.report.tables import file_names


def report_figures(evaluation: Evaluation) -> dict[str, str]:
    """Return ladder and event study of every outcome, matched designs, and drawable exhibits."""
    found: dict[str, str] = {}
    for number, (outcome, part) in enumerate(file_names(evaluation).items(), start=1):
        # Ids inside a page are plain ASCII, whatever the outcome is called.
        found[f"ladder_{part}"] = figure_svg(
            "ladder",
            ladder_table(evaluation, outcome),
            name=f"ladder-{number}",
            title=str(message("plot.effect_on", outcome=outcome)),
            description=str(message("report.ladder_told", outcome=outcome)),
        )
        found[f"event_study_{part}"] = figure_svg(
            "event_study",
            evaluation.event_study(outcome),
            name=f"path-{number}",
            title=str(message("plot.effect_on", outcome=outcome)),
            description=str(message("report.path_told", outcome=outcome)),
        )
    return found | matched.figures(evaluation) | shown.figures(evaluation)
