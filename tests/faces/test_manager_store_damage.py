"""`store.json` cut off, mangled or in conflict: nothing readable is lost, the file is kept."""

from __future__ import annotations

import json
import shutil

import pytest

from managers import BLOCKS, STORES, TEXT, Manager, blocks_of
from places import store_at
from runstore import ManagerStore, StoreWarning
from runstore.store import open_shared

pytestmark = pytest.mark.usefixtures("unsynced", "without_git")


@pytest.fixture
def folder(tmp_path):
    """A folder that Curifactory wrote."""
    shutil.copytree(STORES / "0.20.5", tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.campaign
@pytest.mark.folder_only("reads store.json of many folders")
@pytest.mark.parametrize("version", ["0.14.2", "0.20.5"])
@pytest.mark.parametrize("begin", range(16))
def test_file_cut_at_any_byte_opens_with_what_is_there(tmp_path, begin, version, is_full_campaign):
    data = (STORES / version / "store.json").read_bytes()
    # Each sixteenth of the lengths is a test of its own, so that they can run side by side.
    apart = 1 if is_full_campaign else 211
    for length in range(begin * apart, len(data.rstrip()), 16 * apart):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "store.json").write_bytes(data[:length])
        whole = data[:length].count(b"\n    }")

        with pytest.warns(StoreWarning, match="is damaged"):
            store = ManagerStore(folder)

        assert store.runs[:whole] == json.loads(data)[:whole], length
        assert blocks_of(folder) == store.runs
        (aside,) = folder.glob("store.json.damaged-*")
        assert aside.read_bytes() == data[:length]
        manager = Manager()
        assert store.add_run(manager)["run_number"] >= 1
        manager.status = "complete"
        store.update_run(manager)
        assert ManagerStore(folder).runs == store.runs
        open_shared(folder).close()


def test_half_written_last_run_keeps_its_number_and_what_can_be_read(folder):
    cut = TEXT.index('"status": "error"')
    (folder / "store.json").write_text(TEXT[:cut])

    with pytest.warns(StoreWarning, match=r"Of the run 'broken_1.*could be read"):
        store = ManagerStore(folder)

    expected = {key: BLOCKS[2][key] for key in list(BLOCKS[2])[:9]}
    assert store.runs[2] == expected
    assert store.add_run(Manager("broken"))["run_number"] == 2


def test_damaged_file_is_made_anew_from_the_database(folder):
    store = ManagerStore(folder)
    store.add_run(Manager())
    expected = blocks_of(folder)
    (folder / "store.json").write_text(TEXT[:100])

    with pytest.warns(StoreWarning, match=r"kept as store\.json\.damaged-"):
        again = ManagerStore(folder)

    assert again.runs == expected == blocks_of(folder)


def test_two_damages_in_one_second_are_both_kept(folder):
    ManagerStore(folder)
    for text in ("[{", "[[["):
        (folder / "store.json").write_text(text)
        with pytest.warns(StoreWarning):
            ManagerStore(folder)

    kept = sorted(one.read_text() for one in folder.glob("store.json.damaged-*"))
    assert kept == ["[[[", "[{"]


def test_empty_file_is_no_empty_history(folder):
    store = ManagerStore(folder)
    (folder / "store.json").write_text("")

    with pytest.warns(StoreWarning, match="empty"):
        assert ManagerStore(folder).runs == store.runs


def test_file_that_vanished_is_made_anew(folder):
    ManagerStore(folder)
    (folder / "store.json").unlink()

    assert ManagerStore(folder).runs == BLOCKS == blocks_of(folder)


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize(
    "data",
    [
        b"\xef\xbb\xbf" + TEXT.encode(),
        TEXT.replace("\n", "\r\n").encode(),
        TEXT.encode("utf-16"),
        json.dumps(BLOCKS, separators=(",", ":"), ensure_ascii=False).encode(),
    ],
    ids=["byte order mark", "windows line ends", "utf-16", "one line"],
)
def test_text_that_an_editor_wrote_in_its_own_way_is_in_order(folder, data, is_known):
    if is_known:
        ManagerStore(folder)
    (folder / "store.json").write_bytes(data)

    assert ManagerStore(folder).runs == BLOCKS
    assert not list(folder.glob("*.damaged-*"))


