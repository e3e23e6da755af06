"""Finding runs: a filter means the same in SQL, whatever the plan, and in plain Python."""

import contextlib
import functools
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import FilterError, UsageError
from runstore.model.facts import Facts
from runstore.model.query.evaluate import matches
from runstore.model.query.parse import parse_query
from runstore.model.query.patterns import Regex
from runstore.model.query.tree import Kind
from runstore.reading.details.run_subject import RunSubject
from runstore.reading.grid.order import run_order
from runstore.recording.output.keeper import OutputKeeper
from runstore.storage.indexes import facts as fact_index
from runstore.storage.query import candidates, newest
from runstore.storage.query import sorted as sorting
from unusual_stores import opened_without_index

EXAMPLES = settings().max_examples  # as many as the profile tries, or some times as many
PARAMS = [
    {"lr": 0.1, "layers": [64, 10], "model": "SVC", "deep": True},
    {"lr": 1e-5, "model": "svm%", "options": {"C": 10, "kernel": "rbf"}},
    {"lr": "0.1", "a.b": 1, "seed": None},
    {"lr": math.nan, "big": 2**60, "deep": False},
    {"big": 2**60 + 1, "lr": "2.10", "seed": 7},
    {"big": -(2**53) - 1, "lr": 1e23, "model": "007"},
    {"big": 10**400, "lr": 2**53, "a.b": "SVC"},
    # Too long for an index of a server.
    {"lr": math.inf, "model": "Ünï_1", "deep": "true", "a.b": "SVC" + "x" * 3000},
    [{"name": "a", "lr": 1}, {"name": "b", "lr": 2, "model": "x*y"}],
    {},
]
TAGS = [
    {"phase": "pilot"},
    {"n": 3, "keep": ""},
    {"phase": "0.5", "n": "10"},
    {"keep": True},
    {},
    {"n": "007"},
    {"n": "1.10"},
    {"n": "12e4567", "phase": "9007199254740993"},
    {"n": 0.5, "phase": "SVC"},
]
LOSSES = [[1.0, 0.5], [math.nan], [0.5, math.nan, 0.25], [math.inf, -math.inf], [3.0], []]
KEYS = [
    "params.lr", "params.model", "params.layers[0]", "params.layers", "params.options",
    "params.options.C", "params.a.b",
    "params.deep", "params.big", "params.seed", "params[a].lr", "params[b].lr", "params.none",
    "metrics.loss", "metrics.loss.min", "metrics.loss.max", "metrics.loss.first",
    "metrics.loss.mean", "metrics.loss.count", "metrics[b].acc", "metrics.acc", "metrics.none",
    "tags.phase", "tags.n", "tags.keep", "tags.none", "notes", "error", "experiment", "status",
    "run_number", "exit_code", "duration", "started", "set", "artifacts", "artifacts.'m/a.txt'",
    "artifacts.'m/a.txt'.size", "artifacts.size", "host.name", "command.argv", "git.commit",
    "packages.click", "packages.none", "parent", "dirty", "inputs.digest", "host.cpu_count",
    "git.branch", "facts.n", "facts.list", "reference", "started", "param_hash", "param_file",
    "output", "output", "output", "python.version",
]  # fmt: skip
OUTPUTS = [
    [],
    [b"epoch 1 loss 0.5\nepoch 2 loss nan\n"],
    [b"\x1b[31mSVC\x1b[0m failed: \xc3\x9cn\xc3\xaf_1\nepoch 10", b"x*y\nsvm%"],
    [b"\n"],
    [b"", b"broken \xff bytes and a NUL \0 sign\n64"],
]
FACTS = [
    {"git.branch": "main", "n": 1, "list": ("a", "b"), "python.version": "3.10.2"},
    {"git.branch": "true", "n": 0.5, "list": ("10",), "python.version": "3.9.1"},
    {"git.branch": "20261126", "python.version": "custom"},
    {"git.branch": "SVC", "n": True},
    {"n": False},
]
# The ways to find runs, each forced on a store that is too small for them.
WAYS = {
    "as it comes": {},
    "one by one": {(newest, "WINDOW"): 3, (newest, "NEAR"): 10**6},
    "small sets": {(newest, "WINDOW"): 3, (newest, "NEAR"): 0, (newest, "FAR"): 0},
    "sets in common": {(newest, "WINDOW"): 3, (newest, "NEAR"): 0, (candidates, "FEW"): 9},
    "whole sets": {
        (newest, "WINDOW"): 3,
        (newest, "NEAR"): 0,
        (newest, "FAR"): 0,
        (candidates, "FEW"): -1,
    },
    "missing in a large store": {
        (newest, "WINDOW"): 3,
        (newest, "NEAR"): 0,
        (candidates, "LARGEST"): 0,
    },
    "some by some": {(sorting, "FIRST"): 5, (candidates, "FEW"): -1},
    "all at once": {(sorting, "FIRST"): 2, (sorting, "ROUNDS"): 1, (candidates, "FEW"): -1},
    "equal ones by the next key": {
        (sorting, "FIRST"): 7,
        (sorting, "EQUAL_AT_MOST"): 4,
        (candidates, "FEW"): -1,
    },
}


