"""Classification of values: secret, code, placeholder or ordinary word."""

from __future__ import annotations

import re

from runstore.capture.secrets.names import Secrecy

_LONGEST_LOOKED_AT = 300
_SHORTEST = 3
_LETTERS, _LETTERS_ALONE = 6, 8
_WORDS = 4
_NO_PROSE = re.compile(r"[0-9@#$%^&*+=~|]")
_RUNS = re.compile(r"[A-Za-z0-9+/=_~!@#$%^&*?-]{8,}")
# hunter2, and words with digits, capitals and lowercase: few names in code have all three.
_NO_NAME = re.compile(r"[A-Za-z]+[0-9]+|(?=\w*[0-9])(?=\w*[a-z]\w*[A-Z])[A-Za-z0-9]{8,}")
_CHANGES = re.compile(r"[A-Za-z](?=[0-9])|[0-9](?=[A-Za-z])")
_HEX = re.compile(r"[0-9a-f]{20,}|[0-9A-F]{20,}")
_PLACEHOLDER = re.compile(
    r"[|>][+-]?[0-9]?"  # a block of YAML follows
    r"|[*.?_\-#: ]*|[*xX._\-]{3,}|0+|.*(?:\.\.\.|…)|.*%[a-z(].*"  # ***, xxxx, abc..., %s
    r"|(?:none|null|nil|true|false|yes|no|on|off|undefined|nan|required|optional|default|auto)"
    r"|\$|\$\{?[A-Za-z_][A-Za-z0-9_.:-]*\}?|\$\(.*|`.*|%[A-Za-z_(][^%]*(?:%|\)s?)|%s|%r"
    r"|\$?\{\{?.*\}|<[^<>]*>|\[[^\[\]]*\]|\(.*\)|@[\w./-]*|!\w.*"
    r"|(?:your|my|the|some|insert|put|enter|change|replace|fake|dummy|example|sample)"
    r"(?:[-_ ]?(?:your|my|the|api|access|secret|private|auth|client|me|this|here|it|super|own|long"
    r"|token|key|password|pass|hf|aws|github|openai|wandb|in|with|to|db|user))*",
    re.IGNORECASE | re.DOTALL,
)
_PATH = re.compile(
    r"(?:[A-Za-z]:)?[/\\.~][\w./\\ ~-]*|[\w-]+\.(?:json|ya?ml|txt|pem|key|py|env|toml)"
)
_NUMBER = re.compile(
    r"0[xX][0-9A-Fa-f]+[uUlL]{0,3}|[+-]?[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?[jJLnf]?"
)
_IDENTIFIERS = re.compile(r"[A-Za-z_]+(?:[-_. :/][A-Za-z_]+)*")
_STAND_IN = re.compile(
    r"(?:user|db|my|your|the|some|a|secret|api|access)?[-_ ]?"
    r"(?:pass(?:word|wd|phrase)?|pwd|pw|p|secret|token|key|credentials?|foo|bar|baz|test)"
    r"[0-9]{0,6}(?:\\{1,2}n)?",
    re.IGNORECASE,
)
_WORDS_IN_SMALL = re.compile(r"[a-z]+[0-9]{0,3}(?:[-_.][a-z0-9]{1,16})+|[a-z]{4,}[0-9]{1,3}")
_IN_TESTS = re.compile(
    r"\b(?:access|limited|python|anonymous|incorrect|invalid|wrong|doesnotexist|dummy|mock|fake)"
    r"|sensitive",
    re.IGNORECASE,
)
_TOKEN_LETTERS = re.compile(r"[A-Za-z0-9_.+/=~:@!#$%&^-]+")
# Words that describe a value are not values.
_SAYS = re.compile(
    r"pass|pwd|secret|token|key|cred|auth|cookie|user|login|basic|bearer|digest|value|text|string|str"
    r"|bytes|hidden|header|query|body|field|input|type|name|none|file|env",
    re.IGNORECASE,
)
# Code after a name: a call, an index, an attribute, an operator.
_CODE = re.compile(
    r"(?:not|await|lambda|new|yield|async|return|if|f|r|b|u|rb|br)\b[\s\"'(].*"
    r"|[&*!~-]?[A-Za-z_]\w*(?:(?:\??\.|::|->)[A-Za-z_]\w*)*"
    r"(?:\s*(?:[\[(]|[=!<>]=|=>|[-+*/%|&?<>]\s|\s+(?:if|or|and|is|in|not|for|as|else)\b).*)?"
    r"|[\[{(<\"'`:].*",
    re.DOTALL,
)


