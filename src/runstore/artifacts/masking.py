"""Masking of secrets in tags, addresses and file names passed by a program.

Parameters, notes and output stay as their user wrote them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from runstore.capture.secrets import is_secret_name, mask_message, mask_tokens
from runstore.model.tags import tags_given
from runstore.model.values import free_name
from runstore.user_warnings import warn


def masked_tags(
    changes: Mapping[str, str | None],
    known: dict[str, str] | None = None,
    taken: Collection[str] = (),
) -> dict[str, str | None]:
    """Return tags with secret keys and values masked, warning about each.

    The keys of tags to remove stay, because an older version recorded them as they are. Keys may
    differ only in their secrets.

    Args:
        changes: Values by key; None removes a tag.
        known: Recorded keys by keys with secrets, to which new ones are added.
        taken: Keys of other tags.
    """
    known = {} if known is None else known
    masked: dict[str, str | None] = {}
    for given, value in changes.items():
        key = given if value is None else mask_message(given)
        if key != given:
            others = {**changes, **masked}
            recorded = known.get(given)
            if recorded is None or others.get(recorded) is not None:
                recorded = free_name(key, {*others, *taken})
            key = known[given] = recorded
            warn(f"The key of a tag contains a secret; it was recorded as {key!r}.")
        shown = value if value is None else _masked_tag(key, value)
        if shown != value:
            warn(f"The value of the tag {key!r} looks like a secret; recorded as {shown!r}.")
        masked[key] = shown
    return masked


def tags_to_keep(tags: object) -> dict[str, str]:
    """Return the tags of a run that begins, checked and masked; see `tags_given`."""
    masked = masked_tags(tags_given(tags))
    return {key: value for key, value in masked.items() if value is not None}


def _masked_tag(key: str, value: str) -> str:
    if value and is_secret_name(key):
        return mask_message(f"{key}={value}").removeprefix(f"{key}=")
    return mask_message(value)


def masked_location(text: str) -> str:
    """Return an address without login and signature, or a path without tokens."""
    return mask_message(text) if "://" in text else mask_tokens(text)


def masked_name(path: str) -> str:
    """Return the name of an artifact without tokens, warning if it had some."""
    shown = mask_tokens(path)
    if shown != path:
        warn(f"The name of an artifact contains a secret; it was recorded as {shown!r}.")
    return shown
