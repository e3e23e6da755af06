"""Small previews of artifacts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

from runstore.errors import attempt
from runstore.model.artifacts import Preview, is_text_type
from runstore.model.display.formatting import cropped

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BODY_BYTES = 1 << 16
_TEXT_BYTES = 4096
_ROWS = 20
_COLUMNS = 50
_CELL_CHARACTERS = 80
_THUMBNAIL_PIXELS = 320
# The rows of larger tables are not counted.
_COUNTED_BYTES = 1 << 26


def preview_of(path: Path, media_type: str, thing: Any = None) -> Preview | None:
    """Return a preview of a file that an object may have been written to, or None."""

    def made() -> Preview | None:
        is_pixels = media_type.startswith("image/") and hasattr(thing, "shape")
        found = (None if is_pixels else _of_thing(thing)) or _of_file(path, media_type)
        return found if found is not None and len(found.body) <= _BODY_BYTES else None

    # A preview must never fail a run: if a library raises, there is none.
    return attempt(made, lambda _: None)


def _of_file(path: Path, media_type: str) -> Preview | None:
    if media_type in {"text/csv", "text/tab-separated-values"}:
        return _of_csv(path, "\t" if media_type.startswith("text/tab") else ",")
    if media_type == "image/svg+xml" and path.stat().st_size <= _BODY_BYTES:
        return Preview(media_type=media_type, body=path.read_bytes())
    if media_type.startswith("image/"):
        return _of_image(path, media_type)
    if is_text_type(media_type):
        return _of_text(path)
    return None


def _of_text(path: Path) -> Preview | None:
    with path.open("rb") as file:
        begin = file.read(_TEXT_BYTES)
    if b"\0" in begin:
        return None
    return Preview(media_type="text/plain", body=begin.decode(errors="ignore").encode())


def _of_csv(path: Path, delimiter: str) -> Preview | None:
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        lines = csv.reader(file, delimiter=delimiter)
        header = next(lines, None)
        if header is None:
            return None
        rows = list(islice(lines, _ROWS))
        is_small = path.stat().st_size <= _COUNTED_BYTES
        count = len(rows) + sum(1 for _ in lines) if is_small else None
    return table(header, rows, count)


def _of_image(path: Path, media_type: str) -> Preview | None:
    try:
        from PIL import Image
    except ImportError:
        if path.stat().st_size > _BODY_BYTES:
            return None
        return Preview(media_type=media_type, body=path.read_bytes())
    with Image.open(path) as image:
        if max(image.size) <= _THUMBNAIL_PIXELS and path.stat().st_size <= _BODY_BYTES:
            return Preview(media_type=media_type, body=path.read_bytes())
        image.thumbnail((_THUMBNAIL_PIXELS, _THUMBNAIL_PIXELS))
        small = image if image.mode in {"RGB", "RGBA", "L"} else image.convert("RGBA")
        body = io.BytesIO()
        small.save(body, "PNG")
    return Preview(media_type="image/png", body=body.getvalue())


def _of_thing(thing: Any) -> Preview | None:
    package = type(thing).__module__.partition(".")[0]
    if package == "pandas":
        frame = thing.to_frame() if hasattr(thing, "to_frame") else thing
        head = frame.head(_ROWS)
        head = head if type(frame.index).__name__ == "RangeIndex" else head.reset_index()
        return table(list(map(str, head.columns)), head.values.tolist(), len(frame))
    if package == "polars":
        frame = thing.to_frame() if hasattr(thing, "to_frame") else thing
        return table(frame.columns, frame.head(_ROWS).rows(), len(frame))
    if package == "pyarrow":
        rows = [list(row.values()) for row in thing.slice(0, _ROWS).to_pylist()]
        return table(thing.column_names, rows, thing.num_rows)
    if package == "matplotlib" and hasattr(thing, "savefig"):
        body = io.BytesIO()
        width = max(float(thing.get_size_inches()[0]), 0.1)
        thing.savefig(body, format="png", dpi=_THUMBNAIL_PIXELS / width)
        return Preview(media_type="image/png", body=body.getvalue())
    if package in {"numpy", "torch"} and hasattr(thing, "shape"):
        dtype = str(thing.dtype).rpartition(".")[2]
        told = f"{dtype} array of shape {tuple(thing.shape)}\n{thing}"
        return Preview(media_type="text/plain", body=told.encode()[:_TEXT_BYTES])
    return None


def table(columns: Sequence[Any], rows: Sequence[Sequence[Any]], count: int | None) -> Preview:
    """Return the preview of a table; `count` is None if its rows were not counted."""
    body = {
        "columns": [_cell(name) for name in columns[:_COLUMNS]],
        "rows": [[_cell(one) for one in row[:_COLUMNS]] for row in rows],
        "column_count": len(columns),
        "row_count": count,
    }
    return Preview(media_type="application/json", body=json.dumps(body).encode())


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, int)):
        return value
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    return cropped(text, _CELL_CHARACTERS)
