"""Commands by their names, other words for them, and hints for a wrong one."""

import re

import click
import pytest

from commands import messages
from commands import runstore_here as runstore
from runstore import Store
from runstore.cli.grammar.command_names import _HINTS, ALIASES, GROUPS
from runstore.cli.main import group

pytestmark = pytest.mark.folder_only("names folders, or has no store")


@pytest.fixture
def folder(tmp_path):
    with Store.open(tmp_path / "ml" / ".runstore") as store:
        for place in range(2):
            with store.start("mnist", capture=False) as run:
                run.log(acc=place)
                run.save("out/model.bin", b"weights")
    return tmp_path


def test_every_command_is_in_one_group():
    names = group.list_commands(click.Context(group))
    grouped = [name for members in GROUPS.values() for name in members]

    assert sorted(names) == sorted(grouped)


def test_the_help_lists_commands_by_group(tmp_path):
    shown = runstore("--help", cwd=tmp_path).stdout

    places = [shown.index(f"\n{title}:\n") for title in GROUPS]
    assert places == sorted(places)
    assert re.search(r"^  download +Write the saved files", shown, re.MULTILINE)


@pytest.mark.parametrize("words", [[], ["ls"], ["best"]])
def test_help_is_a_command_too(tmp_path, words):
    asked, option = (
        runstore(*words_of, cwd=tmp_path) for words_of in (["help", *words], [*words, "--help"])
    )

    assert (asked.returncode, asked.stdout) == (0, option.stdout)


@pytest.mark.parametrize("name", sorted(group.list_commands(click.Context(group))))
def test_examples_in_help_have_lines_of_their_own(name):
    command = group.get_command(click.Context(group), name)

    assert command is not None
    assert "\\b" not in (command.help or "")


@pytest.mark.parametrize(
    ("other", "name"), [("log", "output"), ("get", "download"), ("query", "views")]
)
def test_a_natural_word_is_the_same_command_and_is_not_listed(tmp_path, other, name):
    assert (
        runstore(other, "--help", cwd=tmp_path).stdout
        == runstore(name, "--help", cwd=tmp_path).stdout
    )
    assert f"\n  {other} " not in runstore("--help", cwd=tmp_path).stdout


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("delete", "runstore rm"),
        ("remove", "runstore rm"),
        ("history", "--history"),
        ("tail", "runstore output -f"),
        ("logs", "runstore output"),
        ("ps", "runstore ls"),
        ("list", "runstore ls"),
        ("runs", "runstore ls"),
        ("status", "runstore ls"),
        ("info", "runstore show"),
        ("stop", "Ctrl-C"),
        ("kill", "Ctrl-C"),
        ("import", "runstore record"),
        ("repeat", "runstore rerun"),
        ("sync", "copy"),
        ("login", "no account"),
        ("shwo", "Did you mean 'show'?"),
        ("LS", "Did you mean 'ls'?"),
        ("Delete", "runstore rm"),
        ("search", "runstore grep"),
        ("follow", "runstore output -f"),
        ("traceback", "runstore show"),
        ("cat", "or write files: runstore download RUN"),
        ("params", "Show the parameters and metrics of a run with: runstore show RUN"),
        ("stats", "Rank settings with: runstore best"),
        ("chart", "Draw metrics with: runstore plot RUN"),
        ("repro", "Repeat a run with: runstore rerun RUN"),
        ("resume", 'start_run(resume="mnist#7")'),
        ("sweep", "in a loop: runstore exec --if-done skip"),
        ("tensorboard", "runstore ui"),
        ("purge", "runstore gc --trash"),
        ("xyzzy", "Show all commands with: runstore --help"),
    ],
)
def test_a_wrong_command_leads_to_the_right_one(tmp_path, word, hint):
    ended = runstore(word, cwd=tmp_path)

    assert ended.returncode == 2
    assert messages(ended)[0] == f"runstore: There is no command {word!r}."
    assert hint in messages(ended)[1]


@pytest.mark.parametrize("name", [name for members in GROUPS.values() for name in members])
def test_hints_name_no_command_that_there_is(name):
    assert name not in _HINTS
    assert name not in ALIASES


def test_commands_that_hints_name_exist():
    known = group.list_commands(click.Context(group))
    named = {one for hint in _HINTS.values() for one in re.findall(r"runstore ([a-z]+)\b", hint)}

    assert named - {"needs", "does"} <= set(known)


@pytest.mark.parametrize("place", ["ml", "ml/.runstore", "ml/.runstore/runstore.db"])
def test_a_store_is_named_before_or_after_a_command_by_any_of_its_places(folder, place):
    before = runstore("--store", place, "ls", "--json", cwd=folder)
    after = runstore("ls", "--json", "--store", place, cwd=folder)
    first = runstore("ls", f"--store={place}", "mnist", "--json", cwd=folder)

    assert before.returncode == 0
    assert before.stdout == after.stdout == first.stdout
    assert "mnist_2" in before.stdout


