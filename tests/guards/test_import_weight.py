"""What `import runstore` and `runstore ls` may load: a fact, where a timing would be noise."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from commands import git
from runstore import Store
from runstore.model.reference import new_uid
from runstore.storage.files.spool import Spool

# What Python itself has loaded by then does not count.
LOADED = (
    "import sys; before = set(sys.modules); {code}; import json;"
    "print('\\n' + json.dumps(sorted(set(sys.modules) - before)))"
)
HEAVY = {
    "anyio",
    "asyncio",
    "click",
    "concurrent",
    "ctypes",
    "curses",
    "difflib",
    "email",
    "http",
    "importlib.metadata",
    "logging",
    "multiprocessing",
    "numpy",
    "pandas",
    "platform",
    "rich",
    "ssl",
    "starlette",
    "subprocess",
    "tomllib",
    "unittest",
    "uvicorn",
    "urllib.request",
    "uuid",
    "xml",
}


def loaded_by(code, *arguments, cwd=None):
    ended = subprocess.run(
        [sys.executable, "-c", LOADED.format(code=code), *arguments],
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(json.loads(ended.stdout.splitlines()[-1]))


def ended_by(code, *arguments, cwd):
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout


def loaded_by_command(*words, cwd):
    """Return what a command loads in a store at `cwd`, to the end of its process."""
    command = [sys.executable, "-X", "importtime", "-m", "runstore", "--store", cwd, *words]
    ended = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=True)
    assert ended.stdout or words[0] == "exec"
    return {line.rpartition("|")[2].strip() for line in ended.stderr.splitlines()}


def test_import_runstore_loads_nothing_but_itself():
    ours = {one for one in loaded_by("import runstore") if one.startswith("runstore")}

    assert ours == {"runstore", "runstore.started_in"}


def test_recording_needs_the_standard_library_alone(tmp_path):
    Store.open(tmp_path / "store").close()  # the first run of a store reads the settings
    code = (
        "import runstore; run = runstore.start_run("
        f"'light', params={{'lr': 0.1}}, store={str(tmp_path / 'store')!r}, capture=False);"
        "run.finish(); run.record"
    )

    loaded = {one.split(".")[0] for one in loaded_by(code)}

    assert loaded - sys.stdlib_module_names <= {"runstore"}
    assert loaded & HEAVY == set()


A_SMALL_PROGRAM = """
import sys, runstore
with runstore.start_run("small", params={"lr": 0.1}, store=sys.argv[1]) as run:
    run.log(loss=0.5)
"""


def test_recording_leaves_typing_to_type_checkers(tmp_path):
    """Modules that recording loads import it if TYPE_CHECKING, as it takes 3 ms."""
    loaded = loaded_by(f"exec({A_SMALL_PROGRAM!r})", "store", cwd=tmp_path)

    assert "typing" not in loaded


def test_starting_and_ending_a_run_needs_no_pathlib(tmp_path):
    """Up to Python 3.12 it loads `urllib` and `ipaddress`: an eighth of such a program's time."""
    code = "import runstore; runstore.start_run('light', store='store', capture=False).finish()"

    for _ in range(2):  # the first makes the store
        assert loaded_by(code, cwd=tmp_path) & {"pathlib", "urllib"} == set()


def test_listing_needs_the_standard_library_alone(tmp_path):
    code = f"import runstore; runstore.Store.open({str(tmp_path)!r}).find().items"

    loaded = {one.split(".")[0] for one in loaded_by(code)}

    assert loaded - sys.stdlib_module_names <= {"runstore"}


# What starting and ending a run has no need of, though most programs load it sooner or later.
LATER = {
    "ast",
    "base64",
    "dataclasses",
    "getpass",
    "hashlib",
    "inspect",
    "random",
    "runstore.recording.points.log",
    "runstore.model.results.events",
    "runstore.model.results.experiments",
    "runstore.model.metrics",
    "runstore.model.run",
    "runstore.model.params.encode",
    "runstore.reading.pages",
    "runstore.inflight.deferred",
    "runstore.artifacts.serializers",
    "runstore.storage.edits",
    "runstore.storage.trash",
    "shutil",
    "tempfile",
}


