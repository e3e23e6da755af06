"""What a filter means: the tree that each form of words becomes, and the place of each mistake."""

import math
import time
from datetime import datetime, timezone

import pytest

from runstore.errors import FilterError
from runstore.model.query.build import COMPARISONS_LIMIT, DEPTH_LIMIT, OPTIONS_LIMIT
from runstore.model.query.parse import parse_fields, parse_query
from runstore.model.query.tree import All, Any, Compare, Missing, Not

NOON = datetime(2026, 11, 27, 12, tzinfo=timezone.utc)
DAY = 86_400_000_000
NOVEMBER = 1_793_491_200_000_000  # 2026-11-01, 0 o'clock UTC, in microseconds


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def shown(node):
    """Return a tree as lists: short enough to be written down."""
    if isinstance(node, (All, Any)):
        return [type(node).__name__.lower(), *map(shown, node.parts)]
    if isinstance(node, Not):
        return ["not", shown(node.inner)]
    field = node.field
    name = ".".join(part for part in (field.namespace.value, field.key, field.part) if part)
    if field.set_name is not None:
        name += f" of {field.set_name}"
    if isinstance(node, Missing):
        return ["missing", name]
    assert isinstance(node, Compare)
    sign = f"not {node.op.value}" if node.is_negated else node.op.value
    return [name, sign, node.value]


def tree(text):
    return shown(parse_query(text, now=NOON).where)


def mistake(text):
    """Return what is said of a mistake, its line from its place on, and the hint."""
    with pytest.raises(FilterError) as raised:
        parse_query(text, now=NOON)
    why, line, pointer = raised.value.what.split("\n")
    return why, line[pointer.index("^") :], raised.value.hint


@pytest.mark.parametrize(
    ("sign", "meant"),
    [
        ("=", "="),
        ("==", "="),
        ("!=", "not ="),
        ("<>", "not ="),
        ("<", "<"),
        ("<=", "<="),
        (">", ">"),
        (">=", ">="),
        ("~", "~"),
        ("!~", "not ~"),
        ("like", "like"),
        ("ILIKE", "ilike"),
        ("contains", "contains"),
        ("not like", "not like"),
        ("not Contains", "not contains"),
    ],
)
def test_each_sign_and_word_of_a_comparison(sign, meant):
    assert tree(f"params.x {sign} 'a'") == ["params.x", meant, "a"]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("params.x in (1, 'a', true)", ["params.x", "in", (1, "a", True)]),
        ("params.x not in (1)", ["params.x", "not in", (1,)]),
        ("params.x is missing", ["missing", "params.x.parts"]),
        ("params.x is not missing", ["not", ["missing", "params.x.parts"]]),
        ("params.x is none", ["params.x", "=", None]),
        ("params.x is not NONE", ["params.x", "not =", None]),
        ("params.x is null", ["any", ["missing", "params.x"], ["params.x", "=", None]]),
        ("params.x is not null", ["params.x", "not =", None]),
        ("tags.x is null", ["missing", "tags.x"]),
        ("tags.x is none", ["missing", "tags.x"]),
        ("tags.x is not null", ["not", ["missing", "tags.x"]]),
    ],
)
def test_values_of_several_kinds_and_of_none(text, meant):
    assert tree(text) == meant


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1", 1),
        ("+1", 1),
        ("-1.5e3", -1500.0),
        ("1_000", 1000),
        ("9007199254740993", 2**53 + 1),
        ("inf", math.inf),
        ("True", True),
        ("false", False),
        ("word", "word"),
        ("'it''s'", "it's"),
        ('"say ""no"""', 'say "no"'),
        ("'a\"b'", 'a"b'),
        ("007", "007"),
        ("-007", "-007"),
        ("0", 0),
        ("0.5", 0.5),
        ("''", ""),
    ],
)
def test_each_form_of_a_value(text, value):
    (_, _, found) = tree(f"params.x = {text}")

    assert (found, type(found)) == (value, type(value))


