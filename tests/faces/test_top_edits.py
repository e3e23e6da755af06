"""runstore top: tags, notes and the trash, and undoing them."""

import asyncio

import pytest
from textual.widgets import TextArea

from places import store_at
from top_screen import answer, message, names, record, screen, shown, until


@pytest.fixture
def store(tmp_path):
    """A store with three runs."""
    with store_at(tmp_path / ".runstore") as opened:
        for _ in range(3):
            record(opened, loss=())
        yield opened


def tags(store):
    """Return the tags of the runs, newest first."""
    return [dict(run.tags) for run in store.list()]


def test_tags_of_the_run_under_the_cursor_are_changed_and_undone(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("t", *"+best")
            assert "Tag fit#3" in screen(app)
            await answer(pilot, " phase='second try' -old")
            await until(pilot, lambda: "Changed the tags of fit#3" in screen(app))
            assert tags(store) == [{"best": "", "phase": "second try"}, {}, {}]
            await until(pilot, lambda: "second try" in screen(app))
            await pilot.press("u")
            await until(pilot, lambda: "Undid the tags of fit#3" in screen(app))
            assert tags(store) == [{"old": "1"}, {}, {}]
            await pilot.press("u")
            await until(pilot, lambda: "Nothing to undo" in screen(app))

    store.tag("latest", {"old": "1"})
    asyncio.run(look())


def test_marked_runs_are_tagged_together_even_if_a_filter_hides_them(store):
    async def look():
        async with shown(store) as (app, pilot):
            await answer(pilot, "fit#1", "space", "space", "slash")
            await until(pilot, lambda: names(app) == ["fit#1"])
            await pilot.press("t")
            assert "Tag 2 runs" in screen(app)
            for run in store.list(limit=2):
                assert run.reference in screen(app)
            await answer(pilot, "keep")
            await until(pilot, lambda: "Changed the tags of 2 runs" in screen(app))
            assert tags(store) == [{"keep": ""}, {"keep": ""}, {}]
            await pilot.press("u")
            await until(pilot, lambda: "Undid" in screen(app))
            assert tags(store) == [{}, {}, {}]

    asyncio.run(look())


def test_a_wrong_tag_is_explained_while_the_line_stays_open(store):
    async def look():
        async with shown(store) as (app, pilot):
            for wrong in ("", "'half", "+a=b +=c"):
                await answer(pilot, wrong, "t")
                await pilot.pause()
                assert "Tag fit#3" in screen(app), wrong
                assert str(app.screen.query_one(".message").render()), wrong
                await pilot.press("escape")
            await pilot.press("q")
            assert not app.is_running
        assert tags(store) == [{}, {}, {}]

    asyncio.run(look())


def test_a_tag_that_is_set_already_leaves_nothing_to_undo(store):
    async def look():
        async with shown(store) as (app, pilot):
            await answer(pilot, "best", "t")
            await until(pilot, lambda: "Nothing was changed" in screen(app))
            await pilot.press("u")
            await until(pilot, lambda: "Nothing to undo" in screen(app))
        assert tags(store)[0] == {"best": ""}

    store.tag("latest", {"best": ""})
    asyncio.run(look())


def test_notes_are_edited_and_undone(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("n")
            editor = app.screen.query_one(TextArea)
            assert editor.text == "first\nsecond"
            await pilot.press("enter", *"q /", "ctrl+s")
            await until(pilot, lambda: "Saved the notes of fit#3" in screen(app))
            assert store.get("latest").notes == "first\nsecond\nq /"
            await pilot.press("u")
            await until(pilot, lambda: "Undid the notes" in screen(app))
            assert store.get("latest").notes == "first\nsecond"
            await pilot.press("n", "x", "escape")
            assert names(app) == ["fit#3", "fit#2", "fit#1"]
        assert store.get("latest").notes == "first\nsecond"

    store.edit("latest", notes="first\nsecond")
    asyncio.run(look())


def test_notes_that_were_changed_meanwhile_come_back_by_undo(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("n", *"mine")
            store.edit("latest", notes="theirs")
            await pilot.press("ctrl+s")
            await until(pilot, lambda: "over newer notes" in screen(app))
            assert store.get("latest").notes == "mine"
            await pilot.press("u")
            await until(pilot, lambda: "Undid the notes" in screen(app))
            assert store.get("latest").notes == "theirs"

    asyncio.run(look())


def test_notes_control_no_terminal_and_stay_as_they_are_without_an_edit(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("n")
            assert app.screen.query_one(TextArea).text == "[b]\\x1b[2J\\u202e\n\tx"
            await pilot.press("ctrl+s", "u")
            await until(pilot, lambda: "Nothing to undo" in screen(app))
        assert store.get("latest").notes == notes

    notes = "[b]\x1b[2J\u202e\n\tx"
    store.edit("latest", notes=notes)
    asyncio.run(look())


def test_runs_are_trashed_after_a_question_that_names_them(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("x")
            assert store.get("latest").reference in screen(app)
            await pilot.press("enter")
            assert "Move fit#3 to the trash?" in screen(app)
            await pilot.press("n", "space", "space", "delete", "y")
            await until(pilot, lambda: names(app) == ["fit#1"])
            assert "Moved 2 runs to the trash" in screen(app)
            assert "marked" not in screen(app)
            assert [run.run_number for run in store.trash()] == [3, 2]
            await pilot.press("u")
            await until(pilot, lambda: names(app) == ["fit#3", "fit#2", "fit#1"])
            assert not store.trash()

    asyncio.run(look())


def test_a_running_run_is_not_trashed(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("x", "y")
            await until(pilot, lambda: app.screen.query_one("#message").has_class("-problem"))
            assert "The run fit_4_" in message(app)
            assert not store.trash()

    with store.start("fit", capture=False):
        asyncio.run(look())


def test_undo_does_not_touch_edits_made_elsewhere(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("u")
            await until(pilot, lambda: "Nothing to undo" in screen(app))
            await answer(pilot, "stage=one", "t")
            await until(pilot, lambda: "Changed the tags" in screen(app))
            store.edit("latest", notes="written elsewhere")
            await pilot.press("u")
            await until(pilot, lambda: "Undid the tags" in screen(app))
            assert store.get("latest").notes == "written elsewhere"
            await answer(pilot, "stage=two", "t")
            await until(pilot, lambda: "Changed the tags" in screen(app))
            store.tag("latest", {"stage": "three"})
            await pilot.press("u")
            await until(pilot, lambda: app.screen.query_one("#message").has_class("-problem"))
            assert tags(store)[0]["stage"] == "three"
            await pilot.press("u")
            await until(pilot, lambda: "Nothing to undo" in screen(app))

    store.tag("latest", {"mine": "before"})
    asyncio.run(look())


def test_an_edit_of_a_run_that_was_deleted_meanwhile_changes_nothing(store):
    async def look():
        async with shown(store) as (app, pilot):
            await pilot.press("p", "space", "space", "t", *"best")
            store.delete("fit#3")
            await pilot.press("enter")
            await until(pilot, lambda: app.screen.query_one("#message").has_class("-problem"))
            assert tags(store) == [{}, {}]

    asyncio.run(look())
