"""`runstore rerun`: repeating a recorded run as a new run."""

import json
import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

import commands
from commands import git, messages, runstore, runstore_here
from places import place, store_at
from runstore import Status
from runstore.model.facts import Facts

TRAIN = """\
import argparse, runstore, helper
parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.5)
parser.add_argument("--data")
options = parser.parse_args()
with runstore.start_run("toy", params={"lr": options.lr}, notes="mine") as run:
    if options.data:
        run.use(options.data)
    run.log(loss=helper.f(options.lr))
    open("model.bin", "wb").write(b"x")
"""


@pytest.fixture
def project(tmp_path):
    """A repository with a script; its data and results are not tracked."""
    folder = tmp_path / "project"
    (folder / "data").mkdir(parents=True)
    (folder / "train.py").write_text(TRAIN)
    (folder / "helper.py").write_text("def f(x):\n    return x\n")
    (folder / "data" / "x.csv").write_text("1\n")
    (folder / ".gitignore").write_text("data/\n*.bin\n__pycache__\n.runstore\n")
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "one")
    return folder


@pytest.fixture
def read():
    """Return the runs of a folder, oldest first."""

    def runs(folder):
        store = store_at(folder)
        opened.append(store)
        return sorted(store.list(), key=lambda run: run.uid)

    opened = []
    yield runs
    for store in opened:
        store.close()


def python(folder, *words):
    assert commands.python(*words, cwd=folder).returncode == 0


def listed(ended):
    return [line.strip() for line in ended.stderr.splitlines() if line.startswith("  ")]


@pytest.mark.parametrize("words", [["train.py"], ["-u", "train.py"], ["-m", "train"]])
def test_a_repeated_run_differs_in_nothing(project, words):
    """The repeated run is recorded by its program, its repetition by `rerun`."""
    python(project, *words, "--lr", "0.25")

    assert runstore("rerun", "toy#1", cwd=project).returncode == 0
    ended = [
        runstore_here(*one, "--json", cwd=project)
        for one in (("diff", "toy#1", "toy#2"), ("why", "toy#1", "toy#2"))
    ]

    diff, why = (json.loads(one.stdout) for one in ended)
    assert (diff["differences"], why["causes"]) == ([], [])


@pytest.mark.parametrize(
    ("words", "folder"), [(["-m", "pkg.fit"], "."), (["pkg"], "."), (["../pkg/fit.py"], "data")]
)
def test_a_module_a_folder_and_a_script_above_are_repeated(project, read, words, folder):
    """The run knows its program by its file, which the command does not name in this way."""
    (project / "pkg").mkdir()
    for name in ("fit.py", "__main__.py"):
        (project / "pkg" / name).write_text("import runstore\nrunstore.start_run('m').finish()\n")
    git(project, "add", ".")
    git(project, "commit", "-qm", "two")
    python(project / folder, *words)

    again = runstore("rerun", "m#1", cwd=project)
    recorded = runstore("rerun", "m#1", "--recorded-code", cwd=project)
    git(project, "clone", "-q", ".", "copy")
    (project / "copy" / "data").mkdir(exist_ok=True)
    elsewhere = runstore("--store", place(project), "rerun", "m#1", cwd=project / "copy" / folder)
    for name in ("fit.py", "__main__.py"):
        (project / "pkg" / name).write_text("print(1)\n")
    changed = runstore("rerun", "m#1", cwd=project)

    assert [one.returncode for one in (again, recorded, elsewhere, changed)] == [0, 0, 0, 4]
    assert [run.status for run in read(project)] == [Status.COMPLETE] * 4
    assert "fit.py changed" in changed.stderr
    assert "program" not in changed.stderr


