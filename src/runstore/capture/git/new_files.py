"""New files that count as code: program text, settings, and files named in the command.

Other files that git does not track are mostly data and results, such as weights that an earlier
run wrote.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from runstore.capture.git.source_files import is_code, is_source
from runstore.errors import StoreCorruptError
from runstore.model.code.documents import (
    CUT,
    HIDDEN,
    LEFT_OUT,
    NEW_FILES,
    OTHER_FILES,
    entries_of,
)
from runstore.model.facts import Facts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")

_MODULES = (".so", ".pyd")
_SETTINGS = (
    ".yaml", ".yml", ".json", ".toml", ".cfg", ".ini", ".conf", ".gin", ".env",
)  # fmt: skip
# Programs copy their settings into folders of results, and write metrics as JSON.
_FOLDERS_OF_RESULTS = frozenset({
    "out", "output", "outputs", "result", "results", "log", "logs", "runs", "multirun", "mlruns",
    "wandb", "checkpoint", "checkpoints", "ckpt", "ckpts",
})  # fmt: skip
_RESULTS = frozenset({
    "result", "results", "metric", "metrics", "score", "scores", "loss", "losses", "history",
    "log", "logs", "summary", "report", "stats", "eval", "evaluation", "predictions", "preds",
    "output", "outputs",
})  # fmt: skip
# Options with the name of a file that the program writes: `--out`, `--save-to`.
_WRITING = frozenset({"o", "out", "output", "outputs", "save", "write", "dump", "export", "log"})
_NO_WORDS: frozenset[str] = frozenset()
_OF_GIT = ("git.root", "git.dirty")
_LEFT_OUT_FILE = re.compile(r"(.+) \(([^()]*)\)")


def is_part_of_code(path: str, words: frozenset[str] = _NO_WORDS) -> bool:
    """Check whether a new file counts as code.

    Args:
        path: Its path in the work tree.
        words: Words of the command, from `command_words`.
    """
    name = path.lower()
    if is_code(name) or name.endswith(_MODULES):
        return True
    if name.endswith(_SETTINGS) and not _is_result(name):
        return True
    return is_named(path, words)


def _is_result(path: str) -> bool:
    """Check whether a file of settings is probably a result, by its name and folders."""
    *folders, name = path.split("/")
    if any(_last_word(one) in _FOLDERS_OF_RESULTS for one in folders):
        return True
    stem, _, kind = name.rpartition(".")
    return kind == "json" and not _RESULTS.isdisjoint(re.split(r"[^a-z]+", stem))


def _last_word(folder: str) -> str:
    """Return the last word of a name, without a number: `logs` for `lightning_logs_2`."""
    words = re.findall(r"[a-z]+", folder)
    return words[-1] if words else ""


def is_named(path: str, words: frozenset[str]) -> bool:
    """Check whether words name a file, by its path or the end of one."""
    name = path.rpartition("/")[2]
    return any(
        word == path or word.endswith(f"/{path}") or path.endswith(f"/{word}")
        for word in _by_name(words).get(name, ())
    )


@lru_cache(maxsize=8)  # asked for each of many files
def _by_name(words: frozenset[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for word in words:
        found.setdefault(word.rpartition("/")[2], []).append(word)
    return found


def command_words(*commands: Iterable[str]) -> frozenset[str]:
    """Return the words of commands that may name a file, but for files that they write."""
    read = (word for argv in commands for word in words_read(argv))
    names = (value if sign else name for name, sign, value in (one.partition("=") for one in read))
    return frozenset(one.removeprefix("./") for one in names if one.strip("./"))


def words_read(argv: Iterable[str]) -> Iterator[str]:
    """Yield the arguments of a command, without those that name its results."""
    option = ""
    for word in argv:
        name, sign, _ = word.partition("=")
        if not _writes(name if sign else option):
            yield word
        option = word if word.startswith("-") else ""


def _writes(option: str) -> bool:
    return re.split(r"[-_.]", option.lstrip("-"), maxsplit=1)[0].lower() in _WRITING


def recorded_words(*facts: Facts) -> frozenset[str]:
    """Return the same of recorded commands."""
    found = [one.values.get("command.argv") for one in facts]
    return command_words(*(map(str, one) for one in found if isinstance(one, tuple)))


def texts_of_new_files(document: str | None) -> dict[str, str]:
    """Return the files of the document `untracked`; none if it is damaged."""
    try:
        return entries_of(NEW_FILES, document, "")
    except StoreCorruptError:
        return {}


def marks_of(facts: Facts) -> dict[str, str]:
    """Return the fingerprints of new files whose text was not kept, by path."""
    lines = facts.values.get(OTHER_FILES)
    pairs = (line.partition(" ") for line in lines) if isinstance(lines, tuple) else ()
    return {path: mark for mark, _, path in pairs}


def new_code(files: Mapping[str, _T], facts: Facts, words: frozenset[str]) -> dict[str, _T]:
    """Return the new files of a run that count as code.

    Args:
        files: New files by path, such as their texts.
        facts: Captured facts of the run.
        words: Words of the commands of all runs that are compared.
    """
    if facts.values.keys().isdisjoint(_OF_GIT):
        return dict(files)  # outside git, these are the files of the program
    hidden = _hidden(facts)
    return {
        path: one for path, one in files.items() if path in hidden or is_part_of_code(path, words)
    }


def data_among(files: Collection[str], facts: Facts, words: frozenset[str]) -> set[str]:
    """Return the paths of new files that do not count as code."""
    return set(files) - new_code(dict.fromkeys(files), facts, words).keys()


def _hidden(facts: Facts) -> Sequence[str]:
    """Return the tracked files among the new ones: git was told to ignore their changes."""
    paths = facts.values.get(HIDDEN)
    return paths if isinstance(paths, tuple) else ()


def reasons_of(facts: Facts) -> dict[str, str]:
    """Return why the texts of new files were not kept, by path, as far as they are named."""
    named = map(_LEFT_OUT_FILE.fullmatch, facts.unknown.get(LEFT_OUT, "").split("; "))
    return {found[1]: found[2] for found in named if found}


def unkept_code(texts: Collection[str], facts: Facts, words: frozenset[str]) -> list[str]:
    """Return new files that may count as code and of which nothing was kept, with the reasons.

    Args:
        texts: Paths of new files whose text was kept.
        facts: Captured facts of the run.
        words: Words of the commands of all runs that are compared.
    """
    marks = marks_of(facts)
    if not marks:
        parts = facts.unknown[LEFT_OUT].split("; ") if LEFT_OUT in facts.unknown else []
        found = [(_LEFT_OUT_FILE.fullmatch(part), part) for part in parts]
        return [part for path, part in found if path is None or is_part_of_code(path[1], words)]
    # Code comes first, so nothing of it is missing if there was room for other files.
    if CUT in facts.unknown and all(map(is_source, (*texts, *marks))):
        return [facts.unknown[CUT]]
    return []
