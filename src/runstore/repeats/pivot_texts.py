"""Pivot tables as texts to paste: Markdown, LaTeX and CSV."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from typing import Any

from runstore.repeats.pivot import PivotCell, PivotCells
from runstore.repeats.statistics import Mean
from runstore.repeats.texts import level_text, number_text

_DASH = "–"  # noqa: RUF001 - an empty cell, as tables have it
_MOST_DECIMALS, _LARGEST_EXPONENT = 20, 6  # two floats need no more decimals
_LATEX = {
    "\\": r"\textbackslash{}", "{": r"\{", "}": r"\}", "$": r"\$", "&": r"\&", "#": r"\#",
    "_": r"\_", "%": r"\%", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", '"': r"\textquotedbl{}",
    "`": r"\textasciigrave{}", "'": r"\textquotesingle{}", "-": "{-}",
}  # fmt: skip
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
_MARKDOWN = re.compile(r"[\\`*_{}\[\]<>|~$&]")
# A spreadsheet would evaluate a text with such a beginning.
_FORMULA = re.compile(r"[=+\-@\t\r]")


def plus_minus(mean: Mean) -> tuple[str, str, int]:
    """Return a mean and half its interval with the same decimals, and the power of ten of both.

    Two digits of the half are shown, since more mean nothing; it is empty if there is none.
    """
    half = None if mean.interval is None else (mean.interval.high - mean.interval.low) / 2
    if not mean.n or not math.isfinite(mean.mean):
        return (_DASH if not mean.n else str(mean.mean)), "", 0
    if half is None or not math.isfinite(half):
        return number_text(mean.mean), "", 0
    if half == 0:
        return number_text(mean.mean), "0", 0
    size = max(abs(mean.mean), half)
    power = math.floor(math.log10(size))
    if -_LARGEST_EXPONENT + 2 <= power < _LARGEST_EXPONENT:
        power = 0
    scaled, scaled_half = mean.mean / 10.0**power, half / 10.0**power
    decimals = min(max(0, 1 - math.floor(math.log10(scaled_half))), _MOST_DECIMALS)
    return f"{scaled:.{decimals}f}", f"{scaled_half:.{decimals}f}", power


def mean_text(mean: Mean) -> str:
    """Return a mean and its interval as `0.912 ± 0.003`."""
    shown, half, power = plus_minus(mean)
    if not half:
        return shown
    both = f"{shown} ± {half}"
    return f"({both})e{power}" if power else both


def cell_text(cell: PivotCell | None) -> str:
    """Return a cell with its count, as people read it."""
    return _DASH if cell is None else f"{mean_text(cell.mean)} (n = {cell.mean.n})"


def _common_count(pivot: PivotCells) -> int | None:
    """Return the count of values that all cells have; None if they differ."""
    counts = {one.mean.n for one in pivot.cells}
    return counts.pop() if len(counts) == 1 else None


def table_rows(pivot: PivotCells) -> Iterator[tuple[tuple[str, ...], list[PivotCell | None]]]:
    """Yield the labels and cells of each row."""
    grid = pivot.grid()
    for row, key in enumerate(pivot.rows):
        yield key.labels, [grid.get((row, column)) for column in range(len(pivot.columns))]


def _column_heads(pivot: PivotCells) -> list[str]:
    if not pivot.column_fields:
        return [str(pivot.metric)]
    names = ", ".join(pivot.column_fields)
    return [f"{names} = {', '.join(one.labels)}" for one in pivot.columns]


def _note(pivot: PivotCells) -> str:
    """Return how to read the numbers, in a sentence."""
    count = _common_count(pivot)
    caption = f"{pivot.metric}: mean ± half of the {level_text(pivot.level)} interval"
    if count is not None:
        return f"{caption}, {count} {'run' if count == 1 else 'runs'} each."
    return f"{caption}, number of runs in parentheses."


# Markdown


def pivot_as_markdown(pivot: PivotCells) -> str:
    """Return a table of GitHub's Markdown. Source: GitHub Flavored Markdown 0.29, section 4.10."""
    heads = [*pivot.row_fields, *_column_heads(pivot)]
    lines = [
        _markdown_row(map_markdown(heads)),
        "|" + "---|" * len(pivot.row_fields) + "---:|" * len(pivot.columns),
    ]
    shows_count = _common_count(pivot) is None
    for labels, cells in table_rows(pivot):
        texts = [_markdown_cell(one, shows_count=shows_count) for one in cells]
        lines.append(_markdown_row([*map_markdown(labels), *texts]))
    return "\n".join([*lines, "", markdown_text(_note(pivot)), ""])


