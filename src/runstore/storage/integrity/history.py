"""The events of a run as a hash chain: each link covers an event and all events before it.

An event that is altered, removed or inserted later breaks the chain. The chain has no key, so that
it detects accidents and manual edits, but not an attacker who recomputes all of it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from runstore.model.values import blake2b, sha256
from runstore.storage.driver import Connection, Driver
from runstore.storage.rows import as_text
from runstore.storage.statements import ADD_EVENT
from runstore.value_classes import NamedTuple

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SIZE = 16
_FIELDS = ("at", "author", "field", "old", "new", "operation", "undoes")
LAST_LINK = "SELECT uid, last_link FROM runs WHERE id = :id"
SET_LAST_LINK = "UPDATE runs SET last_link = :link WHERE id = :id"
SET_LINK = "UPDATE events SET link = :link WHERE id = :id"
LAST_WITHOUT = "SELECT value FROM store_state WHERE name = 'last_event_without_link'"
REMOVE_EVENTS = "DELETE FROM events WHERE run_id = :run_id"
RUNS_WITH_EVENTS = """
    SELECT r.id, r.uid, r.reference, r.last_link, r.notes FROM runs r
    WHERE r.id > :after AND (r.last_link IS NOT NULL OR r.id IN (SELECT run_id FROM events))
    ORDER BY r.id LIMIT 500
"""
EVENTS = """
    SELECT id, link, at, author, field, old, new, operation, undoes FROM events
    WHERE run_id = :id ORDER BY id
