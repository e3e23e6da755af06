"""A run has the same short name on the page, in Python and on the command line."""

import pytest

from commands import on_terminal
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
