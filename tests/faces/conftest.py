"""The engines that the tests of Python, commands, the page and ManagerStore run on."""

import pytest

# Files whose tests hold for both engines; this list only grows.
ON_BOTH_ENGINES = {
    "test_artifact_manager",
    "test_curifactory_itself",
    "test_manager_store",
    "test_manager_store_damage",
    "test_manager_store_files",
    "test_manager_store_kill",
    "test_manager_store_reads",
    "test_manager_store_trash",
    "test_manager_store_writers",
}


def pytest_generate_tests(metafunc):
    """Run tests on each engine that they hold for, if asked to."""
    name = metafunc.module.__name__.rpartition(".")[2]
    is_on_both = name in ON_BOTH_ENGINES and metafunc.config.getoption("--both-engines")
    is_on_both &= metafunc.definition.get_closest_marker("folder_only") is None
    engines = ["sqlite", "postgresql"] if is_on_both else ["sqlite"]
    metafunc.parametrize("engine", engines, indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request):
    """The engine of a test."""
    return request.param


@pytest.fixture(scope="module")
def shared_store(engine):
    """The URL of the store of all tests of a file that use it; None for one in a folder."""
    if engine == "sqlite":
        yield None
        return
    from postgres_server import database

    url, take_back = database()
    yield url
    take_back()


@pytest.fixture(autouse=True)
def _store_of_the_project(request, engine, monkeypatch):
    """Keep the runs of a test on a server: in a new database, or in that of its file."""
    if engine == "sqlite":
        yield
        return
    pytest.importorskip("psycopg")
    from postgres_server import database

    if "shared_store" in request.fixturenames:
        monkeypatch.setenv("RUNSTORE_URL", request.getfixturevalue("shared_store"))
        yield
        return
    url, take_back = database()
    monkeypatch.setenv("RUNSTORE_URL", url)
    yield
    take_back()
