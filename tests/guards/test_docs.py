"""Every code block of the docs runs, says what the page says, and nothing public is left out."""

import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import click
import pytest

import command_client
import command_server
import runstore
from runstore.cli.exit_codes import EXIT_CODES
from runstore.cli.main import group

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w/]+\.(?:py|toml))\n")
# What differs from run to run.
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d-T\d{6}"), "<timestamp>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<time>"),
    (re.compile(r"\b\d+\.\d s\b"), "<duration>"),
)
# Runs the blocks of a page one after the other, Python in one namespace.
DRIVER = """
import contextlib, json, subprocess, sys
names = {"__name__": "__main__"}
for line in sys.stdin:
    kind, text = json.loads(line)
    if kind == "python":
        exec(compile(text, "<docs>", "exec"), names)
    else:
        sys.stdout.flush()
        subprocess.run(["sh", "-e", "-c", text], check=True, stdin=subprocess.DEVNULL)
    print("\\x00", flush=True)
"""


def blocks_of(page):
    """Yield language, text and the output that the page shows, if any."""
    found = [(match[1], match[2]) for match in BLOCK.finditer(page.read_text(encoding="utf-8"))]
    for place, (language, text) in enumerate(found):
        after = found[place + 1] if place + 1 < len(found) else ("", "")
        if language in {"python", "sh", "toml"}:
            yield language, text, after[1] if after[0] == "text" else None


def runnable():
    for page in PAGES:
        if "generate" not in page.read_text(encoding="utf-8")[:200] and list(blocks_of(page)):
            yield pytest.param(page, id=str(page.relative_to(ROOT)))


def same(text):
    for pattern, word in VARYING:
        text = pattern.sub(word, text)
    return text.strip()


@pytest.fixture
def surroundings(tmp_path):
    """A folder, and a shell that finds `runstore` and `python`."""
    commands = tmp_path / "bin"
    commands.mkdir()
    client = f'-S -E "{command_client.__file__}" "{command_server.address()}"'
    for name, call in (("runstore", client), ("python", "")):
        (commands / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
        (commands / name).chmod(0o755)
    folder = tmp_path / "work"
    folder.mkdir()
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    # Whoever commits has a name.
    ada = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "Ada"), ("EMAIL", "ada@example.org"))
    }
    return folder, {**os.environ, **ada, "PATH": path, "PYTHONPATH": str(ROOT / "src")}


@pytest.mark.parametrize("page", list(runnable()))
def test_the_blocks_of_a_page_run_and_print_what_it_says(page, surroundings):
    import json

    folder, environment = surroundings
    if "duckdb" in page.read_text(encoding="utf-8"):
        from duckdb_home import duckdb_home

        environment |= duckdb_home(folder.parent / "home")
    steps, expected = [], []
    for language, text, output in blocks_of(page):
        named = FILE.match(text)
        if named:
            file = folder / named[1]
            steps.append(("python", write_call(file, text)))
        elif language == "toml" or text.startswith("python3 -m venv"):
            continue
        else:
            steps.append((language, text))
        expected.append(None if named else output)

    ended = subprocess.run(
        [sys.executable, "-c", DRIVER],
        input="".join(json.dumps(step) + "\n" for step in steps),
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )

    assert ended.returncode == 0, ended.stderr + ended.stdout
    printed = ended.stdout.split("\x00\n")
    for output, shown in zip(printed, expected, strict=False):
        if shown is not None:
            assert same(output) == same(shown)


def write_call(file, text):
    return textwrap.dedent(f"""
        from pathlib import Path as _Path
        _Path({str(file)!r}).parent.mkdir(parents=True, exist_ok=True)
        _Path({str(file)!r}).write_text({text!r})
    """)


def test_every_command_and_option_is_documented():
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    context = click.Context(group, info_name="runstore")

    for name in group.list_commands(context):
        section = page.partition(f"## runstore {name}\n")[2].partition("\n## ")[0]
        assert section, name
        for parameter in group.get_command(context, name).params:
            for option in getattr(parameter, "opts", []):
                assert not option.startswith("-") or option in section, (name, option)


