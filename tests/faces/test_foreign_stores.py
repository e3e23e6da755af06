"""What another user left above the working directory is not used, unless the user opted in."""

import os
import subprocess
import sys

import pytest

from commands import but_the_first_line, messages, runstore_here
from other_users import ALICE, BOB, TEAM, skip_without_root
from runstore import Store, StoreWarning, started_in
from runstore.config import project_settings
from runstore.errors import StoreUnavailableError, UntrustedStoreError, UsageError
from runstore.location import find_place
from runstore.runner.project import Project
from runstore.storage.trust import foreign_stores, trusted

pytestmark = pytest.mark.folder_only("is about folders of other users")

RECORD = "import runstore\nwith runstore.start_run('fit', capture=False) as r: print(r.store.path)"
LIST = "import runstore; s = runstore.Store.open(create=False); print(s.path, len(s.find()))"


@pytest.fixture
def scratch(users):
    """A folder as /tmp, in which Bob has a store that everybody can write."""
    folder = users.folder("scratch", 0, 0o1777)
    users.said_by(BOB, RECORD, cwd=folder, umask=0)
    return folder


@pytest.fixture
def strange(tmp_path, monkeypatch):
    """A working directory; files whose name has `strange` in it seem to be somebody else's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(started_in, "STARTED_IN", str(tmp_path))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    monkeypatch.setattr(foreign_stores, "_said", set())
    return tmp_path


def give_away(path):
    """Give a file or folder to another user; skip, and say so, if only root can."""
    skip_without_root()
    os.chown(path, BOB, BOB, follow_symlinks=False)


# Two users


def test_a_store_of_another_user_above_is_passed_over(users, scratch):
    alice = users.folder("scratch/alice", ALICE, 0o700)

    ended = users.run(ALICE, RECORD, cwd=alice)

    assert ended.stdout.strip() == str(alice / ".runstore")
    assert f"The store at {scratch / '.runstore'} belongs to the user {BOB}" in ended.stderr
    assert f"runstore trust {scratch / '.runstore'}" in ended.stderr
    assert users.said_by(BOB, LIST, cwd=scratch) == f"{scratch / '.runstore'} 1"
    assert users.said_by(ALICE, LIST, cwd=alice) == f"{alice / '.runstore'} 1"


def test_a_link_of_another_user_to_nowhere_is_passed_over(users):
    scratch = users.folder("scratch", 0, 0o1777)
    (scratch / ".runstore").symlink_to("nowhere")
    os.lchown(scratch / ".runstore", BOB, BOB)
    alice = users.folder("scratch/alice", ALICE, 0o700)

    ended = users.run(ALICE, RECORD, cwd=alice)

    assert ended.stdout.strip() == str(alice / ".runstore")
    assert f"The store at {scratch / '.runstore'} belongs to the user {BOB}" in ended.stderr


def test_a_place_that_is_taken_by_another_user_is_refused(users, scratch):
    ended = users.run(ALICE, RECORD, cwd=scratch)

    assert ended.returncode == 1
    assert "UntrustedStoreError" in ended.stderr
    assert users.said_by(BOB, LIST, cwd=scratch).endswith(" 1")


def test_a_trusted_store_of_another_user_is_used(users, scratch):
    alice = users.folder("scratch/alice", ALICE, 0o700)
    store = scratch / ".runstore"

    said = users.said_by(ALICE, RECORD, cwd=alice, RUNSTORE_TRUST=f"/nowhere:{store}")

    assert said == str(store)


def test_trusting_a_folder_of_everybody_is_not_trusting_everybody(users, scratch):
    alice = users.folder("scratch/alice", ALICE, 0o700)
    os.chown(scratch / ".runstore", BOB, 0)  # the group of the folder, as on macOS

    ended = users.run(ALICE, RECORD, cwd=alice, RUNSTORE_TRUST=str(scratch))

    assert ended.stdout.strip() == str(alice / ".runstore")


@pytest.mark.parametrize(("group", "is_used"), [(TEAM, True), (BOB, False)])
def test_the_group_of_a_trusted_folder_is_trusted(users, group, is_used):
    team = users.folder("team", 0, 0o775, TEAM)
    project = users.folder("team/project", BOB, 0o755)
    users.said_by(BOB, RECORD, cwd=project, umask=0)
    os.chown(project / ".runstore", BOB, group)
    alice = users.folder("team/project/alice", ALICE)

    ended = users.run(ALICE, RECORD, cwd=alice, RUNSTORE_TRUST=str(team))

    used = project if is_used else alice
    assert ended.stdout.strip() == str(used / ".runstore")
    assert bool(but_the_first_line(ended.stderr)) is not is_used


def test_a_named_place_in_a_folder_of_everybody_may_be_taken(users, scratch):
    users.folder("scratch/runs", BOB, 0o777)
    users.folder("scratch/bob", BOB, 0o777)
    for place in (scratch / "runs", scratch / "bob" / "deep" / "runs"):
        code = f"import runstore; runstore.start_run('fit', store={str(place)!r}, capture=False)"

        ended = users.run(ALICE, code, cwd="/")

        assert "UntrustedStoreError" in ended.stderr
        assert f"was created by the user {BOB}" in ended.stderr
        assert not (place / "runstore.db").exists()


def test_a_named_store_of_another_user_can_be_read(users, scratch):
    store = scratch / ".runstore"

    code = LIST.replace("create=False", f"{str(store)!r}, create=False")

    assert users.said_by(ALICE, code, cwd="/") == f"{store} 1"


def test_root_in_a_folder_of_a_user_works_for_that_user(users, monkeypatch):
    """As in a container, in which root works on files of the machine's user."""
    project = users.folder("project", ALICE)
    users.said_by(ALICE, RECORD, cwd=project)
    monkeypatch.chdir(users.folder("project/deep", ALICE))

    assert find_place() == str(project / ".runstore")


