"""Many writers at once on one folder: processes, threads, forks; no number twice, no run lost."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from command_server import Program
from managers import Manager, blocks_of
from runstore import ManagerStore

pytestmark = pytest.mark.usefixtures("without_git")

ADDER = """
import sys
from runstore import ManagerStore
class Manager:
    experiment_run_number = 0
    param_file_param_sets = {}
    def __init__(self): self.experiment_name = "mnist"
    def get_str_timestamp(self): return "2026-11-24-T000000"
    def get_reference_name(self): return f"mnist_{self.experiment_run_number}_2026-11-24-T000000"
for _ in range(int(sys.argv[2])):
    manager = Manager()
    ManagerStore(sys.argv[1]).add_run(manager)
    print(manager.experiment_run_number, flush=True)
    manager.status = "complete"
    assert ManagerStore(sys.argv[1]).update_run(manager)["status"] == "complete"
"""


def test_many_processes_give_every_number_once_and_readers_always_see_a_whole_file(
    tmp_path, is_full_campaign
):
    writers, each = (16, 50) if is_full_campaign else (8, 5)
    processes = [Program(ADDER, tmp_path, each) for _ in range(writers)]
    looks = 0
    while not all(process.has_ended() for process in processes):
        try:
            blocks = blocks_of(tmp_path)
        except FileNotFoundError:
            blocks = []
        assert isinstance(blocks, list)
        looks += 1
        time.sleep(0.005)  # the writers have the processor

    outputs = [process.communicate() for process in processes]
    assert [errors for _, errors in outputs] == [""] * writers
    numbers = sorted(int(line) for output, _ in outputs for line in output.split())
    assert numbers == list(range(1, writers * each + 1))
    blocks = blocks_of(tmp_path)
    assert sorted(one["run_number"] for one in blocks) == numbers
    assert {one["status"] for one in blocks} == {"complete"}
    assert looks > 0


def add_and_end(store, times):
    for _ in range(times):
        manager = Manager()
        store.add_run(manager)
        manager.status = "complete"
        store.update_run(manager)


def assert_all_there(folder, count):
    blocks = blocks_of(folder)
    assert [one["run_number"] for one in blocks] == list(range(1, count + 1))
    assert ManagerStore(folder).runs == blocks
    return blocks


@pytest.mark.parametrize("is_shared", [True, False])
def test_threads_may_share_a_store_or_have_their_own(tmp_path, is_shared):
    shared = ManagerStore(tmp_path)
    assert shared.runs == []

    with ThreadPoolExecutor(8) as pool:
        stores = [shared if is_shared else ManagerStore(tmp_path) for _ in range(8)]
        done = [pool.submit(add_and_end, store, 5) for store in stores]
        for one in done:
            one.result()

    blocks = assert_all_there(tmp_path, 40)
    assert {one["status"] for one in blocks} == {"complete"}
    shared.load()
    assert shared.runs == blocks


def test_forked_children_use_the_store_of_their_parent(tmp_path):
    store = ManagerStore(tmp_path)
    mine = Manager()
    store.add_run(mine)

    children = []
    for _ in range(6):
        child = os.fork()
        if child == 0:
            try:
                add_and_end(store, 5)
            except BaseException:  # noqa: BLE001 - a child of a test must not run the tests
                os._exit(1)
            os._exit(0)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * 6

    mine.status = "complete"
    assert store.update_run(mine)["status"] == "complete"
    blocks = assert_all_there(tmp_path, 31)
    assert {one["status"] for one in blocks} == {"complete"}


def test_two_stores_of_one_process_do_not_undo_each_others_edits(tmp_path):
    first, second = ManagerStore(tmp_path), ManagerStore(tmp_path)
    for _ in range(2):
        first.add_run(Manager())
    assert second.get_experiment_runs("mnist") == first.runs

    first.runs[0]["notes"] = "of the first"
    second.runs[0]["cli"] = second.runs[1]["notes"] = "of the second"
    first.save()
    second.save()
    first.load()

    assert first.runs == second.runs == blocks_of(tmp_path)
    assert (first.runs[0]["notes"], first.runs[0]["cli"]) == ("of the first", "of the second")


def test_folder_and_a_link_to_it_are_one_store(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "data")
    stores = [ManagerStore(tmp_path / name) for name in ("data", "link")]

    numbers = [store.add_run(Manager())["run_number"] for store in stores * 2]

    assert numbers == [1, 2, 3, 4]
