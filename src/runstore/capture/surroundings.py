"""Facts about the surroundings of a run at its start, with the reason for each unknown fact.

One of the three places with a broad handler: any failure here is an unknown fact, and never ends
a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from runstore.errors import attempt, genuine, named_error
from runstore.model.facts import Facts, FactValue
from runstore.model.values import clean_text
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.capture.program.files import Loading

# Of a program that no repository keeps.
_FILES_AT_MOST = 500


def working_folder() -> Path | None:
    """Return the working directory; None if it was deleted."""
    try:
        return Path.cwd()
    except genuine(OSError):
        return None


class Surroundings(NamedTuple):
    """The surroundings of a run at its start; the program may change its folder meanwhile.

    Attributes:
        folder: The working directory; None if it was deleted.
        scripts: Absolute paths of the program's main script, if there is one.
        store: The folder of the store, whose files are not code.
        command: The command, if another process is the program; None for this process.
    """

    folder: Path | None = None
    scripts: tuple[str, ...] = ()
    store: Path | None = None
    command: tuple[str, ...] | None = None

    @classmethod
    def here(
        cls,
        *,
        argv: Sequence[str] | None = None,
        store: Path | None = None,
        is_other_process: bool = False,
    ) -> Surroundings:
        """Return the current surroundings of this process.

        Args:
            argv: The arguments of the program (default: those of this process).
            store: The folder of the store.
            is_other_process: Whether another process, started from here, runs the program.
        """
        from runstore.capture.program.files import scripts

        folder = working_folder()
        found = scripts(argv, None if folder is None else str(folder))
        command = tuple(argv) if argv and is_other_process else None
        return cls(folder, found, store, command)

    def program(self) -> tuple[str, ...]:
        """Return absolute paths of the program's files, its main script first."""
        from runstore.capture.program.files import program_files

        return program_files(self.scripts, None if self.folder is None else str(self.folder))

    def loading(self, quick: Facts, prefix: str = "") -> Loading:
        """Start watching the program's own modules that this process loads."""
        from runstore.capture.program.files import Loading

        root = quick.values.get("git.root")
        return Loading(root if isinstance(root, str) else None, prefix)


def quick_facts(where: Surroundings | None = None, *, argv: Sequence[str] | None = None) -> Facts:
    """Return the facts that are read before a run is recorded: git's head, the command, the host.

    Args:
        where: The surroundings of the run (default: this process).
        argv: The exact arguments (default: the arguments of this process).
    """
    from runstore.capture.machine.environment import scheduler_facts
    from runstore.capture.machine.host import host_basics
    from runstore.capture.program.command import command_facts
    from runstore.capture.program.files import program_facts

    place = Surroundings.here(argv=argv) if where is None else where
    own = () if argv else (("command.program", partial(program_facts, place.scripts)),)
    return _together(
        ("command", partial(command_facts, argv)),
        *own,
        ("git", partial(_head, place)),
        ("host", partial(host_basics, has_python=place.command is None)),
        ("scheduler", scheduler_facts),
    )


def _head(where: Surroundings) -> Facts:
    """Return the head of the working directory's repository, or else of the program's."""
    from runstore.capture.git.state import NO_REPOSITORY, read_head

    found = read_head(where.folder or Path.cwd())
    if where.scripts and found.unknown.get("git.dirty") == NO_REPOSITORY:
        return read_head(Path(where.scripts[0]).parent)
    return found


def environment_facts(where: Surroundings | None = None) -> Facts:
    """Return Python, its packages and the hardware. Safe in a background thread."""
    from runstore.capture.machine.host import host_details

    return _together(("python", lambda: _python(where)), ("host", host_details))


def late_facts(loading: Loading) -> Facts:
    """Return the modules that a program has loaded since its run began, or the reason for none."""
    from runstore.capture.program.modules import modules_since

    return _together(("modules.late", lambda: modules_since(loading)))


def session_facts() -> Facts:
    """Return the cells that a notebook or prompt has run so far, and the notebook's name."""
    from runstore.capture.program.notebook import notebook_facts

    return _together(("notebook", notebook_facts))


def _python(where: Surroundings | None) -> Facts:
    if where is None or where.command is None:
        from runstore.capture.machine.environment import environment_facts as own

        return own()
    from runstore.capture.machine.other_python import facts_of_command

    return facts_of_command(where.command, where.folder)


def code_facts(quick: Facts, where: Surroundings) -> Facts:
    """Return remote, patch and new files; leaves no process running.

    Facts that `quick_facts` could not read, for example because git was slow, are read again.
    """
    return _together(("git", lambda: _repository(quick, where)))


def _repository(quick: Facts, where: Surroundings) -> Facts:
    from runstore.capture.git.remote import read_remote
    from runstore.capture.git.snapshot import snapshot
    from runstore.capture.git.state import NO_REPOSITORY, run_git
    from runstore.capture.program.files import Command, own_modules

    if quick.unknown.get("git.dirty") == NO_REPOSITORY:
        return _program_alone(where)
    root = quick.values.get("git.root")
    # The initial folder may be gone, or the program may have been started from another one.
    place = read_remote(Path(root) if isinstance(root, str) else where.folder or Path.cwd())
    root = place.values.get("git.root")
    if not isinstance(root, str):
        why = place.unknown["git.root"]
        unknown = Facts(unknown={"patch": why, "untracked": why})
        return place.merged(unknown).merged(_program_alone(where))
    return place.merged(
        snapshot(
            Path(root),
            run_git,
            store=where.store,
            program=where.program(),
            modules=own_modules(),
            command=Command(where.command, where.folder) if where.command else None,
            has_changes=quick.values.get("git.dirty") is not False,
            has_new_files=quick.values.get("git.has_untracked") is not False,
        )
    )


def _program_alone(where: Surroundings) -> Facts:
    """Return a program outside any repository: its script, and its own modules.

    These are the loaded modules and their imports. Names are relative to the
    folder of the script; names of modules elsewhere begin with `..`.
    """
    from runstore.capture.git.snapshot import program_alone
    from runstore.capture.program.files import own_modules
    from runstore.capture.program.modules import files_of

    root = Path(where.scripts[0]).parent if where.scripts else where.folder
    if root is None:
        return Facts()
    files = where.program()
    if where.command is None:
        beyond, _ = files_of(own_modules(), where.scripts)
        files = tuple(dict.fromkeys((*files, *sorted(beyond.values()))))
    return program_alone(root, files[:_FILES_AT_MOST])


def _together(*groups: tuple[str, Callable[[], Facts]]) -> Facts:
    """Read each group separately, so that a failure does not affect the others."""
    found = [attempt(read, partial(_unknown, name)) for name, read in groups]
    return _storable(Facts().merged(*found))


def _unknown(name: str, error: Exception) -> Facts:
    """Return an unknown fact, with its reason."""
    return Facts(unknown={name: named_error(error)})


def _storable(facts: Facts) -> Facts:
    """Return the facts as storable text: variables and file names may contain any bytes."""
    texts = [*facts.documents.values(), *facts.unknown.values()]
    for value in facts.values.values():
        texts.extend(value if isinstance(value, tuple) else (str(value),))
    joined = "".join(texts)
    if clean_text(joined) == joined:  # usually
        return facts
    return Facts(
        values={name: _cleaned(value) for name, value in facts.values.items()},
        documents={name: clean_text(text) for name, text in facts.documents.items()},
        unknown={name: clean_text(why) for name, why in facts.unknown.items()},
    )


def _cleaned(value: FactValue) -> FactValue:
    if isinstance(value, str):
        return clean_text(value)
    return tuple(map(clean_text, value)) if isinstance(value, tuple) else value
