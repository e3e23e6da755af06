"""The folder of a full store: a run as plain files that a person can read and hand on.

```
runs/<reference>/
  block.json         the metadata block
  params.json        parameter files, sets, hashes and values
  environment.json   the captured facts: git, host, Python, command; and the unknown ones
  packages.txt       installed distributions
  changes.patch      changes against the commit, for `git apply`
  untracked.json     new source files: path to text
  log.txt            the output of the run
  artifacts/         the files of the run
```
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runstore.errors import NotFoundError
from runstore.model.block import block_from_run
from runstore.model.run import Run
from runstore.storage.files.safe_files import make_folder, write_whole
from runstore.store import Store
from runstore.user_warnings import warn

ARTIFACTS = "artifacts"
LOG = "log.txt"
_LEVELS = 2  # runs/<reference>
_DOCUMENTS = {"packages": "packages.txt", "patch": "changes.patch", "untracked": "untracked.json"}


def write_beginning(folder: Path, run: Run) -> None:
    """Create the folder with the facts that are known at the start.

    Raises:
        OSError: The disk does not take it.
    """
    make_folder(folder / ARTIFACTS, levels=_LEVELS + 1)
    _write(folder / "params.json", _json(_params(run)))
    _write(folder / "block.json", _json(block_from_run(run)))


def write_end(folder: Path, store: Store, run: Run) -> None:
    """Write the end of the run and the captured facts; a full disk is a warning, not an error."""
    facts = {"facts": dict(run.facts.values), "unknown": dict(run.facts.unknown)}
    try:
        _write(folder / "block.json", _json(block_from_run(run)))
        _write(folder / "environment.json", _json(facts))
        _write(folder / LOG, "".join(f"{line.text}\n" for line in run.output))
        for name in store.documents(run.uid):
            text = store.document(run.uid, name)
            if name in _DOCUMENTS and text is not None:
                _write(folder / _DOCUMENTS[name], text)
    except (OSError, NotFoundError) as error:
        warn(f"The folder {folder} is not complete: {error}. The run itself is in the store.")


def reproduction(cli: str, folder: Path) -> str:
    """Return the command that repeats a run from its own artifacts, for the shell.

    Source: manager-store page and Curifactory's `reproduce`: the command without `--overwrite` and
    `--store-full`, reading the run's artifacts and writing none.
    """
    import shlex

    left_out = {"--overwrite", "--store-full"}
    words = [word for word in shlex.split(cli) if word not in left_out]
    where = folder / ARTIFACTS
    if where.is_relative_to(Path.cwd()):
        where = where.relative_to(Path.cwd())
    return shlex.join([*words, "--cache", str(where), "--dry-cache"])


def _params(run: Run) -> dict[str, dict[str, Any]]:
    files: dict[str, dict[str, Any]] = {}
    for one in run.parameter_sets:
        entry = {"hash": one.hash, "values": one.values}
        files.setdefault(one.file or "", {})[one.name] = entry
    return files


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, default=str) + "\n"


def _write(path: Path, text: str) -> None:
    write_whole(path, text, levels=_LEVELS)
