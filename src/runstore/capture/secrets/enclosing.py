"""Names of mappings, tables and sections around a name in a text of settings."""

from __future__ import annotations

from runstore.capture.secrets.values import compiled

_BOUND = 2000
_BEFORE_NAMES = " \t-\"'\\"
_NAME = r"(?P<name>[\w.-]{1,100})[\\\"']{0,4}[ \t]*"
_OF_BRACE = rf"{_NAME}[:=(]?[ \t]*\Z"
_HEADER = rf"{_NAME}[:=]?[ \t]*[\[{{]?[ \t]*(?:#.*)?"
_SECTION = r"\[{1,2}[ \t]*(?P<name>[\w. \"'-]{1,100})\]{1,2}[ \t]*(?:[#;].*)?"


def enclosing_name(text: str, place: int) -> str:
    """Return the name of the settings around a name at a position; empty if it is unknown.

    As in JSON, YAML, TOML and INI. Only a part of the text before the name is read.
    """
    before = text[max(0, place - _BOUND) : place]
    *lines, line = before.split("\n")
    brace = line.rfind("{")
    if brace > line.rfind("}"):
        found = compiled(_OF_BRACE).search(line, max(0, brace - 120), brace)
        return found["name"] if found else ""
    column = len(line)
    if line.strip(_BEFORE_NAMES):
        return ""
    for one in reversed(lines):
        if one.startswith("[") and (section := compiled(_SECTION).fullmatch(one.strip())):
            return section["name"]
        shown = one.lstrip(_BEFORE_NAMES)
        if len(one) - len(shown) < column and shown[:1] not in {"", "\r", "#"}:
            found = compiled(_HEADER).fullmatch(shown.rstrip())
            return found["name"] if found else ""
    return ""