def conflict(ours, theirs, base=None):
    middle = "" if base is None else f"||||||| 1234567\n{base}"
    return f"<<<<<<< HEAD\n{ours}{middle}=======\n{theirs}>>>>>>> other branch\n"


@pytest.mark.parametrize("is_known", [False, True])
@pytest.mark.parametrize("base", [None, ""])
def test_runs_of_both_sides_of_a_conflict_are_kept(folder, is_known, base):
    if is_known:
        ManagerStore(folder)
    new = [dict(BLOCKS[0], reference=f"mnist_{n}_x", run_number=n, notes="new") for n in (7, 8)]
    sides = [json.dumps([one], indent=4)[2:-1] for one in new]
    kept = TEXT.rstrip().removesuffix("]").rstrip()
    (folder / "store.json").write_text(f"{kept},\n{conflict(*sides, base=base)}]")

    with pytest.warns(StoreWarning) as told:
        store = ManagerStore(folder)

    assert "git conflicts; both sides" in str(told[0].message)
    assert store.runs == BLOCKS + new == blocks_of(folder)
    assert store.add_run(Manager())["run_number"] == 9


def test_conflict_within_a_run_costs_none_of_its_keys(folder):
    lines = TEXT.splitlines(keepends=True)
    at = next(at for at, line in enumerate(lines) if '"status"' in line)
    ended = lines[at]
    lines[at] = conflict(ended.replace("complete", "incomplete"), ended)
    (folder / "store.json").write_text("".join(lines))

    with pytest.warns(StoreWarning, match="git conflicts"):
        store = ManagerStore(folder)

    assert store.runs == BLOCKS


def test_place_that_is_no_file_costs_a_warning_and_not_the_run(tmp_path):
    (tmp_path / "store.json").mkdir()

    with pytest.warns(StoreWarning, match=r"store\.json could not be"):
        block = ManagerStore(tmp_path).add_run(Manager())

    (tmp_path / "store.json").rmdir()
    assert ManagerStore(tmp_path).runs == [block] == blocks_of(tmp_path)


def test_links_in_a_circle_are_replaced(tmp_path):
    (tmp_path / "store.json").symlink_to(tmp_path / "store.json")

    assert [ManagerStore(tmp_path).add_run(Manager())] == blocks_of(tmp_path)


@pytest.mark.folder_only("deletes the file of SQLite")
def test_database_that_was_deleted_under_an_open_store_is_begun_anew(folder):
    store = ManagerStore(folder)
    store.add_run(Manager())
    for path in folder.glob("runstore.db*"):
        path.unlink()

    with pytest.warns(StoreWarning, match="was deleted"):
        block = store.add_run(Manager())

    assert block["run_number"] == 5
    assert store.runs == blocks_of(folder)
    assert store.runs[:4] == BLOCKS
    assert ManagerStore(folder).runs == store.runs


@pytest.mark.folder_only("deletes the file of SQLite")
def test_file_outlives_its_database(folder):
    """Also where runs are recorded through another face before anybody looks at the file."""
    ManagerStore(folder).add_run(Manager())
    expected = blocks_of(folder)
    for path in folder.glob("runstore.db*"):
        path.unlink()
    with store_at(folder) as store, pytest.warns(StoreWarning, match="5 runs added"):
        for _ in range(20):
            store.start("other", capture=False).finish()

    again = ManagerStore(folder)

    assert [one for one in again.runs if one["experiment_name"] != "other"] == expected
    assert len(blocks_of(folder)) == 25
    assert again.add_run(Manager())["run_number"] == 5


@pytest.mark.folder_only("replaces the file of SQLite")
def test_database_of_yesterday_that_is_put_back_gets_the_runs_of_the_file(folder):
    with store_at(folder) as store:
        store.backend.database.driver.copy_aside("yesterday")
    ManagerStore(folder).add_run(Manager())
    expected = blocks_of(folder)
    for path in folder.glob("runstore.db*"):
        if path.name != "runstore.db.yesterday":
            path.unlink()
    (folder / "runstore.db.yesterday").rename(folder / "runstore.db")

    assert ManagerStore(folder).runs == expected == blocks_of(folder)
