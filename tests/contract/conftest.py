"""The engines that the storage contract runs on."""

import shutil
import stat

import pytest

from runstore import Store

SECRET = b"-----BEGIN PRIVATE KEY----- not yours"


@pytest.fixture(params=["sqlite"])
def location(request, tmp_path):
    """Where a new, empty store of this engine is."""
    assert request.param == "sqlite"
    return tmp_path / "store"


@pytest.fixture
def store(location):
    with Store.open(location) as opened:
        yield opened


# Stores from somebody else


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """Return a store with one run, which has a metric and a file; and the run's uid."""
    folder = tmp_path_factory.mktemp("recorded")
    with Store.open(folder) as store, store.start("fit", capture=False) as run:
        run.log(loss=0.5)
        run.save("model.bin", b"weights")
    return folder, run.uid


@pytest.fixture
def given(recorded, tmp_path):
    """Return the folder of a store that somebody handed on."""
    shutil.copytree(recorded[0], tmp_path / "given")
    return tmp_path / "given"


@pytest.fixture
def outside(tmp_path):
    """Return a private folder, and make sure that nothing in it was touched."""
    folder = tmp_path / "home"
    (folder / "Documents").mkdir(parents=True)
    (folder / "Documents" / "thesis.txt").write_text("ten years")
    (folder / "id_rsa").write_bytes(SECRET)
    (folder / "id_rsa").chmod(0o600)
    before = listed(folder)
    yield folder
    assert listed(folder) == before


def listed(folder):
    """Return what a folder holds: names, kinds, contents, and when they were changed."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.lstat()
        contents = path.read_bytes() if stat.S_ISREG(about.st_mode) else b""
        found[path.relative_to(folder)] = (about.st_mode, about.st_mtime_ns, contents)
    return found