def test_a_run_that_only_starts_and_ends_loads_little(tmp_path):
    code = (
        "import runstore; run = runstore.start_run("
        "'light', params={'lr': 0.1}, store='store', capture=False);"
        "run.finish()"
    )

    assert loaded_by(code, cwd=tmp_path) & LATER == set()


# What each part of recording has no need of: the modules of the others take milliseconds.
FOR_OTHERS = {
    "print('a line', file=sys.stderr)": {
        "csv", "dataclasses", "hashlib", "inspect", "random", "runstore.artifacts",
        "runstore.model.run", "runstore.recording.points.log", "runstore.storage.edits", "shutil",
        "tempfile",
    },
    "run.tags['by'] = 'me'": {
        "csv", "dataclasses", "hashlib", "inspect", "random", "runstore.artifacts.saving",
        "runstore.model.run", "runstore.recording.points.log", "shutil", "tempfile",
    },
    "run.save('a.bin', b'abc')": {
        "runstore.model.results.events", "runstore.model.run", "runstore.recording.points.log",
        "runstore.storage.edits",
    },
    "run.use(sys.executable)": {
        "csv", "random", "runstore.artifacts.saving", "runstore.recording.points.log",
        "runstore.storage.edits", "tempfile",
    },
    "run.log(loss=0.1)": {
        "dataclasses", "hashlib", "runstore.artifacts", "runstore.model.run",
        "runstore.storage.edits",
    },
}  # fmt: skip


@pytest.mark.parametrize("call", FOR_OTHERS)
def test_a_part_of_recording_loads_what_it_needs(tmp_path, call):
    code = (
        "import runstore, sys; run = runstore.start_run("
        f"'light', store={str(tmp_path / 'store')!r}, capture=False, output=True);"
        f"{call}; run.finish()"
    )

    loaded = loaded_by(code)

    assert loaded & FOR_OTHERS[call] == set()
    with Store.open(tmp_path / "store") as store:
        run = store.get("light#1")
        assert run.output or run.tags or run.artifacts or run.inputs or run.metrics


