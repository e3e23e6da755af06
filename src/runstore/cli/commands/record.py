"""runstore record: record a past run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path

import click

from runstore.cli.commands.save import own_name
from runstore.cli.completions import complete_experiment_names, complete_words
from runstore.cli.context import open_store
from runstore.cli.grammar.durations import duration
from runstore.cli.options import tag_option
from runstore.cli.output import say
from runstore.cli.words import one_run
from runstore.errors import UsageError
from runstore.model.query.times import moment
from runstore.model.status import FINAL

_WORDS = click.Choice(sorted(one.value for one in FINAL))
_NOTHING = "Nothing was recorded."
_SAVE_LATER = "Once the run is recorded, save it with a name: runstore save --run RUN"


@click.command(short_help="Record a past run.")
@click.argument("experiment", shell_complete=complete_experiment_names)
@click.option("--started", required=True, metavar="TIME", help="Start time.")
@click.option("--ended", metavar="TIME", help="End time.")
@click.option(
    "--took", metavar="DURATION", help="Duration with a unit, such as 90s or '2 h 30 min'."
)
@click.option("--status", type=_WORDS, help="Status (default: complete, or error with --error).")
@click.option(
    "--set", "settings", metavar="KEY=VALUE", multiple=True, help="Parameter; repeatable."
)
@click.option(
    "--metric",
    "metrics",
    metavar="KEY=NUMBER",
    multiple=True,
    help="Last value of a metric; repeatable.",
)
@tag_option
@click.option("--notes", metavar="TEXT", help="Notes of the run.")
@click.option(
    "--save", "saves", metavar="PATH", multiple=True, help="File or folder to save; repeatable."
)
@click.option("--error", metavar="TEXT", help="Error message.")
@click.option("--exit-code", type=int, metavar="N", help="Exit code.")
@click.option("--command", "cli", metavar="TEXT", help="Command line.")
@click.option("--commit", metavar="HASH", help="Commit of the code.")
@click.option("--host", "hostname", metavar="NAME", help="Name of the machine.")
@click.option("--parent", metavar="RUN", shell_complete=complete_words, help="Parent run.")
def command(
    experiment: str,
    started: str,
    ended: str | None,
    took: str | None,
    status: str | None,
    settings: Sequence[str],
    metrics: Sequence[str],
    tags: Mapping[str, str],
    notes: str | None,
    saves: Sequence[str],
    error: str | None,
    exit_code: int | None,
    cli: str | None,
    commit: str | None,
    hostname: str | None,
    parent: str | None,
) -> None:
    """Record a past run of EXPERIMENT, and print its reference.

    Times are local unless they have a time zone: 2025-03-01, '2025-03-01 10:30',
    2025-03-01T10:30:00Z, '3 days ago'. The run gets the next number of its experiment.

    \b
    runstore record mnist --started '2025-03-01 10:30' --took 2h --set lr=0.1 --metric acc=0.93
    runstore record mnist --started yesterday --status error --error 'out of memory'
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.runner import overrides

    if ended is not None and took is not None:
        raise UsageError(
            "--ended and --took both set the end.", kept=_NOTHING, hint="Use one of them."
        )
    begin = _moment(started, "--started")
    end = None if ended is None else _moment(ended, "--ended")
    numbers = dict(_number(one) for one in metrics)
    with open_store(create=True) as store:
        run = store.record(
            experiment,
            started_at=begin,
            ended_at=end if took is None else begin + duration(took, "--took", kept=_NOTHING),
            status=status,
            params=overrides.built(settings) if settings else None,
            metrics=numbers,
            tags=tags,
            notes=notes,
            artifacts={own_name(path, _SAVE_LATER): Path(path) for path in saves},
            error=error,
            exit_code=exit_code,
            cli=cli,
            commit=commit,
            hostname=hostname,
            parent=None if parent is None else one_run(store, parent).uid,
        )
    say(run.reference)


def _moment(text: str, option: str) -> datetime:
    try:
        return moment(text, datetime.now(timezone.utc)).begin
    except (ValueError, OverflowError):
        raise UsageError(
            f"{option}: {text!r:.60} is not a date or time.",
            kept=_NOTHING,
            hint="Write '2025-03-01', '2025-03-01 10:30', '2025-03-01T10:30:00Z' or '3 days ago'.",
        ) from None


def _number(text: str) -> tuple[str, float]:
    key, _, value = text.rpartition("=")
    try:
        return key, float(value)
    except ValueError:
        raise UsageError(
            f"--metric: expected KEY=NUMBER, got {text!r:.60}.",
            kept=_NOTHING,
            hint="Write for example: --metric acc=0.93",
        ) from None
