"""Logging of texts, images and histograms at steps of a run."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from runstore.errors import (
    InvalidValueError,
    RunstoreError,
    StoreError,
    attempt,
    named_error,
    shown,
)
from runstore.model.artifacts import artifact_path
from runstore.model.logged.media import Histogram, media_in, media_path
from runstore.model.logged.values import metric_key, metric_step
from runstore.model.values import clean_text
from runstore.storage.sqlite.signals import Uninterrupted
from runstore.user_warnings import warn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.artifacts.saving import Saving

_SIGNATURES = {
    b"\x89PNG": ".png", b"\xff\xd8\xff": ".jpg", b"GIF8": ".gif", b"RIFF": ".webp",
    b"BM": ".bmp", b"<svg": ".svg", b"<?xml": ".svg",
}  # fmt: skip
# One for all runs: a run can be copied to another process, but a lock cannot. A finalizer
# that logs meanwhile may enter.
_COUNTING = threading.RLock()


class MediaLog:
    """Logs for one run."""

    def __init__(self, artifacts: Saving, uid: str, is_strict: Callable[[], bool]) -> None:
        self._artifacts = artifacts
        self._uid = uid
        self._is_strict = is_strict
        self._next_steps: dict[str, int] = {}

    def text(self, key: str, text: Any, step: int | None) -> None:
        """Log a text, or several."""
        self._log("text", key, text, step)

    def image(self, key: str, image: Any, step: int | None) -> None:
        """Log an image, or several."""
        self._log("image", key, image, step)

    def histogram(
        self, key: str, values: Any, step: int | None, bins: int | Sequence[float]
    ) -> None:
        """Log the histogram of values."""
        self._guarded("histogram", key, lambda: [_histogram(values, bins)], step)

    def _log(self, kind: str, key: str, given: Any, step: int | None) -> None:
        as_file = _text if kind == "text" else _image
        several = list(given) if isinstance(given, (list, tuple)) else [given]
        self._guarded(kind, key, lambda: [as_file(one) for one in several], step)

    def _guarded(self, kind: str, key: str, make: Any, step: int | None) -> None:
        """Log; a failure is a warning, or an error if the run is strict."""

        def save() -> RunstoreError | None:
            self._save(kind, metric_key(key), make(), step)
            return None

        error = attempt(save, _problem)
        if error is not None:
            if self._is_strict():
                raise error
            warn(f"The {kind} {shown(key)} was not logged: {error}")

    def _save(self, kind: str, key: str, files: list[tuple[Any, str]], step: int | None) -> None:
        if not files:
            raise InvalidValueError(f"There is no {kind} in an empty list.")
        number = self._step(f"{kind}/{key}", step)
        for index, (source, suffix) in enumerate(files):
            path = media_path(kind, key, number, index if len(files) > 1 else None, suffix)
            if artifact_path(path) != path:
                raise InvalidValueError(
                    f"{key!r} has an empty part or a dot between its slashes.",
                    hint="Use a key such as val/samples.",
                )
            self._artifacts.save(self._uid, path, source)

    def _step(self, name: str, step: int | None) -> int:
        """Return the explicit step, or the next step of the key."""
        with Uninterrupted(), _COUNTING:  # handlers may log as well
            if step is None and name not in self._next_steps:
                self._next_steps[name] = self._after(name)
            number = self._next_steps[name] if step is None else metric_step(step)
            self._next_steps[name] = max(self._next_steps.get(name, 0), number + 1)
        return number

    def _after(self, name: str) -> int:
        """Return the first step after those from before the run was resumed."""
        with suppress(StoreError):
            saved = self._artifacts.table.of_run(self._uid)
            series = media_in(saved, lambda _: b"").get(name)
            return 0 if series is None else max(series.steps[-1] + 1, 0)
        return 0


def _problem(error: Exception) -> RunstoreError:
    """Return our own error, also for one that the program's objects raised."""
    if isinstance(error, RunstoreError):
        return error
    return InvalidValueError(f"It cannot be read: {named_error(error)}.")


def _text(given: Any) -> tuple[bytes, str]:
    if not isinstance(given, str):
        raise InvalidValueError(
            f"A value of type {type(given).__name__} is not a text.",
            hint="Pass a text, or a list of texts.",
        )
    return clean_text(given).encode(), ".txt"


def _image(given: Any) -> tuple[Any, str]:
    """Return the contents to save, and their suffix."""
    if isinstance(given, (bytes, bytearray)):
        found = (one for begin, one in _SIGNATURES.items() if given.startswith(begin))
        suffix = next(found, None)
        if suffix is None:
            raise InvalidValueError("These bytes are not an image of a known format.")
        return given, suffix
    if isinstance(given, (str, os.PathLike)):
        return given, Path(os.fspath(given)).suffix.lower() or ".png"
    return given, ".png"


def _histogram(values: Any, bins: int | Sequence[float]) -> tuple[bytes, str]:
    one = values if isinstance(values, Histogram) else Histogram.of(values, bins)
    return one.as_json().encode(), ".json"