def test_what_other_stores_left_behind_costs_nothing(tmp_path, monkeypatch):
    """A record in the user's own place is known by the uid of its run."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    place = tmp_path / "state" / "runstore" / "spool" / "0123456789abcdef"
    place.mkdir(parents=True)
    record = place / "019e0000-0000-7000-8000-000000000001.01795738963642381534.end.json"
    record.write_text("{}")

    loaded = loaded_by(f"import runstore; runstore.Store.open({str(tmp_path / 'store')!r})")

    assert loaded & LATER == set()
    assert record.exists()


def test_ls_reads_no_points_of_a_store_that_is_gone(tmp_path):
    """They stay in the folder of the user, beside those of all other stores."""
    with Store.open(tmp_path) as store:
        store.start("light", capture=False).finish()
        place = Spool(tmp_path / "gone").own_place()
        (place / f"{new_uid()}.1.points").touch()

    loaded = loaded_by_command("ls", cwd=tmp_path)

    assert "runstore.storage.metrics.last_values" in loaded
    assert "runstore.storage.metrics.point_reading" not in loaded


def test_ls_in_a_pipe_draws_nothing(tmp_path):
    with Store.open(tmp_path) as store:
        store.start("light", params={"lr": 0.1}, capture=False).finish()
    code = (
        "import sys; sys.argv = ['runstore', '--store', sys.argv[1], 'ls'];"
        "from runstore.cli.main import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "import json"
    )

    loaded = loaded_by(code, str(tmp_path))

    # click itself loads uuid, and that platform, which up to Python 3.10 loads subprocess.
    by_click = {"click", "uuid", "platform"}
    if sys.version_info < (3, 11):
        by_click.add("subprocess")
    assert loaded & (HEAVY - by_click) == set()
    assert not any(one.startswith("runstore.runner") for one in loaded)


UNUSED = {
    "ctypes",
    "regex",
    "runstore.artifacts.inputs",
    "runstore.inflight.deferred",
    "runstore.maintenance.trash",
    "runstore.model.text.required_literals",
    "runstore.reading.shown.listing",
    "runstore.recording.active",
    "runstore.recording.past",
    "runstore.storage.metrics.point_files",
    "runstore.store_json.sync",
}


@pytest.mark.parametrize("words", [["ls"], ["ls", "params.lr < 0.5"], ["show"]])
def test_reading_ends_without_loading_what_it_does_not_use(tmp_path, words):
    """To the end of the process, when what is left of a store is deleted."""
    with Store.open(tmp_path) as store:
        store.start("light", params={"lr": 0.1}, capture=False).finish()

    loaded = loaded_by_command(*words, cwd=tmp_path)

    assert "runstore.store" in loaded
    assert ("runstore.storage.metrics.point_reading" in loaded) == (words == ["show"])
    assert not loaded & UNUSED


def test_a_list_without_a_filter_loads_none_of_filters(tmp_path):
    with Store.open(tmp_path) as store:
        store.start("light", capture=False).finish()

    assert "runstore.model.query.tree" not in loaded_by_command("ls", cwd=tmp_path)


def test_help_needs_no_store(tmp_path):
    assert loaded_by_command("ls", "--help", cwd=tmp_path) & {"runstore.store", "sqlite3"} == set()


@pytest.mark.parametrize("name", ["Store", "ManagerStore", "start_run", "Run"])
def test_a_public_name_is_loaded_on_first_use(name):
    assert f"runstore.{name}" not in loaded_by(f"import runstore; runstore.{name}")


# What the names need of the standard library; each of these was weighed.
STANDARD = {
    "__future__", "atexit", "collections", "contextlib", "contextvars", "copyreg", "datetime",
    "enum", "errno", "fcntl", "functools", "gc", "importlib", "itertools", "json", "keyword",
    "math", "operator", "re", "reprlib", "sre_compile", "sre_constants", "sre_parse", "struct",
    "threading", "time", "types", "warnings", "weakref",
}  # fmt: skip
# Each module takes 0.1 to 0.2 ms; the number only gets smaller.
OURS_AT_MOST = 25


def test_the_names_of_recording_load_what_was_weighed():
    loaded = loaded_by("import runstore; runstore.start_run; runstore.Store")

    public = {one.split(".")[0] for one in loaded if not one.startswith("_") or one[1] == "_"}
    assert public - {"runstore"} <= STANDARD
    assert loaded & (LATER | HEAVY) == set()
    assert len([one for one in loaded if one.startswith("runstore")]) <= OURS_AT_MOST


COMPILED = """
import builtins, sys
compile_ = builtins.compile
builtins.compile = lambda text, *more, **options: print(text) or compile_(text, *more, **options)
import runstore
runstore.start_run, runstore.Store
"""


def test_the_names_compile_nothing():
    """As `typing` does with a type in quotes: the first time takes a millisecond."""
    ended = subprocess.run(
        [sys.executable, "-c", COMPILED], capture_output=True, text=True, check=True
    )

    assert ended.stdout == ""


# What neither opening nor starting a run on a server uses; psycopg itself takes most of the time.
NOT_ON_A_SERVER = {
    "hashlib",
    "psycopg",
    "runstore.maintenance",
    "runstore.recording.past.runs",
    "runstore.storage.blocks",
    "runstore.storage.files.objects",
    "runstore.storage.postgres.search",
    "runstore.storage.remote",
    "runstore.storage.trash",
}


def test_a_store_on_a_server_loads_what_it_uses():
    loaded = loaded_by(
        "import runstore; runstore.Store;"
        "import runstore.storage.postgres.database, runstore.waiting, runstore.recording.aside"
    )

    assert loaded & NOT_ON_A_SERVER == set()


# What a program without patterns, parameters and uncommitted changes has no need of.
NOT_FOR_EXEC = {
    "runstore.analysis",
    "runstore.artifacts.reading",
    "runstore.capture.git.patch",
    "runstore.capture.secrets.text",
    "runstore.runner.experiment",
    "runstore.runner.programs.metric_lines",
}


def test_exec_loads_what_it_uses(tmp_path):
    loaded = loaded_by_command("exec", "true", cwd=tmp_path)

    assert "runstore.runner.command" in loaded
    assert not loaded & NOT_FOR_EXEC


def test_the_process_that_keeps_the_output_of_an_experiment_loads_little():
    """The experiment waits for it at its end."""
    assert loaded_by("import runstore.runner.output_process") & (LATER | HEAVY) == set()


AT_THE_END = """
import atexit, gc, sys
atexit.register(lambda: print(gc.isenabled(), gc.get_freeze_count()))
from runstore.__main__ import main
main()
"""


def test_a_command_ends_without_a_last_collection(tmp_path):
    """The search for garbage took a fifth of `ls`, and modules and functions are none."""
    ended = ended_by(AT_THE_END, "--help", cwd=tmp_path)

    is_enabled, frozen = ended.splitlines()[-1].split()
    assert is_enabled == "True"
    assert int(frozen) > 1000


def test_objects_of_the_user_are_collected_at_the_end(tmp_path):
    (tmp_path / "experiments").mkdir()
    (tmp_path / "params").mkdir()
    (tmp_path / "params" / "one.py").write_text("def get_params(): return [{'name': 'a'}]\n")
    (tmp_path / "experiments" / "train.py").write_text(
        "class Writer:\n"
        "    def __init__(self): self.itself = self\n"
        "    def __del__(self): print('closed', flush=True)\n"
        "def run(params, manager): Writer.last = Writer()\n"
    )

    ended = ended_by(AT_THE_END, "run", "train", "-p", "one", cwd=tmp_path)

    assert ended.splitlines()[-2:] == ["True 0", "closed"]


VERSION = "import sys; sys.argv[1:] = [{!r}]; from runstore.__main__ import main; main()"


@pytest.mark.parametrize("option", ["--version", "-V"])
def test_the_version_needs_no_command_line(option):
    ours = {one for one in loaded_by(VERSION.format(option)) if one.startswith("runstore")}

    assert ours == {"runstore", "runstore.__main__", "runstore.started_in"}


# What the facts about a clean checkout have no need of.
RARE = {
    "dataclasses",
    "email",
    "getpass",
    "hashlib",
    "importlib.metadata",
    "inspect",
    "pkgutil",
    "platform",
    "runstore.capture.git.hidden_changes",
    "runstore.capture.git.patch",
    "runstore.capture.machine.other_python",
    "runstore.capture.program.command_modules",
    "runstore.capture.program.fingerprints",
    "runstore.capture.secrets.text",
    "runstore.model.code.launchers",
    "shutil",
    "zipfile",
}
if shutil.which("nvidia-smi") is None:
    RARE.add("subprocess")


@pytest.fixture
def checkout():
    """A clean checkout of a program, at a path without a word that may stand before a secret.

    A random name has one in one of 150 runs.
    """
    folder = Path(tempfile.gettempdir(), f"run-{os.getpid()}")
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "train.py").write_text(
        "import sys; before = set(sys.modules)\n"
        "import runstore\n"
        "from runstore import background\n"
        "runstore.start_run('light', params={'lr': 0.1}, store='store').finish()\n"
        "background.wait_until_done(60)\n"
        "print(*set(sys.modules) - before)\n"
    )
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first")
    git(folder, "remote", "add", "origin", "https://example.org/project/train.git")
    yield folder
    shutil.rmtree(folder)


def test_capturing_a_clean_checkout_loads_little(checkout):
    ended = subprocess.run(
        [sys.executable, "train.py"], cwd=checkout, capture_output=True, text=True, check=True
    )

    with Store.open(checkout / "store") as store:
        values = store.get("latest").facts.values
    loaded = set(ended.stdout.split())
    assert values["git.remote"] == "https://example.org/project/train.git"
    assert values["python.package_count"] > 5
    assert "runstore.capture.git.snapshot" in loaded
    assert loaded & RARE == set()


def test_capturing_changes_loads_no_code_for_binary_files(checkout):
    """Hashes and compression take as long as a call of git."""
    with (checkout / "train.py").open("a") as program:
        program.write("password = 'hunter22'\n")

    ended = subprocess.run(
        [sys.executable, "train.py"], cwd=checkout, capture_output=True, text=True, check=True
    )

    with Store.open(checkout / "store") as store:
        run = store.get("latest")
        assert "password = '***'" in store.document(run.uid, "patch")
    loaded = set(ended.stdout.split())
    assert "runstore.capture.git.patch" in loaded
    assert loaded & {"hashlib", "runstore.model.code.binary_patches"} == set()
