"""Whatever texts a store holds, no terminal obeys them."""

import json
import re
import shutil
import subprocess
import warnings

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text
from tests.commands import on_terminal, runstore

from places import store_at
from runstore.cli import output
from runstore.cli.commands.output import shown_text
from runstore.cli.main import group, main
from runstore.errors import RunNotFoundError, visible
from runstore.user_warnings import warn

EVIL = "\x1b]0;pwn\x07\x1b[31mX\u202e\x9b31m\x1bc[bold]b[/bold][link=http://e]y[/link]<script>\r\n\x08"
OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
# Columns by which rows find each other, and those that hold another format.
KEPT = re.compile(
    r"uid|.*_id|id|tree_key|tree|hash|digest|status|operation|facts|block|value|part|boot_id"
    r"|process_started"
)
REFERENCES = ("latest", "exp_1")
COMMANDS = {
    "artifacts": [["latest"]],
    "best": [["status = complete", "loss"], ["exp", "loss"]],
    "compare": [REFERENCES],
    "copy": [["copied"]],
    "completion": [["bash"]],
    "diff": [REFERENCES],
    "direction": [["loss"]],
    "doctor": [[]],
    "exec": [["--", "true"]],
    "experiments": [[]],
    "export": [["--parquet", "dataset"]],
    "gc": [["--dry-run"]],
    "download": [["latest", "--output", "taken"]],
    "grep": [["pwn"], ["pwn", "-t"]],
    "init": [["--help"]],
    "output": [["latest"], ["exp_1", "-t"], ["exp"]],
    "ls": [[], ["--columns", "run,params,metrics,tags"], ["--group-by", "tags.k"], ["nosuch=1"]],
    "metric": [["loss=1"]],
    "migrate": [[]],
    "mv": [["exp_1", "other\x1b[31m"], ["latest", "exp", "--yes"]],
    "note": [["latest", "--append", "more"]],
    "plot": [["latest"], ["latest", "nosuch"]],
    "pull": [[".", "--store", "taken"], ["nosuch\x1b[31m"]],
    "push": [["pushed"], ["--dry-run", "latest", "pushed\x1b[31m"]],
    "views": [["ls"]],
    "record": [["--help"]],
    "redo": [[]],
    "rerun": [["latest", "--dry-run"], ["exp_1"]],
    "restore": [["--all"]],
    "trash": [[]],
    "rm": [["latest", "--dry-run"], ["exp_1", "--yes"]],
    "run": [["nosuch\x1b[31m"]],
    "save": [["nosuch\x1b[31m"]],
    "scrub": [["--dry-run"]],
    "settle": [[], ["exp", "--lost", "--yes"]],
    "show": [["latest"], ["exp_1", "--history"], ["nosuch"], ["exp"]],
    "similar": [["latest"]],
    "tag": [["latest"], ["latest", "new=1"]],
    "top": [["--help"]],
    "trust": [[]],
    "ui": [["--help"]],
    "undo": [[]],
    "verify": [[]],
    "why": [[*REFERENCES, "--metric", "loss"]],
}


TEXTS = {
    "sqlite": (
        "SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c"
        " WHERE t.type = 'table' AND c.type = 'TEXT'"
    ),
    "postgresql": (
        "SELECT table_name, column_name FROM information_schema.columns"
        " JOIN information_schema.tables USING (table_schema, table_name)"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE' AND data_type = 'text'"
    ),
}


def poison(store, engine):
    """Put hostile texts into each column of the database that holds a text for people."""
    facts = {"values": {"host.name": EVIL, EVIL: EVIL}, "unknown": {EVIL: EVIL}}
    with store.backend.database.driver.write() as connection:
        for table, name in connection.execute(TEXTS[engine]).fetchall():
            if not KEPT.fullmatch(name) and table != "schema_migrations":
                evil = f'UPDATE {table} SET "{name}" = coalesce("{name}", \'\') || :evil'  # noqa: S608 - names of our tables
                connection.execute(evil, {"evil": EVIL})
        connection.execute("UPDATE runs SET facts = :facts", {"facts": json.dumps(facts)})


def fill(folder, engine):
    with store_at(folder / ".runstore") as store:
        for number in range(2):
            with store.start("exp", params={"lr": number}, capture=False, notes="n") as run:
                run.log(loss=float(number))
                run.save("out.txt", b"text")
                run.tags["k"] = "v"
        with pytest.raises(ValueError, match="bad"), store.start("exp", capture=False) as run:
            run.log(loss=1.0)
            raise ValueError("bad")
        store.edit("exp#1", notes="edited")
        store.queries["good"] = "status = complete"
        poison(store, engine)
    return folder


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return fill(tmp_path_factory.mktemp("hostile"), "sqlite")


