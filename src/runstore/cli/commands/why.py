"""runstore why: rank differences that may explain a different result."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.options import run_argument
from runstore.cli.words import one_run

if TYPE_CHECKING:
    from runstore.analysis.explain.explanation import Explanation
    from runstore.analysis.explain.rules import Cause

_SHOWN = 20


def _print_rules(context: click.Context, _parameter: click.Parameter, is_wanted: bool) -> None:  # noqa: FBT001 - click calls it so
    """Print the table of weights, and exit."""
    if not is_wanted or context.resilient_parsing:
        return
    from runstore.analysis.explain.rules import Rule

    if context.params["as_json"]:
        rules = [{"weight": rule.weight, "difference": rule.kind} for rule in Rule]
        output.print_json({"rules": rules})
        context.exit()
    columns = [
        output.TableColumn("weight", narrowest=6),
        output.TableColumn("difference", rank=1),
    ]
    output.print_table(columns, [(str(rule.weight), rule.kind) for rule in Rule])
    context.exit()


@click.command(short_help="Rank the differences that may explain a different result.")
@run_argument("a")
@run_argument("b")
@click.option(
    "-m",
    "--metric",
    metavar="KEY",
    help="Metric to explain (default: the metric that differs most).",
)
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help=f"Show all causes, not only {_SHOWN}, and all unknown values.",
)
@click.option("--no-code", "without_code", is_flag=True, help="Leave out the code.")
@click.option(
    "--rules",
    is_flag=True,
    expose_value=False,
    callback=_print_rules,
    help="Print the weight of each kind of difference, and exit.",
)
# Eager, so that it is known to --rules, which comes before the missing arguments anyway.
@click.option("--json", "as_json", is_flag=True, is_eager=True, help="JSON output.")
def command(
    a: str, b: str, metric: str | None, *, everything: bool, without_code: bool, as_json: bool
) -> None:
    """Rank the differences between runs A and B by how likely they explain a different result.

    Each difference has a weight from 0 to 100 and a reason. The weights are rules of thumb, shown
    by --rules; evidence from other runs of the experiment counts more.
    """
    from runstore.analysis.explain.explanation import explain

    with open_store() as store:
        runs = one_run(store, a), one_run(store, b)
        found = explain(store.backend, *runs, metric, with_code=not without_code)
        has_inputs = any(run.inputs for run in found.runs)
        if as_json:
            from runstore.analysis.explain.as_json import explanation_as_json

            output.print_json(explanation_as_json(found))
            return
        shown = found.causes if everything else found.causes[:_SHOWN]
        if output.is_terminal():
            _print(found, shown)
        else:
            _print_columns(found, shown)
        _print_remarks(found, shown, is_own_choice=metric is None)
        if everything and not has_inputs:
            from runstore.cli.comparisons.lines import print_remark

            print_remark("Neither run recorded the data it read; record it with run.use().")


def _texts(one: Cause) -> tuple[str, ...]:
    from runstore.analysis.compare.texts import texts_of

    return texts_of(one.difference) if one.difference.values else ("", "")


def _print_columns(found: Explanation, shown: tuple[Cause, ...]) -> None:
    if shown:
        columns = ("weight", "difference", *(run.reference for run in found.runs), "reason")
        rows = [(str(one.weight), one.difference.name, *_texts(one), one.reason) for one in shown]
        output.print_table([output.TableColumn(name) for name in columns], rows)


def _print(found: Explanation, shown: tuple[Cause, ...]) -> None:
    from runstore.analysis.compare.texts import change_between
    from runstore.cli.comparisons.lines import print_change, print_indented, title_line

    old, new = found.names
    title_line(f"{old} → {new}")
    if found.metric is not None:
        texts = [f"{value:.6g}" for value in found.values]
        print_change(
            output.terminal_safe(found.metric), texts, f"  ({change_between(*found.values)})"
        )
    for one in shown:
        output.say()
        name = f"{one.weight:>3}  {output.terminal_safe(one.difference.name)}"
        if one.difference.values:
            print_change(name, _texts(one), indent=7)
        else:
            print_indented(name, 2)
        print_indented(one.reason, 7)
    if shown:
        output.say()


def _print_remarks(found: Explanation, shown: tuple[Cause, ...], *, is_own_choice: bool) -> None:
    """Print the sentences below the causes."""
    from runstore.cli.comparisons.lines import print_remark

    hidden = len(found.causes) - len(shown)
    if hidden:
        print_remark(
            f"{hidden} more with a weight of at most {shown[-1].weight}; --all shows them."
        )
    if not found.causes:
        print_remark("No recorded difference can explain a different result.")
    if found.metric is None:
        print_remark("The runs have no metric in common, so there is no result to compare.")
    elif is_own_choice and found.change is not None and found.change.absolute == 0:
        print_remark("No metric differs between them.")
    elif found.change is not None and found.change.absolute == 0:
        print_remark(f"The metric {found.metric} is the same in both.")
    elif found.runs_seen:
        count = f"{found.runs_seen} run{'' if found.runs_seen == 1 else 's'}"
        print_remark(f"Evidence comes from {count} with {found.metric}.")
    if is_own_choice and found.change is not None and found.change.absolute != 0:
        print_remark(
            f"Of their metrics, {found.metric} differs most, relative to its size;"
            " -m chooses another."
        )
    for remark in found.remarks:
        print_remark(remark)
    for name, reason, names in _merged(found):
        print_remark(f"{name} of {names} could not be compared: {reason}.")


def _merged(found: Explanation) -> list[tuple[str, str, str]]:
    """Return each gap once, with the runs that have it."""
    together: dict[tuple[str, str], list[str]] = {}
    for gap in found.gaps:
        names = together.setdefault((gap.name, gap.reason), [])
        if found.names[gap.place] not in names:
            names.append(found.names[gap.place])
    return [(what, reason, " and ".join(names)) for (what, reason), names in together.items()]
