"""Classification of values: secret, code, placeholder or ordinary word."""

from __future__ import annotations

import functools
import re

from runstore.capture.secrets.names import Secrecy

MASK = "***"
_LONGEST_LOOKED_AT = 300
_SHORTEST = 3
_SHORTEST_HEX = 20
_LETTERS, _LETTERS_ALONE = 6, 8
_WORDS = 4
# Compiled when a text contains a name of a secret.
_NO_PROSE = r"[0-9@#$%^&*+=~|]"
_RUNS = r"[A-Za-z0-9+/=_~!@#$%^&*?-]{8,}"
# hunter2, and words with digits, capitals and lowercase: few names in code have all three.
_NO_NAME = r"[A-Za-z]+[0-9]+|(?=\w*[0-9])(?=[^\Wa-z]*[a-z][^\WA-Z]*[A-Z])[A-Za-z0-9]{8,}"
_CHANGES = r"[A-Za-z](?=[0-9])|[0-9](?=[A-Za-z])"
_HEX = r"[0-9a-f]{20,}|[0-9A-F]{20,}"
_PLACEHOLDER = (
    r"(?is)[|>][+-]?[0-9]?"  # a block of YAML follows
    r"|[*.?_\-#: ]*|[*xX._\-]{3,}|0+|.*(?:\.\.\.|…)|.*%[a-z(].*"  # ***, xxxx, abc..., %s
    r"|(?:none|null|nil|true|false|yes|no|on|off|undefined|nan|required|optional|default|auto)"
    r"|\$|\$\{?[A-Za-z_][A-Za-z0-9_.:-]*\}?|\$\(.*|`.*|%[A-Za-z_(][^%]*(?:%|\)s?)|%s|%r"
    r"|\$?\{\{?.*\}|<[^<>]*>|\[[^\[\]]*\]|\(.*\)|@[\w./-]*|![a-z_:.-]+(?:\s.*)?|![0-9]"
    r"|(?:your|my|the|some|insert|put|enter|change|replace|fake|dummy|example|sample)"
    r"(?:[-_ ]?(?:your|my|the|api|access|secret|private|auth|client|me|this|here|it|super|own|long"
    r"|token|key|password|pass|hf|aws|github|openai|wandb|in|with|to|db|user))*"
)
# ${NAME:-default} of shells, ${oc.env:NAME,default} of OmegaConf and ${NAME:default} of Spring,
# which is a part of a variable in shells if numbers follow: for one value or in a text. A default
# may be another placeholder with a default.
_DEFAULT = (
    r"(?:\$\{(?:[\w.]+(?::?[-=+]|:\w+,)|[A-Z_][A-Z0-9_]*:(?![-=+?]|[0-9: ]+\}))){1,8}"
    r"(?P<default>[^{}]+)\}{1,8}"
)
_DEFAULTS = rf"{_DEFAULT}|(?:\bdefault\(|\|\|)\s*(?P<quote>[\"'])(?P<quoted>.+?)(?P=quote)"
_LOGIN_OF_URL = r"[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s:/@]{0,200}:(?P<password>[^\s@/]{1,300})@"
_VARIABLE = r"\$\{[\w.]+\}"
_PATH = r"(?:[A-Za-z]:)?[/\\.~][\w./\\ ~-]*|[\w-]+\.(?:json|ya?ml|txt|pem|key|py|env|toml)"
_NUMBER = (
    r"0[xX][0-9A-Fa-f]+[uUlL]{0,3}|[+-]?[0-9][0-9_]*(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?[jJLnf]?"
)
_IDENTIFIERS = r"[A-Za-z_]+(?:[-. :/][A-Za-z_]+)*"
_STAND_IN = (
    r"(?i)(?:user|db|my|your|the|some|a|secret|api|access)?[-_ ]?"
    r"(?:pass(?:word|wd|phrase)?|pwd|pw|p|secret|token|key|credentials?|foo|bar|baz|test)"
    r"[0-9]{0,6}(?:\\{1,2}n)?"
)
_WORDS_IN_SMALL = r"[a-z]+[0-9]{0,3}(?:[-_.][a-z0-9]{1,16})+|[a-z]{4,}[0-9]{1,3}"
_IN_TESTS = (
    r"(?i)\b(?:access|limited|python|anonymous|incorrect|invalid|wrong|doesnotexist|dummy|mock|fake)"
    r"|sensitive"
)
_ALPHABET = r"[A-Za-z0-9_.+/=~:@!#$%&^-]+"
_IN_PASSWORDS = r"[\w!@#$%^&*~+?-]+"
# Words that describe a value are not values.
_SAYS = (
    r"(?i)pass|pwd|secret|token|key|cred|auth|cookie|user|login|basic|bearer|digest|value|text|string|str"
    r"|bytes|hidden|header|query|body|field|input|type|name|none|file|env"
)
# Code after a name: a call, an index, an attribute, an operator.
_CODE = (
    r"(?s)(?:not|await|lambda|new|yield|async|return|if|f|r|b|u|rb|br)\b[\s\"'(].*"
    r"|[&*!~-]?[A-Za-z_]\w*(?:(?:\??\.|::|->)[A-Za-z_]\w*)*"
    r"(?:(?:\s*(?:[\[(]|[=!<>]=|=>|[-+*/%|&?<>]\s)|\s+(?:if|or|and|is|in|not|for|as|else)\b).*)?"
    r"|[\[{(<\"'`:].*"
)


