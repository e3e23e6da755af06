"""What a deletion takes away and what cleaning up frees, as plain values."""

from __future__ import annotations

from dataclasses import dataclass, field

from runstore.model.run import Run


@dataclass(frozen=True, slots=True)
class Amount:
    """Some files.

    Attributes:
        files: How many.
        size_bytes: Their size, all together.
    """

    files: int = 0
    size_bytes: int = 0

    def __add__(self, other: Amount) -> Amount:
        return Amount(self.files + other.files, self.size_bytes + other.size_bytes)

    def __bool__(self) -> bool:
        return self.files > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Freed:
    """Files that are, or would be, removed for good.

    Attributes:
        contents: Of artifacts and of what runs printed.
        folders: In the run folders of full stores.
        leftovers: That crashed programs left in the store.
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
    """A run that will miss a deleted one.

    Attributes:
        run: The run, which is kept.
        how: `read` for one that read what the deleted run saved, `inside` for one that was
            started in it.
        of: The deleted run.
    """

    run: Run
    how: str
    of: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """What was deleted, or would be.

    Attributes:
        runs: The runs; they are in the trash, unless it was dry.
        frees: What goes when they are removed for good.
        shared: Contents of theirs that stay, since other runs have the same.
        dependents: Runs that will miss them.
        is_dry: Whether nothing was done.
    """

    runs: tuple[Run, ...]
    frees: Freed
    shared: Amount
    dependents: tuple[Dependent, ...]
    is_dry: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """What was cleaned up, or would be.

    Attributes:
        runs: References of the runs that were removed for good.
        freed: The files that went.
        rows: Rows of the database that nothing referred to, by table.
        trashed: How many runs are left in the trash.
        trash_frees: What goes when the trash is emptied.
        reusable_bytes: Room within the database file that new runs will use.
        is_dry: Whether nothing was done.
    """

    runs: tuple[str, ...]
    freed: Freed
    rows: dict[str, int]
    trashed: int
    trash_frees: Freed
    reusable_bytes: int
    is_dry: bool
