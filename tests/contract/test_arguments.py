"""Arguments of public methods: what looks right works, anything else is refused by name."""

import inspect
import logging
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from runstore import ArtifactManager, ManagerStore, recorded, start_run
from runstore.errors import (
    InvalidValueError,
    NotFoundError,
    RunNotFoundError,
    RunstoreError,
    UsageError,
)
from runstore.model.arguments import hinted
from runstore.model.params.build import parameter_set
from runstore.reading.metrics.summaries import refresh
from runstore.store import Store


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    with Store.open(tmp_path_factory.mktemp("store")) as store:
        for rate in (0.1, 0.2):
            with store.start("e", params={"lr": rate}, capture=False) as run:
                run.log(loss=rate)
                run.save("plots/a.txt", b"one\n")
        yield store


@pytest.fixture
def live(store):
    with store.start("live", capture=False) as run:
        yield run


NAIVE = datetime(2026, 1, 1)  # noqa: DTZ001 - without a zone, as it is passed
RUN_READERS = {
    "get": lambda store, run: store.get(run).uid,
    "edit": lambda store, run: store.edit(run, notes="new").uid,
    "tag": lambda store, run: store.tag(run, {"a": 1})[0].uid,
    "move": lambda store, run: store.move(run, "e")[0].uid,
    "delete": lambda store, run: store.delete(run, dry=True).runs[0].uid,
    "undo": lambda store, run: store.undo(run, dry=True)[0].uid,
    "name_of": lambda store, run: store.name_of(store.get(run)) and store.get(run).uid,
    "points": lambda store, run: len(store.points(run)) and store.get(run).uid,
    "compare": lambda store, run: store.compare(run, "e#1").runs[0].uid,
    "compare a list": lambda store, run: store.compare([run, "e#1"]).runs[0].uid,
    "explain": lambda store, run: store.explain(run, "e#1").runs[0].uid,
    "similar": lambda store, run: store.similar(run) and store.get(run).uid,
    "last_values": lambda store, run: next(iter(store.last_values(run))),
    "artifacts_of": lambda store, run: store.artifacts_of(run)["plots/a.txt"].run_uid,
    "metrics_of": lambda store, run: len(store.metrics_of(run)) and store.get(run).uid,
    "children": lambda store, run: store.children(run) == () and store.get(run).uid,
    "documents": lambda store, run: store.documents(run) == () and store.get(run).uid,
}


@pytest.mark.parametrize("method", RUN_READERS)
def test_a_run_is_passed_as_it_is_or_by_any_of_its_names(store, method):
    call = RUN_READERS[method]
    with store.start("e", params={"lr": 0.3}, capture=False) as active:
        active.log(loss=0.3)
        active.save("plots/a.txt", b"two\n")
        active.tags["phase"] = "pilot"
    if method == "last_values":
        refresh(store.backend.metrics, store.backend.spool)

    for run in (active, active.record, active.uid, active.reference, np.str_(active.uid)):
        assert call(store, run) == active.uid


@pytest.mark.parametrize("several", [list, tuple, set, iter, lambda runs: (one for one in runs)])
def test_several_runs_are_any_iterable(store, several):
    runs = [store.get("e#1"), store.get("e#2").reference]

    assert len(store.tag(several(runs), {"b": 2})) == 2
    assert len(store.delete(several(runs), dry=True).runs) == 2
    assert len(store.compare(several(runs)).runs) == 2


def test_a_page_of_runs_is_several_runs(store):
    page = store.find("params.lr < 0.25", limit=2)

    assert store.compare(page).runs == page.items
    assert [run.uid for run in store.tag(page, {"c": 3})] == [run.uid for run in page]


def test_a_deleted_run_is_restored_by_the_run_itself(store):
    with store.start("gone", capture=False) as active:
        pass
    store.delete(active)

    assert store.restore(active)[0].uid == active.uid
    store.delete(active.record)
    assert store.undo(active, dry=True)[0].uid == active.uid


def test_numbers_of_numpy_are_numbers(store, live):
    one = np.int64(1)

    assert len(store.list(limit=one)) == len(store.find(limit=one)) == 1
    assert len(store.grep("nothing", lines=one, context=one, limit=one)) == 0
    live.tags["epoch"] = np.int64(3)
    live.tags["lr"] = np.float64(0.5)
    live.tags["best"] = np.bool_(True)
    assert dict(live.record.tags) == {"epoch": "3", "lr": "0.5", "best": "true"}
    store.finish(store.start("np", capture=False), "error", exit_code=np.int32(7))
    assert store.get("np#1").exit_code == 7


