"""Train real classifiers as recorded runs, one of which fails on purpose, then look at them."""

import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
COMMANDS = [
    ("runstore", "run", "classify", "-p", "linear", "-p", "trees", "--notes", "first look"),
    ("runstore", "run", "classify", "-p", "linear", "--names", "svm", "--set", "options.C=10"),
    ("runstore", "run", "too_deep"),
    ("python", "train_network.py"),
    ("runstore", "ls"),
    ("runstore", "show", "network#1"),
    ("runstore", "artifacts", "network#1"),
]


def main():
    """Type the commands of the tour; only the one that fails on purpose may fail."""
    # The command beside this Python, whether or not its folder is on the path.
    runstore = shutil.which("runstore", path=Path(sys.executable).parent)
    programs = {"runstore": runstore, "python": sys.executable}
    for program, *words in COMMANDS:
        print("\n$", program, *words, flush=True)
        ended = subprocess.run([programs[program], *words], cwd=HERE, check=False)
        fails_on_purpose = "too_deep" in words
        if (ended.returncode != 0) != fails_on_purpose:
            sys.exit(f"`{' '.join([program, *words])}` ended with {ended.returncode}")


if __name__ == "__main__":
    main()