@contextlib.contextmanager
def forced(way):
    """Let searches go this way."""
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in WAYS[way].items():
            patch.setattr(module, name, value)
        yield


ways = st.sampled_from(sorted(WAYS))
VALUES = [
    "0.1", "'0.1'", "1", "2", "10", "64", "-1", "0.5", "'0.5'", "nan", "inf", "1e-5", "true",
    "false", "'True'", "'None'", "''", "'pilot'", "'SVC'", "'svm%'", "'Ünï_1'", "'x*y'", "'a'",
    "'b'", "'one'", "'complete'", "'error'", "'1 h'", "'2026-01-01'", "'today'", "3", "'3'",
    "'8.0'", "1152921504606846976", "'1e999'", "1152921504606846977", "-9007199254740993",
    "9007199254740993", "'9007199254740993'", "1e23", "100000000000000000000000", "2.10", "'2.10'",
    "007", "'7'", "1" + "0" * 400, "-inf", "3.10", "'3.9.1'", "3.10.2", "main", "20261126",
]  # fmt: skip
TEXTS = [
    "'epoch'",
    "'EPOCH'",
    "'ep'",
    "'ch 1'",
    "'epoch%nan'",
    "'%epoch%nan%'",
    "'%loss 0._'",
    "'^.*1$'",
    "'epoch.*\n'",
    "'loss (0|nan)'",
    "'SVC failed'",
    "'ün'",
    "'Ünï'",
    "'NUL'",
    "'\ufffd'",
    "'\n'",
    "'5\nep'",
    "'(?i)svc FAILED'",
    "'[x*]{2}'",
    "'%svm\\%'",
    "'%SVC%'",
    "'\\Aepoch'",
]
PATTERNS = ["'%'", "'S%'", "'s_m%'", r"'svm\%'", "'%1%'", "'x*%'", "'[a-z]'", "'.'", "'^$'", "''"]


@pytest.fixture(scope="module")
def store(module_location):
    """42 runs of every kind; more like them, in the trash; facts indexed and not indexed."""
    with Store.open(module_location) as store:
        uids = [add_run(store, number) for number in range(60)]
        with store.backend.database.driver.write() as connection:
            for number, uid in enumerate(uids):
                if number % 10 in {2, 5, 9}:
                    connection.execute("UPDATE runs SET deleted_at = 1 WHERE uid = ?", (uid,))
                if number % 8 == 7:
                    unindex_facts(connection, uid)
                if number % 7 == 3:  # copied here from another store, after it had started
                    earlier = "UPDATE runs SET started_at = started_at - 3600000000 WHERE uid = ?"
                    connection.execute(earlier, (uid,))
        yield store


