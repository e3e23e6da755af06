"""runstore grep: finds a line among all that runs said, as grep does."""

import json

import pytest

from commands import messages, on_terminal
from commands import runstore_here as runstore
from places import shared_at
from runstore.recording.output.keeper import OutputKeeper


@pytest.fixture(scope="module")
def folder(tmp_path_factory, engine):
    folder = tmp_path_factory.mktemp("grep")
    with shared_at(folder / ".runstore", engine) as store:
        for number in range(1, 6):
            name = "fit" if number % 2 else "eval"
            run = store.start(
                name, params={"lr": number / 10}, notes=f"try {number}", capture=False
            )
            keeper = OutputKeeper(store.backend.spool, run.uid)
            for line in range(30):
                text = "\x1b[31mloss\x1b[0m nan\tof all" if line in {20, 21} else f"epoch {line}"
                keeper.feed("stdout", f"{text}\n".encode())
            keeper.close()
            run.execution.has_output = True
            error = "CUDA \x1b[2Jout" if number == 4 else None
            run.finish("error" if error else "complete", error=error)
    return folder


def lines(ended, code=0):
    """Return the lines printed; references without their times."""
    assert ended.returncode == code, ended.stderr
    cells = [line.split("\t") for line in ended.stdout.splitlines()]
    return [(one[0].rsplit("_", 1)[0], *one[1:]) for one in cells]


def test_each_line_has_its_run_field_and_number(folder):
    assert lines(runstore("grep", "try", cwd=folder))[:2] == [
        ("fit_3", "notes", "1", "try 5"),
        ("eval_2", "notes", "1", "try 4"),
    ]
    assert lines(runstore("grep", "loss nan", "fit", cwd=folder)) == [
        (f"fit_{run}", "output", number, "loss nan of all")
        for run in (3, 2, 1)
        for number in ("21", "22")
    ]


def test_nothing_found_is_exit_code_1(folder):
    ended = runstore("grep", "nowhere", cwd=folder)

    assert lines(ended, code=1) == []
    assert messages(ended) == ["runstore: Nothing was found."]
    assert json.loads(runstore("grep", "nowhere", "--json", cwd=folder).stdout)["found"] == []


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["-l", "epoch"], ["fit_3", "eval_2", "fit_2", "eval_1", "fit_1"]),
        (["-l", "epoch", "-n", "2"], ["fit_3", "eval_2"]),
        (["-l", "epoch", "params.lr < 0.25"], ["eval_1", "fit_1"]),
        (["-l", "epoch", "fit", "params.lr < 0.35"], ["fit_2", "fit_1"]),
        (["-l", "epoch", "fit#2"], ["fit_2"]),
        (["-l", "TRY", "-i"], ["fit_3", "eval_2", "fit_2", "eval_1", "fit_1"]),
        (["-l", "-E", "try [45]"], ["fit_3", "eval_2"]),
        (["-l", "CUDA", "--in", "error"], ["eval_2"]),
        (["-l", "--", "-1", "params.lr > 9"], []),
        (["-l", "epoch", "order by params.lr", "-n", "1"], ["fit_1"]),
    ],
)
def test_options_choose_runs(folder, words, found):
    ended = runstore("grep", *words, cwd=folder)

    assert [one[0] for one in lines(ended, code=0 if found else 1)] == found


def test_where_to_look(folder):
    assert lines(runstore("grep", "o", "fit#1", "--in", "notes,error", cwd=folder), code=1) == []
    ended = runstore("grep", "t", "--in", "note", cwd=folder)
    assert ended.returncode == 2
    assert "There are notes, error, output." in ended.stderr


def test_lines_around_are_shown_once_and_told_apart(folder):
    found = lines(runstore("grep", "loss", "fit#1", "-C", "2", cwd=folder))

    assert [one[2] for one in found] == ["19-", "20-", "21:", "22:", "23-", "24-"]
    assert found[0][3] == "epoch 18"


def test_more_lines_and_runs_are_said(folder):
    ended = runstore("grep", "epoch", "-m", "2", "-n", "2", cwd=folder)

    assert [one[3] for one in lines(ended)] == ["epoch 0", "epoch 1"] * 2
    assert messages(ended)[0] == "runstore: Some runs have more lines: add -m 0"
    cursor = messages(ended)[1].partition("--after ")[2]
    rest = runstore("grep", "epoch", "-m", "0", "--after", cursor, cwd=folder)
    assert {one[0] for one in lines(rest)} == {"fit_2", "eval_1", "fit_1"}
    assert len(lines(rest)) == 3 * 28


def test_json_of_runs_only_has_no_lines(folder):
    printed = json.loads(runstore("grep", "-l", "loss", "fit#1", "--json", cwd=folder).stdout)

    (run,) = printed["found"]
    assert run["reference"].startswith("fit_1_")
    assert run.keys().isdisjoint({"lines", "has_more"})


def test_json_has_all_there_is(folder):
    printed = json.loads(runstore("grep", "loss", "fit#1", "--json", "-m", "1", cwd=folder).stdout)

    (run,) = printed["found"]
    (line,) = run["lines"]
    assert (run["experiment_name"], run["status"], run["has_more"]) == ("fit", "complete", True)
    assert (line["field"], line["number"], line["text"]) == ("output", 21, "loss nan\tof all")
    assert (line["spans"], line["stream"]) == ([[0, 4]], "stdout")
    assert line["at"].endswith("Z")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["x", "nope"], "There is no experiment 'nope'"),
        (["x", "fit", "statu = 1"], "Did you mean 'status'?"),
        (["x", "fit#1", "status = error"], "'fit#1' is not an experiment"),
        (["("], None),
        (["-E", "("], "not a valid regular expression"),
        (["a\nb"], "several lines"),
        ([""], "search for is empty"),
    ],
)
def test_mistakes_are_said(folder, words, said):
    ended = runstore("grep", *words, cwd=folder)

    assert ended.returncode
    assert said is None or said in ended.stderr
    messages(ended)


def test_a_filter_asks_for_output(folder):
    ended = runstore("ls", "output contains 'loss nan'", "--columns", "run_number", cwd=folder)

    assert ended.stdout.split() == ["run_number", "3", "2", "2", "1", "1"]


def test_on_a_terminal_runs_have_their_lines_below_and_matches_are_marked(folder):
    seen = on_terminal(
        "grep", "nan", "fit#1", "-C", "1", "-m", "1", cwd=folder, columns=60, NO_COLOR="1"
    )

    assert [line.rstrip() for line in seen.splitlines()[1:5]] == [
        "  output 20- epoch 19",
        "  output 21: loss nan    of all",
        "  output 22- loss nan    of all",
        "  …",
    ]
    assert "\x1b[" in on_terminal("grep", "nan", "fit#1", "-m", "1", cwd=folder, columns=60)


def test_what_was_printed_cannot_harm_a_terminal(folder):
    seen = on_terminal("grep", "CUDA", cwd=folder, columns=60, NO_COLOR="1")

    assert "\x1b[2J" not in seen
    assert "CUDA \\x1b[2Jout" in seen
