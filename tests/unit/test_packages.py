"""The list of installed packages: as `importlib.metadata` has it, without loading that."""

import json
import os
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from runstore.capture.machine import packages
from runstore.capture.machine.environment import facts_of
from runstore.capture.machine.packages import distributions

# The library loads its parts late, which are not on the path of these tests.
assert metadata.distribution("pytest").metadata["Name"]
os_open = os.open
LONG = "".join(f"Classifier: Number :: {number}\n" for number in range(500))
HEADS = {
    "plain-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: Plain.Name\nVersion: 1.0\n",
    "described-2.dist-info/METADATA": "Name: described\nVersion: 2\n\nName: other\n" + "x" * 9_000,
    "long_head-3.dist-info/METADATA": f"{LONG}Name: long-head\nVersion: 3\n\nText.",
    "late_version-4.dist-info/METADATA": f"Name: late-version\n{LONG}Version: 4\n",
    "crlf-5.dist-info/METADATA": "Name: crlf\r\nVersion: 5\r\n\r\nVersion: 6\r\n",
    "cr-6.dist-info/METADATA": "Name: cr\rVersion: 6\r\rText.\r",
    "twice-7.dist-info/METADATA": "Name: twice\nName: never\nVersion: 7\nVersion: 8\n",
    "spaced-8.dist-info/METADATA": "NAME:  spaced \nversion:\t8\n",
    "one_line-9.dist-info/METADATA": "Name: one-line\nVersion: 9",
    "umlaut-10.dist-info/METADATA": "Summary: Grüße\nName: umlaut\nVersion: 10\n",
    "old-11.egg-info/PKG-INFO": "Name: old\nVersion: 11\n",
    "older-12.egg-info": "Name: older\nVersion: 12\n",
    "UPPER-13.DIST-INFO/METADATA": "Name: Upper\nVersion: 13\n",
    "empty-14.dist-info/METADATA": "",
    "empty-14.dist-info/PKG-INFO": "Name: by-pkg-info\nVersion: 14\n",
    "nameless-15.dist-info/METADATA": "Version: 15\n\nName: nobody\n",
    "bare-16.dist-info/RECORD": "",
    "folder-17.dist-info/METADATA/file": "",
    "some.egg/EGG-INFO/PKG-INFO": "Name: some-egg\nVersion: 18\n",
    "no_egg/EGG-INFO/PKG-INFO": "Name: no-egg\nVersion: 19\n",
    "second/plain-9.dist-info/METADATA": "Name: plain.name\nVersion: 9\n",
    "second/only_here-1.dist-info/METADATA": "Name: only-here\nVersion: 1\n",
}


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Folders of the path with distributions of every kind."""
    for name, text in HEADS.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text.encode())
    with zipfile.ZipFile(tmp_path / "packed.zip", "w") as packed:
        packed.writestr("packed-20.dist-info/METADATA", "Name: packed\nVersion: 20\n")
    found = [tmp_path, tmp_path / "second", tmp_path / "some.egg", tmp_path / "no_egg"]
    found += [tmp_path / "packed.zip", tmp_path / "missing", tmp_path / "older-12.egg-info"]
    monkeypatch.setattr(sys, "path", [str(one) for one in found])
    return tmp_path


def by_library():
    """Return what `importlib.metadata` finds, name and version as they stand in the files."""
    seen = {}
    for one in metadata.distributions():
        name, version = one.metadata.get("Name"), one.metadata.get("Version")
        if name:
            seen.setdefault(name.lower(), f"{name.strip()}=={version.strip()}")
    return sorted(seen.values(), key=str.lower)


def test_distributions_of_every_kind_are_those_of_the_library(places):
    found, broken = distributions()

    assert found == by_library()
    assert broken == []
    assert len(found) == 17
    assert {"Plain.Name==1.0", "late-version==4", "crlf==5", "packed==20", "cr==6"} <= set(found)


def test_the_own_environment_is_that_of_the_library():
    found, broken = distributions()

    assert [one.partition(" @ ")[0] for one in found] == by_library()
    assert broken == []


def test_the_working_directory_is_a_place_as_well(places, monkeypatch):
    monkeypatch.setattr(sys, "path", [""])
    monkeypatch.chdir(places / "second")

    assert distributions() == (["only-here==1", "plain.name==9"], [])


def test_an_unreadable_description_does_not_hide_a_package(tmp_path, monkeypatch):
    """The library's own reader refuses it."""
    about = tmp_path / "latin-1.dist-info"
    about.mkdir()
    head = b"Name: latin\nVersion: 1\n" + LONG.encode() + b"\n"
    (about / "METADATA").write_bytes(head + b"Gr\xfc\xdfe")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    assert distributions() == (["latin==1"], [])


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, monkeypatch):
    about = tmp_path / "pipe-1.dist-info"
    about.mkdir()
    os.mkfifo(about / "METADATA")
    (about / "PKG-INFO").write_text("Name: pipe\nVersion: 1\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    assert distributions() == (["pipe==1"], [])


@pytest.mark.parametrize(
    ("told", "origin"),
    [
        ({"url": "file:///src", "dir_info": {"editable": True}}, " @ file:///src (editable)"),
        ({"url": "file:///src", "dir_info": {}}, " @ file:///src"),
        ({"url": "https://x/y", "vcs_info": {"commit_id": "ab12"}}, " @ https://x/y@ab12"),
        ({"dir_info": {"editable": True}}, ""),
        ([1], ""),
        (None, ""),
    ],
)
def test_a_package_from_elsewhere_has_its_origin(tmp_path, monkeypatch, told, origin):
    about = tmp_path / "one-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Name: one\nVersion: 1\n")
    (about / "direct_url.json").write_text(json.dumps(told))
    monkeypatch.setattr(sys, "path", [str(tmp_path)])

    assert distributions() == ([f"one==1{origin}"], [])


