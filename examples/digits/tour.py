"""Train classifiers as recorded runs, one of which fails on purpose, and show the runs."""

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
FAILS = "runstore run too_deep"
STEPS = [
    (
        "Run an experiment over two parameter files",
        "runstore run classify -p linear -p trees --notes 'first look'",
    ),
    (
        "Run one of them again, with one value changed",
        "runstore run classify -p linear --names svm --set options.C=10",
    ),
    ("This set fails on purpose: a tree cannot have a depth of 0", FAILS),
    ("Train a network with three learning rates and two seeds", "python train_network.py"),
    ("", "python train_network.py lr=0.03"),
    ("", "python train_network.py lr=0.003"),
    ("", "python train_network.py seed=1"),
    ("", "python train_network.py lr=0.03 seed=1"),
    ("List the runs", "runstore ls"),
    ("Show one run", "runstore show network#1"),
    ("Compare two runs", "runstore diff network#1 network#2"),
    ("Rank the settings over their seeds", "runstore best network -m test/accuracy"),
    ("Rank the likely causes of a worse result", "runstore why network#1 network#3"),
    ("Plot the accuracies", "runstore plot network -m test/accuracy"),
]
NEXT = """
Next, in this terminal:

    cd {folder}
    {runstore} ui                             # the same in your browser
    {runstore} ls "metrics.test/accuracy > 0.9"
    {runstore} show too_deep                  # the traceback of the failure
"""


def main():
    """Run the commands of the tour; only one of them may fail, on purpose."""
    # The command beside this Python, even if its folder is not on the path.
    runstore = shutil.which("runstore", path=Path(sys.executable).parent)
    programs = {"runstore": runstore, "python": sys.executable}
    for title, command in STEPS:
        print(f"\n# {title}\n$ {command}" if title else f"$ {command}", flush=True)
        program, *words = shlex.split(command)
        ended = subprocess.run([programs[program], *words], cwd=HERE, check=False)
        if (ended.returncode != 0) != (command == FAILS):
            sys.exit(f"`{command}` ended with exit status {ended.returncode}.")
    print(NEXT.format(folder=shlex.quote(str(HERE)), runstore=shlex.quote(str(runstore))))


if __name__ == "__main__":
    main()
