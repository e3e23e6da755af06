"""A store is called what people call its project."""

from pathlib import Path

import pytest

from runstore.storage.backend import Backend
from runstore.web.api.store import name_of


@pytest.mark.parametrize(
    ("path", "name"),
    [("/home/me/mnist/.runstore", "mnist"), ("/data/team", "team"), ("/.runstore", ".runstore")],
)
def test_a_hidden_folder_has_the_name_of_its_project(path, name):
    assert name_of(Backend(Path(path))) == name
