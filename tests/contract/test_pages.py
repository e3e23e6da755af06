"""Pages go on where they ended, whatever happens to the runs in between."""

import shutil
import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import StoreWarning, UsageError

ORDERS = ["tags.rank", "tags.rank desc", "notes", "notes desc, tags.rank", "metrics.none, notes"]


def numbered(store, count):
    for number in range(count):
        run = store.start("e", notes=f"note {number % 4}\n" + "é" * number * 50, capture=False)
        run.tags["rank"] = number % 5
        run.finish()


def disturb(store, run, how):
    """Change a run that was shown, in one of some ways."""
    if how == "behind":
        store.tag(run.reference, {"rank": 10**6 + run.run_number})
    elif how == "in front":
        store.tag(run.reference, {"rank": -run.run_number})
    elif how == "without":
        store.tag(run.reference, {"rank": None})
    elif how == "notes":
        store.edit(run.reference, notes=f"zzz {run.run_number}")
    elif how == "trash":
        store.delete(run)
    elif how == "removed":
        store.delete(run)
        store.collect_garbage(older_than=timedelta(0))


@pytest.fixture(scope="module")
def twelve(tmp_path_factory):
    """The folder of a store that is copied, never changed."""
    folder = tmp_path_factory.mktemp("twelve")
    with Store.open(folder) as store:
        numbered(store, 12)
    return folder


@settings(max_examples=12, deadline=None)
@given(
    order=st.sampled_from(ORDERS),
    limit=st.integers(1, 4),
    how=st.lists(
        st.sampled_from(["behind", "in front", "without", "notes", "trash", "removed", ""]),
        min_size=12,
        max_size=12,
    ),
)
def test_no_run_is_skipped_whatever_happens_to_those_that_were_shown(
    twelve, tmp_path_factory, order, limit, how
):
    place = tmp_path_factory.mktemp("pages") / "store"
    with Store.open(shutil.copytree(twelve, place)) as store:
        seen, after = set(), None
        for _ in range(60):
            page = store.find(f"order by {order}", limit=limit, after=after)
            new = [run for run in page if run.run_number not in seen]
            seen.update(run.run_number for run in page)
            for run in new:
                disturb(store, run, how[run.run_number - 1])
            after = page.next
            if after is None:
                break

        assert seen == set(range(1, 13))


def test_a_cursor_is_refused_in_another_order(tmp_path):
    with Store.open(tmp_path) as store:
        numbered(store, 5)
        cursors = {
            "": store.find("", limit=2).next,
            "order by tags.rank": store.find("order by tags.rank", limit=2).next,
            "order by tags.rank desc": store.find("order by tags.rank desc", limit=2).next,
            "order by notes": store.find("order by notes", limit=2).next,
        }

        for order in cursors:
            for other, cursor in cursors.items():
                if order == other:
                    assert len(store.find(order, limit=2, after=cursor)) == 2
                else:
                    with pytest.raises(UsageError, match="another order"):
                        store.find(order, limit=2, after=cursor)
        with pytest.raises(UsageError, match="another order"):
            store.list(after=cursors["order by notes"])
        with pytest.raises(UsageError, match="another order"):
            store.list("e", after=store.list(limit=2).next)
        assert len(store.list(after=cursors[""])) == 3


@pytest.mark.parametrize(
    "after", ["", "x", "start.", "start.eJw", "1700-3", "start.eJyLjgUAARUAuQ"]
)
def test_what_is_no_cursor_is_refused(tmp_path, after):
    with Store.open(tmp_path) as store:
        numbered(store, 2)
        for ask in (store.list, store.find):
            with pytest.raises(UsageError):
                ask(after=after)


