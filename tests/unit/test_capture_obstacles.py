"""What is kept of the code when git is slow, a filter is missing, or files crowd it out."""

import json
import os
import subprocess

import pytest

from commands import git, python, runstore
from runstore.capture.git.snapshot import snapshot
from runstore.capture.git.state import GitError, read_head, run_git
from runstore.capture.secrets import mask_patch, mask_text
from runstore.capture.surroundings import Surroundings, code_facts, quick_facts

# Larger than any patch, in few lines, which git compares sooner.
LARGE = ("1" * 999 + "\n") * 1_400


def untracked(facts):
    return json.loads(facts.documents["untracked"])


def head_of(folder):
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=folder, check=True, capture_output=True, text=True
    )
    return answer.stdout.strip()


@pytest.fixture
def hanging_git(tmp_path, monkeypatch):
    """Let git answer nothing but what is asked of its objects."""
    fake = tmp_path / "bin"
    fake.mkdir()
    (fake / "git").write_text("#!/bin/sh\nexec sleep 60\n")
    (fake / "git").chmod(0o755)
    monkeypatch.setenv("PATH", str(fake), prepend=os.pathsep)


@pytest.mark.parametrize(
    "state", ["loose", "packed", "detached", "linked work tree", "sub/folder"]
)
def test_a_hanging_git_does_not_cost_the_commit(repository, tmp_path, hanging_git, state):
    real = os.environ["PATH"].partition(os.pathsep)[2]
    place, branch = repository, "work"

    def ask(*arguments):
        who = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
        environment = {**os.environ, "PATH": real}
        answer = subprocess.run(
            ["git", *who, *arguments], cwd=place, env=environment, check=True, capture_output=True
        )
        return answer.stdout.decode().strip()

    if state == "packed":
        ask("pack-refs", "--all")
    elif state == "detached":
        ask("checkout", "-q", "--detach")
        branch = "(detached)"
    elif state == "linked work tree":
        ask("worktree", "add", "-q", "-b", "feature/x", str(tmp_path / "linked"))
        place, branch = tmp_path / "linked", "feature/x"
    elif state == "sub/folder":
        ask("checkout", "-q", "-b", "a/b")
        branch = "a/b"
    commit = ask("rev-parse", "HEAD")

    facts = read_head(place, timeout_s=0.2)

    assert facts.values == {"git.commit": commit, "git.branch": branch, "git.root": str(place)}
    assert "did not answer" in facts.unknown["git.dirty"]


@pytest.mark.parametrize("head", ["", "ref: refs/heads/gone", "ref: ../../x", "zzz", "ref: "])
def test_a_head_that_says_nothing_is_unknown(repository, hanging_git, head):
    (repository / ".git" / "HEAD").write_text(head)

    assert "git.commit" in read_head(repository, timeout_s=0.1).unknown


def test_what_git_status_could_not_tell_is_known_later(repository, monkeypatch):
    (repository / "train.py").write_text("print(2)\n")
    where = Surroundings(folder=repository)
    quick = quick_facts(where)
    late = type(quick)(
        values={name: one for name, one in quick.values.items() if name != "git.dirty"}
    )

    facts = late.merged(code_facts(late, where))

    assert facts.values["git.dirty"] is True
    assert "print(2)" in facts.documents["patch"]