def test_a_script_is_repeated_as_a_new_run_that_names_the_old(project, read):
    python(project, "train.py", "--lr", "0.25", "--data", "data/x.csv")

    ended = runstore("rerun", "toy#1", cwd=project / "data")

    first, again = read(project)
    assert ended.returncode == 0, ended.stderr
    assert listed(ended) == []
    assert again.status is Status.COMPLETE
    assert (again.experiment_name, again.run_number) == ("toy", 2)
    assert (again.params, again.metrics["loss"].last) == (first.params, 0.25)
    assert again.facts.values["rerun.of"] == first.uid
    assert again.facts.values["command.cwd"] == str(project)
    assert "repeats    toy_1_" in runstore_here("show", "toy#2", cwd=project).stdout
    assert "repeated by\n  toy_2_" in runstore_here("show", "toy#1", cwd=project).stdout


def test_a_parameter_of_the_command_is_changed(project, read):
    python(project, "train.py", "--lr", "0.25")

    ended = runstore("rerun", "toy#1", "--set", "lr=2", "--notes", "twice", cwd=project)

    assert ended.returncode == 0, ended.stderr
    assert read(project)[-1].params == {"lr": 2.0}


def test_other_code_is_refused_and_the_recorded_code_is_run_on_request(project, read):
    (project / "helper.py").write_text("def f(x):\n    return 10 * x\n")
    (project / "new.py").write_text("")
    (project / "todo.txt").write_text("of then")
    (project / "metrics.json").write_text("1")
    (project / "settings.json").write_text("1")
    python(project, "train.py", "--lr", "0.25", "--data", "data/x.csv")
    (project / "metrics.json").write_text("2")
    (project / "settings.json").write_text("2")
    git(project, "checkout", "-q", "helper.py")
    (project / "data" / "result.txt").write_text("new")
    (project / "notes.txt").write_text("of mine")
    (project / "todo.txt").unlink()
    (project / "later.py").write_text("")
    (project / "model.bin").unlink()

    refused = runstore("rerun", "toy#1", cwd=project)
    dry = runstore("rerun", "toy#1", "--dry-run", cwd=project)
    as_json = json.loads(runstore("rerun", "toy#1", "--dry-run", "--json", cwd=project).stdout)

    decisive = ["helper.py changed", "settings.json changed"]
    told = [*decisive, "later.py is new", "metrics.json changed", "todo.txt is missing"]
    assert refused.returncode == dry.returncode + 4 == 4
    assert listed(refused) == listed(dry) == told
    assert messages(refused)[-2] == "Nothing was started."
    assert messages(refused)[-1].endswith("To run the recorded code, add --recorded-code.")
    assert dry.stdout.strip().endswith("train.py --lr 0.25 --data data/x.csv")
    assert (as_json["differences"], as_json["folder"]) == (decisive, str(project))
    assert len(read(project)) == 1

    restored = runstore("rerun", "toy#1", "--recorded-code", cwd=project)
    present = runstore("rerun", "toy#1", "--anyway", cwd=project)

    assert (restored.returncode, present.returncode) == (0, 0), restored.stderr
    _, recorded, now = read(project)
    assert recorded.metrics["loss"].last == 2.5
    assert now.metrics["loss"].last == 0.25
    kept = messages(restored)[-1].rpartition(" ")[2]
    assert "the run wrote files" in messages(restored)[-1]
    assert (Path(kept) / "model.bin").is_file()
    shutil.rmtree(Path(kept).parent)
    with store_at(project) as store:
        assert store.document(recorded.uid, "patch") == store.document("toy#1", "patch")


def test_an_interpreter_from_another_place_is_shown(project):
    """A store of somebody else can name any program as its Python."""
    other = project.parent / "elsewhere" / "bin" / "python"
    other.parent.mkdir(parents=True)
    other.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    other.chmod(0o755)
    with store_at(project / ".runstore") as store:
        for program, more in ((str(other), {}), ("python", {"python.executable": str(other)})):
            run = store.start("odd", capture=False)
            run.finish()
            facts = {"command.argv": (program, "train.py"), "command.cwd": str(project), **more}
            store.backend.database.attach_facts(run.uid, Facts(values=facts))

    named = runstore("rerun", "odd#1", "--dry-run", cwd=project)
    found = runstore("rerun", "odd#2", "--dry-run", cwd=project)

    assert f"odd#1 in {project}: {other} train.py" in named.stderr
    assert f"python is {other}, as recorded." in found.stderr


