"""The changes against the commit as one patch for `git apply`, for files of any contents.

Files are read by importance, the program and other source code first, so that no large file
displaces them. Files that are not UTF-8 are stored as git stores binary files.
Source: git-diff(1) 2.39, "Raw output format" and "Generating patch text with -p"; git's
apply.c, parse_binary: the second half of a binary patch is optional.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from runstore.capture.git.asking import Asker
from runstore.capture.git.source_files import is_secret_file, is_source, masked_path, shown
from runstore.capture.git.state import GitError
from runstore.capture.secrets import mask_patch, mask_text, mask_tokens, may_hold_secrets
from runstore.errors import genuine
from runstore.model.code.documents import OTHER_CHANGES
from runstore.model.code.patches import parse_patch
from runstore.model.facts import Facts, FactValue

PATCH_LIMIT_BYTES = 1 << 20
_READ_LIMIT_BYTES = 1 << 22
_READ_IN_ALL_BYTES = 1 << 26
_LIST_LIMIT_BYTES = 1 << 24
_FILE_LIMIT_BYTES = 1 << 24  # git would need seconds for more
_LARGE_BYTES = 1 << 20
_AT_ONCE = 400  # paths on one command line
_NAMED_AT_MOST = 50
_MARKED_AT_MOST = 1000
_RAW = ("diff", "--raw", "--no-renames", "--no-ext-diff", "--no-relative")
_DIFF = (
    "-c", "core.quotePath=true", "diff", "--binary", "--full-index", "--find-renames",
    "--unified=3", "--inter-hunk-context=0", "--diff-algorithm=default", "--no-color",
    "--no-ext-diff", "--no-textconv", "--src-prefix=a/", "--dst-prefix=b/",
    "--submodule=short", "--ignore-submodules=none", "--no-relative",
    "--ws-error-highlight=none", "-O/dev/null",
)  # fmt: skip
_FILE = re.compile(rb"^(?=diff --git )", re.MULTILINE)
_UNMERGED = re.compile(rb"^\* Unmerged path .*\n", re.MULTILINE)
# The second @@ is followed by a context line, cut after some bytes, perhaps within a character.
_HUNK_NOTE = re.compile(rb"^(@@ -[\d,]+ \+[\d,]+ @@).*$", re.MULTILINE)
_TEXT_OF_NOTE = re.compile(r"^(@@ -[\d,]+ \+[\d,]+ @@)(.+)$", re.MULTILINE)
_CR_BEFORE = re.compile(rb"^[- ][^\n]*\r\n", re.MULTILINE)
_DIRTY_SUBMODULE = re.compile(r"^(\+Subproject commit [0-9a-f]+)-dirty$", re.MULTILINE)
_SUBPROJECTS = re.compile(r"^[-+]Subproject commit ([0-9a-f]+)$", re.MULTILINE)
_LARGE = f"its change is larger than {PATCH_LIMIT_BYTES >> 20} MiB"
_BINARY = b"\nGIT binary patch\n"


class _Found:
    """The parts of a patch by path, omitted files by path, and other unknown facts.

    `paths` are those of the system, by their notation in a patch.
    """

    def __init__(self, paths: dict[str, str], unknown: dict[str, str]) -> None:
        self.paths = paths
        self.sections: dict[str, str] = {}
        self.left_out: dict[str, str] = {}
        self.unknown = unknown


def read_patch(ask: Asker, but: Sequence[str], first: Sequence[str]) -> Facts:
    """Return the document `patch`, and `git.dirty`; missing parts are among the unknown facts.

    Paths of the program's own files come first; `but` are pathspecs to exclude.
    """
    unknown: dict[str, str] = {}
    try:
        base, touched, changes = _changes(ask, [".", *but], unknown)
    except GitError as error:
        return Facts(unknown={"patch": str(error)})
    found = _Found({shown(path): path for path in changes}, unknown)
    found.left_out.update(_pipes(ask, touched, changes))
    if changes:
        _read(ask, base, _in_order(ask, base, changes, first, found), found)
    # If a file has two parts, for example because a link became a file, both are kept or none.
    whole = {path: one for path, one in found.sections.items() if path not in found.left_out}
    text, too_much = _chosen(whole, first)
    found.left_out.update(too_much)
    values: dict[str, FactValue] = {"git.dirty": bool(changes or found.left_out)}
    if found.left_out:
        found.unknown["patch.rest"] = _named(found.left_out)
        values[OTHER_CHANGES] = tuple(_marks(ask.root, sorted(found.left_out)))
    return Facts(
        values=values,
        documents={"patch": text} if text else {},
        unknown=found.unknown,
    )


# Changes


def _changes(
    ask: Asker, places: Sequence[str], unknown: dict[str, str]
) -> tuple[str, list[str], list[str]]:
    """Return the base of the comparison, the files that may differ, and those that do."""
    try:
        return "HEAD", *_different(ask, "HEAD", places)
    except GitError as error:
        if "bad revision" in str(error):
            empty = ask(["hash-object", "-t", "tree", "--stdin"], 1 << 10).decode().strip()
            return empty, *_different(ask, empty, places)
        if " filter " not in str(error):
            raise
        unknown["patch.filters"] = f"{error}; filtered files are recorded as they are on the disk"
        ask.options = (*ask.options, *_without_filters(ask))
        return "HEAD", *_different(ask, "HEAD", places)


def _without_filters(ask: Asker) -> list[str]:
    names = ask(["config", "--name-only", "--get-regexp", r"^filter\."], 1 << 16)
    drivers = {one.rpartition(".")[0] for one in os.fsdecode(names).splitlines()}
    settings = ("clean=", "smudge=", "process=", "required=false")
    return [word for one in sorted(drivers) for end in settings for word in ("-c", f"{one}.{end}")]


def _different(ask: Asker, base: str, places: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the files that may differ by size and times, and of these the ones that do."""
    touched = _listed(ask, ["diff-index"], base, places)
    if len(touched) <= _AT_ONCE:
        places = _literal(touched)  # git then looks at no other file
    return touched, _listed(ask, _RAW, base, places) if touched else []


