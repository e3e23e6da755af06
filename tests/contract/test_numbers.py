"""Run numbers, also after another program or a broken disk has changed a counter or a number."""

import pytest

from runstore import Store
from runstore.storage.stored_runs import BEYOND_NUMBERS


@pytest.fixture
def store(tmp_path):
    """Return a store with three ended runs of one experiment."""
    with Store.open(tmp_path) as opened:
        for _ in range(3):
            opened.start("fit", capture=False).finish()
        yield opened


def change(store, statement, value):
    with store.backend.database.driver.write() as connection:
        connection.execute(statement, (value,))


@pytest.mark.parametrize(
    ("counter", "number"),
    [
        pytest.param(1, 4, id="set back"),
        pytest.param(-5, 4, id="negative"),
        pytest.param("x", 4, id="text"),
        pytest.param(2.5, 4, id="fraction"),
        pytest.param(b"\0", 4, id="bytes"),
        pytest.param(2**63 - 1, 4, id="the last integer"),
        pytest.param(BEYOND_NUMBERS - 1, 4, id="beyond all real numbers"),
        pytest.param(10, 11, id="ahead, as after runs that were removed"),
    ],
)
def test_a_changed_counter_never_repeats_a_number(store, counter, number):
    change(store, "UPDATE experiments SET last_run_number = ?", counter)

    assert store.start("fit", capture=False).run_number == number
    assert store.start("fit", capture=False).run_number == number + 1


@pytest.mark.parametrize(
    ("changed", "number"),
    [
        pytest.param("seven", 4, id="text"),
        pytest.param(2**63 - 1, 4, id="the last integer"),
        pytest.param(BEYOND_NUMBERS, 4, id="beyond all real numbers"),
        pytest.param(9, 10, id="higher than the counter"),
    ],
)
def test_a_changed_number_blocks_no_start(store, changed, number):
    change(store, "UPDATE runs SET run_number = ? WHERE run_number = 3", changed)

    assert store.start("fit", capture=False).run_number == number
    assert store.start("fit", capture=False).run_number == number + 1


def test_each_experiment_counts_its_own_runs(store):
    assert store.start("other", capture=False).run_number == 1
    assert store.start("fit", capture=False).run_number == 4
    assert store.start("other", capture=False).run_number == 2


def test_a_start_writes_its_tags_and_parameters(store):
    run = store.start("fit", params={"lr": 0.1}, tags={"phase": "pilot"}, capture=False)

    kept = store.get(run.uid)
    assert dict(kept.tags) == {"phase": "pilot"}
    assert kept.params == {"lr": 0.1}
    assert [one.uid for one in store.find("tags.phase = 'pilot'")] == [run.uid]
