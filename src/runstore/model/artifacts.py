"""Artifacts and inputs of runs, and rules for their names."""

from __future__ import annotations

import re
from datetime import datetime

from runstore.errors import InvalidValueError, genuine, shown
from runstore.model.values import clean_text
from runstore.value_classes import dataclass

PATH_LIMIT_BYTES = 1024
_PART_LIMIT_BYTES = 255  # limit of most file systems
_DRIVE = re.compile(r"[A-Za-z]:($|/)")
# Types that mimetypes lacks, or that depend on the machine.
_MEDIA_TYPES = {
    "arrow": "application/vnd.apache.arrow.file",
    "feather": "application/vnd.apache.arrow.file",
    "parquet": "application/vnd.apache.parquet",
    "npy": "application/x-npy",
    "npz": "application/x-npz",
    "pkl": "application/x-python-pickle",
    "pickle": "application/x-python-pickle",
    "joblib": "application/x-joblib",
    "pt": "application/x-pytorch",
    "pth": "application/x-pytorch",
    "safetensors": "application/x-safetensors",
    "onnx": "application/x-onnx",
    "h5": "application/x-hdf5",
    "hdf5": "application/x-hdf5",
    "ckpt": "application/octet-stream",
    "csv": "text/csv",
    "tsv": "text/tab-separated-values",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "ipynb": "application/x-ipynb+json",
    "md": "text/markdown",
    "toml": "application/toml",
    "yaml": "application/yaml",
    "yml": "application/yaml",
    "txt": "text/plain",
    "log": "text/plain",
    "py": "text/x-python",
    "svg": "image/svg+xml",
    "webp": "image/webp",
}
UNKNOWN_TYPE = "application/octet-stream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file that a run saved; equal contents are stored once.

    Attributes:
        run_uid: The run that saved it.
        path: Its name within the run, with `/` between folders.
        digest: SHA-256 of the contents, 64 hex digits.
        size_bytes: Size of the contents.
        media_type: Media type, e.g. `image/png`.
        saved_at: Time of saving (UTC).
    """

    run_uid: str
    path: str
    digest: str
    size_bytes: int
    media_type: str
    saved_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Input:
    """Data that a run read and that stays in its place.

    Attributes:
        name: Its name in the run; for a file, the path as it was passed.
        digest: SHA-256 of the contents; for a folder, of its list of files; None if unknown.
        size_bytes: Size of the contents; None if unknown.
        modified_at: Time of the file's last change (UTC); None if unknown.
        location: An absolute path or a URL; None for an artifact of another run.
        source_uid: The run that saved it; None if it was not saved by a run of this store.
        used_at: Time of use (UTC).
    """

    name: str
    digest: str | None
    size_bytes: int | None
    modified_at: datetime | None
    location: str | None
    source_uid: str | None
    used_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A small preview of contents.

    Attributes:
        media_type: `image/png` or another image type, `text/plain`, or `application/json` for the
            first rows of a table: `{"columns": [...], "rows": [[...]], "row_count": n}`.
        body: At most 64 KiB.
    """

    media_type: str
    body: bytes


def artifact_path(name: object) -> str:
    """Return the canonical spelling of an artifact's name: relative, with `/` between folders.

    Raises:
        InvalidValueError: It is empty, absolute, leads out of the run's folder, or is not a valid
            file name.
    """
    why = why_no_name(name)
    if why is not None:
        raise InvalidValueError(
            f"An artifact cannot be called {shown(name)}: it {why}.",
            kept="Nothing was saved.",
            hint=f"Use a relative path, such as {_example(name)}.",
        )
    return "/".join(_parts(str(name)))


def _example(name: object) -> str:
    """Return the last part of a name that is not valid as a whole, if that is valid."""
    last = _parts(name.replace("\\", "/"))[-1:] if isinstance(name, str) else []
    return last[0] if last and why_no_name(last[0]) is None else "plots/loss.png"


def why_no_name(name: object) -> str | None:
    """Return why a name is not valid for an artifact, to follow "it"; None if it is valid."""
    if not isinstance(name, str):
        return "is not text"
    parts = _parts(name)
    # The first true one is reported.
    reasons = {
        "contains characters that are not allowed in file names": clean_text(name) != name,
        "has a backslash; folders are divided by /": "\\" in name,
        "is absolute": name.startswith("/") or _DRIVE.match(name) is not None,
        "leads out of the run's folder": ".." in parts,
        "names no file": not parts or name.endswith("/"),
        f"has a part of more than {_PART_LIMIT_BYTES} bytes": any(
            _size(part) > _PART_LIMIT_BYTES for part in parts
        ),
        f"has more than {PATH_LIMIT_BYTES} bytes": _size("/".join(parts)) > PATH_LIMIT_BYTES,
    }
    return next((why for why, holds in reasons.items() if holds), None)


def _parts(name: str) -> list[str]:
    return [part for part in name.split("/") if part not in {"", "."}]


def _size(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


_TEXT_TYPES = frozenset(
    {
        "application/json", "application/jsonl", "application/toml", "application/yaml",
        "application/xml", "application/x-ipynb+json", "application/x-sh", "image/svg+xml",
    }
)  # fmt: skip


def is_text_type(media_type: str) -> bool:
    """Check whether contents of this type are readable text."""
    return media_type.startswith("text/") or media_type in _TEXT_TYPES


def media_type_of(path: str) -> str:
    """Return the media type for a name, from its suffix."""
    suffix = path.rpartition(".")[2].lower()
    if found := _MEDIA_TYPES.get(suffix):
        return found
    import mimetypes

    try:
        guessed, encoding = mimetypes.guess_type(path, strict=False)
    except genuine(OSError):  # without descriptors, the tables of the system cannot be read
        guessed, encoding = mimetypes.MimeTypes().guess_type(path, strict=False)
    return UNKNOWN_TYPE if guessed is None or encoding is not None else guessed
