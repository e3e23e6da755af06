"""runstore output: show the output of a run."""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator

import click

from runstore.cli import output
from runstore.cli.context import for_this_store, open_store
from runstore.cli.options import run_argument
from runstore.cli.words import one_run
from runstore.model.display.as_json import as_utc
from runstore.model.run import Run
from runstore.model.text.output import LOGGING, SEQUENCE, STDERR, STDOUT, OutputLine
from runstore.store import Store

_POLL_S = 0.25


@click.command(short_help="Show the output of a run.")
@run_argument(default="latest")
@click.option("-f", "--follow", is_flag=True, help="Print new lines until the run ends.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0),
    metavar="N",
    help="Number of lines to print from the end (default: all).",
)
@click.option("-t", "--times", is_flag=True, help="Print the time before each line.")
@click.option(
    "--stream",
    type=click.Choice([STDOUT, STDERR, LOGGING]),
    help="Stream to print (default: all).",
)
@click.option("--json", "as_json", is_flag=True, help="JSON output, one object per line.")
def command(
    run: str, lines: int | None, stream: str | None, *, follow: bool, times: bool, as_json: bool
) -> None:
    """Show the output of RUN (default: the newest run).

    Lines of stdout, stderr and the logging module are in the order in which they were printed;
    progress bars are reduced to their final state. In a pipe, colours are removed.

    \b
    runstore output
    runstore output mnist#7 -n 20
    runstore output -f
    """  # noqa: D301 - click keeps lines after the mark as they are
    show = _Shown(with_times=times, as_json=as_json)
    with open_store() as store:
        found = one_run(store, run)
        if follow:
            _follow(store, found.uid, show, stream, lines)
            return
        chosen: Iterable[OutputLine] = _of(found.output, stream)
        if lines is not None:
            chosen = deque(chosen, maxlen=min(lines, sys.maxsize))
        is_empty = True
        for line in chosen:
            show.line(line)
            is_empty = False
        if is_empty and not as_json:
            _say_nothing_kept(found)


def _say_nothing_kept(run: Run) -> None:
    so_far = " so far" if run.ended_at is None else ""
    hint = (
        for_this_store(f"Show its error with: runstore show {run.reference}")
        if run.error
        else "It printed nothing, or its output was not recorded. Scripts record theirs unless"
        " it is turned off; for other programs, use: runstore exec -- PROGRAM"
    )
    output.say(f"runstore: no output of {run.reference} is kept{so_far}. {hint}", err=True)


def _of(lines: Iterable[OutputLine], stream: str | None) -> Iterator[OutputLine]:
    return (line for line in lines if stream is None or line.stream == stream)


def _follow(store: Store, uid: str, show: _Shown, stream: str | None, lines: int | None) -> None:
    from runstore.reading.following import Follower

    follower = Follower(store.backend, uid)
    is_first = True
    while True:
        whole, last, has_ended = follower.poll()
        if is_first and not whole and last is None and not show.as_json:
            _say_nothing_kept(store.get(uid))
        chosen = list(_of(whole, stream))
        if is_first and lines is not None:
            chosen = chosen[-lines:] if lines else []
        is_first = False
        for line in chosen:
            show.line(line)
        if has_ended:
            if last is not None and last in _of([last], stream):
                show.line(last)
            follower.close()
            return
        if last is not None and (stream is None or last.stream == stream):
            show.open_line(last)
        time.sleep(_POLL_S)


class _Shown:
    """Prints lines, and on a terminal also the unfinished last line."""

    def __init__(self, *, with_times: bool, as_json: bool) -> None:
        self._with_times = with_times
        self.as_json = as_json
        self._has_open = False

    def line(self, line: OutputLine) -> None:
        """Print a complete line."""
        if self._has_open:
            output.say_over("")
            self._has_open = False
        if self.as_json:
            output.print_json_line(
                {"at": as_utc(line.at), "stream": line.stream, "text": line.text}
            )
        else:
            output.say_coloured(self._text(line))

    def open_line(self, line: OutputLine) -> None:
        """Show an unfinished line, if it can be overwritten later."""
        if self.as_json or not output.is_terminal():
            return
        import shutil

        text = self._text(line)[: shutil.get_terminal_size().columns - 1]
        output.say_over(text)
        self._has_open = True

    def _text(self, line: OutputLine) -> str:
        text = shown_text(line.text)
        if not self._with_times:
            return text
        at = line.at.astimezone()
        return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} {line.stream:7} {text}"


def shown_text(text: str) -> str:
    """Return a line without control characters, and with colours only if the terminal has them."""
    keeps_colours = output.is_terminal() and output.console().color_system is not None
    if not keeps_colours:
        return output.terminal_safe(SEQUENCE.sub("", text))
    return output.coloured(SEQUENCE.sub(lambda one: one[0] * output.is_colour(one[0]), text))