def add_run(store, number):
    params = PARAMS[number % len(PARAMS)]
    name = ("one", "two", "dré_3")[number % 3]
    notes = (None, "first try", "Ünï")[number % 3 - 1]
    if number % 8 == 3:
        notes = "first try " * 300  # too long for an index of a server
    run = store.start(name, params=params, notes=notes, capture=False)
    facts = {"host.name": "here", "command.argv": ("a", "b"), "host.cpu_count": 2}
    store.backend.database.attach_facts(
        run.uid,
        Facts(
            values=facts | FACTS[number % len(FACTS)],
            documents={"packages": f"click=={8 + number % 2}.0\n"} if number % 3 else {},
        ),
    )
    for value in LOSSES[number % len(LOSSES)]:
        run.log(loss=value)
    if isinstance(params, list):
        run.of_set("b").log(acc=0.5)
    if number % 4 == 0:
        run.save("m/a.txt", b"x" * number)
    run.tags.update(TAGS[number % len(TAGS)])
    for printed in OUTPUTS[number % len(OUTPUTS)]:
        keeper = OutputKeeper(store.backend.spool, run.uid)
        keeper.feed("stdout", printed)
        if number != 41:  # of which something stays in the spool
            keeper.close()
        run.execution.has_output = True
    error = None if number % 5 else "ValueError: nan"
    run.finish("error" if error else "complete", error=error, exit_code=1)
    return run.uid


def unindex_facts(connection, uid):
    """Leave the facts of a run as an older release wrote them: in the row alone."""
    row = connection.execute("SELECT id FROM runs WHERE uid = ?", (uid,)).fetchone()
    fact_index.release_facts(connection, row[0])
    connection.execute("UPDATE runs SET facts_filed = NULL WHERE id = ?", row)


class Subject(RunSubject):
    """A run that reads what it holds, such as its output, once for all filters."""

    def values(self, field):
        return values_of(self, field)


@functools.cache
def values_of(subject, field):
    return list(RunSubject.values(subject, field))


@pytest.fixture(scope="module")
def subjects(store):
    return [Subject(run) for run in store.find(limit=None)]


@pytest.fixture(scope="module")
def without_index(store):
    """The same store, where texts have to be looked through."""
    with opened_without_index(store) as other:
        yield other


def comparisons():
    compared = st.builds(
        "{} {} {}".format,
        st.sampled_from(KEYS),
        st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
        st.sampled_from(VALUES),
    )
    patterned = st.builds(
        "{} {} {}".format,
        st.sampled_from(KEYS),
        st.sampled_from(["like", "not like", "ilike", "contains", "not contains", "~", "!~"]),
        st.sampled_from(PATTERNS + VALUES),
    )
    printed = st.builds(
        "output {} {}".format,
        st.sampled_from(
            ["=", "!=", "like", "not like", "ilike", "contains", "not contains", "~", "!~"]
        ),
        st.sampled_from(TEXTS),
    )
    listed = st.builds(
        "{} {} ({}, {})".format,
        st.sampled_from(KEYS),
        st.sampled_from(["in", "not in"]),
        st.sampled_from(VALUES),
        st.sampled_from(VALUES),
    )
    missing = st.builds(
        "{} {}".format,
        st.sampled_from(KEYS),
        st.sampled_from(["is missing", "is not null", "is none", "is not none", "is null"]),
    )
    return st.one_of(compared, patterned, printed, listed, missing)


FILTERS = st.recursive(
    comparisons(),
    lambda inner: st.one_of(
        st.builds("({} and {})".format, inner, inner),
        st.builds("({} or {})".format, inner, inner),
        st.builds("not ({})".format, inner),
    ),
    max_leaves=5,
)


@settings(max_examples=EXAMPLES * 4, deadline=None)
@given(text=FILTERS, way=ways, is_indexed=st.booleans())
def test_a_filter_means_the_same_in_sql_and_in_python(
    store, without_index, subjects, text, way, is_indexed
):
    try:
        query = parse_query(text)
    except FilterError:
        return  # a comparison that does not fit its field, in every meaning

    with forced(way):
        searched = store if is_indexed else without_index
        found = [run.uid for run in searched.find(query, limit=None)]

    assert found == [one.run.uid for one in subjects if matches(query.where, one)]
    with forced(way):
        assert order_vector(searched, text) == found


