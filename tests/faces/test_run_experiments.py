"""runstore run: experiment modules over parameter files, as one run."""

import json
import shlex
import signal
import subprocess
import sys

import pytest

from commands import git, messages, runstore
from places import has_no_run, newest, place, store_at
from runstore import Status

EXPERIMENT = '''
"""Print what it is given."""
def run(params, manager):
    print("ran", params["name"], params["lr"], manager.get_reference_name())
    if params["name"] == "bad":
        raise ValueError("on purpose")
'''
SETS = """
def get_params():
    return [{"name": "a", "lr": 0.1}, {"name": "b", "lr": 0.2}, {"name": "c", "lr": 0.3}]
"""


@pytest.fixture
def project(tmp_path):
    (tmp_path / "experiments" / "vision").mkdir(parents=True)
    (tmp_path / "params").mkdir()
    (tmp_path / ".runstore").mkdir()
    (tmp_path / "experiments" / "train.py").write_text(EXPERIMENT)
    (tmp_path / "params" / "small.py").write_text(SETS)
    return tmp_path


def test_every_set_is_run_and_recorded(project):
    ended = runstore("run", "train", "-p", "small", "--notes", "first", cwd=project)

    assert ended.returncode == 0, ended.stderr
    run = newest(project)
    assert [line.split()[1] for line in ended.stdout.splitlines()] == ["a", "b", "c"]
    assert ended.stdout.splitlines()[0].split()[3] == run.reference
    assert (run.experiment_name, run.run_number, run.status) == ("train", 1, Status.COMPLETE)
    assert [(one.file, one.name) for one in run.parameter_sets] == [
        ("small", "a"),
        ("small", "b"),
        ("small", "c"),
    ]
    assert run.parameter_sets[1].values["lr"] == 0.2
    assert run.notes == "first"
    assert run.cli == "runstore run train -p small --notes first"


def test_several_sets_run_although_stderr_is_closed(project):
    command = f"exec {sys.executable} -m runstore run train -p small 2>&-"

    done = subprocess.run(["sh", "-c", command], cwd=project, capture_output=True, check=False)

    assert done.returncode == 0
    assert newest(project).status is Status.COMPLETE


def test_tags_belong_to_one_run(project):
    runstore("run", "train", "-p", "small", "--tag", "phase=pilot", cwd=project)
    assert dict(newest(project).tags) == {"phase": "pilot"}

    again = runstore("rerun", "latest", cwd=project)
    assert again.returncode == 0, again.stderr
    assert (newest(project).run_number, dict(newest(project).tags)) == (2, {})


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--names", "a", "c"], ["a", "c"]),
        (["--names", "a,c"], ["a", "c"]),
        (["--names", "a, c", "--names", "b"], ["a", "b", "c"]),
        (["--indices", "0", "1-2"], ["a", "b", "c"]),
        (["--indices", "0,2"], ["a", "c"]),
        (["--indices", "0,1-2"], ["a", "b", "c"]),
        (["--indices", "2", "--names", "a"], ["a", "c"]),
        (["--names", "b", "--set", "lr=5"], ["b"]),
    ],
)
def test_sets_are_chosen_by_name_and_by_place(project, options, names):
    ended = runstore("run", "train", "-p", "small", *options, "--dry-run", cwd=project)

    assert ended.returncode == 0, ended.stderr
    assert [line.split("\t")[0] for line in ended.stdout.splitlines()[1:]] == names


@pytest.mark.parametrize(
    "words",
    [
        ["--names", "a", "train", "-p", "small"],
        ["-p", "small", "--names", "a", "train"],
        ["--notes", "x", "--indices", "0", "train", "-p", "small"],
        ["--names=a", "train", "--params=small"],
    ],
)
def test_an_option_before_the_experiment_does_not_take_it(project, words):
    ended = runstore("run", *words, "--dry-run", cwd=project)

    assert ended.returncode == 0, ended.stderr
    assert [line.split("\t")[0] for line in ended.stdout.splitlines()[1:]] == ["a"]


def test_a_set_whose_name_has_a_comma_is_one_set(project):
    (project / "params" / "odd.py").write_text(
        "def get_params(): return [{'name': 'a,b', 'lr': 1.0}, {'name': 'a', 'lr': 2.0}]\n"
    )

    runstore("run", "train", "-p", "odd", "--names", "a,b", cwd=project)

    assert [one.name for one in newest(project).parameter_sets] == ["a,b"]


