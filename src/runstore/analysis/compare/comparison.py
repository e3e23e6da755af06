"""Comparison: the differences between runs, as a value, a data frame and in a notebook."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from runstore import background
from runstore.analysis.compare.descriptions import describe
from runstore.analysis.compare.differences import (
    MISSING,
    SECTIONS,
    Difference,
    FileContents,
    Gap,
    Unknown,
    differences,
    gaps,
)
from runstore.analysis.compare.texts import texts_of
from runstore.errors import NotFoundError, UsageError, quoted
from runstore.extras import library
from runstore.model import arguments
from runstore.model.display.html import html_table
from runstore.model.display.short_names import short_names
from runstore.model.display.suggestions import hint_of
from runstore.reading.names import each_of, run_of
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    from pandas import DataFrame

    from runstore.model.run import Run
    from runstore.storage.backend import Backend


@dataclass(frozen=True, slots=True)
class Comparison:
    """The differences between runs.

    Attributes:
        runs: The runs, in the order they were asked for.
        differences: The differences, or all values if requested, section by section.
        gaps: Values that are unknown for a run and so were not compared.
    """

    runs: tuple[Run, ...]
    differences: tuple[Difference, ...]
    gaps: tuple[Gap, ...] = ()

    def __len__(self) -> int:
        return len(self.differences)

    def __iter__(self) -> Iterator[Difference]:
        return iter(self.differences)

    def __repr__(self) -> str:
        count = len(self.differences)
        noun = "difference" if count == 1 else "differences"
        return f"<Comparison of {len(self.runs)} runs: {count} {noun}>"

    @property
    def names(self) -> tuple[str, ...]:
        """The shortest reference of each run that no other of them has."""
        return short_names(self.runs)

    def to_pandas(self) -> DataFrame:
        """Return a `pandas.DataFrame`: a row for each run, a column for each difference.

        The index is the references, the columns are section and key. A missing or unknown value is
        None; files are their digest. A column of one type of numbers has that type, any other is
        of objects.

        Raises:
            MissingExtraError: pandas is not installed.
        """
        pd = library("pandas", "pandas")
        rows = [run.reference for run in self.runs]
        columns = [list(map(_cell, one.values)) for one in self.differences]
        series = [
            pd.Series(values, index=rows, dtype=None if _is_of_one_type(values) else "object")
            for values in columns
        ]
        names = pd.MultiIndex.from_tuples(
            [(one.section, one.key) for one in self.differences], names=["section", "key"]
        )
        frame: DataFrame = pd.DataFrame(dict(enumerate(series)), index=rows)
        frame.columns = names
        frame.index.name = "run"
        return frame

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield the parts that `rich` prints. Source: rich 13, Repr protocol."""
        yield "runs", self.names
        for one in self.differences:
            yield one.name, texts_of(one)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook."""
        rows = [(one.name, *texts_of(one)) for one in self.differences]
        return html_table(("", *self.names), rows)


def _cell(value: Any) -> Any:
    if value is MISSING or isinstance(value, Unknown):
        return None
    return value.digest if isinstance(value, FileContents) else value


def _is_of_one_type(values: Sequence[Any]) -> bool:
    """Return whether pandas may choose the type of a column without turning 1 into 1.0."""
    kinds = {type(value) for value in values}
    return len(kinds) == 1 or kinds == {float, type(None)}


def compare_runs(
    backend: Backend,
    names: Sequence[Any],
    *,
    sections: Collection[str] | None = None,
    everything: bool = False,
    metrics: Collection[str] = (),
) -> Comparison:
    """Return the differences between runs.

    Args:
        backend: The store.
        names: Any names of runs, or runs; two or more.
        sections: Which sections; None for all.
        everything: Whether to return equal values too, durations, the extremes of metrics and the
            samples of the machine.
        metrics: Return only these metrics, even if they are equal; empty for all.

    Raises:
        NotFoundError: None of the runs has such a metric; the error names the nearest key.
        UsageError: There are fewer than two runs, or a section does not exist.
        RunNotFoundError: A run does not exist.
    """
    sections = SECTIONS if sections is None else check_sections(sections)
    metrics = arguments.texts(metrics, "metrics", "val/loss")
    if len(names) == 1:
        names = tuple(each_of(names[0]))  # a page of runs, a list
    if len(names) < 2:  # noqa: PLR2004 - a comparison
        raise UsageError("A comparison needs at least two runs.")
    background.wait_until_done()  # facts about a run of this process may be on their way
    runs = tuple(run_of(backend, one) for one in names)
    described = describe(backend, runs, sections=sections, everything=everything or bool(metrics))
    found = differences(described, sections=sections, everything=True)
    if metrics:
        check_metrics(runs, metrics)
    return Comparison(
        runs,
        tuple(one for one in found if _is_wanted(one, metrics, everything=everything)),
        gaps(described, sections=sections),
    )


def _is_wanted(one: Difference, metrics: Collection[str], *, everything: bool) -> bool:
    if one.section != "metrics" or not metrics:
        return everything or one.differs
    return one.key in metrics or (everything and one.key.rpartition(".")[0] in metrics)


def check_sections(names: Iterable[str]) -> tuple[str, ...]:
    """Return names of sections, each once.

    Raises:
        UsageError: A section does not exist; the error names the nearest one.
    """
    wanted = tuple(dict.fromkeys(arguments.texts(names, "sections", "params")))
    for name in wanted:
        if name not in SECTIONS:
            hint = hint_of(name, SECTIONS)
            raise UsageError(f"There is no section {quoted(name)}.", hint=hint)
    return wanted


def check_metrics(runs: Sequence[Run], keys: Collection[str]) -> None:
    """Refuse a metric that no run has.

    Raises:
        NotFoundError: There is none; the error names the nearest key.
    """
    known = sorted({key for run in runs for key in run.metrics})
    for key in keys:
        if key not in known:
            raise NotFoundError(
                f"None of these runs has a metric {quoted(key)}.",
                hint=hint_of(key, known, who="They have"),
            )