def map_markdown(texts: Sequence[str]) -> list[str]:
    """Return texts as Markdown that shows them as they are."""
    return [markdown_text(one) for one in texts]


def markdown_text(text: str) -> str:
    """Return a text as Markdown that shows it as it is, on one line."""
    return _MARKDOWN.sub(lambda found: f"\\{found[0]}", _CONTROLS.sub(" ", text))


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _markdown_cell(cell: PivotCell | None, *, shows_count: bool) -> str:
    if cell is None:
        return _DASH
    text = mean_text(cell.mean) + (f" ({cell.mean.n})" if shows_count else "")
    return f"**{text}**" if cell.mark == "best" else text


# LaTeX


def pivot_as_latex(pivot: PivotCells) -> str:
    """Return a tabular for the package booktabs. Source: booktabs 1.61803398, section 2."""
    columns = "l" * len(pivot.row_fields) + "r" * len(pivot.columns)
    heads = [latex_text(one) for one in pivot.row_fields]
    shows_count = _common_count(pivot) is None
    lines = [
        f"% {latex_comment(_note(pivot))}",
        r"% \usepackage[T1]{fontenc}, \usepackage{textcomp}, \usepackage{booktabs}",
        f"\\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *_latex_heads(pivot, heads),
        r"\midrule",
    ]
    for labels, cells in table_rows(pivot):
        texts = [_latex_cell(one, shows_count=shows_count) for one in cells]
        lines.append(_latex_row([*map(latex_text, labels), *texts]))
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", ""])


def _latex_heads(pivot: PivotCells, heads: Sequence[str]) -> Iterator[str]:
    if not pivot.column_fields:
        yield _latex_row([*heads, latex_text(str(pivot.metric))])
        return
    first, count = len(heads) + 1, len(pivot.columns)
    title = latex_text(", ".join(pivot.column_fields))
    yield _latex_row([*([""] * len(heads)), f"\\multicolumn{{{count}}}{{c}}{{{title}}}"])
    yield f"\\cmidrule(l){{{first}-{first + count - 1}}}"
    yield _latex_row([*heads, *(latex_text(", ".join(one.labels)) for one in pivot.columns)])


def _latex_row(cells: Sequence[str]) -> str:
    return f"{' & '.join(cells)} \\\\"


def latex_text(text: str) -> str:
    """Return a text as LaTeX that prints it as it is, on one line."""
    return "".join(_LATEX.get(sign, sign) for sign in _CONTROLS.sub(" ", text))


def latex_comment(text: str) -> str:
    """Return a text for a comment, which ends with its line."""
    return _CONTROLS.sub(" ", text)


def _latex_cell(cell: PivotCell | None, *, shows_count: bool) -> str:
    if cell is None:
        return "--"
    shown, half, power = plus_minus(cell.mean)
    if not cell.mean.n or not math.isfinite(cell.mean.mean):
        return latex_text("--" if not cell.mean.n else shown)
    inner = _latex_number(shown)
    if half:
        inner = f"{inner} \\pm {half}"
        inner = f"({inner}) \\times 10^{{{power}}}" if power else inner
    inner = f"\\mathbf{{{inner}}}" if cell.mark == "best" else inner
    return f"${inner}$" + (f" ({cell.mean.n})" if shows_count else "")


def _latex_number(text: str) -> str:
    digits, _, power = text.partition("e")
    return f"{digits} \\times 10^{{{int(power)}}}" if power else digits


# CSV


def pivot_as_csv(pivot: PivotCells) -> str:
    """Return a line for each cell. Source: RFC 4180, section 2."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    statistics = ("mean", "low", "high", "n", "settings", "mark")
    writer.writerow([*map(_csv_text, (*pivot.row_fields, *pivot.column_fields)), *statistics])
    for one in pivot.cells:
        keys = (*pivot.rows[one.row].values, *pivot.columns[one.column].values)
        low, high = (
            ("", "")
            if one.mean.interval is None
            else (repr(one.mean.interval.low), repr(one.mean.interval.high))
        )
        mean = repr(one.mean.mean) if one.mean.n else ""
        writer.writerow(
            [*map(_csv_value, keys), mean, low, high, one.mean.n, len(one.settings), one.mark]
        )
    return out.getvalue()


def _csv_value(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, (int, float)) else _csv_text(str(value))


def _csv_text(text: str) -> str:
    """Return a text that is not a formula in any spreadsheet."""
    return f"'{text}" if _FORMULA.match(text) else text
