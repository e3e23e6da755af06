"""Columns for fields of the filter language that tables of runs do not have by default."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING

from runstore.errors import FilterError
from runstore.model.display.as_json import as_utc
from runstore.model.query.evaluate import NAN, TRUTH, Cell, Value, shown_text
from runstore.model.query.fields import SAME, UnknownFieldError, Word, field_of
from runstore.model.query.tree import Field, Kind, Namespace
from runstore.reading.details.run_subject import RunSubject
from runstore.storage.query.names import StoredNames

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.storage.backend import Backend

_SINCE = datetime(1970, 1, 1, tzinfo=timezone.utc)


def fields_of(backend: Backend, names: Iterable[str]) -> dict[str, Field]:
    """Return the fields of the filter language among the names of columns.

    Parameters, metrics, tags, facts and packages that no run has are left out, and the output.
    """
    from runstore.model.query.parse import parse_fields

    known = StoredNames(backend.database.driver)
    found: dict[str, Field] = {}
    for name in names:
        with suppress(FilterError, UnknownFieldError):
            # Most names without a dot are those of parameters, which need no parser.
            (field,) = [field_of([Word(name)])] if name.isidentifier() else parse_fields(name)
            is_known = field.namespace not in known.namespaces or known.has(field)
            if is_known and field.namespace is not Namespace.OUTPUT:
                found[name] = field
    return found


def metrics_among(backend: Backend, names: Iterable[str]) -> dict[str, Field]:
    """Return the fields of the last values of metrics among the names, by `metrics.KEY`.

    Metrics that no run has are left out.
    """
    known = StoredNames(backend.database.driver)
    keys = dict.fromkeys(name.removeprefix("metrics.") for name in names)
    fields = {f"metrics.{key}": Field(Namespace.METRIC, key, Kind.NUMBER, "last") for key in keys}
    return {name: field for name, field in fields.items() if known.has(field)}


def is_last_value(name: str, field: Field) -> bool:
    """Check whether a column has the last values of a metric, such as `metrics.loss`."""
    return field.namespace is Namespace.METRIC and name == f"metrics.{field.key}"


def usual_name(name: str, field: Field) -> str:
    """Return the name that tables have for the column of a field."""
    if field.namespace is Namespace.RUN:
        return {"reference": "run"}.get(field.key, SAME.get(name, name))
    if field.namespace is Namespace.PARAM and field.set_name is None:
        return f"params.{field.key}"
    if field.namespace is Namespace.TAG:
        return f"tags.{field.key}"
    return name


def cell_of(run: Run, field: Field, set_name: str | None) -> Cell | None:
    """Return the value of a field; several values are one text.

    Args:
        run: The run.
        field: The field.
        set_name: Only values of this parameter set, and of the run; None for all sets.
    """
    return joined_cell(field, RunSubject(run, set_name).values(field))


def joined_cell(field: Field, values: Iterable[Value]) -> Cell | None:
    """Return the values of a field as one cell; None without any."""
    cells = dict.fromkeys(_cell(field, one) for one in values)
    if len(cells) < 2:  # noqa: PLR2004 - several
        return next(iter(cells), None)
    return None, ", ".join(shown_text(one) or "None" for one in cells)


def _cell(field: Field, value: Value) -> Cell:
    if isinstance(value, tuple):
        return value
    if value is None or value != value:  # noqa: PLR0124 - NaN
        return NAN
    if isinstance(value, str):
        return None, value
    if field.kind is Kind.MOMENT:
        return None, as_utc(_SINCE + timedelta(microseconds=int(value)))
    return float(value), TRUTH[bool(value)] if field.kind is Kind.FLAG else None
