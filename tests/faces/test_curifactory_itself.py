"""Real experiments of Curifactory, run on our ManagerStore in place of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import pytest

from commands import git
from places import store_at
from runstore import ManagerStore
from runstore.model.status import Status

if find_spec("curifactory") is None:  # loading it takes seconds, and only programs need it
    pytest.skip("needs Curifactory", allow_module_level=True)

# Runs command lines of Curifactory, or scripts, with our class or with its own: each in a process
# that is forked when Curifactory is loaded, which takes longer than anything else.
SERVER = r"""
import gc, json, os, signal, sys, warnings
warnings.simplefilter("ignore")
import curifactory.store, curifactory.manager, rich.progress
from curifactory.cli import main

gc.freeze()  # a collection in a process would copy all that was loaded
for line in sys.stdin:
    if (process := os.fork()) == 0:
        break
    print(process, flush=True)
    _, status = os.waitpid(process, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
else:
    sys.exit()

which, folder, env, sys.argv = json.loads(line)
os.chdir(folder)
os.environ.clear()
os.environ.update(env)
nothing = os.open(os.devnull, os.O_RDWR)
said = os.open("said", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
for target, source in enumerate((nothing, nothing, said)):
    os.dup2(source, target)
sys.path.insert(0, folder)
# A test run in the background of a shell inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
if which == "ours":
    from runstore import ManagerStore
    curifactory.store.ManagerStore = ManagerStore
    curifactory.manager.ManagerStore = ManagerStore
if sys.argv[0] == "experiment":
    main()
else:
    exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"""
PARAMS = """
from dataclasses import dataclass
import curifactory as cf

@dataclass
class Params(cf.ExperimentParameters):
    lr: float = 0.1
    layers: int = 2

def get_params():
    return [Params(name="baseline"), Params(name="wide \\u00fc", lr=0.01, layers=8)]
"""
EXPERIMENT = """
import time
import curifactory as cf
from curifactory.caching import JsonCacher
from pathlib import Path

@cf.stage(None, ["acc"], [JsonCacher])
def train(record):
    {body}
    return record.params.lr * record.params.layers

def run(params, manager):
    for one in params:
        train(cf.Record(manager, one))
"""
BODIES = {
    "mnist": "pass",
    "broken": "raise ValueError('it \"broke\"\\\\n on line two')",
    "slow": "Path('begun').touch(); time.sleep(60)",
}
SESSION = """
import curifactory as cf
manager = cf.ArtifactManager("session", manager_cache_path="data", notes="by hand")
record = cf.Record(manager, cf.ExperimentParameters(name="one"))
manager.store()
"""
BRIEFLY = ("--quiet", "--no-report")  # drawing is half of what Curifactory does
CHANGING = {"timestamp", "hostname", "commit"}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Return where programs are found, the first of them a `pip` that lists packages at once."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "pip").write_text("#!/bin/sh\necho curifactory==1\n")
    (folder / "pip").chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with subprocess.Popen(
        [sys.executable, "-c", SERVER],
        cwd=tmp_path_factory.mktemp("server"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.stdin.close()


class Project:
    """A project of Curifactory on disk."""

    def __init__(self, server, path: str, folder: Path, which: str) -> None:
        self.server, self.path, self.folder, self.which = server, path, folder, which
        for name in ("experiments", "params"):
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").touch()
        (folder / "params" / "small.py").write_text(PARAMS)
        for name, body in BODIES.items():
            (folder / "experiments" / f"{name}.py").write_text(EXPERIMENT.format(body=body))
        (folder / "session.py").write_text(SESSION)
        (folder / ".gitignore").write_text("data\nlogs\nreports\nsaid\n__pycache__\n")
        for words in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
            git(folder, *words)

    def start(self, *words):
        """Start a command line or a script; return its process."""
        request = self.which, str(self.folder), {**os.environ, "PATH": self.path}, words
        self.server.stdin.write(json.dumps(request) + "\n")
        self.server.stdin.flush()
        return int(self.server.stdout.readline())

    def wait(self):
        """Return how what was started has ended, and what it said on stderr."""
        return int(self.server.stdout.readline()), (self.folder / "said").read_text()

    def run(self, *words):
        self.start(*words)
        return self.wait()

    @property
    def blocks(self):
        return json.loads((self.folder / "data" / "store.json").read_text())

    def shape(self):
        """The blocks without what differs from one minute or machine to the next."""
        text = json.dumps(self.blocks)
        text = re.sub(r"\d{4}-\d\d-\d\d-T\d{6}", "<time>", text)
        return [
            {key: value for key, value in block.items() if key not in CHANGING}
            for block in json.loads(text)
        ]


@pytest.fixture
def projects(server, path, tmp_path):
    """The same project twice: on Curifactory's own class, and on ours."""
    return [Project(server, path, tmp_path / which, which) for which in ("theirs", "ours")]


@pytest.fixture
def project(server, path, tmp_path):
    return Project(server, path, tmp_path / "ours", "ours")


def test_experiments_run_the_same_on_both_classes(projects, is_full_campaign):
    that_record_nothing = [("--map",), ("--dry", *BRIEFLY)][not is_full_campaign :]
    for project in projects:
        for words in (
            ("mnist", "--notes", "first run", *BRIEFLY),
            ("mnist", "--store-full", *BRIEFLY),
            ("broken", *BRIEFLY),
            *(("mnist", *words) for words in that_record_nothing),
            ("mnist", "--parallel", "2", *BRIEFLY),
        ):
            _, said = project.run("experiment", *words, "-p", "small")
            assert "Traceback" not in said or "broke" in said
            assert "runstore" not in said

    theirs, ours = (project.shape() for project in projects)
    assert ours == theirs
    assert [one["status"] for one in ours] == ["complete", "complete", "error", "complete"]
    assert [one["run_number"] for one in ours] == [1, 2, 1, 3]


def test_what_curifactory_writes_beside_the_store_agrees(project):
    project.run("experiment", "mnist", "-p", "small", "--store-full")
    block = project.blocks[0]

    (info,) = (project.folder / "data" / "runs").glob("*/run_info.json")
    (report,) = (project.folder / "reports").glob("mnist*/run_info.json")

    assert json.loads(info.read_text()) == block
    assert json.loads(report.read_text()) == block
    assert block["reproduce"].endswith("--dry-cache")
    assert len(block["commit"]) == 40


def test_experiment_is_found_by_our_other_faces(project):
    project.run("experiment", "mnist", "-p", "small", *BRIEFLY)

    run = store_at(project.folder / "data").get("mnist#1")

    assert (run.status, run.ended_at is not None) == (Status.COMPLETE, True)
    assert [(one.file, one.name) for one in run.parameter_sets] == [
        ("small", "baseline"),
        ("small", "wide ü"),
    ]
    assert run.parameter_sets[0].values == {"lr": "0.1", "layers": "2"}


def test_session_in_a_script_is_live(projects):
    for project in projects:
        ended, said = project.run("session.py")
        assert ended == 0, said
        assert "runstore" not in said

    theirs, ours = (project.shape() for project in projects)
    assert ours == theirs
    assert ours[0]["status"] == "LIVE"
    assert ManagerStore(projects[1].folder / "data").runs[0]["status"] == "LIVE"


@pytest.mark.parametrize(
    ("number", "status"),
    [
        (signal.SIGINT, Status.INTERRUPTED),
        (signal.SIGTERM, Status.INTERRUPTED),
        (signal.SIGKILL, Status.LOST),
    ],
)
def test_run_that_is_stopped_has_its_end_recorded(project, number, status):
    process = project.start("experiment", "slow", "-p", "small", *BRIEFLY)
    deadline = time.monotonic() + 60
    while not (project.folder / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process, number)
    project.wait()

    with store_at(project.folder / "data") as store:
        run = store.get("slow#1")

    assert run.status is status
    assert run.ended_at is not None
    assert project.blocks[0]["status"] == "incomplete"


def test_curifactory_itself_goes_on_in_a_folder_of_ours(projects):
    """Its own class reads, numbers and writes the file; the next opening takes its runs in."""
    theirs, ours = projects
    command = ("experiment", "mnist", "-p", "small", *BRIEFLY)
    ours.run(*command)
    ours.run(*command)
    theirs.folder.joinpath("data").symlink_to(ours.folder / "data")

    theirs.run(*command)

    with pytest.warns(UserWarning, match=r"changed by another program.*mnist_3"):
        store = ManagerStore(ours.folder / "data")
    assert [one["run_number"] for one in store.get_experiment_runs("mnist")] == [1, 2, 3]
    assert store_at(ours.folder / "data").get("mnist#3").status is Status.COMPLETE