"""


class Verified(NamedTuple):
    """The result of verifying the chains.

    Attributes:
        events: Number of intact events.
        not_covered: Number of events older than the chains.
        problems: Problems, each with the run and its first affected event.
    """

    events: int
    not_covered: int
    problems: tuple[str, ...]


def add_link(connection: Connection, run_id: int, event: Mapping[str, Any]) -> bytes:
    """Return the link of the next event of a run, and store it as the run's last link.

    The caller's transaction adds the event.
    """
    uid, last = connection.execute(LAST_LINK, {"id": run_id}).fetchone()
    before = last if isinstance(last, bytes) else as_text(uid).encode()
    link = _link(before, _content([event[name] for name in _FIELDS]))
    connection.execute(SET_LAST_LINK, {"id": run_id, "link": link})
    return link


def link_anew(connection: Connection, run_id: int) -> None:
    """Recompute the links of a run's events after runstore itself changed them.

    Runs within the caller's transaction. Events without a link stay without one.
    """
    uid, last = connection.execute(LAST_LINK, {"id": run_id}).fetchone()
    before = as_text(uid).encode()
    for event_id, link, *said in connection.execute(EVENTS, {"id": run_id}).fetchall():
        if link is not None:
            before = last = _link(before, _content(said))
            connection.execute(SET_LINK, {"id": event_id, "link": before})
    connection.execute(SET_LAST_LINK, {"id": run_id, "link": last})


def write_history(
    connection: Connection, run_id: int, uid: str, events: Sequence[Mapping[str, Any]]
) -> None:
    """Replace the events of a run, oldest first, within the caller's transaction.

    They get new links.
    """
    before, linked = uid.encode(), []
    for event in events:
        before = _link(before, _content([event[name] for name in _FIELDS]))
        linked.append({**event, "run_id": run_id, "link": before})
    connection.execute(REMOVE_EVENTS, {"run_id": run_id})
    if linked:
        connection.executemany(ADD_EVENT, linked)
    connection.execute(SET_LAST_LINK, {"id": run_id, "link": before if linked else None})


def is_intact(connection: Connection, run_id: int) -> bool:
    """Check whether the events of a run are as they were written."""
    uid, last = connection.execute(LAST_LINK, {"id": run_id}).fetchone()
    rows = connection.execute(EVENTS, {"id": run_id}).fetchall()
    linked = rows[_without_link(rows, _mark(connection)) :]
    return _first_wrong(as_text(uid), linked, last) is None


def _without_link(rows: Sequence[Any], mark: int) -> int:
    """Return the number of leading events older than the chains."""
    return sum(1 for row in rows if row[1] is None and row[0] <= mark)


def _content(said: Sequence[Any]) -> bytes:
    text = json.dumps(said, separators=(",", ":"), default=repr)
    return blake2b(text.encode(), digest_size=_SIZE).digest()


def _link(before: bytes, content: bytes) -> bytes:
    """Return the hash of an event, followed by the hash of all events up to it."""
    return content + blake2b(before + content, digest_size=_SIZE).digest()


def _link_of_server(before: bytes, said: Sequence[Any]) -> bytes:
    """Return the link that `add_event` writes in PostgreSQL, which has no BLAKE2."""
    text = json.dumps(said, separators=(", ", ": "), default=repr, ensure_ascii=False)
    content = sha256(text.encode(errors="surrogatepass")).digest()[:_SIZE]
    return content + sha256(before + content).digest()[:_SIZE]


def _fits(before: bytes, link: Any, said: Sequence[Any]) -> bool:
    """Check whether an event with this link follows the events before."""
    return link in {_link(before, _content(said)), _link_of_server(before, said)}


def verify(driver: Driver) -> Verified:
    """Verify the chains of all runs."""
    events, not_covered = 0, 0
    problems: list[str] = []
    with driver.read() as connection:
        mark = _mark(connection)
        for run_id, uid, reference, last, notes in _runs(connection):
            rows = connection.execute(EVENTS, {"id": run_id}).fetchall()
            old = _without_link(rows, mark)
            linked = rows[old:]
            not_covered += old
            wrong = _first_wrong(as_text(uid), linked, last) or _other_notes(linked, notes)
            events += len(linked) if wrong is None else 0
            if wrong is not None:
                problems.append(f"{as_text(reference)}: {wrong}")
    return Verified(events, not_covered, tuple(problems))


def _mark(connection: Connection) -> int:
    found = connection.execute(LAST_WITHOUT).fetchone()
    try:
        return int(found[0]) if found else 0
    except (ValueError, TypeError):
        return 0


def _runs(connection: Connection) -> Iterator[Any]:
    after: Any = -(2**63)
    while some := connection.execute(RUNS_WITH_EVENTS, {"after": after}).fetchall():
        yield from some
        after = some[-1][0]


def _first_wrong(uid: str, rows: Sequence[Any], last: Any) -> str | None:
    """Return the problem with the first damaged event of a run; None if there is none."""
    before: Any = uid.encode()
    for place, (_, link, *said) in enumerate(rows):
        if not _fits(before, link, said):
            return f"{_named(place, said)} {_how(before, link, said, rows[place + 1 :])}"
        before = link
    if (before if rows else None) == last:
        return None
    return f"events after the remaining {len(rows)} were removed"


def _how(before: bytes, link: Any, said: Sequence[Any], following: Sequence[Any]) -> str:
    """Return how a chain was broken at an event."""
    if following:
        _, next_link, *next_said = following[0]
        if _fits(before, next_link, next_said):
            return "was inserted"
    if not isinstance(link, bytes):
        return "was inserted, or its hash was removed"
    if link[:_SIZE] not in {_content(said), _link_of_server(before, said)[:_SIZE]}:
        return "was altered"
    return "does not follow the one before: an event between them was removed"


def _other_notes(rows: Sequence[Any], notes: Any) -> str | None:
    """Return a problem if the notes differ from the last edit."""
    edits = [row for row in rows if row[4] == "notes"]
    if edits and edits[-1][6] != notes:
        return "the notes differ from the last edit"
    return None


def _named(place: int, said: Sequence[Any]) -> str:
    return f"event {place + 1}, the edit of {as_text(said[2])!r:.60} by {as_text(said[1])!r:.60},"
