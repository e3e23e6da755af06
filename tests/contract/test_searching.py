"""Searching in notes, errors and output: what is there is found, whatever became of the index."""

import itertools

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import FilterError, NotFoundError, UsageError
from runstore.inflight.deferred import Deferred
from runstore.model.text.output import plain_text
from runstore.recording.recorder import Recorder
from runstore.storage.fulltext import index as search_index
from runstore.storage.fulltext import pieces as output_pieces
from runstore.storage.fulltext.index_file import SEARCH
from searching import change_contents, deleted, found, looked_up, printed, take_away
from unusual_stores import opened_without_index

LETTERS = [
    "CUDA", "out", "of", "memory", " ", ": ", "a", "ab", "nan", "ß", "ss", "SS", "İ", "i", "失败",
    "训", "🚀", "e\u0301", "é", '"', "* AND NEAR(", "%", "_", "\\", "'", "\x1b[31m", "\x1b[0m",
    "\t",
]  # fmt: skip
_numbers = itertools.count()
texts = st.lists(st.sampled_from(LETTERS), min_size=1, max_size=5).map("".join)


@pytest.fixture
def without_index(store):
    """The same store, where there can be no index."""
    with opened_without_index(store) as other:
        yield other


# What is found is what is there


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    notes=st.lists(texts | st.none(), min_size=1, max_size=4),
    outputs=st.lists(st.lists(texts, max_size=3), min_size=1, max_size=4),
    needle=texts,
    ignores_case=st.booleans(),
)
def test_it_is_found_what_is_there_and_nothing_else(store, notes, outputs, needle, ignores_case):
    needle = plain_text(needle)
    if not needle:
        return
    experiment = f"fit{next(_numbers)}"
    for number, note in enumerate(notes):
        run = store.start(experiment, notes=note, capture=False)
        for lines in outputs[number::2]:
            printed(store, run, "\n".join(lines))
        run.finish(error="of memory" if number % 2 else None)

    def holds(line):
        if ignores_case:
            return needle.casefold() in line.casefold()
        return needle in line

    expected = looked_up(store.find(experiment=experiment), holds)
    assert found(store, needle, ignore_case=ignores_case, experiment=experiment) == expected


HOSTILE = [
    '"', '""', "* AND NEAR(", "a OR b", "x:y", "^a", "-a", "a\0b", "\0", "'; drop table runs; --",
    "%s{}?:x", "é", "e\u0301", "ß", "SS", "İ", "🚀", "失败", "败", "\ufffd", "\uffff", "\\", "\t",
    "\u202e", "a" * 900,
]  # fmt: skip


@pytest.mark.parametrize("text", HOSTILE, ids=ascii)
def test_hostile_texts_are_texts(store, without_index, text):
    with store.start("fit", notes="nothing", capture=False) as other:
        printed(store, other, "nothing\n")
    with store.start("fit", notes=f"a {text} b", capture=False) as run:
        printed(store, run, f"first\nx {text} y\n")
    expected = [(2, "notes", 1), (2, "output", 2)]
    if "\0" in text:
        expected = expected[1:]  # notes have no NUL, which PostgreSQL refuses

    for place in (store, without_index):
        assert found(place, text) == expected
        assert set(expected) <= set(found(place, text, ignore_case=True))
    quoted = text.replace("'", "''")
    assert [run.run_number for run in store.find(f"output contains '{quoted}'")] == [2]


