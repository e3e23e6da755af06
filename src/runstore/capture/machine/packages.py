"""Python and its installed distributions, told by the interpreter in question.

The standard library alone: other interpreters run this file by itself, see
`runstore.capture.machine.other_python`.
"""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Iterator
from importlib import metadata


def python_values() -> dict[str, str]:
    """Return version, implementation, executable and prefix."""
    return {
        "python.version": platform.python_version(),
        "python.implementation": platform.python_implementation(),
        "python.executable": sys.executable or "",
        "python.prefix": sys.prefix,
    }


def distributions() -> tuple[list[str], list[str]]:
    """Return `name==version` of what can be imported now, and what could not be read.

    The first of a name on the path is the one that counts.
    """
    seen: dict[str, str] = {}
    broken: list[str] = []
    for distribution in _found(broken):
        try:
            name, version = _name_and_version(distribution)
            # Folders of a half removed package have no name.
            if name and name.lower() not in seen:
                seen[name.lower()] = _line(name, version, distribution)
        except Exception as error:  # noqa: BLE001 - one broken package costs no other
            place = getattr(distribution, "_path", None)
            named = getattr(place, "name", None) or "a distribution"
            broken.append(f"{named} ({type(error).__name__}: {error})")
    return sorted(set(seen.values()), key=str.lower), broken


def _found(broken: list[str]) -> Iterator[metadata.Distribution]:
    for entry in sys.path:
        try:
            yield from metadata.distributions(path=[entry])
        except Exception as error:  # noqa: BLE001 - a folder that cannot be read costs no other
            broken.append(f"{entry} ({type(error).__name__}: {error})")


def _name_and_version(distribution: metadata.Distribution) -> tuple[str, str]:
    """Return both without parsing the description below them, which takes most of the time.

    Source: Core metadata specifications 2.3, and importlib.metadata's `Distribution.metadata`.
    """
    texts = (distribution.read_text(name) for name in ("METADATA", "PKG-INFO", ""))
    head = next((text for text in texts if text), "").partition("\n\n")[0]
    found: dict[str, str] = {}
    for line in head.splitlines():
        name, _, value = line.partition(":")
        found.setdefault(name.strip().lower(), value.strip())
    return found.get("name", ""), found.get("version", "")


def _line(name: str, version: str, distribution: metadata.Distribution) -> str:
    if not version:
        raise ValueError("it has no version")
    commit = _origin(distribution)
    return f"{name}=={version}" + (f" @ {commit}" if commit else "")


def _origin(distribution: metadata.Distribution) -> str:
    """Return where a package installed from a repository or a folder came from.

    Source: PEP 610, direct_url.json.
    """
    text = distribution.read_text("direct_url.json")
    if not text:
        return ""
    try:
        told = json.loads(text)
        url = str(told["url"])
        commit = told.get("vcs_info", {}).get("commit_id")
        is_editable = told.get("dir_info", {}).get("editable")
    except (ValueError, KeyError, AttributeError, TypeError):
        return ""
    if commit:
        return f"{url}@{commit}"
    return f"{url} (editable)" if is_editable else url
