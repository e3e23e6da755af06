"""The code beyond the commit: what is kept of it, and what never is."""

import json
import os
import subprocess
import sys

from commands import git
from runstore import Store
from runstore.capture.git import kept_files
from runstore.capture.git.snapshot import program_alone, snapshot
from runstore.capture.git.state import GitError, run_git
from runstore.capture.machine.environment import scheduler_facts
from runstore.capture.surroundings import Surroundings, code_facts, environment_facts, quick_facts


def untracked(facts):
    return json.loads(facts.documents["untracked"])


def test_the_patch_applies_to_the_commit(repository, tmp_path):
    (repository / "train.py").write_text("print(2)\n")
    (repository / "staged.py").write_text("print(3)\n")
    git(repository, "add", "staged.py")

    patch = snapshot(repository, run_git).documents["patch"]

    git(tmp_path, "clone", "-q", "repo", "fresh")
    (tmp_path / "changes.patch").write_text(patch)
    git(tmp_path / "fresh", "apply", "../changes.patch")
    assert (tmp_path / "fresh" / "train.py").read_text() == "print(2)\n"
    assert (tmp_path / "fresh" / "staged.py").read_text() == "print(3)\n"


def test_new_source_files_are_kept_with_their_text(repository):
    (repository / "sub").mkdir()
    (repository / "sub" / "änderung.py").write_text("# ä\n")

    assert untracked(snapshot(repository, run_git)) == {"sub/änderung.py": "# ä\n"}


def test_what_git_ignores_is_never_kept(repository):
    (repository / "ignored").mkdir()
    (repository / "ignored" / "data.txt").write_text("private")

    facts = snapshot(repository, run_git)

    assert facts.documents == {}
    assert facts.unknown == {}


def test_databases_of_other_stores_are_not_read(repository):
    """The program may record in them: its locks on a file end when it closes it once."""
    for name in ("runstore.db", "runstore.db-wal", "runstore.db-shm"):
        (repository / "results" / name).parent.mkdir(exist_ok=True)
        (repository / "results" / name).write_text("text")

    facts = snapshot(repository, run_git)

    assert facts.documents == {}
    assert not facts.values["git.has_untracked"]


def test_files_of_other_stores_are_no_new_files(repository):
    """A store to which runs were pushed changes with each of them."""
    for name in ("team/runs", "objects"):
        with Store.open(repository / name) as store, store.start("x", capture=False) as run:
            run.save("model.bin", b"abc")
    (repository / "objects" / "code.py").write_text("1")
    (repository / "cache").mkdir()
    (repository / "cache" / "runstore.py").write_text("2")

    facts = snapshot(repository, run_git)

    assert untracked(facts) == {"objects/code.py": "1", "cache/runstore.py": "2"}
    assert "untracked.others" not in facts.values


def test_compiled_code_is_no_new_file(repository):
    compiled = repository / "lib" / "__pycache__" / "model.cpython-311.pyc"
    compiled.parent.mkdir(parents=True)
    compiled.write_bytes(b"\0\1\2")

    facts = snapshot(repository, run_git)

    assert not facts.values["git.has_untracked"]
    assert "untracked.rest" not in facts.unknown


def test_what_is_no_short_text_is_named_and_left_out(repository):
    (repository / "weights.bin").write_bytes(b"\0\1\2")
    (repository / "latin.txt").write_bytes(b"caf\xe9")
    (repository / "big.csv").write_text("1,2\n" * 100_000)
    (repository / "link.py").symlink_to("/etc/hostname")
    os.mkfifo(repository / "pipe.py")

    facts = snapshot(repository, run_git)

    assert facts.documents == {}
    for name, why in (
        ("weights.bin", "not text"),
        ("latin.txt", "not text"),
        ("big.csv", "larger than 256 KiB"),
        ("link.py", "not a plain file"),
    ):
        assert f"{name} ({why})" in facts.unknown["untracked.rest"]


def test_secrets_are_not_kept(repository):
    token = "hf_" + "a" * 30
    (repository / "train.py").write_text(f"login({token!r})\n")
    (repository / "new.py").write_text("API_KEY = 'abcdef'\n")
    (repository / ".env").write_text("X=1\n")
    (repository / "server.pem").write_text("x\n")

    facts = snapshot(repository, run_git)

    assert token not in facts.documents["patch"]
    assert "masked" in facts.unknown["patch.masked"]
    assert untracked(facts) == {"new.py": "API_KEY = '***'\n"}
    assert ".env (may hold secrets)" in facts.unknown["untracked.rest"]


def test_a_change_too_large_keeps_the_first_files_whole(repository):
    (repository / "a.py").write_text("first\n")
    (repository / "b.csv").write_text(("1,2,3," * 1000 + "\n") * 180)
    git(repository, "add", ".")

    facts = snapshot(repository, run_git)

    assert "first" in facts.documents["patch"]
    assert "b.csv" not in facts.documents["patch"]
    assert "larger than 1 MiB" in facts.unknown["patch.rest"]


def test_a_git_that_does_not_answer_is_a_reason(tmp_path):
    def silent(args, cwd, *, limit_bytes, timeout_s):
        raise GitError("git did not answer within 10 s")

    assert snapshot(tmp_path, silent).unknown == {
        "patch": "git did not answer within 10 s",
        "untracked": "git did not answer within 10 s",
    }