def test_half_a_surrogate_is_nowhere(store):
    store.start("fit", notes="a\udcffb", capture=False).finish()

    assert found(store, "\udcff") == []
    assert found(store, "a\ufffdb") == [(1, "notes", 1)]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"text": ""}, UsageError),
        ({"text": "a\nb"}, UsageError),
        ({"text": "a" * 1001}, UsageError),
        ({"text": "(", "regexp": True}, FilterError),
        ({"text": "a", "fields": ["note"]}, UsageError),
        ({"text": "a", "fields": []}, UsageError),
        ({"text": "a", "limit": 0}, UsageError),
        ({"text": "a", "lines": 0}, UsageError),
        ({"text": "a", "context": -1}, UsageError),
        ({"text": "a", "experiment": "nope"}, NotFoundError),
        ({"text": "a", "where": "nope = 1"}, FilterError),
    ],
)
def test_what_makes_no_sense_is_refused(store, options, error):
    store.start("fit", capture=False).finish()
    others = {name: value for name, value in options.items() if name != "text"}

    with pytest.raises(error):
        store.grep(options["text"], **others)


def test_a_slow_expression_ends_with_an_error(store, monkeypatch):
    monkeypatch.setattr("runstore.model.text.line_pattern.REGEX_TIME_S", 0.2)
    store.start("fit", notes="a" * 5000 + "b", capture=False).finish()

    with pytest.raises(FilterError, match="took more than"):
        store.grep(r"^(a|aa|a?a)+(a|aa)+\b\Z(?<=c)|(a*)*(a*)*(a*)*(a*)*c$", regexp=True)


# Expressions, fields, lines, pages


@pytest.fixture
def filled(store):
    for number in range(1, 8):
        run = store.start("fit" if number % 2 else "eval", notes=f"try {number}", capture=False)
        printed(store, run, *(f"epoch {n} loss {'nan' if n == 5 else n}\n" for n in range(9)))
        error = "ValueError: loss is nan" if number == 3 else None
        run.finish(error=error, traceback=f"Traceback:\n{error}" if error else None)
    return store


def test_an_expression_is_looked_for_in_each_line(filled):
    assert len(found(filled, r"^epoch \d+ loss nan$", regexp=True)) == 7
    assert found(filled, r"TRY [13]", regexp=True, ignore_case=True) == [
        (2, "notes", 1),
        (1, "notes", 1),
    ]
    assert found(filled, r"8\nepoch", regexp=True) == []


def test_fields_runs_and_filters_narrow_it_down(filled):
    assert found(filled, "nan", fields=["error"]) == [(2, "error", 1)]
    assert found(filled, "try 3", "run_number > 0", experiment="fit") == [(2, "notes", 1)]
    assert found(filled, "nan", "error is not missing", fields=["notes"]) == []
    newest = filled.grep("nan", "order by started", limit=1, fields=["output"])
    assert newest[0].run.notes == "try 1"


def test_the_last_line_of_a_traceback_is_not_told_twice(filled):
    assert found(filled, "is nan") == [(2, "error", 1)]
    assert found(filled, "Traceback") == [(2, "traceback", 1)]


def test_so_many_lines_as_are_asked_for(filled):
    page = filled.grep("epoch", lines=2, limit=1)

    assert [line.text for line in page[0].lines] == ["epoch 0 loss 0", "epoch 1 loss 1"]
    assert page[0].has_more
    assert not filled.grep("epoch 1", lines=2, limit=1)[0].has_more


def test_pages_make_the_whole(filled):
    whole = [one.run.uid for one in filled.grep("epoch", limit=None)]
    pages, after = [], None
    while True:
        page = filled.grep("epoch", limit=2, after=after)
        pages += [one.run.uid for one in page]
        after = page.next
        if after is None:
            break

    assert pages == whole
    assert len(whole) == 7


def test_lines_have_their_place_time_and_surroundings(filled):
    run = filled.get("fit#-1")
    line = filled.grep("loss nan", context=2, limit=1)[0].lines[0]

    kept = list(run.output)[5]
    assert (line.number, line.text, line.at, line.stream) == (6, kept.text, kept.at, "stdout")
    assert line.spans == ((8, 16),)
    assert line.before == ("epoch 3 loss 3", "epoch 4 loss 4")
    assert line.after == ("epoch 6 loss 6", "epoch 7 loss 7")
    first = filled.grep("epoch 0", context=9, limit=1)[0].lines[0]
    assert (first.before, len(first.after)) == ((), 8)


