"""Filters on status judge the runs of this machine alone."""

import sqlite3
from contextlib import closing

import pytest

from command_server import Program
from runstore import Status, Store
from runstore.capture.machine import process

LEAVE = """
import os, sys, runstore
for _ in range(int(sys.argv[2])):
    run = runstore.Store.open(sys.argv[1]).start("killed", capture=False)
os._exit(9)
"""


@pytest.fixture
def looked_at(monkeypatch):
    """The processes that are judged from now on."""
    seen, is_gone = [], process.is_gone

    def judged(identity, **silence):
        seen.append(identity)
        return is_gone(identity, **silence)

    monkeypatch.setattr(process, "is_gone", judged)
    return seen


def killed(folder, count):
    """Leave runs of a process that was killed; return the ids of the machine, boot, namespace."""
    Program(LEAVE, folder, count).wait()
    return process.current_process().boot_id.split("/")


def moved(folder, number, **columns):
    """Let a run have begun elsewhere."""
    sets = ", ".join(f"{name} = ?" for name in columns)
    with closing(sqlite3.connect(folder / "runstore.db")) as connection, connection:
        connection.execute(
            f"UPDATE runs SET {sets} WHERE run_number = ?",  # noqa: S608 - own names
            (*columns.values(), number),
        )


@pytest.mark.parametrize(
    "where", ["status = lost", "ended_at > 2020-01-01", "order by duration", "status != running"]
)
def test_runs_of_other_hosts_are_not_judged(tmp_path, looked_at, where):
    _, _, namespace = killed(tmp_path, 3)
    for number in (1, 2):
        moved(tmp_path, number, hostname="other", boot_id=f"a1/b2/{namespace}")

    with Store.open(tmp_path) as store:
        store.find(where, limit=1)

        assert len([one for one in looked_at if one.hostname == "other"]) <= 1  # the one shown
        assert [run.run_number for run in store.find("status = lost")] == [3]
        assert len(store.find("status = running")) == 2


def test_a_renamed_host_is_still_this_boot(tmp_path):
    machine, boot, namespace = killed(tmp_path, 2)
    moved(tmp_path, 1, hostname="renamed")
    moved(tmp_path, 2, boot_id=f"other{machine}/{boot}/{namespace}")

    with Store.open(tmp_path) as store:
        assert len(store.find("status = lost")) == 2


def test_runs_before_a_reboot_of_this_machine_are_lost(tmp_path, monkeypatch):
    machine, _, _ = killed(tmp_path, 1)
    first = process._INITIAL_NAMESPACE
    here = process.current_process()._replace(boot_id=f"m{machine}/now/{first}")
    monkeypatch.setattr(process, "current_process", lambda: here)
    moved(tmp_path, 1, boot_id=f"m{machine}/before/{first}", started_at=10**15, last_seen_at=None)

    with Store.open(tmp_path) as store:
        assert store.find("status = lost").items[0].status is Status.LOST
