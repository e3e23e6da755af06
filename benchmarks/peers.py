"""One-call-a-point logging beside other tools, and what of it a kill -9 leaves.

python benchmarks/peers.py --environments FOLDER

Each tool gets a virtual environment of its own in FOLDER, made with pip when it is missing; one
that cannot be installed is reported and left out. Nothing else goes over the network.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROUNDS = 3
HERE = Path(__file__).parent
QUIET = {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_CONSOLE": "off",
    "AIM_ANALYTICS_DISABLED": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "HF_HUB_OFFLINE": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "TRACKIO_TELEMETRY": "0",
}


@dataclass(frozen=True)
class Tool:
    """A tool and how many points it logs in a round: as many as take some seconds."""

    name: str
    package: str
    points: int
    also: tuple[str, ...] = ()


TOOLS = (
    Tool("bare append", "", 200_000),
    Tool("runstore", "", 200_000),
    Tool("trackio", "trackio", 10_000),
    Tool("W&B offline", "wandb", 20_000),
    Tool("Aim", "aim", 20_000),
    Tool("MLflow, SQLite", "mlflow", 1_000),
)


def python_of(tool: Tool, environments: Path) -> Path | None:
    """Return the interpreter that has the tool; None where it cannot be installed."""
    if not tool.package:
        return Path(sys.executable)
    folder = environments / tool.package
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = [str(python), "-m", "pip", "install", "-q", tool.package, *tool.also]
        if subprocess.run(install, check=False).returncode != 0:
            return None
    return python


def version_of(tool: Tool, python: Path) -> str:
    """Return the version that is measured."""
    if not tool.package:
        return ""
    code = f"from importlib.metadata import version; print(version({tool.package!r}))"
    return subprocess.run(
        [str(python), "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def worker(tool: Tool, python: Path, folder: str, work: str) -> subprocess.Popen[str]:
    """Start a process that does a part of the work with the tool; see `peer_worker.py`."""
    words = [str(HERE / "peer_worker.py"), tool.package or tool.name, work, str(tool.points)]
    return subprocess.Popen(
        [str(python), *words, folder],
        cwd=folder,
        env={**os.environ, **QUIET, "TRACKIO_DIR": f"{folder}/trackio", "WANDB_DIR": folder},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def last_word(process: subprocess.Popen[str]) -> list[str]:
    """Return the words of the line that a worker ends with."""
    printed = process.communicate(timeout=600)[0].splitlines()
    lines = [line for line in printed if line.startswith("RESULT")]
    return lines[-1].split()[1:] if lines else []


def size_of(folder: str) -> int:
    """Return the bytes that a folder's files take."""
    return sum(one.lstat().st_size for one in Path(folder).rglob("*") if one.is_file())


def timed(tool: Tool, python: Path) -> tuple[float, float, float]:
    """Return points a second until the calls returned, until the end, and bytes a point."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = str(Path(name).absolute())
        calls, whole = map(float, last_word(worker(tool, python, folder, "time")))
        return tool.points / calls, tool.points / whole, size_of(folder) / tool.points


def can_be_counted(tool: Tool, python: Path) -> bool:
    """Tell whether all points are found after a proper end: else a kill tells nothing."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = str(Path(name).absolute())
        last_word(worker(tool, python, folder, "time"))
        return last_word(worker(tool, python, folder, "count")) == [str(tool.points)]


def left_by_a_kill(tool: Tool, python: Path) -> float:
    """Return the share of points that are there after a kill -9 behind the last call."""
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = str(Path(name).absolute())
        process = worker(tool, python, folder, "log")
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("LOGGED"):
                break
        process.kill()
        process.wait()
        process.stdout.close()
        time.sleep(3)  # helpers of the tool may go on for a moment
        found = last_word(worker(tool, python, folder, "count"))
        return int(found[0]) / tool.points if found else float("nan")


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", type=Path, required=True)
    environments = parser.parse_args().environments.absolute()
    pythons = {tool: python_of(tool, environments) for tool in TOOLS}
    found: dict[Tool, list[tuple[float, float, float]]] = {}
    for _ in range(ROUNDS):
        for tool, python in pythons.items():
            if python is not None:
                found.setdefault(tool, []).append(timed(tool, python))
    bare = statistics.median(one[0] for one in found[TOOLS[0]])
    print("| tool | points a second | with its end | of a bare append | bytes a point | left |")
    print("|---|---|---|---|---|---|")
    for tool, python in pythons.items():
        if python is None:
            print(f"| {tool.name} | could not be installed | | | | |")
            continue
        calls, whole, size = (
            statistics.median(column) for column in zip(*found[tool], strict=True)
        )
        left = "not measured"
        if can_be_counted(tool, python):
            left = f"{left_by_a_kill(tool, python):.0%}"
        name = f"{tool.name} {version_of(tool, python)}".strip()
        ratio = calls / bare
        print(f"| {name} | {calls:,.0f} | {whole:,.0f} | {ratio:.3g} x | {size:.0f} | {left} |")


if __name__ == "__main__":
    main()