def test_the_settings_of_a_project_lead_to_its_store(folder):
    (folder / "ml" / ".runstore").rename(folder / "ml" / "results")
    (folder / "ml" / "pyproject.toml").write_text('[tool.runstore]\nstore = "results"\n')

    assert "mnist_2" in runstore("ls", "--store", "ml", cwd=folder).stdout


def test_a_folder_with_a_store_of_its_own_is_that_store(folder):
    Store.open(folder / "ml").start("outer", capture=False).finish()

    assert "outer_1" in runstore("ls", "--store", "ml", cwd=folder).stdout


@pytest.mark.parametrize(
    "words",
    [
        ("views", "ls", "--store", "ml"),
        ("tag", "mnist#1", "--store", "ml", "+keep"),
        ("exec", "--store", "ml", "--", "true"),
        ("metric", "--store", "ml", "--run", "mnist#1", "loss=1"),
    ],
)
def test_each_kind_of_command_takes_the_store_behind_it(folder, words):
    assert runstore(*words, cwd=folder).returncode == 0
    assert not (folder / ".runstore").exists()


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (
            ["ls", "--lmit", "3"],
            ["`runstore ls` has no option '--lmit'.", "Did you mean --limit?"],
        ),
        (
            ["similar", "mnist", "-n", "0"],
            ["--limit: expected a whole number from 1 to 100, got '0'.", "--help"],
        ),
        (["similar", "x", "-n", "all"], ["--limit: expected a whole number from", "--help"]),
        (["record", "x"], ["`runstore record` needs the option --started.", "Usage: "]),
        (
            ["record", "x", "--started", "2025", "--status", "ok"],
            ["--status: expected one of complete, error,", "--help"],
        ),
        (["diff", "a"], ["`runstore diff` needs the argument B.", "Usage: runstore diff"]),
        (["diff", "a", "b", "c"], ["got unexpected arguments: c.", "Usage: runstore diff"]),
        (["note"], ["`runstore note` needs the argument RUN.", "Usage: runstore note"]),
        (
            ["run", "-p", "q"],
            ["needs the argument EXPERIMENT.", "Usage: runstore run", "runstore run --list"],
        ),
        (["mv", "net#1"], ["The target is missing.", "runstore mv 'net#1' pilots"]),
        (["ls", "-n"], ["The option -n needs a value."]),
        (
            ["--foo"],
            ["`runstore` has no option '--foo'.", "Show its options with: runstore --help"],
        ),
        (
            ["rerun", "fit", "--lr", "3"],
            ["`runstore rerun` has no option '--lr'.", "Set a parameter with: --set lr=VALUE"],
        ),
        (
            ["record", "x", "--started", "2025", "-p", "lr=1"],
            ["has no option '-p'.", "Set a parameter with: --set lr=0.1"],
        ),
        (["record", "x", "-m", "a=1"], ["has no option '-m'.", "with: --metric acc=0.9"]),
        (["rerun", "fit", "-x"], ["has no option '-x'.", "with: runstore rerun --help"]),
        (
            ["direction", "fit", "min"],
            ["`runstore direction` has no command 'fit'.", "Available: ls, rm, set."],
        ),
        (
            ["metric", "fit#1", "loss", "3"],
            ["Expected KEY=VALUE, got 'fit#1'.", "last: runstore metric loss=3 --run 'fit#1'"],
        ),
        (
            ["metric", "fit#1", "loss"],
            ["Expected KEY=VALUE, got 'fit#1'.", "write: runstore plot 'fit#1' -m loss"],
        ),
        (["metric", "top_5", "0.9"], ["got 'top_5'.", "Write: runstore metric top_5=0.9"]),
        (["metric", "loss"], ["Expected KEY=VALUE, got 'loss'.", "Write for example: loss=0.31"]),
        (
            ["metric", "my loss=abc", "step=1"],
            [
                "runstore: 'my loss=abc step=1' is not a valid metric: could not",
                "loss=0.3 step=10",
            ],
        ),
        (["ls", "--format", "all"], ["'all'", "Show its options with: runstore ls --help"]),
        (["ls", "-n", "all"], ["at least 0, got 'all'.", "For all of them, write: --all"]),
        (
            ["export", "-o", "a.csv"],
            ["has no option '-o'.", "with: runstore ls --all --format csv"],
        ),
        (["rm", "-rf", "mnist#1"], ["has no option '-r'.", "skip the confirmation, add: -y"]),
        (["ls", "--trash"], ["has no option '--trash'.", "runstore trash"]),
        (["output", "--tail", "5"], ["has no option '--tail'.", "last lines with: -n 20"]),
        (["ls", "--desc"], ["has no option '--desc'.", "write: --sort 'metrics.loss desc'"]),
        (["best", "-n", "3"], ["has no option '-n'.", "All settings are ranked; for some runs"]),
        (["log", "mnist#1", "loss=3"], ["unexpected", "metric loss=3 --run 'mnist#1'"]),
        (["save", "model.pt"], ["This process was not started by a run.", "with --run"]),
        (["restore"], ["No run is named.", "List the trash with `runstore trash`"]),
        (["tag", "mnist#1", "--good"], ["no option '--good'.", "Nothing was", "write +good; to"]),
        (["show", "acc", "mnist#1"], ["got unexpected arguments", "runstore show 'mnist#1'"]),
        (["log", "5", "latest"], ["got unexpected arguments", "argument: runstore output latest"]),
        (["show", "mnist#2", "mnist#1"], ["got unexpected", "compare 'mnist#2' 'mnist#1'"]),
        (["best", "--by", "acc"], ["has no option '--by'.", "Name the metric with: -m test/acc"]),
        (["ls", "--order-by", "loss"], ["no option '--order-by'.", "with: --sort metrics.loss"]),
        (["trash", "--empty"], ["has no option '--empty'.", "with: runstore gc --trash"]),
        (["trash", "--hlp"], ["has no option '--hlp'.", "Did you mean --help?"]),
        (["trash", "--kelp"], ["has no option '--kelp'.", "with: runstore trash --help"]),
        (["ui", "--logdir", "x"], ["has no option '--logdir'.", "of a store with: --store"]),
        (["note", "mnist#1", "-m", "x"], ["has no option '-m'.", "runstore note RUN TEXT"]),
    ],
)
def test_mistakes_are_said_in_one_style(folder, words, lines):
    ended = runstore(*words, cwd=folder / "ml")

    said = messages(ended)
    assert ended.returncode == 2
    assert said[0].startswith("runstore: ")
    assert len(said) == len(lines)
    assert all(expected in line for expected, line in zip(lines, said, strict=True))


