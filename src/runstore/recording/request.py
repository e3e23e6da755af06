"""The request to start a run."""

from __future__ import annotations

from collections.abc import Iterable

from runstore.model import arguments
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from runstore.config import IfDone


class StartRequest(NamedTuple):
    """A request to start a run; see `Store.start` for each field.

    The uid is set if the start is tried in several places, which must not make several runs.
    """

    experiment_name: str
    params: Any = None
    notes: str | None = None
    capture: bool = True
    parent: Any = None
    cli: str | None = None
    argv: Any = None
    full_store: bool = False
    live: bool = False
    if_done: IfDone = "run"
    is_told_by_params: bool = False
    is_other_process: bool = False
    tags: Any = None
    seed: Any = None
    name: str | None = None
    uid: str | None = None


def checked_command(argv: Any) -> Any:
    """Return the arguments of a command, to be read several times; None for those of this process.

    Raises:
        UsageError: They are not.
    """
    if argv is not None and not isinstance(argv, Iterable):
        raise arguments.refused(argv, "argv", "a list of texts", ["python", "train.py"])
    return argv if argv is None or isinstance(argv, (str, bytes)) else tuple(argv)
