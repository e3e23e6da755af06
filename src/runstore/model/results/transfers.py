"""Results of a transfer of runs between stores, as plain values."""

from __future__ import annotations

from collections.abc import Callable

from runstore.model.results.deletion import Amount
from runstore.value_classes import dataclass, field

# Receives the number of finished runs, that of all runs, and the bytes copied so far.
Progress = Callable[[int, int, int], object]
# Why a run was skipped.
ACTIVE = "active"
DELETED = "deleted"
FOREIGN = "foreign"
DAMAGED = "damaged"
REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Skipped:
    """A run that was not transferred.

    Attributes:
        reference: Its reference.
        uid: Its uid.
        why: `active` if it is being executed; `deleted` if it was permanently deleted in the
            receiving store; `foreign` if the receiving store has the run, and a store of another
            user has other data of it; `damaged` if its data is; `refused` if the receiving store
            cannot keep it, such as a file that is too large for its server.
        detail: The damage, or the reason of the refusal; empty for the other reasons.
    """

    reference: str
    uid: str
    why: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Transfer:
    """The result of a transfer, or of a dry run.

    Attributes:
        added: Number of new runs in the receiving store.
        changed: Number of runs there that got new data or edits.
        unchanged: Number of runs that it had already.
        points: Number of copied metric points.
        contents: Copied files of artifacts and output.
        joined: References of changed runs that had been continued in both stores, so that their
            data was joined.
        skipped: Runs that were not transferred.
        is_dry: Whether nothing was changed.
    """

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    points: int = 0
    contents: Amount = field(default_factory=Amount)
    joined: tuple[str, ...] = ()
    skipped: tuple[Skipped, ...] = ()
    is_dry: bool = False

    @property
    def is_complete(self) -> bool:
        """Whether no run was skipped because it is damaged or refused."""
        return not any(one.why in {DAMAGED, REFUSED} for one in self.skipped)
