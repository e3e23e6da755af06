"""Commands that the page shows to copy are those of the command line."""

import re
from pathlib import Path

import click
import pytest

from runstore.cli.main import group

SOURCES = sorted((Path(__file__).parents[3] / "ui" / "src").rglob("*.ts*"))
COMMENT = re.compile(r"^\s*(//|/?\*).*$", re.MULTILINE)
# After the program with its store, in a table of a run's parts, or in a sentence.
COMMAND = re.compile(
    r"(?:\$\{program(?:\(\))?\} |--store \$\{[^}]*\} |\[`(?=\w+ \$\{name\})|\brunstore )"
    r"([a-z]+)"
)
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")


def rest_of_command(text, start):
    """Return what follows in a template or line, with the templates nested in it."""
    inside = ["`"]
    at = start
    while at < len(text):
        sign, is_text = text[at], inside[-1] == "`"
        if sign == "\n" and len(inside) == 1:
            break
        if is_text and text.startswith("${", at):
            inside.append("{")
            at += 1
        elif (is_text and sign == "`") or (not is_text and sign == "}"):
            inside.pop()
            if not inside:
                break
        elif not is_text and sign in "`{":
            inside.append(sign)
        at += 1
    return text[start:at]


def shown():
    for path in SOURCES:
        text = COMMENT.sub("", path.read_text())
        for found in COMMAND.finditer(text):
            options = tuple(OPTION.findall(rest_of_command(text, found.end())))
            yield pytest.param(found[1], options, id=f"{path.name}: {found[1]} {options}")


def test_commands_are_found_in_the_sources():
    names = {one.values[0] for one in shown()}

    assert {"ui", "ls", "show", "compare", "why", "plot", "best", "artifacts"} <= names


def test_options_in_nested_templates_are_found():
    options = {option for one in shown() if one.values[0] == "why" for option in one.values[1]}

    assert "metric" in options


@pytest.mark.parametrize(("name", "options"), list(shown()))
def test_a_shown_command_and_its_options_exist(name, options):
    """An old name that still works is not one to show."""
    context = click.Context(group)
    assert name in group.list_commands(context)

    parameters = group.get_command(context, name).params
    known = {one for each in parameters for one in (*each.opts, *each.secondary_opts)}
    assert {f"--{one}" for one in options} <= known
