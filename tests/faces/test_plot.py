"""runstore plot: curves in the terminal, in a pipe and in files."""

import json
import math
import re
from xml.dom import minidom

import pytest

from commands import messages, on_terminal, runstore
from runstore import Store

SETS = [{"name": "a", "lr": 1}, {"name": "b", "lr": 2}]
BRAILLE = re.compile("[\u2801-\u28ff]")
# Names that break what is written with care for none of them.
HOSTILE = ["$\\frac$", "</script><b>x", "_hidden", "50 %", "<i>ä</i>", "val/loss"]


@pytest.fixture
def folder(tmp_path):
    """Two runs with a loss each; the second also has accuracies, of itself and of two sets."""
    with Store.open(tmp_path / ".runstore") as store:
        with store.start("fit", capture=False) as run:
            for step in range(100):
                run.log(loss=math.exp(-step / 20), step=step)
        with store.start("fit", params=SETS, capture=False) as run:
            for step in range(100):
                run.log(loss=math.exp(-step / 40), acc=step / 100, step=step)
                run.of_set("a").log(acc=step / 200, step=step)
                run.of_set("b").log(acc=step / 300, step=step)
    return tmp_path


# In the terminal and in a pipe


def test_a_pipe_gets_plain_text(folder):
    ended = runstore("plot", "fit#1", cwd=folder)

    assert "\x1b" not in ended.stdout
    assert BRAILLE.search(ended.stdout)
    assert max(map(len, ended.stdout.splitlines())) <= 80


def test_runs_are_told_apart_by_signs(folder):
    shown = runstore("plot", "fit#1", "fit#2", "-m", "loss", cwd=folder).stdout

    assert shown.splitlines()[-1] == "o fit_1 0.007083  x fit_2 0.08416"


def test_sets_are_lines_of_their_own(folder):
    shown = runstore("plot", "fit#2", "-m", "acc", cwd=folder).stdout
    one = runstore("plot", "fit#2", "-m", "a/acc", cwd=folder).stdout

    assert [name in shown for name in ("fit_2", " a 0.495", " b 0.33")] == [True] * 3
    assert "0.33" not in one.splitlines()[-1]


def test_a_terminal_gets_colours_and_its_width(folder):
    shown = on_terminal("plot", "fit#1", "fit#2", "-m", "loss", cwd=folder)

    assert "\x1b[" in shown
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown)
    assert max(map(len, plain.splitlines())) == 100


def test_without_utf8_there_is_ascii_alone(folder):
    shown = runstore("plot", "fit#1", cwd=folder, env={"PYTHONIOENCODING": "ascii"}).stdout

    assert shown.isascii()


def test_a_spike_among_many_points_is_seen(folder):
    with Store.open(folder / ".runstore") as store, store.start("spike", capture=False) as run:
        values = [0.0] * 100_000
        values[54_321] = 7.0
        run.log_points("x", values)

    told = json.loads(runstore("plot", "spike#1", "--json", cwd=folder).stdout)

    assert max(told["lines"][0]["values"]) == 7.0
    assert len(told["lines"][0]["values"]) < 5000


def test_what_cannot_be_drawn_is_counted(folder):
    with Store.open(folder / ".runstore") as store, store.start("gaps", capture=False) as run:
        for value in (1.0, math.nan, math.inf, -2.0):
            run.log(x=value)

    shown = runstore("plot", "gaps#1", cwd=folder).stdout
    logarithmic = runstore("plot", "gaps#1", "--log-y", cwd=folder).stdout

    assert "2 points are not shown (NaN, infinite)." in shown
    assert "3 points are not shown (NaN, infinite, or no logarithm)." in logarithmic


def test_following_ends_with_the_run(folder):
    shown = on_terminal("plot", "-f", "fit#1", cwd=folder)

    assert BRAILLE.search(shown)


# Into files


