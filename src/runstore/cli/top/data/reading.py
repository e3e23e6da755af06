"""Reading runs from a store that may disappear and return; made for a thread."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone

from runstore.cli.top.data.interest import interesting_metrics
from runstore.cli.top.data.machine import Machine
from runstore.cli.top.data.runs import runs_shown
from runstore.cli.top.texts import curve, parameter_texts
from runstore.errors import StoreCorruptError
from runstore.lasting import LastingStore
from runstore.model.metrics import MetricSummary
from runstore.model.run import Run
from runstore.model.status import Status
from runstore.value_classes import dataclass

CURVE_WIDTH = 8
_CURVE_STRETCHES = 50
_CURVES_S = 0.25  # of a refresh for drawing curves; the rest follow in the next one
_GROWTH = 1.02  # of a series before its sparkline is drawn again
_REMEMBERED = 5000

# The state of a run that has ended; a resumed run has another one.
Life = tuple[Status, "datetime | None"]


@dataclass(frozen=True, slots=True)
class Row:
    """One run as it is shown."""

    run: Run
    metrics: Mapping[str, MetricSummary]
    curves: Mapping[str, str]
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Runs as they were read at one moment.

    Attributes:
        rows: A row for each run, newest first.
        metric_keys: Metrics that have a column.
        at: Time of reading (UTC).
        hints: Sentences about names in the filter that no run has.
        machine: The load of this machine, in a line.
    """

    rows: tuple[Row, ...]
    metric_keys: tuple[str, ...]
    at: datetime
    hints: tuple[str, ...] = ()
    machine: str = ""


class Reader:
    """Reads runs; everything about finished runs is read once.

    One thread at a time.
    """

    def __init__(self, source: LastingStore, limit: int) -> None:
        self.source = source
        self.limit = limit
        self._machine = Machine()
        self._metrics: dict[str, tuple[Life, Mapping[str, MetricSummary]]] = {}
        self._parameters: dict[str, Mapping[str, str]] = {}
        self._curves: dict[tuple[str, str], tuple[Life, int, str]] = {}

    def read(self, filter_text: str, metric_keys: Sequence[str] | None = None) -> Snapshot:
        """Return the runs.

        Args:
            filter_text: A filter, or a text to search.
            metric_keys: Metrics that have a column; None for an automatic choice.

        Raises:
            UsageError: The filter has a mistake.
            StoreError: The store cannot be read now.
        """
        for known in (self._metrics, self._parameters, self._curves):
            if len(known) > _REMEMBERED:
                known.clear()
        with self.source.opened() as store:
            runs, hints = runs_shown(store, filter_text, self.limit)
            metrics = [self._metrics_of(run) for run in runs]
            keys = interesting_metrics(metrics) if metric_keys is None else tuple(metric_keys)
            self._draw_curves(runs, metrics, keys)
        rows = tuple(
            Row(run, summaries, self._curves_of(run, keys), self._parameters_of(run))
            for run, summaries in zip(runs, metrics, strict=True)
        )
        return Snapshot(rows, keys, datetime.now(timezone.utc), hints, self._machine.read())

    def close(self) -> None:
        """End the reading of the machine."""
        self._machine.close()

    def _metrics_of(self, run: Run) -> Mapping[str, MetricSummary]:
        life = (run.status, run.ended_at)
        known = self._metrics.get(run.uid)
        if known is not None and known[0] == life and run.status.is_final:
            return known[1]
        found = run.metrics
        self._metrics[run.uid] = life, found
        return found

    def _parameters_of(self, run: Run) -> Mapping[str, str]:
        if run.uid not in self._parameters:
            self._parameters[run.uid] = parameter_texts(run.parameter_sets)
        return self._parameters[run.uid]

    def _draw_curves(
        self,
        runs: Sequence[Run],
        metrics: Sequence[Mapping[str, MetricSummary]],
        keys: Sequence[str],
    ) -> None:
        deadline = time.monotonic() + _CURVES_S
        for run, summaries in zip(runs, metrics, strict=True):
            for key in keys:
                if time.monotonic() > deadline:
                    return
                if key in summaries:
                    self._draw_curve(run, key, summaries[key])

    def _draw_curve(self, run: Run, key: str, one: MetricSummary) -> None:
        life = (run.status, run.ended_at)
        known = self._curves.get((run.uid, key))
        if known is not None and known[0] == life and one.count < known[1] * _GROWTH:
            return
        text = ""
        if one.count > 1:
            with suppress(StoreCorruptError):  # the run has no sparkline then
                values = run.outline(one.key, one.set_name, stretches=_CURVE_STRETCHES).values
                text = curve(values, CURVE_WIDTH)
        self._curves[run.uid, key] = life, max(1, one.count), text

    def _curves_of(self, run: Run, keys: Sequence[str]) -> dict[str, str]:
        found = ((key, self._curves.get((run.uid, key))) for key in keys)
        return {key: known[2] for key, known in found if known is not None}
