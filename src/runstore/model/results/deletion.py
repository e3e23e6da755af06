"""Results of deletions and of cleaning up, as plain values."""

from __future__ import annotations

from runstore.model.run import Run
from runstore.value_classes import dataclass, field


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of files.

    Attributes:
        files: Their number.
        size_bytes: Their total size.
    """

    files: int = 0
    size_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.size_bytes + other.size_bytes)

    def __bool__(self) -> bool:
        return self.files > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """Files that are, or would be, permanently removed.

    Attributes:
        contents: Contents of artifacts and printed output.
        folders: Files in the run folders of full stores.
        leftovers: Files that crashed programs left in the store.
    """

    contents: Amount = field(default_factory=Amount)
    folders: Amount = field(default_factory=Amount)
    leftovers: Amount = field(default_factory=Amount)

    @property
    def total(self) -> Amount:
        """All of them."""
        return self.contents + self.folders + self.leftovers


@dataclass(frozen=True, slots=True)
class Dependent:
    """A run that depends on a deleted one.

    Attributes:
        run: The run, which is kept.
        how: `read` if it used an artifact of the deleted run, `inside` if it was started inside
            it.
        of: The deleted run.
    """

    run: Run
    how: str
    of: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """The result of a deletion, or of a dry run.

    Attributes:
        runs: The runs; they are in the trash unless it was a dry run.
        frees: Files that will be freed when the runs are permanently removed.
        shared: Contents that are kept because other runs have the same.
        dependents: Runs that depend on them.
        is_dry: Whether nothing was changed.
    """

    runs: tuple[Run, ...]
    frees: Freed
    shared: Amount
    dependents: tuple[Dependent, ...]
    is_dry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The result of cleaning up, or of a dry run.

    Attributes:
        runs: References of the permanently removed runs.
        freed: The removed files.
        rows: Number of removed unreferenced rows, by table.
        trashed: Number of runs left in the trash.
        trash_frees: Files that will be freed when the trash is emptied.
        reusable_bytes: Free space in the database file for new runs.
        is_dry: Whether nothing was changed.
    """

    runs: tuple[str, ...]
    freed: Freed
    rows: dict[str, int]
    trashed: int
    trash_frees: Freed
    reusable_bytes: int
    is_dry: bool
