"""kill -9 at random moments: every change that returned is there afterwards."""

import random

import pytest

from command_server import Program
from runstore import Status, Store, parameter_set

WORKER = """
import sys
from runstore import Store
store = Store.open(sys.argv[1])
while True:
    run = store.start("killed", params={"lr": 0.1, "deep": {"n": [1, 2]}}, capture=False)
    print("start", run.run_number, flush=True)
    store.edit(run.uid, notes=f"note {run.run_number}")
    print("edit", run.run_number, flush=True)
    run.finish()
    print("finish", run.run_number, flush=True)
"""


@pytest.mark.campaign
def test_every_acknowledged_change_survives(location, campaign_rounds):
    rng = random.Random(campaign_rounds)
    acknowledged = []

    for _ in range(campaign_rounds):
        lines = Program(WORKER, location).kill_after_a_line(rng)
        acknowledged += [tuple(line.split()) for line in lines]
        with Store.open(location) as store:
            newest = store.list("killed", limit=2)
            assert all(run.status.is_final for run in newest), "nobody executes them any more"

    started = [int(number) for what, number in acknowledged if what == "start"]
    assert len(started) == len(set(started))
    with Store.open(location) as store:
        for what, number in acknowledged:
            kept = store.get(f"killed#{number}")
            assert kept.params["deep"] == {"n": [1, 2]}
            if what == "edit":
                assert kept.notes == f"note {number}"
            if what == "finish":
                assert kept.status is Status.COMPLETE
        assert store.experiments()[0].run_count == store.experiments()[0].last_run_number


ADDING = """
import sys
from runstore import Store
store = Store.open(sys.argv[1])
run = store.start("adding", params={"first": 0}, capture=False)
for number in range(100_000):
    run.add_params({"nested": {f"n{number}": number}, f"p{number}": [number]})
    print(number, flush=True)
"""


def test_parameters_that_were_added_before_a_kill_are_there(location, campaign_rounds):
    """Each that returned, whole: its values, its hash and its event."""
    rng = random.Random(campaign_rounds)
    for _ in range(max(3, campaign_rounds // 4)):
        told = Program(ADDING, location).kill_after_a_line(rng)

        with Store.open(location) as store:
            run = store.get("latest")
            kept = len(run.params) - 2
            assert kept >= len(told) > 0
            assert run.params == {
                "first": 0,
                "nested": {f"n{number}": number for number in range(kept)},
                **{f"p{number}": [number] for number in range(kept)},
            }
            assert run.parameter_sets[0].hash == parameter_set(run.params).hash
            assert sum(event.field.startswith("params") for event in store.events(run)) == kept
            last = f"params.nested.n{kept - 1} = {kept - 1}"
            assert [one.uid for one in store.find(last)][:1] == [run.uid]
            assert list(store.backend.spool.records()) == []
