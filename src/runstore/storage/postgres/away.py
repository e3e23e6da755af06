"""Servers that cannot be reached: told apart from wrong settings, and remembered for a while."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from pathlib import Path

from runstore.errors import genuine, suppressed
from runstore.storage.files.host import host_number
from runstore.storage.postgres.location import is_temporary

# In the folder of the store on this machine: how long an attempt took, and why it failed. Other
# hosts that share the home may reach the server, so that each has its own note.
_NOTE = "unreachable"
# An attempt that takes long is not repeated for so many times its duration.
_TIMES = 12.0
_LONGEST_S = 60.0
# A quick refusal costs nothing, so that every program tries again.
_QUICK_S = 0.5
# The server, or a pooler in front of it, is starting, stopping, or has no free connection.
# Source: PostgreSQL 18, postmaster.c and proc.c; PgBouncer 1.18, Changelog and FAQ.
# libpq does not pass on the SQLSTATE of a refused connection (53300), so that its text counts, in
# the languages of the server. Source: src/backend/po of PostgreSQL 15.
_FULL = re.compile(
    r"too many (clients|connections)|connection slots|no more connections|query_wait_timeout"
    r"|zu viele Verbindungen|verbleibenden Verbindungen"
    r"|demasiad[ao]s (clientes|conexiones)|conexiones restantes"
    r"|trop de (clients|connexions)|emplacements de connexions"
    r"|tropp[ei] (client|connessioni)|slot di connessione"
    r"|för många (klienter|uppkopplingar|anslutningar)|anslutningsslottar"
    r"|слишком много (клиентов|подключений)|забагато клієнтів|багато підключень|слоти підключень"
    r"|слоты подключений|მეტისმეტად ბევრი (კლიენტ|კავშირ)|ძალიან ბევრი კავშირი"
    r"|クライアント数が多すぎ|接続が多すぎ|接続スロット"
    r"|최대 동시 접속|최대 접속수|연결 슬롯|太多的客户|连接太多|连接位置"
)
_PASSING = re.compile(
    r"the database system is|terminating|server_login_retry|server login (has been|failed)"
    r"|not currently accepting connections|cannot connect to server|pooler is shut"
    r"|closed (the connection )?unexpectedly|SSL SYSCALL"
)
# An option is wrong, or the server lacks a feature that was required.
_REFUSED_HERE = re.compile(r"invalid|certificate|SSL|GSS|fe_sendauth|service file|not supported")
# The server answered, in any language: a password, a name, a right or something passing.
_ANSWERED = re.compile(r": [^\s:]+:  |authentication|password|SCRAM")
_ADVICE = re.compile(r"\s*(Is the server running|Multiple connection attempts).*", re.DOTALL)
_PREFIX = re.compile(r"^connection (failed|is bad|timeout): ")


def is_unreachable(text: str, is_running: Callable[[], bool]) -> bool:
    """Check whether a message of libpq means that the server cannot be reached.

    In another language than English, `is_running` asks the server.
    """
    if _PASSING.search(text) or is_full(text):
        return True
    if _REFUSED_HERE.search(text):
        return False
    return _ANSWERED.search(text) is None or not is_running()


def is_full(text: str) -> bool:
    """Check whether a message of libpq means that the server has no free connection."""
    return _FULL.search(text) is not None


def reason_of(text: str) -> str:
    """Return the reason in a message of libpq, in one line."""
    return " ".join(_PREFIX.sub("", _ADVICE.sub("", text)).split()).rstrip(".")


def remember(folder: Path, took_s: float, reason: str) -> None:
    """Remember for other programs of this host that an attempt to connect failed."""
    if took_s < _QUICK_S:
        return
    with suppressed(OSError):
        if not is_temporary(folder):  # it must be private
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _note(folder).write_text(f"{took_s:.3f}\n{reason}\n", encoding="utf-8")
        for other in folder.glob(f"{_NOTE}*"):
            if time.time() - other.stat().st_mtime > _LONGEST_S:
                other.unlink(missing_ok=True)


def remembered(folder: Path) -> str | None:
    """Return the reason if the server could not be reached just now; None to try again."""
    try:
        with _note(folder).open(encoding="utf-8") as file:
            took_s, reason = float(file.readline()), file.readline().strip()
            age_s = time.time() - os.fstat(file.fileno()).st_mtime
    except genuine(OSError, ValueError):
        return None
    return reason if 0 <= age_s < min(_LONGEST_S, _TIMES * took_s) else None


def forget(folder: Path) -> None:
    """Forget an earlier failure: the server was reached."""
    with suppressed(OSError):
        _note(folder).unlink(missing_ok=True)


def _note(folder: Path) -> Path:
    return folder / f"{_NOTE}-{host_number():08x}"
