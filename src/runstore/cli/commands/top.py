"""runstore top: running and recent runs in a full-screen view."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import click

from runstore.cli.context import open_store
from runstore.cli.exit_codes import BUG
from runstore.cli.options import limit_option
from runstore.cli.top import app_class
from runstore.cli.top.data.runs import runs_shown
from runstore.cli.words import filter_text as filter_of
from runstore.errors import UsageError
from runstore.model.arguments import PAGE_LIMIT

_BY_SIGNAL = 128


@click.command(short_help="Watch runs in a full-screen view.")
@click.argument("filter_text", metavar="[FILTER]", default="")
@limit_option("Maximum number of runs to read, newest first.", default=100, most=PAGE_LIMIT)
@click.option(
    "--refresh",
    "refresh_s",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0.1, 3600),
    metavar="SECONDS",
    help="Pause between updates; longer if reading is slow.",
)
def command(filter_text: str, limit: int, refresh_s: float) -> int:
    """Watch running and recent runs in a full-screen view: all, or those that match FILTER.

    \b
    runstore top
    runstore top "status = running and metrics.loss < 0.5"
    runstore top warmup -n 500

    FILTER is a filter as in `runstore ls`, @NAME for a saved filter, or a text to search in name,
    status, notes and parameters. The keys are listed at the bottom; q quits.
    """  # noqa: D301 - click keeps lines after the mark as they are
    kind = app_class()
    _check_terminal()
    with open_store() as store:
        wanted = filter_of(store, filter_text)
        runs_shown(store, wanted, 1)  # a wrong filter ends here, on a readable screen
        app = kind(store, limit=limit, refresh_s=refresh_s, filter_text=wanted)
        with _warnings_shown_afterwards():
            try:
                app.run()
            finally:
                app.close()
    ended = app.return_code or 0
    return ended if ended == 0 or ended > _BY_SIGNAL else BUG


def _check_terminal() -> None:
    # Textual draws on stderr, and reads keys from stdin.
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream is not None and stream.isatty() for stream in streams):
        raise UsageError(
            "runstore top fills the screen of a terminal, and there is no terminal here.",
            hint="For a list in a pipe or a file: runstore ls",
        )


@contextmanager
def _warnings_shown_afterwards() -> Iterator[None]:
    """Keep warnings until the screen is free again; show each of them once."""
    kept: dict[str, tuple[Any, ...]] = {}
    show = warnings.showwarning

    def keep(message: Any, category: Any, *rest: Any, **more: Any) -> None:  # noqa: ARG001 - as called
        kept.setdefault(str(message), (message, category, *rest))

    warnings.showwarning = keep
    try:
        yield
    finally:
        warnings.showwarning = show
        for one in kept.values():
            show(*one)
