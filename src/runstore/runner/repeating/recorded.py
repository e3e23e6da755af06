"""The recorded command of a run, as it can be run again."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import TYPE_CHECKING

from runstore.analysis.reruns.identity import are_same_sets
from runstore.capture.git.state import QUICK_TIMEOUT_S, GitError, run_git
from runstore.capture.secrets import MASK
from runstore.errors import ConflictError, NotFoundError
from runstore.model.code.launchers import launched
from runstore.model.code.python_command import is_pool_worker, is_python
from runstore.model.display.short_names import short_name
from runstore.model.facts import EXEC_OPTIONS, REPEATS, Facts
from runstore.storage.sqlite.paths import can_be_entered, is_file
from runstore.value_classes import dataclass, replace

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.store import Store

_RUNNER = "runstore"
_KEPT = "Nothing was started."
_INTERACTIVE = ("ipykernel", "colab_kernel")
_LIMIT_BYTES = 1 << 10
# Options of `runstore run` that belong to one run, or to the call.
_NOT_REPEATED = frozenset({"--notes", "--tag", "--if-done", "--store"})


@dataclass(frozen=True, slots=True)
class RecordedCommand:
    """The command of a run, its working directory, and the top folder of its code in git.

    `options` are those of `runstore exec`. `root` is None outside of git.
    """

    run: Run
    words: tuple[str, ...]
    options: tuple[str, ...]
    root: Path | None
    folder: Path

    @property
    def is_experiment(self) -> bool:
        """Whether it is a `runstore run`."""
        return _is_experiment(self.words)

    @property
    def line(self) -> str:
        """The command as typed in a shell."""
        if self.options:
            return shlex.join([_RUNNER, "exec", *self.options, "--", *self.words])
        return shlex.join(self.words)

    def moved_to(self, root: Path) -> RecordedCommand:
        """Return the command in another copy of its code."""
        if self.root is None:
            return self
        words = [self.words[0], *(_moved(one, self.root, root) for one in self.words[1:])]
        folder = Path(_moved(str(self.folder), self.root, root))
        return replace(self, words=tuple(words), root=root, folder=folder)


def recorded_command(run: Run) -> RecordedCommand:
    """Return the command of a run, in the present copy of its code.

    That is the repository of the working directory if it has the commit of the run, and otherwise
    the folder in which the run was started.

    Raises:
        ConflictError: The command cannot be repeated: it was not recorded as a whole, or it was
            started from a prompt or a notebook.
        NotFoundError: The folder is gone.
    """
    words = _words(run)
    values = run.facts.values
    if _is_experiment(words):
        words = _without(words, _NOT_REPEATED)
    options = values.get(EXEC_OPTIONS)
    root, folder = values.get("git.root"), values.get("command.cwd")
    found = RecordedCommand(
        run,
        words,
        _renamed(options if isinstance(options, tuple) else (), run.experiment_name),
        Path(root) if isinstance(root, str) else None,
        Path(folder) if isinstance(folder, str) else Path.cwd(),
    )
    if any(MASK in one for one in found.options):
        raise _refused(run, f"its options contain a secret, which was not recorded: {found.line}")
    here = _root_with(run.commit)
    if here is not None and found.root is not None and here != found.root:
        found = found.moved_to(here)
    if not can_be_entered(found.folder):
        raise NotFoundError(
            f"{short_name(run)} was started in {found.folder}, which does not exist,"
            " or cannot be entered.",
            kept=_KEPT,
            hint="Change to a copy of its repository that has the commit of the run."
            if run.commit
            else f"Run the command elsewhere with: runstore exec -- {shlex.join(words)}",
        )
    return found


def _words(run: Run) -> tuple[str, ...]:
    words = run.facts.values.get("command.argv")
    if not isinstance(words, tuple) or not words:
        known = f": {run.cli}" if run.cli and not run.cli.startswith("-") else ""
        raise _refused(run, f"its command was not recorded as a whole{known}")
    if why := run.facts.unknown.get("command.argv.rest"):
        raise _refused(run, f"its command was not recorded as a whole: {why}")
    if "notebook.path" in run.facts.values or any(
        PurePath(one).name.startswith(_INTERACTIVE) for one in words[:3]
    ):
        place = run.facts.values.get("notebook.path", "")
        raise _refused(run, f"it ran in a notebook: {place}".rstrip(": "))
    line = shlex.join(words)
    if any(MASK in one for one in words):
        raise _refused(run, f"its command contains a secret, which was not recorded: {line}")
    if is_pool_worker(words):
        raise _refused(run, "it was recorded in a worker process, which its program started")
    found = launched(words)
    if found.kind == "program" and is_python(found.what):
        raise _refused(run, f"its code came from a prompt or from standard input: {line}")
    return words


def _renamed(options: Sequence[str], experiment: str) -> tuple[str, ...]:
    """Return the options of `runstore exec` with the present name of the experiment."""
    if options[:1] == ("-e",):
        return ("-e", experiment, *options[2:])
    return tuple(options)


def _is_experiment(words: Sequence[str]) -> bool:
    return PurePath(words[0]).name == _RUNNER and "run" in words[1:4]


def _without(words: Sequence[str], options: frozenset[str]) -> tuple[str, ...]:
    """Return a command without some options and their values."""
    kept: list[str] = []
    is_value = False
    for word in words:
        name, sign, _ = word.partition("=")
        if name in options:
            is_value = not sign
        elif is_value and not word.startswith("-"):
            is_value = False
        else:
            kept.append(word)
            is_value = False
    return tuple(kept)


def _refused(run: Run, why: str) -> ConflictError:
    return ConflictError(
        f"{short_name(run)} cannot be repeated: {why}.",
        kept=_KEPT,
        hint="Run and record another command with: runstore exec -- COMMAND",
    )


def _root_with(commit: str | None) -> Path | None:
    """Return the top folder of the repository of the working directory if it has a commit."""
    if commit is None:
        return None
    try:
        run_git(
            ["cat-file", "-e", f"{commit}^{{commit}}"],
            Path.cwd(),
            limit_bytes=_LIMIT_BYTES,
            timeout_s=QUICK_TIMEOUT_S,
        )
        root = run_git(
            ["rev-parse", "--show-toplevel"],
            Path.cwd(),
            limit_bytes=1 << 16,
            timeout_s=QUICK_TIMEOUT_S,
        )
    except GitError:
        return None
    return Path(os.fsdecode(root).rstrip("\n"))


def _moved(word: str, old: Path, new: Path) -> str:
    """Return a word with a path below another folder: `--out=/old/x` is `--out=/new/x`."""
    prefix, sign, path = word.rpartition("=")
    if path == str(old) or path.startswith(f"{old}{os.sep}"):
        return f"{prefix}{sign}{new}{path[len(str(old)) :]}"
    return word


def use_recorded_python(recorded: RecordedCommand) -> str | None:
    """Make names such as `python` mean the interpreter of the run, if it still exists.

    This sets PATH, because a command line with another word would be another command. Returns the
    interpreter, if it is not the one that the name meant.
    """
    executable = recorded.run.facts.values.get("python.executable")
    name = launched(recorded.words).interpreter
    if not isinstance(executable, str) or os.sep in name or not is_python(name):
        return None
    place = Path(executable).with_name(name)
    found = shutil.which(name)
    is_same = found is not None and Path(found).parent == place.parent
    if is_same or not is_file(place) or not os.access(place, os.X_OK):
        return None
    os.environ["PATH"] = os.pathsep.join([str(place.parent), os.environ.get("PATH", "")])
    return str(place)


def others_of_its_program(store: Store, run: Run) -> list[Run]:
    """Return neighbours of a run that the same process recorded, such as those of a loop."""
    if run.process is None:
        return []
    found: list[Run] = []
    numbers = [one for one in (run.run_number - 1, run.run_number + 1) if one > 0]
    around = [f"{run.experiment_name}#{one}" for one in numbers]
    for name in [run.parent_uid, *around] if run.parent_uid else around:
        try:
            other = store.get(name)
        except NotFoundError:
            continue
        if other.process == run.process and other.uid != run.uid:
            found.append(other)
    return found


def note_repeated(store: Store, new: Run, old_uid: str) -> None:
    """Note which of the runs that a program recorded repeats an earlier run of it.

    It is the one with the same parameters, or else the first.
    """
    old = store.get(old_uid)
    same = [
        one
        for one in (new, *store.children(new.uid))
        if one.experiment_name == old.experiment_name
        and are_same_sets(one.parameter_sets, old.parameter_sets)
    ]
    chosen = same[0] if same else new
    store.backend.database.attach_facts(chosen.uid, Facts(values={REPEATS: old_uid}))
