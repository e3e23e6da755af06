"""References: what they are built of, and how a typed name is read."""

from __future__ import annotations

import time
import unicodedata
import uuid
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

import strategies
from runstore.errors import InvalidValueError, UsageError
from runstore.model.display.short_names import end_of_name
from runstore.model.logged.values import metric_key
from runstore.model.reference import (
    TIMESTAMP_FORMAT,
    Bare,
    Identified,
    Latest,
    Numbered,
    build_reference,
    check_experiment_name,
    has_ending,
    has_number,
    is_provisional,
    is_reference,
    local_timestamp,
    new_uid,
    parse_reference,
    parse_run_name,
    parse_timestamp,
    with_endings,
    without_ending,
)
from runstore.model.tags import tag_key

STAMP = "2026-11-23-T101500"


def format_timestamp(at):
    """Return the local wall time of an aware datetime, as references carry it."""
    return at.astimezone().strftime(TIMESTAMP_FORMAT)


@given(strategies.experiment_names, strategies.run_numbers, strategies.timestamps)
def test_a_reference_is_read_as_it_was_built(name, number, timestamp):
    reference = build_reference(name, number, timestamp)

    assert parse_reference(reference) == (name, number, timestamp)


@pytest.mark.parametrize(
    "name",
    ["mnist", "my_experiment", "a_1", "1", "_", f"mnist_7_{STAMP}", f"x_{STAMP}", "a#-1", "é ü_"],
)
def test_names_that_look_like_references_are_names(name):
    assert parse_reference(f"{name}_12_{STAMP}") == (name, 12, STAMP)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "mnist",
        "mnist_7",
        f"_7_{STAMP}",
        f"mnist_{STAMP}",
        f"mnist_x_{STAMP}",
        f"mnist_-1_{STAMP}",
        f"mnist_7_{STAMP} ",
        f"mnist_7_{STAMP}\n",
        "mnist_7_2026-11-23",
        f"mnist_\u0667_{STAMP}",
        f"mnist_7_{STAMP[:-1]}\u0660",
    ],
)
def test_other_texts_are_no_references(text):
    assert parse_reference(text) is None


@pytest.mark.parametrize("number", [2**63, "9" * 19, "9" * 5000])
def test_a_number_that_no_store_can_keep_is_none(number):
    """A file may hold anything; Python itself refuses to read ints of over 4,300 digits."""
    assert parse_reference(f"mnist_{number}_{STAMP}") is None


@given(st.text(st.characters()))
def test_any_text_is_a_reference_or_not(text):
    found = parse_reference(text)

    assert found is None or parse_reference(build_reference(*found)) == found


@given(strategies.references)
def test_a_typed_reference_is_a_name(reference):
    assert parse_run_name(reference).text == reference


@given(strategies.experiment_names, st.integers(1, 10**17), st.booleans())
def test_a_number_counts_from_either_end(name, number, from_end):
    number = -number if from_end else number

    assert parse_run_name(f"{name}#{number}") == Numbered(name, number)


@given(strategies.experiment_names, st.integers(1, 10**17))
def test_the_short_form_is_a_name_that_may_be_a_number(name, number):
    found = parse_run_name(f"{name}_{number}")

    assert isinstance(found, Identified)
    assert found.short == (name, number)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("latest", Latest()),
        ("mnist#7", Numbered("mnist", 7)),
        ("mnist#-1", Numbered("mnist", -1)),
        ("a#b#2", Numbered("a#b", 2)),
        ("mnist_7", Identified("mnist_7", ("mnist", 7))),
        ("latest_2", Identified("latest_2", ("latest", 2))),
        ("mni", Identified("mni", None)),
        ("#7", Bare(7)),
        ("#-1", Bare(-1)),
        ("7", Identified("7", None, 7)),
        ("07", Identified("07", None)),
        ("-1", Identified("-1", None)),
        ("mnist#", Identified("mnist#", None)),
        ("mnist#" + "9" * 30, Identified("mnist#" + "9" * 30, None)),
        ("mnist_\u0667", Identified("mnist_\u0667", None)),
        ("mnist#\u0667", Identified("mnist#\u0667", None)),
    ],
)
def test_what_a_person_types_is_understood(text, found):
    assert parse_run_name(text) == found


@pytest.mark.parametrize("text", ["", "  ", "mnist#0", "mnist#-0", None, 7])
def test_what_names_no_run_is_refused(text):
    with pytest.raises(UsageError):
        parse_run_name(text)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2090, 1, 1), timezones=st.just(timezone.utc)))  # noqa: DTZ001
