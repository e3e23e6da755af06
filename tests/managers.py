"""What the tests of ManagerStore share: the least of a manager, real stores, the file's blocks."""

import json
from pathlib import Path

STORES = Path(__file__).parent / "data" / "curifactory"
TEXT = (STORES / "0.20.5" / "store.json").read_text()
BLOCKS = json.loads(TEXT)


class Manager:
    """The least of a manager."""

    experiment_run_number = 0
    status = "incomplete"
    param_file_param_sets: dict = {}  # noqa: RUF012 - a manager of another tool

    def __init__(self, experiment_name="mnist", notes=None):
        self.experiment_name, self.notes = experiment_name, notes

    def get_str_timestamp(self):
        return "2026-11-24-T000000"

    def get_reference_name(self):
        return f"{self.experiment_name}_{self.experiment_run_number}_2026-11-24-T000000"


def blocks_of(folder):
    """Return what `store.json` in a folder says."""
    return json.loads((folder / "store.json").read_text())
