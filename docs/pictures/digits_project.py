"""A copy of examples/digits with recorded runs, for pictures."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "digits"
RUNSTORE = (sys.executable, "-m", "runstore")
TRAIN = (sys.executable, "train_network.py")
AUTHOR = ("-c", "user.name=Ada", "-c", "user.email=ada@example.org")
# A change in `Network.fresh` that makes the network worse.
BEFORE, AFTER = "np.sqrt(2 / a)", "np.sqrt(20 / a)"


def _run(folder: Path, *command: str, may_fail: bool = False) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if ended.returncode and not may_fail:
        sys.exit(f"{command} failed: {ended.stderr}")


@contextmanager
def digits_project() -> Iterator[Path]:
    """Yield the folder of a git repository with runs of the experiments and of the network.

    The last one, network#5, has another learning rate and a changed line.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / "digits"
        shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns(".runstore", "__pycache__"))
        (folder / ".gitignore").write_text("__pycache__/\n")
        _run(folder, "git", "init", "-q", "-b", "main")
        _run(folder, "git", "add", ".")
        _run(folder, "git", *AUTHOR, "commit", "-q", "-m", "Digits")
        notes = ("--notes", "first look")
        _run(folder, *RUNSTORE, "run", "classify", "-p", "linear", "-p", "trees", *notes)
        svm = ("--names", "svm", "--set", "options.C=10")
        _run(folder, *RUNSTORE, "run", "classify", "-p", "linear", *svm)
        _run(folder, *RUNSTORE, "run", "too_deep", may_fail=True)
        for words in ((), ("seed=1",), ("lr=0.05",), ("seed=1", "lr=0.05")):
            _run(folder, *TRAIN, *words)
        script = folder / "train_network.py"
        text = script.read_text()
        script.write_text(text.replace(BEFORE, AFTER))
        _run(folder, *TRAIN, "lr=0.01")
        script.write_text(text)
        yield folder