def test_many_differences_are_counted(project):
    python(project, "train.py")
    for number in range(40):
        (project / f"new_{number:02}.py").write_text("")
    (project / "helper.py").write_text("def f(x):\n    return 3\n")

    ended = runstore("rerun", "toy#1", "--dry-run", cwd=project)

    told = listed(ended)
    assert told[:2] == ["helper.py changed", "new_00.py is new"]
    assert told[-1] == "… and 29 more: --dry-run --json lists all"
    assert len(told) == 13


def test_renamed_and_binary_files_are_restored(project, read):
    (project / "train.py").write_text(
        "import pathlib, runstore, renamed\n"
        "with runstore.start_run('toy') as run:\n"
        "    run.log(size=len(pathlib.Path('b.dat').read_bytes()), x=renamed.f(3))\n"
    )
    (project / "b.dat").write_bytes(bytes(range(256)))
    git(project, "add", ".")
    git(project, "commit", "-qm", "two")
    git(project, "mv", "helper.py", "renamed.py")
    (project / "b.dat").write_bytes(bytes(range(256)) * 3)
    python(project, "train.py")
    git(project, "add", ".")
    git(project, "commit", "-qm", "three")

    refused = runstore("rerun", "toy#1", cwd=project)
    ended = runstore("rerun", "toy#1", "--recorded-code", cwd=project)

    assert [one.partition(":")[0] for one in listed(refused)] == ["commit"]
    assert ended.returncode == 0, ended.stderr
    assert listed(ended) == []
    metrics = read(project)[-1].metrics
    assert (metrics["size"].last, metrics["x"].last) == (768, 3)


def test_hidden_changes_and_other_encodings_are_restored(project, read):
    (project / "train.py").write_text(
        "import latin, runstore, helper\n"
        "runstore.start_run('toy').log(code=ord(latin.name), x=helper.f(3))\n"
    )
    git(project, "commit", "-qam", "two")
    (project / "latin.py").write_bytes("# coding: latin-1\nname = 'ü'\n".encode("latin-1"))
    git(project, "update-index", "--skip-worktree", "helper.py")
    (project / "helper.py").write_text("def f(x):\n    return 2 * x\n")
    python(project, "train.py")
    (project / "helper.py").write_text("def f(x):\n    return x\n")
    (project / "latin.py").unlink()

    ended = runstore("rerun", "toy#1", "--recorded-code", cwd=project)

    assert ended.returncode == 0, ended.stderr
    metrics = read(project)[-1].metrics
    assert (metrics["code"].last, metrics["x"].last) == (ord("ü"), 6)


@pytest.mark.parametrize("way", ["attributes", "setting"])
def test_line_ends_of_the_recorded_code_are_restored(project, read, way):
    (project / "train.py").write_text(
        "import runstore\n"
        "size = len(open('helper.py', 'rb').read())\n"
        "runstore.start_run('toy').log(size=size)\n"
    )
    (project / ".gitattributes").write_text("*.py text eol=crlf\n" if way == "attributes" else "")
    git(project, "add", ".")
    git(project, "commit", "-qm", "two")
    if way == "attributes":
        (project / ".gitattributes").write_text("*.py -text\n")
    else:
        git(project, "config", "core.autocrlf", "true")
        (project / "helper.py").unlink()
        git(project, "checkout", "-q", "helper.py")
    python(project, "train.py")

    ended = runstore("rerun", "toy#1", "--recorded-code", cwd=project)

    assert ended.returncode == 0, ended.stderr
    assert listed(ended) == []
    size = len("def f(x):\n    return x\n") + (0 if way == "attributes" else 2)
    assert [run.metrics["size"].last for run in read(project)] == [size, size]


