"""Conversion of values as SQLite makes it: NaN is NULL, truth is 0 or 1, sums are integers.

This module imports psycopg, and is imported when a store on a server is opened.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import psycopg
from psycopg import adapt
from psycopg.types.numeric import FloatDumper, Int2Dumper
from psycopg.types.string import StrDumperUnknown

from runstore.model.values import clean_text
from runstore.storage.driver import Highest

_HIGHEST = b"9223372036854775807"


class _Truth(Int2Dumper):
    def dump(self, obj: Any) -> bytes:
        return b"1" if obj else b"0"


class _Number(FloatDumper):
    def dump(self, obj: Any) -> Any:
        # The tables keep NaN as NULL. Minus zero is zero, as in SQLite.
        return None if obj != obj else super().dump(obj + 0.0)  # noqa: PLR0124 - NaN


class _Text(StrDumperUnknown):
    def dump(self, obj: str) -> bytes:
        return clean_text(obj).encode()


class _Highest(adapt.Dumper):
    oid = psycopg.postgres.types["int8"].oid

    def dump(self, obj: Any) -> bytes:  # noqa: ARG002 - psycopg's
        return _HIGHEST


class _TruthLoader(adapt.Loader):
    def load(self, data: Any) -> int:
        return int(bytes(data) == b"t")


class _SumLoader(adapt.Loader):
    def load(self, data: Any) -> int | float:
        text = bytes(data).decode()
        return float(text) if "." in text or not text.lstrip("-").isdigit() else int(text)


@cache
def adapters() -> adapt.AdaptersMap:
    """Return the conversions for connections of stores."""
    made = adapt.AdaptersMap(psycopg.adapters)
    made.register_dumper(str, _Text)
    made.register_dumper(bool, _Truth)
    made.register_dumper(float, _Number)
    made.register_dumper(Highest, _Highest)
    made.register_loader("bool", _TruthLoader)
    made.register_loader("numeric", _SumLoader)
    return made