@functools.cache
def compiled(pattern: str) -> re.Pattern[str]:
    """Return a compiled pattern; quicker than the cache of `re`."""
    return re.compile(pattern)


def looks_random(text: str) -> bool:
    """Check whether a part of a text is not a word of code or prose."""
    if text.isalpha() and len(text) < _SHORTEST_HEX:
        return False
    for run in compiled(_RUNS).findall(text[:_LONGEST_LOOKED_AT]):
        changes = len(compiled(_CHANGES).findall(run))
        if changes >= 3 or (changes >= 2 and len(run) >= 20) or compiled(_HEX).fullmatch(run):  # noqa: PLR2004 - measured
            return True
    return False


def is_placeholder(value: str) -> bool:
    """Check whether a value is only a placeholder."""
    value = value[:_LONGEST_LOOKED_AT]
    if value.isascii() and value.isalnum() and not value.isalpha():
        return not value.strip("0")  # no word has a digit
    if value[:1] == "$" and looks_random(value) and "{" not in value and "(" not in value:
        return False  # not a name of a variable
    rest = without_variables(value)
    if rest != value and _is_password(rest):
        return False
    if compiled(_PLACEHOLDER).fullmatch(value):
        return not has_own_default(value)
    return ("${" in value or "{{" in value) and not has_own_default(value)


def _is_password(rest: str) -> bool:
    """Check whether the text around variables is a secret of its own."""
    if any(sign in rest for sign in "{(`") or compiled(_PLACEHOLDER).fullmatch(rest):
        return False
    if looks_random(rest) or compiled(_NO_NAME).fullmatch(rest):
        return True
    is_word = compiled(_IN_PASSWORDS).fullmatch(rest) is not None
    return is_word and is_mixed(rest) and not compiled(_WORDS_IN_SMALL).fullmatch(rest)


def has_own_default(value: str) -> bool:
    """Check whether a placeholder has a default that is not one, as in `${NAME:-secret}`."""
    if "${" not in value and "{{" not in value:
        return False
    found = compiled(_DEFAULTS).finditer(without_variables(value[:_LONGEST_LOOKED_AT]))
    return any(not is_placeholder(one["default"] or one["quoted"]) for one in found)


def without_variables(value: str) -> str:
    """Return the text around variables without defaults, as in `${NAME}text`."""
    return compiled(_VARIABLE).sub("", value) if "${" in value else value


def _judged(value: str) -> str:
    """Return the default of a placeholder, which is used as a value; else the value itself."""
    if not value.startswith("${"):
        return value
    found = compiled(_DEFAULT).fullmatch(without_variables(value))
    return value if found is None else found["default"]


def is_stand_in(value: str) -> bool:
    """Check whether a value names its own meaning, as in `user:password@host`."""
    value = _judged(value)
    return compiled(_STAND_IN).fullmatch(value) is not None or is_placeholder(value)