def test_a_timestamp_is_read_back_to_the_second(at):
    found = parse_timestamp(format_timestamp(at))

    # As text: the hour that comes twice when summer time ends has the same timestamps.
    assert found is not None
    assert format_timestamp(found) == format_timestamp(at)
    assert found.tzinfo is timezone.utc


@pytest.mark.parametrize(
    "text", ["", "x", "2026-02-30-T000000", f"{STAMP}0", "0001-01-01-T000000"]
)
def test_a_wrong_timestamp_is_a_time_or_none_but_no_crash(text):
    found = parse_timestamp(text)

    assert found is None or text.startswith("0001")


@pytest.mark.parametrize(
    "name",
    [
        "",
        " \u00a0",
        "a\nb",
        "a\0",
        "\x1b[31m",
        "a\ud800",
        "a\u2028b",
        "\u202eabc",
        "x" * 256,
        "é" * 128,
        "x" * 10_000,
        None,
        7,
        b"mnist",
    ],
    ids=lambda name: repr(name)[:20],
)
def test_a_name_that_cannot_be_shown_on_a_line_is_refused(name):
    with pytest.raises(InvalidValueError):
        check_experiment_name(name)


@given(strategies.experiment_names)
def test_a_good_name_is_kept_as_it_is(name):
    assert check_experiment_name(name) == name


def test_uids_are_of_version_7_and_follow_the_clock():
    before = time.time_ns() // 1_000_000
    uids = [new_uid() for _ in range(1000)]
    after = time.time_ns() // 1_000_000

    assert len(set(uids)) == len(uids)
    for text in uids:
        uid = uuid.UUID(text)
        assert (uid.version, uid.variant, str(uid)) == (7, uuid.RFC_4122, text)
        assert before <= uid.int >> 80 <= after


@pytest.mark.parametrize("now_ns", [-5_000_000_000, 0, 1_795_780_800_123_999_999])
def test_a_uid_begins_with_the_milliseconds_since_1970(monkeypatch, now_ns):
    monkeypatch.setattr(time, "time_ns", lambda: now_ns)
    monkeypatch.setattr("os.urandom", lambda count: bytes(range(0xF5, 0xF5 + count)))

    uid = new_uid()

    milliseconds = f"{max(0, now_ns) // 1_000_000:012x}"
    assert uid == f"{milliseconds[:8]}-{milliseconds[8:]}-75f6-b7f8-f9fafbfcfdfe"


def test_a_timestamp_is_of_the_second_that_has_begun():
    at = datetime(2026, 11, 23, 10, 15, tzinfo=timezone.utc)
    micros = int(at.timestamp()) * 1_000_000

    assert local_timestamp(micros) == local_timestamp(micros + 999_999) == format_timestamp(at)
    assert local_timestamp(micros + 1_000_000) != format_timestamp(at)


@pytest.mark.parametrize("number", ["0", "1", str(2**63 - 1)])
def test_a_reference_has_any_number_that_a_store_can_keep(number):
    assert parse_reference(f"mnist_{number}_{STAMP}") == ("mnist", int(number), STAMP)


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "x" * 60, " a ", "a\xa0b"])
def test_a_name_may_have_any_printable_character_and_255_bytes(name):
    assert check_experiment_name(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [("\n" + "x" * 59, "'\\n" + "x" * 59 + "'"), ("\n" + "x" * 60, "'\\n" + "x" * 56 + "…'")],
)
def test_a_refused_name_is_shown_as_far_as_a_line_goes(name, shown):
    with pytest.raises(InvalidValueError) as refused:
        check_experiment_name(name)

    assert f"name {shown} has an unprintable character (U+000A) at position 0." in str(
        refused.value
    )


@pytest.mark.parametrize("character", ["\x07", "\x85", "\ud800", "\u2028", "\u2029", "\u2066"])
def test_each_kind_of_unprintable_character_is_refused(character):
    with pytest.raises(InvalidValueError, match=f"U\\+{ord(character):04X}"):
        check_experiment_name(f"a{character}b")


@pytest.mark.parametrize("check", [check_experiment_name, metric_key, tag_key])
@pytest.mark.parametrize(
    "name",
    [
        "\u0645\u06cc\u200c\u062f\u0642\u062a",
        "👩\u200d🔬",
        "a\xa0b",
        "精度\u3000平均",
        "\ue0a0 main",
    ],
    ids=["Persian", "emoji", "no break", "wide space", "private use"],
)
def test_experiments_metrics_and_tags_may_have_the_same_characters(check, name):
    """Python calls some of these unprintable, though each line can show them."""
    assert check(name) == name


@pytest.mark.parametrize("check", [check_experiment_name, metric_key, tag_key])
def test_experiments_metrics_and_tags_are_refused_the_same_characters(check):
    for character in "\n\x1b\x85\ud800\u2028\u202e":
        with pytest.raises(InvalidValueError, match="printable"):
            check(f"a{character}b")