def test_output_of_several_processes_is_one_text(store):
    with store.start("fit", capture=False) as run:
        first = printed(store, run, "a 1\n", is_closed=False)
        second = printed(store, run, "b 1\n", is_closed=False)
        first.feed("stdout", b"a 2\n")
        second.feed("stdout", b"b 2\n")
        first.close()
        second.close()

    assert found(store, "a 2") == [(1, "output", 3)]
    assert [run.run_number for run in store.find("output contains 'b 1\na 2'")] == [1]
    assert not store.find("output contains 'a 1\na 2'")


def test_colours_are_not_in_the_way(store):
    with store.start("fit", capture=False) as run:
        printed(store, run, "\x1b[1;31mERR\x1b[0mOR\x1b[0m: \x1b]0;title\x07nan\n")

    assert store.grep("ERROR: nan")[0].lines[0].text == "ERROR: nan"
    assert store.find("output = 'ERROR: nan'")
    assert found(store, "title") == []


# Large output is in many pieces


@pytest.fixture
def small_pieces(monkeypatch):
    monkeypatch.setattr(output_pieces, "PIECE_BYTES", 200)


def test_lines_of_many_pieces_have_their_numbers(store, without_index, small_pieces):
    with store.start("fit", capture=False) as run:
        printed(store, run, *(f"line {n} {'x' * (n % 70)}\n" for n in range(300)), "end")

    for place in (store, without_index):
        for number in (0, 17, 151, 299):
            assert found(place, f"line {number} ") == [(1, "output", number + 1)]
        assert found(place, "end") == [(1, "output", 301)]
        assert place.find("output like 'line 0 %line 299 %end'")
        assert place.find("output contains '69\n' or output contains 'line 150 '")
        assert not place.find("output like '%line 299 %line 298 %'")


def test_a_file_is_taken_in_step_by_step(store, small_pieces, monkeypatch):
    """A long file does not keep the index locked: it goes on where it was."""
    monkeypatch.setattr(search_index, "_STEP_S", 0.0)
    for _ in range(3):
        with store.start("fit", notes="short", capture=False) as run:
            printed(store, run, *(f"line {n}\n" for n in range(200)))

    assert found(store, "line 150") == [(n, "output", 151) for n in (3, 2, 1)]
    assert found(store, "line 150") == [(n, "output", 151) for n in (3, 2, 1)]
    assert len(found(store, "short")) == 3


# Changes


def test_old_notes_are_not_found_any_more(store):
    run = store.start("fit", notes="the first words", capture=False)
    run.finish()
    assert found(store, "first words")

    store.edit(run.uid, notes="other ones")

    assert found(store, "first words") == []
    assert found(store, "other ones") == [(1, "notes", 1)]
    store.undo(run.uid)
    assert found(store, "first words") == [(1, "notes", 1)]
    assert found(store, "other ones") == []
    store.edit(run.uid, notes=None)
    assert found(store, "first words") == []


def test_a_run_is_found_while_it_goes_on_and_afterwards(store):
    run = store.start("fit", capture=False)
    keeper = printed(store, run, "so far\nno", is_closed=False)
    assert found(store, "so far") == [(1, "output", 1)]
    assert found(store, "no") == [(1, "output", 2)]
    assert store.find("output contains 'so far\nno'")

    keeper.feed("stdout", b" further\n")
    assert found(store, "no further") == [(1, "output", 2)]
    keeper.close()
    run.finish()

    assert found(store, "no further") == [(1, "output", 2)]
    assert list(store.backend.spool.output_files()) == []
    assert found(store, "so far") == [(1, "output", 1)]


