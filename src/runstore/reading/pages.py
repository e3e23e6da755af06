"""Page: a list of runs or part of it, with the cursor of the next part."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from runstore.errors import UsageError, shown
from runstore.model import arguments
from runstore.model.run import Run
from runstore.value_classes import dataclass, field

if TYPE_CHECKING:
    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from runstore.model.metric_directions import Direction
    from runstore.model.query.tree import Order
    from runstore.reading.runs_table import RunsTable
    from runstore.repeats.ranking import Ranking
    from runstore.repeats.table import RepeatsTable

T = TypeVar("T")


# Without a limit, items are read in parts of this size: first those to show, then the others.
FIRST_PART, PART = 50, 1_000


@dataclass(frozen=True, slots=True, repr=False, eq=False)
class Page(Generic[T]):
    """Runs or other items in order: a part of a list, or all of it.

    Without a limit, a page has all items and reads them on demand: iterating reads them in parts
    and keeps none in memory, while `items`, `len` and negative indexes read and keep all.

    Attributes:
        next: Pass it as `after` to get the next page; None at the end.
        hints: On the first page of a filter, a sentence for each name that no run has, with the
            nearest existing name.
    """

    _first: tuple[T, ...]
    next: str | None = None
    hints: tuple[str, ...] = ()
    _rest: Callable[[], Iterator[tuple[T, ...]]] | None = None
    _whole: list[tuple[T, ...]] = field(default_factory=list, init=False)

    @property
    def items(self) -> tuple[T, ...]:
        """All items; those not yet read are read now."""
        if self._rest is None:
            return self._first
        if not self._whole:
            self._whole.append(tuple(one for part in self.parts() for one in part))
        return self._whole[0]

    def parts(self) -> Iterator[tuple[T, ...]]:
        """Yield all items in tuples of up to 1,000, each read on demand."""
        if self._whole:
            yield self._whole[0]
            return
        yield self._first
        if self._rest is not None:
            yield from self._rest()

    @property
    def has_more(self) -> bool:
        """Whether there are more items than those read first."""
        return self.next is not None or self._rest is not None

    def __iter__(self) -> Iterator[T]:
        for part in self.parts():
            yield from part

    def __len__(self) -> int:
        return len(self.items)

    def __bool__(self) -> bool:
        return bool(self._first)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[T, ...]: ...

    def __getitem__(self, index: int | slice) -> T | tuple[T, ...]:
        if isinstance(index, slice):
            bounds = (index.start or 0, -1 if index.stop is None else index.stop)
            is_near = all(0 <= one <= len(self._first) for one in bounds)
            return (self._first if is_near else self.items)[index]
        return (self._first if 0 <= index < len(self._first) else self.items)[index]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Page):
            return NotImplemented
        mine, others = ((one.items, one.next, one.hints) for one in (self, other))
        return mine == others

    def __hash__(self) -> int:
        return hash((self._first, self.next, self.hints))

    def __reduce__(self) -> tuple[Any, ...]:
        return Page, (self.items, self.next, self.hints)

    if not TYPE_CHECKING:  # type checkers would accept any name

        def __getattr__(self, name: str) -> Any:
            """Raise an error with the likely method for a name that a page does not have."""
            from runstore.model.habits import no_such_part

            raise no_such_part(name, dir(type(self)))

    def to_pandas(self, *, sets: bool = False) -> pd.DataFrame:
        """Return the runs as a `pandas.DataFrame`: fields, `params.…`, `metrics.…`, `tags.…`.

        Args:
            sets: Whether to add a row for each parameter set, instead of one for each run.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        return self.table(sets=sets).to_pandas()

    def to_polars(self, *, sets: bool = False) -> pl.DataFrame:
        """Return the runs as a `polars.DataFrame`; see `to_pandas`."""
        return self.table(sets=sets).to_polars()

    def to_arrow(self, *, sets: bool = False) -> pa.Table:
        """Return the runs as a `pyarrow.Table`; see `to_pandas`."""
        return self.table(sets=sets).to_arrow()

    def table(self, *, sets: bool = False) -> RunsTable:
        """Return the runs as columns; see `to_pandas`."""
        from runstore.reading.runs_table import RunsTable

        return RunsTable(self.parts_with_values(), sets=sets)

    def parts_with_values(self) -> Iterator[tuple[list[Run], Any]]:
        """Yield runs and their last values, in parts."""
        for part in self.parts():
            runs: list[Run] = [one for one in part if isinstance(one, Run)]
            source: Any = next((run.source for run in runs if run.source is not None), None)
            yield runs, {} if source is None else source.last_values(runs)

    def best(
        self,
        metric: str,
        *,
        over: Sequence[str] | None = None,
        direction: Direction | None = None,
        level: float = 0.95,
        by_code: bool = False,
    ) -> Ranking:
        """Return the best setting, and the settings that are not significantly worse.

        Runs that differ only in a seed are repeats of one setting.

        Args:
            metric: `acc` for the last value, or another value of the series: `acc.max`, `.min`,
                `.first`, `.mean` or `.count`.
            over: Keys in which repeats may differ, at any depth; None for keys named like a
                seed.
            direction: `max` if higher is better, `min` if lower is; None to use
                `Store.directions` and the metric's name. If neither is known, the groups are
                ranked without a winner.
            level: Confidence level of the decision, from 0.5 to 0.999.
            by_code: Whether to separate runs of different commits or uncommitted code.

        Raises:
            NotFoundError: No run is complete, or none has the metric.
            UsageError: The level is out of range, or no run has a key of `over`.
        """
        from runstore.repeats.ranking import best

        return best(
            self._runs(), metric, over=over, direction=direction, level=level, by_code=by_code
        )

    def compare_over(
        self,
        metric: str,
        over: Sequence[str] | None = None,
        *,
        level: float = 0.95,
        by_code: bool = False,
    ) -> RepeatsTable:
        """Return the mean of each setting's repeats, and a test for each pair of settings.

        Arguments and errors are the same as for `best`.
        """
        from runstore.repeats.table import compare_over

        return compare_over(self._runs(), metric, over=over, level=level, by_code=by_code)

    def _runs(self) -> list[Run]:
        return [one for one in self.items if isinstance(one, Run)]

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield the parts that `rich` prints. Source: rich 13, Repr protocol."""
        yield from self._first
        if self.has_more:
            yield "…"

    def __repr__(self) -> str:
        from runstore.reading.shown.page import page_text

        return page_text(self._first, self.hints, has_more=self.has_more)

    def _repr_html_(self) -> str:
        """Return the page as HTML; notebooks call this."""
        from runstore.reading.shown.page import page_html

        more = "" if not self.has_more else "More runs follow."
        if self.next is not None:
            more = "More runs follow: see page.next."
        return page_html(self._first, self.hints, more=more)


def page_limit(limit: object) -> int | None:
    """Return the maximum number of runs on a page; None for all.

    Raises:
        UsageError: The limit is not a number of 1 or more.
    """
    return None if limit is None else arguments.count(limit, "limit", 1)


BY_START, BY_NUMBER = "start", "number"


def order_name(order: Sequence[Order]) -> str:
    """Return the name of a page's order in its cursor."""
    if not order:
        return BY_START
    packed = repr(order).encode("utf-8", "surrogatepass")
    return f"order{zlib.crc32(packed):08x}"