def test_a_missing_filter_costs_neither_commit_nor_code(repository):
    (repository / "big.bin").write_text("data\n")
    (repository / ".gitattributes").write_text("*.bin filter=lfs\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    git(repository, "config", "filter.lfs.clean", "no-such-program %f")
    git(repository, "config", "filter.lfs.required", "true")
    (repository / "big.bin").write_text("other\n")
    (repository / "train.py").write_text("print(2)\n")

    head = read_head(repository)
    facts = snapshot(repository, run_git)

    assert head.values["git.commit"] == head_of(repository)
    assert "print(2)" in facts.documents["patch"]
    assert "filter" in facts.unknown["patch.filters"]


def test_large_changes_do_not_crowd_out_code(repository):
    for name in ("a.csv", "model.py", "z.csv"):
        (repository / name).write_text("0\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    for name in ("a.csv", "z.csv"):
        (repository / name).write_text(("0," * 500 + "\n") * 1100)
    for name in ("model.py", "train.py"):
        (repository / name).write_text(f"changed = '{name}'\n")

    facts = snapshot(repository, run_git)

    assert "changed = 'model.py'" in facts.documents["patch"]
    assert "changed = 'train.py'" in facts.documents["patch"]
    assert "a.csv (" in facts.unknown["patch.rest"]


def test_each_change_is_masked_once_and_none_that_is_too_large(repository, monkeypatch):
    """Masking a megabyte takes seconds."""
    masked = []

    def noting(mask):
        return lambda text, *words: masked.append(text) or mask(text, *words)

    for mask in (mask_patch, mask_text):
        monkeypatch.setattr(f"runstore.capture.git.patch.{mask.__name__}", noting(mask))
    long = b"1" * 999  # git compares few lines sooner
    ends = {"large": b"\n", "bytes": b"# \xe9\n", "mixed": b"\r\n"}
    line_of = {"small": b"1\n", **{name: long + end for name, end in ends.items()}}
    for name in line_of:
        (repository / f"{name}.py").write_bytes(b"0\n0\r\n" if name == "mixed" else b"0\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "four")
    for name, line in line_of.items():
        (repository / f"{name}.py").write_bytes(line * (1 if name == "small" else 1_400))

    facts = snapshot(repository, run_git)

    assert ["small.py" in one for one in masked] == [True]
    for name in ("large.py", "bytes.py", "mixed.py"):
        assert f"{name} (its change is larger than 1 MiB)" in facts.unknown["patch.rest"]


def test_changes_without_a_patch_have_fingerprints(repository):
    """Nothing that depends on the contents of a secret file is stored."""
    for name in ("big.csv", "gone.csv", ".env"):
        (repository / name).write_text(LARGE.replace("1", "0"))
    git(repository, "add", "-f", ".")
    git(repository, "commit", "-qm", "two")
    (repository / "gone.csv").unlink()
    marks = []
    for text in ("1", "2", "2"):
        (repository / "big.csv").write_text(LARGE.replace("1", text))
        (repository / ".env").write_text(f"{text}\n")
        os.utime(repository / ".env", (1, 1))
        marks.append(snapshot(repository, run_git).values["patch.others"])

    assert [one.partition(" ")[2] for one in marks[0]] == [".env", "big.csv", "gone.csv"]
    assert marks[0][0] == marks[1][0] == "size:2:time:1000000000 .env"
    assert marks[0][1].startswith("sha256:")
    assert marks[0][1] != marks[1][1]
    assert marks[1] == marks[2]


def test_a_tracked_file_of_secrets_is_named(repository):
    (repository / ".env").write_text("X=1\n")
    git(repository, "add", "-f", ".env")
    git(repository, "commit", "-qm", "two")
    (repository / ".env").write_text("X=2\n")

    facts = snapshot(repository, run_git)

    assert "patch" not in facts.documents
    assert ".env (may hold secrets)" in facts.unknown["patch.rest"]


def test_the_script_is_kept_before_thousands_of_new_files(repository):
    for number in range(1200):
        (repository / f"a{number:04}.txt").write_text("x")
    (repository / "zz.py").write_text("model = 1\n")

    facts = snapshot(repository, run_git)

    assert untracked(facts)["zz.py"] == "model = 1\n"
    assert "more than 1000" in facts.unknown["untracked.cut"]


def test_an_ignored_script_is_kept_and_its_neighbours_are_not(repository):
    (repository / "ignored").mkdir()
    (repository / "ignored" / "try.py").write_text("lr = 1\n")
    (repository / "ignored" / "data.py").write_text("private\n")

    facts = snapshot(repository, run_git, program=[str(repository / "ignored" / "try.py")])

    assert untracked(facts) == {"ignored/try.py": "lr = 1\n"}


def test_a_script_elsewhere_is_kept(repository, tmp_path):
    (tmp_path / "tool.py").write_text("lr = 1\n")

    facts = snapshot(repository, run_git, program=[str(tmp_path / "tool.py")])

    assert untracked(facts) == {str(tmp_path / "tool.py"): "lr = 1\n"}


def test_the_script_outside_of_git_is_kept_with_its_modules(tmp_path):
    (tmp_path / "model.py").write_text("size = 3\n")
    (tmp_path / "unused.py").write_text("size = 4\n")
    (tmp_path / "train.py").write_text(
        "import model, runstore\nwith runstore.start_run('fit', store='.runstore'): pass\n"
    )

    python("train.py", cwd=tmp_path)

    shown = runstore("show", "fit#1", "--document", "untracked", cwd=tmp_path).stdout
    assert set(json.loads(shown)) == {"train.py", "model.py"}


def test_the_repository_of_the_script_counts_where_the_folder_has_none(repository, tmp_path):
    place = Surroundings(folder=tmp_path, scripts=(str(repository / "train.py"),))

    assert quick_facts(place).values["git.commit"] == head_of(repository)


def test_code_in_latin_1_is_kept(repository):
    (repository / "new.py").write_bytes(b"# caf\xe9\n")

    facts = snapshot(repository, run_git)

    assert untracked(facts)["new.py"].encode("latin-1") == b"# caf\xe9\n"
    assert facts.unknown["untracked.encoding"] == "new.py (latin-1)"


def test_staged_files_before_the_first_commit_are_kept(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "staged.py").write_text("lr = 1\n")
    git(tmp_path, "add", "staged.py")

    facts = snapshot(tmp_path, run_git)

    assert "+lr = 1" in facts.documents["patch"]


def test_a_conflict_is_kept(repository, tmp_path):
    git(repository, "checkout", "-qb", "other")
    (repository / "train.py").write_text("theirs\n")
    git(repository, "commit", "-qam", "theirs")
    git(repository, "checkout", "-q", "work")
    (repository / "train.py").write_text("ours\n")
    git(repository, "commit", "-qam", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        git(repository, "merge", "other")

    patch = snapshot(repository, run_git).documents["patch"]

    (tmp_path / "kept.patch").write_text(patch)
    git(tmp_path, "clone", "-q", "repo", "fresh")
    git(tmp_path / "fresh", "apply", "../kept.patch")
    assert (tmp_path / "fresh" / "train.py").read_text() == (repository / "train.py").read_text()


def test_the_secret_of_a_binary_file_is_not_kept(repository):
    (repository / "state.bin").write_bytes(b"\0\1")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    (repository / "state.bin").write_bytes(b"\0\1\0 hf_" + b"a" * 30)

    facts = snapshot(repository, run_git)

    assert "patch" not in facts.documents
    assert "state.bin (may hold secrets)" in facts.unknown["patch.rest"]


@pytest.mark.parametrize("sign", ["+", "-", " "])
def test_a_key_in_a_patch_is_masked_line_by_line(sign):
    lines = [
        "-----BEGIN RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA75",
        "abc/+=",
        "-----END RSA PRIVATE KEY-----",
    ]
    patch = "@@ -1,5 +1,5 @@\n" + "".join(f"{sign}{line}\n" for line in (*lines, "x = 1"))

    masked = mask_patch(patch)

    assert "MIIE" not in masked
    assert "abc/" not in masked
    assert masked.count("\n") == patch.count("\n")
    assert all(line.startswith(sign) for line in masked.splitlines()[1:])
    assert masked.endswith(f"{sign}x = 1\n")


def test_a_masked_patch_keeps_its_lines(repository, tmp_path):
    (repository / "train.py").write_text("token = \\\n  'abcdefgh'\npassword = 'x1y2z3'\nlr = 1\n")

    facts = snapshot(repository, run_git)

    assert "x1y2z3" not in facts.documents["patch"]
    assert facts.unknown["patch.masked"]
    git(tmp_path, "clone", "-q", "repo", "fresh")
    (tmp_path / "kept.patch").write_text(facts.documents["patch"])
    git(tmp_path / "fresh", "apply", "../kept.patch")
    assert "lr = 1" in (tmp_path / "fresh" / "train.py").read_text()


def test_a_changed_submodule_is_in_the_patch_and_its_own_changes_are_marked(repository, tmp_path):
    git(tmp_path, "clone", "-q", "repo", "part")
    git(
        repository,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "add",
        "-q",
        str(tmp_path / "part"),
        "part",
    )
    git(repository, "commit", "-qam", "two")
    (repository / "part" / "train.py").write_text("inside\n")

    inside = snapshot(repository, run_git)
    git(repository / "part", "commit", "-qam", "inside")
    moved = snapshot(repository, run_git)

    assert "patch" not in inside.documents
    assert inside.unknown["patch.submodules"] == "a submodule has changes of its own"
    assert "+Subproject commit" in moved.documents["patch"]
    assert moved.unknown == {}


def test_a_file_that_cannot_be_read_costs_no_other(repository):
    if os.geteuid() == 0:
        pytest.skip("root reads every file")
    (repository / "other.py").write_text("x\n")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    (repository / "other.py").write_text("yy\n")
    (repository / "other.py").chmod(0)
    (repository / "train.py").write_text("print(2)\n")

    facts = snapshot(repository, run_git)

    assert "print(2)" in facts.documents["patch"]
    assert "other.py (" in facts.unknown["patch.rest"]


def test_time_that_runs_out_names_what_is_missing(repository):
    (repository / "train.py").write_text("print(2)\n")

    def slow(args, cwd, *, limit_bytes, timeout_s):
        if "--binary" in args:
            raise GitError("git did not answer within 10 s")
        return run_git(args, cwd, limit_bytes=limit_bytes, timeout_s=timeout_s)

    facts = snapshot(repository, slow)

    assert facts.values["git.dirty"] is True
    assert "train.py (git did not answer" in facts.unknown["patch.rest"]


@pytest.mark.parametrize("option", ["--assume-unchanged", "--skip-worktree"])
def test_changes_that_git_does_not_see_are_kept(repository, option):
    (repository / "same.py").write_text("x\n")
    (repository / "odd.bin").write_bytes(b"\0")
    git(repository, "add", ".")
    git(repository, "commit", "-qm", "two")
    git(repository, "update-index", option, "train.py", "same.py", "odd.bin")
    (repository / "train.py").write_text("print(2)\n")

    text = snapshot(repository, run_git, has_changes=False, has_new_files=False)
    (repository / "odd.bin").write_bytes(b"\0other")
    binary = snapshot(repository, run_git)

    assert untracked(text) == {"train.py": "print(2)\n"}
    assert text.values["git.hidden"] == ("train.py",)
    assert text.unknown == {}
    assert "patch.hidden" in binary.unknown
    assert "odd.bin (not text)" in binary.unknown["untracked.rest"]
