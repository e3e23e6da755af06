"""Undone edits can be redone, step by step, until a new edit is made."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import ConflictError, NotFoundError


@pytest.fixture
def run(store):
    with store.start("fit", capture=False) as started:
        pass
    return started


def state(store, uid):
    run = store.get(uid)
    return run.notes, dict(run.tags), run.reference


def test_each_kind_of_edit_is_redone(store, run):
    edits = (
        lambda: store.edit(run.uid, notes="text"),
        lambda: store.tag(run.uid, {"phase": "pilot", "keep": ""}),
        lambda: store.move(run.uid, "other"),
        lambda: store.rename_experiment("other", "renamed"),
    )
    for edit in edits:
        edit()
        done = state(store, run.uid)

        store.undo()
        assert state(store, run.uid) != done
        store.redo()

        assert state(store, run.uid) == done
    assert store.verify().problems == ()


def test_a_deletion_is_redone(store, run):
    store.delete(run.uid)
    store.undo()

    store.redo()

    assert [one.uid for one in store.trash()] == [run.uid]
    store.undo()
    assert store.trash() == ()


def test_redo_takes_the_steps_of_undo_back_in_turn(store, run):
    for text in ("one", "two", "three"):
        store.edit(run.uid, notes=text)
    for _ in range(3):
        store.undo()

    seen = []
    for _ in range(3):
        store.redo()
        seen.append(store.get(run.uid).notes)

    assert seen == ["one", "two", "three"]
    with pytest.raises(NotFoundError, match="no undone edit"):
        store.redo()


def test_a_redone_edit_can_be_undone_and_redone_again(store, run):
    store.edit(run.uid, notes="one")
    for _ in range(3):
        store.undo()
        assert store.get(run.uid).notes is None
        store.redo()
        assert store.get(run.uid).notes == "one"


def test_a_new_edit_ends_redoing(store, run):
    store.edit(run.uid, notes="one")
    store.undo()
    store.tag(run.uid, {"new": ""})

    with pytest.raises(NotFoundError, match="no undone edit"):
        store.redo()

    assert store.get(run.uid).notes is None


def test_everybody_redoes_their_own(store, run):
    store.edit(run.uid, notes="of Ada", author="ada")
    store.undo(author="ada")

    with pytest.raises(NotFoundError):
        store.redo(author="ben")
    store.redo(author="ada")

    assert store.get(run.uid).notes == "of Ada"


def test_an_edit_by_somebody_else_is_not_overwritten(store, run):
    store.edit(run.uid, notes="mine", author="ada")
    store.undo(author="ada")
    store.edit(run.uid, notes="theirs", author="ben")

    with pytest.raises(ConflictError):
        store.redo(author="ada")

    assert store.get(run.uid).notes == "theirs"


def test_a_dry_redo_changes_nothing(store, run):
    store.edit(run.uid, notes="one")
    store.undo()

    (one,) = store.redo(dry=True)

    assert (one.event.field, one.event.old, one.event.new) == ("notes", "one", None)
    assert store.get(run.uid).notes is None


def test_a_redone_deletion_can_be_cleaned_up(store, run):
    store.delete(run.uid)
    store.undo()
    store.redo()

    store.collect_garbage(older_than=timedelta(0))

    with pytest.raises((NotFoundError, ConflictError)):
        store.undo()


# Each example begins with its own run: what others left does not matter.
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(["edit", "undo", "redo"]), max_size=25))
def test_undo_and_redo_are_those_of_an_editor(tmp_path, steps):
    with Store.open(tmp_path / "store") as store:
        with store.start("fit", capture=False) as run:
            pass
        author = run.uid
        past, now, future = [], None, []
        for place, step in enumerate(steps):
            if step == "edit":
                past.append(now)
                now, future = f"text {place}", []
                store.edit(run.uid, notes=now, author=author)
            elif step == "undo" and past:
                future.append(now)
                now = past.pop()
                store.undo(author=author)
            elif step == "redo" and future:
                past.append(now)
                now = future.pop()
                store.redo(author=author)
            else:
                with pytest.raises(NotFoundError):
                    {"undo": store.undo, "redo": store.redo}[step](author=author)
            assert store.get(run.uid).notes == now