def test_names_that_no_run_has_are_hinted_at(tmp_path):
    with Store.open(tmp_path) as store:
        run = store.start("e", params={"lr": 1, "model": {"layers": [1]}}, capture=False)
        run.log(loss=1)
        run.tags["phase"] = "x"
        run.finish()

        hints = {
            text: store.find(text).hints
            for text in (
                "metrics.los < 5 or params.lr = 1",
                "params.model.layer[0] = 1",
                "order by tags.phas",
                "packages.numpi = 1",
                "params.lr = 1 and metrics.loss.max > 0 and tags.phase = x",
                "params.gone is missing",
            )
        }

    told = list(hints.values())
    assert told[0] == ("No run has the metric 'los'. Did you mean 'loss'?",)
    assert told[1] == (
        "No run has the parameter 'model.layer[0]'. Did you mean 'model.layers[0]'?",
    )
    assert told[2] == ("No run has the tag 'phas'. Did you mean 'phase'?",)
    assert told[3][0].startswith("No run has the package 'numpi'.")
    assert told[4:] == [(), ()]


@pytest.mark.parametrize("key", ["model", "model.layers"])
def test_a_parameter_with_parts_is_not_called_unknown(tmp_path, key):
    with Store.open(tmp_path) as store:
        params = {"model": {"layers": [1, 2]}, "modell": 1}
        store.start("e", params=params, capture=False).finish()

        for condition in ("= 1", "contains 1", "< 3"):
            (hint,) = store.find(f"params.{key} {condition}").hints

            assert "No run has" not in hint
            assert hint.endswith("Available: model.layers[0], model.layers[1].")


def test_notebooks_show_the_hints_of_an_empty_page(tmp_path):
    with Store.open(tmp_path) as store:
        store.start("e", params={"lr": 1}, capture=False).finish()

        page = store.find("params.lrr = 1")

    assert "Did you mean &#x27;lr&#x27;?" in page._repr_html_()
    assert "(empty)" in page._repr_html_()


def test_filters_and_tables_know_what_live_runs_logged(tmp_path):
    with Store.open(tmp_path) as writer, Store.open(tmp_path) as store:
        run = writer.start("e", params=[{"name": "a", "x": 1}], capture=False)
        run.log(loss=1.0)
        run.of_set("a").log(acc=0.5)

        assert len(store.find("metrics.loss = 1 and metrics[a].acc = 0.5")) == 1
        run.log(loss=2.0)
        assert store.list().table().columns["metrics.loss"].values == [2.0]
        run.log(loss=3.0)
        assert store.group("experiment", metrics=["loss"])[0].metrics["loss"].max == 3.0
        assert [one.run_number for one in store.find("order by metrics.loss")] == [1]
        run.finish()

        assert store.get("e#1").metric("loss").values.tolist() == [1.0, 2.0, 3.0]


def test_a_filter_does_not_wait_for_a_writer(tmp_path):
    with Store.open(tmp_path) as writer, Store.open(tmp_path) as store:
        run = writer.start("e", capture=False)
        run.log(loss=1.0)
        with writer.backend.database.driver.write():
            begin = time.monotonic()
            with pytest.warns(StoreWarning, match="newest points of 1 run are left out"):
                found = store.find("metrics.loss = 1")
            waited = time.monotonic() - begin
        run.finish()

    assert len(found) == 0
    assert waited < 60


