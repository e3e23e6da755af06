"""Warnings and errors about stores and settings of other users."""

from __future__ import annotations

import os
import shlex
from collections.abc import Sequence

from runstore.errors import UntrustedStoreError, suppressed
from runstore.storage.sqlite.paths import is_own_uid
from runstore.storage.trust.trusted import owner_name
from runstore.user_warnings import warn

_said: set[str] = set()


def pass_over(foreign: Sequence[str], instead: str) -> None:
    """Warn, once for each, that stores of other users are not used.

    Raises:
        UntrustedStoreError: `instead` is one of them.
    """
    if instead in foreign:
        raise _refused(
            instead, f"The store at {instead} belongs to {_owner_of(instead)}, not to you."
        )
    for one in foreign:
        _say(
            one,
            f"The store at {one} belongs to {_owner_of(one)}, not to you, so it was not used;"
            f" yours is {instead}.",
        )


def leave_out_settings(file: str) -> None:
    """Warn, once, that the settings in another user's project file are not used."""
    _say(file, f"{file} belongs to {_owner_of(file)}, not to you, so its settings were not used.")


def leave_out_program(folder: str) -> None:
    """Warn, once, that another user's experiments are not run."""
    _say(folder, f"{folder} belongs to {_owner_of(folder)}, not to you, so it was not used.")


def taken(path: str) -> UntrustedStoreError:
    """Return the error for a place that another user created first."""
    return _refused(
        path,
        f"{path} was created by {_owner_of(path)}, not by you, in a folder that everybody can"
        " write to.",
    )


def _refused(path: str, what: str) -> UntrustedStoreError:
    return UntrustedStoreError(
        what,
        kept="It was not used, and nothing was recorded.",
        hint=f"Name a store of your own, for example in RUNSTORE_URL. {_how_to_trust(path)}",
    )


def _say(path: str, what: str) -> None:
    if path not in _said:
        _said.add(path)
        warn(f"{what} {_how_to_trust(path)}")


def _how_to_trust(path: str) -> str:
    return f"If you trust its owner, use it with: runstore trust {shlex.quote(path)}"


def _owner_of(path: str) -> str:
    """Return the name of the owner, of a link or of its target, who is not this user."""
    owners = [os.lstat(path).st_uid]
    with suppressed(OSError):  # its target cannot be reached
        owners.append(os.stat(path).st_uid)
    return owner_name(next((uid for uid in owners if not is_own_uid(uid)), owners[0]))
