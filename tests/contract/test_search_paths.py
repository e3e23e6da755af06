"""A search finds the same with an index, without one, and on a server."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import FilterError
from runstore.model.text.output import plain_text
from runstore.storage.postgres import objects
from runstore.storage.postgres.search import expression
from searching import found, printed
from unusual_stores import opened_without_index

RUNS = 30
# Output on a server is kept in rows, here in many: lines are cut, but no text is in three.
ROW_BYTES = 64
WORDS = [
    b"CUDA", b"out", b"of", b"memory", b" ", b": ", b"a", b"ab", b"Kiss", b"fist", b"i", b"I",
    b"\\", b"\\303\\251", b"%", b"_", b"'", b'"', b".*", b"\t", b"\0", b"\xff", b"\xc3",
    b"\xf0\x9f",
    b"\x1b", b"\x1b[31m", b"\x1b[0m", b"\x1b[", b"\x1b[\\", b"\x1b]0;t\x07", b"\x1b]8;;\x1b\\",
    b"\x1b]half", b"\x07", *(one.encode() for one in expression.FOLDED_TO_ASCII),
    *(one.encode() for one in ("\u00e9", "\u00c9", "e\u0301", "\u0416\u0443\u043a",
        "\u0416\u0423\u041a",
        "\u0436\u0443\u043a", "\u03a3\u03c3\u03c2", "\u1f80", "\u0390", "\u5931\u8d25",
        "\U0001f680",
        "\ufffd", "\U00010400", "\U00010428", "\u0131", "\u0130")),
]  # fmt: skip


chance = random.Random(5)


def line():
    return b"".join(chance.choices(WORDS, k=chance.randrange(6)))


# Of each run: notes, error, and the lines of some processes.
CORPUS = [
    (line(), line(), [[line() for _ in range(chance.randrange(9))] for _ in range(number % 3)])
    for number in range(RUNS)
]
LONG = "-".join(map(str, range(100, 160)))
CORPUS.append((b"", b"", [[LONG.encode()]]))


def recorded(store):
    for notes, error, outputs in CORPUS:
        run = store.start("fit", notes=notes.decode(errors="replace"), capture=False)
        for lines in outputs:
            printed(store, run, b"\n".join(lines))
        run.finish(error=error.decode(errors="replace") if len(outputs) > 1 else None)


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    pytest.importorskip("psycopg")
    from postgres_server import database

    folder = tmp_path_factory.mktemp("paths") / "store"
    with (
        database() as url,
        database() as other,
        Store.open(folder) as indexed,
        Store.open(url) as server,
        Store.open(other) as in_rows,
    ):
        for store in (indexed, server):
            recorded(store)
        with pytest.MonkeyPatch.context() as patch, opened_without_index(indexed) as plain:
            patch.setattr(objects, "PART_BYTES", ROW_BYTES)
            recorded(in_rows)
            yield indexed, plain, server, in_rows


def part_of(line, begin, length):
    return plain_text(line.decode(errors="replace"))[begin : begin + length]


LINES = [line for _, _, outputs in CORPUS for lines in outputs for line in lines if line]
invented = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(
    lambda words: b"".join(words).decode(errors="replace")
)
recorded_texts = st.builds(
    part_of, st.sampled_from(LINES), st.integers(0, 9), st.integers(1, 12)
).filter(bool)
texts = recorded_texts | invented
parts = st.sampled_from([r"\w", ".", r"\d+", "(a|b)", "[a-z]+", "x?", "^", "$", r"\b", "(?i)"])
expressions = st.lists(parts | texts, min_size=1, max_size=4).map("".join)


@given(text=texts, ignores_case=st.booleans(), context=st.sampled_from([0, 0, 2]))
def test_a_text_is_found_in_the_same_lines(stores, text, ignores_case, context):
    options = {"ignore_case": ignores_case, "context": context}

    one, *others = (found(store, text, **options) for store in stores)

    assert others == [one] * len(others)


@given(text=expressions, ignores_case=st.booleans())
def test_an_expression_is_found_in_the_same_lines(stores, text, ignores_case):
    try:
        one, *others = (
            found(store, text, regexp=True, ignore_case=ignores_case) for store in stores
        )
    except FilterError:
        return

    assert others == [one] * len(others)


def test_a_text_is_found_across_rows_of_the_server(stores):
    in_rows = stores[-1]

    for begin in range(0, len(LONG) - 8, 4):
        assert found(in_rows, LONG[begin : begin + 8]) == [(RUNS + 1, "output", 1)]


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


conditions = st.one_of(
    st.builds("output contains {}".format, texts.map(quoted)),
    st.builds("output not contains {}".format, texts.map(quoted)),
    st.builds("output = {}".format, texts.map(quoted)),
    st.builds("output in ({}, {})".format, texts.map(quoted), texts.map(quoted)),
    st.builds("output like '%{}%{}'".format, *[texts.map(lambda one: one.replace("'", "''"))] * 2),
    st.builds("output ilike '%{}%'".format, texts.map(lambda one: one.replace("'", "''"))),
    st.builds("output ~ {}".format, expressions.map(quoted)),
    st.just("output is missing"),
    st.just("run_number > 20"),
)  # fmt: skip
filters = st.recursive(
    conditions,
    lambda inner: (
        st.builds("({} and {})".format, inner, inner)
        | st.builds("({} or {})".format, inner, inner)
        | st.builds("not ({})".format, inner)
    ),
    max_leaves=3,
)


@given(where=filters)
def test_a_filter_finds_the_same_runs(stores, where):
    try:
        one, *others = (
            [run.run_number for run in store.find(where, limit=None)] for store in stores
        )
    except FilterError:
        return

    assert others == [one] * len(others)


def test_folds_of_other_alphabets_are_known():
    """Each character whose fold has ASCII letters is replaced on the server."""
    folds = {one: one.casefold() for one in map(chr, range(0x80, 0x30000))}
    with_ascii = {one for one, fold in folds.items() if any(map(str.isascii, fold))}
    last = max(one for one, fold in folds.items() if fold != one)

    assert set(expression.FOLDED_TO_ASCII) == with_ascii
    assert ord(last) <= expression._LAST_CASED
