"""Lines of comparisons: titles, old and new values, patches; for people and for pipes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from runstore.analysis.compare.differences import Difference, Gap
from runstore.analysis.compare.texts import change_of, texts_of
from runstore.analysis.explain.known_names import is_data
from runstore.cli import output

if TYPE_CHECKING:
    from runstore.analysis.compare.code_changes import CodeChanges, FileChange
    from runstore.model.run import Run

_KEY_WIDTH = 24
_DATA_LINES = 20  # of a file that is no code; more are counted
_LONGEST = 2_000  # characters of a value that are shown
_PATCH_STYLES = (
    ("diff --git ", "bold"), ("--- ", "bold"), ("+++ ", "bold"), ("@@", "cyan"), ("+", "green"),
    ("-", "red"),
)  # fmt: skip


def print_remark(sentence: str) -> None:
    """Print a sentence on stderr, on a terminal broken between words."""
    text = output.terminal_safe(f"runstore: {sentence}")
    if not output.is_terminal(err=True):
        output.say(text, err=True)
        return
    for line in output.folded(text, output.terminal_size()[0]):
        output.say(line, err=True)


def print_gaps(gaps: Sequence[Gap], runs: Sequence[Run], names: Sequence[str]) -> None:
    """Print the values that are unknown for some runs and were not compared."""
    for name, some in _by_name(gaps):
        unknown = {gap.place for gap in some}
        if len(unknown) < len({run.uid for run in runs}):
            for gap in some:
                print_remark(f"{name} of {names[gap.place]} cannot be compared: {gap.reason}.")


def _by_name(gaps: Sequence[Gap]) -> Iterator[tuple[str, list[Gap]]]:
    for name, some in groupby(sorted(gaps, key=lambda gap: gap.name), lambda gap: gap.name):
        yield name, list(some)


def distinct_texts(texts: Sequence[str], width: int) -> tuple[str, ...]:
    """Return texts that still differ when cropped to a width.

    An ellipsis replaces the words that long texts share, or else their common prefix.
    """
    shown = {text: text for text in texts}
    if _alike(shown, width):
        shown |= _without_common_words([text for text in shown if len(text) > width])
    for _ in shown:
        for group in _alike(shown, width):
            same = _common(group)
            # A part of the common prefix shows the position in the text.
            shown |= {text: "…" + text[max(0, same - width // 3) :] for text in group}
    for group in _alike(shown, width):
        for number, text in enumerate(group, 1):
            mark = f"…({number})"
            shown[text] = shown[text][: max(0, width - len(mark))] + mark
    return tuple(shown[text] for text in texts)


def _without_common_words(texts: Sequence[str]) -> dict[str, str]:
    """Return each text without the words that all have; nothing if their words do not match."""
    lines = [text.split(" ") for text in texts]
    if len({len(line) for line in lines}) != 1:
        return {}
    is_same = [len(set(column)) == 1 for column in zip(*lines, strict=True)]
    for place, word in enumerate(lines[0][:-1]):
        if word.startswith("-") and not is_same[place + 1]:
            is_same[place] = False  # the differing value of an option
    return {
        text: " ".join(
            part
            for same, some in groupby(zip(line, is_same, strict=True), lambda one: one[1])
            for part in (["…"] if same else [word for word, _ in some])
        )
        for text, line in zip(texts, lines, strict=True)
    }


def _alike(shown: Mapping[str, str], width: int) -> list[list[str]]:
    """Return groups of texts that look the same."""
    groups: dict[str, list[str]] = defaultdict(list)
    for text, now in shown.items():
        groups[now if len(now) <= width else f"{now[: width - 1]}…"].append(text)
    return [group for group in groups.values() if len(group) > 1]


def _common(texts: Sequence[str]) -> int:
    """Return the length of the common prefix of texts."""
    shortest = min(map(len, texts))
    return next(
        (place for place in range(shortest) if len({text[place] for text in texts}) > 1), shortest
    )


def title_line(text: str) -> None:
    """Print the title of a section."""
    if not output.is_terminal():
        output.say(text)
        return
    from rich.text import Text

    output.console().print(Text(output.terminal_safe(text), style="bold"))


def print_pairs(found: Sequence[Difference]) -> None:
    """Print the differences between two runs on a terminal, section by section."""
    for place, (section, some) in enumerate(groupby(found, lambda one: one.section)):
        if place:
            output.say()
        title_line(section)
        print_values(list(some))


def print_values(found: Sequence[Difference]) -> None:
    """Print a line `key  old → new` for each, or three lines if it does not fit."""
    width = output.console().width
    keys = [output.terminal_safe(one.key) for one in found]
    room = min(_KEY_WIDTH, width // 3, max(map(len, keys)))
    for key, one in zip(keys, found, strict=True):
        change = change_of(one)
        print_change(key, texts_of(one), "" if change is None else f"  ({change})", room=room)


def print_change(
    key: str, texts: Sequence[str], more: str = "", *, room: int = 0, indent: int = 2
) -> None:
    """Print an old and a new value under a key; long values continue below.

    `room` is the width of the keys, `indent` the number of blanks before values below the key.
    """
    from rich.cells import cell_len
    from rich.text import Text

    drawn = output.console()
    is_same = texts[0] == texts[1]
    old, new = (
        output.terminal_safe(one[:_LONGEST], keep_lines=True)
        for one in distinct_texts(texts, _LONGEST)
    )
    values = old if is_same else f"{old} → {new}{more}"
    line = Text(f"  {key:{room}}  ", style="dim").append(values, style="not dim")
    if "\n" not in values and cell_len(line.plain) <= drawn.width:
        drawn.print(line)
        return
    drawn.print(Text(f"  {key}", style="dim", overflow="fold"))
    if is_same:
        print_indented(old, indent + 2)
        return
    _print_signed("-", old, "red", indent)
    _print_signed("+", new, "green", indent)
    if more:
        print_indented(more.strip(), indent + 2)


def _print_signed(sign: str, text: str, style: str, indent: int) -> None:
    """Print a value after its sign; further lines are indented."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 1, 0, 0))
    table.add_column(width=1)
    table.add_column(overflow="fold")
    table.add_row(Text(sign, style=style), Text(text, style=style))
    output.console().print(Padding(table, (0, 0, 0, indent), expand=False))


