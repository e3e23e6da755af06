"""Every code block of the docs runs, says what the page says, and nothing public is left out."""

import os
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
import time
from itertools import zip_longest
from pathlib import Path

import click
import pytest

import command_server
import runstore
from runstore.cli.exit_codes import EXIT_CODES
from runstore.cli.main import group

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "SECURITY.md", *sorted(DOCS.rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w/]+\.(?:py|toml))\n")
# Parts of an output that differ from run to run, and the spaces that make up for their widths.
VARYING = (
    (re.compile(r"\d{4}-\d\d-\d\d-T\d{6}"), "<timestamp>"),
    (re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"), "<time>"),
    (re.compile(r"\b\d+(\.\d)? (s|ms|min)( ago)?\b|\bjust now\b"), "<duration>"),
    (re.compile(r"  +"), "  "),
    (re.compile(r"──+"), "──"),
    (re.compile(r"━━+"), "━━"),
    (re.compile(r" +$", re.MULTILINE), ""),
)
# Runs the blocks of a page one after the other, as if they were typed: Python in one namespace,
# commands in one terminal, whose folder and variables the next block has as well.
DRIVER = """
import fcntl, json, os, pty, struct, subprocess, sys, termios
names = {"__name__": "__main__"}
def run_in_terminal(text):
    outside, inside = pty.openpty()
    fcntl.ioctl(inside, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
    left, report = os.pipe()
    shell = subprocess.Popen(
        ["sh", "-e", "-c", f"{text}\\n{{ pwd; env -0; }} > /dev/fd/{report}"],
        stdin=subprocess.DEVNULL, stdout=inside, stderr=inside, pass_fds=[report],
    )
    os.close(inside)
    os.close(report)
    shown = b""
    try:
        while some := os.read(outside, 65536):
            shown += some
    except OSError:  # the last program has closed the terminal
        pass
    os.close(outside)
    print(shown.decode().replace("\\r\\n", "\\n"), end="")
    if status := shell.wait():
        sys.exit(f"exit status {status} of: {text}")
    with open(left) as reader:
        folder, variables = reader.read().split("\\n", 1)
    os.chdir(folder)
    os.environ.update(one.split("=", 1) for one in variables.split("\\0") if one)
for line in sys.stdin:
    kind, text = json.loads(line)
    if kind == "python":
        exec(compile(text, "<docs>", "exec"), names)
        if background := sys.modules.get("runstore.background"):
            background.wait_until_done(60)  # as a program does at its end
    else:
        run_in_terminal(text)
    print("\\x00", flush=True)
"""


def blocks_of(page):
    """Yield language, text and, if the page shows the output, the match of its block."""
    found = [*BLOCK.finditer(page.read_text(encoding="utf-8"))]
    for block, after in zip_longest(found, found[1:]):
        if block[1] in {"python", "sh", "toml"}:
            yield block[1], block[2], after if after and after[1] == "text" else None


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
    runstore, script = (shlex.join(command_server.client(one)) for one in ("runstore", "python"))
    calls = {
        "runstore": f'exec {runstore} "$@"',
        # Without a script, it is asked about itself, or launches one.
        "python": f'case "$1" in *.py) exec {script} "$@" ;; esac\nexec "{sys.executable}" "$@"',
    }
    for name, call in calls.items():
        (commands / name).write_text(f"#!/bin/sh\n{call}\n")
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
    plain = {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "100", "LINES": "40"}
    return folder, {
        **os.environ, **ada, **plain, "PATH": path, "PYTHONPATH": str(ROOT / "src")
    }  # fmt: skip


@pytest.mark.parametrize("page", list(runnable()))
def test_the_blocks_of_a_page_run_and_print_its_outputs(page, surroundings, request):
    import json

    folder, environment = surroundings
    if "duckdb" in page.read_text(encoding="utf-8"):
        from duckdb_home import duckdb_home

        environment |= duckdb_home(folder.parent / "home")
    if "postgresql:///" in page.read_text(encoding="utf-8"):
        environment |= request.getfixturevalue("server_variables")
    if "s3://lab-runs/" in page.read_text(encoding="utf-8"):
        environment |= request.getfixturevalue("bucket_variables")
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

    ended = command_server.run(
        ["-c", DRIVER],
        is_python=True,
        stdin="".join(json.dumps(step) + "\n" for step in steps).encode(),
        cwd=folder,
        env=environment,
        timeout=100,
    )

    assert ended.returncode == 0, ended.stderr + ended.stdout
    printed = ended.stdout.replace(str(folder), "/home/ada/work").split("\x00\n")
    pairs = list(zip(printed, expected, strict=False))
    if request.config.getoption("--write-docs"):
        write_outputs(page, pairs)
        return
    for output, shown in pairs:
        assert shown is None or same(output) == same(shown[2]), "--write-docs shows the new output"


@pytest.fixture
def server_variables():
    """Return variables for the URL postgresql:///runs, which names no server."""
    pytest.importorskip("psycopg")
    from urllib.parse import parse_qs, urlsplit

    from postgres_server import drop, named_database

    parts = urlsplit(named_database("runs"))
    options = parse_qs(parts.query)
    yield {
        "PGUSER": parts.username or "",
        "PGPASSWORD": parts.password or "",
        "PGHOST": options["host"][0] if "host" in options else parts.hostname or "",
        "PGPORT": str(parts.port or 5432),
    }
    drop("runs")


@pytest.fixture
def bucket_variables():
    """Return variables for the bucket s3://lab-runs."""
    pytest.importorskip("moto")
    pytest.importorskip("s3fs")
    from s3_server import TestBucket, variables

    bucket = TestBucket("lab-runs")
    yield variables()
    bucket.delete()


def write_outputs(page, pairs):
    """Replace the outputs of a page that differ from those printed now."""
    text, today = page.read_text(encoding="utf-8"), time.strftime("%Y-%m-%d")
    for output, shown in reversed(pairs):
        if shown is not None and same(output) != same(shown[2]):
            lines = "".join(f"{line.rstrip()}\n" for line in output.strip("\n").splitlines())
            lines = re.sub(rf"{today}-T\d{{6}}", "2026-11-23-T101500", lines)
            lines = re.sub(rf"{today} \d\d:\d\d:\d\d", "2026-11-23 10:15:00", lines)
            text = text[: shown.start(2)] + lines + text[shown.end(2) :]
    page.write_text(text, encoding="utf-8")


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


@pytest.mark.parametrize("name", ["cli.md", "errors.md", "python.md", "rest.md"])
def test_generated_pages_are_those_of_the_code(name):
    generate = runpy.run_path(str(DOCS / "reference" / "generate.py"))

    assert generate["PAGES"][name]() == (DOCS / "reference" / name).read_text(encoding="utf-8")


def test_the_site_builds_without_a_warning(tmp_path, is_full_campaign):
    """With every page in its navigation, every link resolved, and every docstring well formed.

    The theme draws the whole navigation on each page, which takes as long as all the rest;
    `.ci/run` builds the site as it is published.
    """
    if not is_full_campaign:
        pytest.skip("built by .ci/run, and with --campaign: it takes as long as 1,000 other tests")
    pytest.importorskip("sphinx")

    plain = ("-D", "html_theme=basic")
    built = subprocess.run(
        [sys.executable, "-m", "sphinx", "-qW", "--keep-going", *plain, DOCS, tmp_path],
        capture_output=True, text=True, check=False,
    )  # fmt: skip

    assert built.stderr == ""
    page = (tmp_path / "reference" / "python.html").read_text(encoding="utf-8")
    assert [name for name in runstore.__all__ if f'id="runstore.{name}"' not in page] == []


def test_every_error_is_documented():
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")

    assert [
        kind for kind in EXIT_CODES if f"| `{kind.__name__}` | `{kind.code}` |" not in page
    ] == []


def test_every_setting_is_documented():
    from runstore.config import SETTINGS

    page = (DOCS / "reference" / "settings.md").read_text(encoding="utf-8")

    assert [name for name in SETTINGS if f"| `{name}` |" not in page] == []


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
    from runstore.storage.statements import SCHEMA_VERSION

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


def test_every_guide_is_listed_and_ends_with_next_steps():
    """Each is one click from the README and from the start page of the site."""
    readme, index = (page.read_text(encoding="utf-8") for page in (PAGES[0], DOCS / "index.md"))

    wrong = []
    for guide in sorted((DOCS / "guides").glob("*.md")):
        last = guide.read_text(encoding="utf-8").rpartition("\n## ")[2]
        is_listed = f"(docs/guides/{guide.name})" in readme and f"(guides/{guide.name})" in index
        if not is_listed or not last.startswith("Next steps\n\n- ["):
            wrong.append(guide.name)

    assert wrong == []