@pytest.mark.parametrize(
    "words",
    [[], ["show", "mnist#1"], ["views"], ["metric"], ["run"], ["exec", "--"]],
)
def test_of_a_long_argument_errors_show_the_beginning(folder, words):
    """It may be the name of a module, which no file can have."""
    ended = runstore(*words, "x" * 5_000, cwd=folder / "ml")

    assert ended.returncode in {2, 127}
    assert "xxxx…" in ended.stderr
    assert len(ended.stderr) < 1_000


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["ls", "/no/folder"], ["There is no experiment '/no/folder'", "--store /no/folder"]),
        (["show", "../ml"], ["There is no run '../ml'", "--store ../ml"]),
        (["best", "val/loss"], ["There is no run 'val/loss'", "with an option: -m val/loss"]),
        (["undo", "mnist#1"], ["There is no edit of mnist_1_", "Nothing was changed."]),
        (["best", "loss"], ["There is no run 'loss'", "'val/loss' is a metric; name it"]),
        (["ls", "loss < 1"], ["no field 'loss'", "", "", "Did you mean metrics.val/loss?"]),
        (
            ["ls", "--sort", "loss.min"],
            ["'loss.min'", "", "", "Did you mean metrics.val/loss.min?"],
        ),
        *(
            ([name, word, "mnist#1"], [f"no run {word!r}", "", f": runstore {name} {right}"])
            for name, word, right in [
                ("note", "warm up", "'mnist#1' 'warm up'"),
                ("download", "out/model.bin", "'mnist#1' out/model.bin"),
                ("tag", "keep", "'mnist#1' +keep"),
            ]
        ),
        (["note", "too slow"], ["no run 'too slow'", "", ": runstore note latest 'too slow'"]),
        (["download", "x.bin"], ["no run 'x.bin'", "", "such as: runstore download latest x.bin"]),
        (["show", "mnist1"], ["no run 'mnist1'", "Did you mean 'mnist#1'?"]),
        (["show", "mnist-1"], ["no run 'mnist-1'", "Did you mean 'mnist#1'?"]),
        (["show", "mnist99"], ["no run 'mnist99'", "Did you mean the newest run of 'mnist'"]),
        (["show", f"mnist{2**63}"], [f"no run 'mnist{2**63}'", "List the runs"]),
        (["note", "mnits"], ["no run 'mnits'", "Did you mean the newest run of 'mnist'"]),
    ],
)
def test_a_wrong_name_gets_a_hint_about_its_kind(folder, words, lines):
    with Store.open(folder / "ml") as store, store.start("mnist", capture=False) as run:
        run.log({"val/loss": 0.5})

    ended = runstore(*words, cwd=folder / "ml")

    said = messages(ended)
    assert ended.returncode in {2, 3}
    assert all(expected in line for expected, line in zip(lines, said, strict=True))


def test_a_group_of_commands_without_one_shows_its_help(tmp_path):
    ended = runstore("views", cwd=tmp_path)

    assert ended.returncode == 2
    assert "Usage: runstore views" in ended.stderr
    assert "runstore: " not in ended.stderr
