"""A folder is kept with all its files, or a warning names what was left out."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from runstore.artifacts.inputs import Lineage
from runstore.errors import ConflictError, InvalidValueError, StoreWarning


@pytest.fixture
def folder(tmp_path):
    made = tmp_path / "out"
    (made / "deep").mkdir(parents=True)
    (made / "a.txt").write_text("a")
    (made / "deep" / "z.txt").write_text("z")
    return made


def outside(folder):
    (folder.parent / "secret").write_text("secret")
    (folder / "odd").symlink_to("../secret")


def pipe(folder):
    os.mkfifo(folder / "odd")


def listening(folder):
    with socket.socket(socket.AF_UNIX) as one:
        here = os.open(".", os.O_RDONLY)
        os.chdir(folder)  # the path of a socket may have 108 bytes
        one.bind("odd")
        os.chdir(here)
        os.close(here)


def without_encoding(folder):
    with open(os.fsencode(folder) + b"/odd\xe9.txt", "wb"):  # noqa: PTH123 - a name of bytes
        pass


ODD = {
    "a link out of it": (outside, "a link out of the folder, to '../secret'"),
    "a broken link": (lambda one: (one / "odd").symlink_to("gone"), "broken link"),
    "a link to itself": (lambda one: (one / "odd").symlink_to("odd"), "broken link"),
    "a link to a folder": (lambda one: (one / "odd").symlink_to("deep"), "to the folder 'deep'"),
    "a link to the folder": (lambda one: (one / "odd").symlink_to("."), "to the folder '.'"),
    "a pipe": (pipe, "'odd' (a pipe)"),
    "a socket": (listening, "'odd' (a socket)"),
    "a backslash": (lambda one: (one / "odd\\b").write_text("b"), "has a backslash"),
    "no encoding": (without_encoding, "not allowed in file names"),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_left_out_of_a_folder_is_said_and_the_rest_is_kept(run, folder, name):
    make, why = ODD[name]
    make(folder)

    with pytest.warns(StoreWarning, match="2 files were saved") as said:
        saved = run.save("out", folder)

    assert why in str(said[0].message)
    assert "odd" in str(said[0].message)
    assert [one.path for one in saved] == ["out/a.txt", "out/deep/z.txt"]
    assert list(run.record.artifacts) == ["out/a.txt", "out/deep/z.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_said(run, folder):
    (folder / "deep").chmod(0)
    (folder / "b.txt").touch(mode=0)

    with pytest.warns(StoreWarning, match="'deep'.*'b.txt' .not readable for you"):
        run.save("out", folder)
    (folder / "deep").chmod(stat.S_IRWXU)

    assert list(run.record.artifacts) == ["out/a.txt"]


def test_links_to_files_inside_are_followed(run, folder, recwarn):
    (folder / "last.txt").symlink_to("deep/z.txt")

    run.save("out", folder)

    assert not recwarn.list
    assert run.record.read_bytes("out/last.txt") == b"z"


def test_the_store_is_not_saved_into_itself(store, run, tmp_path):
    inside = store.path.relative_to(tmp_path) if store.path.is_relative_to(tmp_path) else None
    (tmp_path / "a.txt").write_text("a")

    if inside is None:
        pytest.skip("the store lies elsewhere")
    with pytest.warns(StoreWarning, match="the store itself"):
        run.save("all", tmp_path)

    assert "all/a.txt" in run.record.artifacts
    assert not any(str(inside) in path for path in run.record.artifacts)


def test_an_empty_folder_is_said(run, tmp_path):
    (tmp_path / "empty" / "deep").mkdir(parents=True)

    with pytest.warns(StoreWarning, match="contains no files; nothing was saved"):
        assert run.save("out", tmp_path / "empty") == ()


def test_an_empty_text_is_not_the_working_directory(run):
    with pytest.raises(InvalidValueError, match="The path is empty"):
        run.save("out", "")


def test_a_file_that_cannot_stand_beside_others_is_said(run, folder):
    run.save("out/deep", b"a file")

    with pytest.warns(StoreWarning, match="one would be a file and a folder.*1 file was saved"):
        run.save("out", folder)

    assert list(run.record.artifacts) == ["out/a.txt", "out/deep"]


def test_nothing_is_saved_below_a_file(run, folder):
    run.save("out", b"a file")

    with pytest.raises(ConflictError):
        run.save("out", folder)

    assert list(run.record.artifacts) == ["out"]


# Folders that a run reads


def test_a_link_to_data_elsewhere_is_part_of_a_folder_that_is_read(run, folder, recwarn):
    data = folder.parent / "data.bin"
    data.write_bytes(b"first")
    (folder / "data.bin").symlink_to(data)
    (folder / "more").symlink_to(folder.parent / "out" / "deep")

    first = run.use(folder, "before")
    data.write_bytes(b"other")
    second = run.use(folder, "after")

    assert first.digest != second.digest
    assert not recwarn.list


@pytest.mark.parametrize("target", [".", "..", "odd", "gone"])
def test_links_that_cannot_be_read_are_said(run, folder, target):
    plain = run.use(folder, "before").digest
    (folder / "odd").symlink_to(target)

    with pytest.warns(StoreWarning, match="Skipped in the folder .*'odd'"):
        found = run.use(folder, "after")

    assert found.digest == plain


def test_the_store_is_no_part_of_a_folder_that_is_read(store, run, tmp_path):
    """It changes with every run, and its database loses its locks when a file of it is closed."""
    if not store.path.is_relative_to(tmp_path):
        pytest.skip("the store lies elsewhere")
    with pytest.warns(StoreWarning, match="the store itself"):
        first = run.use(tmp_path, "before")
    run.save("new.bin", b"changes the store")

    with pytest.warns(StoreWarning, match="the store itself"):
        assert run.use(tmp_path, "after").digest == first.digest


def test_files_of_a_store_in_use_are_neither_read_nor_saved(store, run, tmp_path):
    database = store.path / "runstore.db"
    if not database.exists():
        pytest.skip("the store lies elsewhere")

    with pytest.raises(InvalidValueError, match="a file of a store in use"):
        run.use(database)
    with pytest.raises(InvalidValueError, match="a file of a store in use"):
        run.save("copy.db", database)
    with pytest.warns(StoreWarning, match=r"'runstore.db' \(a file of a store in use\)"):
        run.use(store.path)


def test_looking_whether_data_changed_says_nothing(store, folder, recwarn):
    (folder / "odd").symlink_to("gone")

    assert store.backend.part(Lineage).extent(folder)[0] == 2
    assert store.backend.part(Lineage).digest_of(folder)
    assert not recwarn.list
