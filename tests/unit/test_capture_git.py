"""What git tells, in real repositories, and what happens when it does not."""

import os
import resource
import stat
import time
from contextlib import suppress
from pathlib import Path

import pytest

from commands import git
from runstore.capture.git import remote, tracked
from runstore.capture.git.asking import Asker
from runstore.capture.git.remote import read_remote
from runstore.capture.git.snapshot import snapshot
from runstore.capture.git.state import GitError, read_head, run_git
from runstore.capture.program.files import LoadedModule


def test_a_clean_work_tree(repository):
    facts = read_head(repository)

    assert len(facts.values["git.commit"]) == 40
    assert facts.values["git.branch"] == "work"
    assert facts.values["git.dirty"] is False
    assert facts.values["git.has_untracked"] is False
    assert facts.unknown == {}


def test_changes_are_dirty_and_new_files_are_told_apart(repository):
    (repository / "new.py").write_text("x")
    untracked = read_head(repository).values
    (repository / "train.py").write_text("print(2)\n")
    changed = read_head(repository).values
    git(repository, "add", "train.py")
    staged = read_head(repository).values

    assert (untracked["git.dirty"], untracked["git.has_untracked"]) == (False, True)
    assert changed["git.dirty"] is True
    assert staged["git.dirty"] is True


def test_a_repository_without_a_commit(tmp_path):
    git(tmp_path, "init", "-q")

    assert "no commit yet" in read_head(tmp_path).unknown["git.commit"]


def test_a_folder_without_git(tmp_path):
    facts = read_head(tmp_path)

    assert facts.values == {}
    assert facts.unknown["git.commit"] == "not in a git repository"


def test_a_missing_git(repository, monkeypatch):
    monkeypatch.setenv("PATH", "/nonexistent")

    facts = read_head(repository)

    assert facts.unknown == {
        "git.dirty": "git is not installed",
        "git.has_untracked": "git is not installed",
    }
    assert len(facts.values["git.commit"]) == 40
    assert facts.values["git.branch"] == "work"


def test_a_deleted_folder(tmp_path):
    assert "git.commit" in read_head(tmp_path / "gone").unknown


def is_alive(pid):
    with suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_a_hanging_git_is_ended_with_its_children(repository, tmp_path, monkeypatch):
    fake = tmp_path / "bin"
    fake.mkdir()
    tool = fake / "git"
    tool.write_text(f"#!/bin/sh\nsleep 60 &\necho $! > {tmp_path}/child\nwait\n")
    (tmp_path / "child").touch()
    tool.chmod(tool.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{fake}:{os.environ['PATH']}")

    for timeout_s in (0.3, 3, 30):
        facts = read_head(repository, timeout_s=timeout_s)
        assert "did not answer" in facts.unknown["git.dirty"]
        assert len(facts.values["git.commit"]) == 40
        if child := (tmp_path / "child").read_text():  # it had the time to begin
            break
    deadline = time.monotonic() + 60
    while is_alive(int(child)):
        assert time.monotonic() < deadline, "the child of git is still there"
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://ada:s3cret@example.org/a.git", "s3cret"),
        ("https://ghp_abcdefghijklmnopqrstuvwxyz0123456789@example.org/a.git", "ghp_"),
    ],
)
def test_credentials_leave_the_remote(repository, url, kept):
    git(repository, "remote", "add", "origin", url)

    remote = read_remote(repository).values["git.remote"]

    assert kept not in remote
    assert "example.org/a.git" in remote


def calls_of_git(monkeypatch):
    """Return a list that gets the verb of each call about the remote."""
    verbs = []

    def run(args, cwd, **options):
        verbs.append(args[0])
        return run_git(args, cwd, **options)

    monkeypatch.setattr(remote, "run_git", run)
    return verbs


def test_the_remote_and_the_top_folder_take_one_call(repository, tmp_path, monkeypatch):
    git(repository, "remote", "add", "other", "there.git")
    git(repository, "remote", "add", "origin", "here.git")
    (tmp_path / "link").symlink_to(repository)
    verbs = calls_of_git(monkeypatch)

    for place in (repository, tmp_path / "link"):
        assert read_remote(place).values == {"git.root": str(repository), "git.remote": "here.git"}

    assert verbs == ["config", "config"]


def test_a_repository_without_a_remote(repository, monkeypatch):
    verbs = calls_of_git(monkeypatch)

    facts = read_remote(repository)

    assert facts.values == {"git.root": str(repository)}
    assert facts.unknown == {"git.remote": "the repository has no remote"}
    assert verbs == ["config"]


