"""Who may read and write what runstore makes: it follows the folder, for groups to share it."""

import os
import stat
from contextlib import contextmanager
from pathlib import Path

import pytest

from other_users import ALICE, TEAM, skip_without_root
from runstore import ManagerStore, Store
from runstore.location import make_folder
from runstore.storage.sqlite import paths


@contextmanager
def umask(mask):
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@pytest.fixture
def folder_with(tmp_path):
    """Make a folder with these rights."""

    def made(mode, name="store"):
        path = tmp_path / name
        path.mkdir()
        path.chmod(mode)
        return path

    return made


def modes_in(folder):
    """Return the rights of everything in a folder, by name."""
    return {
        str(path.relative_to(folder)): stat.S_IMODE(path.lstat().st_mode)
        for path in folder.rglob("*")
    }


def fill(folder):
    """Make every file that a store has at its top, and return their rights while it is open."""
    with Store.open(folder) as store:
        store.start("fit", notes="warm up", capture=False).finish()
        list(store.grep("warm"))
        store.backend.database.driver.copy_aside("before-schema-0000")
        kept = ManagerStore(folder)
        kept.save()
        modes = modes_in(folder)
    return {name: mode for name, mode in modes.items() if "/" not in name}


SHARED = {"runstore.db", "runstore.db-wal", "runstore.db-shm", "search.db", "store.json",
          ".store.json.lock", "runstore.db.before-schema-0000"}  # fmt: skip


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o2775, 0o664), (0o2770, 0o660), (0o770, 0o660), (0o777, 0o666), (0o700, 0o600)],
)
def test_files_have_the_rights_of_those_who_share_the_folder(folder_with, mask, mode, expected):
    folder = folder_with(mode)

    with umask(mask):
        modes = fill(folder)

    if mode & 0o007 == 0o005:  # who may only read goes by the umask of those who write
        expected &= ~(mask & 0o007)
    assert {name: oct(modes[name]) for name in SHARED if modes[name] != expected} == {}


@pytest.mark.parametrize("mask", [0o002, 0o022, 0o077])
def test_what_a_run_leaves_can_be_used_by_those_who_share_the_folder(folder_with, mask):
    folder = folder_with(0o2770)

    with umask(mask), Store.open(folder) as store:
        run = store.start("fit", capture=False)
        run.keep_output()
        print("epoch 1")
        run.log(loss=0.5)
        run.save("model.bin", b"weights")
        store.backend.spool.keep(run.uid, "notes", {"notes": "warm", "author": "ada"})
        during = modes_in(folder)
        run.finish()
        after = modes_in(folder)

    in_flight = {Path(name).suffix for name in during if name.startswith("spool/")}
    assert in_flight >= {".points", ".json"}
    for name, mode in (during | after).items():
        is_contents = name.startswith("objects/") and len(Path(name).name) == 62
        expected = {0o2770, 0o440 if is_contents else 0o660}
        assert mode in expected, (name, oct(mode))


@pytest.mark.parametrize(("mask", "expected"), [(0o022, 0o644), (0o077, 0o600), (0o027, 0o640)])
def test_files_in_a_folder_of_ones_own_go_by_the_umask(folder_with, mask, expected):
    folder = folder_with(0o755)

    with umask(mask):
        modes = fill(folder)

    assert {name: oct(modes[name]) for name in SHARED if modes[name] != expected} == {}


def test_files_get_the_group_of_the_folder_even_without_setgid(folder_with):
    skip_without_root()
    folder = folder_with(0o775)
    os.chown(folder, -1, TEAM)

    fill(folder)

    assert {one.name: one.stat().st_gid for one in folder.glob("*.*")}.keys() >= {"runstore.db"}
    assert {one.stat().st_gid for one in folder.iterdir() if one.name in SHARED} == {TEAM}


def test_a_group_that_a_user_is_not_in_is_no_obstacle(folder_with, monkeypatch):
    folder = folder_with(0o775)
    monkeypatch.setattr(os, "fchown", refused)
    file = folder / "file"
    with file.open("xb") as made:
        found = os.fstat(made.fileno())
        about = os.stat_result((*folder.stat()[:5], found.st_gid + 1, *folder.stat()[6:]))

        paths.follow_folder(made.fileno(), about)

        assert stat.S_IMODE(os.fstat(made.fileno()).st_mode) & 0o060 == 0o060


def refused(*_arguments):
    raise PermissionError


def test_folders_made_in_a_shared_one_are_shared(folder_with):
    folder = folder_with(0o2770)

    with umask(0o077):
        paths.make_folders(folder / "runs" / "fit_1" / "artifacts")
        paths.make_folders(folder / "runs" / "fit_1" / "artifacts")

    assert set(modes_in(folder).values()) == {0o2770}


def test_a_new_store_goes_by_the_umask(folder_with):
    """A folder such as /tmp is everybody's, and a store in it is not."""
    folder = folder_with(0o1777)

    with umask(0o022):
        make_folder(folder / ".runstore")

    assert modes_in(folder) == {".runstore": 0o755, ".runstore/.gitignore": 0o644}


def test_what_root_makes_in_a_store_of_a_user_is_the_users(folder_with):
    """As in a container, in which root works on files of the machine's user."""
    skip_without_root()
    folder = folder_with(0o755, "project")
    os.chown(folder, ALICE, ALICE)

    make_folder(folder / "of" / "ours" / ".runstore")
    fill(folder / "of" / "ours" / ".runstore")
    with Store.open(folder / "of" / "ours" / ".runstore") as store:
        run = store.start("fit", capture=False)
        run.keep_output()
        print("epoch 1")
        run.log(loss=0.5)
        run.save("model.bin", b"weights")
        store.backend.spool.keep(run.uid, "notes", {"notes": "warm", "author": "ada"})
        check_owner(folder)
        run.finish()
    paths.make_folders(folder / "of" / "ours" / ".runstore" / "runs" / "fit_1")

    check_owner(folder)


def check_owner(folder):

    made = [folder, *folder.rglob("*")]
    assert {one.name for one in made} >= SHARED - {"runstore.db-wal", "runstore.db-shm"}
    assert {one.name: one.stat().st_uid for one in made if one.stat().st_uid != ALICE} == {}


def test_root_gives_no_file_away_through_a_link(folder_with, tmp_path):
    skip_without_root()
    folder = folder_with(0o755)
    os.chown(folder, ALICE, ALICE)
    private = tmp_path / "private"
    private.write_text("of root")
    private.chmod(0o600)
    os.link(private, folder / "hard")
    (folder / "soft").symlink_to(tmp_path)

    with (folder / "hard").open("rb") as file:
        paths.leave_to_owner(file.fileno(), folder.stat())
    with pytest.raises(OSError, match="soft"), paths.opened_folder(folder / "soft"):
        pass

    assert (private.stat().st_uid, tmp_path.stat().st_uid) == (0, 0)