def test_a_dry_run_executes_nothing(project):
    ended = runstore("run", "train", "-p", "small", "--names", "c", "--dry-run", cwd=project)

    lines = [line.split("\t") for line in ended.stdout.splitlines()]
    assert ended.returncode == 0
    assert [line[:2] for line in lines] == [["set", "file"], ["c", "small"]]
    assert "lr=0.3" in lines[1][2]
    assert "Nothing was executed." in ended.stderr
    assert has_no_run(project)


def test_a_value_is_set_with_its_type(project):
    runstore("run", "train", "-p", "small", "--set", "lr=1e-3", "--set", "new=[1, 2]", cwd=project)

    values = newest(project).parameter_sets[0].values
    assert values == {"name": "a", "lr": 0.001, "new": [1, 2]}


def test_a_new_name_that_resembles_a_parameter_is_questioned(project):
    ended = runstore(
        *("run", "train", "-p", "small", "--set", "lrr=5", "--set", "depth=2"), cwd=project
    )

    assert ended.returncode == 0
    assert newest(project).parameter_sets[0].values["lrr"] == 5
    asked = [line for line in messages(ended) if "Did you mean" in line]
    assert asked == ["runstore: --set lrr adds the new parameter 'lrr'. Did you mean 'lr'?"]


@pytest.mark.parametrize("option", ["--set lrr=5", "--if-done skip"])
def test_messages_that_cannot_be_written_keep_no_experiment_from_running(project, option):
    line = f"{sys.executable} -m runstore run train -p small {option} 2> /dev/full"

    ended = subprocess.run(["bash", "-c", line], cwd=project, check=False)

    assert ended.returncode == 0
    assert newest(project).status is Status.COMPLETE


def test_a_new_name_that_resembles_a_parameter_of_the_last_run_is_questioned(project):
    """The function may have a default for it."""
    (project / "params" / "none.py").write_text("def get_params():\n    return {'seed': 1}\n")
    (project / "experiments" / "got.py").write_text("def run(params, manager):\n    pass\n")
    words = ("run", "got", "-p", "none", "--set")
    first, other, again, more = (
        runstore(*words, setting, cwd=project) for setting in ("lr=3", "lrr=3", "lrr=4", "size=1")
    )

    asked = [" ".join(one for one in messages(ended) if "mean" in one) for ended in (first, again)]
    assert asked == ["", ""]
    assert "--set lrr: got#1 has 'lr' and no 'lrr'. Did you mean 'lr'?" in other.stderr
    assert "Did you" not in more.stderr


def test_an_error_in_user_code_is_recorded_and_shown(project):
    (project / "params" / "mixed.py").write_text(
        "def get_params():\n    return [{'name': 'bad', 'lr': 1}, {'name': 'after', 'lr': 1}]\n"
    )

    ended = runstore("run", "train", "-p", "mixed", cwd=project)

    run = newest(project)
    assert ended.returncode == 1
    assert "ran after" not in ended.stdout
    assert 'experiments/train.py", line 6' in ended.stderr
    messages(ended)
    assert run.status is Status.ERROR
    assert run.error.startswith("ValueError: on purpose")
    assert "experiments/train.py" in run.traceback


def test_keep_going_runs_the_rest(project):
    (project / "params" / "mixed.py").write_text(
        "def get_params():\n    return [{'name': 'bad', 'lr': 1}, {'name': 'after', 'lr': 1}]\n"
    )

    ended = runstore("run", "train", "-p", "mixed", "--keep-going", cwd=project)

    assert ended.returncode == 1
    assert "ran after" in ended.stdout
    assert "1 of 2 parameter sets failed: bad" in newest(project).error


def test_a_pruned_parameter_set_does_not_stop_the_others(project):
    (project / "experiments" / "train.py").write_text(
        "class TrialPruned(Exception): pass\n"
        "TrialPruned.__module__ = 'optuna.exceptions'\n"
        "def run(params, manager):\n"
        "    print('ran', params['name'])\n"
        "    if params['name'] == 'b': raise TrialPruned('not promising')\n"
    )

    ended = runstore("run", "train", "-p", "small", cwd=project)

    run = newest(project)
    assert (ended.returncode, ended.stdout) == (0, "ran a\nran b\nran c\n")
    assert messages(ended)[-1].endswith(f"{run.reference}: pruned, 2 of 3 parameter sets")
    assert (run.status, run.exit_code, run.error) == (Status.PRUNED, 0, None)


