"""Files of a store, opened with no trust: kinds, sizes, rights, and what is left behind."""

import errno
import os
import stat
import sys
from pathlib import Path

import pytest

from open_files import open_below
from runstore.storage.files.safe_files import (
    Folder,
    UnsafeFileError,
    files_below,
    folder_at,
    has_holes,
    levels_below,
    make_folder,
    names_in,
    open_file,
    open_in,
    open_or_replace,
    read_file,
    reader,
    remove_file,
    remove_tree,
    stat_file,
    write_whole,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")


@pytest.fixture
def path(tmp_path):
    """A plain file in a folder of a store."""
    made = tmp_path / "spool" / "a.txt"
    made.parent.mkdir()
    made.write_bytes(b"12345")
    return made


@pytest.fixture(autouse=True)
def _nothing_is_left_open(tmp_path):
    yield
    assert open_below(tmp_path) == []


def test_an_unsafe_file_is_said_with_its_path(path):
    error = UnsafeFileError(path, "it is a link")

    assert (error.errno, error.why, error.filename) == (errno.EINVAL, "it is a link", str(path))


# Folders


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", "a\0b", "../x"])
@pytest.mark.parametrize("call", ["entry", "remove", "inner"])
def test_a_name_that_leaves_a_folder_is_none(path, name, call):
    with folder_at(path.parent, levels=1) as folder, pytest.raises(UnsafeFileError, match="name"):
        getattr(folder, call)(name)


def test_a_folder_knows_itself_and_its_entries(path):
    (path.parent / "b").symlink_to(path)

    with folder_at(path.parent, levels=1) as folder:
        assert folder.names() == ["a.txt", "b"]
        assert folder.status().st_ino == path.parent.stat().st_ino
        assert folder.entry("a.txt").st_size == 5
        assert stat.S_ISLNK(folder.entry("b").st_mode)
        folder.remove("b")
        assert folder.names() == ["a.txt"]
    assert path.exists()


@pytest.mark.parametrize("levels", [1, 2, 3])
def test_only_the_last_folders_may_be_no_links(tmp_path, levels):
    real = tmp_path / "real" / "b" / "c"
    real.mkdir(parents=True)
    (tmp_path / "a").symlink_to(tmp_path / "real")
    place = tmp_path / "a" / "b" / "c"

    if levels == 3:
        with pytest.raises(UnsafeFileError, match="not a folder, or a link"):
            folder_at(place, levels=levels)
    else:
        with folder_at(place, levels=levels) as folder:
            assert folder.status().st_ino == real.stat().st_ino


def test_a_folder_that_is_none_is_refused(path, tmp_path):
    (tmp_path / "link").symlink_to(path.parent)

    for place in (path, tmp_path / "link", tmp_path / "link" / ".."):
        with pytest.raises(UnsafeFileError, match="not a folder"):
            folder_at(place, levels=1)
    with pytest.raises(FileNotFoundError):
        folder_at(tmp_path / "missing", levels=1)
    with folder_at(tmp_path / "link", levels=0) as folder:
        assert folder.names() == ["a.txt"]


@pytest.mark.parametrize(
    ("place", "levels"), [("store/a/b", 2), ("store", 0), ("a/b", 0), ("store/../a", 0)]
)
def test_levels_are_counted_from_the_store(tmp_path, place, levels):
    assert levels_below(tmp_path / place, tmp_path / "store") == levels


# Opening


def test_a_file_is_opened_for_what_was_asked(path):
    with reader(path) as file:
        assert file.read() == b"12345"
    with pytest.raises(FileNotFoundError):
        open_file(path.with_name("missing"))

    made = open_file(path.with_name("new"), os.O_RDWR | os.O_CREAT)
    assert os.write(made, b"x") == 1
    os.close(made)
    with pytest.raises(FileExistsError):
        open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)


