"""Setting attributes of a run writes them, or names the right call; nothing is lost silently."""

import copy
import json
import pickle
import subprocess
import sys
import warnings

import pytest

import runstore
from places import store_at
from runstore import Store, StoreWarning
from runstore.errors import ConflictError, InvalidValueError, UsageError


@pytest.fixture
def store(tmp_path):
    with store_at(tmp_path / "store") as store:
        yield store


@pytest.fixture
def run(store):
    run = store.start("fit", params={"lr": 0.1, "optimizer": {"name": "adam"}}, capture=False)
    yield run
    if not run.status.is_final:
        run.finish()


def test_notes_and_tags_can_be_assigned(run, store):
    run.notes = "first try"
    run.tags = {"phase": "pilot", "fold": 3}
    run.tags = ["keep"]

    record = store.get("fit#1")
    assert (record.notes, record.tags) == ("first try", {"keep": ""})
    assert (run.notes, dict(run.tags)) == ("first try", {"keep": ""})


def test_assigned_tags_are_one_edit(run, store):
    run.tags = {"phase": "pilot", "fold": 3}
    run.tags = {"phase": "final"}

    store.undo(run)

    assert store.get("fit#1").tags == {"phase": "pilot", "fold": "3"}


def test_tags_can_be_added_by_operators(run, store):
    run.tags += ("keep",)
    run.tags |= {"phase": "pilot"}

    assert store.get("fit#1").tags == {"keep": "", "phase": "pilot"}


def test_notes_that_are_no_text_are_refused(run):
    with pytest.raises(InvalidValueError):
        run.notes = 7

    assert run.notes is None
    assert run.record.notes is None


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("name", 'run.tags["name"]'),
        ("config", "run.params.update"),
        ("params", "run.params.update"),
        ("status", "run.finish"),
        ("summary", "run.log"),
        ("nots", "'notes'"),
        ("my_own_value", 'run.tags["key"]'),
    ],
)
def test_what_cannot_be_assigned_names_the_right_call(run, name, word):
    with pytest.raises(AttributeError) as caught:
        setattr(run, name, {"a": 1})

    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("id", "run.uid"),
        ("name", "run.reference"),
        ("config", "run.params"),
        ("summary", "run.record.metrics"),
        ("log_metric", "run.log(loss=0.3)"),
        ("end", "run.finish()"),
        ("finsh", "'finish'"),
    ],
)
def test_what_other_tools_have_is_named_as_it_is_here(run, name, word):
    with pytest.raises(AttributeError) as caught:
        getattr(run, name)

    assert word in str(caught.value)
    assert not hasattr(run, name)


def test_methods_can_be_replaced_by_tests(run, monkeypatch):
    monkeypatch.setattr(run, "finish", lambda: "replaced")

    assert run.finish() == "replaced"


def test_a_subclass_keeps_what_it_likes(store):
    class Mine(runstore.ActiveRun):
        pass

    began = store.start("fit", capture=False)
    mine = Mine(store.backend, began.record, store=store, is_owner=False)
    mine.color = "red"

    assert mine.color == "red"
    began.finish()


def test_parameters_are_added_while_it_runs(run, store):
    run.params["seed"] = 7
    run.params.update({"epochs": 3}, batch=32)
    run.params |= {"device": "cpu"}
    run.params["optimizer"]["momentum"] = 0.9
    assert run.params.setdefault("seed", 8) == 7
    assert run.params.setdefault("folds", 5) == 5

    expected = {
        "lr": 0.1,
        "optimizer": {"name": "adam", "momentum": 0.9},
        "seed": 7,
        "epochs": 3,
        "batch": 32,
        "device": "cpu",
        "folds": 5,
    }
    assert run.params == expected
    assert store.get("fit#1").params == expected
    assert [one.run_number for one in store.find("params.optimizer.momentum > 0.5")] == [1]


