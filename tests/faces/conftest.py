"""The engines that the tests of Python, commands, the page and ManagerStore run on."""

import shutil
from contextlib import ExitStack

import pytest

import commands
from places import forget_shared, is_folder_only, place, store_at
from runstore import Store


def pytest_generate_tests(metafunc):
    """Repeat tests on a server, if asked to; a test without a folder has no store."""
    has_folder = not {"tmp_path", "tmp_path_factory"}.isdisjoint(metafunc.fixturenames)
    if (
        metafunc.config.getoption("--both-engines")
        and has_folder
        and not is_folder_only(metafunc.definition)
    ):
        metafunc.parametrize("engine", ["sqlite", "postgresql"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request):
    """The engine of a test."""
    yield getattr(request, "param", "sqlite")
    forget_shared()


@pytest.fixture(autouse=True)
def _store_of_the_project(engine, monkeypatch):
    """Keep the runs of a test on a server, in a new database."""
    if engine == "sqlite":
        yield
        return
    pytest.importorskip("psycopg")
    from postgres_server import database

    with database() as url:
        monkeypatch.setenv("RUNSTORE_URL", url)
        yield


@pytest.fixture
def named_store(tmp_path, monkeypatch):
    """Name the store of a test to the programs and commands that it starts."""
    monkeypatch.setenv("RUNSTORE_URL", str(place(tmp_path / "store")))


@pytest.fixture
def interpreters(monkeypatch):
    """Have commands start programs: for tests of how they do that, and of what the system shows.

    Otherwise, a Python program that they start is forked.
    """
    monkeypatch.setattr(commands, "_FORKING", frozenset())


@pytest.fixture
def newest(tmp_path):
    """Return a function for the newest run, which can be read until the test ends."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(store_at(tmp_path / "store")).get("latest")


@pytest.fixture(scope="session")
def _filled(tmp_path_factory):
    """Stores in folders, by the function that filled them."""
    return {}, tmp_path_factory.mktemp("filled")


@pytest.fixture
def filled(_filled, tmp_path, engine):
    """Return a function that fills the store of a test by another; in folders, with a copy."""

    def fill(by):
        folder = tmp_path / ".runstore"
        if engine == "postgresql":
            with store_at(folder) as store:
                by(store)
            return tmp_path
        made, top = _filled
        if by not in made:
            made[by] = top / str(len(made))
            with Store.open(made[by]) as store:
                by(store)
        shutil.copytree(made[by], folder)
        return tmp_path

    return fill
