"""The code as a cause of another result, by the files that differ."""

from __future__ import annotations

import re
import shlex
from collections.abc import Collection, Iterator, Sequence

from runstore.analysis.compare.code_changes import CodeChanges, FileChange
from runstore.analysis.compare.differences import Difference, Unknown
from runstore.analysis.explain.code_meaning import meaning
from runstore.analysis.explain.known_names import is_aside, is_settings, is_source
from runstore.analysis.explain.rules import Cause, Rule, Setting
from runstore.model.display.suggestions import some_of

_LONGEST_EXTENSION = 2  # letters of a word that is too short to be the name of a file


def code_cause(found: Sequence[Difference], setting: Setting) -> Cause | None:
    """Return all of the code as one cause; None if it is the same or was not requested."""
    about = [one for one in found if one.section == "code" and one.key not in {"branch", "remote"}]
    changes = setting.code
    if changes is None:
        return None
    cause = _cause(about, changes, setting.commands) if about or changes.files else None
    if not changes.unread or (cause is not None and cause.weight >= Rule.UNREAD_CODE.weight):
        return cause
    unknown = Unknown("they were not kept as a whole")
    shown = cause.difference if cause else Difference("code", "changes", (unknown, unknown))
    names = " and ".join(changes.unread)
    why = f"changes of source code in {names} were not all kept, and may differ"
    return Cause(Rule.UNREAD_CODE, shown, why)


def _cause(
    about: Sequence[Difference], changes: CodeChanges, commands: Sequence[str]
) -> Cause | None:
    commits = next((one for one in about if one.key == "commit"), None)
    shown = commits or (about[0] if about else Difference("code", "files", ()))
    paths = _paths(changes)
    if not paths:
        if changes.is_known:
            return Cause(Rule.SAME_FILES, shown, "the commits differ, the files in them do not")
        return Cause(Rule.UNREAD_CODE, shown, "the differences of the code cannot be read here")
    rule, reason = _of_files(changes, paths, commands)
    if not changes.is_known and commits is not None:
        reason = f"{reason}; the differences between the commits are unknown"
        rule = max(rule, Rule.UNREAD_CODE, key=lambda one: one.weight)
    return Cause(rule, shown, reason)


def _paths(changes: CodeChanges) -> list[str]:
    """Return the files that differ; each is a patch if the commits could not be read."""
    paths = (one.path for one in changes.files)
    return [path if changes.is_known else path.removesuffix(".patch") for path in paths]


def _of_files(
    changes: CodeChanges, paths: Sequence[str], commands: Sequence[str]
) -> tuple[Rule, str]:
    count = "1 file differs" if len(paths) == 1 else f"{len(paths)} files differ"
    telling = [
        path
        for path, one in zip(paths, changes.files, strict=True)
        if not (changes.is_known and _means_the_same(one))
    ]
    if not telling:
        return (
            Rule.SAME_MEANING,
            f"{count} in comments, layout or messages only: {some_of(paths)}",
        )
    used = [path for path in telling if _may_be_used(path, changes.reached)]
    if not used:
        return (
            Rule.UNREACHED_FILE,
            f"{count}, which the program does not import: {some_of(telling)}",
        )
    words = {word for line in commands for word in _words(line)}
    called = [path for path in used if _is_called(path, words)]
    if called:
        which = "one of them is" if len(called) == 1 else f"{len(called)} of them are"
        if len(paths) == 1:
            which = "it is"
        return (
            Rule.CALLED_FILE,
            f"{count}, {which} on the command line: {some_of(called)}",
        )
    source = Rule.SOURCE_FILE if changes.reached is None else Rule.IMPORTED_FILE
    for rule, is_such in ((source, is_source), (Rule.SETTINGS_FILE, is_settings)):
        such = [path for path in used if is_such(path)]
        if such:
            others = [path for path in paths if path not in such]
            return rule, f"{count}: {some_of([*such, *others])}"
    kind = "tests or documents" if all(map(is_aside, paths)) else "no source"
    return Rule.OTHER_FILE, f"{count}, {kind}: {some_of(paths)}"


def _means_the_same(one: FileChange) -> bool:
    """Return whether a file differs in comments, layout or messages only."""
    if one.before is None or one.after is None or one.old != one.new:
        return False
    if one.before.text is None or one.after.text is None:
        return False
    if not (one.before.is_exact and one.after.is_exact):
        return False
    return meaning(one.path, one.before.text) == meaning(one.path, one.after.text)


def _may_be_used(path: str, reached: frozenset[str] | None) -> bool:
    """Return whether a program may use a file; only modules are known to be unused."""
    return reached is None or path in reached or not path.endswith((".py", ".ipynb"))


def _words(line: str) -> Iterator[str]:
    """Yield the words of a command line that may name a file, modules as paths."""
    try:
        words = shlex.split(line)
    except ValueError:
        words = line.split()
    for word in words:
        yield word.removeprefix("./")
        if re.fullmatch(r"[\w.]+", word):
            yield word.replace(".", "/") + ".py"


def _is_called(path: str, words: Collection[str]) -> bool:
    stem = path.rpartition("/")[2].rpartition(".")[0]
    is_module = path.endswith(".py") and len(stem) > _LONGEST_EXTENSION and stem in words
    return is_module or any(
        word == path or word.endswith(f"/{path}") or path.endswith(f"/{word}")
        for word in words
        if word
    )
