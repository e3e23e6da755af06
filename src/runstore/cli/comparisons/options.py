"""Options of comparisons: which sections, which metrics."""

from __future__ import annotations

import click

from runstore.analysis.compare.differences import SECTIONS
from runstore.cli.completions import complete_metrics


def _sections(
    _context: click.Context, _parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """Return the sections asked for, each once; all without any."""
    wanted = [name.strip() for text in given for name in text.split(",") if name.strip()]
    from runstore.analysis.compare.comparison import check_sections

    return check_sections(wanted) or SECTIONS


def _complete_sections(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    before, comma, last = begun.rpartition(",")
    return [f"{before}{comma}{name}" for name in SECTIONS if name.startswith(last)]


only_option = click.option(
    "--only",
    "sections",
    multiple=True,
    metavar="SECTIONS",
    callback=_sections,
    shell_complete=_complete_sections,
    help=f"Only these, with commas between: {', '.join(SECTIONS)}.",
)
metrics_option = click.option(
    "-m",
    "--metric",
    "metrics",
    multiple=True,
    metavar="KEY",
    shell_complete=complete_metrics,
    help="Of the metrics only this one, also where it is the same; may be repeated.",
)
all_option = click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Show what is the same too, extremes of metrics, and samples of the machine.",
)
over_option = click.option(
    "--over",
    multiple=True,
    metavar="PARAM",
    help="In what repeats differ, such as seed; may be repeated.",
)
level_option = click.option(
    "--level",
    default=0.95,
    show_default=True,
    type=float,
    help="How sure intervals and verdicts shall be, from 0.5 to 0.999.",
)
