"""Facts about the world when a run starts: what could be seen, and why the rest could not.

One of the three homes of the broad handler: whatever goes wrong here is an unknown fact, never
the end of a run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from runstore.model.facts import Facts, FactValue
from runstore.model.values import clean_text

if TYPE_CHECKING:
    from runstore.capture.program.files import Loading

# Of a program that no repository keeps.
_FILES_AT_MOST = 500


def working_folder() -> Path | None:
    """Return the working directory; None where it was deleted."""
    try:
        return Path.cwd()
    except OSError:
        return None


class Surroundings(NamedTuple):
    """Where a run starts, as it was then: a program may go elsewhere while facts are read.

    Attributes:
        folder: The working directory; None where it was deleted.
        scripts: Absolute paths of the program's main script, where there is one.
        store: The folder of the store, whose own files are no code.
        command: The command of another process that is the program; None for this process.
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
        """Return those of this process now.

        Args:
            argv: The arguments of the program, where they are not those of this process.
            store: The folder of the store.
            is_other_process: Whether another process runs the program, started from here.
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
        """Begin to watch which modules of its own this process loads.

        Args:
            quick: What `quick_facts` gave.
            prefix: Of the names by which it is kept.
        """
        from runstore.capture.program.files import Loading

        root = quick.values.get("git.root")
        return Loading(root if isinstance(root, str) else None, prefix)


def quick_facts(where: Surroundings | None = None, *, argv: Sequence[str] | None = None) -> Facts:
    """Return what is read before a run is written down: git's head, the command, the host.

    Args:
        where: Where the run starts; None for here.
        argv: The exact arguments, where they are not those of this process.
    """
    from runstore.capture.machine.environment import scheduler_facts
    from runstore.capture.machine.host import host_basics
    from runstore.capture.program.command import command_facts
    from runstore.capture.program.files import program_facts

    place = Surroundings.here(argv=argv) if where is None else where
    return _together(
        ("command", lambda: command_facts(argv)),
        ("command.program", lambda: Facts() if argv else program_facts(place.scripts)),
        ("git", lambda: _head(place)),
        ("host", lambda: host_basics(has_python=place.command is None)),
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
    """Return Python, its packages and the hardware. Safe in a background thread.

    Args:
        where: Where the run starts; None for here.
    """
    from runstore.capture.machine.host import host_details

    return _together(("python", lambda: _python(where)), ("host", host_details))


def late_facts(loading: Loading) -> Facts:
    """Return the modules that a program has loaded since its run began, or why not.

    Args:
        loading: What watched over them.
    """
    from runstore.capture.program.modules import modules_since

    return _together(("modules.late", lambda: modules_since(loading)))


def session_facts() -> Facts:
    """Return the cells that a notebook or prompt ran so far, and the notebook's name."""
    from runstore.capture.program.notebook import notebook_facts

    return _together(("notebook", notebook_facts))


def _python(where: Surroundings | None) -> Facts:
    if where is None or where.command is None:
        from runstore.capture.machine.environment import environment_facts as own

        return own()
    from runstore.capture.machine.other_python import facts_of_command

    return facts_of_command(where.command, where.folder)


def code_facts(quick: Facts, where: Surroundings) -> Facts:
    """Return remote, patch and new files; leaves no process behind.

    And what `quick_facts` could not tell, as where git took too long.

    Args:
        quick: What `quick_facts` gave.
        where: Where the run starts.
    """
    return _together(("git", lambda: _repository(quick, where)))


def _repository(quick: Facts, where: Surroundings) -> Facts:
    from runstore.capture.git.snapshot import snapshot
    from runstore.capture.git.state import NO_REPOSITORY, read_remote, run_git
    from runstore.capture.program.files import Command, own_modules

    if quick.unknown.get("git.dirty") == NO_REPOSITORY:
        return _program_alone(where)
    root = quick.values.get("git.root")
    # The folder of the start may be gone, or a program may have been started from another one.
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
    """Return the program outside of a repository: its script, and its own modules.

    Those are loaded, or imported in their code. Names are relative to the folder of the script;
    those of modules elsewhere begin with `..`.
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
    """Read each group by itself: one that fails leaves the others."""
    facts = Facts()
    for name, read in groups:
        try:
            found = read()
        except Exception as error:  # noqa: BLE001 - an unknown fact, with its reason
            found = Facts(unknown={name: f"{type(error).__name__}: {error}"})
        facts = facts.merged(found)
    return _storable(facts)


def _storable(facts: Facts) -> Facts:
    """Return the facts in text that can be stored: variables and file names may hold any bytes."""
    return Facts(
        values={name: _cleaned(value) for name, value in facts.values.items()},
        documents={name: clean_text(text) for name, text in facts.documents.items()},
        unknown={name: clean_text(why) for name, why in facts.unknown.items()},
    )


def _cleaned(value: FactValue) -> FactValue:
    if isinstance(value, str):
        return clean_text(value)
    return tuple(map(clean_text, value)) if isinstance(value, tuple) else value