def test_no_hook_runs_for_the_recorded_code(project, tmp_path):
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "post-index-change", "reference-transaction"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran'\n")
        (hooks / name).chmod(0o755)
    (tmp_path / "settings").write_text(f"[core]\nhooksPath = {hooks}\n")
    (project / "helper.py").write_text("def f(x):\n    return 3 * x\n")
    python(project, "train.py")

    env = {**os.environ, "GIT_CONFIG_GLOBAL": str(tmp_path / "settings")}
    ended = runstore("rerun", "toy#1", "--recorded-code", cwd=project, env=env)

    assert ended.returncode == 0, ended.stderr
    assert not (tmp_path / "ran").exists()


def test_code_without_its_secrets_is_not_run(project, read):
    (project / "train.py").write_text(
        "import keys, runstore\nrunstore.start_run('toy').log(length=len(keys.KEY))\n"
    )
    git(project, "commit", "-qam", "two")
    (project / "keys.py").write_text(f"KEY = 'ghp_{'0aB1cD2eF3' * 3}012345'\n")
    python(project, "train.py")

    refused = runstore("rerun", "toy#1", "--recorded-code", cwd=project)
    ended = runstore("rerun", "toy#1", "--recorded-code", "--anyway", cwd=project)

    assert refused.returncode == 4
    assert "secrets in keys.py were masked" in refused.stderr
    assert "add --anyway" in refused.stderr
    assert ended.returncode == 0, ended.stderr
    assert [run.metrics["length"].last for run in read(project)] == [40, len("***")]


def test_a_new_script_of_the_recorded_code_can_be_executed(project):
    script = project / "new.sh"
    script.write_text("#!/bin/sh\necho loss=1\n")
    script.chmod(0o755)
    runstore("exec", "-e", "toy", "--", "./new.sh", cwd=project)
    script.unlink()

    ended = runstore("rerun", "toy#1", "--recorded-code", cwd=project)

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "loss=1\n"


