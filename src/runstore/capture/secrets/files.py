"""Secrets in files and patches, by type of file."""

from __future__ import annotations

import re

from runstore.capture.secrets.issuers import mask_tokens
from runstore.capture.secrets.python_code import is_python, mask_python
from runstore.capture.secrets.text import mask_plain
from runstore.capture.secrets.values import MASK, looks_random

_PYTHON = (".py", ".pyi", ".pyx", ".pxd", ".pyw")
_YAML = (".yaml", ".yml")
_SETTINGS = (".toml", ".ini", ".cfg", ".conf", ".env", ".properties", ".tfvars", ".json", ".xml")
_HUNK = re.compile(r"^@@ -[0-9]+(?:,[0-9]+)? \+[0-9]+(?:,[0-9]+)? @@", re.MULTILINE)


def mask_contents(text: str, path: str = "") -> str:
    """Return the text of a file, masked; see `mask_text`."""
    name = path.lower()
    if name.endswith(_PYTHON) or (not path and is_python(text)):
        return mask_python(text)
    if name.endswith(_YAML):
        # Three asterisks alone are not a value in YAML.
        return mask_plain(text, is_settings=True, bare=f'"{MASK}"')
    return mask_plain(text, is_settings=name.endswith(_SETTINGS))


def mask_hunks(text: str, path: str = "") -> str:
    """Return the patch of one file, masked; see `mask_patch`."""
    begin = _HUNK.search(text)
    if begin is None:
        return mask_contents(text, path)
    head, lines = text[: begin.start()], text[begin.start() :].split("\n")
    kind = path or ("patch.py" if is_python("\n".join(map(_row, lines))) else "patch")
    for sign in "-+":
        places = [place for place, line in enumerate(lines) if line[:1] in {sign, " ", "@"}]
        before = [_row(lines[place]) for place in places]
        after = mask_contents("\n".join(before), kind).split("\n")
        if len(after) == len(before):
            for place, old, new in zip(places, before, after, strict=True):
                if old != new:
                    lines[place] = lines[place][:1] + new
    # A hunk may begin inside a literal; then code and text are swapped.
    if kind.endswith(_PYTHON):
        lines = [_masked_text(line) for line in lines]
    return mask_tokens(head + "\n".join(lines))


def _masked_text(line: str) -> str:
    """Mask a secret in a line inside a literal, unless it is a name in code."""
    if any(one in line for one in "\"'"):
        return line
    masked = mask_plain(line)
    gone = set(line.split()) - set(masked.split())
    return masked if any(map(looks_random, gone)) else line


def _row(line: str) -> str:
    """Return a line without its sign; hunk headers become empty."""
    return "" if line.startswith("@@ ") else line[1:]