@pytest.fixture
def hostile(engine, request, tmp_path):
    """A store of its own for each command: some of them change it."""
    folder = tmp_path / "hostile"
    if engine == "sqlite":  # a copy takes less time
        return shutil.copytree(request.getfixturevalue("made"), folder)
    folder.mkdir()
    return fill(folder, engine)


def in_process(arguments, capfd):
    """Run a command in this process, as `main` runs it; return what it printed."""
    with warnings.catch_warnings(), pytest.raises(SystemExit) as end:
        main(arguments)
    printed = capfd.readouterr()
    assert end.value.code != 70, printed.err
    return printed.out + printed.err


def test_every_command_is_tried():
    assert COMMANDS.keys() == set(group.list_commands(click.Context(group)))


@pytest.mark.parametrize("name", COMMANDS)
def test_no_command_prints_what_a_terminal_obeys(hostile, name, capfd, monkeypatch):
    monkeypatch.chdir(hostile)
    for words in COMMANDS[name]:
        printed = in_process([name, *words], capfd)

        assert not OBEYED.search(printed.replace("\t", " ")), (words, printed)


@pytest.mark.parametrize(
    "words", [["ls"], ["show", "latest"], ["diff", *REFERENCES], ["output", "exp_1"]]
)
def test_a_terminal_gets_the_escape_sequences_of_rich_alone(hostile, words):
    drawn = on_terminal(*words, cwd=hostile)

    plain = re.sub(r"\x1b\[[0-9;]*m", "", drawn).replace("\r\n", "\n")
    assert not OBEYED.search(plain), plain
    assert "\x1b[31mX" not in drawn
    assert "\\x" in plain


def test_a_shell_is_offered_words_that_it_does_not_execute(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for name in ("plain", "x$(touch pwn)", "y`id`", "z;id"):
            store.start(name, capture=False).finish()
        with store.backend.database.driver.write() as connection:
            named = {"reference": "w\nid"}
            connection.execute("UPDATE runs SET reference = :reference WHERE id = 4", named)
    asked = {"COMP_LINE": "runstore show ", "COMP_POINT": "14"}

    offered = runstore(cwd=tmp_path, env={"_RUNSTORE_COMPLETE": "bash_complete", **asked}).stdout

    lines = [line.removeprefix("plain,") for line in offered.splitlines()]
    bash = subprocess.run(
        ["bash", "-c", f"printf '%s\\n' {' '.join(lines)}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    names = {"plain", "x$(touch pwn)", "y`id`", "z;id"}
    # A name with a line break cannot be offered.
    numbered = {f"{name}#1" for name in names - {"z;id"}}
    assert set(bash.stdout.splitlines()) == {"latest", *names, *numbered}
    assert bash.stderr == ""
    assert not (tmp_path / "pwn").exists()


def test_errors_and_warnings_reach_the_terminal_of_a_program_in_a_harmless_form():
    error = RunNotFoundError(f"There is no run {EVIL}.", hint=f"{EVIL}")

    with pytest.warns(UserWarning) as told:  # noqa: PT030 - the text is looked at below
        warn(f"{EVIL} was kept.")

    for text in (str(error), str(told[0].message)):
        assert not OBEYED.search(text)
        assert "\\x1b]0;pwn\\x07" in text


def test_notebooks_show_texts_as_they_are(hostile):
    with store_at(hostile / ".runstore") as store:
        run = store.get("latest")
        shown = [store.list(), run, store.compare(["latest", "exp_1"])]
        pages, texts = [one._repr_html_() for one in shown], [repr(one) for one in shown]

    for text in (*pages, *texts):
        assert not OBEYED.search(text.replace("\n", "")), text
    assert not any("<script" in page for page in pages)


@given(st.text())
def test_harmless_texts_stay_so(text):
    once = visible(text)

    assert not OBEYED.search(once)
    assert visible(once) == once
    assert len(once.splitlines()) <= 1


@pytest.mark.parametrize(
    ("sequence", "is_kept"),
    [
        ("\x1b[1;31m", True),
        ("\x1b[38;5;8m", True),
        ("\x1b[38;2;8;5;6m", True),
        ("\x1b[38:2::8:5:6m", True),
        ("\x1b[8m", False),
        ("\x1b[0;08m", False),
        ("\x1b[38;5;1;8m", False),
        ("\x1b[5m", False),
        ("\x1b[2J", False),
        ("\x1b]0;title\x07", False),
    ],
)
def test_of_printed_colours_those_that_hide_are_left_out(monkeypatch, sequence, is_kept):
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("FORCE_COLOR", "1")

    shown = shown_text(f"a{sequence}b")

    assert (sequence in shown) is is_kept
    assert Text.from_ansi(shown).plain == "ab"


def test_a_sequence_that_appears_when_another_is_taken_out_is_not_obeyed():
    shown = shown_text("\x1b\x1b[0m]0;pwn\x07\x1b\x1b[2J[31m")

    assert not OBEYED.search(shown)
