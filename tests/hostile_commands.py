"""Everything that reads or cleans a store, one after the other in one process.

    python hostile_commands.py STORE PRIVATE TO

Prints a line for each command: its exit status, the seconds it took, its name; then the largest
size of the process in bytes. An audit hook prints each use of a path that leads into the
private folder: see PEP 578. A path that is used relative to an open folder follows no link.
The times of access of private files, which the caller looks at, tell the rest.
"""

import os
import sys
import time
import traceback
import warnings
from pathlib import Path

from hostile_rows import READING
from memory import peak_bytes

store, private, to = sys.argv[1:]
private = os.path.realpath(private)
FOLLOWED = {"os.listdir", "os.scandir", "os.chmod", "os.utime", "os.truncate", "os.chdir",
            "sqlite3.connect", "shutil.copyfile", "shutil.copytree", "shutil.rmtree"}  # fmt: skip
NOT_FOLLOWED = {"os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink"}


def leads_inside(path, *, follows):
    if not isinstance(path, (str, bytes, os.PathLike)):
        return False
    path = Path(os.fsdecode(path))
    if not path.is_absolute():
        return False
    real = Path(os.path.realpath(path if follows else path.parent))
    return (real if follows else real / path.name).is_relative_to(private)


def watch(event, arguments):
    if event == "open":
        path, _, flags = arguments
        if sys._getframe(1).f_code.co_name == "reader":
            return  # its opener opens the file, as the next event tells
        used, follows = [path], not flags & os.O_NOFOLLOW
    elif event in FOLLOWED or event in NOT_FOLLOWED:
        used, follows = arguments[:2], event in FOLLOWED
    else:
        return
    for path in used:
        if leads_inside(path, follows=follows):
            frames = traceback.extract_stack(limit=8)[:-1]
            told = " < ".join(f"{Path(one.filename).name}:{one.lineno}" for one in frames)
            os.write(1, f"ACCESS {event} {path} {told}\n".encode())


import runstore  # noqa: E402 - what Python itself opens is no business of the hook
from runstore.cli import main  # noqa: E402

for package in (
    "runstore.cli.commands.ls",
    "runstore.cli.commands.show",
    "runstore.capture.surroundings",
):
    __import__(package)
sys.addaudithook(watch)


def command(*words):
    return main._exit_code(["--store", store, *words])


def listed():
    runstore.ManagerStore(store)
    return 0


def recorded():
    with runstore.start_run("mine", store=store, capture=False) as run:
        run.log(loss=1.0)
        run.save("mine.txt", b"mine")
        print("mine")
    return 0


COMMANDS = {
    " ".join(words): (lambda words=words: command(*words))
    for words in (
        *READING, ["push", to + "/pushed/store"], ["artifacts", "latest"],
        ["download", "latest", "-o", to, "--overwrite"],
        ["output", "latest"], ["grep", "secret"], ["experiments"], ["similar", "latest"],
        ["note", "latest", "warmup"], ["plot"], ["best", "-m", "loss"],
        ["rm", "latest", "--yes"], ["gc", "--yes", "--older-than", "0d"], ["trash"], ["undo"],
        ["copy", to + "/copy"],
    )
}  # fmt: skip
COMMANDS = {
    "pull": lambda: main._exit_code(["--store", to + "/pulled", "pull", store]),
    **COMMANDS,
}
COMMANDS |= {"ManagerStore": listed, "start_run": recorded, "ls again": COMMANDS["ls"]}

for name, run in COMMANDS.items():
    began = time.monotonic()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            status = run()
        except runstore.RunstoreError:
            status = 1
    took = time.monotonic() - began
    sys.stdout.flush()
    os.write(1, f"\nENDED {status} {took:.3f} {name}\n".encode())
os.write(1, f"SIZE {peak_bytes()}\n".encode())
