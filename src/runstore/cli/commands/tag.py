"""runstore tag: set and remove tags of runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from runstore.cli import output
from runstore.cli.completions import complete_tag_words
from runstore.cli.context import open_store
from runstore.cli.options import json_option
from runstore.cli.words import in_order, is_name, runs_meant
from runstore.errors import RunNotFoundError, UsageError, quoted
from runstore.model.display.formatting import tags_text
from runstore.model.display.short_names import short_name
from runstore.model.display.suggestions import nearest
from runstore.model.query.fields import NAMESPACE_WORDS, RUN_FIELDS, SAME

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.store import Store


_HIDDEN = "\0"


class _Changes(click.Command):
    """The command, whose arguments may begin with a minus."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Hide tags to remove while options are read: click would find `-h` in `-phase`."""
        hidden = [f"{_HIDDEN}{one}" if _is_removal(one) else one for one in args]
        rest = super().parse_args(ctx, hidden)
        words = ctx.params.get("words") or ()
        ctx.params["words"] = tuple(one.removeprefix(_HIDDEN) for one in words)
        return rest


def _is_removal(word: str) -> bool:
    return word[:1] == "-" != word[1:2] and len(word) > len("-h")


@click.command(
    cls=_Changes,
    context_settings={"ignore_unknown_options": True},
    short_help="Set and remove tags of runs.",
)
@click.argument(
    "words",
    metavar="[RUN | EXPERIMENT]... [FILTER] [CHANGE]...",
    nargs=-1,
    required=True,
    type=click.UNPROCESSED,
    shell_complete=complete_tag_words,
)
@json_option
def command(words: Sequence[str], *, as_json: bool) -> None:
    """Set and remove tags of RUNs, all runs of an EXPERIMENT, or the runs that match FILTER.

    A CHANGE is +keep (set a tag), -draft (remove one) or phase=pilot (set one to a value). All
    changes are made at once, or none; `runstore undo` undoes them. Without a change, the tags are
    shown.

    \b
    runstore tag latest +keep
    runstore tag mnist#3 mnist#4 -draft phase=pilot
    runstore tag mnist "metrics.acc.max > 0.9" +good
    """  # noqa: D301 - click keeps lines after the mark as they are
    named, changes = _parted(words)
    if not named:
        raise UsageError("No run is named.", hint="Write for example: runstore tag latest +keep")
    with open_store() as store:
        before: Sequence[Run] = _runs(store, named)
        runs = store.tag(before, changes) if changes and before else before
    for key, value in changes.items():
        if before and value is None:
            _say_if_missing(key, before)
    if as_json:
        output.print_json(
            [{"reference": run.reference, "uid": run.uid, "tags": dict(run.tags)} for run in runs]
        )
        return
    for run in runs:
        output.say(f"{run.reference}\t{tags_text(run.tags)}")
    if not runs:
        output.say("runstore: No run matches, so no tag was changed.", err=True)


def _say_if_missing(key: str, runs: Sequence[Run]) -> None:
    """Report a tag to remove that none of the runs had."""
    known = dict.fromkeys(tag for run in runs for tag in run.tags)
    if key in known:
        return
    near = nearest(key, known)
    hint = f" Did you mean -{near}?" if near else ""
    one = f"{short_name(runs[0])} has no tag"
    which = one if len(runs) == 1 else f"None of these {len(runs):,} runs has a tag"
    output.say(f"runstore: {which} {quoted(key)}.{hint}", err=True)


def _parted(words: Sequence[str]) -> tuple[list[str], dict[str, str | None]]:
    """Return the arguments that name runs, and the changes."""
    named: list[str] = []
    changes: dict[str, str | None] = {}
    for word in words:
        if _is_change(word, is_first=not named):
            changes.update([_change(word)])
        else:
            named.append(word)
    return named, changes


def _is_change(word: str, *, is_first: bool) -> bool:
    """Return whether an argument is a change; a run with such a name can be named by its uid."""
    key, sign, _ = word.partition("=")
    if word[:1] in {"+", "-"}:
        return True
    if not sign or key != key.strip() or any(one in key for one in " <>!~"):
        return False
    field = key.partition(".")[0]
    is_field = key in RUN_FIELDS or key in SAME or ("." in key and field in NAMESPACE_WORDS)
    if is_field and not is_first:
        raise UsageError(
            f"{quoted(word)} may be a tag or a filter.",
            kept="Nothing was changed.",
            hint=f"For the tag, write +{word}; for the filter, put it first, before the changes.",
        )
    return not is_field


def _change(word: str) -> tuple[str, str | None]:
    if word.startswith("--"):
        raise UsageError(
            f"`runstore tag` has no option {quoted(word)}.",
            kept="Nothing was changed.",
            hint=f"To set a tag, write +{word[2:]}; to remove it, {word[1:]}.",
        )
    if word.startswith("-"):
        return word[1:], None
    key, _, value = word.removeprefix("+").partition("=")
    return key, value


def _runs(store: Store, named: Sequence[str]) -> list[Run]:
    """Return the runs; a later argument that names no run may be a tag without its sign."""
    try:
        return runs_meant(store, named)
    except UsageError as error:
        texts = [word for word in named[1:] if not any(sign in word for sign in "=<>~@")]
        if type(error) is not UsageError or not texts:
            raise
        raise UsageError(
            error.what,
            kept="Nothing was changed.",
            hint=f"{error.hint} To set a tag, write: '+{texts[0]}'",
        ) from error
    except RunNotFoundError as error:
        wrong = [word for word in named if quoted(word) in error.what]
        hint = f"To set a tag, write: +{wrong[0]}" if wrong else ""
        if named[0] in wrong:
            meant = next((word for word in named[1:] if is_name(store, word)), None)
            hint = f"To set a tag, write: {in_order(meant, named, '+')}" if meant else ""
        if not hint:
            raise
        raise RunNotFoundError(error.what, kept="Nothing was changed.", hint=hint) from error
