"""Each kind of field in a filter finds its runs, whichever way the engine looks for them."""

import itertools

import pytest

from runstore import Store
from runstore.model.facts import Facts
from runstore.model.query.fields import RUN_FIELDS
from runstore.model.query.parse import parse_query
from runstore.model.query.tree import All, Any, Field, Namespace
from runstore.storage.indexes.params import index_params
from runstore.storage.query.candidates import NONE, Candidates
from runstore.storage.query.packages import PackageLists
from runstore.storage.query.where import EVERY_NAMESPACE, Condition, column_of_run

START = 1_793_491_200_000_000  # 2026-11-01, 0 o'clock UTC, in microseconds


@pytest.fixture(scope="module")
def kept(module_location, tmp_path_factory):
    """A store with four runs: a rich one, another one, an error, and one that says nothing."""
    folder = tmp_path_factory.mktemp("namespaces")
    with Store.open(module_location) as store:
        source = store.start("source", capture=False)
        source.finish()
        data = folder / "data.csv"
        data.write_text("12345")
        rich = store.start(
            "fit",
            params={"lr": 0.1, "name": "adam", "deep": {"a": None}, "on": True},
            notes="first try",
            parent=source.uid,
            capture=False,
        )
        rich.log_points("loss", [4.0, 1.0, float("nan"), 2.0])
        rich.save("model.bin", b"weights")
        rich.use(data)
        rich.tags.update({"phase": "pilot", "number": "12", "odd": "1e3", "on": "true"})
        rich.finish()
        other = store.start("fit", params={"lr": 0.5, "name": "sgd"}, capture=False)
        other.log_points("loss", [3.0])
        other.finish()
        failed = store.start("other", capture=False)
        failed.finish("error", error="ValueError: x", exit_code=3)
        store.start("other", capture=False).finish()
        facts = {"git.branch": "main", "host.cores": 8, "git.dirty": True, "gone": None}
        store.backend.database.attach_facts(rich.uid, Facts(values=facts))
        with store.backend.database.driver.write() as connection:
            times = "UPDATE runs SET started_at = ?, ended_at = ? WHERE id = 1"
            connection.execute(times, (START, START + 7_000_000))
            connection.execute(
                "UPDATE runs SET commit_hash = 'abc1', cli = 'train.py', hostname = 'host1',"
                " workdir_dirty = 1 WHERE id = 2"
            )
            connection.execute("UPDATE runs SET traceback = 'line 7' WHERE id = 4")
            connection.execute("UPDATE runs SET last_seen_at = NULL WHERE id <> 2")
            index_params(connection)
            for number, version in ((2, "2.1.0"), (3, "1.13")):
                body = f"numpy==1.0\ntorch=={version}\n"
                connection.execute(
                    "INSERT INTO documents (hash, body) VALUES (?, ?)", (f"h{number}", body)
                )
                connection.execute(
                    "INSERT INTO run_documents (run_id, name, hash) VALUES (?, 'packages', ?)",
                    (number, f"h{number}"),
                )
        yield store


SETS = {"in each run": (), "in all runs": EVERY_NAMESPACE}
WAYS = list(itertools.product(SETS, (True, False), (True, False)))


@pytest.fixture(params=WAYS, ids=lambda way: "-".join(map(str, way)))
def way(request):
    """Return where values are looked for, whether in order, and whether facts are indexed."""
    name, in_order, is_indexed = request.param
    return frozenset(SETS[name]), in_order, is_indexed


@pytest.fixture
def ids(kept, way):
    """Return a function that gives the row ids of the runs that a filter accepts."""
    from_sets, in_order, is_indexed = way

    def found(text):
        with kept.backend.database.driver.write() as connection:
            if not is_indexed:  # as an earlier release left them
                connection.execute("UPDATE runs SET facts_filed = NULL")
                connection.execute("DELETE FROM run_facts")
            condition = Condition(
                PackageLists(connection).accepted, from_sets=from_sets, in_order=in_order
            )
            where = condition.of(parse_query(text).where)
            rows = connection.execute(
                f"SELECT r.id FROM runs r WHERE {where} ORDER BY r.id",  # noqa: S608 - ours
                condition.parameters,
            ).fetchall()
            connection.execute("ROLLBACK")
            connection.execute("BEGIN")
        return [row[0] for row in rows]

    return found


