"""The attributes of a manager as a metadata block in its own dialect.

A manager is any object with the attributes; optional ones may be missing.
Source: `curifactory.manager.ArtifactManager` of 0.5 to 0.20, by its attributes.
"""

from __future__ import annotations

import os
import re
import shlex
import socket
import time
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from runstore.errors import InvalidValueError, genuine
from runstore.model.block import MIDDLE, PAGE, RECENT, Block, Dialect
from runstore.model.params.parameter_set import ParameterSet
from runstore.model.reference import TIMESTAMP_FORMAT, build_reference
from runstore.model.run import Run

# Set on a manager whose dialect would appear different once the dirty flag is set.
_DIALECT_MARK = "_runstore_dialect"
_OPTION_WITHIN = re.compile(r"(?<!\S)--(?:overwrite|store-full) ")
_OPTION_AT_END = re.compile(r" --(?:overwrite|store-full)$")


def dialect_of(manager: Any) -> Dialect:
    """Return the dialect implied by a manager's attributes."""
    marked = getattr(manager, _DIALECT_MARK, None)
    if isinstance(marked, Dialect):
        return marked
    if _has(manager, "param_file_param_sets") or _has(manager, "parameter_files"):
        return RECENT
    if _has(manager, "git_workdir_dirty") or (
        _has(manager, "store_full") and not _has(manager, "store_entire_run")
    ):
        return MIDDLE
    return PAGE


def _has(manager: Any, name: str) -> bool:
    return getattr(manager, name, _NOTHING) is not _NOTHING


_NOTHING = object()


def _first(manager: Any, *names: str, default: Any = None) -> Any:
    """Return the first of these attributes that the manager has."""
    for name in names:
        value = getattr(manager, name, _NOTHING)
        if value is not _NOTHING:
            return value
    return default


def experiment_of(manager: Any) -> Any:
    """Return the manager's experiment name; Curifactory's may be None."""
    name = getattr(manager, "experiment_name", _NOTHING)
    if name is _NOTHING or isinstance(manager, Run):
        why = "has no experiment_name" if name is _NOTHING else "cannot be changed"
        raise InvalidValueError(
            f"A {type(manager).__name__} {why}, so it is not a manager of a run.",
            kept="No run was added.",
        )
    return name


def reference_of(manager: Any) -> str:
    """Return the reference of a manager's run."""
    if (said := _asked(manager, "get_reference_name")) is not None:
        return said
    number = getattr(manager, "experiment_run_number", 0)
    return build_reference(str(experiment_of(manager)), number, timestamp_of(manager))


def timestamp_of(manager: Any) -> str:
    """Return the start of a manager's run as local wall time."""
    if (said := _asked(manager, "get_str_timestamp")) is not None:
        return said
    began = getattr(manager, "run_timestamp", None)
    if isinstance(began, datetime):
        return began.strftime(TIMESTAMP_FORMAT)
    return time.strftime(TIMESTAMP_FORMAT)


def _asked(manager: Any, method: str) -> str | None:
    """Return the answer of a manager's method, or None."""
    ask: Callable[[], Any] | None = getattr(manager, method, None)
    if ask is not None:
        try:
            return str(ask())
        except genuine(OSError):  # a failure to create the folder is reported when it is used
            return None
    return None


def tell_commit(manager: Any, commit: str, *, is_dirty: bool | None) -> Dialect:
    """Set the commit and the dirty flag on the manager; return its previous dialect."""
    dialect = dialect_of(manager)
    if dialect is PAGE:
        _try_to_set(manager, _DIALECT_MARK, dialect)
    manager.git_commit_hash = commit
    manager.git_workdir_dirty = is_dirty
    return dialect


def _try_to_set(manager: Any, name: str, value: object) -> None:
    try:
        setattr(manager, name, value)
    except AttributeError:
        return  # an object with fixed attributes keeps its dialect


