"""How runs show themselves: plain, in notebooks, and on terminals with rich."""

from datetime import datetime, timedelta

import pytest
from rich.pretty import pretty_repr

from runstore.model.display.formatting import ago_text, duration_text, size_text
from runstore.model.facts import Facts
from runstore.reading.shown.facts import commit_text
from runstore.testing import temporary_store
from runstore.value_classes import replace


@pytest.fixture
def run():
    with temporary_store() as store:
        started = store.start("mnist", params={"lr": 0.1}, notes="<b>&", capture=False)
        started.finish("error", error="ValueError: no")
        yield started.record


def test_plain(run):
    assert repr(run) == f"<Run {run.reference!r} error>"


def test_in_a_notebook_nothing_of_the_user_is_markup(run):
    shown = run._repr_html_()

    assert run.reference in shown
    assert "&lt;b&gt;&amp;" in shown
    assert "<b>" not in shown


def test_with_rich_the_summary_is_shown(run):
    shown = pretty_repr(run)

    assert "lr=0.1" in shown
    assert "ValueError: no" in shown


@pytest.mark.parametrize(
    ("dirty", "unknown", "expected"),
    [
        (False, {}, "c0ffee on main"),
        (True, {}, "c0ffee on main, with changes"),
        (None, {}, "c0ffee on main"),
        (None, {"git.dirty": "git failed"}, "c0ffee on main, changes unknown (git failed)"),
    ],
)
def test_a_commit_says_whether_it_is_all_of_the_code(run, dirty, unknown, expected):
    """Or why that is unknown; it is not for runs of other tools."""
    facts = Facts(values={"git.branch": "main"}, unknown=unknown)

    shown = replace(run, commit="c0ffee", workdir_dirty=dirty, facts=facts)

    assert commit_text(shown) == expected


def test_a_page_is_a_table_in_a_notebook():
    with temporary_store() as store:
        for lr in (0.1, 0.2):
            store.start("mnist", params={"lr": lr}, capture=False).finish()
        page = store.list()

        assert page._repr_html_().count("<tr>") == 3
        assert ">0.2<" in page._repr_html_()
        assert pretty_repr(page).count("mnist_") >= 2


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (12, "12 s ago"),
        (3_600 * 30, "1 d ago"),
        (86_400 * 30, "4 weeks ago"),
        (0, "0 s ago"),
        (-1.5, "0 s ago"),
        (-59, "0 s ago"),
        (-3_600, "2026-11-30"),
        (86_400 * 90, "2026-09-01"),
    ],
)
def test_times_of_a_clock_that_is_ahead_are_now(seconds, text):
    now = datetime(2026, 11, 30, 12).astimezone()

    assert ago_text(now - timedelta(seconds=seconds), now) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.04, "0.0 s"),
        (0.25, "0.3 s"),
        (0.35, "0.4 s"),
        (0.45, "0.5 s"),
        (9.96, "10.0 s"),
        (42, "42 s"),
        (59.6, "1 min"),
        (60, "1 min"),
        (61, "1 min 1 s"),
        (119, "1 min 59 s"),
        (3600 + 59, "1 h"),
        (3600 * 2 + 600, "2 h 10 min"),
        (86400 * 3 + 4 * 3600 + 59, "3 d 4 h"),
        (-1, "0.0 s"),
    ],
)
def test_durations_read_as_people_say_them(seconds, text):
    assert duration_text(timedelta(seconds=seconds)) == text


def test_one_thing_is_not_several():
    with temporary_store() as store, store.start("fit", capture=False) as run:
        run.log(loss=0.5)
        run.rewind(0)
        (event,) = store.events(run.uid)
        run.log(loss=0.5)
        one = store.get(run.uid)
        shown = [repr(one.outline("loss")), repr(store.points(one)), repr(store.group("status"))]

    assert event.old == "1 point of 1 metric, from step 0 on"
    assert shown[0] == "<Outline of 'loss': 1 point in 1 stretch>"
    assert shown[1].startswith("<PointsTable of 1 point: 1 run, 1 key>")
    assert shown[2].startswith("<1 group by status>")
    assert [size_text(size) for size in (0, 1, 2)] == ["0 bytes", "1 byte", "2 bytes"]