def _listed(ask: Asker, words: Sequence[str], base: str, places: Sequence[str]) -> list[str]:
    answer = ask(
        [*words, "-z", "--ignore-submodules=none", base, "--", *places], _LIST_LIMIT_BYTES
    )
    # Each change is followed by its path; the last entry is empty, or cut.
    return os.fsdecode(answer).split("\0")[1:-1:2]


def _literal(paths: Sequence[str]) -> list[str]:
    return [f":(top,literal){path}" for path in paths]


def _pipes(ask: Asker, touched: Sequence[str], changes: Sequence[str]) -> dict[str, str]:
    """Return empty files that became pipes or devices, which git's list of changes omits.

    Source: git 2.39, diffcore_skip_stat_unmatch: it compares sizes, which are 0.
    """
    others = set(touched).difference(changes)
    return {path: "cannot hash a pipe or device" for path in others if _is_pipe(ask.root / path)}


def _is_pipe(place: Path) -> bool:
    try:
        mode = place.lstat().st_mode
    except genuine(OSError):
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISLNK(mode) or stat.S_ISDIR(mode))


def _in_order(
    ask: Asker, base: str, changes: Sequence[str], first: Sequence[str], found: _Found
) -> list[str]:
    """Return the paths to read, the most important first."""
    before = _sizes_before(ask, base, changes)
    sizes = {path: max(_size(ask.root / path), before.get(path, 0)) for path in changes}
    for path, size in sizes.items():
        if is_secret_file(path):
            found.left_out[path] = "may hold secrets"
        elif size > _FILE_LIMIT_BYTES:
            found.left_out[path] = f"larger than {_FILE_LIMIT_BYTES >> 20} MiB"
    asked = [path for path in changes if path not in found.left_out]
    return sorted(
        asked,
        key=lambda path: (
            path not in first,
            sizes[path] > _LARGE_BYTES,
            not is_source(path),
            sizes[path],
            path,
        ),
    )


def _size(place: Path) -> int:
    try:
        return place.lstat().st_size
    except genuine(OSError):
        return 0


