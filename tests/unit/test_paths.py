"""Paths as texts, which a start uses because `pathlib` takes long to load."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.storage.sqlite.paths import (
    absolute,
    can_be_entered,
    is_file,
    is_folder,
    plain,
    with_parents,
)

TEXTS = st.text(st.sampled_from("/.a~\udcffé "), max_size=12)


@given(TEXTS)
def test_a_path_is_written_as_pathlib_writes_it(text):
    assert plain(text) == str(Path(text))


@given(TEXTS)
def test_the_folders_above_are_those_of_pathlib(text):
    path = Path("/", text)

    assert with_parents(str(path)) == [str(path), *map(str, path.parents)]


@pytest.mark.parametrize("path", ["a/../b", "/a/../b", Path("a"), Path("/a")])
def test_an_absolute_path_is_that_of_pathlib(path):
    assert absolute(path) == str(Path(path).absolute())


def test_an_absolute_path_needs_no_working_directory(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    here.rmdir()

    assert absolute("/a") == "/a"
    with pytest.raises(FileNotFoundError):
        absolute("a")
    os.chdir(tmp_path)


@pytest.mark.parametrize("name", ["missing", "a" * 300, "nul\0", "file/below"])
def test_what_cannot_be_looked_at_is_nothing(tmp_path, name):
    """Methods of pathlib raise an error for a name that is too long."""
    (tmp_path / "file").touch()

    assert not is_folder(f"{tmp_path}/{name}")
    assert not is_file(f"{tmp_path}/{name}")
    assert not can_be_entered(f"{tmp_path}/{name}")


def test_folders_and_files_are_distinguished(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")

    assert is_folder(tmp_path)
    assert can_be_entered(tmp_path)
    for file in (tmp_path / "file", tmp_path / "link"):
        assert is_file(file)
        assert not is_folder(file)
        assert not can_be_entered(file)
