"""runstore diff: show the differences between two runs, with their code line by line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.comparisons.options import (
    full_option,
    metrics_option,
    only_option,
    refuse_left_out,
)
from runstore.cli.context import open_store
from runstore.cli.options import json_option, refuse_together, run_argument
from runstore.cli.words import metrics_meant, one_run
from runstore.errors import UsageError

if TYPE_CHECKING:
    from runstore.analysis.compare.code_changes import CodeChanges
    from runstore.analysis.compare.comparison import Comparison


@click.command(short_help="Show the differences between two runs.")
@run_argument("a")
@run_argument("b")
@full_option
@only_option
@metrics_option
@click.option(
    "--stat",
    "is_stat",
    is_flag=True,
    help="Print the numbers of changed lines of each file, not the patch.",
)
@click.option("--no-code", "without_code", is_flag=True, help="Leave out the code.")
@json_option
def command(
    a: str,
    b: str,
    sections: Sequence[str],
    metrics: Sequence[str],
    *,
    everything: bool,
    is_stat: bool,
    without_code: bool,
    as_json: bool,
) -> None:
    """Show the differences from run A to run B by section, and the changes of the code as a patch.

    The code of a run is its commit, with the uncommitted changes and new code at its start; other
    new files that differ are only named. In a pipe, columns are tab-separated, and the patch can
    be passed to `git apply`.

    \b
    runstore diff mnist#1 mnist#2
    runstore diff mnist#-2 mnist#-1 --only params,metrics
    """  # noqa: D301 - click keeps lines after the mark as they are
    if is_stat and (without_code or "code" not in sections):
        raise UsageError(
            "--stat counts lines of code.",
            hint=f"Leave out {'--no-code' if without_code else '--only'}.",
        )
    refuse_together(("--stat", is_stat), ("--metric", metrics))
    refuse_together(("--stat", is_stat), ("--full", everything))
    refuse_left_out(sections, metrics)
    from runstore.analysis.compare.code import code_changes
    from runstore.analysis.compare.comparison import compare_runs

    with open_store() as store:
        runs = (one_run(store, a), one_run(store, b))
        found = compare_runs(
            store.backend,
            runs,
            sections=sections,
            everything=everything,
            metrics=metrics_meant(metrics, runs),
        )
        is_wanted = "code" in sections and not without_code
        code = code_changes(store.backend, *found.runs) if is_wanted or is_stat else None
        if as_json:
            output.print_json(_as_json(found, code, is_stat=is_stat))
        elif is_stat and code is not None:
            _print_counts(code)
        else:
            _print(found, code)


def _as_json(found: Comparison, code: CodeChanges | None, *, is_stat: bool) -> dict[str, object]:
    from runstore.analysis.compare.as_json import (
        code_as_json,
        comparison_as_json,
        run_name_as_json,
    )

    told = None if code is None else code_as_json(code)
    if is_stat and told is not None:
        told["files"] = [{**one, "diff": None} for one in told["files"]]
        return {"runs": [run_name_as_json(run) for run in found.runs], "code": told}
    return {**comparison_as_json(found), "code": told}


def _print_counts(code: CodeChanges) -> None:
    from runstore.cli.comparisons.lines import print_remark

    rows = [
        (one.name, str(one.added), str(one.removed), one.kind, one.remark) for one in code.files
    ]
    columns = [
        output.TableColumn("file", narrowest=16),
        output.TableColumn("added", narrowest=5, rank=1),
        output.TableColumn("removed", narrowest=7, rank=1),
        output.TableColumn("kind", rank=2),
        output.TableColumn("remark", rank=3),
    ]
    if rows:
        output.print_table(columns, rows)
    elif code.is_known:
        print_remark("The code is the same.")
    for remark in code.remarks:
        print_remark(remark)


def _print(found: Comparison, code: CodeChanges | None) -> None:
    from runstore.cli.comparisons.lines import print_gaps, print_patch, print_remark

    is_same_run = found.runs[0].uid == found.runs[1].uid
    if found.differences or (code and code.files):
        (_print_sections if output.is_terminal() else _print_columns)(found, code)
        if code is not None:
            print_patch(code)
    elif is_same_run:
        print_remark(f"Both names refer to run {found.runs[0].reference}.")
    else:
        print_remark("No recorded value differs.")
    for remark in code.remarks if code else ():
        print_remark(remark)
    print_gaps(found.gaps, found.runs, found.names)


def _print_columns(found: Comparison, code: CodeChanges | None) -> None:
    """Print a tab-separated line for each difference, then a blank line and the patch."""
    from runstore.analysis.compare.texts import change_of, texts_of

    if found.differences:
        columns = ("section", "key", *(run.reference for run in found.runs), "change")
        rows = [(one.section, one.key, *texts_of(one), str(change_of(one) or "")) for one in found]
        output.print_table([output.TableColumn(name) for name in columns], rows)
    if found.differences and code is not None and code.files:
        output.say()


def _print_sections(found: Comparison, code: CodeChanges | None) -> None:
    from runstore.cli.comparisons.lines import counts_text, print_indented, print_pairs, title_line

    old, new = found.names
    title_line(f"{old} → {new}")
    if found.differences:
        output.say()
        print_pairs(found.differences)
    if code is not None and code.files:
        output.say()
        title_line("files")
        for one in code.files:
            print_indented(f"{one.name}  {counts_text(one)}", 2)
