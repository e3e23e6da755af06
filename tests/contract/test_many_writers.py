"""Sixteen processes at once: no number twice, no run lost, no exception."""

import os
from collections import Counter

from command_server import Program
from runstore import Status, Store
from threads import at_once

STARTS = 8

WORKER = """
import sys
from runstore import Store
with Store.open(sys.argv[1]) as store:
    for n in range(int(sys.argv[2])):
        run = store.start("shared", params={"n": n}, capture=False)
        run.finish()
        print(run.run_number)
"""


def run_workers(location, count, starts):
    """Return the numbers that each of the processes was given."""
    workers = [Program(WORKER, location, starts) for _ in range(count)]
    outputs = [worker.communicate() for worker in workers]
    assert [error for _, error in outputs if error] == []
    assert [worker.returncode for worker in workers] == [0] * count
    return [[int(line) for line in text.split()] for text, _ in outputs]


def test_many_processes_share_one_new_store(vacant, processes):
    """The store itself is made by whoever comes first."""
    numbers = run_workers(vacant, processes, STARTS)

    assert sorted(n for some in numbers for n in some) == list(range(1, processes * STARTS + 1))
    with Store.open(vacant) as store:
        assert store.experiments()[0].run_count == processes * STARTS
        assert Counter(run.status for run in store.list(limit=1000)) == {
            Status.COMPLETE: processes * STARTS
        }


def test_threads_share_one_store(store):
    numbers = []

    def work():
        for _ in range(25):
            run = store.start("threads", capture=False)
            numbers.append(run.run_number)
            run.finish()

    at_once([work] * 8)

    assert sorted(numbers) == list(range(1, 201))


def test_a_forked_child_opens_its_own_connection(store):
    parent = store.start("forked", capture=False)

    child = os.fork()
    if child == 0:
        code = 1
        try:
            store.start("forked", capture=False).finish()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    later = store.start("forked", capture=False)

    assert os.waitstatus_to_exitcode(status) == 0
    assert (parent.run_number, later.run_number) == (1, 3)
    assert store.get(parent.uid).status is Status.RUNNING
