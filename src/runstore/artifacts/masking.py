"""Masking of secrets in tags, addresses and file names passed by a program.

Parameters, notes and output stay as their user wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping

from runstore.capture.secrets import is_secret_name, mask_message, mask_tokens
from runstore.model.tags import tags_given
from runstore.model.values import free_name
from runstore.user_warnings import warn


def masked_tags(
    changes: Mapping[str, str | None], names: dict[str, str] | None = None
) -> dict[str, str | None]:
    """Return tags with secret keys and values masked, warning about each.

    A key with a secret means the tag with the masked key, as secrets are renewed. If several such
    keys are used here, each has a tag of its own. A key to remove stays beside the masked one,
    because an older version recorded keys as they are.

    Args:
        changes: Values by key; None removes a tag.
        names: Recorded keys by the keys used so far for this run, to which those of `changes` are
            added; recorded keys have themselves.
    """
    names = {} if names is None else names
    masked: dict[str, str | None] = {}
    values = {key: value for key, value in changes.items() if value is not None}
    keys = {given: mask_message(given) for given in values}
    plain = {key: key for given, key in keys.items() if key == given}
    names |= plain
    for given, value in changes.items():
        if value is None:
            for key in (given, names.get(given, mask_message(given))):
                masked.setdefault(key, None)
            continue
        key = keys[given]
        if key != given:
            recorded = names.get(given)
            if recorded is None or recorded in plain:
                recorded = free_name(key, names)
            key = names[given] = names[recorded] = recorded
            warn(f"The key of a tag contains a secret; it was recorded as {key!r}.")
        shown = _masked_tag(key, value)
        if shown != value:
            warn(f"The value of the tag {key!r} looks like a secret; recorded as {shown!r}.")
        masked[key] = shown
    return masked


def tags_to_keep(tags: object, names: dict[str, str] | None = None) -> dict[str, str]:
    """Return the tags of a run that begins, checked and masked; see `tags_given`."""
    masked = masked_tags(tags_given(tags), names)
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
