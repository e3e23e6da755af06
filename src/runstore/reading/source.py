"""The source of a run's metrics, artifacts and output."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from os import PathLike
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from runstore.errors import StoreError
from runstore.storage.backend import Backend

if TYPE_CHECKING:
    from runstore.artifacts.reading import Reading
    from runstore.model.artifacts import Artifact, Input
    from runstore.model.metric_directions import Direction
    from runstore.model.metrics import MetricSummary, Series
    from runstore.model.outline import SeriesOutline
    from runstore.model.run import Run
    from runstore.model.text.kept_output import Output


class Source:
    """Reads the data of runs in one store; see `model.run.RunSource`."""

    def __init__(self, backend: Backend) -> None:
        self.backend = backend

    def metrics_of(self, run: Run) -> tuple[MetricSummary, ...]:
        """Return a summary of each series, without reading its points."""
        from runstore.model.metrics import summary_with
        from runstore.model.results.lists import Summaries
        from runstore.reading.metrics.summaries import summaries

        found = summaries(self.backend.metrics, self.backend.spool, run)
        return Summaries(
            summary_with(one, partial(self.series_of, run, one.key, one.set_name)) for one in found
        )

    def metrics_of_all(self, runs: Sequence[Run]) -> dict[str, tuple[MetricSummary, ...]]:
        """Return a summary of each series of many runs, by uid."""
        from runstore.reading.metrics.summaries import summaries_of_all

        return summaries_of_all(self.backend.metrics, self.backend.spool, runs)

    def changes_of_all(self, runs: Sequence[Run]) -> dict[str, str]:
        """Return a digest of the code of each run beyond its commit, by uid, if there is any."""
        from runstore.reading.details.recorded_code import changes_of_runs

        return changes_of_runs(self.backend, runs)

    def series_of(self, run: Run, key: str, set_name: str | None = None) -> Series:
        """Return the points of a metric, including the latest ones."""
        from runstore.model import arguments
        from runstore.reading.metrics.summaries import series

        key = arguments.text(key, "key", "val/loss")
        set_name = arguments.text_or_none(set_name, "set_name", "small")
        return series(self.backend.metrics, self.backend.spool, run, key, set_name)

    def outline_of(
        self,
        run: Run,
        key: str,
        set_name: str | None,
        stretches: int,
        x: str,
        begin: object,
        end: object,
    ) -> SeriesOutline:
        """Return the outline of a metric for a plot; see `Run.outline`."""
        from runstore.model import arguments
        from runstore.reading.metrics.outlines import outline, scope_of

        key = arguments.text(key, "key", "val/loss")
        set_name = arguments.text_or_none(set_name, "set_name", "small")
        return outline(self.backend, run, key, set_name, scope_of(stretches, x, begin, end))

    def last_values(self, runs: Sequence[Run]) -> dict[str, dict[tuple[str | None, str], float]]:
        """Return the last value of every metric of many runs; see `Store.last_values`."""
        from runstore.storage.metrics.last_values import last_values

        if self.backend.spool.point_files(is_to_take=True):
            from runstore.reading.metrics.summaries import refresh

            refresh(self.backend.metrics, self.backend.spool)
        return last_values(self.backend.database, [run.uid for run in runs])

    def namesakes_of(self, uids: Sequence[str]) -> dict[str, list[str]]:
        """Return the uids of other kept runs with the same number, by uid.

        Names are also printed about a store that is closed or cannot be read; without it, there
        are none.
        """
        with suppress(StoreError):
            return self.backend.database.namesakes(uids)
        return {}

    @property
    def _artifacts(self) -> Reading:
        from runstore.artifacts.reading import Reading

        return self.backend.part(Reading)

    def artifacts_of(self, run: Run) -> dict[str, Artifact]:
        """Return the artifacts by path."""
        from runstore.model.results.lists import SavedFiles

        return SavedFiles(self._artifacts.of_run(run))

    def inputs_of(self, run: Run) -> tuple[Input, ...]:
        """Return the declared inputs."""
        from runstore.model.results.lists import Inputs

        return Inputs(self.backend.artifacts.inputs_of(run.uid))

    def open_artifact(
        self, run: Run, path: str | Artifact | PathLike[str], mode: str, encoding: str | None
    ) -> IO[Any]:
        """Open the contents of an artifact; see `Run.open`."""
        return self._artifacts.open(run, path, mode, encoding)

    def download(
        self,
        run: Run,
        path: str | Artifact | PathLike[str] | None,
        to: str | PathLike[str],
        *,
        link: bool,
    ) -> tuple[Path, ...]:
        """Write artifacts to a folder; see `Run.download`."""
        return self._artifacts.download(run, path, to, link=link)

    def output_of(self, run: Run) -> Output:
        """Return the output."""
        from runstore.model.text.kept_output import Output
        from runstore.reading.output.whole import lines_of

        return Output(partial(lines_of, self.backend, run))

    def html_of(self, run: Run) -> str:
        """Return a run as HTML for a notebook."""
        from runstore.reading.shown.run import run_html

        return run_html(run)

    def text_of_output(self, run: Run) -> str | None:
        """Return the whole output as one text; None if there is none."""
        from runstore.reading.output.whole import text_of

        return text_of(self.backend, run)

    def document(self, run: Run, name: str) -> str | None:
        """Return a captured text, such as `packages`; None if there is none."""
        return self.backend.database.document(run.uid, name)

    def directions(self) -> dict[str, Direction]:
        """Return the saved directions of metrics."""
        from runstore.reading.directions import Directions

        return dict(Directions(self.backend))
