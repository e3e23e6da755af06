"""Lines that differ between two versions of files, and files that moved, as git finds them.

The files are written into a folder of their own under numbers: neither their names nor a
repository, attributes or settings of the user have an effect.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from runstore.analysis.compare.file_versions import Version
from runstore.capture.git.state import SLOW_TIMEOUT_S, GitError, run_git
from runstore.errors import genuine
from runstore.model.code.patches import parse_patch
from runstore.storage.files.temporary import temporary_folder
from runstore.value_classes import NamedTuple

_DIFF = (
    "--git-dir=/dev/null", "-c", "core.attributesFile=/dev/null", "-c", "core.autocrlf=false",
    "diff", "--no-index", "--text", "--find-renames=50%", "-l200",
    "--unified=3", "--inter-hunk-context=0", "--diff-algorithm=default", "--no-color",
    "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
    "--ws-error-highlight=none", "a", "b",
)  # fmt: skip
_LIMIT_BYTES = 1 << 28
_DIFFERENT = 1  # git's exit status
# The second @@ is followed by a line from above.
_HUNK_NOTE = re.compile(r"^(@@ -[\d,]+ \+[\d,]+ @@).*$", re.MULTILINE)


class Lines(NamedTuple):
    """The lines of a unified diff without names, and how many are added and removed."""

    text: str = ""
    added: int = 0
    removed: int = 0


Pair = tuple["str | None", "str | None"]
"""The paths of a file before and after; None if absent."""


def compared(old: Version, new: Version) -> dict[Pair, Lines]:
    """Return the texts that differ.

    Raises:
        GitError: git is missing or did not answer, or the folder could not be written.
    """
    found: dict[Pair, Lines] = {}
    for kind in {one.kind for version in (old, new) for one in version.values()}:
        try:
            with temporary_folder() as folder:
                found.update(_of_kind(kind, old, new, folder.path))
        except genuine(OSError) as error:
            raise GitError(f"no space for the compared files: {error}") from error
    return found


def _of_kind(kind: str, old: Version, new: Version, folder: Path) -> Iterator[tuple[Pair, Lines]]:
    paths = sorted({*old, *new})
    for side, version in (("a", old), ("b", new)):
        (folder / side).mkdir()
        for number, path in enumerate(paths):
            one = version.get(path)
            if one is not None and one.kind == kind and one.text is not None:
                data = one.text.encode("utf-8", "surrogatepass")
                (folder / side / str(number)).write_bytes(data)
    answer = run_git(
        _DIFF,
        folder,
        limit_bytes=_LIMIT_BYTES,
        timeout_s=SLOW_TIMEOUT_S,
        statuses=(0, _DIFFERENT),
    )
    for patch in parse_patch(answer.decode("utf-8", "surrogatepass")):
        before, after = (
            None if one is None else paths[int(one.rpartition("/")[2])]
            for one in (patch.old, patch.new)
        )
        signs = [line[0] for hunk in patch.hunks for line in hunk.lines]
        _, at, hunks = patch.text.partition("\n@@ ")
        text = _HUNK_NOTE.sub(r"\1", f"@@ {hunks}") if at else ""
        yield (before, after), Lines(text, signs.count("+"), signs.count("-"))