def test_all_facts_are_about_the_work_tree_that_variables_of_git_name(repository, monkeypatch):
    """With `GIT_DIR` alone, that is the working directory, and not the folder with `.git`."""
    for name in ("sub/new.py", "above.py"):
        (repository / name).parent.mkdir(exist_ok=True)
        (repository / name).write_text("print(1)\n")
    monkeypatch.chdir(repository / "sub")
    monkeypatch.setenv("GIT_DIR", str(repository / ".git"))

    quick = quick_facts()
    facts = quick.merged(code_facts(quick, Surroundings.here()))

    assert quick.values["git.root"] == facts.values["git.root"] == str(repository / "sub")
    assert quick.values["git.dirty"] is facts.values["git.dirty"] is True
    assert "deleted file" in facts.documents["patch"]
    assert untracked(facts)["new.py"] == "print(1)\n"


def test_everything_together(repository, monkeypatch):
    (repository / "train.py").write_text("print(2)\n")
    monkeypatch.chdir(repository)
    monkeypatch.setenv("SLURM_ARRAY_JOB_ID", "70")
    monkeypatch.setenv("SLURM_JOB_ID", "71")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "3")

    quick = quick_facts()
    facts = quick.merged(environment_facts()).merged(code_facts(quick, Surroundings.here()))

    assert len(facts.values["git.commit"]) == 40
    assert facts.values["git.root"] == str(repository)
    assert facts.values["scheduler.kind"] == "slurm"
    assert facts.values["scheduler.job"] == "71"
    assert facts.values["scheduler.array_index"] == "3"
    assert facts.values["host.cpu_count"] >= 1
    assert facts.values["host.memory_bytes"] > 1 << 20
    assert "pytest==" in facts.documents["packages"]
    assert "print(2)" in facts.documents["patch"]
    assert facts.values["gpu.names"] if "gpu.names" in facts.values else facts.unknown["gpu.names"]


def test_a_gpu_tool_that_fails_is_a_reason(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\nexit 9\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    assert "failed" in environment_facts().unknown["gpu.names"]


def test_gpus_are_named(tmp_path, monkeypatch):
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA A100, 550.54, 40960 MiB'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)

    values = environment_facts().values

    assert values["gpu.names"] == ("NVIDIA A100",)
    assert values["gpu.driver"] == "550.54"


def test_a_program_outside_of_git_is_kept_with_its_own_modules(tmp_path):
    """Beside the script and elsewhere, loaded and imported within functions; secrets masked."""
    for name, text in {
        "scripts/helper.py": "X = 1\n",
        "scripts/later.py": "PASSWORD = 'hunter2secret99'\n",
        "scripts/unused.py": "Y = 1\n",
        "lib/elsewhere.py": "Z = 1\n",
        "scripts/train.py": (
            "import os, sys\n"
            "sys.path.insert(0, os.path.join(os.path.dirname(__file__), '..', 'lib'))\n"
            "import elsewhere, helper, runstore\n"
            "def later():\n    import later\n"
            "with runstore.start_run('fit', store=sys.argv[1]): pass\n"
        ),
    }.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)

    subprocess.run(
        [sys.executable, tmp_path / "scripts" / "train.py", tmp_path / "store"],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )

    with Store.open(tmp_path / "store", create=False) as store:
        kept = json.loads(store.document("fit#1", "untracked"))
    assert sorted(kept) == ["../lib/elsewhere.py", "helper.py", "later.py", "train.py"]
    assert kept["later.py"] == "PASSWORD = '***'\n"


def test_a_pod_of_kubernetes(monkeypatch):
    for name, value in {
        "KUBERNETES_SERVICE_HOST": "10.0.0.1",
        "HOSTNAME": "train-3-x7k2p",
        "POD_NAMESPACE": "vision",
        "JOB_COMPLETION_INDEX": "3",
    }.items():
        monkeypatch.setenv(name, value)

    assert scheduler_facts().values == {
        "scheduler.kind": "kubernetes",
        "scheduler.pod": "train-3-x7k2p",
        "scheduler.namespace": "vision",
        "scheduler.array_index": "3",
    }


def test_a_file_that_did_not_change_is_masked_once(tmp_path, monkeypatch):
    (tmp_path / "run.py").write_text("password = 'hunter2hunter2'\n")
    (tmp_path / "lib.py").write_text("lr = 1\n")
    program = [str(tmp_path / "run.py"), str(tmp_path / "lib.py")]
    first = program_alone(tmp_path, program)
    masked = []
    mask_text = kept_files.mask_text
    monkeypatch.setattr(
        kept_files,
        "mask_text",
        lambda text, name: masked.append(name) or mask_text(text, name),
    )

    again = program_alone(tmp_path, program)
    (tmp_path / "lib.py").write_text("lr = 2\n")
    changed = program_alone(tmp_path, program)

    assert again == first
    assert untracked(again)["run.py"] == "password = '***'\n"
    assert untracked(changed) == {**untracked(first), "lib.py": "lr = 2\n"}
    assert masked == ["lib.py"]