@pytest.mark.parametrize(
    ("kind", "why"), [("link", "it is a link"), ("folder", "it is a folder"), ("pipe", "a pipe")]
)
@pytest.mark.parametrize("flags", [os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_WRONLY])
def test_what_is_no_file_is_not_opened(path, kind, why, flags):
    odd = path.with_name("odd")
    if kind == "link":
        odd.symlink_to(path)
    elif kind == "folder":
        odd.mkdir()
    else:
        os.mkfifo(odd)

    with pytest.raises(UnsafeFileError, match=why):
        open_file(odd, flags)
    with pytest.raises(UnsafeFileError, match=why):
        stat_file(odd)


def test_a_device_is_not_opened(monkeypatch):
    opened = os.open

    def watched(name, *more, **options):
        assert name != "null"
        return opened(name, *more, **options)

    monkeypatch.setattr(os, "open", watched)

    with pytest.raises(UnsafeFileError, match="it is a device"):
        open_file(Path("/dev/null"), os.O_RDONLY)


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_a_file_that_is_swapped_meanwhile_is_not_opened(path, monkeypatch, kind):
    entry = Folder.entry

    def swapped(folder, name):
        found = entry(folder, name)
        path.unlink()
        path.symlink_to("/etc/passwd") if kind == "link" else os.mkfifo(path)
        return found

    monkeypatch.setattr(Folder, "entry", swapped)

    with pytest.raises(
        UnsafeFileError, match="not a regular file" if kind == "link" else "a pipe"
    ):
        open_file(path, os.O_RDONLY)


def test_a_pipe_that_nobody_reads_is_not_written(path, monkeypatch):
    path.unlink()
    os.mkfifo(path)
    monkeypatch.setattr(Folder, "entry", lambda *_: (_ for _ in ()).throw(FileNotFoundError()))

    with pytest.raises(UnsafeFileError, match="not a regular file"):
        open_file(path, os.O_WRONLY)


