"""runstore ui: show runs in a browser."""

from __future__ import annotations

import os
import sys

import click

from runstore.cli.context import open_store
from runstore.cli.output import say

_LARGEST_PORT = 65_535


@click.command(short_help="Show runs in a browser.")
@click.option(
    "--port",
    type=click.IntRange(0, _LARGEST_PORT),
    metavar="PORT",
    help="Port (default: 8642, or a free one if that is in use).",
)
@click.option("--no-browser", is_flag=True, help="Print the address without opening a browser.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    metavar="ADDRESS",
    help="Address to listen on; an address that other machines can reach needs a token.",
)
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Additional host name that browsers can use; repeatable.",
)
@click.option("--read-only", "is_read_only", is_flag=True, help="Disable edits in the page.")
@click.option(
    "--token",
    envvar="RUNSTORE_UI_TOKEN",
    metavar="TOKEN",
    help="Token for programs and other machines; better set as RUNSTORE_UI_TOKEN, since other"
    " users can see the arguments of commands.",
)
def command(
    port: int | None,
    host: str,
    allowed_hosts: tuple[str, ...],
    token: str | None,
    *,
    no_browser: bool,
    is_read_only: bool,
) -> None:
    """Show the runs of the store in a browser, until Ctrl-C.

    By default, only this machine can open the page, at the printed address.
    """
    from runstore.web.server import Options, Serving

    options = Options(
        host=host,
        port=port,
        allowed_hosts=allowed_hosts,
        token=token,
        is_read_only=is_read_only,
    )

    def started(address: str) -> None:
        say(address)
        sys.stdout.flush()
        say(f"runstore: showing {store.backend.place}. Ctrl-C ends it.", err=True)
        if not no_browser and _has_browser():
            _open(address)

    with open_store() as store:
        Serving(store, options, started).run()


def _has_browser() -> bool:
    """Return whether a browser can open a window; a browser in this terminal would block it."""
    if sys.platform == "darwin":
        return "SSH_CONNECTION" not in os.environ
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _open(address: str) -> None:
    """Open a browser in a thread, since the server may have to answer before this returns."""
    import threading
    import webbrowser

    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
