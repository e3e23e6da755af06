"""A program that uses one run from everywhere at once, until it is stopped.

    python stress_program.py STORE ACKNOWLEDGED SEED

Eight threads, three spawned processes and a forked child log, save and tag, while signals and the
garbage collector use the run as well. What returned is counted in a file that is mapped into
memory, which survives a kill as the points do.
"""

import faulthandler
import gc
import mmap
import multiprocessing
import os
import random
import signal
import struct
import sys
import threading
import time
import traceback
import warnings

import runstore

THREADS, SPAWNED = 8, 3
SECONDS = 1.0
POINTS, TAGS, FILES = range(3)
WRITERS = [f"thread{n}" for n in range(THREADS)]
WRITERS += [f"spawned{n}" for n in range(SPAWNED)] + ["forked", "signal", "finalizer"]
_SLOT = struct.Struct("<q")


class Acknowledged:
    """Counts what returned, by writer and kind, in a file."""

    def __init__(self, path):
        with open(path, "r+b") as file:  # noqa: PTH123 - the path may be a text
            self._memory = mmap.mmap(file.fileno(), 0)

    @staticmethod
    def make(path):
        path.write_bytes(bytes(_SLOT.size * 3 * len(WRITERS)))
        return Acknowledged(path)

    def __getitem__(self, place):
        return _SLOT.unpack_from(self._memory, self._at(*place))[0]

    def __setitem__(self, place, count):
        _SLOT.pack_into(self._memory, self._at(*place), count)

    @staticmethod
    def _at(writer, kind):
        return _SLOT.size * (3 * WRITERS.index(writer) + kind)


class Writer:
    """One of those who use the run: each writes series, tags and files of its own."""

    def __init__(self, run, acknowledged, writer, seed):
        self.run, self.acknowledged, self.writer = run, acknowledged, writer
        self.random = random.Random(f"{seed} {writer}")

    def log(self, times=1):
        for _ in range(times):
            number = self.acknowledged[self.writer, POINTS]
            self.run.log({self.writer: float(number)}, step=number)
            if not self.run.status.is_final:  # a call that came too late is a warning
                self.acknowledged[self.writer, POINTS] = number + 1

    def tag(self):
        number = self.acknowledged[self.writer, TAGS] + 1
        self.run.tags[self.writer] = str(number)
        if not self.run.status.is_final:
            self.acknowledged[self.writer, TAGS] = number

    def save(self):
        number = self.acknowledged[self.writer, FILES]
        self.run.save(f"{self.writer}/{number}.txt", self.writer.encode())
        if not self.run.status.is_final:
            self.acknowledged[self.writer, FILES] = number + 1

    def work(self, until):
        try:
            while time.monotonic() < until and not self.run.status.is_final:
                self.log(self.random.randrange(300))
                self.random.choice((self.tag, self.save, lambda: None, lambda: None))()
        except BaseException:  # noqa: BLE001 - whatever it is, it is wrong
            traceback.print_exc()
            os._exit(70)


class Circle:
    """Logs when it is collected."""

    def __init__(self, writer):
        self.writer, self.itself = writer, self

    def __del__(self):
        self.writer.log()


def spawned(run, path, writer, seed):
    prepare()
    Writer(run, Acknowledged(path), writer, seed).work(time.monotonic() + SECONDS / 2)


def prepare():
    faulthandler.enable()
    faulthandler.dump_traceback_later(60, exit=True)
    warnings.simplefilter("ignore", runstore.StoreWarning)
    gc.set_threshold(50)


def main(folder, path, seed):  # noqa: C901 - one story
    prepare()
    chance = random.Random(seed)
    run = runstore.Store.open(folder).start("stress", capture=False)
    acknowledged = Acknowledged(path)
    until = time.monotonic() + SECONDS
    in_handler = Writer(run, acknowledged, "signal", seed)
    in_finalizer = Writer(run, acknowledged, "finalizer", seed)

    def handler(_number, _frame):
        chance.choice((in_handler.log, in_handler.log, in_handler.tag, in_handler.save))()
        signal.setitimer(signal.ITIMER_REAL, 0.01)  # the next one, when this one is done

    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=spawned, args=(run, path, f"spawned{n}", seed), daemon=True)
        for n in range(SPAWNED)
    ]
    for one in processes:
        one.start()
    threads = [
        threading.Thread(target=Writer(run, acknowledged, f"thread{n}", seed).work, args=(until,))
        for n in range(THREADS)
    ]
    for one in threads:
        one.start()
    child = os.fork()
    if child == 0:
        Writer(run, acknowledged, "forked", seed).work(until)
        os._exit(0)
    signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    end = time.monotonic() + chance.uniform(0.3, SECONDS)
    while time.monotonic() < end:
        Circle(in_finalizer)
        run.log(main=1.0)
    way = chance.choice(("kill", "terminate", "finish", "finish", "join"))
    for victim in (child, *(one.pid for one in processes)):
        if chance.random() < 0.3:
            os.kill(victim, signal.SIGKILL)
    if way == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if way == "terminate":
        os.kill(os.getpid(), signal.SIGTERM)
    if way == "join":
        for one in threads:
            one.join()
    run.finish()
    signal.signal(signal.SIGALRM, signal.SIG_IGN)
    for one in threads:
        one.join()
    os.waitpid(child, 0)
    for one in processes:
        one.join()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
