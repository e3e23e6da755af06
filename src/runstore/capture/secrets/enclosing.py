"""Names of mappings, tables and sections around a name in a text of settings."""

from __future__ import annotations

from runstore.capture.secrets.values import compiled

_BOUND = 4000
_PREFIX = r"[ \t]*(?:- +)*[\\\"']{0,4}"
_NAME = r"(?P<name>[\w.-]{1,100})[\\\"']{0,4}[ \t]*"
_OF_BRACE = rf"{_NAME}[:=(]?[ \t]*\Z"
_HEADER = rf"{_PREFIX}{_NAME}[:=]?[ \t]*[\[{{]?[ \t]*(?:#.*)?"
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
    if not compiled(_PREFIX).fullmatch(line):
        return ""
    for one in reversed(lines):
        shown = one.strip()
        section = compiled(_SECTION).fullmatch(shown) if shown[:1] == "[" else None
        if section:
            return section["name"]
        prefix = compiled(_PREFIX).match(one)
        is_outer = prefix is not None and prefix.end() < len(line)
        if is_outer and shown and not shown.startswith(("#", "//")):
            found = compiled(_HEADER).fullmatch(one.rstrip())
            return found["name"] if found else ""
    return ""
