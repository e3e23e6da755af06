"""The views with every digit of a float: SQLite's own text of one has 15.

In SQLite, `printf` writes more than 16 digits only if the format has a `!`, which DuckDB refuses,
and `1 / 2` is 0, unlike in DuckDB. DuckDB gets the number of a waiting parameter as such a text,
and executes the other part of the union itself.
"""

from __future__ import annotations

from runstore.storage.migrations.m0007_views import runs_view
from runstore.storage.migrations.m0011_waiting_params import IN_JSON, STORED, selected
from runstore.storage.migrations.m0013_params_view import params_views

NAME = "exact_views"

_ALL_DIGITS = "WHEN 1 / 2 = 0 THEN '%!.17g' ELSE '%.17g' END"


def _is_short(number: str) -> str:
    return f"CAST(printf('%.15g', {number}) AS DOUBLE) = {number}"


def _with_digits(key: str, number: str, text: str) -> str:
    digits = f"CASE WHEN {_is_short(number)} THEN '%.15g' {_ALL_DIGITS}"
    return selected(key, number, text, digits)


# JSON has no infinities, whose difference is NaN.
_LAST = f"""CASE WHEN last - last = 0 THEN CASE WHEN {_is_short("last")} THEN last
            ELSE json(printf(CASE {_ALL_DIGITS}, last)) END END"""
_NUMBER = "CASE WHEN text IS NULL AND 1 / 2 > 0 THEN value ELSE number END"

STATEMENTS = (
    "DROP VIEW params_flat",
    "DROP VIEW waiting_params_flat",
    "DROP VIEW runs_flat",
    runs_view(_LAST),
    *params_views(_with_digits(*IN_JSON), _with_digits(*STORED), _NUMBER),
)
# PostgreSQL writes every digit.
ON_SERVER = ()
