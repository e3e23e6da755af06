"""Access: names of the server, one-time tokens, cookies and tokens of programs."""

from __future__ import annotations

import hmac
import ipaddress
import re
import secrets
from collections import OrderedDict
from collections.abc import Collection, Mapping

from runstore.errors import UsageError

_HOST = re.compile(r"(\[[0-9a-fA-F:.]{2,45}\]|[A-Za-z0-9_-][A-Za-z0-9._-]{0,252})(?::(\d{1,5}))?")
_FRAMING = re.compile(r"https?://(\[[0-9a-f:.]{2,45}\]|[a-z0-9][a-z0-9.-]{0,252})(?::\d{1,5})?")
ANY_ADDRESS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - as given
_ORIGIN = re.compile(r"https?://(.+)")
_KEPT_AT_MOST = 1000  # tokens that nobody used, and browsers


class Access:
    """Names of the server, and the browsers admitted.

    Args:
        port: The port that it listens to.
        host: The address that it listens to.
        allowed_hosts: More names that browsers may reach it by.
        token: A token that programs and people can use repeatedly; None for none.
    """

    def __init__(
        self,
        *,
        port: int,
        host: str = "127.0.0.1",
        allowed_hosts: Collection[str] = (),
        token: str | None = None,
    ) -> None:
        self.port = port
        self.host = host
        self.cookie = f"runstore_{port}"
        self._names = frozenset(map(host_name, allowed_hosts))
        self._token = token
        self._unused: OrderedDict[str, None] = OrderedDict()
        self._for_frames: OrderedDict[str, None] = OrderedDict()
        self._frames: OrderedDict[str, None] = OrderedDict()
        self._browsers: OrderedDict[str, None] = OrderedDict()

    # Names of the server

    def is_own_host(self, host: str) -> bool:
        """Return whether a `Host` names this server: a page of someone else has another name.

        An IP address cannot be bound to another one, which an attacker would
        do; the port does not matter, as a tunnel may have its own.
        """
        found = _HOST.fullmatch(host)
        if found is None:
            return False
        name = found[1].lower()
        return name == "localhost" or name in self._names or self._is_own_address(name)

    def _is_own_address(self, name: str) -> bool:
        try:
            address = ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return address.is_loopback or not is_loopback(self.host)

    @staticmethod
    def is_own_origin(origin: str, host: str) -> bool:
        """Return whether an `Origin` is that of the page that this host serves."""
        found = _ORIGIN.fullmatch(origin)
        return found is not None and found[1].lower() == host.lower()

    # Pages that show this one in a frame: a notebook

    def new_frame_token(self) -> str:
        """Return a token that lets one browser in, once, within a frame.

        The page that uses it may show this one in frames from then on.
        """
        token = self.new_token()
        _keep(self._for_frames, token)
        return token

    @property
    def frames(self) -> tuple[str, ...]:
        """The origins of the pages that may show this one."""
        return tuple(self._frames)

    def may_frame(self, origin: str, host: str, token: str | None) -> bool:
        """Return whether a page of this origin may show this one; with a token, from now on.

        Browsers send the cookie only within pages that have the host name of this one.
        """
        found = _FRAMING.fullmatch(origin)
        name = _HOST.fullmatch(host)
        if found is None or name is None or found[1].lower() != name[1].lower():
            return False
        if token is not None and token in self._for_frames and token in self._unused:
            del self._for_frames[token]
            _keep(self._frames, origin)
        return origin in self._frames

    # Tokens and cookies

    def new_token(self) -> str:
        """Return a token that lets one browser in, once."""
        token = secrets.token_urlsafe(32)
        _keep(self._unused, token)
        return token

    def address(self, token: str) -> str:
        """Return the address that a browser opens with a token."""
        host = "localhost" if self.host in ANY_ADDRESS else self.host
        shown = f"[{host}]" if ":" in host else host
        return f"http://{shown}:{self.port}/?token={token}"

    def exchange(self, token: str) -> str | None:
        """Return the value of a new cookie for a token, which is used up; None for no token."""
        if not self.is_program(token):
            try:
                del self._unused[token]
            except KeyError:
                return None
        value = secrets.token_urlsafe(32)
        _keep(self._browsers, value)
        return value

    def is_browser(self, cookies: str) -> bool:
        """Return whether one of a browser's cookies is ours."""
        pairs = (one.strip().partition("=") for one in cookies.split(";"))
        return any(name == self.cookie and value in self._browsers for name, _, value in pairs)

    def is_program(self, token: str) -> bool:
        """Return whether this is the token that programs have."""
        if self._token is None:
            return False
        return hmac.compare_digest(token.encode(errors="replace"), self._token.encode())

    def is_let_in(self, headers: Mapping[str, str]) -> bool:
        """Return whether a request with these headers has a token or a cookie of ours."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self.is_program(token.strip()):
            return True
        return self.is_browser(headers.get("cookie", ""))


def host_name(text: str) -> str:
    """Return the name in a host as people write it: a name, with a port, or an address.

    Raises:
        UsageError: There is none.
    """
    found = _HOST.fullmatch(re.sub(r"^https?://|/$", "", text.strip().lower()))
    if found is None:
        raise UsageError(
            f"Expected the name of a host (such as runs.example.org), got {text!r:.100}.",
            hint="Pass --allowed-host once for each host.",
        )
    return found[1]


def is_loopback(host: str) -> bool:
    """Return whether only this machine reaches an address that a server listens to."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _keep(among: OrderedDict[str, None], token: str) -> None:
    among[token] = None
    while len(among) > _KEPT_AT_MOST:
        among.popitem(last=False)
