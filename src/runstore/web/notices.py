"""Pages of a few sentences, for browsers that cannot be shown the page itself."""

from __future__ import annotations

import base64
import hashlib
import re
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runstore.web.errors import Refusal

_STYLE = (
    ":root{color-scheme:light dark}"
    "body{font:16px/1.5 system-ui,sans-serif;max-width:36rem;margin:15vh auto;padding:0 1rem}"
    "input,button{font:inherit;padding:.3rem .6rem}"
)
_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
# Their one style is known by its digest; they execute and load nothing.
OF_NOTICES = {
    "content-type": "text/html; charset=utf-8",
    "cache-control": "no-store",
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_DIGEST}';"
    " form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
}
_CODE = re.compile("`([^`]+)`")
_FORM = (
    '<form method="get" action="/"><label>Token <input name="token" type="password"'
    ' autocomplete="current-password"></label> <button>Open</button></form>'
)


def notice(refusal: Refusal) -> bytes:
    """Return the page that explains why a request was refused."""
    form = _FORM if refusal.status is HTTPStatus.UNAUTHORIZED else ""
    return page(refusal.what, refusal.hint, more=form)


def page(title: str, text: str = "", *, head: str = "", more: str = "") -> bytes:
    """Return a page; its title and text are escaped, `head` and `more` are HTML.

    Words of the text between backticks are shown as code.
    """
    shown = _CODE.sub(r"<code>\1</code>", escape(text))
    made = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>runstore</title>{head}<style>{_STYLE}</style></head>"
        f"<body><main><h1>{escape(title)}</h1><p>{shown}</p>{more}</main></body></html>"
    )
    return made.encode()


def again() -> bytes:
    """Return the page that asks for itself: this time the browser sends its cookie along."""
    return page("One moment …", head='<meta http-equiv="refresh" content="0">')