# Row ids: 1 the source, 2 the rich one, 3 the other one, 4 the error, 5 the one without anything.
FILTERS = {
    # Of the run itself.
    "status = complete": [1, 2, 3, 5],
    "status != complete": [4],
    "status in ('error', 'complete')": [1, 2, 3, 4, 5],
    "status not in ('error')": [1, 2, 3, 5],
    "status = error": [4],
    "experiment = fit": [2, 3],
    "experiment != fit": [1, 4, 5],
    "experiment like 'o%'": [4, 5],
    "experiment in ('fit', 'source')": [1, 2, 3],
    "run_number = 2": [3, 5],
    "notes contains 'first'": [2],
    "notes is missing": [1, 3, 4, 5],
    "notes is not missing": [2],
    "notes != 'first try'": [],
    "error contains 'Value'": [4],
    "exit_code >= 3": [4],
    "exit_code is missing": [],
    "exit_code = 0": [1, 2, 3, 5],
    "started <= '2026-11-01T00:00:00Z'": [1],
    "duration = 7": [1],
    "ended = '2026-11-01T00:00:07Z'": [1],
    "ended is missing": [],
    "experiment is missing": [],
    "experiment is not missing": [1, 2, 3, 4, 5],
    "parent is not missing": [2],
    "full_store = false": [1, 2, 3, 4, 5],
    "full_store = true": [],
    "commit = abc1": [2],
    "cli contains train": [2],
    "hostname = host1": [2],
    "workdir_dirty = true": [2],
    "traceback contains 'line 7'": [4],
    "uid like '%-%-%'": [1, 2, 3, 4, 5],
    "reference like 'fit_%'": [2, 3],
    "last_seen_at is missing": [1, 3, 4, 5],
    # Together.
    "status = complete and experiment = fit": [2, 3],
    "status = error or experiment = fit": [2, 3, 4],
    "not status = error": [1, 2, 3, 5],
    "not notes contains 'first'": [1, 3, 4, 5],
    "not (notes = 'x' or exit_code = 3)": [1, 2, 3, 5],
    # Parameters and their sets.
    "params.lr > 0.2": [3],
    "params.lr <= 0.1": [2],
    "params.name = 'adam'": [2],
    "params.name like '%a%'": [2],
    "params.lr is missing": [1, 4, 5],
    "params.deep.a is none": [2],
    "params.deep.a is not none": [],
    "params.on = true": [2],
    "params['adam'].lr = 0.1": [2],
    "params['other'].lr = 0.1": [],
    "params['adam'].lr is missing": [1, 3, 4, 5],
    # Metrics by their parts.
    "metrics.loss.last = 2": [2],
    "metrics.loss.first = 4": [2],
    "metrics.loss.min = 1": [2],
    "metrics.loss.max = 4": [2],
    "metrics.loss.mean > 2.3 and metrics.loss.mean < 2.4": [2],
    "metrics.loss.count = 4": [2],
    "metrics.loss > 2.5": [3],
    "metrics.loss is missing": [1, 4, 5],
    "metrics.other is missing": [1, 2, 3, 4, 5],
    "metrics.loss != 3": [2],
    # Tags: words, numbers, and what looks like either.
    "tags.phase = pilot": [2],
    "tags.phase is missing": [1, 3, 4, 5],
    "tags.number > 9": [2],
    "tags.number = '12'": [2],
    "tags.odd = 1000": [2],
    "tags.on = true": [2],
    # Files.
    "artifacts['model.bin'] is not missing": [2],
    "artifacts['model.bin'].size = 7": [2],
    "artifacts['model.bin'].size > 7": [],
    "artifacts['model.bin'].type like 'application/%'": [2],
    "artifacts['other'] is missing": [1, 2, 3, 4, 5],
    "artifacts.path like 'model%'": [2],
    "artifacts.size = 7": [2],
    "inputs.path contains 'data.csv'": [2],
    "inputs.size = 5": [2],
    "inputs.size is missing": [1, 3, 4, 5],
    "inputs.digest like '%a%'": [2],
    "inputs.location contains 'data.csv'": [2],
    "inputs.source is missing": [1, 2, 3, 4, 5],
    "artifacts['model.bin'].digest like '%a%'": [2],
    # Facts and packages.
    "git.branch = main": [2],
    "git.branch != main": [],
    "git.branch is missing": [1, 3, 4, 5],
    "host.cores >= 8": [2],
    "facts.gone is missing": [1, 2, 3, 4, 5],
    "facts.`git.dirty` = true": [2],
    "packages.torch >= 2": [2],
    "packages.torch < 2": [3],
    "packages.torch is missing": [1, 4, 5],
    "packages.numpy = 1": [2, 3],
    "packages.scipy is missing": [1, 2, 3, 4, 5],
}  # fmt: skip


def test_a_filter_finds_its_runs(ids):
    assert {text: ids(text) for text in FILTERS} == FILTERS


def test_each_field_of_a_run_has_its_column():
    """Without one, a filter would ask another column."""
    columns = {
        key: column_of_run(Field(Namespace.RUN, key, kind)) for key, kind in RUN_FIELDS.values()
    }

    assert len(set(columns.values())) == len(RUN_FIELDS)


def sql_of(text, **options):
    condition = Condition(lambda _: ["h"], **options)
    return condition.of(parse_query(text).where), condition.parameters


def test_no_conditions_are_all_runs_and_no_options_none(ids):
    assert Condition(lambda _: ()).of(All(())) == "(1 = 1)"
    assert Condition(lambda _: ()).of(Any(())) == "(1 = 0)"
    assert ids("") == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("text", ["status = 'error'", "status in ('error', 'lost')", "status = a"])
def test_a_status_that_few_have_is_looked_for_among_those_that_are_not_complete(text):
    """An index holds these alone."""
    if "= a" in text:
        text = "status != 'complete'"
    sql, _ = sql_of(text)

    assert sql.startswith("(r.status <> 'complete' AND ")