def looks_random(text: str) -> bool:
    """Check whether a part of a text is not a word of code or prose."""
    for found in _RUNS.finditer(text[:_LONGEST_LOOKED_AT]):
        run = found[0]
        changes = len(_CHANGES.findall(run))
        if changes >= 3 or (changes >= 2 and len(run) >= 20) or _HEX.fullmatch(run):  # noqa: PLR2004 - measured
            return True
    return False


def is_placeholder(value: str) -> bool:
    """Check whether a value is only a placeholder."""
    value = value[:_LONGEST_LOOKED_AT]
    if value[:1] == "$" and looks_random(value) and "{" not in value and "(" not in value:
        return False  # not a name of a variable
    return _PLACEHOLDER.fullmatch(value) is not None or "${" in value or "{{" in value


def is_stand_in(value: str) -> bool:
    """Check whether a value names its own meaning, as in `user:password@host`."""
    return _STAND_IN.fullmatch(value) is not None or is_placeholder(value)


def is_secret_literal(value: str, name: Secrecy) -> bool:
    """Check whether a text literal assigned to a secret name is a secret."""
    if len(value) < _SHORTEST or is_stand_in(value) or "\n" in value or "::" in value:
        return False
    if name is Secrecy.PERHAPS:
        return (
            is_mixed(value)
            and _TOKEN_LETTERS.fullmatch(value) is not None
            and not _PATH.fullmatch(value)
            and (looks_random(value) or not _WORDS_IN_SMALL.fullmatch(value))
        )
    return "{" not in value and _is_secret_text(value)


def is_secret_in_code(value: str, name: Secrecy) -> bool:
    """Check whether a literal of a program is a secret that a service would accept."""
    return (
        len(value) >= _LETTERS and is_secret_literal(value, name) and not _IN_TESTS.search(value)
    )


def _is_secret_text(value: str) -> bool:
    if _IDENTIFIERS.fullmatch(value):
        return looks_random(value) or (value.isalpha() and not _SAYS.search(value))
    if _WORDS_IN_SMALL.fullmatch(value) and _SAYS.search(value):
        return False
    if " " in value:
        is_phrase = (
            value.count(" ") < _WORDS and _NO_PROSE.search(value) and not _SAYS.search(value)
        )
        return bool(is_phrase) or looks_random(value)
    return not _PATH.fullmatch(value)


def is_secret_line(value: str) -> bool:
    """Check whether the rest of a line, after a certain name, is a password of letters only."""
    is_word = len(value) >= _LETTERS_ALONE and value.isalpha() and value.islower()
    return is_word and not _SAYS.search(value) and not is_placeholder(value)


def is_secret_word(value: str, name: Secrecy) -> bool:
    """Check whether a bare word after such a name is a secret, in a text of unknown type."""
    if is_placeholder(value) or _NUMBER.fullmatch(value) or _PATH.fullmatch(value):
        return False
    if looks_random(value):
        return True
    if name is Secrecy.PERHAPS:
        return is_mixed(value) and value.isalnum()
    if _IDENTIFIERS.fullmatch(value):
        return False
    return not is_code(value) or _NO_NAME.fullmatch(value) is not None


def is_secret_setting(value: str, name: Secrecy) -> bool:
    """Check whether the value of a setting, an option or a URL parameter is a secret."""
    if not value or is_placeholder(value):
        return False
    if name is Secrecy.PERHAPS:
        return looks_random(value) or (is_mixed(value) and value.isalnum())
    return not _PATH.fullmatch(value) or looks_random(value)


def is_mixed(value: str) -> bool:
    """Check whether a word has letters and digits, and the length of a token."""
    return (
        len(value) >= 8  # noqa: PLR2004 - the shortest that services accept
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
        and not _NUMBER.fullmatch(value)
    )


def is_code(value: str) -> bool:
    """Check whether a value looks like an expression: a name, a call, an index."""
    return _CODE.fullmatch(value) is not None