def test_modules_in_sub_folders_have_dots(project):
    (project / "experiments" / "vision" / "deep.py").write_text(
        "import helper\n"
        "from params.small import get_params\n"
        "def run(params, manager): print(helper.WORD)\n"
    )
    (project / "helper.py").write_text("WORD = 'imported'\n")

    ended = runstore("run", "vision.deep", "--names", "a", cwd=project)

    assert ended.stdout == "imported\n", ended.stderr
    assert newest(project).reference.startswith("vision.deep_1_")


def test_all_sets_can_be_had_in_one_call(project):
    (project / "experiments" / "train.py").write_text(
        "def run(param_sets, manager):\n    print([one['lr'] for one in param_sets])\n"
    )

    ended = runstore("run", "train", "-p", "small", cwd=project)

    assert ended.stdout == "[0.1, 0.2, 0.3]\n", ended.stderr


def test_folders_are_configurable_and_found_from_below(project):
    (project / "pyproject.toml").write_text(
        "[tool.runstore]\nexperiments = 'src/exp'\nparams = 'conf'\n"
        f"store = '{place(project / 'kept')}'\n"
    )
    (project / "src").mkdir()
    (project / "experiments").rename(project / "src" / "exp")
    (project / "params").rename(project / "conf")

    ended = runstore("run", "train", "-p", "small", cwd=project / "conf")

    assert ended.returncode == 0, ended.stderr
    with store_at(project / "kept") as store:
        assert store.get("latest").experiment_name == "train"


def test_a_run_without_a_record_says_so(project):
    ended = runstore("run", "train", "-p", "small", "--no-record", cwd=project)

    assert ended.returncode == 0
    assert "ran a" in ended.stdout
    assert "Nothing is recorded" in ended.stderr
    assert has_no_run(project)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian", "-p", "small"], "Did you mean 'train'?"),
        (["train", "-p", "smal"], "Did you mean 'small'?"),
        (["train"], "Name a parameter file: -p PARAMS"),
        (["train", "-p", "small", "--names", "x"], "Unknown parameter set 'x'"),
        (["train", "-p", "small", "--indices", "7"], "out of range"),
        (["train", "-p", "small", "--set", "lr"], "key=value"),
        (
            ["train", "-p", "small", "--set", "lr=quick"],
            "lr: expected a float (such as 0.1), got 'quick'",
        ),
        (["train", "-p", "small", "--set", "deep.lr=1"], "has no 'deep'"),
        (["train", "-p", "small", "-p", "small"], "passed twice"),
        (["train", "-p", "small", "--nmaes", "a"], "has no option"),
        (["train", "-p", "broken"], "params/broken.py cannot be imported: ModuleNotFoundError"),
        (["train", "-p", "typo"], "SyntaxError"),
        (["train", "-p", "empty"], "Define get_params() in it."),
        (["train", "-p", "twice"], "Two parameter sets have the name 'a'"),
        (["train", "-p", "small", "-p", "again"], "Two parameter sets have the name 'a'"),
        (["train", "-p", "unstorable"], "rows"),
        (["norun", "-p", "small"], "Define run(params, manager) in it."),
        (["../train", "-p", "small"], "There is no experiment"),
        (["script.py"], "Record a script with: runstore exec -- python script.py"),
        (["quite_another"], "Available: train."),
        (["train", "-p", "q"], "Available: again, small, twice, typo, unstorable."),
        (["--", "python", "script.py"], "Record a command with: runstore exec"),
        (["", "-p", "small"], "There is no experiment"),
    ],
)
def test_mistakes_get_one_clear_message(project, arguments, said):
    params = project / "params"
    (params / "broken.py").write_text("import not_installed\n")
    (params / "typo.py").write_text("def get_params(:\n")
    (params / "empty.py").write_text("")
    (params / "twice.py").write_text("def get_params(): return [{'name': 'a'}, {'name': 'a'}]\n")
    (params / "again.py").write_text("def get_params(): return [{'name': 'a'}]\n")
    (params / "unstorable.py").write_text(
        "def get_params(): return {'name': 'a', 'rows': iter([])}\n"
    )
    (project / "experiments" / "norun.py").write_text("")

    ended = runstore("run", *arguments, cwd=project)

    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert len(messages(ended)) <= 4
    assert ended.returncode not in {0, 70}
    assert has_no_run(project)


def test_a_get_params_that_fails_shows_the_users_traceback(project):
    (project / "params" / "fails.py").write_text("def get_params():\n    return 1 / 0\n")

    ended = runstore("run", "train", "-p", "fails", cwd=project)

    assert 'params/fails.py", line 2' in ended.stderr
    assert "get_params failed: ZeroDivisionError" in ended.stderr
    messages(ended)
    assert has_no_run(project)


