"""Which program a run is of: the user's script, whatever starts, profiles or distributes it."""

import os

import pytest

from commands import git, python
from places import place

FIT = """
import sys, runstore

def fit(params=None):
    try:
        with runstore.start_run("fit", params=params, if_done="skip"):
            return "ran"
    except runstore.AlreadyRanError:
        return "skipped"
"""
ONCE = f"{FIT}\nif __name__ == '__main__':\n    print(fit({{'i': 1}}))\n"
BARE = f"{FIT}\nif __name__ == '__main__':\n    print(fit())\n"
POOL = f"""{FIT}
if __name__ == '__main__':
    import multiprocessing, os
    kept_open = [os.open(os.devnull, os.O_RDONLY) for _ in range(len(sys.argv))]
    with multiprocessing.get_context(METHOD).Pool(1) as pool:
        print(*pool.map(fit, PARAMS))
"""
# As a worker of a cluster: what it runs was sent to it, and is in no module of its own.
WORKER = """
import pathlib, sys, types
file = pathlib.Path(sys.argv[1]).read_text().strip()
space = {"__name__": "sent"}
exec(compile(pathlib.Path(file).read_text(), file, "exec"), space)
print(space["fit"](eval(sys.argv[2])))
"""


@pytest.fixture
def project(tmp_path):
    """Return a function that commits programs, and the folder that they are in."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".gitignore").write_text("__pycache__\n.runstore\n")
    git(folder, "init", "-q")

    def commit(**programs):
        for name, text in programs.items():
            (folder / f"{name}.py").write_text(f"# {name}\n{text}")
        git(folder, "add", ".")
        git(folder, "commit", "-qm", "programs")
        return folder

    return commit


def said(folder, *words, cwd=None, **more):
    store = {"RUNSTORE_URL": str(place(folder / ".runstore"))}
    ended = python(*words, cwd=cwd or folder, env=store, **more)
    assert ended.returncode == 0, ended.stderr
    return next(line for line in ended.stdout.splitlines() if line.startswith(("ran", "skipped")))


@pytest.mark.parametrize(
    "runner",
    [("-m", "cProfile", "-o", os.devnull), ("-m", "runpy"), ()],
    ids=lambda words: " ".join(words) or "python",
)
def test_a_runner_is_not_the_program(project, runner):
    folder = project(a=ONCE, b=ONCE)
    names = ("a", "a", "b") if "runpy" in runner else ("a.py", "a.py", "b.py")

    assert [said(folder, *runner, name) for name in names] == ["ran", "skipped", "ran"]


def test_a_profiled_run_did_the_same_as_a_plain_one(project):
    folder = project(a=ONCE)

    assert said(folder, "-m", "cProfile", "-o", os.devnull, "a.py") == "ran"
    assert said(folder, "a.py") == "skipped"
    assert said(folder, "-m", "a") == "skipped"


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_workers_of_a_pool_are_of_the_script(project, method):
    text = POOL.replace("METHOD", repr(method)).replace("PARAMS", "[{'i': 1}]")
    folder = project(a=text, b=text)

    assert said(folder, "a.py") == "ran"
    assert said(folder, "a.py", "more", "open", "files") == "skipped"
    assert said(folder, "b.py") == "ran"


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_workers_without_parameters_are_never_the_same(project, method):
    """Nothing tells what a worker was handed."""
    text = POOL.replace("METHOD", repr(method)).replace("PARAMS", "[None, {}]")
    folder = project(a=text)

    assert [said(folder, "a.py") for _ in range(2)] == ["ran ran", "ran ran"]


def test_a_function_sent_to_a_worker_is_of_its_file(project):
    folder = project(a=ONCE, b=ONCE)
    site = folder.parent / "site-packages"
    site.mkdir()
    (site / "worker.py").write_text(WORKER)
    (folder.parent / "job").write_text(str(folder / "a.py"))
    worker = (str(site / "worker.py"), str(folder.parent / "job"))

    assert said(folder, *worker, "{'i': 1}") == "ran"
    assert said(folder, *worker, "{'i': 1}") == "skipped"
    (folder.parent / "job").write_text(str(folder / "b.py"))
    assert said(folder, *worker, "{'i': 1}") == "ran"
    assert [said(folder, *worker, "None") for _ in range(2)] == ["ran", "ran"]


def test_arguments_tell_runs_without_parameters_apart(project):
    folder = project(a=BARE)

    assert said(folder, "a.py", "--lr", "0.1") == "ran"
    assert said(folder, "a.py", "--lr", "0.2") == "ran"
    assert said(folder, "-O", "a.py", "--lr", "0.1") == "skipped"
    assert said(folder, "a.py") == "ran"
    assert said(folder, "a.py") == "skipped"
    assert said(folder, "a.py", "--api-key", "secret") == "ran"
    assert said(folder, "a.py", "--api-key", "secret") == "ran", "a masked argument is unknown"


def test_a_file_among_the_arguments_counts_by_its_contents(project):
    folder = project(a=BARE)
    data = folder.parent / "data.csv"
    data.write_text("1")

    assert said(folder, "a.py", str(data)) == "ran"
    assert said(folder, "a.py", str(data)) == "skipped"
    data.write_text("2")
    assert said(folder, "a.py", str(data)) == "ran"


def test_a_file_as_standard_input_is_not_compared(project):
    folder = project(a=BARE, b=ONCE)

    found = [said(folder, name, input="1") for name in ("a.py", "a.py", "b.py", "b.py")]

    assert found == ["ran", "ran", "ran", "skipped"]


def test_relative_arguments_count_from_their_folder(project):
    folder = project(a=BARE)
    (folder / "inner").mkdir()

    assert said(folder, "a.py", "x.csv") == "ran"
    assert said(folder, "../a.py", "x.csv", cwd=folder / "inner") == "ran"


def test_a_loop_without_parameters_is_not_skipped(project):
    folder = project(
        a=f"{FIT}\nprint(fit(), fit())\n", b=f"{FIT}\nprint(fit({{'i': 1}}), fit({{'i': 1}}))\n"
    )

    assert said(folder, "a.py") == "ran ran"
    assert said(folder, "b.py") == "ran skipped"


def test_parameters_tell_enough_without_the_arguments(project):
    folder = project(a=ONCE)

    assert said(folder, "a.py", "--workers", "4") == "ran"
    assert said(folder, "a.py", "--workers", "8") == "skipped"


def test_an_installed_command_is_told_by_the_project_file_that_it_calls(project):
    folder = project(a=BARE)
    commands = folder.parent / "site-packages" / "bin"
    commands.mkdir(parents=True)
    command = commands / "train"
    command.write_text(
        f"import sys; sys.path.insert(0, {str(folder)!r})\nimport a\nprint(a.fit())\n"
    )

    assert said(folder, str(command), "--lr", "1") == "ran"
    assert said(folder, str(command), "--lr", "1") == "skipped"
    assert said(folder, str(command), "--lr", "2") == "ran"
