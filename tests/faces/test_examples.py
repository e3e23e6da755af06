"""The examples do what their texts say."""

import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from places import store_at

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_a_network_is_trained_kept_and_loaded_again(tmp_path):
    if not (find_spec("sklearn") and find_spec("matplotlib")):  # loading them takes a second
        pytest.skip("needs scikit-learn and Matplotlib")
    folder = tmp_path / "digits"
    shutil.copytree(EXAMPLES / "digits", folder, ignore=shutil.ignore_patterns(".runstore"))

    ended = subprocess.run(
        [sys.executable, "train_network.py"],
        cwd=folder,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines()[-1].startswith("reloaded from network_1_")
    with store_at(folder / ".runstore") as store:
        run = store.get("network#1")
        assert run.metrics["test/accuracy"].last > 0.95
        assert run.metrics["loss"].count == 30 * 43
        assert list(run.artifacts) == ["network.npz", "training.png"]
        assert run.read_bytes("training.png").startswith(b"\x89PNG")
        # Libraries may warn besides, of fonts for instance.
        assert len([line for line in run.output if line.stream == "stdout"]) == 3
