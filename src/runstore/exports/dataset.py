"""Exporting runs to a dataset of Parquet files, of which later exports write the changed ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstore.errors import (
    ConflictError,
    StoreCorruptError,
    StoreError,
    StoreUnavailableError,
    UsageError,
    genuine,
    suppressed,
)
from runstore.exports.columns import METRICS, POINT, rows_of, run_columns, schema_of
from runstore.exports.files import written_aside
from runstore.exports.parts import DatasetPart, Manifest, parts_of
from runstore.extras import library
from runstore.reading.grid.order import run_order
from runstore.reading.liveness import settle_all
from runstore.reading.metrics.points import parts_by_points, read_points_of
from runstore.reading.metrics.summaries import refresh
from runstore.reading.names import as_now
from runstore.storage.files.locks import locked
from runstore.storage.query.states import RunState, RunStates
from runstore.storage.sqlite.paths import is_folder, mode_of
from runstore.value_classes import NamedTuple, dataclass

if TYPE_CHECKING:
    import pyarrow as pa

    from runstore.model.params.parameter_set import ParameterSet
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_PATIENCE_S = 1.0
_LOCK = "_runstore.lock"


class LeftOutSeries(NamedTuple):
    """A metric whose points cannot be read.

    Attributes:
        run: The reference of the run.
        metric: The key.
        reason: What is damaged, as a sentence.
    """

    run: str
    metric: str
    reason: str


@dataclass(frozen=True, slots=True)
class Exported:
    """The result of an export.

    Attributes:
        folder: The folder of the dataset.
        runs: Number of runs in the dataset.
        written: Number of files written, new or changed.
        unchanged: Number of files that were up to date.
        removed: Number of files removed, because their runs were deleted or moved.
        left_out: Damaged metrics, which are not in the dataset.
    """

    folder: Path
    runs: int
    written: int
    unchanged: int
    removed: int
    left_out: tuple[LeftOutSeries, ...] = ()


def export_dataset(
    backend: Backend,
    folder: Path,
    where: str = "",
    experiment: str | None = None,
    tell: Callable[[int, int], object] = lambda _done, _all: None,
) -> Exported:
    """Write a dataset; see `Store.export_parquet`."""
    library("pyarrow.parquet", "arrow")  # before anything is written
    _check_folder(backend, folder)
    settle_all(backend)
    refresh(backend.metrics, backend.spool)
    ids = set(run_order(backend, where, experiment).ids)
    states = RunStates(backend.database)
    parts = parts_of(states.of(ids))
    own_first = states.first_uid()
    about = {"store": own_first, "experiment": experiment, "filter": where}

    def is_ours(first: str) -> bool:
        # A store that received the runs has its own first run, which is not in the dataset.
        return states.has_run(first) and own_first in _uids(folder)

    with _naming_the_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
        manifest = Manifest(folder)
        manifest.check_place()
        with locked(folder / _LOCK, is_shared=False, patience_s=_PATIENCE_S):
            manifest.open(about, is_ours)
            outdated = [part for part in parts if not manifest.is_current(part)]
            left_out: list[LeftOutSeries] = []
            incomplete = []
            for done, part in enumerate(outdated):
                tell(done, len(outdated))
                if damaged := _write(backend, folder, part):
                    left_out += damaged
                    incomplete.append(part)
            tell(len(outdated), len(outdated))
            removed = manifest.close(parts, incomplete)
    written = sum(len(part.tables) for part in outdated)
    files = sum(len(part.tables) for part in parts)
    return Exported(folder, len(ids), written, files - written, removed, tuple(left_out))


@contextmanager
def _naming_the_folder(folder: Path) -> Iterator[None]:
    """Raise an error that names the folder if the disk refuses."""
    try:
        yield
    except StoreError:  # of the store, or another export to this folder
        raise
    except genuine(OSError) as error:
        raise StoreUnavailableError(
            f"The dataset cannot be written to {folder}: {error.strerror or error}.",
            kept="The store is unchanged, and so are the files of the dataset not yet written.",
            hint="Fix the cause, then export again: it continues from there.",
        ) from error


def _check_folder(backend: Backend, folder: Path) -> None:
    # `gc` removes files that it does not know from the store.
    if folder.resolve().is_relative_to(backend.path.resolve()):
        raise UsageError(
            f"{folder} is within the store.",
            kept="Nothing was written.",
            hint=f"Choose a folder outside of {backend.path}.",
        )
    if mode_of(folder) and not is_folder(folder):
        raise ConflictError(
            f"{folder} is not a folder.", kept="Nothing was written.", hint="Choose a new folder."
        )


def _uids(folder: Path) -> set[str]:
    """Return the uids of the runs in a dataset, except for those in damaged files."""
    parquet = library("pyarrow.parquet", "arrow")
    found: set[str] = set()
    for path in folder.glob("runs/*/*.parquet"):
        with path.open("rb") as file, suppressed(ValueError, OSError):
            columns = parquet.read_table(file, columns=["uid"]).to_pydict()
            found.update(columns.get("uid", ()))
    return found


def _write(backend: Backend, folder: Path, part: DatasetPart) -> list[LeftOutSeries]:
    """Write the files of a part, and return the metrics that cannot be read."""
    left_out: list[LeftOutSeries] = []
    if part.is_metrics:
        _write_table(folder, METRICS, part, _points(backend, part.states, left_out))
        return left_out
    for table, rows in rows_of(backend, _runs(backend, part.states)).items():
        _write_table(folder, table, part, iter([_as_arrow(table, rows)]))
    return left_out


def _write_table(
    folder: Path, table: str, part: DatasetPart, contents: Iterator[pa.Table]
) -> None:
    path = folder / table / part.name
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet = library("pyarrow.parquet", "arrow")
    with (
        written_aside(path) as aside,
        aside.open("wb") as file,  # pyarrow takes some names of files for URIs, and refuses others
        parquet.ParquetWriter(file, schema_of(table), compression="zstd") as writer,
    ):
        for one in contents:
            writer.write_table(one)


def _runs(backend: Backend, states: Sequence[RunState]) -> list[Run]:
    """Return the runs that are still there."""
    found = backend.database.runs_by_id([one.row_id for one in states])
    return list(as_now(backend, list(found.values())))


def _as_arrow(table: str, rows: Sequence[tuple[Any, ...]]) -> pa.Table:
    arrow, schema = library("pyarrow", "arrow"), schema_of(table)
    columns = zip(*rows, strict=True) if rows else [()] * len(schema)
    return arrow.table(
        [
            _array(arrow, values, column.type)
            for values, column in zip(columns, schema, strict=True)
        ],
        schema=schema,
    )


def _array(arrow: Any, values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    try:
        return arrow.array(values, kind)
    except UnicodeEncodeError:  # half of a character, from an imported file
        texts = [
            None if one is None else one.encode("utf-8", "replace").decode() for one in values
        ]
        return arrow.array(texts, kind)


class _ByUid(NamedTuple):
    """A run as `read_points_of` takes it, under a name that no other run has."""

    uid: str
    reference: str
    parameter_sets: tuple[ParameterSet, ...]


def _points(
    backend: Backend, states: Sequence[RunState], left_out: list[LeftOutSeries]
) -> Iterator[pa.Table]:
    """Yield the points of runs, in tables of about equal size; damaged metrics are left out."""
    arrow, schema = library("pyarrow", "arrow"), schema_of(METRICS)
    for some in parts_by_points(states, attrgetter("points")):
        runs = {run.uid: run for run in _runs(backend, some)}

        def leave_out(
            uid: str, key: str, error: StoreCorruptError, runs: Mapping[str, Run] = runs
        ) -> None:
            left_out.append(LeftOutSeries(runs[uid].reference, key, error.what))

        found = read_points_of(
            backend,
            [_ByUid(run.uid, run.uid, run.parameter_sets) for run in runs.values()],
            leave_out=leave_out,
        ).to_arrow()
        uids = found.column("run").combine_chunks()
        of_runs = [runs[uid] for uid in uids.dictionary.to_pylist()]
        columns = [
            *(
                _array(arrow, values, column.type).take(uids.indices)
                for values, column in zip(run_columns(of_runs), schema, strict=False)
            ),
            *(
                found.column(column.name).cast(column.type)
                for column in schema
                if column.name in POINT
            ),
        ]
        yield arrow.table(columns, schema=schema)