def test_what_is_hidden_by_another_folder_is_not_unreadable(tmp_path, monkeypatch):
    for folder in ("first", "second"):
        about = tmp_path / folder / "one.dist-info"
        about.mkdir(parents=True)
        (about / "METADATA").write_text("Name: one\nVersion: 1\n")
    (about / "direct_url.json").write_bytes(b"\xff")
    monkeypatch.setattr(sys, "path", [str(tmp_path / "first"), str(tmp_path / "second")])

    assert distributions() == (["one==1"], [])
    monkeypatch.setattr(sys, "path", [str(tmp_path / "second")])
    found, unreadable = distributions()
    assert (found, len(unreadable)) == ([], 1)


def test_folders_are_read_once_until_they_change(tmp_path, monkeypatch):
    """A program starts many runs, and packages may be installed meanwhile."""
    opened = []
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(os, "open", lambda path, *how: opened.append(path) or os_open(path, *how))
    monkeypatch.setattr(packages, "_STEP_NS", -packages._STEP_NS)  # as if it was later

    def install(name, version):
        about = tmp_path / "new"
        about.mkdir()
        (about / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
        place = tmp_path / f"{name}.dist-info"
        if place.exists():
            place.rename(tmp_path / "old")
        about.rename(place)

    install("one", 1)
    install("two", 1)
    assert distributions() == (["one==1", "two==1"], [])
    opened.clear()
    assert distributions() == (["one==1", "two==1"], [])
    assert opened == []
    install("two", 2)
    assert distributions() == (["one==1", "two==2"], [])
    assert {Path(one).parent.name for one in opened} == {"two.dist-info"}


def test_folders_that_changed_just_now_are_read_again(tmp_path, monkeypatch):
    """Their times may be the same after the next change."""
    about = tmp_path / "one.dist-info"
    about.mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    for version in (1, 2):
        (about / "METADATA").write_text(f"Name: one\nVersion: {version}\n")
        assert distributions() == ([f"one=={version}"], [])


def test_another_finder_of_distributions_is_asked(tmp_path, monkeypatch):
    """Import hooks may know packages that are in no folder."""

    class Made(metadata.Distribution):
        def read_text(self, filename):
            return "Name: made\nVersion: 5\n" if filename == "METADATA" else None

        def locate_file(self, path):
            return tmp_path / path

    class Finder:
        @staticmethod
        def find_spec(_name, _path=None, _target=None):
            return None

        @staticmethod
        def find_distributions(_context=None):
            return [Made()]

    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])

    assert distributions() == (["made==5"], [])


def test_folders_are_read_without_the_library(places):
    code = (
        "import sys; sys.path[:0] = sys.argv[1:]\n"
        "from runstore.capture.machine.packages import distributions\n"
        "print(len(distributions()[0]), 'importlib.metadata' in sys.modules)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code, str(places)], capture_output=True, text=True, check=True
    )

    count, is_loaded = ended.stdout.split()
    assert int(count) > 14
    assert is_loaded == "False"


@pytest.mark.parametrize(
    ("line", "kept"),
    [
        ("tokenizers==0.15.0", "tokenizers==0.15.0"),
        ("secret-key==2024.1.0+cu118", "secret-key==2024.1.0+cu118"),
        ("one==1 @ file:///src/one (editable)", "one==1 @ file:///src/one (editable)"),
        ("one==1 @ https://me:hunter22@x.org/y@ab12", "one==1 @ https://me:***@x.org/y@ab12"),
        ("one==1 @ https://x.org/y?token=a8Fj3kQ9zL2x@ab", "one==1 @ https://x.org/y?token=***"),
        ("one==1 @ https://x.org/ghp_" + "a1B2" * 9, "one==1 @ https://x.org/***"),
        ("ghp_" + "a1B2" * 9 + "==1", "***==1"),
    ],
)
def test_secrets_in_the_list_are_masked(line, kept):
    facts = facts_of({}, [line, "other==2"], [])

    assert facts.documents["packages"] == f"{kept}\nother==2\n"
    assert facts.values["python.package_count"] == 2
