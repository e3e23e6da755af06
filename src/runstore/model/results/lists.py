"""Lists returned by a store: tuples and dictionaries that are displayed as tables."""

from __future__ import annotations

from collections.abc import Sequence

from runstore.model.artifacts import Artifact, Input
from runstore.model.display.as_tables import DictTable, TupleTable
from runstore.model.display.formatting import local_time, number_text, size_text
from runstore.model.metrics import MetricSummary
from runstore.model.results.events import Event, edit_text
from runstore.model.results.experiments import Experiment


class Events(TupleTable[Event]):
    """Edits of a run."""

    noun = "edit"
    head = ("when", "who", "edit")

    def row(self, one: Event) -> Sequence[str]:
        """Return the cells of one edit."""
        undo = " (undo)" if one.undoes else ""
        return local_time(one.at), one.author, edit_text(one.field, one.old, one.new) + undo


class Experiments(TupleTable[Experiment]):
    """Experiments of a store."""

    noun = "experiment"
    head = ("experiment", "runs", "last run", "started")

    def row(self, one: Experiment) -> Sequence[str]:
        """Return the cells of one experiment."""
        started = "" if one.last_started_at is None else local_time(one.last_started_at)
        return one.name, f"{one.run_count:,}", f"{one.last_run_number}", started


class Inputs(TupleTable[Input]):
    """Data that a run read."""

    noun = "input"
    head = ("name", "size", "sha256", "place")

    def row(self, one: Input) -> Sequence[str]:
        """Return the cells of one input."""
        size = "" if one.size_bytes is None else size_text(one.size_bytes)
        place = one.location or ("" if one.source_uid is None else f"run {one.source_uid}")
        return one.name, size, (one.digest or "")[:12], place


class SavedFiles(DictTable[Artifact]):
    """Artifacts of a run by path."""

    noun = "artifact"
    head = ("path", "size", "type", "saved", "sha256")

    def row(self, name: str, one: Artifact) -> Sequence[str]:
        """Return the cells of one artifact."""
        size, saved = size_text(one.size_bytes), local_time(one.saved_at)
        return name, size, one.media_type, saved, one.digest[:12]


_METRIC = ("metric", "last", "min", "max", "mean", "points")


class Summaries(TupleTable[MetricSummary]):
    """Summaries of the metrics of a run."""

    noun = "metric"
    head = _METRIC

    def row(self, one: MetricSummary) -> Sequence[str]:
        """Return the cells of one metric."""
        return _cells(one.key if one.set_name is None else f"{one.set_name}/{one.key}", one)


class MetricsByName(DictTable[MetricSummary]):
    """Summaries of the metrics of a run by name."""

    noun = "metric"
    head = _METRIC

    def row(self, name: str, one: MetricSummary) -> Sequence[str]:
        """Return the cells of one metric."""
        return _cells(name, one)

    def _repr_html_(self) -> str:
        """Return the HTML for notebooks, which call this method."""
        from runstore.model.display.series_html import metrics_html

        return metrics_html(self) if self else super()._repr_html_()


def _cells(name: str, one: MetricSummary) -> tuple[str, ...]:
    numbers = map(number_text, (one.last, one.min, one.max, one.mean))
    return name, *numbers, f"{one.count:,}"