@pytest.mark.parametrize(
    ("suffix", "begin"),
    [
        ("png", b"\x89PNG\r\n\x1a\n"),
        ("pdf", b"%PDF-"),
        ("svg", b"<?xml"),
        ("html", b"<!doctype html>"),
    ],
)
def test_a_file_is_what_its_name_says(folder, suffix, begin):
    ended = runstore("plot", "fit#1", "fit#2", "-m", "loss", "-o", f"p.{suffix}", cwd=folder)

    assert (ended.returncode, ended.stdout) == (0, f"p.{suffix}\n")
    assert (folder / f"p.{suffix}").read_bytes().startswith(begin)


def test_the_page_works_without_a_network(folder):
    runstore("plot", "fit#1", "-o", "p.html", cwd=folder)

    page = (folder / "p.html").read_text()
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=", page)


def test_the_same_plot_is_the_same_picture(folder):
    for name in ("a.svg", "b.svg"):
        runstore("plot", "fit#1", "-o", name, cwd=folder, env={"SOURCE_DATE_EPOCH": "0"})

    drawn = minidom.parse(str(folder / "a.svg"))
    assert drawn.documentElement.tagName == "svg"
    assert not drawn.getElementsByTagName("dc:date")


@pytest.mark.parametrize("suffix", ["svg", "html", "txt"])
def test_hostile_names_are_drawn_as_they_are(folder, suffix):
    with Store.open(folder / ".runstore") as store, store.start("odd", capture=False) as run:
        for step in range(5):
            run.log(dict.fromkeys(HOSTILE, step))
    keys = [part for key in HOSTILE for part in ("-m", key)]
    into = ["-o", f"p.{suffix}"] if suffix != "txt" else []

    ended = runstore("plot", "odd#1", *keys, *into, cwd=folder)

    assert ended.returncode == 0, ended.stderr
    shown = (folder / f"p.{suffix}").read_text() if into else ended.stdout
    assert "\x1b" not in shown
    assert "</script><b>" not in shown or suffix == "txt"
    if suffix == "svg":
        minidom.parseString(shown)


def test_a_file_that_cannot_be_written_leaves_what_was_there(folder):
    (folder / "p.png").mkdir()

    ended = runstore("plot", "fit#1", "-o", "p.png", cwd=folder)
    nowhere = runstore("plot", "fit#1", "-o", "no/such/p.png", cwd=folder)

    for refused in (ended, nowhere):
        assert refused.returncode
        assert "p.png" in messages(refused)[0]
    assert [entry.name for entry in folder.iterdir() if entry.name != ".runstore"] == ["p.png"]


# Mistakes


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["fit#1", "-m", "los"], "Did you mean 'loss'?"),
        (["fit#9"], "fit#9"),
        (["fit#1", "-o", "p.docx"], ".docx"),
        (["fit#1", "-f", "-o", "p.png"], "--follow draws in a terminal only."),
        (["fit#1", "--json", "-o", "p.png"], "Leave out one of them."),
        (["fit#1", "--smooth", "1"], "--smooth"),
        (["empty#1"], "has no metrics"),
        (["many#1"], "Choose with -m"),
    ],
)
def test_mistakes_are_told(folder, arguments, told):
    with Store.open(folder / ".runstore") as store:
        store.start("empty", capture=False).finish()
        with store.start("many", capture=False) as run:
            run.log({f"m{number}": 1 for number in range(20)})

    ended = runstore("plot", *arguments, cwd=folder)

    assert ended.returncode
    assert told in "\n".join(messages(ended))


@pytest.mark.parametrize(
    ("library", "arguments"),
    [("plotext", []), ("matplotlib", ["-o", "p.png"]), ("plotly", ["-o", "p.html"])],
)
def test_a_missing_library_is_named(folder, library, arguments):
    (folder / "without").mkdir()
    (folder / "without" / f"{library}.py").write_text("raise ImportError('not here')\n")

    ended = runstore("plot", "fit#1", *arguments, cwd=folder, env={"PYTHONPATH": "without"})

    assert ended.returncode
    assert messages(ended)[0].endswith(f"{library} is not installed.")
    assert "runstore[plot]" in ended.stderr