@pytest.mark.parametrize("is_changed", [True, False])
def test_modules_outside_of_the_repository_are_compared(project, monkeypatch, is_changed):
    outside = project.parent / "lib"
    outside.mkdir()
    (outside / "shared.py").write_text("x = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(outside))
    (project / "train.py").write_text("import runstore, shared\nrunstore.start_run('toy')\n")
    git(project, "commit", "-qam", "two")
    python(project, "train.py")
    if is_changed:
        (outside / "shared.py").write_text("x = 22\n")

    ended = runstore("rerun", "toy#1", cwd=project)

    assert ended.returncode == (4 if is_changed else 0), ended.stderr
    assert listed(ended) == (["shared changed"] if is_changed else [])


def test_a_commit_that_is_gone_cannot_be_restored(project):
    python(project, "train.py")
    shutil.rmtree(project / ".git")
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-qm", "other")

    ended = runstore("rerun", "toy#1", "--recorded-code", cwd=project)

    assert ended.returncode == 4
    assert "does not have its commit" in ended.stderr


@pytest.mark.parametrize("change", ["written", "missing"])
def test_other_inputs_are_refused(project, read, change):
    python(project, "train.py", "--data", "data/x.csv")
    if change == "written":
        (project / "data" / "x.csv").write_text("2, 3\n")
    else:
        (project / "data" / "x.csv").unlink()

    ended = runstore("rerun", "toy#1", cwd=project)

    assert ended.returncode == 4
    assert listed(ended)[0].startswith("data/x.csv: 2 bytes")
    assert len(read(project)) == 1


def test_a_copy_of_the_repository_is_used_when_it_is_the_working_directory(project, read):
    python(project, "train.py", "--lr", "0.25")
    moved = project.rename(project.with_name("moved"))

    elsewhere = runstore("--store", place(moved), "rerun", "toy#1", cwd=moved.parent)
    there = runstore("rerun", "toy#1", cwd=moved)

    assert elsewhere.returncode == 3
    assert "which does not exist" in elsewhere.stderr
    assert there.returncode == 0, there.stderr
    assert read(moved)[-1].facts.values["command.cwd"] == str(moved)


def test_options_of_exec_are_repeated(tmp_path, read):
    code = "print('loss: 0.5'); open('out.txt', 'w').write('x'); raise SystemExit(3)"
    options = ("-e", "sim", "-p", "seed=1", "-m", "loss: {loss}", "--save", "out.txt")
    runstore("exec", *options, "--", sys.executable, "-c", code, "--n", "4", cwd=tmp_path)
    runstore("mv", "sim", "wind", cwd=tmp_path)

    ended = runstore("rerun", "wind#1", "--set", "seed=2", "--set", "n=5", cwd=tmp_path)

    again = read(tmp_path)[-1]
    assert ended.returncode == 3, ended.stderr
    assert (again.experiment_name, again.run_number) == ("wind", 2)
    assert again.params == {"seed": 2, "n": 5}
    assert again.metrics["loss"].last == 0.5
    assert list(again.artifacts) == ["out.txt"]


def test_an_experiment_is_repeated_with_its_parameters(tmp_path, read):
    runstore("init", cwd=tmp_path)
    words = ("run", "pi", "-p", "darts", "--names", "few", "--set", "seed=4", "--notes", "first")
    runstore(*words, cwd=tmp_path)

    same = runstore("rerun", "pi#1", "--set", "darts=9", "--notes", "again", cwd=tmp_path)
    file = tmp_path / "params" / "darts.py"
    file.write_text(file.read_text().replace("darts=100)", "darts=7777)"))
    refused = runstore("rerun", "pi#1", cwd=tmp_path)

    first, again = read(tmp_path)
    assert same.returncode == 0, same.stderr
    assert (again.params["darts"], again.params["seed"], again.notes) == (9, 4, "again")
    assert again.facts.values["rerun.of"] == first.uid
    assert refused.returncode == 4
    assert "darts: 100 → 7777" in listed(refused)


def test_a_script_that_skips_finished_runs_is_run_again(tmp_path, read):
    script = tmp_path / "t.py"
    script.write_text(
        "import runstore\nwith runstore.start_run('t', params={'a': 1}, if_done='skip'): pass\n"
    )
    python(tmp_path, "t.py")

    ended = runstore("rerun", "t#1", cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    assert [run.status for run in read(tmp_path)] == [Status.COMPLETE] * 2


def test_a_loop_is_repeated_and_the_run_with_the_same_parameters_names_the_old(tmp_path, read):
    (tmp_path / "t.py").write_text(
        "import runstore\n"
        "for lr in (1, 2, 3):\n"
        "    with runstore.start_run('t', params={'lr': lr}): pass\n"
    )
    python(tmp_path, "t.py")

    ended = runstore("rerun", "t#2", cwd=tmp_path)

    runs = read(tmp_path)
    assert "its program also recorded other runs, such as t_1_" in ended.stderr
    assert [run.params["lr"] for run in runs] == [1, 2, 3, 1, 2, 3]
    named = [run.run_number for run in runs if "rerun.of" in run.facts.values]
    assert named == [5]
    assert runs[4].facts.values["rerun.of"] == runs[1].uid


def test_outside_of_git_the_recorded_files_are_compared(tmp_path, read):
    (tmp_path / "h.py").write_text("x = 1\n")
    (tmp_path / "t.py").write_text(
        "import runstore, h\nwith runstore.start_run('t') as run: run.log(x=h.x)\n"
    )
    python(tmp_path, "t.py")
    (tmp_path / "h.py").write_text("x = 22\n")

    changed = runstore("rerun", "t#1", cwd=tmp_path)
    (tmp_path / "h.py").unlink()
    missing = runstore("rerun", "t#1", cwd=tmp_path)

    assert (changed.returncode, missing.returncode) == (4, 4)
    assert (listed(changed), listed(missing)) == (["h.py changed"], ["h.py is missing"])
    assert messages(changed)[-1] == "To run it in spite of the differences, add --anyway."
    assert len(read(tmp_path)) == 1


def test_without_a_commit_the_new_files_of_the_repository_are_compared(tmp_path):
    below = tmp_path / "below"
    below.mkdir()
    git(tmp_path, "init", "-q")
    (tmp_path / "h.py").write_text("x = 1\n")
    (below / "t.py").write_text("import runstore\nwith runstore.start_run('t'): pass\n")
    python(below, "t.py")

    equal = runstore("rerun", "t#1", cwd=below)
    (tmp_path / "h.py").write_text("x = 22\n")
    changed = runstore("rerun", "t#1", cwd=below)

    assert (equal.returncode, listed(equal)) == (0, [])
    assert (changed.returncode, listed(changed)) == (4, ["h.py changed"])


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({}, "was not recorded as a whole: train.py"),
        ({"command.argv": ("python", "t.py", "--token", "***")}, "contains a secret"),
        ({"command.argv": ("python",)}, "from a prompt or from standard input"),
        ({"command.argv": ("python", "-m", "ipykernel_launcher", "-f", "k.json")}, "a notebook"),
        (
            {"command.argv": ("python", "-c", "from multiprocessing.spawn import spawn_main")},
            "a worker process",
        ),
        (
            {"command.argv": ("python", "-m", "joblib.externals.loky.backend.popen_loky_posix")},
            "a worker process",
        ),
        (
            {"command.argv": ("python", "/v/ray/_private/workers/default_worker.py", "--node")},
            "a worker process",
        ),
        (
            {"command.argv": ("./a",), "exec.options": ("-p", "key=***"), "command.cwd": "/"},
            "its options contain a secret",
        ),
        ({"command.argv": ("./a",), "command.cwd": "/nowhere/at/all"}, "does not exist"),
    ],
)
def test_a_command_that_cannot_be_repeated_is_refused_with_the_reason(tmp_path, facts, told):
    from dataclasses import replace

    from runstore.errors import ConflictError, NotFoundError
    from runstore.runner.repeating.recorded import recorded_command

    with store_at(tmp_path / "store") as store:
        with store.start("t", capture=False) as run:
            pass
        kept = replace(run.record, cli="train.py", facts=Facts(values=facts))

        with pytest.raises((ConflictError, NotFoundError), match=told) as refused:
            recorded_command(kept)

    assert refused.value.kept == "Nothing was started."


