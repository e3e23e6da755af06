"""Previews of artifacts: the type of the contents, and their beginning.

The type is detected from the contents, regardless of name and media type: a file that only claims
to be a picture is not shown as one.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from itertools import islice
from typing import Any, BinaryIO

from runstore.errors import NotFoundError, genuine
from runstore.model.artifacts import UNKNOWN_TYPE, Artifact, is_text_type
from runstore.model.display.formatting import cropped
from runstore.model.display.suggestions import hint_of
from runstore.model.run import Run
from runstore.model.values import clean_text
from runstore.storage.backend import Backend
from runstore.value_classes import dataclass

ROWS_AT_MOST = 200
_COLUMNS_AT_MOST = 200
_CELL_CHARACTERS = 500
_TEXT_BYTES = 1 << 18
_TABLE_BYTES = 1 << 22  # of a csv file, which has no index
_JSON_BYTES = 1 << 21
# Magic bytes of file formats. Source: the specifications of the formats.
_MAGIC: tuple[tuple[bytes, int, bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", 0, b"", "image/png"),
    (b"\xff\xd8\xff", 0, b"", "image/jpeg"),
    (b"GIF87a", 0, b"", "image/gif"),
    (b"GIF89a", 0, b"", "image/gif"),
    (b"RIFF", 8, b"WEBP", "image/webp"),
    (b"BM", 6, b"\0\0\0\0", "image/bmp"),
    (b"", 4, b"ftypavif", "image/avif"),
    (b"RIFF", 8, b"WAVE", "audio/wav"),
    (b"ID3", 0, b"", "audio/mpeg"),
    (b"OggS", 0, b"", "audio/ogg"),
    (b"fLaC", 0, b"", "audio/flac"),
    (b"", 4, b"ftyp", "video/mp4"),
    (b"\x1aE\xdf\xa3", 0, b"", "video/webm"),
    (b"%PDF-", 0, b"", "application/pdf"),
    (b"PAR1", 0, b"", "application/vnd.apache.parquet"),
    (b"ARROW1", 0, b"", "application/vnd.apache.arrow.file"),
)
_MAGIC_BYTES, _TOLD_BY_BYTES = 32, 1 << 12
_DELIMITERS = {"text/csv": ",", "text/tab-separated-values": "\t"}
_PARQUET = "application/vnd.apache.parquet"
_COLUMNAR = {_PARQUET, "application/vnd.apache.arrow.file"}
_NOT_SHOWN = "Files of this kind are not shown here; download it to open it."
# Maximum size to unpack for a preview.
_COLUMNAR_BYTES, _ROW_GROUP_BYTES = 1 << 30, 1 << 29
SVG, HTML = "image/svg+xml", "text/html"
_TEXTS = {SVG: "svg", HTML: "html", "text/markdown": "markdown"}
_OBJECTS = {"application/json", "application/x-ipynb+json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """A preview of an artifact.

    Attributes:
        kind: `image`, `audio`, `video`, `svg`, `html`, `table`, `json`, `markdown`, `text`,
            or `none` if it cannot be shown.
        media_type: The type of the contents.
        text: The beginning of a text; empty for other kinds.
        columns: The names of a table's columns.
        rows: Its first rows.
        row_count: The number of its rows; None if unknown.
        column_count: The number of its columns.
        is_cut: Whether there is more.
        why: The reason if it cannot be shown; else empty.
    """

    kind: str
    media_type: str
    text: str = ""
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[Any, ...], ...] = ()
    row_count: int | None = None
    column_count: int = 0
    is_cut: bool = False
    why: str = ""


def type_by_contents(file: BinaryIO, artifact: Artifact) -> str:
    """Return the type of contents by their magic bytes, or text, or unknown.

    The file is at its beginning before and afterwards.
    """
    begin = file.read(_MAGIC_BYTES)
    file.seek(0)
    for first, at, then, media_type in _MAGIC:
        if begin.startswith(first) and begin[at : at + len(then)] == then:
            return media_type
    some = file.read(_TOLD_BY_BYTES)
    file.seek(0)
    if b"\0" in some:
        return UNKNOWN_TYPE
    named = artifact.media_type.partition(";")[0].strip().lower()
    # A table may have an encoding other than UTF-8; files without such a name must be text.
    if is_text_type(named):
        return named
    return "text/plain" if _is_utf8(some) else UNKNOWN_TYPE


def _is_utf8(some: bytes) -> bool:
    try:
        some.decode()
    except UnicodeDecodeError as error:
        return error.start > len(some) - 4  # a letter may be cut at the end
    return True


def artifact_named(run: Run, path: str) -> Artifact:
    """Return an artifact of a run by its path.

    Raises:
        NotFoundError: The run has no such artifact.
    """
    known = run.artifacts
    if path not in known:
        hint = hint_of(path, known, who="It has", most=10)
        raise NotFoundError(f"{run.reference} has no artifact {path!r:.200}.", hint=hint)
    return known[path]


def look_at(backend: Backend, artifact: Artifact) -> Look:
    """Return a preview of an artifact.

    Raises:
        NotFoundError: The contents are missing.
        StoreCorruptError: The contents were changed or damaged.
    """
    with backend.objects.opened(artifact.digest, artifact.size_bytes) as file:
        media_type = type_by_contents(file, artifact)
        if media_type in _COLUMNAR:
            return _columnar(backend, artifact, file, media_type)
        if media_type in _DELIMITERS:
            return _csv(file, artifact, media_type)
        if media_type in _OBJECTS and artifact.size_bytes <= _JSON_BYTES:
            return _json(file, artifact, media_type)
        return _shown_as_it_is(file, artifact, media_type)


def _shown_as_it_is(file: BinaryIO, artifact: Artifact, media_type: str) -> Look:
    group = media_type.partition("/")[0]
    if media_type in _TEXTS or is_text_type(media_type):
        return _text(file, artifact, _TEXTS.get(media_type, "text"), media_type)
    if group in {"image", "audio", "video"}:
        return Look(kind=group, media_type=media_type)
    return Look(kind="none", media_type=media_type, why=_NOT_SHOWN)


def _text(file: BinaryIO, artifact: Artifact, kind: str, media_type: str) -> Look:
    text = clean_text(file.read(_TEXT_BYTES).decode(errors="replace"))
    is_cut = artifact.size_bytes > _TEXT_BYTES
    return Look(kind=kind, media_type=media_type, text=text, is_cut=is_cut)


def _json(file: BinaryIO, artifact: Artifact, media_type: str) -> Look:
    text = file.read().decode(errors="replace")
    try:
        # Numbers are shown as written: 1.0 is not 1, and 64-bit integers are exact.
        value = json.loads(text, parse_float=_Literal, parse_int=_Literal, parse_constant=_Literal)
        text = _indented(value)
    except (ValueError, RecursionError):
        file.seek(0)
        return _text(file, artifact, "text", "text/plain")
    text = clean_text(text)
    is_cut = len(text) > _TEXT_BYTES
    return Look(kind="json", media_type=media_type, text=text[:_TEXT_BYTES], is_cut=is_cut)


class _Literal(str):
    """A number as written."""

    __slots__ = ()


def _indented(value: Any, indent: str = "") -> str:
    inner = f"{indent}  "
    if isinstance(value, _Literal):
        return str(value)
    if isinstance(value, dict) and value:
        pairs = (
            f"{inner}{json.dumps(key, ensure_ascii=False)}: {_indented(one, inner)}"
            for key, one in value.items()
        )
        return "{\n" + ",\n".join(pairs) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        if not any(isinstance(one, (dict, list)) for one in value):
            return "[" + ", ".join(map(_indented, value)) + "]"
        items = (f"{inner}{_indented(one, inner)}" for one in value)
        return "[\n" + ",\n".join(items) + f"\n{indent}]"
    return json.dumps(value, ensure_ascii=False)


def _csv(file: BinaryIO, artifact: Artifact, media_type: str) -> Look:
    is_cut = artifact.size_bytes > _TABLE_BYTES
    text = file.read(_TABLE_BYTES).decode(errors="replace").removeprefix("\ufeff")
    lines = text.splitlines(keepends=True)
    lines = lines[:-1] if is_cut else lines
    try:
        found = csv.reader(
            (one.replace("\0", "\ufffd") for one in lines), delimiter=_DELIMITERS[media_type]
        )
        header = next(found, [])
        rows = list(islice(found, ROWS_AT_MOST))
        more = sum(1 for _ in found)
    except csv.Error:
        file.seek(0)
        return _text(file, artifact, "text", "text/plain")
    count = None if is_cut else len(rows) + more
    return _table(media_type, header, rows, count, is_cut=is_cut or more > 0)


def _columnar(backend: Backend, artifact: Artifact, file: BinaryIO, media_type: str) -> Look:
    """Return the first rows of a file that pyarrow can read, or of a saved preview."""
    try:
        import pyarrow as pa
    except ImportError:
        return _from_preview(backend, artifact, media_type)
    read = _parquet if media_type == _PARQUET else _arrow
    try:
        if artifact.size_bytes > _COLUMNAR_BYTES:
            return _from_preview(backend, artifact, media_type)
        rows, columns, count = read(file)
    # The errors that it raises for invalid files.
    except genuine(
        pa.ArrowException,
        ArithmeticError,
        LookupError,
        MemoryError,
        OSError,
        NotImplementedError,
        TypeError,
        ValueError,
    ) as error:
        why = f"The file could not be read as a table ({type(error).__name__})."
        return Look(kind="none", media_type=media_type, why=why)
    is_cut = count is None or count > len(rows)
    return _table(media_type, columns, rows, count, is_cut=is_cut)


def _parquet(file: BinaryIO) -> tuple[list[list[Any]], list[str], int | None]:
    from pyarrow import parquet

    source = parquet.ParquetFile(file)
    names = list(source.schema_arrow.names)
    if source.metadata.num_row_groups and (
        source.metadata.row_group(0).total_byte_size > _ROW_GROUP_BYTES
    ):
        raise MemoryError
    shown = names[:_COLUMNS_AT_MOST]
    batch = next(source.iter_batches(ROWS_AT_MOST, columns=shown), None)
    return _rows_of(batch), names, source.metadata.num_rows


def _arrow(file: BinaryIO) -> tuple[list[list[Any]], list[str], int | None]:
    from pyarrow import ipc

    source = ipc.open_file(file)
    count = source.num_record_batches
    batch = source.get_batch(0) if count else None
    rows = 0 if batch is None else batch.num_rows
    first = None if batch is None else batch.slice(0, ROWS_AT_MOST)
    return _rows_of(first), list(source.schema.names), rows if count <= 1 else None


def _rows_of(batch: Any) -> list[list[Any]]:
    if batch is None:
        return []
    columns = [one.to_pylist() for one in batch.columns[:_COLUMNS_AT_MOST]]
    return [list(row) for row in zip(*columns, strict=True)]


def _from_preview(backend: Backend, artifact: Artifact, media_type: str) -> Look:
    kept = backend.artifacts.preview_of(artifact.digest)
    if kept is None or kept.media_type != "application/json":
        why = "Tables of this kind are shown if pyarrow is installed: pip install pyarrow"
        return Look(kind="none", media_type=media_type, why=why)
    try:
        table = json.loads(kept.body)
        columns, rows, count = table["columns"], table["rows"], table["row_count"]
        return _table(media_type, columns, rows, count, is_cut=True)
    except (ValueError, TypeError, LookupError, RecursionError):
        why = "The preview of this table is damaged."
        return Look(kind="none", media_type=media_type, why=why)


def _table(
    media_type: str,
    columns: Sequence[Any],
    rows: Sequence[Sequence[Any]],
    count: int | None,
    *,
    is_cut: bool,
) -> Look:
    return Look(
        kind="table",
        media_type=media_type,
        columns=tuple(_cell_text(one) for one in columns[:_COLUMNS_AT_MOST]),
        rows=tuple(tuple(_cell(one) for one in row[:_COLUMNS_AT_MOST]) for row in rows),
        row_count=count,
        column_count=len(columns),
        is_cut=is_cut,
    )


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, int) and abs(value) < 2**53:
        return value
    return _cell_text(value)


def _cell_text(value: Any) -> str:
    return cropped(clean_text(str(value)), _CELL_CHARACTERS)