def test_output_that_is_taken_in_later_is_found(store):
    """Its process was killed; whoever opens the store next takes it in."""
    run = store.start("fit", capture=False)
    keeper = printed(store, run, "last words\n", is_closed=False)
    store.backend.database.finish_run(run.uid, run.status.COMPLETE, ended_at=1)
    assert found(store, "last words") == [(1, "output", 1)]
    keeper.close()
    assert found(store, "last words") == [(1, "output", 1)]

    with Store.open(store.backend.url) as again:
        assert list(again.backend.spool.output_files()) == []
        assert found(again, "last words") == [(1, "output", 1)]
    run.execution.take_status(run.status.COMPLETE)


def test_output_that_another_process_takes_in_meanwhile_is_no_trouble(store, monkeypatch):
    """Who opens the store just when a run has ended takes in its output too."""
    take = store.backend.part(Deferred)._take_output_file

    def late(path):
        with Store.open(store.backend.url):
            assert not path.exists()
        take(path)

    monkeypatch.setattr(store.backend.part(Deferred), "_take_output_file", late)
    with store.start("fit", capture=False) as run:
        printed(store, run, "words\n")

    assert found(store, "words") == [(1, "output", 1)]


def test_a_resumed_run_prints_more(store):
    with store.start("fit", capture=False) as run:
        printed(store, run, "first life\n")
    assert found(store, "first life") == [(1, "output", 1)]

    with store.resume(run.uid) as again:
        printed(store, again, "second life\n")
        assert found(store, "life") == [(1, "output", 1), (1, "output", 2)]

    assert found(store, "life") == [(1, "output", 1), (1, "output", 2)]
    assert store.find("output contains 'first life\nsecond life'")


def test_deleted_runs_vanish_and_come_back(store):
    for number in (1, 2):
        with store.start("fit", notes=f"note {number}", capture=False) as run:
            printed(store, run, "words\n")
    assert len(found(store, "words")) == 2

    deleted(store, run.uid, 1)

    assert found(store, "words") == [(1, "output", 1)]
    assert found(store, "note 2") == []
    assert [run.run_number for run in store.find("output contains 'words'")] == [1]
    deleted(store, run.uid, None)
    assert found(store, "note 2") == [(2, "notes", 1)]
    assert len(found(store, "words")) == 2


def test_a_run_whose_row_is_gone_leaves_no_trace_to_the_next(store):
    """Its row id and the numbers of its changes are given again."""
    store.start("fit", notes="stays", capture=False).finish()
    gone = store.start("fit", notes="gone", capture=False)
    assert found(store, "gone") == [(2, "notes", 1)]
    store.backend.part(Recorder).withdraw(gone.uid)
    gone.execution.take_status(gone.status.COMPLETE)

    store.start("fit", notes="comes instead", capture=False).finish()

    assert found(store, "gone") == []
    assert found(store, "comes") == [(2, "notes", 1)]
    for _ in range(3):
        gone = store.start("fit", notes="gone", capture=False)
        found(store, "gone")
        store.backend.part(Recorder).withdraw(gone.uid)
        gone.execution.take_status(gone.status.COMPLETE)
        store.start("eval", notes="another", capture=False).finish()
    assert found(store, "gone") == []
    assert len(found(store, "another")) == 3


def test_contents_that_are_gone_are_left_out_until_they_are_back(store):
    for number in (1, 2):
        with store.start("fit", capture=False) as run:
            printed(store, run, f"words {number}\n")
    put_back = take_away(store, store.backend.artifacts.outputs_of(run.uid)[0].digest)

    assert found(store, "words") == [(1, "output", 1)]
    assert len(store.find("output is missing")) == 0
    assert len(store.find("output = ''")) == 1
    put_back()
    assert len(found(store, "words")) == 2


def test_damaged_contents_are_never_shown(store):
    with store.start("fit", capture=False) as run:
        printed(store, run, "words one\nwords two\n")
    assert len(found(store, "words")) == 2
    digest = store.backend.artifacts.outputs_of(run.uid)[0].digest
    change_contents(store, digest, lambda data: data.replace(b"one", b"two"))

    assert found(store, "words") == []
    (store.path / SEARCH).unlink(missing_ok=True)
    assert found(store, "words") == []