def _sizes_before(ask: Asker, base: str, paths: Sequence[str]) -> dict[str, int]:
    """Return the sizes of files in the commit. Source: git-ls-tree(1), 2.39."""
    found: dict[str, int] = {}
    for some in _batches(paths):
        try:
            listed = ask(["ls-tree", "-r", "-l", "-z", base, "--", *some], _LIST_LIMIT_BYTES)
        except GitError:
            return found
        for line in os.fsdecode(listed).split("\0")[:-1]:
            head, _, path = line.partition("\t")
            size = head.split()[-1]
            found[path] = int(size) if size.isdecimal() else 0
    return found


def _batches(paths: Sequence[str]) -> list[Sequence[str]]:
    return [paths[begin : begin + _AT_ONCE] for begin in range(0, len(paths), _AT_ONCE)]


# The patch of each file


def _read(ask: Asker, base: str, paths: Sequence[str], found: _Found) -> None:
    """Read the patches of files, of fewer at once if git fails or prints too much."""
    waiting = [list(one) for one in reversed(_batches(paths))]
    left_bytes = _READ_IN_ALL_BYTES
    while waiting:
        some = waiting.pop()
        why = "no room left" if left_bytes <= 0 else ""
        if not why:
            try:
                answer = ask([*_DIFF, base, "--", *_literal(some)], _READ_LIMIT_BYTES)
            except GitError as error:
                why = "" if len(some) > 1 and ask.has_time else str(error)
            else:
                left_bytes -= len(answer)
                if len(answer) <= _READ_LIMIT_BYTES:
                    _take(ask, answer, found)
                    continue
                why = _LARGE if len(some) == 1 else ""
        if why:
            found.left_out.update(dict.fromkeys(some, why))
        else:
            half = len(some) // 2
            waiting += [some[half:], some[:half]]


def _take(ask: Asker, answer: bytes, found: _Found) -> None:
    """Note the patch of each file, as a binary patch unless it is text."""
    for section in _split(answer):
        text = _text_of(section)
        if _BINARY in section:
            _take_binary(section, found)
        elif len(section) > PATCH_LIMIT_BYTES:  # masking it would take seconds
            found.left_out[_path_of(section, found)] = _LARGE
        elif text is not None and (not _is_mixed(ask, section) or mask_patch(text) != text):
            _take_text(text, found)
        else:
            _take_bytes(ask, section, "not UTF-8" if text is None else "mixed line ends", found)


def _is_mixed(ask: Asker, section: bytes) -> bool:
    """Check whether only some lines of a file ended with a carriage return.

    If git converts line ends, `git apply` expects all lines to have one, or none.
    Source: git 2.39, apply.c, check_old_for_crlf.
    """
    if not _CR_BEFORE.search(section):
        return False
    try:
        contents = _contents_before(ask, section.decode("latin-1"))
    except GitError:
        return True
    return contents.count(b"\n") != contents.count(b"\r\n") or contents.endswith(b"\r")


def _contents_before(ask: Asker, told: str) -> bytes:
    from runstore.model.code.binary_patches import object_before

    before = object_before(told)
    return ask(["cat-file", "blob", before], _FILE_LIMIT_BYTES) if before else b""


def _take_bytes(ask: Asker, section: bytes, why: str, found: _Found) -> None:
    from runstore.model.code.binary_patches import as_binary

    # Latin-1 maps every byte to a character.
    told = section.decode("latin-1")
    path = _path_of(section, found)
    if mask_text(told) != told:
        found.left_out[path] = f"{why}, and may hold secrets"
        return
    try:
        binary = as_binary(told, _contents_before(ask, told))
        _take_binary(binary.encode("latin-1"), found)
    except (GitError, ValueError) as error:
        found.left_out[path] = f"{why}: {error}"


def _split(answer: bytes) -> list[bytes]:
    return [one for one in _FILE.split(_UNMERGED.sub(b"", answer)) if one]


def _text_of(section: bytes) -> str | None:
    if b"\0" in section:
        return None
    try:
        return section.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        return _HUNK_NOTE.sub(rb"\1", section).decode("utf-8")
    except UnicodeDecodeError:
        return None


