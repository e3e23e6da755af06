"""runstore ls and show, as people and as programs see them."""

import json
import subprocess
import sys

import pytest

from commands import messages, on_terminal, python
from commands import runstore_here as runstore
from places import store_at
from runstore.reading.shown.listing import list_columns, list_rows

HOSTILE = (
    "tab\there \x1b[31mred\x1b[0m \x1b]0;title\x07\nsecond line [bold]markup[/bold] \u202eevil"
)


@pytest.fixture
def folder(filled):
    return filled(four_runs)


def four_runs(store):
    for lr in (0.1, 0.2, 0.3):
        store.start("mnist", params={"lr": lr, "net": {"depth": 3}}, capture=False).finish()
    store.start("bert", notes=HOSTILE, capture=False).finish(
        "error", error="ValueError: \x1b[2Jgone", traceback="Traceback …\nValueError"
    )


def test_newest_first_one_line_each_in_a_pipe(folder):
    ended = runstore("ls", cwd=folder)

    lines = [line.split("\t") for line in ended.stdout.splitlines()]
    columns = ["run", "status", "started", "took", "parameters", "notes", "metrics", "tags"]
    assert lines[0] == columns
    assert [line[0].rsplit("_", 1)[0] for line in lines[1:]] == [
        "bert_1",
        "mnist_3",
        "mnist_2",
        "mnist_1",
    ]
    assert {len(line) for line in lines} == {8}
    assert lines[2][4] == 'lr=0.3 net={"depth":3}'
    assert "\x1b" not in ended.stdout
    assert "\u202e" not in ended.stdout


def test_a_pipe_has_metrics_and_tags_in_columns_of_their_own(tmp_path):
    """The columns are the same for all runs, before those of the sort keys."""
    logged = {"epoch": 3, "a": 1, "b": 2, "loss": 0.25, "acc": 1 / 3, "system/cpu": 7}
    with store_at(tmp_path / ".runstore") as store:
        for number, metrics in enumerate(({}, {"loss": 0.5}, logged)):
            with store.start("fit", capture=False) as run:
                run.tags["phase"] = "pilot"
                run.log(metrics)
                if number:
                    run.tags.add("keep")

    ended = runstore("ls", "--sort", "loss desc", cwd=tmp_path)

    lines = [line.split("\t")[6:] for line in ended.stdout.splitlines()]
    assert lines == [
        ["metrics", "tags", "metrics.loss"],
        ["loss=0.5", "keep phase=pilot", "0.5"],
        ["loss=0.25 acc=0.333333 epoch=3 a=1 b=2", "keep phase=pilot", "0.25"],
        ["", "phase=pilot", ""],
    ]


def test_a_pipe_has_all_parameters(tmp_path):
    """The one that differs may be the last."""
    params = {f"option_{number:02}": number for number in range(20)}
    sets = [{"name": f"set_{number}", "lr": number} for number in range(5)]
    with store_at(tmp_path / ".runstore") as store:
        store.start("one", params=params, capture=False).finish()
        store.start("several", params=sets, capture=False).finish()

    ended = runstore("ls", "--columns", "run,params,status", cwd=tmp_path)
    shown = runstore("ls", cwd=tmp_path)

    several, one = (line.split("\t")[4] for line in shown.stdout.splitlines()[1:])
    assert one == " ".join(f"{key}={value}" for key, value in params.items())
    assert several == "set_0, set_1, set_2, set_3, set_4"
    assert "…" not in ended.stdout + shown.stdout


def test_pages_and_experiments_as_json(folder):
    first = json.loads(runstore("ls", "mnist", "--limit", "2", "--json", cwd=folder).stdout)
    rest = json.loads(
        runstore("ls", "mnist", "--json", "--after", first["next"], cwd=folder).stdout
    )

    assert [one["run_number"] for one in first["runs"]] == [3, 2]
    assert [one["run_number"] for one in rest["runs"]] == [1]
    assert rest["next"] is None
    assert first["runs"][0]["parameter_sets"][0]["values"] == {"lr": 0.3, "net": {"depth": 3}}
    assert first["runs"][0]["started_at"].endswith("Z")