def read_cursor(after: str, order: str) -> tuple[Any, ...]:
    """Return the position in a cursor from `write_cursor`.

    Raises:
        UsageError: The text is not a cursor, or is from a page in another order.
    """
    if not isinstance(after, str):
        raise UsageError(
            f"Expected after as the `next` of a page, got {shown(after)}.",
            hint="Pass page.next, or None for the first page.",
        )
    import base64

    named, _, packed = after.partition(".")
    try:
        text = zlib.decompress(base64.urlsafe_b64decode(packed + "=" * (-len(packed) % 4)))
        place = tuple(json.loads(text))
    except (ValueError, TypeError, zlib.error, RecursionError):
        raise UsageError(
            f"{after!r:.80} is not the `next` of a page.",
            hint="Omit it to start from the first page.",
        ) from None
    if named != order:
        raise UsageError(
            "The cursor belongs to a page in another order.",
            hint="Repeat the order of that page, or omit the cursor to start from the first page.",
        )
    return place


def newest_place(after: str, order: str) -> tuple[int, int]:
    """Return the position in a cursor of the newest runs."""
    place = read_cursor(after, order)
    if len(place) != 2 or not all(type(one) is int for one in place):  # noqa: PLR2004 - key and id
        raise UsageError(f"{after!r:.80} is not the `next` of a page.")
    return place[0], place[1]


def write_cursor(place: Sequence[Any], order: str) -> str:
    """Return the cursor for a page's last run, with the values that it was sorted by."""
    import base64

    packed = zlib.compress(json.dumps(place).encode())
    return f"{order}.{base64.urlsafe_b64encode(packed).decode().rstrip('=')}"
