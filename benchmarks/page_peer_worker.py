"""Fills a store of MLflow or Trackio for `page.py`: 20 parameters, 10 metrics of 10 points a run.

PYTHON benchmarks/page_peer_worker.py mlflow|trackio FOLDER RUNS, with the Python of the tool.
"""

import os
import random
import sys
from pathlib import Path

POINTS = 10
BEGIN_MS = 1_767_225_600_000


def params_of(n):
    return {"lr": 10 ** -(n % 5), "seed": n} | {f"param_{k}": (n * k) % 17 for k in range(18)}


def curves_of(chance):
    return {
        key: [chance.random() / (step + 1) for step in range(POINTS)]
        for key in ("loss", "acc", *(f"metric_{k}" for k in range(8)))
    }


def fill_mlflow(folder, count):
    """Write rows through MLflow's own tables; its client needs minutes for the same."""
    import mlflow
    import sqlalchemy
    from mlflow.store.tracking.dbmodels import models

    address = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(address)
    experiment = mlflow.create_experiment("bench")
    chance, rows = (
        random.Random(7),
        {"runs": [], "params": [], "metrics": [], "latest": [], "tags": []},
    )
    for n in range(count):
        uid, at = f"{n:032x}", BEGIN_MS + n * 60_000
        rows["runs"].append(
            {
                "run_uuid": uid,
                "name": f"run-{n}",
                "source_type": "LOCAL",
                "user_id": "user",
                "status": "FINISHED",
                "start_time": at,
                "end_time": at + 30_000,
                "lifecycle_stage": "active",
                "experiment_id": experiment,
                "artifact_uri": f"{folder}/artifacts/{uid}",
            }
        )
        rows["params"] += [
            {"run_uuid": uid, "key": key, "value": str(value)}
            for key, value in params_of(n).items()
        ]
        rows["tags"] += [
            {"run_uuid": uid, "key": f"mlflow.{key}", "value": value}
            for key, value in (("runName", f"run-{n}"), ("user", "user"), ("source.name", "t.py"))
        ]
        for key, values in curves_of(chance).items():
            points = [
                {
                    "run_uuid": uid,
                    "key": key,
                    "value": value,
                    "timestamp": at + step,
                    "step": step,
                    "is_nan": False,
                }
                for step, value in enumerate(values)
            ]
            rows["metrics"] += points
            rows["latest"].append(points[-1])
    tables = {
        "runs": models.SqlRun,
        "params": models.SqlParam,
        "metrics": models.SqlMetric,
        "latest": models.SqlLatestMetric,
        "tags": models.SqlTag,
    }
    with sqlalchemy.create_engine(address).begin() as connection:
        for name, table in tables.items():
            connection.execute(sqlalchemy.insert(table.__table__), rows[name])


def fill_trackio(folder, count):
    os.environ["TRACKIO_DIR"] = folder
    from trackio.sqlite_storage import SQLiteStorage

    chance = random.Random(7)
    for n in range(count):
        curves = curves_of(chance)
        points = [{key: values[step] for key, values in curves.items()} for step in range(POINTS)]
        SQLiteStorage.bulk_log(
            "bench", f"run-{n}", points, config=params_of(n), run_id=f"{n:032x}"
        )


if __name__ == "__main__":
    tool, folder, count = sys.argv[1:]
    Path(folder).mkdir(parents=True, exist_ok=True)
    {"mlflow": fill_mlflow, "trackio": fill_trackio}[tool](folder, int(count))
