"""Pages go on where they ended, whatever happens to the runs in between."""

import time
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runstore import Store
from runstore.errors import UsageError

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
    tmp_path_factory, order, limit, how
):
    with Store.open(tmp_path_factory.mktemp("pages")) as store:
        numbered(store, 12)
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
            assert hint.endswith("There is: model.layers[0], model.layers[1].")


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