def new_block(manager: Any, number: int, dialect: Dialect, runs_folder: Path) -> Block:
    """Return the block of a run that begins, and set its number on the manager."""
    manager.experiment_run_number = number
    block: Block = {
        "reference": reference_of(manager),
        "experiment_name": experiment_of(manager),
        "run_number": number,
        "timestamp": timestamp_of(manager),
        "commit": manager.git_commit_hash,
    }
    if dialect.has_dirty_flag:
        block["workdir_dirty"] = manager.git_workdir_dirty
    files, sets = _parameters(manager)
    block |= {
        dialect.files_key: [] if files is _NOTHING else files,
        dialect.sets_key: {} if sets is _NOTHING else sets,
        "full_store": is_full_store(manager),
        "status": "incomplete",
        "cli": _masked(getattr(manager, "run_line", "")),
        "hostname": getattr(manager, "hostname", "") or socket.gethostname(),
        "notes": getattr(manager, "notes", None),
    }
    if block["full_store"]:
        block["reproduce"] = tell_reproduction(manager, runs_folder)
    return block


def renewed_block(
    block: Block, manager: Any, runs_folder: Path, *, keeps_params: bool = False
) -> Block:
    """Return the block updated from the manager, keeping its own keys."""
    new = dict(block)
    status = getattr(manager, "status", _NOTHING)
    if status is not _NOTHING and status is not None:
        new["status"] = str(status)
    if new.get("status") == "error":
        new["error"] = _without_secrets(getattr(manager, "error", None))
    dialect = dialect_of(manager)
    if "params" in block or "param_files" in block:
        dialect = RECENT
    elif "args" in block or "params_files" in block:
        dialect = PAGE
    files, sets = (_NOTHING, _NOTHING) if keeps_params else _parameters(manager)
    if files is not _NOTHING:
        new[dialect.files_key] = files
    if sets is not _NOTHING:
        new[dialect.sets_key] = sets
    if is_full_store(manager):
        new["reproduce"] = tell_reproduction(manager, runs_folder)
    return new


def parameters_said_by(manager: Any) -> str:
    """Return the manager's parameter files and sets as a text, to be compared later."""
    return repr(_parameters(manager))


def _parameters(manager: Any) -> tuple[Any, Any]:
    files = _first(manager, "parameter_files", "experiment_args_file_list", default=_NOTHING)
    sets = _first(manager, "param_file_param_sets", "experiment_args", default=_NOTHING)
    return files, sets


def trees_said_by(manager: Any) -> dict[str, str]:
    """Return the values of parameter sets known to the manager, by hash."""
    sets = getattr(manager, "parameter_sets", ())
    if not isinstance(sets, (tuple, list)):
        return {}
    return {
        one.hash: one.tree
        for one in sets
        if isinstance(one, ParameterSet) and one.tree is not None
    }


def hashes_said_by(manager: Any) -> set[str]:
    """Return the hash of each parameter set of the manager."""
    _, sets = _parameters(manager)
    if not isinstance(sets, Mapping):
        return set()
    pairs = [pair for listed in sets.values() if isinstance(listed, list) for pair in listed]
    return {str(pair[1]) for pair in pairs if isinstance(pair, (list, tuple)) and len(pair) > 1}


def is_full_store(manager: Any) -> bool:
    """Check whether the run has a folder of plain files."""
    return bool(_first(manager, "store_full", "store_entire_run", default=False))


def tell_reproduction(manager: Any, runs_folder: Path) -> str:
    """Set the command that repeats a full store's run on the manager, and return it."""
    line = _OPTION_WITHIN.sub("", str(_masked(getattr(manager, "run_line", ""))))
    line = _OPTION_AT_END.sub("", line)
    artifacts = shlex.quote(f"{_run_folder(manager, runs_folder)}/artifacts")
    manager.reproduction_line = f"{line} --cache {artifacts} --dry-cache"
    return str(manager.reproduction_line)


def _masked(line: object) -> object:
    """Return a command line with secrets masked, or unchanged if it has none."""
    from runstore.capture.secrets import mask_command

    return mask_command(line) if isinstance(line, str) else line


def _without_secrets(error: object) -> object:
    from runstore.recording.outcome import kept_text

    return kept_text(error) if isinstance(error, str) else error


def _run_folder(manager: Any, runs_folder: Path) -> str:
    if (said := _asked(manager, "get_run_output_path")) is not None:
        return said
    folder = getattr(manager, "runs_path", None)
    parent = runs_folder if folder is None else folder
    return os.path.join(parent, reference_of(manager))  # noqa: PTH118 - a relative path stays as it was passed