def test_an_artifact_is_named_by_itself_or_a_path(store, tmp_path):
    run, other = store.get("e#1"), store.get("e#2")
    kept = run.artifacts["plots/a.txt"]

    assert run.read_bytes(kept) == run.read_bytes(Path("plots/a.txt")) == b"one\n"
    assert len(run.download(kept, tmp_path)) == len(run.download(Path("plots"), tmp_path)) == 1
    with pytest.raises(UsageError, match="not belong to e_2_"):
        other.read_bytes(kept)


def test_a_level_of_logging_has_a_name(live):
    live.attach_logging("runstore.tried", level="warning")
    logging.getLogger("runstore.tried").info("left out")
    logging.getLogger("runstore.tried").warning("kept")
    live.finish()

    assert [line.text for line in live.record.output] == ["WARNING runstore.tried: kept"]


NO_NAME = "Expected a run or its name"
REFUSED = {
    "get a number": (lambda store: store.get(7), NO_NAME),
    "get a long text": (lambda store: store.get("word 7 " * 4_000_000), "the limit is 10,000"),
    "delete a long text": (lambda store: store.delete("e#" * 5_001), "has 10,002 characters"),
    "get a path": (lambda store: store.get(Path("e")), NO_NAME),
    "edit a list": (lambda store: store.edit(["e#1"], notes="x"), NO_NAME),
    "delete nothing": (lambda store: store.delete(None), NO_NAME),
    "delete a number": (lambda store: store.delete(7), NO_NAME),
    "delete bytes": (lambda store: store.delete(b"e#1"), NO_NAME),
    "delete numbers": (lambda store: store.delete([1, 2]), NO_NAME),
    "restore nothing": (lambda store: store.restore(None), NO_NAME),
    "tag nothing": (lambda store: store.tag(None, {"a": 1}), NO_NAME),
    "undo a number": (lambda store: store.undo(7), NO_NAME),
    "points of nothing": (lambda store: store.points(None), NO_NAME),
    "compare nothing": (lambda store: store.compare("e#1", None), NO_NAME),
    "explain nothing": (lambda store: store.explain("e#1", None), NO_NAME),
    "similar to nothing": (lambda store: store.similar(None), NO_NAME),
    "artifacts of nothing": (lambda store: store.artifacts_of(None), NO_NAME),
    "parent": (lambda store: store.start("p", parent=7, capture=False), NO_NAME),
    "no parent": (lambda store: store.start("p", parent=[], capture=False), NO_NAME),
    "cli": (lambda store: store.start("p", cli=["a"], capture=False), "cli"),
    "argv": (lambda store: store.start("p", argv=7), "argv"),
    "previous_runs": (lambda store: store.previous_runs("e", argv=7), "argv"),
    "tag by a text": (lambda store: store.tag("e#1", "best"), "changes"),
    "author": (lambda store: store.edit("e#1", notes="x", author=7), "author"),
    "long author": (lambda store: store.edit("e#1", notes="x", author="é" * 501), "1,002 bytes"),
    "author of undo": (lambda store: store.undo(author=7), "author"),
    "exit code": (lambda store: store.finish("e#1", "error", exit_code="1"), "exit_code"),
    "list a run": (lambda store: store.list(store.get("e#1")), "experiment_name"),
    "list of text": (lambda store: store.list(limit="all"), "limit"),
    "list of none": (lambda store: store.list(limit=0), "limit"),
    "list of true": (lambda store: store.list(limit=True), "limit"),
    "list of a part": (lambda store: store.list(limit=1.0), "limit"),
    "list after a page": (lambda store: store.list(after=store.list()), "page.next"),
    "find a path": (lambda store: store.find(Path("e")), "Expected a filter"),
    "find experiment": (lambda store: store.find(experiment=["e"]), "experiment"),
    "find of all": (lambda store: store.find(limit="all"), "limit"),
    "trash": (lambda store: store.trash(limit=0), "limit"),
    "group metrics": (lambda store: store.group("status", metrics=None), "metrics"),
    "grep": (lambda store: store.grep(None), "text"),
    "grep fields": (lambda store: store.grep("a", fields=None), "fields"),
    "grep lines": (lambda store: store.grep("a", lines="all"), "lines"),
    "grep context": (lambda store: store.grep("a", context=None), "context"),
    "sections": (lambda store: store.compare("e#1", "e#2", sections=7), "sections"),
    "metrics": (lambda store: store.compare("e#1", "e#2", metrics=7), "metrics"),
    "metric": (lambda store: store.explain("e#1", "e#2", ["loss"]), "metric"),
    "similar": (lambda store: store.similar("e#1", limit=0), "limit"),
    "keys": (lambda store: store.points("e#1", 7), "keys"),
    "sample": (lambda store: store.points("e#1", limit="all"), "limit"),
    "query": (lambda store: store.queries.__setitem__(None, "status = 'error'"), "name"),
    "query text": (lambda store: store.queries.__setitem__("n", None), "text"),
    "no query": (lambda store: store.queries[["n"]], "name"),
    "direction": (lambda store: store.directions.__setitem__(["loss"], "min"), "metric"),
    "long direction": (
        lambda store: store.directions.__setitem__("a" * 1_001, "min"),
        "the limit is 1,000",
    ),
    "sampled": (lambda store: store.get("e#1").metric("loss").sampled("x"), "limit as an int"),
    "sampled few": (lambda store: store.get("e#1").metric("loss").sampled(3), "4 or more, got 3"),
    "file": (lambda store: store.get("e#1").parameter_sets[0].with_file(b"x"), "file as text"),
    "width": (lambda store: store.get("e#1").parameter_sets[0].preview(".."), "width as an int"),
    "has": (lambda store: store.has_experiment(None), "name"),
    "document": (lambda store: store.document("e#1", None), "document"),
    "complete": (lambda store: store.complete(None), "prefix"),
    "best": (lambda store: store.list().best(None), "metric"),
    "best over": (lambda store: store.list().best("loss", over=7), "over"),
    "best direction": (lambda store: store.list().best("loss", direction="up"), "direction"),
    "best level": (lambda store: store.list().best("loss", level="95"), "level"),
    "open": (lambda store: store.get("e#1").open(None), "path"),
    "mode": (lambda store: store.get("e#1").open("plots/a.txt", None), "mode"),
    "download": (lambda store: store.get("e#1").download(to=None), "to"),
    "download to": (lambda store: store.get("e#1").download(to="\ud800"), "to"),
    "set of a metric": (lambda store: store.get("e#1").metric("loss", 7), "set_name"),
    "outline": (lambda store: store.get("e#1").outline("loss", 7), "set_name"),
    "copy": (lambda store: store.copy(10**5000), "target"),
    "progress": (lambda store: store.push("other", progress=7), "Expected progress as a function"),
    "progress of pull": (lambda store: store.pull("other", progress=7), "progress"),
    "silent for": (lambda store: store.get("e#1").silent_for(7), "Expected now as a datetime"),
    "silent without a zone": (lambda store: store.get("e#1").silent_for(NAIVE), "time zone"),
    "long tag": (lambda store: store.tag("e#1", {"a": 10**5000}), "4,300 digits"),
    "export": (lambda store: store.export_parquet(7), "folder"),
    "export to": (lambda store: store.export_parquet("\ud800"), "folder"),
    "pivot": (lambda store: store.pivot("loss", "status", direction=["min"]), "direction"),
    "pivot level": (lambda store: store.pivot("loss", "status", level=10**400), "level"),
    "store": (lambda _: Store.open(7), "store"),
    "start_run": (lambda _: start_run("e", store=["a"]), "store"),
    "ManagerStore": (lambda _: ManagerStore(None), "manager_cache_path"),
    "manager": (lambda _: ArtifactManager("e", manager_cache_path=7), "manager_cache_path"),
    "manager runs": (lambda _: ArtifactManager("e", runs_path=7), "runs_path"),
    "manager notes": (lambda _: ArtifactManager("e", notes=7), "notes"),
    "manager of": (lambda store: ArtifactManager.of_run(store.get("e#1")), "start_run"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_fit_is_refused_by_name(store, what):
    call, said = REFUSED[what]
    before = [(run.reference, run.notes, run.status) for run in store.list(limit=None)]

    with pytest.raises(UsageError, match=said):
        call(store)

    assert [(run.reference, run.notes, run.status) for run in store.list(limit=None)] == before


LIVE_REFUSED = {
    "media type": (lambda run: run.save("a", b"1", media_type=7), "media_type"),
    "long media type": (
        lambda run: run.save("a", b"1", media_type="a" * 1_001),
        "The media_type 'a.*'… has 1,001 bytes; the limit is 1,000",
    ),
    "source": (lambda run: run.use(None), "source"),
    "long name": (lambda run: run.use(__file__, "a" * 1_025), "the limit is 1,024"),
    "name": (lambda run: run.use(__file__, 7), "name"),
    "digest": (lambda run: run.use(__file__, digest=7), "digest"),
    "set": (lambda run: run.of_set(np.array(["a", "b"])), "Expected name as text"),
    "set to add to": (lambda run: run.add_params(lr=1, set_name=[]), "Expected set_name as text"),
    "tags": (lambda run: run.tags.update(None), "changes"),
    "logger": (lambda run: run.attach_logging(7), "logger"),
    "level": (lambda run: run.attach_logging(level="loud"), "level"),
}


@pytest.mark.parametrize("what", LIVE_REFUSED)
def test_what_does_not_fit_a_live_run_is_refused_by_name(live, what):
    call, said = LIVE_REFUSED[what]

    with pytest.raises(UsageError, match=said):
        call(live)

    assert live.record.artifacts == {}
    assert live.record.inputs == ()


def test_numbers_beyond_the_engine_are_as_good_as_the_largest(store):
    assert store.collect_garbage(older_than=timedelta.max, dry=True).runs == ()
    with pytest.raises(IndexError):
        store.output_of("e#1")[-(2**70)]
    assert store.start("truth", full_store=2, capture=False).finish() is None


def test_a_name_that_no_database_takes_is_a_name_that_no_run_has(store):
    for name in ("\udcff", "e\udcff_1", "a\0b"):
        with pytest.raises(RunNotFoundError):
            store.get(name)


def test_a_long_name_has_no_nearest_one(store):
    """The search for it would index the whole text."""
    with pytest.raises(NotFoundError) as raised:
        store.find(experiment="e" * 1_001)

    assert raised.value.hint.startswith("Available: ")


@pytest.mark.parametrize(
    "call",
    [
        lambda store, name: store.find(experiment=name),
        lambda store, name: store.get(name),
        lambda store, name: store.get(f"{name}#1"),
        lambda store, name: store.rename_experiment(name, "other"),
        lambda store, name: store.find(limit=None).best(name),
        lambda store, name: store.get("e#1").metric(name),
        lambda store, name: store.get("e#1").metrics[name],
        lambda store, name: store.get("e#1").read_bytes(name),
        lambda store, name: store.queries[name],
        lambda store, name: store.find(f"{name} = 1"),
        lambda store, name: store.find(f"set.{name} = 1"),
        lambda store, name: store.find(f"order by {name}"),
        lambda store, name: store.group(f"metrics.{name}"),
        lambda store, name: store.grep("e", fields=[name]),
        lambda store, name: store.compare(["e#1", "e#2"], sections=[name]),
        lambda store, name: store.compare(["e#1", "e#2"], metrics=[name]),
    ],
)
def test_of_a_name_longer_than_any_errors_quote_the_beginning(store, call):
    with pytest.raises((LookupError, UsageError)) as raised:
        call(store, "x" * 5_000)

    assert "xxxx…" in str(raised.value)
    assert len(str(raised.value)) < 800


def test_a_long_text_called_name_is_a_value_and_no_name(store):
    """The name of a parameter set is shown beside each of its values."""
    text = "x" * 3_000_000
    with pytest.raises(InvalidValueError, match="has 3,000,000 characters; the limit is 1,000"):
        parameter_set({"lr": 1}, name=text)

    for params in ({"name": text, "lr": 1}, Named(text)):
        (one,) = store.start("e", params=params, capture=False).parameter_sets
        assert (one.name, one.values["name"]) == ("default", text)
    assert parameter_set({"name": text}).hash != parameter_set({"name": text + "x"}).hash


class Named:
    def __init__(self, name):
        self.name = name


# Python refuses to write an integer of more than 4,300 digits.
ODD = [
    None,
    7,
    -1,
    1.5,
    True,
    2**70,
    10**5000,
    b"e",
    "",
    "\udcff",
    "a\0b",
    [],
    [7],
    {},
    object(),
    int,
]
ODD += [Path("e"), NAIVE, timedelta(1), np.float64(2), ValueError("x")]
METHODS = {
    "get": lambda store, odd: store.get(odd),
    "events": lambda store, odd: store.events(odd),
    "delete": lambda store, odd: store.delete(odd, dry=True),
    "restore": lambda store, odd: store.restore(odd),
    "undo": lambda store, odd: store.undo(odd, dry=True),
    "name_of": lambda store, odd: store.name_of(odd),
    "list": lambda store, odd: store.list(odd),
    "limit": lambda store, odd: store.list(limit=odd),
    "after": lambda store, odd: store.list(after=odd),
    "find": lambda store, odd: store.find(odd),
    "find after": lambda store, odd: store.find(after=odd),
    "trash": lambda store, odd: store.trash(limit=odd),
    "dry": lambda store, odd: repr(store.collect_garbage(dry=odd)),
    "garbage": lambda store, odd: store.collect_garbage(older_than=odd, dry=True),
    "if_done": lambda store, odd: store.start("odd", if_done=odd, capture=False).finish(),
    "set": lambda store, odd: store.start("odd", capture=False).of_set(odd),
    "status": lambda store, odd: store.finish(store.start("odd", capture=False), odd),
    "group": lambda store, odd: store.group("status", metrics=odd),
    "group by": lambda store, odd: store.group(odd),
    "grep": lambda store, odd: store.grep(odd),
    "lines": lambda store, odd: store.grep("a", lines=odd),
    "compare": lambda store, odd: store.compare(odd),
    "sections": lambda store, odd: store.compare("e#1", "e#2", sections=odd),
    "points": lambda store, odd: store.points(odd),
    "keys": lambda store, odd: store.points("e#1", odd),
    "sample": lambda store, odd: store.points("e#1", limit=odd),
    "folder_of": lambda store, odd: store.folder_of(odd),
    "complete": lambda store, odd: store.complete("e", limit=odd),
    "document": lambda store, odd: store.document("e#1", odd),
    "query": lambda store, odd: store.queries[odd],
    "open": lambda store, odd: store.get("e#1").read_bytes(odd),
    "metric": lambda store, odd: store.get("e#1").metric(odd),
}


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_answered_by_an_error_of_python(store, method):
    for odd in ODD:
        try:
            METHODS[method](store, odd)
        except RunstoreError as error:
            assert str(error)  # noqa: PT017 - not every one of them is refused


def test_the_words_of_a_command_are_read_once(store):
    """A generator has them only once, and a start needs them several times."""
    words = ["python", "train.py", "--fast"]

    with store.start("words", argv=iter(words)) as run:
        pass

    assert run.record.cli == "python train.py --fast"
    assert list(run.record.facts.values["command.argv"]) == words
    store.start("words", argv=iter(())).finish()
    assert store.previous_runs("words", argv=iter(())).running is None


MISPLACED = {
    "start_run": (lambda _, params: start_run("e", params), 'start_run("mnist", params='),
    "recorded": (lambda _, params: recorded("e", params), '@recorded("mnist", params='),
    "other name": (lambda _, params: start_run("e", config=params), "params="),
    "start": (lambda store, params: store.start("e", params), 'store.start("mnist", params='),
    "find": (lambda store, params: store.find(**params), 'store.find("params.lr = 0.1'),
    "edit": (lambda store, params: store.edit("e#1", params), 'store.edit("mnist#1", notes='),
    "misspelt": (lambda _, params: start_run("e", parms=params), "Did you mean 'params'?"),
    "of W&B": (lambda _, params: start_run("e", config=params), "Did you mean 'params'?"),
    "a project": (lambda _, __: start_run(project="e"), "Did you mean 'experiment_name'?"),
    "misspelt in find": (lambda store, _: store.find(expriment="e"), "Did you mean 'experiment'?"),
}


@pytest.mark.parametrize("name", MISPLACED)
def test_misplaced_arguments_get_a_hint(store, name):
    call, hint = MISPLACED[name]

    with pytest.raises(TypeError, match="argument") as raised:
        call(store, {"lr": 0.1})

    assert hint in str(raised.value)
    assert "?." not in str(raised.value)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("best", 'Use store.find(experiment="mnist").best("loss").'),
        ("experiment", "Did you mean 'experiments'?"),
        ("rename", 'Use store.rename_experiment("mnist", "digits").'),
        ("_private", "no attribute '_private'."),
    ],
)
def test_names_that_a_store_does_not_have_get_a_hint(store, name, hint):
    assert not hasattr(store, name)

    with pytest.raises(AttributeError) as raised:
        getattr(store, name)

    assert str(raised.value).endswith(hint)


def test_a_type_error_inside_of_a_call_gets_no_hint():
    @hinted("Write: f(1).")
    def f(value):
        return g(value)

    def g():
        """Accepts nothing."""

    with pytest.raises(TypeError, match="positional") as raised:
        f(1)

    assert "Write" not in str(raised.value)


def test_signatures_of_calls_with_hints_are_their_own():
    of_start = inspect.signature(start_run).parameters

    assert next(iter(of_start)) == "experiment_name"
    assert {one.kind for one in list(of_start.values())[1:]} == {inspect.Parameter.KEYWORD_ONLY}