def test_root_elsewhere_does_not_use_stores_of_users(users, scratch, monkeypatch):
    monkeypatch.chdir(users.folder("scratch/roots", 0))

    with pytest.warns(StoreWarning, match=f"belongs to the user {BOB}"):
        assert find_place() == str(scratch / "roots" / ".runstore")


def test_below_sudo_the_stores_of_who_called_it_are_used(users, scratch, monkeypatch):
    monkeypatch.chdir(users.folder("scratch/roots", 0))
    monkeypatch.setenv("SUDO_UID", str(BOB))

    assert find_place() == str(scratch / ".runstore")


# What was given away


def test_a_link_of_another_user_is_not_followed(strange):
    """Even to a store of one's own: another person would choose which."""
    (strange / "mine").mkdir()
    (strange / ".runstore").symlink_to(strange / "mine")
    (strange / "deep").mkdir()
    give_away(strange / ".runstore")
    os.chdir(strange / "deep")

    with pytest.raises(UntrustedStoreError):
        find_place()


def test_a_store_of_ones_own_that_is_linked_is_used(strange):
    (strange / "mine").mkdir()
    (strange / ".runstore").symlink_to(strange / "mine")

    assert find_place() == str(strange / ".runstore")


def test_a_project_file_that_its_user_cannot_read_is_named(users):
    home = users.folder("locked", ALICE)
    project = home / "pyproject.toml"
    project.write_text('[tool.runstore]\nstore = "/elsewhere"\n')
    os.chown(project, ALICE, ALICE)
    project.chmod(0)
    code = "from runstore.location import find_place; print(find_place(), find_place())"

    ended = users.run(ALICE, code, cwd=home)

    assert ended.returncode == 0, ended.stderr
    assert ended.stderr.count("pyproject.toml cannot be read: Permission denied.") == 1


def test_a_project_file_that_is_not_utf_8_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "pyproject.toml"
    file.write_bytes(b'# caf\xe9\n[tool.runstore]\nstore = "elsewhere"\n')

    with pytest.raises(UsageError, match=r"pyproject\.toml is not valid TOML: 'utf-8' codec"):
        find_place()

    file.write_text("[tool.runstore]\nstore = " + "[" * 50_000)
    with pytest.raises(UsageError, match=r"pyproject\.toml cannot be read: it is nested too deep"):
        find_place()

    file.write_bytes(b"# caf\xe9\n[project]\n")
    assert project_settings(str(tmp_path)) == ({}, str(tmp_path))


@pytest.mark.parametrize("text", ["tool = 3", "[[tool]]", "[tool]\nrunstore = 3"])
def test_a_project_file_whose_tools_are_no_table_sets_nothing(tmp_path, text):
    (tmp_path / "pyproject.toml").write_text(f"# of runstore\n{text}\n")

    assert project_settings(str(tmp_path)) == ({}, str(tmp_path))


def test_a_project_file_of_another_user_sets_nothing(strange):
    project = strange / "pyproject.toml"
    project.write_text('[tool.runstore]\nstore = "/elsewhere"\n')
    assert find_place() == "/elsewhere"
    give_away(project)

    with pytest.warns(StoreWarning, match=r"pyproject\.toml belongs to .* runstore trust"):
        assert project_settings(str(strange)) == ({}, str(strange))
    assert find_place() == str(strange / ".runstore")
    trusted.trust(str(strange))
    os.chown(strange, BOB, -1)
    assert find_place() == "/elsewhere"


def test_a_project_file_of_another_user_without_settings_is_not_mentioned(strange, recwarn):
    project = strange / "pyproject.toml"
    project.write_text('[project]\ndependencies = ["runstore"]\n')
    give_away(project)

    assert find_place() == str(strange / ".runstore")
    assert list(recwarn) == []


def test_a_checkout_of_another_user_is_no_place_for_a_store(strange):
    (strange / ".git").mkdir()
    (strange / "deep").mkdir()
    os.chdir(strange / "deep")
    assert find_place() == str(strange / ".runstore")
    give_away(strange / ".git")

    started_in.STARTED_IN = str(strange / "deep")
    assert find_place() == str(strange / "deep" / ".runstore")


