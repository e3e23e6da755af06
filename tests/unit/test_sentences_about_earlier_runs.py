"""What is said of earlier runs: how they ended, what came out, and what differs."""

import math

import pytest

from runstore.analysis.compare.differences import MISSING, Difference
from runstore.analysis.reruns.texts import (
    difference_text,
    differences_text,
    near_text,
    result_text,
    running_text,
    unchecked_text,
)
from runstore.testing import temporary_store


def parameter(key, old, new):
    return Difference("params", key, (old, new))


@pytest.fixture(scope="module")
def recorded():
    """Return a function that records a run with metrics and returns it."""
    with temporary_store() as store:

        def record(status="complete", **logged):
            run = store.start("mnist", capture=False)
            run.log({key.replace("__", "/"): value for key, value in logged.items()})
            run.finish(status)
            return run.record

        yield record


def test_a_result_is_the_end_and_the_first_metrics(recorded):
    run = recorded(acc=0.123456, loss=31.0)

    assert result_text(run).startswith("complete in ")
    assert result_text(run).endswith(" s, acc=0.1235 loss=31")


def test_more_than_three_metrics_are_cut(recorded):
    assert result_text(recorded(a=1.0, b=2.0, c=3.0)).endswith(", a=1 b=2 c=3")
    assert result_text(recorded(a=1.0, b=2.0, c=3.0, d=4.0)).endswith(", a=1 b=2 c=3 …")


def test_what_the_machine_logged_and_what_is_no_number_is_no_result(recorded):
    run = recorded(system__memory=5.0, loss=math.nan)

    assert "=" not in result_text(run)
    assert not result_text(run).endswith(",")


def test_a_run_without_an_end_has_no_duration():
    with temporary_store() as store, store.start("mnist", capture=False) as run:
        assert result_text(run.record) == run.record.status_text
        assert run.record.reference in running_text(run.record)


@pytest.mark.parametrize(
    ("one", "text"),
    [
        (parameter("lr", 0.1, 0.01), "lr: 0.1 → 0.01"),
        (parameter("lr", 1, 1.0), "lr: 1 → 1.0"),
        (parameter("lr", MISSING, 1), "lr: (none) → 1"),
        (parameter("model", "a", "b"), "model: 'a' → 'b'"),
        (
            Difference("code", "commit", ("3" * 40, "8" * 40)),
            "code.commit: 333333333333 → 888888888888",
        ),
        (parameter("text", "a\n b", "c"), r"text: 'a\n b' → 'c'"),
        (parameter("long", "x" * 50, 1), f"long: '{'x' * 38}… → 1"),
    ],
)
def test_a_difference_is_a_line(one, text):
    assert difference_text(one) == text


def test_what_looks_the_same_is_named_alone():
    one = parameter("long", "x" * 50 + "a", "x" * 50 + "b")

    assert difference_text(one) == "long"


def test_three_differences_are_shown_and_the_rest_counted():
    found = tuple(parameter(key, 1, 2) for key in "abcde")

    assert differences_text(found[:3]) == "a: 1 → 2, b: 1 → 2, c: 1 → 2"
    assert differences_text(found[:4]).endswith(", c: 1 → 2, and 1 more")
    assert differences_text(found) == "a: 1 → 2, b: 1 → 2, c: 1 → 2, and 2 more"


def test_data_that_was_not_looked_at_is_named():
    assert unchecked_text(()) == ""
    assert unchecked_text(("a", "b", "c")) == "Whether these changed is not known: a, b, c."
    assert unchecked_text(("a", "b", "c", "d")).endswith(": a, b, c, ….")


def test_a_near_run_is_said_with_what_differs_or_is_not_known(recorded):
    run = recorded("error")
    name = f"mnist#{run.run_number}"

    assert near_text(run, (), ()) == f"{name} (error); no difference counts"
    assert near_text(run, (parameter("lr", 1, 2),), ("its code is not known",)) == (
        f"{name} (error); differs in lr: 1 → 2; its code is not known"
    )
    assert near_text(run, (), tuple("abcd")) == f"{name} (error); a; b; c"
