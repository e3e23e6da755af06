"""Secrets in text, masked before anything is stored.

A secret is recognized by its form, as documented by issuers, or by its position, after a name
such as `password` in code, settings, headers, URLs and command lines. Only values are masked,
never code. Each pattern reads its text once, so the cost is linear in the length.

This module is loaded before every run, and loads the patterns if a text may need them.
"""

from __future__ import annotations

from collections.abc import Sequence

MASK = "***"
# Parts of names of secrets, and of programs with secret arguments. Most command lines contain none
# of them, and compiling the patterns takes longer than starting a run.
_HINTS = (
    "pass", "pw", "secret", "tok", "key", "cred", "conn", "auth", "cookie", "sas", "bearer",
    "basic", "otp", "dsn", "session", "-pat", "_pat", ".pat", "-pin", "_pin", "private",
    "identified", "login", "curl", "mysql", "mariadb", "redis", "twine",
    "zip", "mongo", "openssl", "ldap", "smbclient", "7z", "unrar", "rar a", "rar x", "http -",
    "https -", "cqlsh", "beeline", "mosquitto", "sqlcmd", "bcp ", "lftp",
)  # fmt: skip
# Prefixes of short tokens.
_SHORT_TOKENS = (
    "akia", "asia", "abia", "acca", "agpa", "aida", "aroa", "aipa", "anpa", "anva", "apka", "asca",
    "ltai", "sk-", "sk_", "pk_", "rk_", "xox", "rzp_", "fw_", "ak-", "as-", "hf_", "gh", "npm_",
    "gl", "ya29", "api-", "sq0", "s.", "b.", "r.", "flw", "eyj", "nr", "cf", "tskey",
)  # fmt: skip
_SHORT_LENGTH, _LENGTH = 14, 19
_BETWEEN_WORDS = str.maketrans(dict.fromkeys("\"'=,;:/@()[]{}<>|&?\\", " "))
# A token begins after any other sign.
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_LONG_TEXT = 10_000  # checking all words would take longer than the patterns


def may_hold_secrets(text: str) -> bool:
    """Check quickly whether a text may contain secrets."""
    lowered = text.lower()
    if "\x1b[" in text or ("://" in text and ("@" in text or "=" in text)):
        return True  # a color within a secret; the login or a parameter of a URL
    if any(map(lowered.__contains__, _HINTS)) or len(text) > _LONG_TEXT:
        return True
    return may_hold_token(lowered)


def may_hold_token(text: str) -> bool:
    """Check quickly whether a text may contain a token in the form of an issuer."""
    if "\\" in text:
        text = text.replace("\\n", " ").replace("\\r", " ").replace("\\t", " ")
    words = text.lower().translate(_BETWEEN_WORDS).split()
    return any(map(_may_be_token, [word for word in words if len(word) > _SHORT_LENGTH]))


def _may_be_token(word: str) -> bool:
    if len(word) > _LENGTH and any(map(str.isdigit, word)):
        return True
    signs = [at for at, sign in enumerate(word[:-_SHORT_LENGTH], 1) if sign not in _PLAIN]
    return any(word.startswith(_SHORT_TOKENS, at) for at in (0, *signs))


def mask_text(text: str, path: str = "") -> str:
    """Return a text with secrets replaced by `***`.

    Args:
        text: Code, settings, messages, prose.
        path: The file of the text; its suffix determines the type, and without it the contents do.
    """
    if not may_hold_secrets(text):
        return text
    from runstore.capture.secrets.files import mask_contents

    return mask_contents(text, path)


def mask_message(text: str) -> str:
    """Return a message, such as an error or a URL, with secrets replaced by `***`."""
    if not may_hold_secrets(text):
        return text
    from runstore.capture.secrets.text import mask_plain

    return mask_plain(text)


def mask_tokens(text: str) -> str:
    """Return a text without tokens in the form of an issuer, regardless of their names."""
    if not may_hold_secrets(text):
        return text
    from runstore.capture.secrets.issuers import mask_tokens as masked

    return masked(text)


def mask_patch(text: str, path: str = "") -> str:
    """Return a masked patch of one file, with the same line signs and number of lines."""
    if not may_hold_secrets(text):
        return text
    from runstore.capture.secrets.files import mask_hunks

    return mask_hunks(text, path)


def mask_command(line: str) -> str:
    """Return a command line, as typed, with secrets masked."""
    if not may_hold_secrets(line):
        return line
    from runstore.capture.secrets.arguments import mask_command as masked

    return masked(line)


def mask_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command's arguments with secrets masked, including `--token VALUE` as two words."""
    if not may_hold_secrets(" ".join(arguments)):
        return tuple(arguments)
    from runstore.capture.secrets.arguments import mask_words

    return mask_words(arguments)


def is_secret_name(name: str) -> bool:
    """Check whether a name marks its value as secret: `API_KEY`, `--db.password`."""
    if not may_hold_secrets(name):
        return False
    from runstore.capture.secrets.names import secrecy

    return bool(secrecy(name))
