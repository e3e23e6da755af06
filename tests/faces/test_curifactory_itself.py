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

from runstore import ManagerStore, Store
from runstore.model.status import Status

if find_spec("curifactory") is None:  # loading it takes seconds, and only programs need it
    pytest.skip("needs Curifactory", allow_module_level=True)

# Runs command lines of Curifactory, or scripts, with our class or with its own: each in a process
# that is forked when Curifactory is loaded, which takes longer than anything else.
LAUNCHER = r"""
import json, os, signal, sys, warnings
warnings.simplefilter("ignore")
# A test run in the background of a shell inherits that Ctrl-C is ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
import curifactory.store, curifactory.manager
if sys.argv[1] == "ours":
    from runstore import ManagerStore
    curifactory.store.ManagerStore = ManagerStore
    curifactory.manager.ManagerStore = ManagerStore
from curifactory.cli import main
*before, words = map(json.loads, sys.argv[2:])
for one in before:
    if os.fork() == 0:
        words = one
        break
    os.wait()
    print("\0", file=sys.stderr, flush=True)
sys.argv = ["experiment", *words[1:]] if words[0] == "cli" else words
if sys.argv[0] == "experiment":
    main()
else:
    exec(compile(open(sys.argv[0]).read(), sys.argv[0], "exec"))
"""
SEPARATOR = "\0\n"  # of what commands say on stderr
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
CHANGING = {"timestamp", "hostname", "commit"}


class Project:
    """A project of Curifactory on disk."""

    def __init__(self, folder: Path, which: str) -> None:
        self.folder, self.which = folder, which
        for name in ("experiments", "params"):
            (folder / name).mkdir(parents=True)
            (folder / name / "__init__.py").touch()
        (folder / "params" / "small.py").write_text(PARAMS)
        for name, body in BODIES.items():
            (folder / "experiments" / f"{name}.py").write_text(EXPERIMENT.format(body=body))
        (folder / "session.py").write_text(SESSION)
        (folder / "launch.py").write_text(LAUNCHER)
        git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org"]
        (folder / ".gitignore").write_text("data\nlogs\nreports\n__pycache__\n")
        for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
            subprocess.run([*git, *command], cwd=folder, check=True)

    def command(self, *commands):
        return [sys.executable, "launch.py", self.which, *map(json.dumps, commands)]

    def run(self, *commands):
        """Run these commands one after the other; the last one's exit code is returned."""
        return subprocess.run(
            self.command(*commands),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )

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
def projects(tmp_path):
    """The same project twice: on Curifactory's own class, and on ours."""
    return Project(tmp_path / "theirs", "theirs"), Project(tmp_path / "ours", "ours")


@pytest.fixture
def project(tmp_path):
    return Project(tmp_path / "ours", "ours")


def test_experiments_run_the_same_on_both_classes(projects, is_full_campaign):
    that_record_nothing = [("mnist", "-p", "small", "--map"), ("mnist", "-p", "small", "--dry")]
    for project in projects:
        done = project.run(
            ("cli", "mnist", "-p", "small", "--notes", "first run"),
            ("cli", "mnist", "-p", "small", "--store-full"),
            ("cli", "broken", "-p", "small"),
            *(("cli", *words) for words in that_record_nothing[0 if is_full_campaign else 1 :]),
            ("cli", "mnist", "-p", "small", "--parallel", "2"),
        )
        said = done.stderr.split(SEPARATOR)
        assert len(said) == (6 if is_full_campaign else 5)
        for one in said:
            assert "Traceback" not in one or "broke" in one, one
        assert "runstore" not in done.stderr

    theirs, ours = (project.shape() for project in projects)
    assert ours == theirs
    assert [one["status"] for one in ours] == ["complete", "complete", "error", "complete"]
    assert [one["run_number"] for one in ours] == [1, 2, 1, 3]


def test_what_curifactory_writes_beside_the_store_agrees(project):
    project.run(("cli", "mnist", "-p", "small", "--store-full"))
    block = project.blocks[0]

    (info,) = (project.folder / "data" / "runs").glob("*/run_info.json")
    (report,) = (project.folder / "reports").glob("mnist*/run_info.json")

    assert json.loads(info.read_text()) == block
    assert json.loads(report.read_text()) == block
    assert block["reproduce"].endswith("--dry-cache")
    assert len(block["commit"]) == 40


def test_experiment_is_found_by_our_other_faces(project):
    project.run(("cli", "mnist", "-p", "small"))

    run = Store.open(project.folder / "data").get("mnist#1")

    assert (run.status, run.ended_at is not None) == (Status.COMPLETE, True)
    assert [(one.file, one.name) for one in run.parameter_sets] == [
        ("small", "baseline"),
        ("small", "wide ü"),
    ]
    assert run.parameter_sets[0].values == {"lr": "0.1", "layers": "2"}


def test_session_in_a_script_is_live(projects):
    for project in projects:
        done = project.run(("session.py",))
        assert done.returncode == 0, done.stderr
        assert "runstore" not in done.stderr

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
    process = subprocess.Popen(
        project.command(("cli", "slow", "-p", "small")),
        cwd=project.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 60
    while not (project.folder / "begun").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, number)
    process.wait(timeout=30)

    with Store.open(project.folder / "data") as store:
        run = store.get("slow#1")

    assert run.status is status
    assert run.ended_at is not None
    assert project.blocks[0]["status"] == "incomplete"


def test_curifactory_itself_goes_on_in_a_folder_of_ours(projects):
    """Its own class reads, numbers and writes the file; the next opening takes its runs in."""
    theirs, ours = projects
    command = ("cli", "mnist", "-p", "small")
    ours.run(command, command)
    theirs.folder.joinpath("data").symlink_to(ours.folder / "data")

    theirs.run(command)

    with pytest.warns(UserWarning, match=r"changed by another program.*mnist_3"):
        store = ManagerStore(ours.folder / "data")
    assert [one["run_number"] for one in store.get_experiment_runs("mnist")] == [1, 2, 3]
    assert Store.open(ours.folder / "data").get("mnist#3").status is Status.COMPLETE