def test_a_file_without_rights_is_no_unsafe_file(path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    with folder_at(path.parent, levels=1) as folder:
        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(PermissionError):
            open_in(folder, "a.txt")
        monkeypatch.undo()


@pytest.mark.parametrize("flags", [os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_TRUNC])
def test_a_second_name_is_not_written_and_not_emptied(path, flags):
    path.with_name("b").hardlink_to(path)

    with pytest.raises(UnsafeFileError, match="hard link"):
        open_file(path, flags)
    with pytest.raises(UnsafeFileError, match="hard link"):
        open_file(path, is_ours=True)

    with reader(path) as file:
        assert file.read() == b"12345"


def test_what_a_running_program_writes_has_one_name(path):
    path.with_name("b").hardlink_to(path)

    with pytest.raises(UnsafeFileError, match="hard link"):
        read_file(path, at_most=5)
    assert read_file(path, at_most=5, is_ours=False) == b"12345"


def test_a_file_behind_a_link_is_not_looked_at(path, tmp_path):
    (tmp_path / "behind").symlink_to(path.parent)

    for look in (stat_file, open_file, lambda one: read_file(one, at_most=5)):
        with pytest.raises(UnsafeFileError, match="not a folder, or a link"):
            look(tmp_path / "behind" / "a.txt")
    assert stat_file(tmp_path / "behind" / "a.txt", levels=0).st_size == 5


def test_a_file_is_emptied_once_it_is_known(path):
    os.close(open_file(path, os.O_WRONLY))
    assert path.read_bytes() == b"12345"

    os.close(open_file(path, os.O_WRONLY | os.O_TRUNC))

    assert path.read_bytes() == b""


@pytest.mark.parametrize(("at_most", "is_read"), [(5, True), (4, False)])
def test_a_file_that_is_too_large_is_refused(path, at_most, is_read):
    if is_read:
        assert read_file(path, at_most=at_most) == b"12345"
    else:
        with pytest.raises(UnsafeFileError, match="it is larger than 4 bytes"):
            read_file(path, at_most=at_most)


def test_a_file_that_grows_meanwhile_is_read_up_to_its_limit(path, monkeypatch):
    fstat = os.fstat

    def growing(descriptor):
        found = fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and found.st_size == 5:
            with path.open("ab") as file:
                file.write(b"67890")
        return found

    monkeypatch.setattr(os, "fstat", growing)

    assert read_file(path, at_most=7) == b"1234567"


def test_a_file_with_holes_is_refused_where_its_size_has_no_limit(path):
    os.truncate(path, 1 << 22)

    with path.open("rb") as file:
        assert has_holes(file.fileno())
        assert file.fileno() > 0
        assert os.lseek(file.fileno(), 0, os.SEEK_CUR) == 0
    with pytest.raises(UnsafeFileError, match="it has holes"):
        open_file(path, is_ours=True)
    os.close(open_file(path, is_ours=True, at_most=1 << 22))
    os.close(open_file(path))


@pytest.mark.parametrize("data", [b"", b"12345", bytes(10_000)])
def test_a_written_file_has_no_holes(path, data):
    path.write_bytes(data)

    with path.open("rb") as file:
        assert has_holes(file.fileno()) is False


def test_a_disk_that_does_not_tell_of_holes_has_none(path, monkeypatch):
    os.truncate(path, 1 << 22)
    lseek = os.lseek

    def refuse(descriptor, place, whence):
        if whence == os.SEEK_HOLE:
            raise OSError(errno.EINVAL, "Invalid argument")
        return lseek(descriptor, place, whence)

    monkeypatch.setattr(os, "lseek", refuse)

    with path.open("rb") as file:
        assert has_holes(file.fileno()) is False


def test_a_new_file_is_for_those_who_share_its_folder(path):
    path.parent.chmod(0o770)
    path.chmod(0o600)

    os.close(open_file(path.with_name("new"), os.O_RDWR | os.O_CREAT))
    os.close(open_file(path, os.O_RDWR | os.O_CREAT))

    assert stat.S_IMODE(path.with_name("new").stat().st_mode) == 0o660
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("kind", ["nothing", "file", "link", "folder of a link"])
def test_what_has_no_contents_is_replaced(path, tmp_path, kind):
    place = tmp_path / "lock"
    if kind == "file":
        place.write_text("lock")
    elif kind == "link":
        place.symlink_to(path)
    elif kind == "folder of a link":
        (tmp_path / "behind").symlink_to(path.parent)
        place = tmp_path / "behind" / "lock"

    descriptor = open_or_replace(place)

    os.write(descriptor, b"x")
    os.close(descriptor)
    assert path.read_bytes() == b"12345"
    assert not place.is_symlink()
    assert place.read_bytes() == (b"xock" if kind == "file" else b"x")


# Writing and removing


def test_a_text_is_written_whole_or_not_at_all(path, monkeypatch):
    write_whole(path, "caf\udce9 ä", levels=1)
    assert path.read_bytes() == b"caf\\udce9 \xc3\xa4"

    def refuse(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(OSError, match="No space"):
        write_whole(path, "new", levels=1)

    assert path.read_bytes() == b"caf\\udce9 \xc3\xa4"
    assert [one.name for one in path.parent.iterdir()] == ["a.txt"]


def test_a_file_is_removed_if_it_is_there(path, tmp_path):
    link = path.with_name("link")
    link.symlink_to(path)

    for one in (link, link, path.with_name("missing")):
        remove_file(one)

    assert path.exists()
    assert not link.is_symlink()
    remove_file(tmp_path / "missing" / "a.txt")
    (tmp_path / "behind").symlink_to(path.parent)
    with pytest.raises(UnsafeFileError):
        remove_file(tmp_path / "behind" / "a.txt")


def test_the_names_of_a_folder_that_is_not_there_are_none(path, tmp_path):
    assert names_in(path.parent) == ["a.txt"]
    assert names_in(tmp_path / "missing") == []
    assert names_in(tmp_path / "missing" / "below", levels=2) == []
    with pytest.raises(UnsafeFileError):
        names_in(path)


def test_folders_are_made_for_those_who_share_the_one_above(tmp_path):
    tmp_path.chmod(0o770)
    place = tmp_path / "a" / "b" / "c"

    make_folder(place, levels=3)
    place.parent.chmod(0o700)
    make_folder(place, levels=3)
    make_folder(place)

    assert stat.S_IMODE((tmp_path / "a").stat().st_mode) == 0o770
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700, "it was there"
    assert stat.S_IMODE(place.stat().st_mode) == 0o770


def test_a_folder_above_the_store_is_not_made(tmp_path):
    with pytest.raises(FileNotFoundError):
        make_folder(tmp_path / "missing" / "a" / "b", levels=2)

    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["file", "link"])
def test_a_folder_is_not_made_in_the_place_of_something_else(tmp_path, name):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path)

    with pytest.raises(UnsafeFileError, match="not a folder"):
        make_folder(tmp_path / name / "b", levels=2)


