"""Paths as texts, which a start uses because `pathlib` takes long to load."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.storage.sqlite.paths import absolute, plain, with_parents

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
