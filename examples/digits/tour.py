"""Train real classifiers as recorded runs, one of which fails on purpose, then look at them."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COMMANDS = [
    ("run", "classify", "-p", "linear", "-p", "trees", "--notes", "first look"),
    ("run", "classify", "-p", "linear", "--names", "svm", "--set", "options.C=10"),
    ("run", "too_deep"),
    ("ls",),
    ("show", "classify#1"),
]


def main():
    """Type the commands of the tour; only the one that fails on purpose may fail."""
    # The command beside this Python, whether or not its folder is on the path.
    runstore = shutil.which("runstore", path=Path(sys.executable).parent)
    for command in COMMANDS:
        print("\n$ runstore", *command, flush=True)
        ended = subprocess.run([runstore, *command], cwd=HERE, check=False)
        fails_on_purpose = "too_deep" in command
        if (ended.returncode != 0) != fails_on_purpose:
            sys.exit(f"`runstore {' '.join(command)}` ended with {ended.returncode}")


if __name__ == "__main__":
    main()
