"""runstore trust: trust the stores of other users in a folder."""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

import click

from runstore.cli.options import json_option
from runstore.cli.output import print_json, say
from runstore.errors import NotFoundError, UsageError
from runstore.storage.sqlite.paths import is_folder


@click.command(short_help="Trust the stores of other users in a folder.")
@click.argument("folders", nargs=-1, type=click.Path())
@click.option("--remove", is_flag=True, help="Remove FOLDERS from the list.")
@json_option
def command(folders: Sequence[str], *, remove: bool, as_json: bool) -> None:
    """Trust FOLDERS: use the stores and project files of other users in them.

    By default, a store of another user above your working directory is not used. In a trusted
    folder, it is used if it belongs to the owner or group of the folder. `*` means all folders.
    The environment variable RUNSTORE_TRUST adds folders, separated by colons. Without FOLDERS,
    the list is shown.

    \b
    runstore trust /data/team
    runstore trust --remove /data/team
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.storage.trust import trusted

    for given in folders:
        if remove:
            _distrust(given)
        else:
            _trust(given)
    if not folders and remove:
        raise UsageError("No folder is named.", hint="List the folders with: runstore trust")
    if folders:
        return
    if as_json:
        print_json(trusted.listed())
        return
    for one in (found := trusted.listed()):
        say(one)
    if not found:
        say("runstore: no folders are trusted.", err=True)


def _trust(given: str) -> None:
    from runstore.storage.trust import trusted

    path = trusted.EVERYTHING if given == trusted.EVERYTHING else os.path.abspath(given)  # noqa: PTH100 - keeps links
    if path != trusted.EVERYTHING and not is_folder(path):
        raise NotFoundError(f"There is no folder {path!r}.", kept="The list was not changed.")
    trusted.trust(path)
    say(f"trusted {path}")
    if path != trusted.EVERYTHING and Path(path).stat().st_mode & stat.S_IWOTH:
        owner = trusted.owner_name(Path(path).stat().st_uid)
        say(
            f"runstore: Everyone can write to it, so only stores of {owner} are used there.",
            err=True,
        )


def _distrust(given: str) -> None:
    from runstore.storage.trust import trusted

    if not (trusted.distrust(given) or trusted.distrust(os.path.abspath(given))):  # noqa: PTH100 - keeps links
        raise NotFoundError(
            f"{given!r} is not in the list.", hint="List the folders with: runstore trust"
        )
    say(f"no longer trusted {given}")