def test_json_is_strict(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        store.start("odd", params={"x": float("nan"), "y": float("inf")}, capture=False).finish()

    text = runstore("show", "--json", cwd=tmp_path).stdout

    def refuse(word):
        raise AssertionError(word)

    values = json.loads(text, parse_constant=refuse)["parameter_sets"][0]["values"]
    assert values == {"x": "NaN", "y": "Infinity"}


def test_runs_in_json_have_their_metrics_like_a_single_one(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        store.start("none", capture=False).finish()
        with store.start(
            "fit", params=[{"name": "a", "lr": 1}, {"name": "b", "lr": 2}], capture=False
        ) as run:
            run.log(acc=0.5)
            run.log(acc=0.75)
            run.of_set("a").log(loss=2.0)

    listed = json.loads(runstore("ls", "--json", cwd=tmp_path).stdout)["runs"]
    shown = [
        json.loads(runstore("show", one["uid"], "--json", cwd=tmp_path).stdout) for one in listed
    ]

    assert [{name: one[name] for name in listed[0]} for one in shown] == listed
    assert [len(one["metrics"]) for one in listed] == [2, 0]
    assert [(one["key"], one["set_name"], one["last"]) for one in listed[0]["metrics"]] == [
        ("acc", None, 0.75),
        ("loss", "a", 2.0),
    ]


def test_values_that_are_hard_to_say_are_said(tmp_path):
    values = {
        "keys": {1: "a", "1": "b", None: "c"},
        "long": [10**5000, {"inner": -(10**5000)}],
        "set": {"b", "a", "c"},
    }
    with store_at(tmp_path / ".runstore") as store:
        store.start("odd", params=values, capture=False).finish()

    (told,) = json.loads(runstore("ls", "--json", cwd=tmp_path).stdout)["runs"]
    shown = runstore("show", cwd=tmp_path).stdout

    assert told["parameter_sets"][0]["values"] == {
        "keys": {"1 (int)": "a", "1 (str)": "b", "None": "c"},
        "long": [hex(10**5000), {"inner": hex(-(10**5000))}],
        "set": ["a", "b", "c"],
    }
    assert "set        {'a', 'b', 'c'}" in shown
    assert "0x" in shown


def test_values_that_look_alike_have_exact_texts(tmp_path):
    values = [0.3, 0.1 + 0.2, 1, "1", None, "None", 1 / 3, "x" * 90 + "a", "x" * 90 + "b"]
    values += [[1], ["1"], "[1]", ["a", 0.5]]
    with store_at(tmp_path / ".runstore") as store:
        for value in values:
            store.start("odd", params={"x": value}, capture=False).finish()
        rows = list_rows(list(reversed(store.find())))

    (column,) = (one for one in list_columns(rows) if one.name == "params.x")

    shown = list(map(column.cell, rows))
    assert shown[:7] == [
        *("0.3", "0.30000000000000004", "1", "'1'", "None", "'None'", "0.3333"),
    ]
    assert shown[7] == shown[8]
    assert shown[9:] == ["[1]", "['1']", "'[1]'", "[a, 0.5]"]
    assert not column.is_number


def test_a_parameter_in_which_nearly_all_runs_agree_comes_after_others(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for n in range(20):
            params = {"batch": 64 if n else 32, "depth": n % 2, "lr": n % 3}
            store.record("net", started_at=1e9, params=params)
        rows = list_rows(list(store.find()))

    found = [one.name for one in list_columns(rows)]

    assert found[2:5] == ["params.depth", "params.lr", "params.batch"]


def test_lists_whose_elements_look_alike_are_a_column(tmp_path):
    with store_at(tmp_path / ".runstore") as store:
        for value in ([0.3, 2], [0.1 + 0.2, 2]):
            store.start("odd", params={"x": value}, capture=False).finish()
        rows = list_rows(list(reversed(store.find())))

    (column,) = (one for one in list_columns(rows) if one.name == "params.x")

    assert list(map(column.cell, rows)) == ["[0.3, 2]", "[0.30000000000000004, 2]"]


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(folder, columns):
    drawn = on_terminal("ls", cwd=folder, columns=columns, NO_COLOR="1")

    lines = drawn.replace("\r", "").split("\n")
    assert max(map(len, lines[:5])) <= columns
    below = [line for line in lines[5:] if line]
    assert len(below) <= 1 or columns < 60
    assert all("not shown" in line for line in below)
    assert "\x1b" not in drawn
    assert "\x07" not in drawn
    assert "\\x1b[31mred" in drawn or columns < 120


def test_a_narrow_terminal_shows_run_and_status(folder):
    with store_at(folder / ".runstore") as store:
        store.start("a name that goes on and on", capture=False).finish("interrupted")

    drawn = on_terminal("ls", cwd=folder, columns=40, NO_COLOR="1").splitlines()

    assert drawn[0].split()[:2] == ["run", "status"]
    assert drawn[1].startswith("a name ")
    assert "on#1  interrupted" in drawn[1]
    assert drawn[2].startswith("bert#1 ")
    assert "  error  " in drawn[2]


def test_long_names_leave_room_for_the_rest(folder):
    with store_at(folder / ".runstore") as store:
        store.start("long " * 20, params={"lr": 0.1}, notes="said", capture=False).finish()

    drawn = on_terminal("ls", cwd=folder, columns=120, NO_COLOR="1")

    assert all(text in drawn for text in ("#1  ", "said", "complete", "0.1", "ago"))


def test_show_fits_every_terminal(folder):
    python("-c", "import runstore; runstore.start_run('x' * 60).finish()", cwd=folder)

    for columns in (20, 40, 80):
        drawn = on_terminal("show", cwd=folder, columns=columns, rows=100, NO_COLOR="1")

        assert max(map(len, drawn.splitlines())) <= columns
        assert "\x1b" not in drawn


def test_a_live_run_is_shown_with_its_time_so_far(folder):
    with store_at(folder / ".runstore") as store:
        store.start("here", capture=False)

        listed = runstore("ls", cwd=folder).stdout.splitlines()[1].split("\t")
        shown = runstore("show", "here#1", cwd=folder).stdout

    assert listed[1] == "running"
    assert listed[3].endswith(" s")
    assert "  so far   " in shown


def test_silence_of_another_host_is_shown_as_silence(folder):
    code = "import os, runstore; print(runstore.start_run('far').uid, flush=True); os._exit(0)"
    uid = python("-c", code, cwd=folder).stdout.strip()
    with (
        store_at(folder / ".runstore") as store,
        store.backend.database.driver.write() as connection,
    ):
        connection.execute(
            "UPDATE runs SET hostname = 'node7', boot_id = 'a/b/c', "
            "last_seen_at = last_seen_at - 7800000000 WHERE uid = :uid",
            {"uid": uid},
        )

    listed = runstore("ls", cwd=folder).stdout.splitlines()[1].split("\t")

    assert listed[1:4:2] == ["running", "silent for 2 h 10 min"]
    assert "silent for 2 h 10 min" in runstore("show", cwd=folder).stdout


def test_a_patch_is_raw_in_a_pipe_and_harmless_on_a_terminal(tmp_path):
    code = "import runstore; runstore.start_run('patched').finish()"
    identity = ("-c", "user.name=a", "-c", "user.email=a@b.example")
    (tmp_path / "code.py").write_text("x = 1\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    subprocess.run(["git", "add", "code.py"], cwd=tmp_path, check=True)
    subprocess.run(["git", *identity, "commit", "-qm", "one"], cwd=tmp_path, check=True)
    (tmp_path / "code.py").write_text("x = '\x1b[31m'\n")
    python("-c", code, cwd=tmp_path)

    raw = runstore("show", "--patch", cwd=tmp_path).stdout
    drawn = on_terminal("show", "--patch", cwd=tmp_path, columns=80)

    assert "+x = '\x1b[31m'\n" in raw
    assert "+x = '\\x1b[31m'" in drawn
    assert "\x1b" not in drawn
    applied = subprocess.run(
        ["git", "apply", "-R", "-"], input=raw, text=True, cwd=tmp_path, check=False
    )
    assert applied.returncode == 0
    assert (tmp_path / "code.py").read_text() == "x = 1\n"


def test_colour_only_where_it_is_wanted(folder):
    assert "\x1b[" in on_terminal("ls", cwd=folder, columns=120)
    assert "\x1b[" not in on_terminal("ls", cwd=folder, columns=120, NO_COLOR="1")


def test_hostile_text_reaches_no_terminal(folder):
    for arguments in (("ls",), ("show", "bert#1")):
        drawn = on_terminal(*arguments, cwd=folder, columns=120, NO_COLOR="1")
        assert "\x1b" not in drawn
        assert "\u202e" not in drawn
        assert "\\x1b" in drawn


def test_show_tells_everything(folder):
    with store_at(folder / ".runstore") as store:
        store.edit("mnist#2", notes="edited", author="ada")
        inner = store.start("inner", parent="mnist#2", capture=False)
        inner.finish()

    shown = runstore("show", "mnist#2", "--full", cwd=folder).stdout

    for text in (
        "mnist_2_",
        "complete",
        "net.depth",
        "ada: notes: (none) → edited",
        inner.reference,
    ):
        assert text in shown
    assert "mnist_2_" in runstore("show", "inner#1", cwd=folder).stdout


def test_without_a_name_the_newest_is_shown(folder):
    assert "bert_1_" in runstore("show", cwd=folder).stdout


def test_a_captured_document_is_printed_as_it_is(folder):
    code = "import runstore; runstore.start_run('captured').finish()"
    python("-c", code, cwd=folder)

    packages = runstore("show", "--document", "packages", cwd=folder).stdout
    missing = runstore("show", "--document", "nothing", cwd=folder)

    assert "pytest==" in packages
    assert "It has: packages" in missing.stderr
    assert missing.returncode == 3


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["show", "mnits#1"], 3, "There is no run 'mnits#1'"),
        (["show", "mnist#9~08ff"], 3, "There is no run 'mnist#9~08ff'"),
        (["rm", "#9~08ff"], 3, "There is no run '#9~08ff'"),
        (["show", "mnist_9_2026-01-01-T101500~08ff"], 3, "There is no run"),
        (["show", "mnist_"], 3, "may mean several runs"),
        (["ls", "mnits"], 3, "Did you mean 'mnist'?"),
        (["ls", "--limit", "-1"], 2, "--limit: expected a whole number of at least 0, got '-1'."),
        (["ls", "--after", "x"], 2, "is not the `next` of a page"),
        (["lss"], 2, "Did you mean 'ls'?"),
        (["--store", "nowhere", "ls"], 5, "nowhere.\nRecord a run first"),
        (["--store", "ftp://x", "ls"], 2, "does not know stores of the kind ftp://"),
        (["--store", "file.txt", "ls"], 5, "file.txt"),
    ],
)
def test_mistakes_get_a_clear_message_and_an_exit_code(folder, arguments, code, said):
    (folder / "file.txt").write_text("x")

    ended = runstore(*arguments, cwd=folder)

    assert ended.returncode == code, ended.stderr
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(messages(ended)) <= 4
    assert ended.stdout == ""
    assert not (folder / "nowhere").exists()


@pytest.mark.folder_only("damages the file of SQLite")
def test_a_damaged_store_is_said_and_left_alone(folder):
    database = folder / ".runstore" / "runstore.db"
    for extra in (folder / ".runstore").glob("runstore.db-*"):
        extra.unlink()
    database.write_bytes(b"not a database" * 1000)

    ended = runstore("ls", cwd=folder)

    assert ended.returncode == 5
    assert len(messages(ended)) <= 3
    assert database.read_bytes() == b"not a database" * 1000


def test_a_reader_that_goes_away_is_no_error(folder):
    ended = subprocess.run(
        f"{sys.executable} -m runstore ls | head -n 1",
        shell=True,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.stdout.startswith("run\t")
    assert ended.stderr == ""


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_printed(folder, shell):
    assert "_RUNSTORE_COMPLETE" in runstore("completion", shell, cwd=folder).stdout


def test_help_names_every_command(tmp_path):
    shown = runstore("--help", cwd=tmp_path).stdout

    for name in ("completion", "exec", "experiments", "init", "ls", "run", "show"):
        assert f"\n  {name} " in shown


def test_show_tells_metrics(folder):
    with store_at(folder / ".runstore") as store:
        run = store.start("logged", capture=False)
        for value in (0.5, 0.25, float("nan")):
            run.log(loss=value)
        run.finish()

    shown = runstore("show", "logged#1", cwd=folder).stdout
    (one,) = json.loads(runstore("show", "logged#1", "--json", cwd=folder).stdout)["metrics"]

    assert "nan  (min 0.25, max 0.5, mean 0.375; 3 points)" in shown
    assert (one["key"], one["last"], one["count"]) == ("loss", "NaN", 3)
