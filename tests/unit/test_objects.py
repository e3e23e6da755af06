"""Contents by their hash: kept whole, found whole, never removed from under who saves them."""

import errno
import fcntl
import hashlib
import io
import os
import stat
import sys
import time

import pytest

from open_files import open_below
from runstore.errors import NotFoundError, StoreCorruptError, StoreLockedError
from runstore.storage.files import objects as objects_module
from runstore.storage.files.objects import Contents, Objects, hashed
from runstore.storage.files.safe_files import UnsafeFileError

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")

DATA = b"weights" * 100
KEPT = Contents(hashlib.sha256(DATA).hexdigest(), len(DATA))
HOUR_AGO = time.time() - 3600


@pytest.fixture
def objects(tmp_path):
    return Objects(tmp_path / "objects")


@pytest.fixture
def path(objects):
    """The file of contents that are kept."""
    objects.keep_bytes(DATA)
    return objects.path_of(KEPT.digest)


def everything(objects):
    return sorted(one for one in objects.folder.rglob("*") if not one.is_dir())


def damage(path, data):
    path.chmod(0o644)
    path.write_bytes(data)


# In


@pytest.mark.parametrize("how", ["bytes", "stream", "file", "open", "adopt"])
def test_contents_are_kept_once_under_their_hash(objects, tmp_path, how):
    source = tmp_path / "source"
    for _ in range(2):
        source.write_bytes(DATA)
        with source.open("rb") as file:
            kept = {
                "bytes": lambda: objects.keep_bytes(memoryview(DATA)),
                "stream": lambda: objects.keep_stream(io.BytesIO(DATA)),
                "file": lambda: objects.keep_file(source),
                "open": lambda file=file: objects.keep_open(file),
                "adopt": lambda: objects.adopt(source),
            }[how]()
        assert kept == KEPT

    path = objects.folder / KEPT.digest[:2] / KEPT.digest[2:]
    assert everything(objects) == [path]
    assert path.read_bytes() == DATA
    assert stat.S_IMODE(path.stat().st_mode) & 0o222 == 0
    assert source.exists() is (how != "adopt")


def test_contents_that_are_there_are_not_written_again(objects, path):
    before = path.stat().st_ino

    objects.keep_bytes(DATA)
    objects.keep_stream(io.BytesIO(DATA))

    assert path.stat().st_ino == before


def test_large_contents_are_read_in_pieces(objects, monkeypatch):
    monkeypatch.setattr(objects_module, "_CHUNK_BYTES", 7)

    assert objects.keep_stream(io.BytesIO(DATA)) == KEPT
    assert objects.path_of(KEPT.digest).read_bytes() == DATA
    assert hashed(io.BytesIO(DATA)) == KEPT


class _Raw(io.RawIOBase):
    """A stream that returns some of its pieces at each call, and None in the place of one."""

    def __init__(self, *pieces):
        self._pieces = [*pieces]

    def read(self, _=-1):
        return self._pieces.pop(0) if self._pieces else b""


@pytest.mark.parametrize(
    ("pieces", "kept"),
    [
        ((None,), b""),
        ((b"a", None, b"b"), b"a"),
        ((b"a", b"bc"), b"abc"),
        ((b"a" * 700_000, b"b" * 700_000, b"c"), b"a" * 700_000 + b"b" * 700_000 + b"c"),
    ],
)
def test_what_a_raw_stream_returns_is_kept(objects, pieces, kept):
    found = objects.keep_stream(_Raw(*pieces))

    assert found == Contents(hashlib.sha256(kept).hexdigest(), len(kept))
    assert objects.whole(*found).read_bytes() == kept