def order_vector(store, text):
    """Return the uids of the runs that a page of all of them would show."""
    ids = run_order(store.backend, text).ids
    return [run.uid for run in store.backend.database.runs_by_id(ids).values()]


ORDERS = st.lists(
    st.builds(
        "{}{}".format,
        st.sampled_from([key for key in KEYS if "pack" not in key and key != "output"]),
        st.sampled_from(["", " desc", " asc"]),
    ),
    min_size=1,
    max_size=3,
).map(", ".join)


def in_order(query, subjects):
    """Return runs as the query wants them, by Python alone; they come newest first."""
    runs = [one for one in subjects if matches(query.where, one)]
    for key in reversed(query.order):
        for place in (1, 0) if key.field.kind is Kind.CELL else (0,):

            def first_value(run, key=key, place=place):
                values = [
                    value[place] if isinstance(value, tuple) else value
                    for value in run.values(key.field)
                ]
                known = [value for value in values if value is not None]
                return (max if key.is_descending else min)(known, default=None)

            known = [run for run in runs if first_value(run) is not None]
            unknown = [run for run in runs if first_value(run) is None]
            # What is equal stays in its order, in either direction.
            known.sort(key=first_value, reverse=key.is_descending)
            runs = known + unknown
    return runs


def uids_page_by_page(store, query, limit):
    uids, after = [], None
    while True:
        page = store.find(query, limit=limit, after=after)
        uids += [run.uid for run in page]
        after = page.next
        if after is None:
            return uids


@settings(max_examples=EXAMPLES * 3, deadline=None)
@given(where=st.just("") | comparisons(), order=ORDERS, limit=st.integers(4, 20), way=ways)
def test_pages_of_any_order_make_what_python_sorts(store, subjects, where, order, limit, way):
    try:
        query = parse_query(f"{where} order by {order}")
    except FilterError:
        return  # what runs have no order by

    with forced(way):
        pages = uids_page_by_page(store, query, limit)

    assert pages == [one.run.uid for one in in_order(query, subjects)]
    with forced(way):
        assert order_vector(store, f"{where} order by {order}") == pages


@settings(max_examples=EXAMPLES, deadline=None)
@given(text=FILTERS, limit=st.integers(1, 9), way=ways)
def test_pages_of_any_filter_make_the_whole(store, text, limit, way):
    try:
        query = parse_query(text)
    except FilterError:
        return
    whole = [run.uid for run in store.find(query, limit=None)]

    with forced(way):
        pages = uids_page_by_page(store, query, limit)

    assert pages == whole


def test_an_order_puts_values_first_and_newest_of_equal_ones(store):
    found = store.find("metrics.loss.count > 0 order by metrics.loss.min, started", limit=None)

    least = [run.metrics["loss"].min for run in found]
    known = [value for value in least if not math.isnan(value)]
    assert known == sorted(known)
    assert all(math.isnan(value) for value in least[len(known) :])


def test_pages_of_a_filter_make_the_whole(store):
    whole = [run.uid for run in store.find("params.lr > 0", limit=None)]
    first = store.find("params.lr > 0", limit=5)
    second = store.find("params.lr > 0", limit=1000, after=first.next)

    assert [run.uid for run in [*first, *second]] == whole
    assert second.next is None


# MLflow's own filter strings


@pytest.mark.parametrize(
    ("mlflow", "ours"),
    [
        ("attributes.status = 'FINISHED'", "status = 'complete'"),
        (
            "attribute.status IN ('FAILED', 'KILLED')",
            "status in ('error', 'lost', 'interrupted', 'pruned')",
        ),
        ("metrics.loss < 1 AND params.lr = '0.1'", "metrics.loss.last < 1 and params.lr = 0.1"),
        ('metrics."loss" <= 0.5', "metrics.loss <= 0.5"),
        ("metrics.`loss` <= 0.5", "metrics.loss <= 0.5"),
        ("tags.phase LIKE 'pil%'", "tags.phase = 'pilot'"),
        ("parameter.model ILIKE 'svc'", "params.model = 'SVC'"),
        ("attributes.start_time > 1664067852747", ""),
        ("run_name LIKE 'one%'", "experiment = one"),
        ("tags.`phase` IS NULL", "tags.phase is missing"),
    ],
)
def test_mlflow_filters_work_as_they_are(store, mlflow, ours):
    found = [run.uid for run in store.find(mlflow, limit=None)]

    wanted = [run.uid for run in store.find(ours, limit=None)]
    if mlflow.startswith("metrics.loss < 1 AND"):  # a quoted number is a text as well
        wanted = [
            run.uid
            for run in store.find("metrics.loss < 1 and params.lr in (0.1, '0.1')", limit=None)
        ]
    assert found == wanted
    assert found


