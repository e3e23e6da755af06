"""runstore scrub: remove secrets from the store."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, TextIO

import click

from runstore.cli import output
from runstore.cli.context import open_store
from runstore.cli.dialogs import confirm
from runstore.cli.options import json_option, yes_option
from runstore.errors import UsageError

if TYPE_CHECKING:
    from runstore.model.scrubbing import Place, Scrubbed

_EXIT_LEFT = 1
_CHARACTERS_AT_MOST = 1_000_000


@click.command(short_help="Remove leaked secrets.")
@click.option(
    "--secret", is_flag=True, help="Prompt for the secret without echo, or read it from stdin."
)
@click.option(
    "--from", "source", type=click.File(encoding="utf-8"), metavar="FILE",
    help="File with one secret per line, or - for stdin.",
)  # fmt: skip
@click.option("--pattern", metavar="REGEX", help="Regular expression that matches the secrets.")
@click.option("--dry-run", is_flag=True, help="List the places with secrets, and change nothing.")
@yes_option
@json_option
def command(
    *,
    secret: bool,
    source: TextIO | None,
    pattern: str | None,
    dry_run: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Permanently remove secrets from rows, output, artifacts, copies, logs and free pages.

    By default, the command removes all text that would be masked if it were recorded today, and
    leaves parameters, notes, output and artifacts unchanged.

    Secrets are replaced by ***. Text artifacts are rewritten and get a new digest; other
    artifacts that contain a secret are removed. This cannot be undone. A secret is never passed
    as an argument, because shells keep arguments in their history.

    \b
    runstore scrub --secret
    pass show wandb | runstore scrub --secret -y
    """  # noqa: D301 - click keeps lines after the mark as they are
    from runstore.maintenance.scrub import scrub, wanted

    if secret + (source is not None) + (pattern is not None) > 1:
        raise UsageError("Use only one of --secret, --from and --pattern.")
    found = wanted(_secrets(source, is_asked=secret), pattern)
    with open_store() as store:
        planned = scrub(store.backend, found)
        if dry_run or not planned.places:
            _show(planned, as_json=as_json)
            return
        if not yes:
            confirm(
                "Remove these secrets permanently?",
                [_line(place, is_dry=True) for place in planned.places],
                kept="Nothing was changed.",
            )
        done = scrub(store.backend, found, is_dry=False)
    _show(done, as_json=as_json)
    if done.left:
        sys.exit(_EXIT_LEFT)


def _secrets(source: TextIO | None, *, is_asked: bool) -> tuple[str, ...]:
    if is_asked and sys.stdin.isatty():
        found = [click.prompt("Secret", hide_input=True, err=True)]
    elif is_asked:
        # A key with several lines is one secret.
        found = [_text_of(sys.stdin).strip("\r\n")]
    elif source is not None:
        found = [line.rstrip("\r\n") for line in _text_of(source).split("\n")]
    else:
        return ()
    secrets = tuple(one for one in found if one.strip())
    if not secrets:
        raise UsageError("No secret was given.", kept="Nothing was changed.")
    return secrets


def _text_of(file: TextIO) -> str:
    """Return the text of a file, which may be a device without an end."""
    text = file.read(_CHARACTERS_AT_MOST + 1)
    if len(text) > _CHARACTERS_AT_MOST:
        raise UsageError(
            f"There are more than {_CHARACTERS_AT_MOST:,} characters.",
            kept="Nothing was changed.",
            hint="Use a file with one secret per line.",
        )
    return text


def _show(found: Scrubbed, *, as_json: bool) -> None:
    if as_json:
        places = [
            {"what": one.what, "fate": one.fate, "count": one.count, "note": one.note}
            for one in found.places
        ]
        output.print_json({"is_dry": found.is_dry, "places": places})
        return
    for place in found.places:
        output.say(_line(place, is_dry=found.is_dry))
    if not found.places:
        output.say("No secrets were found.", err=True)
    elif found.is_dry:
        output.say("Nothing was changed.", err=True)
    elif not found.left:
        output.say(
            "Revoke these secrets and create new ones: others may have seen them.", err=True
        )


def _line(place: Place, *, is_dry: bool) -> str:
    fate = f"to be {place.fate}" if is_dry and place.fate != "left" else place.fate
    count = f" ({place.count:,} rows)" if place.count > 1 else ""
    note = f"; {place.note}" if place.note else ""
    return f"{place.what}{count}: {fate}{note}"