def test_every_public_name_is_documented():
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")

    assert [name for name in runstore.__all__ if f"## {name}\n" not in page] == []


# Of Python and of data frames.
KNOWN_TYPES = {"Any", "Callable", "DataFrame", "IO", "Iterator", "None", "Path", "Self"}


def test_every_type_that_a_call_returns_is_documented():
    page = (DOCS / "reference" / "python.md").read_text(encoding="utf-8")
    returned = re.findall(r"^\w+\(.*\) -> (.+)$", page, re.MULTILINE)
    sections = set(re.findall(r"^##+ (?:\w+\.)?(\w+)$", page, re.MULTILINE))

    assert set(re.findall(r"\b[A-Z]\w+", " ".join(returned))) - sections - KNOWN_TYPES == set()


def test_every_error_is_documented():
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")

    assert [
        kind for kind in EXIT_CODES if f"| `{kind.__name__}` | `{kind.code}` |" not in page
    ] == []


def test_every_setting_is_documented():
    from runstore.runner.project import _SETTINGS

    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")

    assert [name for name in _SETTINGS if f"| `{name}` |" not in page] == []


def test_every_name_that_why_goes_by_is_documented():
    from runstore.analysis.explain import known_names

    page = (DOCS / "concepts" / "why-ranking.md").read_text(encoding="utf-8")
    lists = (
        known_names.SEEDS, known_names.COSMETIC, known_names.COMPUTING, known_names.LIKELY,
        known_names.LENGTHS,
        known_names.COMPUTING_PREFIXES, known_names.SOURCES, known_names.SETTINGS,
    )  # fmt: skip

    assert [name for names in lists for name in names if f"`{name}`" not in page] == []


def test_every_word_of_a_metric_is_documented():
    from runstore.model import metric_directions as words

    page = (DOCS / "concepts" / "metric-directions.md").read_text(encoding="utf-8")
    lists = (
        words.SMALL, words.LARGE, words.WEAK, words.PHRASES, words.TURNING_BEGINS,
        words.TURNING_ENDS, words.NEUTRAL,
    )  # fmt: skip

    assert [name for names in lists for name in names if f"`{name}`" not in page] == []


def test_every_column_is_documented(tmp_path):
    import sqlite3

    page = (DOCS / "reference" / "schema.md").read_text(encoding="utf-8")
    runstore.Store.open(tmp_path).close()
    connection = sqlite3.connect(tmp_path / "runstore.db")
    tables = connection.execute("SELECT name, type FROM sqlite_schema WHERE type <> 'index'")

    missing = []
    for table, kind in tables.fetchall():
        section = page if kind == "table" else section_of_view(page, table)
        for (column,) in connection.execute("SELECT name FROM pragma_table_info(?)", (table,)):
            told = f"`{column}`" in section or f".{column}`" in section
            if table not in page or not told:
                missing.append(f"{table}.{column}")
    connection.close()

    assert missing == []


def section_of_view(page, view):
    """Return what is said of a view, with what is said of all of them."""
    of_all = page.partition("## Views\n")[2].partition("\n### ")[0]
    return of_all + page.partition(f"### {view}\n")[2].partition("\n#")[0]


def test_the_schema_version_is_told():
    from runstore.storage.migrations import SCHEMA_VERSION

    page = (DOCS / "reference" / "schema.md").read_text(encoding="utf-8")

    assert f"Schema version: {SCHEMA_VERSION}." in page


def test_every_link_leads_somewhere():
    broken = [
        f"{page.relative_to(ROOT)}: {target}"
        for page in PAGES
        for target in re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
        if "://" not in target and not (page.parent / target).exists()
    ]

    assert broken == []


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        targets = re.findall(r"\]\(([^)#:]+)[^)]*\)", page.read_text(encoding="utf-8"))
        waiting += [(page.parent / target).resolve() for target in targets]

    assert [str(page.relative_to(ROOT)) for page in PAGES if page.resolve() not in reached] == []
