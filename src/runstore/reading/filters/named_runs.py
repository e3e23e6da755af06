"""Names of runs in filters: `parent = mnist#7` and `run = latest` as `Store.get` reads them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runstore.errors import UsageError
from runstore.model import reference as names
from runstore.model.query.tree import (
    All,
    Any,
    Compare,
    Field,
    Kind,
    Missing,
    Namespace,
    Node,
    Not,
    Op,
)
from runstore.reading.names import runs_called

if TYPE_CHECKING:
    from runstore.storage.database import Database

_UID = Field(Namespace.RUN, "uid", Kind.TEXT)
# The fields whose values are runs, and those of them that have the uid of a run.
_OF_UIDS = {"parent_uid": Field(Namespace.RUN, "parent_uid", Kind.TEXT), "uid": _UID}
_NAMING = frozenset({*_OF_UIDS, "reference"})


def with_named_runs(database: Database, node: Node) -> Node:
    """Return a condition with the uids of runs in place of their other names.

    A name without a run stays as it is, and so do prefixes: they are for `like`.
    """
    if isinstance(node, (All, Any)):
        return type(node)(tuple(with_named_runs(database, one) for one in node.parts))
    if isinstance(node, Not):
        return Not(with_named_runs(database, node.inner))
    if isinstance(node, Missing) or node.op not in {Op.EQUAL, Op.IN}:
        return node
    is_of_run = node.field.namespace is Namespace.RUN and node.field.key in _NAMING
    return _by_uid(database, node) if is_of_run else node


def _by_uid(database: Database, node: Compare) -> Node:
    """Return a comparison of a field whose values are runs."""
    values = node.value if isinstance(node.value, tuple) else (node.value,)
    found = {one: _uids_of(database, one) for one in values if isinstance(one, str)}
    uids = dict.fromkeys(uid for some in found.values() for uid in some)
    rest = tuple(one for one in values if not found.get(str(one)))
    if not uids:
        return node
    field = _OF_UIDS.get(node.field.key)
    if field is not None:
        return Compare(field, Op.IN, (*uids, *rest), node.is_negated)
    parts: list[Node] = [Compare(_UID, Op.IN, tuple(uids))]
    if rest:
        parts.append(Compare(node.field, Op.IN, rest))
    either = Any(tuple(parts))
    return Not(either) if node.is_negated else either


def _uids_of(database: Database, text: str) -> list[str]:
    """Return the uids of the runs with exactly this name; none for a number without experiment."""
    try:
        name = names.parse_run_name(text)
    except UsageError:
        return []
    if isinstance(name, names.Bare) or (isinstance(name, names.Identified) and name.number):
        return []
    return [run.uid for run in runs_called(database, text)]