@pytest.mark.parametrize("size", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_the_hash_is_that_of_hashlib_at_any_length(objects, size):
    """Long contents are hashed by OpenSSL, short ones without loading it."""
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    for kept in (objects.keep_bytes(data), objects.keep_stream(io.BytesIO(data))):
        assert kept == (hashlib.sha256(data).hexdigest(), size)
    assert hashed(io.BytesIO(data)) == kept


def test_a_disk_that_shares_blocks_copies_nothing(objects, tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_bytes(DATA)
    calls = []

    def share(target, request, origin):
        calls.append(request)
        assert os.readlink(f"/proc/self/fd/{origin}") == str(source)  # noqa: PTH115 - not a path
        os.write(target, DATA)

    monkeypatch.setattr(fcntl, "ioctl", share)

    assert objects.keep_file(source) == KEPT
    assert calls == [0x40049409], "FICLONE"
    assert objects.path_of(KEPT.digest).read_bytes() == DATA


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_said_and_leaves_nothing(objects, tmp_path, monkeypatch, number):
    source = tmp_path / "source"
    source.write_bytes(DATA)

    def refuse(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "ioctl", refuse)

    with pytest.raises(OSError, match=os.strerror(number)):
        objects.keep_file(source)
    assert everything(objects) == []


def test_contents_that_cannot_be_written_leave_nothing(objects):
    class Broken(io.BytesIO):
        def read(self, *_):
            raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        objects.keep_stream(Broken())

    assert everything(objects) == []


def test_damaged_contents_are_replaced_when_they_are_saved_again(objects, path):
    damage(path, b"damaged" * 100)

    assert Objects(objects.folder).keep_bytes(DATA) == KEPT
    assert path.read_bytes() == DATA


def test_contents_that_are_wanted_again_are_new_for_who_cleans_up(objects, path):
    os.utime(path, (HOUR_AGO, HOUR_AGO))

    objects.keep_bytes(DATA)

    assert path.stat().st_mtime > HOUR_AGO + 1800
    assert objects.whole(*KEPT) == path


def test_a_store_that_was_moved_away_is_not_made_anew(tmp_path):
    objects = Objects(tmp_path / "moved" / "objects")

    with pytest.raises(FileNotFoundError):
        objects.keep_bytes(DATA)

    assert not (tmp_path / "moved").exists()


def test_a_path_aside_is_removed_in_the_end(objects):
    with objects.aside(".png") as path:
        assert path.name.endswith(".png")
        assert objects.is_leftover(path)
        path.write_text("half")

    with objects.aside() as other:
        assert other != path
    assert everything(objects) == []


@pytest.mark.parametrize(
    ("folder", "contents"), [(0o770, 0o440), (0o700, 0o400), (0o775, 0o444), (0o777, 0o444)]
)
def test_contents_are_read_only_and_for_those_who_share_the_folder(objects, folder, contents):
    objects.folder.mkdir()
    objects.folder.chmod(folder)

    objects.keep_bytes(DATA)

    path = objects.path_of(KEPT.digest)
    assert stat.S_IMODE(path.parent.stat().st_mode) == folder
    assert stat.S_IMODE(path.stat().st_mode) == contents


# Out


def test_whole_contents_are_opened_from_their_beginning(objects, path):
    for other in (objects, Objects(objects.folder)):
        with other.opened(*KEPT) as file:
            assert file.read() == DATA
        assert other.whole(*KEPT) == path
    assert objects.size_of(KEPT.digest) == KEPT.size_bytes


@pytest.mark.parametrize("data", [b"damaged" * 100, DATA[:-1], DATA + b"x", b""])
def test_damaged_contents_are_not_opened(objects, path, data):
    objects.whole(*KEPT)
    damage(path, data)
    os.utime(path, (HOUR_AGO, HOUR_AGO))
    before = open_below(objects.folder)

    with pytest.raises(StoreCorruptError, match="changed or damaged") as caught:
        objects.opened(*KEPT)

    assert caught.value.kept.startswith("It was not changed")
    assert path.read_bytes() == data
    assert open_below(objects.folder) == before


def test_a_file_of_another_size_is_not_read(objects, path, monkeypatch):
    """It could be as large as a disk."""
    damage(path, b"x" * 10_000)
    monkeypatch.setattr(objects_module, "hashed", lambda _: pytest.fail("it was read"))

    with pytest.raises(StoreCorruptError):
        objects.opened(*KEPT)


def test_whole_contents_are_read_once(objects, path, monkeypatch):
    objects.whole(*KEPT)
    monkeypatch.setattr(objects_module, "hashed", lambda _: pytest.fail("it was read again"))

    objects.whole(*KEPT)


def test_a_check_reads_what_is_kept(objects, path):
    objects.check(*KEPT)
    damage(path, DATA[::-1])

    with pytest.raises(StoreCorruptError, match="changed or damaged"):
        objects.check(*KEPT)


def test_contents_that_are_not_there_are_said(objects):
    with pytest.raises(NotFoundError, match=f"{KEPT.digest[:12]}… are not in"):
        objects.opened(*KEPT)
    assert objects.size_of(KEPT.digest) is None


@pytest.mark.parametrize(
    "digest", ["", "abc", KEPT.digest.upper(), KEPT.digest + "0", "../../x", 7]
)
def test_what_is_no_hash_leads_nowhere(objects, digest):
    with pytest.raises(StoreCorruptError, match="not a SHA-256"):
        objects.path_of(digest)


@pytest.mark.parametrize("kind", ["folder", "link"])
def test_something_else_in_the_place_of_contents_is_not_read(objects, path, tmp_path, kind):
    path.unlink()
    if kind == "folder":
        path.mkdir()
    else:
        (tmp_path / "real").write_bytes(DATA)
        path.symlink_to(tmp_path / "real")

    with pytest.raises(StoreCorruptError, match="cannot be read"):
        objects.opened(*KEPT)
    assert objects.size_of(KEPT.digest) is None


def test_a_disk_that_fails_while_reading_is_said(objects, path, monkeypatch):
    def fail(_):
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(objects_module, "hashed", fail)
    before = open_below(objects.folder)

    with pytest.raises(StoreCorruptError, match="cannot be read: Input/output error"):
        Objects(objects.folder).opened(*KEPT)

    assert open_below(objects.folder) == before


def copy_kept(objects, target, *, link):
    with objects.opened(*KEPT) as file:
        objects.copy_to(KEPT.digest, file, target, link=link)


@pytest.mark.parametrize("link", [False, True])
def test_contents_are_copied_whole(objects, path, tmp_path, link):
    target = tmp_path / "copy.bin"

    copy_kept(objects, target, link=link)

    assert target.read_bytes() == DATA
    assert target.samefile(path) is link


def test_a_disk_without_hard_links_gets_a_copy(objects, path, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    target = tmp_path / "copy.bin"

    copy_kept(objects, target, link=True)

    assert target.read_bytes() == DATA
    assert not target.samefile(path)


def test_a_file_that_is_swapped_meanwhile_is_not_shared(objects, path, tmp_path, monkeypatch):
    link, real = os.link, tmp_path / "id_rsa"
    real.write_text("private")

    def swapped(_, target, **__):
        link(real, target)

    monkeypatch.setattr(os, "link", swapped)
    target = tmp_path / "copy.bin"

    copy_kept(objects, target, link=True)

    assert target.read_bytes() == DATA
    assert real.stat().st_nlink == 1


# What lies there


def test_everything_below_the_folder_is_found(objects, path):
    (objects.folder / "ab").mkdir(exist_ok=True)
    (objects.folder / "ab" / "notes.txt").write_text("x")
    (objects.folder / "stray").write_text("x")
    leftover = objects.folder / "incoming" / "1-a"
    leftover.write_text("half")

    assert set(objects.files()) == {
        path,
        objects.folder / "ab" / "notes.txt",
        objects.folder / "stray",
        leftover,
    }
    assert objects.digest_at(path) == KEPT.digest
    assert objects.digest_at(objects.folder / "ab" / "notes.txt") is None
    assert objects.digest_at(objects.folder / KEPT.digest) is None
    assert objects.digest_at(objects.folder / "x" / path.parent.name / path.name) is None
    assert objects.is_leftover(leftover)
    assert not objects.is_leftover(path)


def test_a_store_behind_a_link_of_the_user_is_looked_into(objects, path, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    other = Objects(tmp_path / "link" / "objects")

    assert [other.digest_at(one) for one in other.files()] == [KEPT.digest]
    assert other.whole(*KEPT).samefile(path)


def test_a_folder_that_is_a_link_is_not_looked_into(objects, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    objects.folder.symlink_to(tmp_path / "elsewhere")

    with pytest.raises(UnsafeFileError):
        list(objects.files())


def test_a_file_is_removed_if_it_is_there(objects, path):
    objects.remove(path)
    objects.remove(path)

    assert everything(objects) == []


# Saving and cleaning up


def test_those_who_save_do_it_at_once_and_who_cleans_up_is_alone(objects, monkeypatch):
    monkeypatch.setattr(objects_module, "_SAVING_PATIENCE_S", 0)
    monkeypatch.setattr(objects_module, "_CLEANING_PATIENCE_S", 0)
    other = Objects(objects.folder)

    with (
        objects.in_use(),
        other.in_use(),
        pytest.raises(StoreLockedError, match=r"objects\.lock"),
        other.alone(),
    ):
        pytest.fail("somebody saves")
    with objects.alone() as is_alone:
        assert is_alone is True
        with pytest.raises(StoreLockedError), other.in_use():
            pytest.fail("somebody cleans up")
        with pytest.raises(StoreLockedError), other.alone():
            pytest.fail("somebody cleans up")
    with other.in_use():
        pass


def test_without_locks_everybody_saves_and_nobody_is_alone(objects):
    objects.folder.with_name("objects.lock").mkdir()

    with objects.in_use():
        assert objects.keep_bytes(DATA) == KEPT
    with objects.alone() as is_alone:
        assert is_alone is False
    assert objects_module._SAVING_PATIENCE_S == 20
    assert objects_module._CLEANING_PATIENCE_S == 60
