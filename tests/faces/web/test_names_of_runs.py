"""A run has the same short name on the page, in Python and on the command line."""

import pytest

from commands import on_terminal
from commands import runstore_here as runstore
from places import store_at
from runstore import Store
from runstore.model.display.short_names import short_names
from web_client import client_of, served_at


@pytest.fixture
def store(tmp_path):
    """Two runs of one number from different stores, and a run that has its number alone."""
    with Store.open(tmp_path / "other") as other, store_at(tmp_path / ".runstore") as store:
        for one, losses in ((other, (0.1,)), (store, (0.2, 0.3))):
            for loss in losses:
                with one.start("mnist", params={"loss": loss}, capture=False) as run:
                    run.log(loss=loss)
        store.pull(other)
        yield store


@pytest.fixture
def names(store):
    """The names of the runs, by uid."""
    runs = store.list()
    return {
        run.uid: "mnist#2" if run.run_number > 1 else f"mnist#1~{run.uid[-4:]}" for run in runs
    }


@pytest.fixture
def client(store):
    served = served_at(store)
    with client_of(served) as made:
        yield made
    served.threads.shutdown()


def test_a_name_finds_its_run_even_from_a_list_without_the_other(store, names):
    for uid, name in names.items():
        assert short_names([store.get(uid)]) == (name,)
        assert store.get(name).uid == uid
    assert store.compare(*names).names == tuple(names.values())


def test_the_page_has_the_names(client, names):
    def asked(path, **query):
        answer = client.get(f"/api/v1/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    for uid, name in names.items():
        assert [row["name"] for row in asked("runs/rows", uids=uid)["rows"]] == [name]
    (mnist,) = asked("experiments", metric="loss")["experiments"]
    assert mnist["best"]["name"] == names[mnist["best"]["uid"]]


def test_commands_have_the_names(store, names, tmp_path):
    best = min(store.list(), key=lambda run: run.params["loss"])
    newest = names[store.list()[0].uid]

    for command, name in (
        (("ls", "params.loss < 0.15"), names[best.uid]),
        (("show", best.uid), names[best.uid]),
        (("ls", "-n", "1"), newest),
        (("experiments",), newest),
        (("ls", "--group-by", "experiment"), newest),
    ):
        assert name in on_terminal(*command, cwd=tmp_path), command


def test_a_name_has_no_ending_once_the_other_run_is_gone(store, names):
    mine, other = (uid for uid in names if "~" in names[uid])

    store.delete(other)

    assert short_names([store.get(mine)]) == ("mnist#1",)


@pytest.mark.parametrize(
    ("sign", "is_other"), [("= {}", False), ("in ('none', {})", False), ("!= {}", True)]
)
def test_a_filter_understands_the_names(store, names, sign, is_other):
    for uid, name in names.items():
        run = store.get(uid)
        for spelling in (name, f"'{name}'", f"'{run.reference}'", run.uid):
            found = {one.uid for one in store.find(f"run {sign.format(spelling)}")}

            assert found == ({*names} - {uid} if is_other else {uid}), spelling
    assert len(store.find("run = mnist#1")) == 2
    assert [one.uid for one in store.find("uid = latest")] == [store.list()[0].uid]


def test_a_filter_finds_the_children_of_a_named_run(store):
    parent = store.start("sweep", capture=False)
    child = store.start("part", parent=parent, capture=False)
    child.finish()
    parent.finish()

    for name in ("sweep#1", "latest", f"'{parent.reference}'", parent.uid):
        found = store.find(f"parent = {name.replace('latest', 'sweep#-1')}")
        assert [one.uid for one in found] == [child.uid], name
    assert not store.find("parent = sweep#2")
    assert not store.find("parent != sweep#1")


def test_the_lookup_by_name_leaves_numbers_prefixes_and_texts_alone(store, names):
    for text in ("1", "'mnist'", "'mnist_1_'", "''", "mnist#0"):
        assert not store.find(f"run = {text}"), text
    assert len(store.find("run like 'mnist_1_%'")) == 2


def test_a_missing_run_is_not_called_an_experiment(store, tmp_path):
    reference = store.get("mnist#2").reference

    for name in (
        f"{reference}~08ff",
        f"{reference[:-1]}_",
        "mnist#1~08ff",
        "mnist#2~x",
        "mnist#2~",
    ):
        ended = runstore("ls", name, cwd=tmp_path)

        expected = "experiment" if name.endswith("_") else "run"
        assert ended.stderr.startswith(f"runstore: There is no {expected} {name!r}"), ended.stderr
    store.delete("mnist#2")
    ended = runstore("ls", reference[:-1], cwd=tmp_path)
    assert f"The run {reference} was deleted" in ended.stderr


def test_the_names_still_find_runs_that_were_moved(store, names):
    uid, name = next((uid, name) for uid, name in names.items() if "~" in name)

    store.move(uid, "elsewhere")

    assert store.get(name).uid == uid
