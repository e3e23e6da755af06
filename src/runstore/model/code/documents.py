"""Captured documents and facts with a run's code beyond its commit: names and entries."""

from __future__ import annotations

import json

from runstore.errors import StoreCorruptError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# Documents with code beyond the commit: the changes, and the texts of new files by path.
NEW_FILES = "untracked"
CODE_DOCUMENTS = ("patch", NEW_FILES)
# Changed files that are not in the patch: their fingerprints.
OTHER_CHANGES = "patch.others"
# New files whose text was not stored: their fingerprints.
OTHER_FILES = "untracked.others"
LEFT_OUT = "untracked.rest"
# Whether more of them are missing, as a reason.
CUT = "untracked.cut"
# New files whose text is not UTF-8, each with its encoding.
ENCODING = "untracked.encoding"
# Tracked files among them: git was told to ignore their changes.
HIDDEN = "git.hidden"
# Modules in the work tree that git ignores: their fingerprints.
IGNORED = "untracked.ignored"
# Documents of modules missing in the commit and in these: loaded at the start, and later.
MODULES = "modules"
LATE_MODULES = "modules.late"
# And of modules imported by a command of another process, as far as its code shows.
IMPORTED_MODULES = "modules.imported"
# Number of modules outside the work tree at the start.
OUTSIDE = "command.outside_modules"
# A run that was continued with different code.
RESUMED_CODE = "resumed.code"
# And one with other new files that do not count as code.
RESUMED_FILES = "resumed.files"


def entries_of(document: str, text: str | None, reference: str) -> dict[str, Any]:
    """Return the texts of new files by path, or the place and fingerprint of modules by name.

    Args:
        document: `untracked`, or a document of modules.
        text: The document; None if the run has none.
        reference: Of the run.

    Raises:
        StoreCorruptError: The text is damaged.
    """
    try:
        entries = json.loads(text or "{}")
    except (ValueError, RecursionError):
        entries = None
    is_entry = _is_text if document == NEW_FILES else _is_module
    if isinstance(entries, dict) and all(map(is_entry, entries.values())):
        return entries
    raise StoreCorruptError(
        f"The captured text {document!r} of {reference} is damaged.",
        hint="Check the store with: runstore doctor --deep",
    )


def _is_text(entry: object) -> bool:
    return isinstance(entry, str)


def _is_module(entry: object) -> bool:
    return isinstance(entry, list) and len(entry) == 2 and all(map(_is_text, entry))  # noqa: PLR2004 - a place and a mark