def test_a_signal_reaches_a_program_in_a_copy_of_its_code(project, read):
    (project / "train.py").write_text(
        "import os, runstore, time\n"
        "with runstore.start_run('slow'):\n"
        "    print('begun', flush=True)\n"
        "    time.sleep(int(os.environ.get('LONG', '0')))\n"
    )
    git(project, "commit", "-qam", "two")
    python(project, "train.py")
    (project / "train.py").write_text("")
    words = [sys.executable, "-m", "runstore", "rerun", "slow#1", "--recorded-code"]
    command = subprocess.Popen(
        words,
        cwd=project,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "LONG": "60"},
    )
    assert command.stdout.readline() == "begun\n"
    command.send_signal(signal.SIGTERM)
    _, told = command.communicate(timeout=100)

    assert command.returncode == 128 + signal.SIGTERM, told
    assert read(project)[-1].status is Status.INTERRUPTED


KILLED = """
import os, runstore, sys, time
with runstore.start_run("slow"):
    if os.environ.get("WRITES"):
        open("result.txt", "w").write("of hours")
    print(os.getcwd(), flush=True)
    if os.environ.get("WAITS"):
        sys.stdin.read()
"""


@pytest.fixture
def killed(project, tmp_path):
    """Start a program in a copy of its code, and kill the command, or all with it."""

    def start(**variables):
        (project / "train.py").write_text(KILLED)
        git(project, "commit", "-qam", "two")
        python(project, "train.py")
        words = [sys.executable, "-m", "runstore", "rerun", "slow#1", "--recorded-code"]
        process = subprocess.Popen(
            words,
            cwd=project,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **environment, **variables, "WAITS": "1"},
            start_new_session=True,
        )
        started.append(process)
        return process, Path(process.stdout.readline().strip()).parent

    started = []
    environment = {"TMPDIR": str(tmp_path / "temporary")}
    (tmp_path / "temporary").mkdir()
    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        process.stdin.close()
        process.stdout.close()