def test_the_form_of_a_timestamp_is_for_ever():
    at = datetime(2026, 1, 2, 3, 4, 5).astimezone()

    assert format_timestamp(at) == "2026-01-02-T030405"


def test_names_hold_what_a_line_can_show() -> None:
    """Refused are Unicode's categories for controls and ends of lines, and turns of direction."""
    categories = {"Cc", "Cs", "Zl", "Zp"}
    turns = set(map(chr, (*range(0x202A, 0x202F), *range(0x2066, 0x206A))))
    all_there_are = [chr(number) for number in range(0x10000)]  # there are none beyond

    expected = {one for one in all_there_are if unicodedata.category(one) in categories} | turns

    assert {one for one in all_there_are if _is_refused(f"a{one}b")} == expected


def _is_refused(name: str) -> bool:
    try:
        check_experiment_name(name)
    except InvalidValueError:
        return True
    return False


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("long#12", "ong#12"),
        ("long#12~b456", "#12~b456"),
        ("long#1234567", "#1234567"),
        ("ab", "ab"),
    ],
)
def test_the_end_of_a_name_that_a_narrow_column_keeps_has_the_whole_number(name, end):
    assert end_of_name(name, 6) == end


# Runs of one name


@pytest.mark.parametrize(
    ("uids", "ends"),
    [
        (["0000-00000000abcd"], ["abcd"]),
        (["0000-00000001abcd", "0000-00000002abcd"], ["1abcd", "2abcd"]),
        (["0000-100000000000", "0000-200000000000"], ["100000000000", "200000000000"]),
        (["0001-000000000000", "0002-000000000000"], ["000000000000", "000000000000"]),
    ],
)
def test_runs_of_one_name_end_with_as_many_digits_as_tell_them_apart(uids, ends):
    found = with_endings(dict.fromkeys(uids, f"fit_1_{STAMP}"))

    assert list(found) == uids
    assert list(found.values()) == [f"fit_1_{STAMP}~{end}" for end in ends]
    assert all(parse_reference(name) == ("fit", 1, STAMP) for name in found.values())


@pytest.mark.parametrize(
    ("reference", "base"),
    [
        ("fit~beef", "fit"),
        ("fit~0000beef", "fit"),
        ("a~b~beef", "a~b"),
        ("fit", "fit"),
        ("fit~eef", "fit~eef"),  # too short
        ("fit~1234", "fit~1234"),  # of another run
        ("~beef", "~beef"),  # nothing before it
    ],
)
def test_the_last_digits_of_a_run_are_no_part_of_its_name(reference, base):
    assert without_ending(reference, "0190-00000000beef") == base


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fit#7~b456", True),
        ("fit#7~xyz", True),
        ("fit#7~", True),
        ("#7~b456", True),
        (f"fit_7_{STAMP}~b456", True),
        ("fit#7", False),
        ("fit~b456", False),
        ("fit#7~b-6", False),
        ("~b456", False),
        (" ~b456", False),
        ("a = fit#7~b456", False),
        ("a<fit#7~b456", False),
        ("a~fit#7~b456", False),
    ],
)
def test_a_name_with_last_digits_is_no_filter(text, expected):
    assert has_ending(text) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("fit#7", True),
        ("fit_7", True),
        (f"fit_7_{STAMP}", True),
        ("#-1", True),
        ("fit", False),
        ("fit_x", False),
        ("fit#", False),
        (STAMP, False),
    ],
)
def test_a_name_with_a_number_names_one_run(text, expected):
    assert has_number(text) is expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("01890000-0000-7000-8000-000000000000", True),
        ("fit#1795780800123456", True),
        (f"fit_1795780800123456_{STAMP}", True),
        ("fit_1795780800123456", True),
        ("fit#17", False),
        ("fit#01795780800123456", False),
        ("fit#17957808001234567", False),
        ("fit_1795780800123456x", False),
        ("01890000-0000-7000-8000-00000000000", False),
    ],
)
def test_a_name_that_may_wait_for_its_server_has_a_time_for_a_number(name, expected):
    assert is_provisional(name) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"fit_7_{STAMP}", True),
        ("the best one", True),
        (f"a/b_7_{STAMP}", True),  # as its experiment is called
        ("a/b_7/8", False),
        ("a/b_7\\8", False),
        ("..", False),
        (".hidden", False),
        ("two\nlines", False),
        ("../two\nlines", False),
    ],
)
def test_a_reference_of_another_tool_is_one_line_and_leaves_no_folder(text, expected):
    assert is_reference(text, "a/b") is expected