def is_url_without_secret(value: str) -> bool:
    """Check whether a value is a URL whose password is masked or a variable."""
    if "://" not in value:
        return False
    found = compiled(_LOGIN_OF_URL).match(value)
    return found is not None and is_stand_in(found["password"])


def is_secret_literal(value: str, name: Secrecy) -> bool:
    """Check whether a text literal assigned to a secret name is a secret."""
    value = _judged(value)
    if len(value) < _SHORTEST or "\n" in value or "::" in value or is_url_without_secret(value):
        return False
    if name is Secrecy.PERHAPS and not is_mixed(value):
        return False
    if is_stand_in(value):
        return False
    if name is Secrecy.PERHAPS:
        return (
            compiled(_ALPHABET).fullmatch(value) is not None
            and not compiled(_PATH).fullmatch(value)
            and (looks_random(value) or not compiled(_WORDS_IN_SMALL).fullmatch(value))
        )
    return "{" not in value and _is_secret_text(value)


def is_secret_in_code(value: str, name: Secrecy) -> bool:
    """Check whether a literal of a program is a secret that a service would accept."""
    return (
        len(value) >= _LETTERS
        and is_secret_literal(value, name)
        and not compiled(_IN_TESTS).search(value)
    )


def _is_secret_text(value: str) -> bool:
    if compiled(_IDENTIFIERS).fullmatch(value):
        return looks_random(value) or (value.isalpha() and not compiled(_SAYS).search(value))
    if compiled(_WORDS_IN_SMALL).fullmatch(value) and compiled(_SAYS).search(value):
        return False
    if " " in value:
        is_phrase = (
            value.count(" ") < _WORDS
            and compiled(_NO_PROSE).search(value)
            and not compiled(_SAYS).search(value)
        )
        return bool(is_phrase) or looks_random(value)
    return not compiled(_PATH).fullmatch(value)


def is_secret_line(value: str) -> bool:
    """Check whether the rest of a line, after a certain name, is a password of letters only."""
    value = _judged(value)
    is_word = len(value) >= _LETTERS_ALONE and value.isalpha() and value.islower()
    return is_word and not compiled(_SAYS).search(value) and not is_placeholder(value)


def is_secret_word(value: str, name: Secrecy) -> bool:
    """Check whether a bare word after such a name is a secret, in a text of unknown type."""
    if value.isascii() and value.isalpha() and len(value) < _SHORTEST_HEX:
        return False  # an identifier
    if _judged(value) != value:
        return is_secret_literal(value, name)  # a default is not code
    if (
        is_placeholder(value)
        or compiled(_NUMBER).fullmatch(value)
        or compiled(_PATH).fullmatch(value)
        or is_url_without_secret(value)
    ):
        return False
    if looks_random(value):
        return True
    if name is Secrecy.PERHAPS:
        return is_mixed(value) and value.isalnum()
    is_name = compiled(_IDENTIFIERS).fullmatch(value) is not None
    return not is_name and (not is_code(value) or compiled(_NO_NAME).fullmatch(value) is not None)


def is_secret_setting(value: str, name: Secrecy) -> bool:
    """Check whether the value of a setting, an option or a URL parameter is a secret."""
    value = _judged(value)
    if not value or is_placeholder(value) or is_url_without_secret(value):
        return False
    if name is Secrecy.PERHAPS:
        return looks_random(value) or (is_mixed(value) and value.isalnum())
    return not compiled(_PATH).fullmatch(value) or looks_random(value)


def is_mixed(value: str) -> bool:
    """Check whether a word has letters and digits, and the length of a token."""
    return (
        len(value) >= 8  # noqa: PLR2004 - the shortest that services accept
        and any(map(str.isdigit, value))
        and any(map(str.isalpha, value))
        and not compiled(_NUMBER).fullmatch(value)
    )


def is_code(value: str) -> bool:
    """Check whether a value looks like an expression: a name, a call, an index."""
    return compiled(_CODE).fullmatch(value) is not None


def without_signs(word: str) -> str:
    """Return a word without the signs that follow it; `}` may end a `${NAME}`."""
    shown = word.rstrip(".,;:)]}\\")
    if "${" not in shown:
        return shown
    closing = re.match(r"\}*", word[len(shown) :][: shown.count("{") - shown.count("}")])
    return shown + (closing[0] if closing else "")
