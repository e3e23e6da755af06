"""The engines that the storage contract runs on."""

import pytest

from runstore import Store


@pytest.fixture(params=["sqlite"])
def location(request, tmp_path):
    """Where a new, empty store of this engine is."""
    assert request.param == "sqlite"
    return tmp_path / "store"


@pytest.fixture
def store(location):
    with Store.open(location) as opened:
        yield opened