def test_arguments_that_look_right_work(tmp_path):
    with Store.open(tmp_path) as store:
        numbered(store, 3)
        run = store.get("e#2")

        assert store.get(run).uid == run.uid
        assert store.edit(run, notes="new").notes == "new"
        assert store.tag(run, {"a": 1})[0].tags["a"] == "1"
        assert store.tag([run, "e#1"], {"b": 2})[0].uid == run.uid
        assert len(store.list(limit=None)) == len(store.find(None, limit=None)) == 3
        assert store.list(limit=None).next is None
        store.delete(run)
        assert len(store.collect_garbage(older_than=0).runs) == 1


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda store: store.get(7), "got 7"),
        (lambda store: store.get(None), "got None"),
        (lambda store: store.find(7), "Expected a filter"),
        (lambda store: store.collect_garbage(older_than=30), "got 30"),
        (lambda store: store.collect_garbage(older_than=timedelta(-1)), "timedelta of zero"),
        (lambda store: store.collect_garbage(older_than=None), "got None"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_by_name(tmp_path, call, said):
    with Store.open(tmp_path) as store:
        numbered(store, 1)

        with pytest.raises(UsageError, match=said):
            call(store)

        assert len(store.list()) == 1


# Without a limit


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A store of more runs than are read at first: 120 of one experiment, and 3 of another."""
    with Store.open(tmp_path_factory.mktemp("many")) as store:
        for number in range(120):
            with store.start("many", params={"n": number % 7}, capture=False) as run:
                run.log(loss=120 - number)
                if number == 2:
                    run.log(late=1)
        for _ in range(3):
            store.start("few", capture=False).finish()
        yield store


ASKS = {
    "list": (lambda store, **more: store.list(**more), 123),
    "list of one": (lambda store, **more: store.list("many", **more), 120),
    "find": (lambda store, **more: store.find("experiment = many", **more), 120),
    "sorted": (lambda store, **more: store.find("order by params.n, run_number", **more), 123),
    "filter": (lambda store, **more: store.find("metrics.loss > 20", **more), 100),
    "texts": (lambda store, **more: store.find("output is missing", **more), 123),
}


def numbers(runs):
    return [(run.experiment_name, run.run_number) for run in runs]


@pytest.mark.parametrize("ask", ASKS)
def test_without_a_limit_all_runs_are_there_in_order(many, ask):
    find, count = ASKS[ask]
    paged, after = [], None
    while True:
        page = find(many, limit=30, after=after)
        paged += page
        after = page.next
        if after is None:
            break

    whole = find(many)

    assert numbers(whole) == numbers(paged)
    assert len(set(numbers(whole))) == len(whole) == count
    assert whole.next is None
    assert numbers(find(many, limit=5_000)) == numbers(paged)


@pytest.mark.parametrize("ask", ASKS)
def test_tables_leave_no_run_out(many, ask):
    find, count = ASKS[ask]
    page = find(many)

    for frame in (page.to_pandas(), page.to_polars(), page.to_arrow()):
        assert frame.shape[0] == count
    assert len(page.table(sets=True)) == count


def test_columns_that_only_late_rows_have_are_filled_up(many):
    frame = many.list("many").to_pandas()

    assert frame["metrics.late"].dropna().index.tolist() == [117]
    assert frame["params.n"].tolist() == [number % 7 for number in reversed(range(120))]


def test_runs_beyond_the_first_are_read_when_they_are_needed(many, monkeypatch):
    page = many.list("many")
    read = []
    newest = many.backend.database.newest_runs

    def noted(name, *, limit, before):
        read.append(limit)
        return newest(name, limit=limit, before=before)

    monkeypatch.setattr(many.backend.database, "newest_runs", noted)

    assert page
    assert page[0].run_number == 120
    assert numbers(page[:3]) == [("many", 120), ("many", 119), ("many", 118)]
    assert "more" in repr(page)
    assert "More runs follow" in page._repr_html_()
    assert read == []
    assert page[-1].run_number == 1
    assert page[60].run_number == 60
    assert len(page) == len(list(page)) == 120
    assert len(read) == 1


def test_iterating_keeps_no_runs(many):
    page = many.list()

    first, second = list(iter(page)), list(iter(page))

    assert first[0] is second[0]
    assert first[-1] is not second[-1]
    assert first[-1] == second[-1]


def test_a_page_of_all_runs_is_a_value(many):
    import pickle

    page = many.list("many")

    copied = pickle.loads(pickle.dumps(page))  # noqa: S301 - our own bytes

    assert copied.items == page.items
    assert page == many.list("many")
    assert page != many.list("many", limit=50)
    assert hash(page) == hash(many.list("many"))
    assert numbers(page[100:]) == numbers(page)[100:]
    assert numbers(page[::-1]) == numbers(page)[::-1]


def test_runs_that_start_or_are_deleted_meanwhile_do_not_disturb(tmp_path):
    with Store.open(tmp_path / "whole") as store:
        numbered(store, 60)
    for where in (None, "status = complete", "order by run_number desc"):
        with Store.open(shutil.copytree(tmp_path / "whole", tmp_path / str(where))) as store:
            page = store.list() if where is None else store.find(where)
            store.start("e", capture=False).finish()
            store.delete("e#5")

            found = [run.run_number for run in page]

        assert found == [n for n in range(60, 0, -1) if n != 5]
