"""What the line that a filter is typed in offers."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from runstore.errors import FilterError
from runstore.model.query.caret import place_at
from runstore.model.query.parse import parse_fields, parse_query
from runstore.model.query.spelling import spelled, spelled_value
from runstore.model.query.tree import Namespace
from runstore.reading.grid.completing import completions


@pytest.fixture
def offers(client):
    def ask(text, at=None):
        asked = {"text": text} if at is None else {"text": text, "at": at}
        told = client.get("/api/v1/filter", params=asked)
        assert told.status_code == 200, told.text
        return told.json()["completions"]

    return ask


def texts(found):
    return [one["text"] for one in found]


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("", ["status", "experiment", "started", "notes", "params."]),
        ("sta", ["status", "started"]),
        ("params.", ["params.lr", "params.model.layers[0]"]),
        ("params.LR", ["params.lr"]),
        ("lay", ["params.model.layers[0]", "params.model.layers[1]"]),
        ("metrics.loss.m", ["metrics.loss.min", "metrics.loss.max", "metrics.loss.mean"]),
        ("status ", ["=", "!=", "in ("]),
        ("status = ", ["queued", "running", "live", "complete"]),
        ("status = er", ["error", "interrupted"]),
        ("status = 'er", ["error", "interrupted"]),
        ("status in (error, com", ["complete"]),
        ("tags.phase = ", ["main", "pilot"]),
        ("experiment = ", ["cifar", "mnist"]),
        ("params.lr = ", ["0", "0.1", "0.2", "0.3", "0.4"]),
        ("status = error ", ["and", "or", "order by"]),
        ("status is ", ["not", "missing"]),
        ("(status = error) or params.l", ["params.lr"]),
        ("order by metrics.", ["metrics.loss"]),
        ("order by started ", ["asc", "desc"]),
        ("started > ", ["today", "yesterday", "'1 hour ago'"]),
    ],
)
def test_what_may_follow_is_offered(offers, text, first):
    assert texts(offers(text))[: len(first)] == first


@pytest.mark.parametrize("text", ["stauts = ", "status = error)) ", "params.lr < < ", "((", "= "])
def test_behind_a_mistake_nothing_wrong_is_offered(offers, text):
    for one in offers(text):
        assert one["kind"] in {"field", "keyword"}, one


def test_an_offer_replaces_the_word_that_the_caret_is_in(offers):
    text = "params.l < 1 and status = error"

    found = offers(text, len("params.l"))

    assert (found[0]["start"], found[0]["end"]) == (0, len("params.l"))
    assert texts(found)[0] == "params.lr"


def test_a_caret_behind_the_end_is_at_the_end(offers):
    assert offers("status ", 10_000) == offers("status ")


def test_each_offer_can_be_read_back(store):
    """What is offered leads on: put where it belongs, it is no mistake at that place."""
    for text in ("", "st", "params.", "metrics.loss.", "lo", "order by "):
        for one in completions(store.backend, text, len(text)):
            whole = text[: one.start] + one.text + text[one.end :]
            # It may end too early, for there is more to be typed.
            assert _mistake_in(whole) >= len(whole.rstrip("."))


def _mistake_in(text):
    """Return the place of a mistake; the end of a text without one."""
    try:
        parse_query(text)
    except FilterError as error:
        return error.position
    return len(text)


@given(some.text(max_size=60), some.integers(0, 60))
def test_every_text_has_a_place(text, at):
    place = place_at(text, min(at, len(text)))

    assert 0 <= place.start <= min(at, len(text)) <= place.end <= len(text)
    assert text[place.start :].startswith(place.word)


WORDS = some.text(
    some.characters(codec="utf-8", exclude_characters="\x00", exclude_categories=["Cs"]),
    min_size=1,
    max_size=20,
)


@given(WORDS, some.sampled_from([Namespace.METRIC, Namespace.TAG, Namespace.FACT]))
def test_a_name_that_is_spelled_is_read_back(key, namespace):
    (field,) = parse_fields(spelled(namespace, key))

    assert (field.namespace, field.key) == (namespace, key)


@given(some.lists(WORDS, min_size=1, max_size=4))
def test_the_name_of_a_nested_parameter_is_read_back(steps):
    from runstore.model.params.flatten import joined

    key = ""
    for step in steps:
        key = joined(key, step.lstrip("$") or "x")

    (field,) = parse_fields(spelled(Namespace.PARAM, key))

    assert (field.namespace, field.key) == (Namespace.PARAM, key)


@given(WORDS)
def test_a_value_that_is_spelled_is_read_back(text):
    query = parse_query(f"notes = {spelled_value(text)}")

    assert query.where.value == text


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("lr > 0.01", ["params.lr > 0.01"]),
        ("status = crashed and lr > 0.01", ["status = error and params.lr > 0.01"]),
        ("order by loss desc", ["order by metrics.loss desc"]),
        ("failed yesterday", ["status = error and started = yesterday"]),
        ("MNI", ["experiment = mnist"]),
        ("mnist#1", ["experiment = mnist and run_number = 1"]),
        ("oom failed", ["(notes ilike '%oom%' or error ilike '%oom%') and status = error"]),
        ("mnist and lr > 0.01", ["experiment = mnist and params.lr > 0.01"]),
        ("mnist params.lr > 0.01", ["experiment = mnist and params.lr > 0.01"]),
        ("params.lr >", []),
        ("status = error", []),
    ],
)
def test_a_text_that_is_no_filter_offers_those_that_are_meant(client, text, meant):
    """People type names without their namespace, and words as into a search box."""
    answer = client.get("/api/v1/filter", params={"text": text}).json()

    assert answer["meant"] == meant
    for one in answer["meant"]:
        parse_query(one)
