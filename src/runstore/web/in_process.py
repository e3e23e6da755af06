"""The page of this process: served beside the program, and shown in a notebook."""

from __future__ import annotations

import atexit
import os
import secrets
import threading
from typing import TYPE_CHECKING, Union

from runstore.errors import StoreUnavailableError
from runstore.location import find_place
from runstore.model import arguments
from runstore.storage.sqlite.paths import absolute
from runstore.store import Store
from runstore.value_classes import NamedTuple
from runstore.web.server import Options, Serving

if TYPE_CHECKING:
    from runstore.storage.postgres.location import ServerLocation

Place = Union[str, "ServerLocation"]

_LOWEST, _HIGHEST = 100, 10_000  # pixels
_PATIENCE_S = 30.0
_END_S = 2.0


class PageAddress(str):
    """The address of the page, shown by notebooks as the page itself.

    It admits one browser, once; `runstore.ui()` creates a fresh one.
    """

    __slots__ = ("_height", "_serving")

    _height: int
    _serving: Serving

    def __new__(cls, serving: Serving, height: int) -> PageAddress:
        """Return an address with a new token."""
        made = super().__new__(cls, serving.access.address(serving.access.new_token()))
        made._serving, made._height = serving, height
        return made

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        return str, (str(self),)

    def _repr_html_(self) -> str:
        """Return the HTML that a notebook shows; notebooks call this automatically."""
        return framed(self._serving, self._height)


def ui(
    store: Store | str | os.PathLike[str] | None = None,
    *,
    height: int = 640,
    read_only: bool = False,
) -> PageAddress:
    """Show the runs of a store in a notebook cell, or return the address for a browser.

    The page is served by this process, on a free port of this machine, until the process ends.

    Args:
        store: The store, a folder or a URL; None for the store of the project.
        height: Height of the cell in pixels.
        read_only: Refuse all changes.

    Returns:
        The address, which a cell displays as the page. Its token admits one browser, once.

    Raises:
        StoreUnavailableError: There is no such store, or the page did not start.
    """
    height = arguments.count(height, "height", _LOWEST, _HIGHEST)
    if isinstance(store, Store):
        place: Place = store.backend.server or absolute(store.backend.folder)
    else:
        place = find_place(store)
    return PageAddress(_serving(place, is_read_only=bool(read_only)), height)


def framed(serving: Serving, height: int) -> str:
    """Return HTML with the page in a frame, and an address that opens it in a tab.

    Browsers send the cookie only if the page has the host name of the notebook. Only the browser
    knows that name, so a script sets the address of the frame.
    """
    access = serving.access
    name = f"runstore-{secrets.token_hex(8)}"
    path = f"{access.port}/?token={access.new_frame_token()}"
    tab = access.address(access.new_token())
    return (
        f'<iframe id="{name}" title="runstore" referrerpolicy="origin"'
        f' style="width:100%;height:{height}px;border:0"></iframe>'
        f'<p><a href="{tab}" target="_blank" rel="noopener">Open the page in a tab</a></p>'
        "<script>(() => {"
        r" const own = /^(127\.[\d.]+|\[::1\])$/.test(location.hostname);"
        ' const host = own ? location.hostname : "localhost";'
        f' document.getElementById("{name}").src = `http://${{host}}:{path}`;'
        " })()</script>"
    )


class _Running(NamedTuple):
    """A page that is served by a thread of this process."""

    serving: Serving
    thread: threading.Thread


_running: dict[tuple[Place, bool, int], _Running] = {}
_lock = threading.Lock()


def _serving(place: Place, *, is_read_only: bool) -> Serving:
    """Return the server of a store in this process; a forked child has its own."""
    key = (place, is_read_only, os.getpid())
    with _lock:
        if key not in _running:
            _running[key] = _started(place, is_read_only=is_read_only)
        return _running[key].serving


def _started(place: Place, *, is_read_only: bool) -> _Running:
    has_started = threading.Event()
    store = Store.open(place if isinstance(place, str) else place.given, create=False)
    options = Options(port=0, is_read_only=is_read_only)
    serving = Serving(store, options, lambda _: has_started.set())
    thread = threading.Thread(target=serving.run, name="runstore-ui", daemon=True)
    thread.start()
    if not has_started.wait(_PATIENCE_S):
        serving.stop()
        raise StoreUnavailableError(
            "The page did not start.", hint="Try again, or run: runstore ui"
        )
    return _Running(serving, thread)


@atexit.register
def end_all() -> None:
    """End every page of this process."""
    with _lock:
        own = [place for place in _running if place[-1] == os.getpid()]
        ended = [_running.pop(place) for place in own]
    for one in ended:
        one.serving.stop()
    for one in ended:
        one.thread.join(_END_S)
