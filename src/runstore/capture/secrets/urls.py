"""Secrets in URLs: logins, tokens as users, and parameters."""

from __future__ import annotations

import re

from runstore.capture.secrets.issuers import is_token
from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.values import (
    MASK,
    compiled,
    is_placeholder,
    is_secret_setting,
    is_stand_in,
    looks_random,
)

# Compiled when a text contains a URL.
_SCHEME = r"(?<![A-Za-z0-9+.])[A-Za-z][A-Za-z0-9+.-]{0,30}://"
_LONGEST_SCHEME = 31
_REST = r"[^\s\"'<>`\\]{1,4000}"
_HOST = r"[\w.-]{0,255}(?:\[[0-9A-Fa-f:.]+\])?(?::[0-9]{0,5})?"
_PARAMETER = r"([?&;#])([A-Za-z0-9_.\-\[\]%]{1,64})=([^&\s\"'<>#;`]*)"
# In other URLs, a user alone is a name.
_WITH_TOKENS = ("http://", "https://", "ftp://", "ftps://")
_OF_A_SIGNATURE = frozenset({
    "sig", "signature", "x-amz-signature", "x-amz-credential", "x-amz-security-token",
    "x-goog-signature", "x-goog-credential", "awsaccesskeyid", "googleaccessid", "policy", "key",
    "code", "client_secret", "sas", "se_sig", "x-oss-signature", "ossaccesskeyid", "hdnea", "jwt",
})  # fmt: skip
_SHORT_CODE = 8
_LONGEST_USER = 16


def mask_urls(text: str) -> str:
    """Return a text with passwords and signatures of URLs masked."""
    parts: list[str] = []
    done = 0
    place = text.find("://")
    while place >= 0:
        end = place + len("://")
        begin = max(done, place - _LONGEST_SCHEME)
        scheme = compiled(_SCHEME).search(text, begin, end)
        rest = compiled(_REST).match(text, end) if scheme else None
        if scheme and rest:
            parts += (text[done:end], _masked(scheme[0], rest[0]))
            done = end = rest.end()
        place = text.find("://", end)
    return "".join([*parts, text[done:]])


def _masked(scheme: str, rest: str) -> str:
    login, host = _split(rest)
    before = f"{_masked_login(scheme, login)}@" if login is not None else ""
    if "=" in host:
        host = re.sub(_PARAMETER, _masked_parameter, host)
    return before + host


def _split(rest: str) -> tuple[str | None, str]:
    """Return the login of a URL, None if there is none, and the rest.

    A password may contain a slash, a number sign or an at sign that should have been escaped as
    %2F, %23 or %40: then the text before the first of them is not a host with a port.
    """
    end = min((place for one in "/?#" if (place := rest.find(one)) >= 0), default=len(rest))
    login, separator, host = rest[:end].rpartition("@")
    if separator:
        # A URL in a parameter may have a login as well.
        return login, host + rest[end:]
    name, colon, port = rest[:end].partition(":")
    if not colon or not port or port.isdigit() or is_placeholder(port) or not name:
        return None, rest
    login, separator, after = rest.rpartition("@")
    if not separator or not re.match(_HOST, after) or not after[:1].isalnum():
        return None, rest
    return login, after


def _masked_login(scheme: str, login: str) -> str:
    user, separator, password = login.partition(":")
    names_itself = password == user or (is_stand_in(password) and password.isalpha())
    if password and (names_itself or is_placeholder(password) or "[" in password):
        return login if not is_token(user) else f"{MASK}:{password}"
    if separator:
        # `user:@host` has no password, unless the user is a token.
        shown = _shown_user(scheme, user)
        return f"{shown}:{MASK}" if password else f"{shown}:"
    return _shown_user(scheme, user)


def _shown_user(scheme: str, user: str) -> str:
    """Return a user for display: names such as git are public, and a long word is a token."""
    if is_placeholder(user):
        return user
    if not scheme.lower().endswith(_WITH_TOKENS):
        return MASK if is_token(user) else user
    is_secret = len(user) > _LONGEST_USER or is_token(user) or looks_random(user)
    return MASK if is_secret and "." not in user else user


def _masked_parameter(found: re.Match[str]) -> str:
    sign, name, value = found.groups()
    if not value or is_placeholder(value):
        return found[0]
    is_secret = is_secret_setting(value, secrecy(name)) and secrecy(name) is not Secrecy.NONE
    if secrecy(name) is Secrecy.PERHAPS and "cookie" not in name.lower():
        is_secret = True
    if name.lower() in _OF_A_SIGNATURE:
        is_secret = len(value) > _SHORT_CODE and looks_random(value)
    return f"{sign}{name}={MASK}" if is_secret else found[0]