def test_notes_come_from_the_editor(project):
    editor = project / "editor"
    editor.write_text('#!/bin/sh\nprintf "two\\n# lines\\n" | cat - "$1" > new && mv new "$1"\n')
    editor.chmod(0o755)

    runstore("run", "train", "-p", "small", "--notes", cwd=project, env={"EDITOR": str(editor)})

    assert newest(project).notes == "two\n# lines"


def test_a_cached_file_of_a_killed_run_is_removed_by_the_next_one(project):
    (project / "experiments" / "train.py").write_text(
        "import os, signal\n"
        "def run(params, manager):\n"
        "    def make(path):\n"
        "        path.write_text('half')\n"
        "        if os.environ.get('KILLED'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    manager.cached('model.txt', make)\n"
    )
    words = ["run", "train", "-p", "small", "--cache", "kept"]
    killed = runstore(*words, cwd=project, env={"KILLED": "1"})
    assert killed.returncode == -signal.SIGKILL
    assert [path for path in (project / "kept").rglob("*") if path.is_file()]

    ended = runstore(*words, cwd=project)

    assert ended.returncode == 0, ended.stderr
    files = [path for path in (project / "kept").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"model.txt"}


def test_a_cache_that_is_only_read_leaves_no_files(project, tmp_path):
    (project / "experiments" / "train.py").write_text(
        "import os, signal\n"
        "def run(params, manager):\n"
        "    def make(path):\n"
        "        path.write_text('whole')\n"
        "        if os.environ.get('KILLED'): os.kill(os.getpid(), signal.SIGKILL)\n"
        "    files = [manager.cached(name, make) for name in ('a.txt', 'b.txt')]\n"
        "    manager.save(files[0])\n"
        "    assert [file.read_text() for file in files] == ['whole', 'whole']\n"
    )
    (tmp_path / "temporary").mkdir()
    words = ["run", "train", "-p", "small", "--dry-cache"]
    place = {"TMPDIR": str(tmp_path / "temporary")}
    killed = runstore(*words, cwd=project, env={**place, "KILLED": "1"})
    assert killed.returncode == -signal.SIGKILL
    assert list((tmp_path / "temporary").iterdir())

    ended = runstore(*words, cwd=project, env=place)

    assert ended.returncode == 0, ended.stderr
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_full_store_is_a_folder_that_repeats_the_run(project):
    (project / "experiments" / "train.py").write_text(
        "def run(params, manager):\n"
        "    def make(path):\n"
        "        print('training', params['name'])\n"
        "        path.write_text(str(params['lr'] * 2))\n"
        "    print(params['name'], manager.cached('model.txt', make).read_text())\n"
    )

    ended = runstore("run", "train", "-p", "small", "--store-full", cwd=project)

    run = newest(project)
    with store_at(project / ".runstore") as store:
        folder = store.path / "runs" / run.reference
    assert ended.returncode == 0, ended.stderr
    assert json.loads((folder / "block.json").read_text())["status"] == "complete"
    params = json.loads((folder / "params.json").read_text())
    assert params["small"]["b"]["values"]["lr"] == 0.2
    assert "pytest==" in (folder / "packages.txt").read_text()
    assert "python.version" in (folder / "environment.json").read_text()
    assert (folder / "log.txt").read_text() == ended.stdout
    assert len(list((folder / "artifacts").rglob("model.txt"))) == 3
    assert run.full_store
    assert run.reproduce == (
        f"runstore run train -p small --cache {shown_from(project, folder)}/artifacts --dry-cache"
    )

    before = sorted(folder.rglob("*"))
    again = subprocess.run(
        f"export PATH=$PATH_WITH_US:$PATH; {run.reproduce}",
        shell=True,
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        env=with_us(project),
    )

    assert again.returncode == 0, again.stderr
    assert "training" not in again.stdout
    assert again.stdout.splitlines() == ["a 0.2", "b 0.4", "c 0.6"]
    assert sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("has_git", "file", "text", "told"),
    [
        # Of another size, since Python loads bytecode of the same second and size.
        (True, "params/small.py", SETS.replace("0.3", "0.75"), "lr: 0.3 → 0.75"),
        (True, "experiments/train.py", EXPERIMENT + "# other\n", "experiments/train.py"),
        (False, "experiments/train.py", EXPERIMENT + "# other\n", "experiments/train.py"),
        (True, "data.csv", "3\n", "data.csv"),
    ],
)
def test_the_line_that_repeats_a_run_lists_what_differs(project, has_git, file, text, told):
    (project / "data.csv").write_text("1\n")
    (project / "experiments" / "train.py").write_text(
        EXPERIMENT + "    manager.run.use('data.csv')\n"
    )
    if has_git:
        (project / ".gitignore").write_text("data.csv\n.runstore\n__pycache__\n")
        git(project, "init", "-q")
        git(project, "add", ".")
        git(project, "commit", "-qm", "one")
    runstore("run", "train", "-p", "small", "--store-full", cwd=project)
    first = newest(project)
    line = shlex.split(first.reproduce)[1:]
    (project / file).write_text(text)

    same = runstore(*line, cwd=project)

    assert same.returncode == 0, same.stderr
    listed = [one for one in same.stderr.splitlines() if one.startswith("  ")]
    assert f"{first.reference} is not repeated exactly" in same.stderr
    assert any(told in one for one in listed), same.stderr


