"""Commands that messages suggest use the store of the command that printed them."""

import re
import shlex

import click
import pytest

from commands import messages
from commands import runstore_here as in_folder
from places import place, store_at
from runstore.cli.context import STORE, for_this_store


@pytest.fixture
def elsewhere(tmp_path):
    """The folder of another project, whose store has a run; this one has another run."""
    for name in ("here", "elsewhere"):
        (tmp_path / name).mkdir()
        with store_at(tmp_path / name / ".runstore") as store:
            store.start("fit", capture=False, notes=name).finish()
    return tmp_path / "elsewhere"


def suggested(ended):
    """Return the words of the last command in the messages."""
    return shlex.split(re.findall(r"(?:: )runstore (.*)", ended.stderr)[-1])


@pytest.mark.folder_only("needs two stores")
def test_undo_as_suggested_by_rm_is_for_the_same_store(elsewhere, tmp_path):
    here = tmp_path / "here"
    in_folder("note", "fit#1", "precious", cwd=here)
    location = str(place(elsewhere / ".runstore"))

    removed = in_folder("rm", "-y", "fit#1", "--store", location, cwd=here)
    undone = in_folder(*suggested(removed), cwd=here)

    assert undone.returncode == 0
    with store_at(elsewhere / ".runstore") as store:
        assert store.get("fit#1").notes == "elsewhere"
    with store_at(here / ".runstore") as store:
        assert store.get("fit#1").notes == "precious"


@pytest.mark.folder_only("needs two stores")
def test_errors_suggest_commands_for_the_same_store(elsewhere, tmp_path):
    location = str(place(elsewhere / ".runstore"))
    in_folder("rm", "-y", "fit#1", cwd=elsewhere)

    refused = in_folder("show", "fit#1", "--store", location, cwd=tmp_path / "here")
    restored = in_folder(*suggested(refused), cwd=tmp_path / "here")

    assert restored.returncode == 0
    with store_at(elsewhere / ".runstore") as store:
        assert store.get("fit#1").notes == "elsewhere"


def test_without_the_option_commands_are_short(elsewhere):
    removed = in_folder("rm", "-y", "fit#1", cwd=elsewhere)

    assert "Undo with: runstore undo" in messages(removed)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Undo with: runstore undo", "Undo with: runstore --store 'a b' undo"),
        ("A:\nrunstore gc", "A:\nrunstore --store 'a b' gc"),
        ("To list them: runstore ls --store other", "To list them: runstore ls --store other"),
        ("Its options: runstore ls --help", "Its options: runstore ls --help"),
        ("If you trust it: runstore trust /data", "If you trust it: runstore trust /data"),
        ("Please report it: runstore: a bug", "Please report it: runstore: a bug"),
        ("runstore: nothing is waiting", "runstore: nothing is waiting"),
    ],
)  # fmt: skip
@pytest.mark.folder_only("is about no store")
def test_only_commands_that_use_a_store_get_the_option(text, expected):
    with click.Context(click.Command("ls")) as context:
        context.meta[STORE] = "a b"

        assert for_this_store(text) == expected


@pytest.mark.folder_only("is about no store")
def test_passwords_are_not_repeated():
    with click.Context(click.Command("ls")) as context:
        context.meta[STORE] = "postgresql://ann:secret@127.0.0.1/runs"
        told = for_this_store("Undo with: runstore undo")

    assert "secret" not in told
    assert "ann:***@127.0.0.1/runs" in told