def test_parameters_that_are_held_show_what_they_write(run):
    params = run.params
    params["seed"] = 7

    assert params["seed"] == 7
    assert "seed" in params.copy()


def test_another_value_is_refused_and_replace_changes_it(run, store):
    with pytest.raises(ConflictError, match="replace"):
        run.params["lr"] = 0.2
    assert run.params["lr"] == 0.1

    run.params["lr"] = 0.1
    run.params.replace({"lr": 0.2, "optimizer": {"name": "sgd"}, "seed": 7})

    assert store.get("fit#1").params == {"lr": 0.2, "optimizer": {"name": "sgd"}, "seed": 7}
    (event,) = store.events(run)
    assert (event.field, "lr=0.1" in event.old, "lr=0.2" in event.new) == ("params", True, True)
    fresh = store.start(
        "fit", params={"lr": 0.2, "optimizer": {"name": "sgd"}, "seed": 7}, capture=False
    )
    assert fresh.parameter_sets[0].hash == run.parameter_sets[0].hash
    fresh.finish()


def test_parameters_cannot_be_removed(run):
    for remove in ("pop", "__delitem__"):
        with pytest.raises(ConflictError, match="cannot be removed"):
            getattr(run.params, remove)("lr")
    with pytest.raises(ConflictError):
        run.params.clear()

    assert run.params["lr"] == 0.1


def test_a_run_without_parameters_gets_a_first_set(store):
    with store.start("bare", capture=False) as run:
        run.params["lr"] = 0.1

    assert store.get("bare#1").params == {"lr": 0.1}


def test_one_of_several_sets_gets_a_parameter(store):
    sets = [runstore.parameter_set({"lr": lr}, name=name) for name, lr in (("a", 1), ("b", 2))]
    with store.start("several", params=sets, capture=False) as run:
        run.params["b"]["seed"] = 7
        with pytest.raises(UsageError, match="a, b"):
            run.params["seed"] = 7

    assert store.get("several#1").params == {"a": {"lr": 1}, "b": {"lr": 2, "seed": 7}}


def test_copies_of_parameters_write_nothing(run):
    for copied in (copy.deepcopy(run.params), copy.copy(run.params), run.params.copy()):
        copied["optimizer"]["name"] = "sgd"
        assert type(copied) is dict
    assert pickle.loads(pickle.dumps(run.params)) == run.params  # noqa: S301 - of our own
    assert json.loads(json.dumps(run.params)) == {"lr": 0.1, "optimizer": {"name": "adam"}}

    assert run.record.params["optimizer"]["name"] == "adam"


def test_parameters_wait_while_the_store_is_locked(run, store):
    """What the database does not take is kept in the spool, replaced values as well."""
    store.backend.database.driver.refuse_writes(runstore.errors.StoreLockedError("locked"))
    with pytest.warns(StoreWarning):
        run.params.replace({"lr": 0.3})
    assert run.params["lr"] == 0.3

    with Store.open(store.backend.url) as again:
        assert again.get("fit#1").params["lr"] == 0.3


def test_parameters_added_after_the_end_are_kept(run, store):
    run.finish()
    run.params["seed"] = 7

    assert store.get("fit#1").params["seed"] == 7