@pytest.mark.parametrize(
    "text", ["status = 'complete'", "status in ('error', 'complete')", "status != 'error'"]
)
def test_a_status_that_most_have_is_not(text):
    sql, _ = sql_of(text)

    assert sql.startswith("(r.status IS NOT NULL AND ")


@pytest.mark.parametrize("name", ["status", "uid", "reference", "parent"])
def test_no_index_leads_away_from_the_order_of_runs(name):
    column = column_of_run(parse_query(f"{name} is missing").where.field)

    assert sql_of(f"{name} is missing", in_order=True)[0] == f"(+{column} IS NULL)"
    assert sql_of(f"{name} is missing")[0] == f"({column} IS NULL)"
    assert sql_of("notes is missing", in_order=True)[0] == "(r.notes IS NULL)"


def test_sets_of_runs_keep_the_order_where_it_is_wanted():
    tags = {"from_sets": {Namespace.TAG}}

    assert sql_of("tags.a = b", in_order=True, **tags)[0].startswith("(+r.id IN (SELECT v.run_id")
    assert sql_of("tags.a = b", **tags)[0].startswith("(r.id IN (SELECT v.run_id")
    assert sql_of("tags.a = b", in_order=True)[0].startswith("(EXISTS (SELECT 1 FROM tags v")
    assert sql_of("experiment = a", in_order=True)[0].startswith("(+r.experiment_id IN (")
    assert sql_of("experiment = a")[0].startswith("(r.experiment_id IN (")


def test_the_index_of_parameters_is_used_for_all_runs_and_not_for_one():
    assert "params v WHERE +v.key IN (" in sql_of("params.lr = 1")[0]
    assert "v.indexed" not in sql_of("params.lr = 1")[0]
    of_all = sql_of("params.lr = 1", from_sets=EVERY_NAMESPACE)[0]
    assert "params v WHERE v.key IN (" in of_all
    assert "v.indexed = 1" in of_all


def test_whatever_a_user_writes_is_a_parameter():
    text = "; DROP TABLE runs --"
    sql, parameters = sql_of(
        f"params.`{text}` = '{text}' or tags.`{text}` is missing or metrics.`{text}` > 1"
        f" or artifacts['{text}'].size = 1 or facts.`{text}` = '{text}' or notes = '{text}'"
        f" or experiment = '{text}' or packages.`{text}` = 1 or params['{text}'].a = 1"
    )

    assert "DROP" not in sql
    assert sum("DROP" in str(one) for one in parameters) >= 10
    assert sql.count("?") == len(parameters)


def test_a_quote_does_not_end_the_name_of_a_fact(kept):
    """It would end the name within the path that the engine gets."""
    for name in ('a"b', '"', "a.b", "a[0]", "$"):
        query = f"facts.`{name}` = 1"
        assert list(kept.find(query)) == []
        (path,) = [one for one in sql_of(query)[1] if str(one).startswith("$.")]
        assert path == '$.values."' + name.replace('"', "") + '"'


def test_values_that_refuse_a_comparison_are_found_as_well(kept):
    """An order by a field asks for those that a comparison does not accept."""
    condition = Condition(lambda _: ["h2"])
    for text, found in (
        ("tags.phase = pilot", []),
        ("tags.phase = other", [2]),
        ("git.branch = other", [2]),
        ("git.branch = main", []),
        ("packages.torch = 2", [3]),
        ("metrics.loss = 3", [2]),
    ):
        condition = Condition(lambda _: ["h2"], from_sets=EVERY_NAMESPACE)
        node = parse_query(text).where
        with kept.backend.database.driver.read() as connection:
            sql = condition.runs_with(node, is_refused=True)
            rows = connection.execute(sql, condition.parameters).fetchall()
        assert (text, [row[0] for row in rows]) == (text, found)


def test_what_runs_printed_is_one_condition_among_others(kept):
    def found(text):
        return sorted(run.reference.rpartition("_")[0] for run in kept.find(text))

    assert found("output contains 'nothing' or status = error") == ["other_1"]
    assert found("not output contains 'nothing' and notes contains 'first'") == ["fit_1"]
    assert found("output contains 'nothing' and status = error") == []


@pytest.mark.parametrize("text", ["params.lr is missing", "metrics.loss is missing"])
def test_names_that_outlive_their_runs_are_no_runs_without_a_value(store, text):
    """Otherwise, all values are read as soon as a run was removed for ever."""
    for _ in range(3):
        with store.start("fit", params={"lr": 0.1}, capture=False) as run:
            run.log(loss=1.0)
    store.delete(run.uid)
    store.backend.trash.purge(store.backend.trash.expired(2**62), 2**62)
    assert list(store.find(text)) == []  # with SQLite, a search files new parameters

    with store.backend.database.driver.read() as connection:
        few = Candidates(connection, PackageLists(connection)).of(parse_query(text).where)

    assert few == NONE
    with store.start("fit", capture=False):
        pass
    assert [one.run_number for one in store.find(text)] == [4]
