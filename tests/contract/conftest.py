"""The engines that the storage contract runs on."""

import shutil
import stat

import pytest

from runstore import Store

SECRET = b"-----BEGIN PRIVATE KEY----- not yours"


# Files whose tests hold for both engines; this list only grows.
ON_BOTH_ENGINES = {
    "test_already_ran",
    "test_artifacts",
    "test_deferred",
    "test_deleting",
    "test_doctor",
    "test_edits",
    "test_facts_changed_by_hand",
    "test_filter_namespaces",
    "test_filter_values",
    "test_finding",
    "test_forked_children",
    "test_garbage_collection",
    "test_grouping",
    "test_indexed_facts",
    "test_interruptions",
    "test_killed_processes",
    "test_late_params",
    "test_liveness",
    "test_many_writers",
    "test_media",
    "test_metrics",
    "test_moving",
    "test_names_of_runs",
    "test_names_of_series",
    "test_odd_calls",
    "test_outlines",
    "test_past_runs",
    "test_points_table",
    "test_random_operations",
    "test_recovered_runs",
    "test_redoing",
    "test_rewinding",
    "test_saved_folders",
    "test_saved_things",
    "test_searching",
    "test_settled_once",
    "test_sort_keys",
    "test_storage_contract",
    "test_trash",
    "test_unknown_names",
}


# Those that run on both by default; the others do with --both-engines.
BY_DEFAULT = {
    "test_facts_changed_by_hand",
    "test_filter_values",
    "test_many_writers",
    "test_storage_contract",
}


def pytest_generate_tests(metafunc):
    """Run tests of an empty store on each engine that they hold for."""
    name = metafunc.module.__name__.rpartition(".")[2]
    among = ON_BOTH_ENGINES if metafunc.config.getoption("--both-engines") else BY_DEFAULT
    is_on_both = name in among
    is_on_both &= metafunc.definition.get_closest_marker("folder_only") is None
    engines = ["sqlite", "postgresql"] if is_on_both else ["sqlite"]
    scopes = {"location": "function", "vacant": "function", "module_location": "module"}
    for fixture in scopes.keys() & set(metafunc.fixturenames):
        metafunc.parametrize(fixture, engines, indirect=True, scope=scopes[fixture])


def _place(engine, folder):
    if engine == "sqlite":
        yield folder / "store"
        return
    pytest.importorskip("psycopg")
    from postgres_server import database

    with database() as url:
        yield url


@pytest.fixture
def url():
    """Return the URL of a database with an empty store."""
    yield from _place("postgresql", None)


@pytest.fixture
def empty_url():
    """Return the URL of a database without tables."""
    from postgres_server import drop, new_database

    url, name = new_database(is_empty=True)
    yield url
    drop(name)


@pytest.fixture(scope="session")
def empty(tmp_path_factory):
    """A store that is copied, never changed: making its tables takes much longer."""
    folder = tmp_path_factory.mktemp("empty") / "store"
    Store.open(folder).close()
    return folder


@pytest.fixture
def location(request, empty, tmp_path):
    """Where a new, empty store of this engine is."""
    if request.param == "sqlite":
        shutil.copytree(empty, tmp_path / "store")
    yield from _place(request.param, tmp_path)


@pytest.fixture
def vacant(request, tmp_path):
    """Where a store of this engine can be made."""
    yield from _place(request.param, tmp_path)


@pytest.fixture(scope="module")
def module_location(request, tmp_path_factory):
    """Where the store of all tests of a file is."""
    yield from _place(request.param, tmp_path_factory.mktemp("module"))


@pytest.fixture
def store(location):
    with Store.open(location) as opened:
        yield opened


@pytest.fixture
def run(store):
    """Return a run in progress."""
    started = store.start("fit", capture=False)
    yield started
    if not started.status.is_final:
        started.finish()


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