# Mistakes and malice


@pytest.mark.parametrize(
    ("text", "at", "hint"),
    [
        ("statu = 'error'", 0, "Did you mean 'status'?"),
        ("status = 'eror'", 9, "Did you mean 'error'?"),
        ("params.lr > 0.1 an status = error", 16, "and, or"),
        ("params.lr >", 11, "a number"),
        ("notes ~ '('", 8, ""),
        ("started > 'foo'", 10, "3 days ago"),
        ("duration > 'foo'", 11, "2 h"),
        ("metrics.loss > 'low'", 15, ""),
        ("lr > 0.1", 0, "params.lr"),
        ("params.lr = null", 12, "is missing"),
        ("status > error", 9, "in"),
        ("metrics.loss like '%'", 0, ""),
        ("dirty = 3", 8, "dirty = true"),
        ("order by packages.click", 9, ""),
        ("order by output", 9, ""),
        ("output > 'a'", 9, "contains"),
        ("notes = 'a", 8, ""),
        ("\n\nstatus =\t'eror'", 9, "error"),
    ],
)
def test_a_mistake_is_shown_with_a_caret(store, text, at, hint):
    with pytest.raises(FilterError) as caught:
        store.find(text)

    _, line, caret = caught.value.what.split("\n")
    assert caret.index("^") - 2 == at
    assert line.strip() in text.replace("\t", " ")
    assert hint in caught.value.hint


@pytest.mark.parametrize(
    "text",
    [
        "notes = ''' ; drop table runs; --'",
        "params.`x' or 1=1 --` = 1",
        "metrics.`) or (1=1` > 0",
        'facts.`$."x"` = 1',
        'facts.`a"b` is missing',
        "tags.`%s{}?:x` = 1",
        "notes like '%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%_%x'",
        "notes ~ '(a+)+$' or notes ~ '(.*)*x'",
        " or ".join(["params.lr > 0"] * 200),
        "params.lr in (" + ",".join(map(str, range(1000))) + ")",
        "notes = '\x00'",
    ],
)
def test_hostile_filters_are_filters(store, text):
    store.find(text)

    assert len(store.find(limit=None)) == 42


@pytest.mark.parametrize(
    "text",
    [
        "x" * 20_000,
        " or ".join(["params.lr > 0"] * 201),
        "not " * 60 + "params.lr > 0",
        "not " * 2000 + "params.lr > 0",
        "params.lr in (" + ",".join(map(str, range(1001))) + ")",
        "notes ~ '" + "(" * 600 + ")" * 600 + "'",
    ],
)
def test_what_is_too_large_is_refused(store, text):
    with pytest.raises(FilterError):
        store.find(text)


def test_a_regular_expression_ends_in_time(tmp_path, monkeypatch):
    monkeypatch.setitem(Regex.__init__.__kwdefaults__, "time_s", 0.2)
    with Store.open(tmp_path) as store:
        store.start("m", notes="a" * 5000 + "b", capture=False).finish()

        with pytest.raises(FilterError, match="took more than"):
            store.find(r"notes ~ '^(a|aa|a?a)+(a|aa)+\b\Z(?<=c)|(a*)*(a*)*(a*)*(a*)*c$'")


def test_limits_are_checked(store):
    for limit in (0, -1, 2.5):
        with pytest.raises(UsageError):
            store.find(limit=limit)