def test_nan_is_a_value():
    assert math.isnan(tree("params.x = nan")[2])


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("params.`a b`", 'params."a b".parts'),
        ("params['a'].lr", "params.lr.parts of a"),
        ('params."a.b"', 'params."a.b".parts'),
        ("metrics.loss", "metrics.loss.last"),
        ("metrics.`loss.max`", "metrics.loss.max.last"),
        ("metrics.loss.max", "metrics.loss.max"),
        ("git.branch", "facts.git.branch"),
        ("status", "run.status"),
    ],
)
def test_each_form_of_a_name(name, meant):
    assert tree(f"{name} is missing") == ["missing", meant]


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("exit_code = '7'", 7),
        ("exit_code = '1_0'", 10),
        ("exit_code = -9.5", -9.5),
        ("exit_code = 9223372036854775807", 2**63 - 1),
        ("exit_code = 9223372036854775809", 2.0**63),
        ("exit_code = -9223372036854775808", -(2**63)),
        ("exit_code = -9223372036854775810", -(2.0**63)),
        ("metrics.loss = 9007199254740991", 2**53 - 1),
        ("metrics.loss = 9007199254740993", 2.0**53),
        ("metrics.loss = -9007199254740992", -(2**53)),
        ("metrics.loss = -9007199254740993", -(2.0**53)),
        ("duration = 90", 90.0),
        ("duration = '2 h 30 min'", 9000.0),
        ("workdir_dirty = true", 1),
        ("workdir_dirty = 'False'", 0),
        ("workdir_dirty = 1", 1),
        ("notes contains 0.50", "0.50"),
        ("notes = true", "true"),
        ("notes ~ True", "True"),
        ("packages.torch >= 2.10", "2.10"),
        ("status = ERROR", "error"),
        ("status = 'Complete'", "complete"),
    ],
)
def test_a_value_is_of_the_kind_of_its_field(text, meant):
    (_, _, found) = tree(text)

    assert (found, type(found)) == (meant, type(meant))


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("status = FINISHED", ["run.status", "in", ("complete",)]),
        ("status != RUNNING", ["run.status", "not in", ("running", "live")]),
        ("status in ('error', FINISHED)", ["run.status", "in", ("error", "complete")]),
        ("git.branch = 20261126", ["facts.git.branch", "in", (20261126, "20261126")]),
        ("git.branch != 7", ["facts.git.branch", "not in", (7, "7")]),
        ("git.branch in (7, 'x')", ["facts.git.branch", "in", (7, "7", "x")]),
        ("git.branch = '7'", ["facts.git.branch", "=", "7"]),
        ("git.branch > 'm'", ["facts.git.branch", ">", "m"]),
    ],
)
def test_one_word_may_mean_several_values(text, meant):
    assert tree(text) == meant


# Times


def within(begin, end):
    return ["all", ["run.started_at", ">=", begin], ["run.started_at", "<", end]]


@pytest.mark.parametrize(
    ("text", "begin", "end"),
    [
        ("2026-11-01", NOVEMBER, NOVEMBER + DAY),
        ("'2026-11-01 10:30'", NOVEMBER + 37_800_000_000, NOVEMBER + 37_860_000_000),
        ("20261101", NOVEMBER, NOVEMBER + DAY),
        ("2026", 1_767_225_600_000_000, 1_798_761_600_000_000),
        ("1793491200", NOVEMBER, NOVEMBER + 1_000_000),
        ("1793491200.5", NOVEMBER + 500_000, NOVEMBER + 500_001),
        ("1793491200000", NOVEMBER, NOVEMBER + 1_000_000),
        ("100000000", 100_000_000_000_000, 100_000_001_000_000),
        ("99999999999", 99_999_999_999_000_000, 100_000_000_000_000_000),
        ("100000000000", 100_000_000_000_000, 100_000_001_000_000),
        ("20261101103000", NOVEMBER + 37_800_000_000, NOVEMBER + 37_801_000_000),
        ("today", NOVEMBER + 26 * DAY, NOVEMBER + 27 * DAY),
        *(
            (text, NOVEMBER + 26 * DAY + 36_000_000_000, NOVEMBER + 26 * DAY + 36_000_000_001)
            for text in ("'2 h ago'", "'2 h'", "2h", "-2h", "'-2 hours'", "'1 h 60 min'")
        ),
        (
            "'last week'",
            NOVEMBER + 19 * DAY + 43_200_000_000,
            NOVEMBER + 19 * DAY + 43_200_000_001,
        ),
    ],
)
def test_a_time_is_all_that_it_names(text, begin, end):
    assert tree(f"started = {text}") == within(begin, end)
    assert tree(f"started != {text}") == [
        "all",
        ["not", ["missing", "run.started_at"]],
        ["not", within(begin, end)],
    ]
    assert tree(f"started < {text}") == ["run.started_at", "<", begin]
    assert tree(f"started >= {text}") == ["run.started_at", ">=", begin]
    assert tree(f"started > {text}") == ["run.started_at", ">", begin]
    assert tree(f"started <= {text}") == ["run.started_at", "<=", end - 1]


