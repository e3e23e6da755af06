"""Names that mark their value as secret: `API_KEY`, `--db.password`, `dbPassword`."""

from __future__ import annotations

import functools
import re
from enum import IntEnum

_NAME_BOUND = 64
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORDS = re.compile(r"(?:b|B|base|Base|BASE)64(?![A-Za-z0-9])|[A-Za-z]+|[0-9]+")
_VERSION = re.compile(r"[0-9]{1,3}|v|new|old|raw|plain|b64|base64|value|string|str|text|env")

_ALWAYS = (
    "password", "passwd", "passphrase", "passwort", "passcode", "pwd", "secret", "apikey",
    "accesskey", "secretkey", "privatekey", "authtoken", "accesstoken", "apitoken",
    "requirepass", "masterauth", "credential", "credentials",
    "passwords", "passphrases", "apikeys", "sshpass", "dbpass", "userpass", "adminpass",
    "rootpass",
)  # fmt: skip
_PAIRS = frozenset({"connection string", "conn string", "account key", "sas token"})
_SERVICES = frozenset({
    "wandb", "openai", "anthropic", "gemini", "mistral", "comet", "cohere", "neptune", "github",
    "gitlab", "stripe", "twilio", "sendgrid", "kaggle", "huggingface", "datadog", "dd", "newrelic",
})  # fmt: skip
_BEFORE_KEY = _SERVICES | {
    "api", "access", "private", "secret", "account", "auth", "encryption", "signing", "storage",
    "subscription", "master", "admin", "shared", "ssh", "hmac", "jwt", "deploy", "webhook", "app",
    "application", "client", "license", "aws", "azure", "gcp", "google", "fernet", "aes",
}  # fmt: skip
_BEFORE_TOKEN = frozenset({
    "auth", "access", "api", "bearer", "refresh", "session", "private", "personal", "secret", "id",
    "bot", "app", "oauth", "csrf", "xsrf", "hf", "huggingface", "hub", "github", "gh", "gitlab",
    "wandb", "slack", "discord", "telegram", "npm", "pypi", "deploy", "service", "admin", "user",
    "login", "security", "device", "jwt", "registry", "vault", "runner", "ci", "job", "upload",
    "sentry", "databricks", "neptune", "do", "digitalocean", "cloudflare", "azure", "aws", "cf",
})  # fmt: skip
# Tokens of language models and parsers are not secret.
_OF_A_LANGUAGE = frozenset({
    "pad", "eos", "bos", "sep", "cls", "mask", "unk", "stop", "start", "end", "begin", "special",
    "image", "audio", "video", "first", "last", "next", "prev", "previous", "per", "max", "min",
    "new", "num", "n", "extra", "added", "current", "cur", "any", "each", "sub", "word", "text",
    "input", "output", "prompt", "completion", "decoder", "encoder", "target", "source", "lang",
    "language", "is", "of", "no", "the", "by", "s", "class", "keyword", "open", "close", "left",
    "right", "string", "name", "op", "operator", "comment", "newline", "blank", "single", "multi",
    "continue", "continuation", "cancel", "cancellation", "page", "sync", "match", "delim",
})  # fmt: skip
_NO_PASS = frozenset({
    "first", "second", "forward", "backward", "n", "num", "by", "band", "low", "high", "single",
    "multi", "two", "one", "per", "test", "final", "render", "max", "min", "is", "did", "do",
    "all", "next", "last", "opt", "optimization", "fusion", "graph", "compiler", "function",
    "module",
})  # fmt: skip
_SHORT_WORDS = frozenset({
    "auth", "cookie", "sas", "pat", "bearer", "sessionid", "otp", "pin", "dsn", "secrets",
})  # fmt: skip


class Secrecy(IntEnum):
    """Confidence that a name marks its value as secret."""

    NONE = 0
    PERHAPS = 1
    SURE = 2


@functools.lru_cache(maxsize=1024)
def secrecy(name: str) -> Secrecy:
    """Return the confidence that a name marks its value as secret."""
    words = _words(name)
    # A type, or a sentence.
    if not words or "::" in name or name.count(" ") > 2:  # noqa: PLR2004 - as in "API key 2"
        return Secrecy.NONE
    last = words[-1]
    before = words[-2] if len(words) > 1 else ""
    is_header = last == "authorization" and before in {"", "proxy", "x"}
    if is_header or last.endswith(_ALWAYS) or f"{before} {last}" in _PAIRS:
        return Secrecy.SURE
    if last in {"key", "keys"} or "public" in words:
        return Secrecy.NONE if "public" in words else _of_a_key(last, before)
    if last in {"token", "tok", "tokens"}:
        return _of_a_token(name, last, before)
    return _of_a_short_word(name, last, before)


@functools.lru_cache(maxsize=256)
def secrecy_of_key(around: str) -> Secrecy:
    """Return the confidence that a `key` is secret, by the name of the settings around it."""
    words = _words(around)
    return Secrecy.PERHAPS if words and words[-1] in _SERVICES else Secrecy.NONE


def _of_a_key(last: str, before: str) -> Secrecy:
    if before not in _BEFORE_KEY:
        return Secrecy.NONE
    return Secrecy.SURE if last == "key" else Secrecy.PERHAPS  # or the keys of a table


def _of_a_token(name: str, last: str, before: str) -> Secrecy:
    if last == "tokens":  # mostly a number or a text of a language model
        return Secrecy.PERHAPS if before in _BEFORE_TOKEN else Secrecy.NONE
    if before in _OF_A_LANGUAGE:
        return Secrecy.NONE
    if before in _BEFORE_TOKEN or (before and name.isupper()):
        return Secrecy.SURE
    return Secrecy.PERHAPS


def _of_a_short_word(name: str, last: str, before: str) -> Secrecy:
    if last in {"pass", "pw"}:
        is_known = before in {"db", "smtp", "mail", "email", "user", "mysql", "redis", "admin"}
        if is_known or name.isupper():
            return Secrecy.SURE
        return Secrecy.NONE if before in _NO_PASS else Secrecy.PERHAPS
    if last in _SHORT_WORDS:
        return Secrecy.PERHAPS
    if last.endswith(("token", "apikey")) and last != "detoken":
        return Secrecy.PERHAPS
    return Secrecy.PERHAPS if (before, last) == ("session", "id") else Secrecy.NONE


def _words(name: str) -> list[str]:
    """Return the words of a name in lowercase, without a final number or version."""
    found = _WORDS.findall(_CAMEL.sub("_", name[-_NAME_BOUND:]))
    words = [one.lower() for one in found]
    while len(words) > 1 and _VERSION.fullmatch(words[-1]):
        if words[-1] == "string" and words[-2] in {"connection", "conn"}:
            break
        words.pop()
    return words
