"""A store with a few runs, and a client of its page."""

import pytest

from places import store_at
from runstore import Store
from web_client import client_of, served_at


def _fill(store):
    for n in range(5):
        run = store.start(
            "mnist" if n < 3 else "cifar",
            params={"lr": n / 10, "model": {"layers": [n, 2]}, "same": 1},
            capture=False,
        )
        run.log({"loss": 1.0 / (n + 1)}, step=0)
        run.log({"loss": 0.5 / (n + 1)}, step=10)
        run.finish()
        store.tag(run.uid, {"phase": "pilot" if n else "main"})


@pytest.fixture(scope="session")
def fill():
    """What fills a store with a few runs."""
    return _fill


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("template") / "store"
    with Store.open(folder) as store:
        _fill(store)
    return folder


@pytest.fixture
def store(filled):
    with store_at(filled(_fill) / ".runstore") as opened:
        yield opened


@pytest.fixture
def served(store):
    made = served_at(store)
    yield made
    made.threads.shutdown()


@pytest.fixture
def client(served):
    with client_of(served) as made:
        yield made
