"""Typical user code: what a type checker says of it is what users see."""

from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import runstore


@dataclass
class Settings:
    lr: float = 0.1
    layers: int = 2


def train(folder: Path) -> str:
    """Record a run as a block."""
    with runstore.start_run("mnist", params={"lr": 0.1}, notes="first", store=folder) as run:
        run.edit(notes="better")
        run.log(loss=0.5)
        run.log({"val/loss": 0.25}, step=3)
    return run.reference


@runstore.start_run("decorated", params=Settings())
def decorated(steps: int) -> float:
    """Be a run of its own at each call."""
    return steps * 0.5


@runstore.recorded("awaited", params=Settings())
async def awaited(steps: int) -> float:
    """Be a run of its own at each call."""
    return steps * 0.5


def read(folder: Path) -> dict[str, Any]:
    """Read runs back."""
    with runstore.Store.open(folder) as store:
        newest: runstore.Run = store.get("latest")
        page: runstore.Page[runstore.Run] = store.list("mnist", limit=20)
        known = [one.reference for one in page]
        by_hand: runstore.ActiveRun = store.start("mnist", params=[Settings(), Settings(lr=0.2)])
        by_hand.finish(runstore.Status.COMPLETE)
        past: runstore.Run = store.record(
            "mnist",
            started_at=datetime(2025, 3, 1, tzinfo=timezone.utc),
            ended_at="2025-03-02T00:00:00Z",
            status=runstore.Status.PRUNED,
            metrics={"loss": [0.5, 0.4], ("default", "acc"): 0.9},
            artifacts={"log.txt": b"", "model.bin": folder / "model.bin"},
            error=ValueError("no"),
            parent=newest,
        )
        past = store.add(past, metrics={"acc": 0.9}, artifacts={"plot.png": folder / "plot.png"})
        known.append(past.reference)
        half: float = decorated(3)
        return {"lr": newest.params["lr"], "known": known, "half": half}


class Manager:
    """Anything with a manager's attributes."""

    experiment_name = "mnist"
    experiment_run_number = 0


def blocks(folder: str) -> list[dict[str, Any]]:
    """Keep metadata blocks."""
    store = runstore.ManagerStore(folder)
    store.add_run(Manager())
    block, index = store.get_run("mnist_1_2026-11-23-T101500")
    if block is not None and index >= 0:
        block["notes"] = "edited"
        store.save()
    return store.get_experiment_runs("mnist")