@pytest.mark.parametrize(
    ("zone", "text", "begin", "hours"),
    [
        ("Europe/Berlin", "2026-10-25 02", "2026-10-25T00:00", 2),
        ("Europe/Berlin", "2026-10-25 01", "2026-10-24T23:00", 1),
        ("Europe/Berlin", "2026-10-25 02+01:00", "2026-10-25T01:00", 1),
        ("Europe/Berlin", "2026-10-25", "2026-10-24T22:00", 25),
        ("Europe/Berlin", "2026-03-29 02", "2026-03-29T01:00", 0),
        ("Europe/Berlin", "2026-03-29 03", "2026-03-29T01:00", 1),
        ("Europe/Berlin", "2026-03-29", "2026-03-28T23:00", 23),
        ("Europe/Berlin", "2026-03-29 02:30", "2026-03-29T01:30", 1 / 60),
        ("Africa/Cairo", "2026-04-23", "2026-04-22T22:00", 24),
        ("Africa/Cairo", "2026-04-24", "2026-04-23T22:00", 23),
        ("Australia/Lord_Howe", "2026-04-05 01", "2026-04-04T14:00", 1.5),
        ("Europe/Berlin", "2026-10", "2026-09-30T22:00", 31 * 24 + 1),
    ],
)
def test_hours_and_days_are_as_long_as_the_clock_shows_them(monkeypatch, zone, text, begin, hours):
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    at = int(datetime.fromisoformat(f"{begin}+00:00").timestamp()) * 1_000_000

    assert tree(f"started = '{text}'") == within(at, at + round(hours * 3_600_000_000))


def test_relative_times_count_from_the_present():
    before = time.time_ns() // 1000
    found = parse_query("started > '0 s ago'").where.value
    after = time.time_ns() // 1000

    assert before <= found <= after


# Together


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("exit_code=1 and exit_code=2 and exit_code=3", ["all", 1, 2, 3]),
        ("exit_code=1 or exit_code=2 and exit_code=3", ["any", 1, ["all", 2, 3]]),
        ("(exit_code=1 or exit_code=2) and exit_code=3", ["all", ["any", 1, 2], 3]),
        ("not exit_code=1 and exit_code=2", ["all", ["not", 1], 2]),
        ("not (exit_code=1 or exit_code=2)", ["not", ["any", 1, 2]]),
        ("not not exit_code=1", ["not", ["not", 1]]),
        ("((exit_code=1))", 1),
    ],
)
def test_and_binds_more_than_or_and_not_most(text, meant):
    def short(node):
        if node[0] == "run.exit_code":
            return node[2]
        return [node[0], *map(short, node[1:])]

    assert short(tree(text)) == meant


def test_an_order_has_its_keys_and_directions():
    query = parse_query("exit_code = 1 order by started desc, metrics.loss, params.lr ASC")

    assert shown(query.where) == ["run.exit_code", "=", 1]
    assert [(one.field.key, one.is_descending) for one in query.order] == [
        ("started_at", True),
        ("loss", False),
        ("lr", False),
    ]
    alone = parse_query("order by duration")
    assert (shown(alone.where), alone.order[0].field.key) == (["all"], "duration")
    assert parse_query("exit_code = 1").order == ()


def test_an_empty_text_is_everything():
    for text in ("", "  \n"):
        assert (shown(parse_query(text).where), parse_query(text).order) == (["all"], ())


# Mistakes


NO_VALUE = "Use: is missing, or is none for a parameter whose value is None."
SPANS, FLAGS = "Use '90 s', '2 h' or '1 h 30 min'.", "Use: workdir_dirty = true"
ORDER = "Use =, !=, <, <=, >, >= or in."
TIMES = "Use '2026-11-01', '2026-11-01 10:30', '3 days ago', 'yesterday' or 'today'."