def print_indented(text: str, indent: int) -> None:
    """Print a text with indented lines."""
    from rich.padding import Padding
    from rich.text import Text

    shown = Text(output.terminal_safe(text, keep_lines=True), overflow="fold")
    output.console().print(Padding(shown, (0, 0, 0, indent), expand=False))


def counts_text(one: FileChange) -> str:
    """Return the numbers of added and removed lines, `+3 -1`, and a remark."""
    counts = (
        "" if one.remark and not (one.added or one.removed) else f"+{one.added} -{one.removed}"
    )
    kind = "" if one.kind == "changed" else one.kind
    return "  ".join(part for part in (counts, kind, one.remark) if part)


def print_patch(code: CodeChanges) -> None:
    """Print files as a patch: byte for byte in a pipe, coloured on a terminal.

    In a pipe, files that a text patch cannot describe are left out with a remark, because
    `git apply` would refuse the whole patch. On a terminal, many lines of data are only counted.
    """
    if not output.is_terminal():
        output.print_raw("".join(one.diff for one in code.files if one.is_exact))
        for one in code.files:
            if not one.is_exact:
                print_remark(f"Not in the patch: {one.name} ({one.remark or 'not UTF-8'}).")
        return
    from rich.text import Text

    drawn = output.console()
    for one in code.files:
        output.say()
        in_header = True
        is_long = is_data(one.path) and one.added + one.removed > _DATA_LINES
        for line in one.diff.split("\n")[:-1]:
            in_header = in_header and not line.startswith("@@")
            if is_long and not in_header:
                count = f"{one.added + one.removed:,} lines of data"
                note = "; ".join(part for part in (one.remark, count) if part)
                drawn.print(Text(output.terminal_safe(f"({note})")), soft_wrap=True)
                break
            style = _patch_style(line, in_header=in_header)
            drawn.print(Text(output.terminal_safe(line), style=style), soft_wrap=True)
        if one.remark and not is_long:
            drawn.print(Text(output.terminal_safe(f"({one.remark})")), soft_wrap=True)


def _patch_style(line: str, *, in_header: bool) -> str:
    if in_header:
        return "bold"
    return next((style for begin, style in _PATCH_STYLES if line.startswith(begin)), "")
