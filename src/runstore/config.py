"""Which store, and its folder: argument, RUNSTORE_URL, project file, nearest `.runstore`."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args

from runstore.errors import InvalidValueError, StoreUnavailableError, UsageError

FOLDER = ".runstore"
DATABASE = "runstore.db"
RUNS = "runs"
_PROJECT_FILE = "pyproject.toml"

# What to do where the same was run before.
IfDone = Literal["run", "warn", "skip", "error"]
IF_DONE: tuple[IfDone, ...] = get_args(IfDone)


def find_store(location: str | os.PathLike[str] | None = None) -> Path:
    """Return the folder of the store to use; it may not exist yet.

    Order: the argument, `RUNSTORE_URL`, `store` in `[tool.runstore]` of the nearest
    `pyproject.toml` (relative to that file), the nearest `.runstore` above the working directory,
    else `.runstore` in the root of the git checkout or in the working directory.

    Raises:
        UsageError: The location is a URL of a kind that runstore does not know.
        StoreUnavailableError: There is no working directory to begin from.
    """
    if location is not None:
        return _folder_of(os.fspath(location))
    if url := os.environ.get("RUNSTORE_URL"):
        return _folder_of(url)
    here = working_directory()
    settings, project = project_settings(here)
    if store := settings.get("store"):
        return project / _folder_of(str(store))
    above = (here, *here.parents)
    for folder in above:
        if is_folder(folder / FOLDER):
            return folder / FOLDER
    root = next((folder for folder in above if is_there(folder / ".git")), here)
    return root / FOLDER


def _folder_of(location: str) -> Path:
    """Read a folder, the database file in it, or a `sqlite:///` or `file://` URL of either."""
    scheme, separator, _ = location.partition("://")
    path = Path(location)
    if separator and len(scheme) > 1:
        from urllib.parse import unquote, urlsplit

        parts = urlsplit(location)
        if scheme not in {"sqlite", "file"}:
            raise UsageError(
                f"runstore does not know stores of the kind {scheme}://.",
                hint="Use a folder, or sqlite:///path/to/folder.",
            )
        path = Path(unquote(parts.netloc + parts.path))
    if path.name == DATABASE and not is_folder(path):
        return path.parent
    if not str(location).strip():
        raise UsageError("The location of the store is empty.", hint="Name a folder.")
    return path


def is_folder(path: Path) -> bool:
    """Tell whether a folder is there; False also where this user may not look."""
    return os.path.isdir(path)  # noqa: PTH112 - pathlib raises before Python 3.14


def is_there(path: Path) -> bool:
    """Tell whether something is there; False also where this user may not look."""
    return os.path.exists(path)  # noqa: PTH110 - pathlib raises before Python 3.14


def working_directory() -> Path:
    """Return the working directory.

    Raises:
        StoreUnavailableError: It was deleted.
    """
    try:
        return Path.cwd()
    except FileNotFoundError as error:
        raise StoreUnavailableError(
            "The working directory was deleted, so there is no place to look for a store.",
            hint="Change to a folder that exists, or name the store: Store.open(folder).",
        ) from error


def project_settings(here: Path) -> tuple[Mapping[str, Any], Path]:
    """Return `[tool.runstore]` of the nearest pyproject.toml that has it, and its folder.

    Without one: no settings, and the folder given.
    """
    for folder in (here, *here.parents):
        file = folder / _PROJECT_FILE
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        # The parser is only loaded for a file that has something to say.
        settings = _parse(text, file) if "runstore" in text else None
        if settings is not None:
            return settings, folder
    return {}, here


def _settings_here() -> Mapping[str, Any]:
    """Return the project's settings; none where the working directory was deleted."""
    try:
        return project_settings(working_directory())[0]
    except StoreUnavailableError:
        return {}


def _parse(text: str, file: Path) -> Mapping[str, Any] | None:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        settings = tomllib.loads(text).get("tool", {}).get("runstore")
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{file} is not valid TOML: {error}.") from error
    return settings if isinstance(settings, dict) else None


def wants_system_samples() -> bool:
    """Tell whether runs keep what their machine does.

    `RUNSTORE_SYSTEM_SAMPLES` counts most, then `system-samples` of the project's settings; the
    default is yes.

    Raises:
        UsageError: The setting is neither true nor false.
    """
    said = os.environ.get("RUNSTORE_SYSTEM_SAMPLES")
    if said:
        return said.strip().lower() not in {"0", "false", "no", "off"}
    wanted = _settings_here().get("system-samples", True)
    if not isinstance(wanted, bool):
        raise UsageError(f"system-samples is true or false, not {wanted!r}.")
    return wanted


def wanted_if_done() -> IfDone | None:
    """Return `if-done` of the project's settings; None without it.

    Raises:
        UsageError: It is none of the choices.
    """
    wanted = _settings_here().get("if-done")
    return None if wanted is None else checked_if_done(wanted, "if-done")


def checked_if_done(wanted: object, name: str = "if_done") -> IfDone:
    """Return what to do where the same was run before.

    Raises:
        UsageError: It is none of the choices.
    """
    if wanted not in IF_DONE:
        raise UsageError(
            f"{name} cannot be {wanted!r}.", hint=f"Use one of: {', '.join(IF_DONE)}."
        )
    return next(one for one in IF_DONE if one == wanted)


def make_folder(path: Path) -> None:
    """Make the folder of a store; `.runstore` ignores itself in git.

    Raises:
        StoreUnavailableError: It cannot be made, or is a file.
        InvalidValueError: It cannot be the name of a folder.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        if path.name == FOLDER and not is_there(path / ".gitignore"):
            (path / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        if is_folder(path):
            return  # a read-only store; the database says what can be done with it
        raise unreachable(path, error) from error
    except ValueError as error:
        raise InvalidValueError(f"{str(path)!r} cannot be a folder: {error}.") from error


def unreachable(path: Path, error: OSError) -> StoreUnavailableError:
    """Return the error for a store whose folder refuses."""
    return StoreUnavailableError(
        f"The store at {path} cannot be opened: {error.strerror or error}.",
        kept="Nothing was changed.",
        hint="Name a folder that exists or can be made.",
    )