def copies_after_another_rerun(project):
    """Return the copies of code that are left after a run was repeated once more."""
    temporary = project.parent / "temporary"
    ended = runstore(
        "rerun", "slow#1", "--recorded-code", cwd=project, env={"TMPDIR": str(temporary)}
    )
    assert ended.returncode == 0, ended.stderr
    return sorted(one.name for one in temporary.glob("runstore-code-*"))


def test_a_copy_of_the_code_is_removed_after_all_were_killed(project, killed):
    process, copy = killed()
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert copy.is_dir()

    assert copies_after_another_rerun(project) == []


def test_a_copy_of_the_code_with_results_is_kept_after_all_were_killed(project, killed):
    process, copy = killed(WRITES="1")
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()

    assert copies_after_another_rerun(project) == [copy.name]
    assert (copy / "project" / "result.txt").read_text() == "of hours"


CLEANED = """
import os, runstore
with runstore.start_run("slow"):
    if os.path.exists("../known.json"):
        os.unlink("../known.json")
        open("result.txt", "w").write("of days")
"""


def test_results_are_kept_if_other_files_of_the_temporary_folder_were_removed(project, tmp_path):
    """Systems remove temporary files that were not used for days."""
    (project / "train.py").write_text(CLEANED)
    git(project, "commit", "-qam", "two")
    python(project, "train.py")
    (tmp_path / "temporary").mkdir()

    (copy,) = copies_after_another_rerun(project)

    result = tmp_path / "temporary" / copy / "project" / "result.txt"
    assert result.read_text() == "of days"


def test_a_copy_of_the_code_is_kept_while_its_program_lives(project, killed, read):
    process, copy = killed()
    process.kill()
    process.wait()

    left = copies_after_another_rerun(project)

    assert left == [copy.name, f"{copy.name}.lock"]
    process.stdin.close()
    process.stdout.read()  # until all have ended
    assert read(project)[1].status is Status.COMPLETE
    assert copies_after_another_rerun(project) == []


def damage(project, document, body):
    with (
        store_at(project / ".runstore") as store,
        store.backend.database.driver.write() as connection,
    ):
        connection.execute(
            "UPDATE documents SET body = ? WHERE hash IN"
            " (SELECT hash FROM run_documents WHERE name = ?)",
            (body, document),
        )


@pytest.mark.parametrize("body", ["{broken", "[1]", '{"new.py": 1}'])
def test_a_damaged_list_of_files_is_an_error_that_names_the_run(project, body):
    (project / "new.py").write_text("pass\n")
    python(project, "train.py")
    damage(project, "untracked", body)
    (project / "new.py").write_text("1\n")

    dry = runstore("rerun", "toy#1", "--dry-run", cwd=project)
    restored = runstore("rerun", "toy#1", "--recorded-code", cwd=project)
    python(project, "train.py")
    similar = runstore("similar", "toy#2", cwd=project)

    assert (dry.returncode, restored.returncode) == (5, 5)
    for ended in (dry, restored):
        assert "he captured text 'untracked' of toy_1_" in ended.stderr
        assert "Nothing was started." in ended.stderr
    assert similar.returncode == 0, similar.stderr
    assert "its code is not known: The captured text" in similar.stdout


@pytest.mark.parametrize("body", ["{broken", '{"shared": [1]}'])
def test_a_run_with_a_damaged_list_of_modules_is_not_the_same(project, monkeypatch, body):
    outside = project.parent / "lib"
    outside.mkdir()
    (outside / "shared.py").write_text("x = 1\n")
    monkeypatch.setenv("PYTHONPATH", str(outside))
    (project / "train.py").write_text(
        "import runstore, shared\nrunstore.start_run('toy', if_done='error')\n"
    )
    git(project, "commit", "-qam", "two")
    python(project, "train.py")
    damage(project, "modules", body)

    ended = runstore("rerun", "toy#1", "--dry-run", cwd=project)
    python(project, "train.py")

    assert ended.returncode == 0, ended.stderr
    assert listed(ended)[0].startswith("its code is not known: The captured text 'modules' of")