def elsewhere(kind, repository, tmp_path):
    """Return a folder from which git finds another top folder than the one with `.git`."""
    if kind == "a folder below":
        (repository / "sub").mkdir()
        return repository / "sub", repository
    if kind == "a .git folder that is no repository":
        (repository / "sub" / ".git").mkdir(parents=True)
        return repository / "sub", repository
    if kind == "a linked work tree":
        git(repository, "worktree", "add", "-q", str(tmp_path / "linked"))
        return tmp_path / "linked", tmp_path / "linked"
    (tmp_path / "tree").mkdir()
    git(repository, "config", "core.worktree", str(tmp_path / "tree"))
    return repository, tmp_path / "tree"


@pytest.mark.parametrize(
    "kind",
    [
        "a folder below",
        "a .git folder that is no repository",
        "a linked work tree",
        "a work tree elsewhere",
    ],
)
def test_the_top_folder_is_that_of_git(repository, tmp_path, kind):
    git(repository, "remote", "add", "origin", "here.git")
    place, top = elsewhere(kind, repository, tmp_path)

    assert read_remote(place).values == {"git.root": str(top), "git.remote": "here.git"}


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_WORK_TREE": "{}"},
        {"GIT_DIR": ".git", "GIT_WORK_TREE": "{}"},
        {
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "core.worktree",
            "GIT_CONFIG_VALUE_0": "{}",
        },
    ],
)
def test_variables_of_git_may_name_another_top_folder(
    repository, tmp_path, monkeypatch, variables
):
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(tmp_path))
    asked = ["rev-parse", "--show-toplevel"]
    top = run_git(asked, repository, limit_bytes=1000, timeout_s=30).decode().rstrip()

    assert read_remote(repository).values["git.root"] == top


def test_a_name_that_ends_in_a_new_line(repository):
    odd = repository.rename(f"{repository}\n\n")

    for place in (odd, odd / "sub"):
        place.mkdir(exist_ok=True)
        assert read_remote(place).values["git.root"] == str(odd)


def test_the_url_of_a_remote_with_spaces_and_lines(repository):
    with (repository / ".git" / "config").open("a") as config:
        config.write('[remote "my own"]\n\turl = "first\\nremote.origin.url second"\n')

    assert read_remote(repository).values["git.remote"] == "first\nremote.origin.url second"


def test_programs_of_the_configuration_are_not_run(repository, tmp_path):
    marker = tmp_path / "ran"
    for key in ("core.fsmonitor", "diff.external", "core.pager"):
        git(repository, "config", key, f"touch {marker}; true")
    (repository / "train.py").write_text("print(3)\n")

    read_head(repository)
    run_git(
        ["diff", "HEAD", "--no-ext-diff", "--no-textconv"],
        repository,
        limit_bytes=10_000,
        timeout_s=5,
    )

    assert not marker.exists()


def test_an_answer_over_the_limit_is_cut(repository):
    (repository / "train.py").write_text("x = 1\n" * 10_000)

    assert len(run_git(["diff", "HEAD"], repository, limit_bytes=1000, timeout_s=5)) == 1001


def test_a_refusal_is_told(repository):
    with pytest.raises(GitError):
        run_git(["no-such-command"], repository, limit_bytes=100, timeout_s=5)


def test_a_program_with_a_thousand_open_files(repository):
    """`select` refuses descriptors above 1023."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 1300:
        pytest.skip("not that many files may be open here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 1300), hard))
    files = [os.open(os.devnull, os.O_RDONLY)]
    try:
        while files[-1] < 1100:
            files.append(os.open(os.devnull, os.O_RDONLY))

        assert "git.commit" in read_head(repository).values
    finally:
        for one in files:
            os.close(one)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_clean_checkout_is_asked_about_two_times(repository):
    """Files that git keeps are listed once, for the program, its modules and hidden changes."""
    asked = []

    def run(args, cwd, **limits):
        asked.append(args[:2])
        return run_git(args, cwd, **limits)

    snapshot(
        repository,
        run,
        program=[str(repository / "train.py")],
        modules={"train": LoadedModule(str(repository / "train.py"), None)},
        has_changes=False,
        has_new_files=False,
    )

    assert asked == [["ls-files", "-v"], ["ls-files", "--others"]]


@pytest.mark.parametrize("limit", [1 << 24, 10, 0])
def test_kept_files_are_known_if_the_list_of_all_is_cut(repository, monkeypatch, limit):
    (repository / "zoo.py").write_text("")
    git(repository, "add", "zoo.py")
    (repository / "new.py").write_text("")
    monkeypatch.setattr(tracked, "_LIST_LIMIT_BYTES", limit)
    monkeypatch.setattr(tracked, "_ASKED_LIMIT_BYTES", 1 << 24)

    kept = tracked.Tracked(Asker(repository, run_git))

    assert kept.among(["train.py", "zoo.py", "new.py", "gone.py"]) == {"train.py", "zoo.py"}
    assert kept.among([]) == set()


def test_no_file_is_known_to_be_kept_if_git_fails(tmp_path):
    kept = tracked.Tracked(Asker(tmp_path, run_git))

    assert kept.among(["train.py"]) == set()
    assert kept.flagged() == []
