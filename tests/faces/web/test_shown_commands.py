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
    r"([a-z]+)([^`\n]*)"
)
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z-]+)")


def shown():
    for path in SOURCES:
        for found in COMMAND.finditer(COMMENT.sub("", path.read_text())):
            options = tuple(OPTION.findall(found[2]))
            yield pytest.param(found[1], options, id=f"{path.name}: {found[1]} {options}")


def test_commands_are_found_in_the_sources():
    names = {one.values[0] for one in shown()}

    assert {"ui", "ls", "show", "compare", "why", "plot", "best", "artifacts"} <= names


@pytest.mark.parametrize(("name", "options"), list(shown()))
def test_a_shown_command_and_its_options_exist(name, options):
    """An old name that still works is not one to show."""
    context = click.Context(group)
    assert name in group.list_commands(context)

    parameters = group.get_command(context, name).params
    known = {one for each in parameters for one in (*each.opts, *each.secondary_opts)}
    assert {f"--{one}" for one in options} <= known
