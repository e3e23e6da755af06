"""runstore compare: show the differences between several runs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click
from click.core import ParameterSource

from runstore.analysis.compare.differences import SECTIONS
from runstore.cli import output
from runstore.cli.comparisons.options import (
    full_option,
    level_option,
    metrics_option,
    only_option,
    over_option,
    refuse_left_out,
)
from runstore.cli.comparisons.over_table import print_over, the_metric
from runstore.cli.context import open_store
from runstore.cli.options import json_option, limit_option, refuse_together, runs_argument
from runstore.cli.words import metrics_meant, runs_meant
from runstore.errors import UsageError

if TYPE_CHECKING:
    from runstore.analysis.compare.comparison import Comparison


@click.command(short_help="Show the differences between several runs, side by side.")
@runs_argument
@full_option
@only_option
@metrics_option
@click.option(
    "--transpose", is_flag=True, help="Print one line per run instead of one per difference."
)
@limit_option("Maximum number of runs of an experiment or filter, the newest.", least=2, most=1000)
@over_option
@level_option
@json_option
def command(
    words: Sequence[str],
    sections: Sequence[str],
    metrics: Sequence[str],
    limit: int,
    over: Sequence[str],
    level: float,
    *,
    everything: bool,
    transpose: bool,
    as_json: bool,
) -> None:
    """Show the differences between RUNs, with a column per run and a line per difference.

    \b
    runstore compare mnist#1 mnist#2 mnist#5
    runstore compare mnist "status = complete order by metrics.acc.max desc" -n 4
    runstore compare mnist -m "val/*"
    runstore compare mnist --over seed -m acc.max

    Columns that do not fit on the terminal continue below. `runstore diff` also shows the changes
    of the code. With --over, each line is a group of runs that differ only in that parameter, and
    the differences between groups follow; see also `runstore best`.
    """  # noqa: D301 - click keeps lines after the mark as they are
    is_given = click.get_current_context().get_parameter_source
    is_part = set(sections) != set(SECTIONS)
    others = (("--only", is_part), ("--full", everything), ("--transpose", transpose))
    for option in others:
        refuse_together(("--over", over), option)
    refuse_together(("--json", as_json), ("--transpose", transpose))
    refuse_left_out(sections, metrics)
    if not over and is_given("level") is not ParameterSource.DEFAULT:
        raise UsageError("--level is about repeats.", hint="Add --over, such as --over seed.")
    with open_store() as store:
        if over:
            metric = the_metric(metrics)
            most = None if is_given("limit") is ParameterSource.DEFAULT else limit
            print_over(runs_meant(store, words, limit=most), over, metric, level, as_json=as_json)
            return
        from runstore.analysis.compare.comparison import compare_runs

        runs = runs_meant(store, words, limit=limit)
        found = compare_runs(
            store.backend,
            runs,
            sections=sections,
            everything=everything,
            metrics=metrics_meant(metrics, runs),
        )
        if as_json:
            from runstore.analysis.compare.as_json import comparison_as_json

            output.print_json(comparison_as_json(found))
        else:
            _print(found, transpose=transpose)


def _print(found: Comparison, *, transpose: bool) -> None:
    from runstore.analysis.compare.texts import texts_of
    from runstore.cli.comparisons.lines import print_gaps, print_remark
    from runstore.cli.comparisons.tables import print_in_blocks

    if found.differences:
        names = found.names if output.is_terminal() else [run.reference for run in found.runs]
        columns = [(one.name, texts_of(one)) for one in found]
        print_in_blocks(names, columns, transpose=transpose)
    else:
        print_remark("No recorded value differs.")
    print_gaps(found.gaps, found.runs, found.names)
