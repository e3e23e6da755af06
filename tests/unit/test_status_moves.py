"""Statuses and the moves between them: an end is written once."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from runstore.model.status import FINAL, MOVES, REPORTED, Status


def test_every_status_says_where_it_may_go():
    assert set(MOVES) == set(Status)
    assert all(status not in reached for status, reached in MOVES.items())


@given(st.lists(strategies.statuses, max_size=20))
def test_no_moves_lead_out_of_an_end_but_a_late_report(wishes):
    """Whatever is asked in whatever order, only a lost run that reports itself changes again."""
    status = Status.QUEUED
    for wish in wishes:
        before = status
        status = wish if status.may_become(wish) else status

        if before.is_final and status is not before:
            assert (before, status in REPORTED) == (Status.LOST, True)


@pytest.mark.parametrize("status", sorted(frozenset(Status) - FINAL))
def test_a_run_that_has_not_ended_may_end_in_every_way(status):
    assert all(status.may_become(end) for end in FINAL)


@pytest.mark.parametrize("status", sorted(REPORTED))
def test_a_reported_end_is_for_good(status):
    assert not any(status.may_become(other) for other in Status)


def test_a_lost_run_may_still_report_its_end():
    assert {one for one in Status if Status.LOST.may_become(one)} == REPORTED


@pytest.mark.parametrize("status", [Status.RUNNING, Status.LIVE])
def test_a_run_that_has_started_is_not_queued_again(status):
    assert not status.may_become(Status.QUEUED)


def test_a_queued_run_starts_as_one_kind_or_the_other():
    assert Status.QUEUED.may_become(Status.RUNNING)
    assert Status.QUEUED.may_become(Status.LIVE)


def test_every_status_has_ended_or_not():
    assert {one for one in Status if one.is_final} == FINAL


@given(strategies.statuses)
def test_a_status_is_its_word_everywhere(status):
    """One text in format strings, JSON and comparisons, with every Python version."""
    assert str(status) == f"{status}" == status.value == status
    assert json.loads(json.dumps(status)) == status
    assert Status(status.value) is status
