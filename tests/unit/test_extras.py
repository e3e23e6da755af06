"""The command that installs an extra."""

import json
from urllib.parse import quote

import pytest

from runstore.extras import how_to_install


@pytest.fixture
def metadata(tmp_path, monkeypatch):
    """Return the folder with the metadata of the installed package."""
    place = tmp_path / "site" / "runstore-9.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Name: runstore\nVersion: 9\n")
    monkeypatch.syspath_prepend(tmp_path / "site")
    return place


@pytest.mark.parametrize(
    ("facts", "command"),
    [
        ({"dir_info": {}}, "pip install '{}[plot]'"),
        ({"dir_info": {"editable": True}}, "pip install -e '{}[plot]'"),
    ],
)
def test_an_extra_is_installed_from_the_checkout(tmp_path, metadata, facts, command):
    checkout = tmp_path / "my checkout"
    checkout.mkdir()
    told = {"url": f"file://{quote(str(checkout))}", **facts}
    (metadata / "direct_url.json").write_text(json.dumps(told))

    assert how_to_install("plot") == f"Install it with: {command.format(checkout)}"


@pytest.mark.parametrize("told", [None, '{"url": "file:///no/such/folder", "dir_info": {}}'])
def test_without_a_checkout_an_extra_has_the_name_of_the_package(metadata, told):
    if told is not None:
        (metadata / "direct_url.json").write_text(told)

    assert how_to_install("plot") == "Install it with: pip install 'runstore[plot]'"


def test_damaged_metadata_are_no_reason_to_fail(metadata):
    (metadata / "direct_url.json").write_text("[")

    assert "pip install '.[plot]'" in how_to_install("plot")