def test_experiments_of_another_user_are_not_run(strange):
    (strange / "experiments").mkdir()
    (strange / "deep").mkdir()
    os.chdir(strange / "deep")
    assert Project.find().root == strange
    give_away(strange / "experiments")

    with pytest.warns(StoreWarning, match="experiments belongs to"):
        assert Project.find().root == strange / "deep"


def test_parameters_of_another_user_beside_ones_own_experiments_are_not_run(strange):
    for name in ("experiments", "params"):
        (strange / name).mkdir()
    give_away(strange / "params")

    with pytest.warns(StoreWarning, match="params belongs to"):
        assert Project.find().params == strange / "experiments"


def test_the_store_of_another_user_is_named_once(strange, recwarn):
    (strange / ".runstore").mkdir()
    give_away(strange / ".runstore")
    (strange / "deep").mkdir()
    os.chdir(strange / "deep")
    started_in.STARTED_IN = str(strange / "deep")

    for _ in range(3):
        find_place()

    assert len(recwarn) == 1


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, lambda path: path.write_bytes(b"\xff")])
def test_a_project_file_that_is_none_is_passed_over(strange, make):
    make(strange / "pyproject.toml")

    assert find_place() == str(strange / ".runstore")


# The list


def test_folders_are_trusted_by_a_command(strange, monkeypatch):
    team = strange / "my team"
    team.mkdir()

    told = runstore_here("trust", "my team", "*", cwd=strange)
    again = runstore_here("trust", str(team), cwd=strange)

    assert told.stdout == f"trusted {team}\ntrusted *\n"
    assert again.returncode == 0
    assert runstore_here("trust", cwd=strange).stdout == f"{team}\n*\n"
    assert runstore_here("trust", "--json", cwd=strange).stdout.split() == [
        "[",
        f'"{strange}/my',
        'team",',
        '"*"',
        "]",
    ]
    listed = strange / "settings" / "runstore" / "trusted-folders"
    assert listed.stat().st_mode & 0o777 == 0o600
    assert listed.parent.stat().st_mode & 0o777 == 0o700
    assert runstore_here("trust", "--remove", "*", cwd=strange).returncode == 0
    assert runstore_here("trust", cwd=strange).stdout == f"{team}\n"
    assert runstore_here("trust", "--remove", str(team), cwd=strange).returncode == 0
    assert messages(runstore_here("trust", cwd=strange)) == ["runstore: no folders are trusted."]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 3, "There is no folder"),
        (["--remove", "/nowhere"], 3, "is not in the list"),
        (["--remove"], 2, "No folder is named"),
    ],
)
def test_a_folder_that_makes_no_sense_is_refused(strange, words, code, said):
    ended = runstore_here("trust", *words, cwd=strange)

    assert ended.returncode == code
    assert said in ended.stderr


def test_a_folder_cannot_smuggle_in_another(strange):
    (strange / "a\n*").mkdir()

    with pytest.raises(UsageError, match="line break"):
        trusted.trust(str(strange / "a\n*"))

    assert trusted.listed() == []


def test_comments_and_relative_lines_are_kept_and_ignored(strange):
    trusted.trust("/data/team")
    listed = trusted.list_file()
    listed.write_text("# ours\n\nrelative\n/data/team\n/data/more\n")

    trusted.distrust("/data/team")

    assert trusted.listed() == ["/data/more"]
    assert listed.read_text() == "# ours\n\nrelative\n/data/more\n"


def test_a_list_that_others_can_write_counts_as_empty(strange):
    trusted.trust("*")
    trusted.list_file().chmod(0o666)

    assert trusted.listed() == []
    with pytest.raises(StoreUnavailableError, match="other users can write it"):
        trusted.trust("/data")


def test_a_list_of_another_user_counts_as_empty(strange):
    trusted.trust("*")
    give_away(trusted.list_file())

    assert trusted.listed() == []


def test_a_list_that_is_no_file_counts_as_empty(strange):
    trusted.list_file().parent.mkdir(parents=True)
    os.mkfifo(trusted.list_file())

    assert trusted.listed() == []


def test_without_a_home_only_the_variable_counts(monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", "relative")
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)

    assert trusted.list_file() is None
    assert trusted.listed() == []
    with pytest.raises(UsageError, match="home folder is unknown"):
        trusted.trust("/data")


def test_a_store_of_ones_own_loads_nothing_more(tmp_path):
    """Whose store it is, is told by its owner alone; the list is read for stores of others."""
    (tmp_path / ".runstore").mkdir()
    code = (
        "import sys, runstore; runstore.start_run('fit', capture=False).finish();"
        "print([one for one in sys.modules if 'trust' in one or 'foreign' in one])"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert ended.stdout.strip() == "[]"
    with Store.open(tmp_path / ".runstore") as store:
        assert len(store.find()) == 1
