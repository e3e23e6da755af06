"""Secrets in text: told by their form, masked before anything is stored.

Masking errs on the side of too much: a masked word in a command line is a nuisance, a token in a
database that is handed around is a breach. Every pattern reads its text once; none backtracks.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence

MASK = "***"

# Words that say that a value is secret, as the last words of a name: `--api-key`, `DB_PASSWORD`.
_WORD = (
    r"(?:pass(?:word|wd|phrase)?|pwd|secret(?:[_-]?(?:access[_-]?)?key)?"
    r"|(?:auth|access|api|bearer|refresh|session|private|hf|github|gitlab|wandb)?[_-]?token"
    r"|(?:api|access|private|account|auth|encryption|signing|subscription|wandb)[_-]?key"
    r"|credentials?|client[_-]?secret|connection[_-]?string|authorization|cookie|auth|sas)"
)
_NAME_BOUND = 64
# Texts that are secrets wherever they stand, by the prefixes their issuers gave them.
_TOKENS = (
    r"(?<![A-Za-z0-9])(?:"
    r"gh[pousr]_[A-Za-z0-9]{20,255}"  # GitHub
    r"|github_pat_[A-Za-z0-9_]{20,255}"
    r"|gl(?:pat|ptt|rt|dt|cbt|ft|soat)-[A-Za-z0-9_-]{16,255}"  # GitLab
    r"|hf_[A-Za-z0-9]{20,255}"  # Hugging Face
    r"|sk-[A-Za-z0-9_-]{16,255}"  # OpenAI, Anthropic
    r"|[spr]k_(?:live|test)_[A-Za-z0-9]{10,255}"  # Stripe
    r"|xox[abeoprs]-[A-Za-z0-9-]{10,255}"  # Slack
    r"|(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{16}"  # AWS
    r"|AIza[A-Za-z0-9_-]{35}"  # Google
    r"|ya29\.[A-Za-z0-9_-]{20,255}"
    r"|npm_[A-Za-z0-9]{20,255}"
    r"|pypi-[A-Za-z0-9_-]{20,255}"
    r"|dop_v1_[a-f0-9]{40,255}"
    r"|eyJ[A-Za-z0-9_-]{10,2000}\.[A-Za-z0-9_-]{10,4000}\.[A-Za-z0-9_-]{10,1000}"  # JSON web token
    r")"
)
# A text without any of these holds nothing that the patterns know. Most command lines are such,
# and compiling the patterns takes longer than starting a run.
_HINTS = (
    "pass", "pwd", "secret", "token", "key", "cred", "connection", "auth", "cookie", "sas",
    "://", "bearer", "basic", "gho_", "ghp_", "ghu_", "ghs_", "ghr_", "_pat_", "glpat", "glptt",
    "glrt", "gldt", "glcbt", "glft", "glsoat", "hf_", "sk-", "k_live", "k_test", "xox", "akia",
    "asia", "agpa", "aida", "aroa", "aiza", "ya29", "npm_", "pypi-", "dop_", "eyj",
)  # fmt: skip
# What stands for a value in code is no secret: `password = os.environ[...]`, `token: str`.
_CODE = (
    r"^(?:None|null|true|false|str|int|bytes|bool|self[.\w]*|os\.\w[\w.]*|\$\w+|\$\{\w+\}?"
    r"|\w+\.\w[\w.]*)$"
)


class _Patterns:
    """The compiled patterns; made when a text asks for them."""

    def __init__(self) -> None:
        self.name = re.compile(rf"(?:^|[^a-z0-9]){_WORD}$", re.IGNORECASE)
        self.camel = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
        self.token = re.compile(_TOKENS)
        # scheme://user:secret@host, and scheme://token@host.
        self.login = re.compile(
            r"\b([a-z][a-z0-9+.-]{0,30}://)([^\s/?#@'\"<>]{1,512})@", re.IGNORECASE
        )
        self.value = re.compile(
            rf"(?<![A-Za-z0-9])((?:[A-Za-z0-9]{{1,32}}[_.-]){{0,4}}{_WORD}[\"']?\]?\s{{0,4}}"
            r"(?:=|:(?!:)|=>)\s{0,4})"
            r"(\"[^\"\n]{1,1000}\"|'[^'\n]{1,1000}'|[^\s,;&\"'()\[\]{}<>]{3,1000})",
            re.IGNORECASE,
        )
        self.bearer = re.compile(
            r"\b(Bearer|Basic)(\s{1,4})([A-Za-z0-9+/=._~-]{8,2000})", re.IGNORECASE
        )
        self.key_block = re.compile(
            r"(-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----)[^-\n]{1,20000}"
            r"(-----END [A-Z ]{0,40}PRIVATE KEY-----)"
        )
        # A line of such a key, in a patch with its sign; also what a program writes around it.
        self.key_line = re.compile(
            r"([ +\-]?\s{0,80}[\"']?)[A-Za-z0-9+/=:, -]{0,200}(?:\\n)?[\"']?,?\r?"
        )
        self.code = re.compile(_CODE, re.IGNORECASE)


_patterns = functools.cache(_Patterns)


def _has_hint(text: str) -> bool:
    lowered = text.lower()
    return any(hint in lowered for hint in _HINTS)


def mask_text(text: str) -> str:
    """Return a text with what looks like a secret replaced by `***`.

    Known token formats, logins in URLs, `name=value` and `name: value` where the name says that
    it is secret, authorization headers and private keys. Cost grows with the length of the text.
    """
    if not _has_hint(text):
        return text
    known = _patterns()
    masked = text
    if "-----BEGIN " in text:
        masked = known.key_block.sub(rf"\1{MASK}\2", _masked_key_lines(text))
    if "://" in masked:
        masked = known.login.sub(_masked_login, masked)
    masked = known.token.sub(MASK, masked)
    masked = known.bearer.sub(rf"\1\2{MASK}", masked)
    return known.value.sub(_masked_value, masked)


def mask_patch(text: str) -> str:
    """Return a part of a patch, masked line by line: the signs in front and the lines stay."""
    if mask_text(text) == text:
        return text
    lines = _masked_key_lines(text).split("\n")
    return mask_text("\n".join(line[:1] + mask_text(line[1:]) for line in lines))


def _masked_key_lines(text: str) -> str:
    """Mask private keys that span lines; what follows the last line of a key stays."""
    lines = text.split("\n")
    is_inside = False
    for place, line in enumerate(lines):
        if is_inside:
            match = None if "-----END " in line else _patterns().key_line.fullmatch(line)
            is_inside = match is not None
            if match is not None:
                lines[place] = f"{match[1]}{MASK}"
        _, begin, rest = line.partition("-----BEGIN ")
        if begin and "PRIVATE KEY-----" in rest and "-----END " not in rest:
            is_inside = True
    return "\n".join(lines)


def _masked_login(match: re.Match[str]) -> str:
    scheme, login = match.groups()
    user, separator, _ = login.partition(":")
    if separator:
        return f"{scheme}{_shown_user(user)}:{MASK}@"
    # git@host is a name everybody knows; a long word alone is a token.
    return f"{scheme}{_shown_user(user)}@"


def _shown_user(user: str) -> str:
    return user if len(user) <= 16 and not _patterns().token.search(user) else MASK  # noqa: PLR2004 - tokens are longer


def _masked_value(match: re.Match[str]) -> str:
    name, value = match.groups()
    is_call = match.string[match.end() : match.end() + 1] == "("
    if is_call or _patterns().code.match(value):
        return match.group()
    quote = value[0] if value[0] in "\"'" else ""
    return f"{name}{quote}{MASK}{quote}"


def is_secret_name(name: str) -> bool:
    """Tell whether a name says that its value is secret: `API_KEY`, `--db.password`."""
    if not _has_hint(name):
        return False
    words = _patterns().camel.sub("_", name[-_NAME_BOUND:])
    return _patterns().name.search("." + words.strip("-_ ")) is not None


def mask_arguments(arguments: Sequence[str]) -> tuple[str, ...]:
    """Return a command's arguments with secrets masked: also in `--token VALUE`, as two words."""
    masked: list[str] = []
    value_follows = False
    for argument in arguments:
        if value_follows and not argument.startswith("--"):
            masked.append(MASK)
            value_follows = False
            continue
        name, separator, _ = argument.partition("=")
        is_secret = is_secret_name(name)
        value_follows = is_secret and not separator and argument.startswith("-")
        if is_secret and separator:
            masked.append(f"{name}={MASK}")
        else:
            masked.append(mask_text(argument))
    return tuple(masked)
