"""runstore metric: log metrics to a run."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence

import click

from runstore.cli.context import line_file, run_to_add_to
from runstore.cli.options import run_option


@click.command(
    context_settings={"ignore_unknown_options": True}, short_help="Log metrics to a run."
)
@click.argument("values", metavar="KEY=VALUE...", nargs=-1, required=True)
@click.option("--step", type=int, metavar="N", help="Step (default: the next one of each key).")
@run_option
def command(values: Sequence[str], step: int | None, run: str | None) -> None:
    """Log one value of each metric to the run that started this program.

    Programs under `runstore exec` can call it, in any language. When it returns, the values are
    on disk. With --run, the run may already have finished.

    \b
    runstore metric loss=0.31 val/acc=0.9
    runstore metric loss=0.25 --step 10
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.errors import UsageError, quoted
    from runstore.model.run import Run
    from runstore.recording.output.program_lines import append, parse_metrics

    for one in values:
        if not one.rpartition("=")[0]:
            raise UsageError(f"Expected KEY=VALUE, got {quoted(one)}.", hint=_hint(values))
    asked = parse_metrics(values)
    if step is not None:
        asked = asked._replace(step=step)
    file = line_file() if run is None else None
    if file is not None:
        append(file, asked._replace(time=clock.time() if asked.time is None else asked.time))
        return
    with run_to_add_to(run) as (store, found):
        if isinstance(found, Run):
            steps, times = (None if one is None else [one] for one in (asked.step, asked.time))
            columns = {"steps": steps, "times": times}
            store.add(
                found,
                metrics={key: {"values": [one], **columns} for key, one in asked.values.items()},
            )
            return
        found.is_strict = True
        found.log(asked.values, step=asked.step, time=asked.time)
        found.execution.hand_in(is_last=True)


def _hint(values: Sequence[str]) -> str:
    """Return the command that the words suggest, or an example."""
    from shlex import join

    from runstore.model.reference import LATEST, has_number
    from runstore.model.values import is_number_text

    key, *rest = values
    if len(rest) == 1 and is_number_text(rest[0]) and "#" not in key:
        return f"Write: {join(['runstore', 'metric', f'{key}={rest[0]}'])}"
    run = next((one for one in values if one == LATEST or has_number(one)), None)
    if run is None:
        return "Write for example: loss=0.31"
    rest = [one for one in values if one != run] or ["loss"]
    if len(rest) == 1 and "=" not in rest[0]:
        return (
            f"To draw a metric of a run, write: {join(['runstore', 'plot', run, '-m', rest[0]])}"
        )
    pair = rest[0] if "=" in rest[0] else "=".join(rest[:2])
    return f"Name the run last: {join(['runstore', 'metric', pair, '--run', run])}"
