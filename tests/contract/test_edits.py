"""Tags, notes, moves: each leaves an event, and the last one can be taken back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import ConflictError, InvalidValueError, NotFoundError, RunNotFoundError
from runstore.model.tags import tag_key


def test_tags_are_a_mapping_that_writes_through(store, run):
    run.tags["phase"] = "pilot"
    run.tags["fold"] = 3
    run.tags["final"] = True
    run.tags.add("keep")
    del run.tags["fold"]

    tags = {"final": "true", "keep": "", "phase": "pilot"}
    assert dict(run.tags) == tags
    assert store.get(run.uid).tags == tags
    assert store.list().items[0].tags == tags
    with pytest.raises(KeyError):
        del run.tags["fold"]


@pytest.mark.parametrize("key", ["", "+x", "-x", "a=b", " x", "a\nb", "x" * 251, "\ud800", 3])
def test_keys_that_nobody_could_type_are_refused(run, key):
    with pytest.raises(InvalidValueError, match="cannot be a tag"):
        run.tags[key] = "x"

    assert run.record.tags == {}


@pytest.mark.parametrize("value", [object(), [1], b"x", "x" * 8193])
def test_values_are_text_or_numbers(run, value):
    with pytest.raises(InvalidValueError, match="cannot be a tag"):
        run.tags["x"] = value


@given(st.text(min_size=1, max_size=30))
def test_a_key_that_is_taken_can_be_typed(text):
    try:
        key = tag_key(text)
    except InvalidValueError:
        return

    assert key == text
    assert "=" not in key
    assert key[0] not in "+-"


def test_several_runs_get_all_changes_or_none(store, run):
    other = store.start("fit", capture=False)
    other.finish()

    store.tag([run.uid, other.uid], {"keep": "", "phase": "b"})
    with pytest.raises(RunNotFoundError):
        store.tag([run.uid, "nothing#1"], {"lost": ""})
    with pytest.raises(InvalidValueError):
        store.tag([run.uid], {"good": "", "": ""})

    assert [store.get(one.uid).tags for one in (run, other)] == [{"keep": "", "phase": "b"}] * 2


def test_what_was_done_at_once_is_taken_back_at_once(store, run):
    other = store.start("fit", capture=False)
    other.finish()
    store.tag(run.uid, {"phase": "a"})
    store.tag([run.uid, other.uid], {"phase": "b", "keep": ""})

    undone = store.undo()

    assert len(undone) == 4
    assert store.get(run.uid).tags == {"phase": "a"}
    assert store.get(other.uid).tags == {}


def test_undo_goes_back_step_by_step(store, run):
    store.edit(run.uid, notes="one")
    store.edit(run.uid, notes="two")
    store.tag(run.uid, {"x": "1"})

    store.undo()
    assert (store.get(run.uid).tags, store.get(run.uid).notes) == ({}, "two")
    store.undo()
    assert store.get(run.uid).notes == "one"
    store.undo()
    assert store.get(run.uid).notes is None
    with pytest.raises(NotFoundError, match="no edit to undo"):
        store.undo()

    assert [event.undoes is not None for event in store.events(run.uid)] == [False] * 3 + [
        True
    ] * 3


def test_a_move_is_not_taken_back_after_another_one(store, run):
    store.move(run.uid, "other", author="ada")
    store.move(run.uid, "third", author="bob")

    with pytest.raises(ConflictError, match="reference was changed since: it is now 'third_1_"):
        store.undo(author="ada")

    assert store.get(run.uid).experiment_name == "third"


def test_a_move_is_taken_back_with_its_number(store, run):
    reference = run.reference
    run.finish()
    moved = store.edit(run.uid, experiment_name="other").reference

    store.undo()

    back = store.get(run.uid)
    assert (back.reference, back.run_number, back.experiment_name) == (reference, 1, "fit")
    assert store.get(moved).uid == run.uid
    assert store.start("other", capture=False).run_number == 2  # 1 is never given again
    assert store.start("fit", capture=False).run_number == 2


def test_undo_of_one_run_leaves_others_alone(store, run):
    other = store.start("fit", capture=False)
    other.finish()
    store.tag(run.uid, {"x": "1"}, author="ada")
    store.tag(other.uid, {"x": "1"}, author="ada")

    store.undo(run.uid)

    assert (store.get(run.uid).tags, store.get(other.uid).tags) == ({}, {"x": "1"})


def test_everybody_takes_back_their_own(store, run):
    store.tag(run.uid, {"x": "1"}, author="ada")
    store.tag(run.uid, {"y": "1"}, author="ben")

    store.undo(author="ada")

    assert store.get(run.uid).tags == {"y": "1"}


def test_what_a_program_edits_is_no_edit_of_its_author(store, run):
    """Otherwise an undo would meet a tag of the training instead of the mistake before it."""
    other = store.start("fit", capture=False)
    other.finish()
    store.tag(other.uid, {"x": "1"})
    run.tags["phase"] = "warm"
    run.notes = "from the program"

    store.undo()
    assert store.get(other.uid).tags == {}
    run.tags["phase"] = "hot"
    store.redo()

    assert store.get(other.uid).tags == {"x": "1"}
    assert dict(store.get(run.uid).tags) == {"phase": "hot"}
    store.undo()
    with pytest.raises(NotFoundError, match="no edit to undo"):
        store.undo()


def test_what_a_program_edited_is_undone_by_the_name_of_its_run(store, run):
    store.edit(run.uid, notes="by hand")
    run.notes = "from the program"

    store.undo(run.uid)

    assert store.get(run.uid).notes == "by hand"


def test_a_removed_run_with_edits_of_its_program_hides_no_edit(store, run):
    other = store.start("fit", capture=False)
    other.finish()
    store.tag(other.uid, {"x": "1"})
    run.tags["phase"] = "warm"
    run.finish()

    store.delete(run.uid, author="ben")
    store.collect_garbage(older_than=0)
    store.undo()

    assert store.get(other.uid).tags == {}


def test_a_dry_undo_only_tells(store, run):
    store.tag(run.uid, {"x": "1"})

    told = store.undo(dry=True)

    assert [(one.event.field, one.event.new) for one in told] == [("tags.x", "1")]
    assert store.get(run.uid).tags == {"x": "1"}


def test_the_same_tag_again_leaves_no_event(store, run):
    store.tag(run.uid, {"x": "1"})
    store.tag(run.uid, {"x": "1", "missing": None})

    assert len(store.events(run.uid)) == 1


def test_edits_survive_the_process(location, run):
    run.tags["x"] = "1"

    with Store.open(location) as again:
        assert again.get(run.uid).tags == {"x": "1"}