def test_the_line_that_repeats_a_run_says_nothing_while_nothing_differs(project):
    (project / ".gitignore").write_text(".runstore\n__pycache__\n")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "one")
    runstore("run", "train", "-p", "small", "--names", "a", "--store-full", cwd=project)

    again = runstore(*shlex.split(newest(project).reproduce)[1:], cwd=project)

    assert again.returncode == 0
    assert "not repeated" not in again.stderr


def shown_from(project, folder):
    """Return a folder as a run of the project names it."""
    return folder.relative_to(project) if folder.is_relative_to(project) else folder


def with_us(project):
    """A path with a `runstore` that is this one, installed or not."""
    import os
    import sys

    command = project / "bin" / "runstore"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m runstore "$@"\n')
    command.chmod(0o755)
    return {**os.environ, "PATH_WITH_US": str(command.parent)}


def test_ctrl_c_is_recorded_as_interrupted(project):
    (project / "experiments" / "train.py").write_text(
        "import signal\n"
        "def run(params, manager):\n    signal.raise_signal(signal.SIGINT)\n    input()\n"
    )

    ended = runstore("run", "train", "-p", "small", cwd=project)

    assert ended.returncode == 130
    assert newest(project).status is Status.INTERRUPTED
    assert messages(ended)[-1].endswith(f"{newest(project).reference}: interrupted")


def test_runs_recorded_by_an_experiment_belong_to_it(project):
    (project / "experiments" / "train.py").write_text(
        "import subprocess, sys, runstore\n"
        "CODE = \"import runstore; runstore.start_run('inner_process').finish()\"\n"
        "def run(params, manager):\n"
        "    with runstore.start_run('inner'):\n        pass\n"
        "    subprocess.run([sys.executable, '-c', CODE], check=True)\n"
    )

    ended = runstore("run", "train", "-p", "small", "--names", "a", cwd=project)

    assert ended.returncode == 0, ended.stderr
    with store_at(project / ".runstore") as store:
        children = store.children("train#1")
    assert [one.experiment_name for one in children] == ["inner", "inner_process"]


def test_what_can_be_run_is_listed_without_running_it(project):
    (project / "experiments" / "danger.py").write_text("raise SystemExit('ran')\n")
    (project / "experiments" / "broken.py").write_text("def run(:\n")
    (project / "experiments" / "_private.py").write_text("def run(params, manager): ...\n")

    ended = runstore("run", "--list", "--json", cwd=project)

    entries = json.loads(ended.stdout)
    assert [(one["kind"], one["name"]) for one in entries] == [
        ("broken", "broken"),
        ("experiment", "train"),
        ("params", "small"),
    ]
    assert entries[1]["summary"] == "Print what it is given."
    assert "train" in runstore("run", "--list", cwd=project).stdout


def test_a_new_project_runs_at_once(tmp_path):
    made = runstore("init", "first", cwd=tmp_path)
    ran = runstore("run", "pi", "-p", "darts", cwd=tmp_path / "first")
    again = runstore("init", "first", cwd=tmp_path)

    assert "runstore run pi -p darts" in made.stdout
    assert (ran.returncode, len(messages(ran))) == (0, 1), ran.stderr
    with store_at(tmp_path / "first" / ".runstore") as store:
        found = store.get("pi#1").metrics
        assert found["few/pi"].count == found["many/pi"].count == 100
        assert found["many/pi"].last == pytest.approx(3.14, abs=0.02)
    assert again.returncode != 0
    assert "Nothing was written" in again.stderr
