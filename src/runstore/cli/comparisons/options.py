"""Options of comparisons: sections and metrics."""

from __future__ import annotations

from collections.abc import Sequence

import click

from runstore.analysis.compare.differences import SECTIONS
from runstore.cli.completions import complete_metrics, listed_after
from runstore.errors import UsageError


def _sections(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the requested sections, each once; all if there are none."""
    wanted = [name.strip() for text in given for name in text.split(",") if name.strip()]
    from runstore.analysis.compare.comparison import check_sections

    return check_sections(wanted) or SECTIONS


def refuse_left_out(sections: Sequence[str], metrics: Sequence[str]) -> None:
    """Refuse metrics that the requested sections leave out.

    Raises:
        UsageError: There are some.
    """
    if metrics and "metrics" not in sections:
        raise UsageError(
            "--only leaves out the metrics of --metric.", hint="Add metrics to --only."
        )


only_option = click.option(
    "--only",
    "sections",
    multiple=True,
    metavar="SECTIONS",
    callback=_sections,
    shell_complete=lambda _context, _parameter, begun: listed_after(begun, SECTIONS),
    help=f"Sections to compare, separated by commas: {', '.join(SECTIONS)} (default: all).",
)
metrics_option = click.option(
    "-m",
    "--metric",
    "metrics",
    multiple=True,
    metavar="KEY",
    shell_complete=complete_metrics,
    help="Metric to compare, even if equal, or a pattern such as 'val/*'; repeatable"
    " (default: all).",
)
full_option = click.option(
    "--full",
    "everything",
    is_flag=True,
    help="Also show equal values, durations, extremes of metrics and samples of the machine.",
)
over_option = click.option(
    "--over",
    multiple=True,
    metavar="PARAM",
    help="Parameter in which repeats differ, such as seed; repeatable.",
)
level_option = click.option(
    "--level",
    default=0.95,
    show_default=True,
    type=float,
    help="Confidence level, from 0.5 to 0.999.",
)