@pytest.mark.parametrize(
    ("text", "why", "place", "hint"),
    [
        ("params.x = null", "A missing value cannot be compared.", "null", NO_VALUE),
        ("params.x = None", "A missing value cannot be compared.", "None", NO_VALUE),
        ("params.x > missing", "A missing value cannot be compared.", "missing", NO_VALUE),
        ("exit_code = 'x'", "Expected a number for exit_code, got 'x'.", "'x'", ""),
        ("exit_code = x", "Expected a number for exit_code, got 'x'.", "x", ""),
        ("exit_code = 1 and exit_code = true", None, "true", ""),
        ("exit_code ~ 1", "exit_code is a number, so ~ is not possible.", "exit_code ~ 1", ORDER),
        ("started like '2'", "started is a time, so like is not possible.", None, ORDER),
        ("dirty ~ '1'", "dirty is true or false, so ~ is not possible.", None, "Use = or !=."),
        ("started = 7", "Expected a time, got 7.", "7", TIMES),
        ("started = 'last'", "Expected a time, got 'last'.", "'last'", TIMES),
        ("started = '-3'", "Expected a time, got '-3'.", "'-3'", TIMES),
        ("duration = -2h", "Expected a duration, got '-2h'.", "-2h", SPANS),
        ("tag = best", None, "tag = best", "Write for example: tags.phase = pilot"),
        ("started = 99999999", "Expected a time, got 99999999.", "99999999", TIMES),
        ("started = 1e300", "Expected a time, got 1e+300.", "1e300", TIMES),
        ("started = '2026-13-01'", "Expected a time, got '2026-13-01'.", "'2026-13-01'", TIMES),
        ("duration = long", "Expected a duration, got 'long'.", "long", SPANS),
        ("duration > true", "Expected a duration, got True.", "true", SPANS),
        ("workdir_dirty = 2", "workdir_dirty is true or false.", "2", FLAGS),
        ("workdir_dirty > 1", "workdir_dirty is true or false.", "1", FLAGS),
        ("status > 'error'", "status has no order.", "'error'", "Use =, != or in."),
        ("status = 'compleet'", "There is no status 'compleet'.", "'compleet'", "Did you mean"),
        ("status = finished", "There is no status 'finished'.", "finished", None),
        ("output < 'x'", "output has no order.", "'x'", "Use contains, like, ~ or =."),
        ("git.branch > 7", "Expected text for git.branch, got the number 7.", "7", "Put the"),
        ("lr > 1", "There is no field 'lr'.", "lr > 1", "A parameter is params.lr, a metric"),
        ("a.b > 1", "There is no field 'a.b'.", "a.b > 1", ""),
        ("name = x", "There is no field 'name'.", "name = x", "Did you mean 'run'?"),
        ("state = 1", "There is no field 'state'.", "state = 1", "Did you mean 'status'?"),
        ("statu = 1", "There is no field 'statu'.", "statu = 1", "Did you mean 'status'?"),
        ("params.x ~ '['", None, "'['", ""),
        ("order by output", "Runs cannot be sorted by output.", "output", ""),
        ("order by packages.torch", "Runs cannot be sorted by packages.torch.", None, ""),
        ("order by artifacts['a'].path", "Runs cannot be sorted by artifacts.a.path.", None, ""),
        ("params.x = " + "9" * 5000, "The number is too long.", None, ""),
    ],
)  # fmt: skip
def test_a_mistake_is_said_at_its_place(text, why, place, hint):
    found_why, found_place, found_hint = mistake(text)

    assert why in {None, found_why}
    assert place in {None, found_place}
    assert hint is None or (found_hint or "").startswith(hint)
    assert hint != "" or not found_hint


def joined(count):
    return "\nor ".join(["exit_code = 1"] * count)


def test_a_filter_has_so_many_comparisons_values_and_levels_and_no_more():
    assert (COMPARISONS_LIMIT, OPTIONS_LIMIT, DEPTH_LIMIT) == (200, 1_000, 50)
    assert len(tree(joined(200))) == 201
    assert mistake(joined(200) + "\nor exit_code = 2")[:2] == (
        "A filter has at most 200 comparisons.",
        "exit_code = 2",
    )
    mixed = "\nor ".join(["exit_code in (1)"] * 100 + ["notes is missing"] * 100)
    assert len(tree(mixed)) == 201
    assert mistake(f"{mixed}\nor exit_code in (1)")[1] == "in (1)"
    assert mistake(f"{mixed}\nor notes is missing")[1] == "is missing"

    assert len(tree(f"exit_code in ({','.join('1' * 1000)})")[2]) == 1000
    assert mistake(f"exit_code in ({','.join('1' * 1001)})")[0] == (
        "`in` accepts at most 1,000 values."
    )

    assert tree("not " * 49 + "exit_code = 1")[0] == "not"
    assert mistake("not " * 50 + "exit_code = 1")[0] == (
        "A filter is nested at most 50 levels deep."
    )


def test_levels_are_counted_through_every_kind_of_part():
    def nested(levels):
        """Return a filter of so many levels; a comparison is the last."""
        text = "exit_code = 1"
        for level in range(levels - 1):
            text = f"(exit_code = 2 {('or', 'and')[level % 2]} {text})"
        return text

    assert tree(nested(50))[0] in {"any", "all"}
    assert mistake(nested(51))[0] == "A filter is nested at most 50 levels deep."


def test_a_text_that_no_database_takes_is_cleaned_as_stored_texts_are():
    (field,) = parse_fields("tags.'\udcff'")
    where = parse_query("notes = '\0\ud800'").where

    assert field.key == "\ufffd"
    assert where.value == "\0\ufffd"  # printed lines may contain NUL
