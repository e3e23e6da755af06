"""Sentences about earlier runs: the same run and its result, and the nearest one."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from runstore.analysis.compare.texts import texts_of
from runstore.model.display.formatting import cropped, duration_text
from runstore.model.display.short_names import short_name
from runstore.model.run import start_text

if TYPE_CHECKING:
    from runstore.analysis.compare.differences import Difference
    from runstore.model.run import Run

_METRICS_SHOWN = 3
_DIFFERENCES_SHOWN = 3
_NAMES_SHOWN = 3
_VALUE_WIDTH = 40
_SYSTEM = "system/"  # metrics that a sampler of the machine logs


def done_text(run: Run) -> str:
    """Return a sentence about an identical earlier run, with its time and result."""
    return f"{run.reference} is an identical run of {start_text(run)}: {result_text(run)}."


def result_text(run: Run) -> str:
    """Return how a run ended: `complete in 3.2 s, acc=0.93 loss=0.31`."""
    took = "" if run.duration is None else f" in {duration_text(run.duration)}"
    last = {
        key: one.last
        for key, one in run.metrics.items()
        if not key.startswith(_SYSTEM) and not math.isnan(one.last)
    }
    shown = " ".join(f"{key}={value:.4g}" for key, value in list(last.items())[:_METRICS_SHOWN])
    more = " …" if len(last) > _METRICS_SHOWN else ""
    return f"{run.status_text}{took}" + (f", {shown}{more}" if shown else "")


def running_text(run: Run) -> str:
    """Return a sentence about an identical active run."""
    host = f" on {run.hostname}" if run.hostname else ""
    return f"{run.reference} is an identical run, active{host} since {start_text(run)}."


def unchecked_text(names: tuple[str, ...]) -> str:
    """Return which data was not looked at; empty without any."""
    if not names:
        return ""
    more = ", …" if len(names) > _NAMES_SHOWN else ""
    return f"Whether these changed is not known: {', '.join(names[:_NAMES_SHOWN])}{more}."


def untold_text(why: str) -> str:
    """Return a sentence with the reason that earlier runs cannot be recognized."""
    return f"Earlier runs cannot be recognized, so this one is run: {why}."


def near_text(run: Run, found: tuple[Difference, ...], unknown: tuple[str, ...]) -> str:
    """Return an earlier run in a line: `mnist#7 (complete), differs in lr: 0.1 → 0.01`."""
    parts = [f"{short_name(run)} ({run.status_text})"]
    if found:
        parts.append(f"differs in {differences_text(found)}")
    elif not unknown:
        parts.append("no difference counts")
    parts += unknown[:_NAMES_SHOWN]
    return "; ".join(parts)


def differences_text(found: tuple[Difference, ...], *, is_whole: bool = False) -> str:
    """Return differences in a line: `lr: 0.1 → 0.01, code.commit: 3f2a… → 88ac…`.

    Args:
        found: The differences.
        is_whole: Whether to return all of them, with all of their values.
    """
    if is_whole:
        return ", ".join(difference_text(one, width=None) for one in found)
    shown = [difference_text(one) for one in found[:_DIFFERENCES_SHOWN]]
    more = len(found) - _DIFFERENCES_SHOWN
    return ", ".join(shown) + (f", and {more} more" if more > 0 else "")


def difference_text(one: Difference, *, width: int | None = _VALUE_WIDTH) -> str:
    """Return a difference in a line: `lr: 0.1 → 0.01`, its values cut if there is a width."""
    name = one.key if one.section in {"params", "inputs"} else one.name
    old, new = (_cut(text, width) for text in texts_of(one))
    return f"{name}: {old} → {new}" if old != new else name


def _cut(text: str, width: int | None) -> str:
    line = " ".join(text.split())
    return line if width is None else cropped(line, width)
