"""kill -9 during add_run and update_run: no change that returned is lost, no file half written."""

from __future__ import annotations

import json
import random

import pytest

from command_server import Program
from places import store_at
from runstore import ManagerStore, Status

KEPT = 500

WORKER = """
import sys
from runstore import ManagerStore
class Manager:
    experiment_name, notes, error = "killed", None, None
    def __init__(self):
        self.param_file_param_sets, self.parameter_files = {}, []
        self.experiment_run_number, self.status = 0, "incomplete"
    def get_str_timestamp(self): return "2026-11-24-T000000"
    def get_reference_name(self): return f"killed_{self.experiment_run_number}_2026-11-24-T000000"
while True:
    manager = Manager()
    ManagerStore(sys.argv[1]).add_run(manager)
    print("add", manager.experiment_run_number, flush=True)
    manager.status, manager.parameter_files = "complete", ["small"]
    manager.param_file_param_sets = {"small": [["one", "1f"]]}
    store = ManagerStore(sys.argv[1])
    store.update_run(manager)
    print("update", manager.experiment_run_number, flush=True)
    if manager.experiment_run_number % 3 == 0:
        store.get_run(manager.get_reference_name())[0]["notes"] = "edited"
        store.save()
        print("save", manager.experiment_run_number, flush=True)
"""


def kept_before(number):
    """A block such as another tool wrote it, so that the file has some length."""
    return {
        "reference": f"old_{number}_2026-11-23-T000000",
        "experiment_name": "old",
        "run_number": number,
        "timestamp": "2026-11-23-T000000",
        "status": "complete",
        "notes": "x" * 200,
    }


@pytest.mark.campaign
def test_every_acknowledged_change_survives(tmp_path, campaign_rounds):
    rng = random.Random(campaign_rounds)
    path = tmp_path / "store.json"
    path.write_text(json.dumps([kept_before(n) for n in range(1, KEPT + 1)], indent=4))
    acknowledged = []

    for _ in range(campaign_rounds):
        lines = Program(WORKER, tmp_path).kill_after_a_line(rng)
        acknowledged += [tuple(line.split()) for line in lines]
        # As the kill left it: readable before anybody of us has looked.
        blocks = json.loads(path.read_text())
        assert [one["reference"] for one in blocks[:KEPT]] == [
            kept_before(n)["reference"] for n in range(1, KEPT + 1)
        ]
        store = ManagerStore(tmp_path)
        shown = {str(one["run_number"]): one for one in store.get_experiment_runs("killed")}
        for what, number in acknowledged:
            block = shown[number]
            if what != "add":
                assert block["status"] == "complete"
                assert block["params"] == {"small": [["one", "1f"]]}
            if what == "save":
                assert block["notes"] == "edited"
        assert json.loads(path.read_text()) == store.runs

    numbers = [one["run_number"] for one in store.get_experiment_runs("killed")]
    assert numbers == list(range(1, len(numbers) + 1))
    assert not list(tmp_path.glob("*.damaged-*"))
    with store_at(tmp_path) as store:
        for number in numbers:
            assert store.get(f"killed#{number}").status in {Status.COMPLETE, Status.LOST}
