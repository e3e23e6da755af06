"""Contents of untrusted files, sent so that they cannot script the page."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from http import HTTPStatus
from typing import BinaryIO
from urllib.parse import quote

from runstore.web.encoding import Answer, is_among
from runstore.web.errors import Refusal

_SENT_BYTES = 1 << 18
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_NOT_IN_NAMES = re.compile(r"[^\w.+@ -]", re.ASCII)
_SOURCES = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; media-src data:;"
    " font-src data:; frame-ancestors 'self'"
)
# No script, no request, no form, and an origin of its own, whatever they hold.
POLICY = f"sandbox; {_SOURCES}"
PROTECTED = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
}
# Interactive figures, if somebody asks for one: scripts within the file itself, and still no
# request and no access to the page. Browsers may look up the name of a host that a script asks
# for before they refuse it, so scripts wait for a click. A frame can only go to addresses that
# the page allows, and none elsewhere is; a window of its own could go to any.
EXECUTED = {
    **PROTECTED,
    "Content-Security-Policy": (
        "sandbox allow-scripts; script-src 'unsafe-inline' 'unsafe-eval' blob: data:;"
        " worker-src blob:; base-uri 'none'; form-action 'none';"
        f" {_SOURCES.replace('img-src data:', 'img-src data: blob:')}"
    ),
    "X-DNS-Prefetch-Control": "off",
    # Nothing else may get these headers from a cache.
    "Cache-Control": "no-store",
}
# What a browser shows without executing it. Every other file is saved, not shown.
SHOWN_TYPES = frozenset(
    {
        "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "image/avif",
        "image/svg+xml", "text/html", "audio/wav", "audio/mpeg", "audio/ogg", "audio/flac",
        "video/mp4", "video/webm", "text/plain",
    }
)  # fmt: skip


def attachment(name: str) -> dict[str, str]:
    """Return the headers of a file that the browser saves under a name."""
    plain = _NOT_IN_NAMES.sub("_", name)
    value = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
    return {**PROTECTED, "Content-Disposition": value}


def contents(
    file: BinaryIO,
    size: int,
    *,
    digest: str,
    media_type: str,
    name: str,
    is_saved: bool,
    is_executed: bool = False,
    asked: Mapping[str, str],
) -> Answer:
    """Return the contents of a file as an answer, or the range of them that was asked for.

    Args:
        file: The file, open; it is closed in the end.
        size: Its size.
        digest: The digest of its contents.
        media_type: Media type of the contents; see `SHOWN_TYPES`.
        name: Name of the saved file.
        is_saved: Whether the browser saves the file instead of showing it.
        is_executed: Whether its scripts run; only in a frame of the page.
        asked: Headers of the request.
    """
    is_framed = is_executed and asked.get("sec-fetch-dest") == "iframe"
    protected = EXECUTED if is_framed else PROTECTED
    headers = {**protected, "ETag": f'"{digest}"', "Accept-Ranges": "bytes"}
    media_type = media_type if media_type in SHOWN_TYPES else "application/octet-stream"
    if is_saved or media_type not in SHOWN_TYPES:
        headers |= attachment(name)
    if media_type.startswith("text/"):
        media_type += "; charset=utf-8"
    if is_among(asked.get("if-none-match", ""), headers["ETag"]):
        file.close()
        return Answer(b"", media_type, HTTPStatus.NOT_MODIFIED, headers)
    begin, end = 0, size
    status = HTTPStatus.OK
    if "range" in asked and asked.get("if-range", headers["ETag"]) == headers["ETag"]:
        try:
            found = _range_of(asked["range"], size)
        except Refusal:
            file.close()
            raise
        if found is not None:
            begin, end = found
            status = HTTPStatus.PARTIAL_CONTENT
            headers["Content-Range"] = f"bytes {begin}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - begin)
    return Answer(b"", media_type, status, headers, stream=_some(file, begin, end))


def _range_of(text: str, size: int) -> tuple[int, int] | None:
    """Return begin and end of a range; None for a range of another kind, which is not served."""
    found = _RANGE.fullmatch(text.strip())
    if found is None or found[1] == found[2] == "":
        return None
    if found[1] == "":
        begin, end = max(0, size - int(found[2])), size
    else:
        begin, end = int(found[1]), min(size, int(found[2] or size) + 1)
    if begin >= end:
        raise Refusal(
            HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
            "range",
            f"There is no such range in a file of {size:,} bytes.",
            headers={"Content-Range": f"bytes */{size}"},
        )
    return begin, end


def _some(file: BinaryIO, begin: int, end: int) -> Generator[bytes]:
    parts = _parts(file, begin, end)
    next(parts)  # from now on, whoever closes it closes the file
    return parts


def _parts(file: BinaryIO, begin: int, end: int) -> Generator[bytes]:
    with file:
        yield b""
        file.seek(begin)
        while begin < end and (data := file.read(min(_SENT_BYTES, end - begin))):
            yield data
            begin += len(data)