def _take_text(text: str, found: _Found) -> None:
    if _DIRTY_SUBMODULE.search(text):
        found.unknown["patch.submodules"] = "a submodule has changes of its own"
        text = _DIRTY_SUBMODULE.sub(r"\1", text)
        if len(set(_SUBPROJECTS.findall(text))) == 1 and "\nnew file mode" not in text:
            return  # the same commit: a patch would be empty
    text = _TEXT_OF_NOTE.sub(_without_secrets, text)
    path = _path_of(text.encode(), found)
    _add(path, text, mask_patch(text, path), found)


def _without_secrets(hunk: re.Match[str]) -> str:
    """Return the head of a hunk without its note, which may be cut within a secret."""
    return hunk[1] if may_hold_secrets(hunk[2]) else hunk[0]


def _take_binary(section: bytes, found: _Found) -> None:
    path = _path_of(section, found)
    head, _, contents = section.partition(_BINARY)
    # The first half leads from the commit to the file, the second back.
    forward = contents.partition(b"\n\n")[0]
    if len(forward) > PATCH_LIMIT_BYTES:
        found.left_out[path] = _LARGE
    elif _has_secrets(forward):
        found.left_out[path] = "may hold secrets"
    else:
        told, text = head.decode("utf-8"), (_BINARY + forward + b"\n\n").decode("ascii")
        _add(path, told + text, mask_tokens(told) + text, found)


def _add(path: str, section: str, masked: str, found: _Found) -> None:
    if masked != section:
        # Masked patches, which no longer apply, are marked as such.
        found.unknown["patch.masked"] = "secrets in them were masked"
    # A change of type, such as a file that became a link, has two parts.
    found.sections[path] = found.sections.get(path, "") + masked


def _has_secrets(contents: bytes) -> bool:
    import zlib

    from runstore.model.code.binary_patches import unpacked

    try:
        text = unpacked(contents.decode("ascii").split("\n")[1:]).decode("latin-1")
    except (ValueError, zlib.error):
        return True
    return mask_text(text) != text


def _path_of(section: bytes, found: _Found) -> str:
    """Return the path of a part, in the notation of the list of changes."""
    head = section.partition(b"\n@@ ")[0].partition(_BINARY)[0]
    path = parse_patch(head.decode("ascii", "replace"))[0].path
    return found.paths.get(path, path)


# Selection


def _chosen(sections: dict[str, str], first: Sequence[str]) -> tuple[str, dict[str, str]]:
    """Return the patch of as many files as fit, and the other files with the reason."""
    room, kept = PATCH_LIMIT_BYTES, set()
    too_much: dict[str, str] = {}
    sizes = {path: len(text.encode()) for path, text in sections.items()}

    def worth(path: str) -> tuple[bool, bool, int, str]:
        return path not in first, not is_source(path), sizes[path], path

    for path in sorted(sections, key=worth):
        if sizes[path] <= room:
            room -= sizes[path]
            kept.add(path)
        else:
            too_much[path] = _LARGE if sizes[path] > PATCH_LIMIT_BYTES else "no room left"
    return "".join(sections[path] for path in sorted(kept)), too_much


def _marks(root: Path, paths: Sequence[str]) -> Iterator[str]:
    """Yield the fingerprints of files, to detect further changes."""
    from runstore.capture.program.fingerprints import Fingerprints

    fingerprints = Fingerprints()
    for path in paths[:_MARKED_AT_MOST]:
        try:
            mark = fingerprints.of(root / path, is_secret=is_secret_file(path))
        except genuine(OSError, ValueError):
            mark = "unreadable"
        yield f"{mark} {masked_path(path)}"


def _named(left_out: dict[str, str]) -> str:
    named = [f"{masked_path(path)} ({why})" for path, why in sorted(left_out.items())]
    more = len(named) - _NAMED_AT_MOST
    rest = f"; {more} more file{'' if more == 1 else 's'}" if more > 0 else ""
    return f"not in the patch: {'; '.join(named[:_NAMED_AT_MOST])}{rest}"