# Trees


@pytest.fixture
def tree(tmp_path):
    """A folder with files at three levels, and a link out of it."""
    top = tmp_path / "tree"
    (top / "a" / "b").mkdir(parents=True)
    for size, place in enumerate((top / "1", top / "a" / "2", top / "a" / "b" / "3"), start=1):
        place.write_bytes(b"x" * size)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "mine").write_bytes(b"x" * 100)
    (top / "a" / "link").symlink_to(tmp_path / "outside")
    return top


def test_every_file_of_a_tree_is_found_and_no_other(tree):
    with folder_at(tree, levels=1) as folder:
        found = list(files_below(folder))

    assert sorted(one.st_size for one in found if stat.S_ISREG(one.st_mode)) == [1, 2, 3]
    assert [stat.S_ISLNK(one.st_mode) for one in found].count(True) == 1


def test_a_tree_is_removed_with_its_links(tree, tmp_path):
    with folder_at(tmp_path, levels=1) as above:
        remove_tree(above, "tree")

    assert not tree.exists()
    assert (tmp_path / "outside" / "mine").exists()


@pytest.mark.parametrize(("deepest", "is_done"), [(2, True), (1, False), (0, False)])
def test_a_tree_that_is_too_deep_is_refused(tree, tmp_path, deepest, is_done):
    with folder_at(tmp_path, levels=1) as above, above.inner("tree") as folder:
        if is_done:
            assert len(list(files_below(folder, deepest=deepest))) == 4
            remove_tree(above, "tree", deepest=deepest)
        else:
            with pytest.raises(UnsafeFileError, match="more than 100 folders deep"):
                list(files_below(folder, deepest=deepest))
            with pytest.raises(UnsafeFileError, match="more than 100 folders deep"):
                remove_tree(above, "tree", deepest=deepest)

    assert tree.exists() is not is_done


def test_a_disk_that_is_mounted_in_a_tree_is_not_entered(tree, tmp_path, monkeypatch):
    entry = Folder.entry

    def mounted(folder, name):
        found = entry(folder, name)
        if name != "a":
            return found
        fields = list(found)
        fields[stat.ST_DEV] += 1
        return os.stat_result(fields)

    monkeypatch.setattr(Folder, "entry", mounted)

    with folder_at(tmp_path, levels=1) as above, above.inner("tree") as folder:
        assert [one.st_size for one in files_below(folder)] == [1]
        with pytest.raises(OSError, match="not empty"):
            remove_tree(above, "tree")
    assert (tree / "a" / "b" / "3").exists()


def test_files_that_vanish_meanwhile_are_no_trouble(tree, tmp_path, monkeypatch):
    remove = Folder.remove

    def twice(folder, name):
        remove(folder, name)
        remove(folder, name)

    monkeypatch.setattr(Folder, "remove", twice)

    with folder_at(tmp_path, levels=1) as above:
        remove_tree(above, "tree")
    assert not tree.exists()
