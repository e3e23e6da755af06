"""What is in flight is private, and what another user put there is not taken in."""

import json
import os
import shutil
import stat
import warnings
from pathlib import Path

import pytest

from other_users import ALICE, BOB, TEAM, skip_without_root
from runstore import Store, StoreWarning
from runstore.errors import StoreUnavailableError
from runstore.model.status import Status
from runstore.storage.files.spool import Spool
from runstore.storage.trust import own_places


@pytest.fixture
def store_folder(tmp_path):
    folder = tmp_path / "store"
    folder.mkdir(mode=0o755)
    return folder


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home, which the state folder is in, and a folder for temporary files."""
    folder = tmp_path / "home"
    folder.mkdir(mode=0o755)
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    (tmp_path / "temporary").chmod(0o1777)
    return folder


@pytest.fixture
def temporary(home, monkeypatch):
    """A folder for temporary files, used because the home is unknown."""
    monkeypatch.setattr(os.path, "expanduser", lambda path: path)
    return home.parent / "temporary"


def rights(path):
    return stat.S_IMODE(path.lstat().st_mode)


def end_apart(folder):
    """End a run whose store is away, so that its end is kept elsewhere; bring the store back."""
    store = Store.open(folder)
    run = store.start("fit", notes="private", capture=False)
    run.keep_output()
    away = folder.with_name("away")
    folder.rename(away)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StoreWarning)
        print("private")
        run.log(loss=0.5)
        run.save("model.bin", b"private")
        run.finish()
    store.close()
    away.rename(folder)


def status_of_last(folder):
    with Store.open(folder) as store:
        run = store.get("latest")
        output = [line.text for line in run.output]
        return str(run.status), sorted(run.artifacts), run.metrics["loss"].last, output


TAKEN_IN = ("complete", ["model.bin"], 0.5, ["private"])


# In the store


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(0o755, 0o700), (0o700, 0o700), (0o750, 0o700), (0o2770, 0o2770), (0o2775, 0o2770),
     (0o775, 0o770), (0o777, 0o777)],
)  # fmt: skip
@pytest.mark.parametrize("was_there", [False, True])
def test_the_spool_is_for_those_who_may_write_to_the_store(
    store_folder, mode, expected, was_there
):
    if was_there:  # as older versions made it
        (store_folder / "spool").mkdir()
        (store_folder / "spool").chmod(0o755)
    store_folder.chmod(mode)

    place = Spool(store_folder).in_first_place(Path)

    assert place == store_folder / "spool"
    assert rights(place) == expected


def test_a_link_in_the_place_of_the_spool_is_not_followed(store_folder, home):
    (home / "elsewhere").mkdir()
    (store_folder / "spool").symlink_to(home / "elsewhere")

    place = Spool(store_folder).in_first_place(Path)

    assert place.parent == home / ".local/state/runstore/spool"
    assert list((home / "elsewhere").iterdir()) == []


# At home


def test_the_state_folder_is_private(store_folder, home):
    before = os.umask(0)
    try:
        end_apart(store_folder)
    finally:
        os.umask(before)

    made = list(home.rglob("*"))
    assert len(made) > 10
    assert {str(one): oct(rights(one)) for one in made if rights(one) & 0o077} == {}
    assert status_of_last(store_folder) == TAKEN_IN


def test_a_state_folder_that_others_may_read_is_closed(store_folder, home):
    place = home / ".local/state/runstore/spool"
    place.mkdir(parents=True)
    for folder in (place, place.parent):
        folder.chmod(0o755)

    end_apart(store_folder)

    assert {rights(place), rights(place.parent)} == {0o700}
    assert rights(home) == 0o755
    assert status_of_last(store_folder) == TAKEN_IN


def test_a_state_folder_that_its_owner_linked_is_used(store_folder, home):
    (home / "disk").mkdir()
    (home / ".local/state").mkdir(parents=True)
    (home / ".local/state/runstore").symlink_to(home / "disk")

    end_apart(store_folder)

    assert list((home / "disk").iterdir())
    assert status_of_last(store_folder) == TAKEN_IN


def test_a_relative_state_folder_is_ignored(store_folder, home, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "state")

    assert Spool(store_folder).own_place().is_relative_to(home)


def test_a_file_in_the_way_of_a_state_folder_is_an_error(store_folder, home, monkeypatch):
    (home / "file").touch()
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "file"))

    with pytest.raises(OSError, match="file"):
        Spool(store_folder).own_place()


@pytest.mark.parametrize("place", [".local", ".local/state/runstore"])
def test_a_state_folder_that_another_user_made_is_not_used(store_folder, home, place):
    """As below a home that is /tmp, in which anybody can make these folders."""
    skip_without_root()
    (home / place).mkdir(parents=True)
    os.chown(home / place, BOB, BOB)
    (home / place).chmod(0o777)

    end_apart(store_folder)

    assert list((home / place).rglob("*.json")) == []
    assert rights(home.parent / "temporary" / f"runstore-{os.geteuid()}") == 0o700
    assert status_of_last(store_folder) == TAKEN_IN


def test_a_home_in_which_others_can_replace_folders_is_not_used(store_folder, home):
    home.chmod(0o777)

    assert Spool(store_folder).own_place().is_relative_to(home.parent / "temporary")


def test_root_leaves_no_folder_in_the_home_of_another_user(store_folder, home):
    """As below `sudo` that keeps HOME: the user could not write there afterwards."""
    skip_without_root()
    os.chown(home, ALICE, ALICE)

    end_apart(store_folder)

    assert list(home.iterdir()) == []
    assert status_of_last(store_folder) == TAKEN_IN


def test_below_sudo_the_folder_is_made_for_the_user(store_folder, home, monkeypatch):
    skip_without_root()
    os.chown(home, ALICE, ALICE)
    monkeypatch.setenv("SUDO_UID", str(ALICE))

    end_apart(store_folder)

    made = list(home.rglob("*"))
    assert len(made) > 10
    assert {one.stat().st_uid for one in made} == {ALICE}
    assert status_of_last(store_folder) == TAKEN_IN


# Without a home


def test_without_a_home_a_private_folder_among_temporary_files_is_used(store_folder, temporary):
    end_apart(store_folder)

    (made,) = temporary.iterdir()
    assert made.name == f"runstore-{os.geteuid()}"
    assert rights(made) == 0o700
    assert status_of_last(store_folder) == TAKEN_IN


@pytest.mark.parametrize("variable", ["HOME", "XDG_STATE_HOME"])
def test_a_home_that_cannot_be_written_is_no_loss(store_folder, home, monkeypatch, variable):
    monkeypatch.setenv(variable, "/proc")  # nobody makes folders there, not even root

    end_apart(store_folder)

    assert status_of_last(store_folder) == TAKEN_IN


def plant_folder(path, elsewhere):
    path.mkdir()
    path.chmod(0o777)
    os.chown(path, BOB, BOB)


def plant_link(path, elsewhere):
    path.symlink_to(elsewhere)
    os.chown(path, BOB, BOB, follow_symlinks=False)


def plant_file(path, elsewhere):
    path.touch()
    os.chown(path, BOB, BOB)


@pytest.mark.parametrize("plant", [plant_folder, plant_link, plant_file])
def test_a_name_that_another_user_took_among_temporary_files(
    store_folder, temporary, tmp_path, plant
):
    skip_without_root()
    (tmp_path / "elsewhere").mkdir()
    taken = temporary / f"runstore-{os.geteuid()}"
    plant(taken, tmp_path / "elsewhere")

    end_apart(store_folder)
    end_apart(store_folder)

    others = [one for one in temporary.iterdir() if one != taken]
    assert len(others) == 1
    assert rights(others[0]) == 0o700
    assert [*(tmp_path / "elsewhere").iterdir(), *taken.glob("*")] == []
    assert status_of_last(store_folder) == TAKEN_IN
    with Store.open(store_folder) as store:
        assert [str(run.status) for run in store.find()] == ["complete", "complete"]


def test_what_another_user_planted_among_temporary_files_is_not_read(store_folder, temporary):
    skip_without_root()
    with Store.open(store_folder) as store:
        uid = store.start("fit", capture=False).uid
    taken = temporary / f"runstore-{os.geteuid()}"
    place = Spool(store_folder).own_place()
    forge(place, uid)
    for path in (*taken.rglob("*"), taken):
        os.chown(path, BOB, BOB)

    with Store.open(store_folder) as store:
        assert store.get("latest").notes is None


# Records of others


def forge(place, uid, notes="forged"):
    path = place / f"{uid}.{1:020d}.notes.json"
    path.write_text(json.dumps({"notes": notes, "author": "bob"}))
    return path


@pytest.fixture
def forged(store_folder):
    """A record of another user, and the uid of the run that it is about."""
    skip_without_root()
    with Store.open(store_folder) as store:
        uid = store.start("fit", capture=False).uid
    path = forge(Spool(store_folder).in_first_place(Path), uid)
    os.chown(path, BOB, TEAM)
    return path


def notes_of(folder):
    with Store.open(folder) as store:
        return store.get("latest").notes


def test_a_record_of_another_user_is_left_to_that_user(store_folder, forged):
    assert notes_of(store_folder) is None
    assert forged.exists()
    os.chown(forged, 0, 0)
    assert notes_of(store_folder) == "forged"
    assert not forged.exists()


@pytest.mark.parametrize(("group", "is_taken"), [(TEAM, True), (BOB, False)])
def test_a_record_of_a_member_is_taken_in_a_trusted_folder(
    store_folder, forged, monkeypatch, group, is_taken
):
    os.chown(store_folder, 0, TEAM)
    os.chown(forged, BOB, group)
    monkeypatch.setenv("RUNSTORE_TRUST", str(store_folder))

    assert notes_of(store_folder) == ("forged" if is_taken else None)


def test_doctor_names_what_is_left_to_another_user(store_folder, forged):
    with Store.open(store_folder) as store:
        assert [one.what for one in store.check()] == []  # its run goes on
        store.backend.database.finish_run(store.get("latest").uid, Status.COMPLETE, ended_at=1)
        (found,) = store.check()

    assert found.what == "in flight, of another user"
    assert found.names == (str(forged),)
    assert found.hint.endswith(f"runstore trust {store_folder}")


def test_root_takes_in_what_the_owner_of_the_store_left(store_folder, forged):
    os.chown(store_folder, BOB, BOB)

    assert notes_of(store_folder) == "forged"


def test_points_of_another_user_are_shown_and_not_taken_in(store_folder):
    skip_without_root()
    store = Store.open(store_folder)
    run = store.start("fit", capture=False)
    run.log(loss=0.5)
    points = store.backend.spool.point_files(run.uid)
    for path in points:
        os.chown(path, BOB, BOB)

    assert list(store.get("latest").metric("loss").values) == [0.5]
    assert store.find("metrics.loss.last = 0.5").items == ()
    assert points == store.backend.spool.point_files(run.uid)
    assert store.backend.spool.point_files(run.uid, is_to_take=True) == []
    run.finish()
    store.close()


def test_without_any_place_the_reason_is_said(store_folder, temporary, monkeypatch):
    monkeypatch.setattr(own_places, "private_folder", refused)
    shutil.rmtree(store_folder)

    with pytest.raises(PermissionError, match="refused"):
        Spool(store_folder).in_first_place(Path)
    with pytest.raises(StoreUnavailableError):
        Store.open(store_folder, create=False)


def refused(_path, *, parts):
    raise PermissionError(13, "refused")
