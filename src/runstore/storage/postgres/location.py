"""URLs of stores on a PostgreSQL server: options, masked passwords, and the folder beside one.

A store on a server has a folder on each machine that uses it: data in flight, files of full
stores, and copies of artifact contents. Its name is derived from the URL without the password.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

from runstore.errors import UsageError, genuine
from runstore.model.values import sha256
from runstore.value_classes import NamedTuple

SCHEMES = ("postgresql", "postgres")
_OBJECTS = "objects"
_SECRETS = frozenset({"password", "sslpassword", "passfile"})
# They choose how a server is reached, not which store is meant.
_MANNERS = frozenset({"application_name", "connect_timeout", "options"})
# They name the server if the URL does not. Source: PostgreSQL 18, 32.15, Environment Variables.
_SERVER_VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE")
# Of a bucket; local files have a path instead.
_PROTOCOL = re.compile("(?!(file|local|https?|postgres(ql)?)$)[a-z][a-z0-9+.-]*")
# The folder of all servers, in the state folder.
_SERVERS = ("runstore", "servers")
_HINT = "Use a URL such as postgresql://user@host/database."


class ServerLocation(NamedTuple):
    """A store on a server.

    Attributes:
        url: The URL for the driver, with the password, if any.
        given: The URL as the user wrote it.
        shown: The URL without passwords, for messages.
        folder: The folder of this store on this machine.
        objects: The place of artifact contents: the path of a shared folder, or the URL of a
            bucket; None for the place that the store has noted.
    """

    url: str
    given: str
    shown: str
    folder: Path
    objects: str | None = None

    @property
    def database(self) -> str:
        """The name of the database."""
        return _database_of(urlsplit(self.url))

    def __repr__(self) -> str:
        return f"<ServerLocation {self.shown!r}>"

    def __str__(self) -> str:
        return self.shown


def server_location(url: str) -> ServerLocation:
    """Parse the URL of a store on a server.

    Besides the parameters of PostgreSQL's own URLs, `objects` names a shared folder or a bucket
    for the contents of artifacts.

    Source: PostgreSQL 18, 32.1.1.2, Connection URIs.

    Raises:
        UsageError: It is not such a URL, or names no database.
    """
    url = _unmasked(url)
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError as error:
        raise UsageError(f"The URL of the store is invalid: {error}.", hint=_HINT) from None
    named = dict(options)
    if not _database_of(parts):
        raise UsageError(f"{masked(url)} names no database.", hint=_HINT)
    objects = contents_place(named[_OBJECTS]) if _OBJECTS in named else None
    kept = [one for one in options if one[0] != _OBJECTS]
    clean = _joined(parts, parts.netloc, kept)
    folder = _folder_of(clean)
    return ServerLocation(clean, url, masked(url), folder, objects)


def _database_of(parts: SplitResult) -> str:
    named = dict(parse_qsl(parts.query)).get("dbname")
    return named or unquote(parts.path).strip("/")


def contents_place(text: str) -> str:
    """Return the place of contents in its usual form.

    Raises:
        UsageError: It is neither an absolute path nor the URL of a bucket.
    """
    if os.path.isabs(text):  # noqa: PTH117 - a text
        return os.path.normpath(text)
    protocol, mark, rest = text.partition("://")
    protocol = {"s3a": "s3", "gcs": "gs", "az": "abfs"}.get(protocol, protocol)
    if not _PROTOCOL.fullmatch(protocol) or not mark or not rest.strip("/"):
        raise UsageError(
            f"objects={_without_password(text)!r} is neither an absolute path nor the URL of a"
            " bucket.",
            hint="Use ?objects=/shared/objects or ?objects=s3://bucket/prefix.",
        )
    if "@" in rest or "?" in rest or "::" in text or not rest.isprintable():
        raise UsageError(
            f"objects={_without_password(text)!r} is not the URL of a bucket and a prefix.",
            hint="Name only these; put credentials in the environment or in ~/.aws.",
        )
    return f"{protocol}://{rest.strip('/')}"


def _without_password(text: str) -> str:
    return re.sub(r"://.*@", "://***@", text)


def _unmasked(url: str) -> str:
    """Return RUNSTORE_URL for its form in messages and copied commands."""
    known = os.environ.get("RUNSTORE_URL", "")
    is_known = known.startswith(SCHEMES) and "***" in url
    return known if is_known and masked(known) == url else url


def masked(url: str) -> str:
    """Return a URL without its passwords."""
    parts = urlsplit(url)
    user, has_host, host = parts.netloc.rpartition("@")
    name, has_password, password = user.partition(":")
    place = f"{name}{':***' if password else has_password}{has_host}{host}"
    options = [
        (key, "***" if key in _SECRETS else _without_password(value))
        for key, value in parse_qsl(parts.query, keep_blank_values=True)
    ]
    return _joined(parts, place, options)


def _joined(parts: SplitResult, place: str, options: list[tuple[str, str]]) -> str:
    # By hand, because `urlunsplit` drops the slashes of a URL without a host, and libpq does not
    # read a plus as a space.
    query = urlencode(options, quote_via=quote, safe="/*:")
    return f"{SCHEMES[0]}://{place}{parts.path}{'?' if query else ''}{query}"


def _folder_of(url: str) -> Path:
    parts = urlsplit(url)
    user, _, host = parts.netloc.rpartition("@")
    options = sorted(
        one
        for one in parse_qsl(parts.query, keep_blank_values=True)
        if one[0] not in _SECRETS | _MANNERS
    )
    has_host = host or any(key in {"host", "hostaddr", "service"} for key, _ in options)
    around = [] if has_host else [os.environ.get(name, "") for name in _SERVER_VARIABLES]
    told = "\n".join([user.partition(":")[0], host, parts.path, urlencode(options), *around])
    digest = sha256(told.encode()).hexdigest()[:16]
    state = os.environ.get("XDG_STATE_HOME", "")
    if not os.path.isabs(state):  # noqa: PTH117 - as the XDG specification requires
        state = os.path.expanduser("~/.local/state")  # noqa: PTH111
    folder = Path(state, *_SERVERS, digest)
    if folder.is_absolute() and _can_be_made(folder):
        return folder
    temporary = _temporary_state()
    return Path(temporary, *_SERVERS, digest) if _is_private(temporary) else folder


def is_temporary(folder: Path) -> bool:
    """Check whether a folder is one for temporary files, as the state folder cannot be written."""
    return folder.is_relative_to(_temporary_state())


def _temporary_state() -> str:
    return f"{os.environ.get('TMPDIR') or '/tmp'}/runstore-state-{os.geteuid()}"  # noqa: S108 - owners are checked


def _is_private(folder: str) -> bool:
    """Check whether a folder belongs to this user alone, or does not exist yet."""
    try:
        about = os.lstat(folder)
    except FileNotFoundError:
        return True
    return stat.S_ISDIR(about.st_mode) and (about.st_uid, about.st_mode & 0o077) == (
        os.geteuid(),
        0,
    )


def _can_be_made(folder: Path) -> bool:
    """Check whether a folder can be written, or created; a file in its place is reported later."""
    for one in (folder, *folder.parents):
        try:
            is_folder = stat.S_ISDIR(one.stat().st_mode)
        except FileNotFoundError:
            continue
        except NotADirectoryError:
            return True
        except genuine(OSError):
            return False
        return not is_folder or os.access(one, os.W_OK | os.X_OK)
    return False
