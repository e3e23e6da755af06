"""runstore similar: list the runs of an experiment that are most similar to a run."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.options import json_option, limit_option, run_argument
from runstore.cli.words import one_run
from runstore.model.run import status_word

if TYPE_CHECKING:
    from runstore.analysis.reruns.subjects import Similar
    from runstore.model.run import Run

_COLUMNS = (
    output.TableColumn("run", narrowest=26, rank=0, end=output.END_KEPT),
    output.TableColumn("status", narrowest=11, rank=2, styles=output.STATUS_STYLES),
    output.TableColumn("differs in", narrowest=20, rank=1),
)


@click.command(short_help="List the runs most similar to a run.")
@run_argument()
@limit_option("Maximum number of runs.", default=5, most=100)
@json_option
def command(run: str, limit: int, *, as_json: bool) -> None:
    """List the runs of the same experiment with the parameters most similar to RUN.

    Differences in parameters, code, program and inputs are shown with the value of the listed run
    first, then the value of RUN. The newest 100 runs are compared, and 100 of any age that share
    rare values with RUN.
    """
    with open_store() as store:
        meant = one_run(store, run)
        found = store.similar(meant, limit=limit)
        if as_json:
            output.print_json(_as_json(meant, found))
        elif found:
            names = output.listed_names([one.run for one in found])
            output.print_table(_COLUMNS, list(map(_row, found, names)))
        else:
            name = output.terminal_safe(meant.experiment_name)
            output.say(f"runstore: there is no other run of {name}.", err=True)


def _row(one: Similar, name: str) -> tuple[str, str, str]:
    from runstore.analysis.reruns.texts import differences_text

    told = differences_text(one.differences, is_whole=not output.is_terminal())
    return name, one.run.status_text, told or "; ".join(one.unknown) or "nothing"


def _as_json(meant: Run, found: tuple[Similar, ...]) -> dict[str, Any]:
    from runstore.analysis.compare.as_json import difference_as_json, run_name_as_json

    return {
        "run": run_name_as_json(meant),
        "similar": [
            {
                **run_name_as_json(one.run),
                "status": status_word(one.run),
                "differences": [difference_as_json(each) for each in one.differences],
                "unknown": list(one.unknown),
            }
            for one in found
        ],
    }