def logged(run, call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        call(run)
    run.finish()
    told = " ".join(str(one.message) for one in caught)
    return {key: one.last for key, one in run.record.metrics.items()}, told


def test_a_name_and_a_value_are_kept_and_explained(run):
    values, told = logged(run, lambda run: run.log("loss", 0.3))

    assert values == {"loss": 0.3}
    assert "Write: run.log({'loss': 0.3})" in told


def test_a_step_after_the_values_is_used_and_explained(run):
    values, told = logged(run, lambda run: run.log({"loss": 0.3}, 7))

    assert values == {"loss": 0.3}
    assert list(run.record.metric("loss").steps) == [7]
    assert "Write: run.log(…, step=7)" in told


def test_a_bare_number_is_explained(run):
    values, told = logged(run, lambda run: run.log(0.3))

    assert values == {}
    assert "Nothing was logged. Write: run.log(" in told


def test_a_nested_mapping_is_kept_under_joined_names(run):
    values, told = logged(run, lambda run: run.log({"val": {"loss": 0.5, "acc": {"top1": 0.9}}}))

    assert values == {"val/loss": 0.5, "val/acc/top1": 0.9}
    assert "'val/loss'" in told


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("add_scalar", 'run.log({"loss": 0.3}, step=1)'),
        ("add_figure", 'run.save("figure.png", figure)'),
        ("log_table", 'run.save("table.csv", table)'),
        ("plot", 'run.record.metric("loss").plot()'),
    ],
)
def test_names_of_other_tools_lead_to_ours(run, name, use):
    with pytest.raises(AttributeError) as raised:
        getattr(run, name)

    assert str(raised.value) == f"A run has no attribute {name!r}. Use {use}."


def test_a_parameter_is_read_by_its_key(run):
    run.params["learning_rate"] = 0.1

    for one in (run, run.record):
        with pytest.raises(AttributeError, match=r"Use run\.params\['learning_rate'\]\.$"):
            _ = one.learning_rate
        assert not hasattr(one, "rate_of_something")


@pytest.mark.parametrize("name", ["tag", "set_tag"])
def test_a_tag_is_set_by_its_key(run, name):
    with pytest.raises(AttributeError, match=r'Use run.tags\["phase"\] = "pilot"'):
        getattr(run, name)


@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("init", "runstore.start_run("),
        ("log_metric", "run.log("),
        ("finish", "run.finish()"),
        ("SummaryWriter", 'runstore.start_run("mnist"), and run.log('),
        ("active_run", "runstore.current_run()"),
        ("MlflowClient", "runstore.Store.open()"),
        ("Image", "run.log_image("),
        ("runs", "runstore.Store.open().list()"),
    ],
)
def test_functions_of_other_tools_are_explained(name, call):
    with pytest.raises(AttributeError, match="has no attribute") as raised:
        getattr(runstore, name)

    assert f"Use {call}" in str(raised.value)


@pytest.mark.parametrize(
    ("name", "use"), [("start", "runstore.start_run("), ("store", "runstore.Store.open()")]
)
def test_names_of_modules_called_first_are_explained(tmp_path, name, use):
    code = f"import runstore; runstore.{name}('fit')"
    words = [sys.executable, "-c", code]  # which has loaded no module yet
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert f"has no attribute {name!r}. Use {use}" in ended.stderr


def test_items_of_a_run_and_of_a_store_are_explained(store, run):
    with pytest.raises(TypeError, match=r"Use run\.log\(\{'loss': 3\}\), or run\.params\["):
        run["loss"] = 3
    with pytest.raises(TypeError, match=r"Use store\.get\('x#1'\), or store\.list\(\)"):
        store["x#1"]
    with pytest.raises(TypeError, match=r"Use store\.list\(limit=None\)"):
        list(store)


def test_a_parameter_as_an_attribute_is_explained(run):
    run.params["lr"] = 0.1

    with pytest.raises(AttributeError, match=r"Write: run\.params\['lr'\]"):
        _ = run.params.lr

    with pytest.raises(AttributeError, match="have no attribute 'size'"):
        _ = run.params.size


def test_metrics_as_an_attribute_are_explained(run):
    with pytest.raises(AttributeError, match=r"run\.log\(loss=0\.3\) to log, and run\.record"):
        run.metrics["loss"] = 0.3


@pytest.mark.parametrize(
    ("name", "use"),
    [("series", 'run.metric("loss")'), ("load", 'run.open("model.pt")')],
)
def test_names_that_a_read_run_does_not_have_get_a_hint(store, run, name, use):
    with pytest.raises(AttributeError) as raised:
        getattr(store.get(run.uid), name)

    assert str(raised.value) == f"A run has no attribute {name!r}. Use {use}."


@pytest.mark.parametrize(
    ("name", "use"),
    [
        ("df", "page.to_pandas()"),
        ("plot", '[run.metric("loss").plot() for run in page]'),
        ("to_csv", "page.to_pandas().to_csv(PATH)"),
        ("params", "[run.params for run in page]"),
    ],
)
def test_names_that_a_page_does_not_have_get_a_hint(store, name, use):
    page = store.list()

    with pytest.raises(AttributeError) as raised:
        getattr(page, name)

    assert str(raised.value) == f"A page has no attribute {name!r}. Use {use}."


def test_a_filter_as_an_argument_of_list_is_explained(store):
    with pytest.raises(TypeError, match=r'For a filter, write: store\.find\("status = error"\)'):
        store.list(status="error")


_CHANGES = {
    "set": lambda tags: tags.__setitem__("phase", "final"),
    "delete": lambda tags: tags.__delitem__("phase"),
    "update": lambda tags: tags.update(phase="final"),
    "merge": lambda tags: tags.__ior__({"phase": "final"}),
    "pop": lambda tags: tags.pop("phase"),
    "popitem": lambda tags: tags.popitem(),
    "setdefault": lambda tags: tags.setdefault("keep", ""),
    "clear": lambda tags: tags.clear(),
}


@pytest.mark.parametrize("name", _CHANGES)
def test_tags_that_were_read_cannot_be_changed(run, store, name):
    """A change would be visible there, but never in the store."""
    run.tags["phase"] = "pilot"
    read = store.get(run.uid)

    with pytest.raises(UsageError, match=r"store\.tag\(run, ") as raised:
        _CHANGES[name](read.tags)

    assert raised.value.kept == "Nothing was changed."
    assert read.tags == store.get(run.uid).tags == {"phase": "pilot"}


def test_tags_that_were_read_are_a_mapping(run, store):
    run.tags["phase"] = "pilot"
    read = store.get(run.uid)
    mine = dict(read.tags) | {"phase": "final"}

    store.tag(read, mine)

    assert store.get(run.uid).tags == mine == read.tags | {"phase": "final"}
    assert read.tags.copy() == {"phase": "pilot"}
    assert json.loads(json.dumps(read.tags)) == read.tags
    assert pickle.loads(pickle.dumps(read)).tags == read.tags  # noqa: S301 - our own
    assert copy.deepcopy(read).tags == read.tags
    assert (read.tags.get("phse"), "phse" in read.tags) == (None, False)
    with pytest.raises(KeyError, match=r"There is no tag 'phse'\. Did you mean 'phase'"):
        read.tags["phse"]


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("notes", 'Use store.edit(run, notes="first try").'),
        ("tags", 'Use store.tag(run, {"phase": "pilot"}).'),
        ("mine", 'Use store.tag(run, {"key": "value"})'),
    ],
)
def test_attributes_of_a_run_that_was_read_cannot_be_set(run, store, name, hint):
    read = store.get(run.uid)

    with pytest.raises(AttributeError, match="cannot be set on a run that was read") as raised:
        setattr(read, name, "x")

    assert hint in str(raised.value)
    assert read == store.get(run.uid)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("log", 'Use store.add(run, metrics={"loss": 0.3}).'),
        ("delete", "Use store.delete(run)."),
        ("run_id", "Use run.uid."),
        ("metrcs", "Did you mean 'metrics'?"),
        ("_private", "no attribute '_private'."),
    ],
)
def test_names_that_a_run_that_was_read_does_not_have_get_a_hint(run, store, name, hint):
    read = store.get(run.uid)
    assert not hasattr(read, name)

    with pytest.raises(AttributeError) as raised:
        getattr(read, name)

    assert str(raised.value).endswith(hint)
