"""What one tool does in `finding_peers.py`: fill a place with runs, and search it.

finding_peer_worker.py TOOL RUNS FOLDER, within the environment of the tool. FOLDER may be the
URL of a database on a PostgreSQL server, which is filled if it is empty. Prints JSON: the
milliseconds and the number of runs found for each question the tool can be asked.
"""

import itertools
import json
import random
import sqlite3
import statistics
import sys
import time
import uuid
import warnings

TOOL, RUNS, FOLDER = sys.argv[1], int(sys.argv[2]), sys.argv[3]
WANTED, ROUNDS, EXPERIMENTS = 20, 5, 10
POINTS = 100
PARAMS = {f"p{n}": n / 10 for n in range(10)}
METRICS = {f"m{n}": n / 10 for n in range(10)}
BEGIN_MS = 1_767_225_600_000  # 2026-01-01


def runs():
    """Yield number, parameters and metrics of each run: the same for every tool."""
    chance = random.Random(7)
    for n in range(1, RUNS + 1):
        model = "rare" if n % 10_000 == 1 else "tree" if n % 4 == 0 else "svm"
        params = {"lr": chance.random(), "model": model, "C": n % 10}
        params |= {f"p{k}": chance.random() for k in range(17)}
        yield n, params, {f"m{k}": chance.random() for k in range(10)}


class Runstore:
    questions = {
        "a parameter, 1 in 4": "params.model = 'tree'",
        "a parameter, 1 in 10,000": "params.model = 'rare'",
        "a number, 1 in 2": "params.lr > 0.5",
        "a metric, 1 in 2": "metrics.m1 > 0.5",
        "a metric, 1 in 10,000": "metrics.m1 > 0.9999",
        "a tag, 1 in 4": "tags.phase = 'pilot'",
        "status, 1 in 50": "status = 'error'",
        "two, 1 in 8": "params.model = 'tree' and metrics.m1 > 0.5",
        "the largest of a metric": "order by metrics.m1 desc",
    }

    def __init__(self):
        from pathlib import Path

        from finding import fill

        from runstore import Store

        fill(Path(FOLDER), RUNS)
        self.store = Store.open(FOLDER)

    def search(self, question):
        return len(tuple(self.store.find(question, limit=WANTED)))


class RunstoreOnServer(Runstore):
    questions = {"the newest": "", **Runstore.questions}

    def __init__(self):
        from team_stores import fill

        from runstore import Store

        self.store = Store.open(FOLDER)
        if not self.store.list(limit=1):
            self.store.close()
            fill(FOLDER, RUNS)
            self.store = Store.open(FOLDER)

    def record(self):
        run = self.store.start("exp_3", params=PARAMS, capture=False)
        run.log(METRICS)
        run.finish()

    def log(self):
        run = self.store.start("exp_3", capture=False)
        begin = time.perf_counter()
        for step in range(POINTS):
            run.log(loss=step / 7)
        spent = time.perf_counter() - begin
        run.finish()
        return spent


class Mlflow:
    questions = {
        "a parameter, 1 in 4": ("params.model = 'tree'", None),
        "a parameter, 1 in 10,000": ("params.model = 'rare'", None),
        "a metric, 1 in 2": ("metrics.m1 > 0.5", None),
        "a metric, 1 in 10,000": ("metrics.m1 > 0.9999", None),
        "a tag, 1 in 4": ("tags.phase = 'pilot'", None),
        "status, 1 in 50": ("attributes.status = 'FAILED'", None),
        "two, 1 in 8": ("params.model = 'tree' and metrics.m1 > 0.5", None),
        "the largest of a metric": ("", ["metrics.m1 DESC"]),
    }

    def __init__(self):
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=f"sqlite:///{FOLDER}/mlflow.db")
        self.experiments = [self.client.create_experiment(f"exp_{n}") for n in range(EXPERIMENTS)]
        self._fill()
        one = self.client.search_runs(self.experiments, "params.C = '3'", max_results=1)[0]
        # Rows written past its own door have to be what it reads.
        assert len(one.data.params) == len(one.data.metrics) + 10 == 20

    def _fill(self):
        """Write its rows in one transaction: through its API a run takes half a second."""
        database = sqlite3.connect(f"{FOLDER}/mlflow.db", isolation_level=None)
        database.execute("PRAGMA synchronous=OFF")
        database.execute("BEGIN")
        for n, params, metrics in runs():
            uid, at = uuid.uuid4().hex, BEGIN_MS + n * 60_000
            status = "FAILED" if n % 50 == 0 else "FINISHED"
            database.execute(
                "INSERT INTO runs (run_uuid, name, source_type, source_name, entry_point_name,"
                " user_id, status, start_time, end_time, source_version, lifecycle_stage,"
                " artifact_uri, experiment_id)"
                " VALUES (?, ?, 'UNKNOWN', '', '', 'u', ?, ?, ?, '', 'active', '', ?)",
                (uid, f"run {n}", status, at, at + 60_000, self.experiments[n % EXPERIMENTS]),
            )
            database.executemany(
                "INSERT INTO params (key, value, run_uuid) VALUES (?, ?, ?)",
                [(key, str(value), uid) for key, value in params.items()],
            )
            for table in ("metrics", "latest_metrics"):
                database.executemany(
                    f"INSERT INTO {table} (key, value, timestamp, step, is_nan, run_uuid)"
                    " VALUES (?, ?, ?, 0, 0, ?)",
                    [(key, value, at, uid) for key, value in metrics.items()],
                )
            tags = [("mlflow.runName", f"run {n}", uid)]
            tags += [("phase", "pilot", uid)] if n % 4 == 1 else []
            database.executemany("INSERT INTO tags (key, value, run_uuid) VALUES (?, ?, ?)", tags)
        database.execute("COMMIT")
        database.execute("ANALYZE")
        database.close()

    def search(self, question):
        where, order = question
        found = self.client.search_runs(
            self.experiments, where, max_results=WANTED, order_by=order
        )
        return len(found)


class MlflowOnServer(Mlflow):
    questions = {"the newest": ("", None), **Mlflow.questions}

    def __init__(self):
        from mlflow import MlflowClient

        self.client = MlflowClient(tracking_uri=FOLDER)
        found = self.client.search_experiments(filter_string="name LIKE 'exp_%'")
        self.experiments = [one.experiment_id for one in found]
        if not self.experiments:
            names = [f"exp_{n}" for n in range(EXPERIMENTS)]
            self.experiments = [self.client.create_experiment(name) for name in names]
            self._fill()
        one = self.client.search_runs(self.experiments, "params.C = '3'", max_results=1)[0]
        # Rows written past its own door have to be what it reads.
        assert len(one.data.params) == len(one.data.metrics) + 10 == 20

    def _fill(self):
        """Write the rows of all runs at once: through its API a run takes tens of milliseconds."""
        import psycopg

        tables = {
            "runs": "run_uuid, name, source_type, source_name, entry_point_name, user_id, status,"
            " start_time, end_time, source_version, lifecycle_stage, artifact_uri, experiment_id",
            "params": "run_uuid, key, value",
            "metrics": "run_uuid, key, value, timestamp, step, is_nan",
            "latest_metrics": "run_uuid, key, value, timestamp, step, is_nan",
            "tags": "run_uuid, key, value",
        }
        with psycopg.connect(FOLDER) as connection, connection.cursor() as cursor:
            for some in in_batches(runs(), 5_000):
                rows = {table: [] for table in tables}
                for n, params, metrics in some:
                    uid, at = uuid.uuid4().hex, BEGIN_MS + n * 60_000
                    status = "FAILED" if n % 50 == 0 else "FINISHED"
                    experiment = self.experiments[n % EXPERIMENTS]
                    rows["runs"].append(
                        (uid, f"run {n}", "UNKNOWN", "", "", "u", status, at, at + 60_000, "",
                         "active", "", experiment)
                    )  # fmt: skip
                    rows["params"] += [(uid, key, value) for key, value in params.items()]
                    points = [(uid, key, value, at, 0, "f") for key, value in metrics.items()]
                    rows["metrics"] += points
                    rows["latest_metrics"] += points
                    rows["tags"].append((uid, "mlflow.runName", f"run {n}"))
                    rows["tags"] += [(uid, "phase", "pilot")] if n % 4 == 1 else []
                for table, columns in tables.items():
                    with cursor.copy(f"COPY {table} ({columns}) FROM STDIN") as target:
                        for row in rows[table]:
                            target.write_row([*map(str, row)])
        with psycopg.connect(FOLDER, autocommit=True) as connection:
            connection.execute("VACUUM ANALYZE")

    def record(self):
        from mlflow.entities import Metric, Param

        uid = self.client.create_run(self.experiments[3]).info.run_id
        self.client.log_batch(
            uid,
            [Metric(key, value, 0, 0) for key, value in METRICS.items()],
            [Param(key, str(value)) for key, value in PARAMS.items()],
        )
        self.client.set_terminated(uid)

    def log(self):
        uid = self.client.create_run(self.experiments[3]).info.run_id
        begin = time.perf_counter()
        for step in range(POINTS):
            self.client.log_metric(uid, "loss", step / 7, step=step)
        spent = time.perf_counter() - begin
        self.client.set_terminated(uid)
        return spent


def in_batches(some, size):
    """Yield lists of at most this size."""
    some = iter(some)
    while batch := list(itertools.islice(some, size)):
        yield batch


class Aim:
    questions = {
        "a parameter, 1 in 4": "run.hparams.model == 'tree'",
        "a parameter, 1 in 10,000": "run.hparams.model == 'rare'",
        "a number, 1 in 2": "run.hparams.lr > 0.5",
        "a tag, 1 in 4": "run.hparams.phase == 'pilot'",
        "two parameters, 1 in 8": "run.hparams.model == 'tree' and run.hparams.lr > 0.5",
    }

    def __init__(self):
        import subprocess
        from pathlib import Path

        from aim import Repo, Run

        Repo(FOLDER, init=True)
        for n, params, metrics in runs():
            run = Run(
                repo=FOLDER, experiment=f"exp_{n % EXPERIMENTS}", log_system_params=False,
                system_tracking_interval=None, capture_terminal_logs=False,
            )  # fmt: skip
            run["hparams"] = params | ({"phase": "pilot"} if n % 4 == 1 else {})
            for key, value in metrics.items():
                run.track(value, name=key)
            run.close()
        # Its search reads an index that is made in the background of its server.
        command = [
            str(Path(sys.executable).with_name("aim")),
            "storage",
            "--repo",
            FOLDER,
            "reindex",
        ]
        subprocess.run(command, input=b"y\n", check=True, capture_output=True)
        self.repo = Repo(FOLDER)

    def search(self, question):
        found = self.repo.query_runs(question, report_mode=0).iter_runs()
        return len(list(itertools.islice(found, WANTED)))


def median_ms(work):
    """Return the median of some calls, in milliseconds; the first one is not counted."""
    times = []
    for _ in range(4 * ROUNDS + 1):
        begin = time.perf_counter()
        work()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times[1:])


def main():
    warnings.simplefilter("ignore")
    is_on_server = "://" in FOLDER
    tools = {
        "runstore": RunstoreOnServer if is_on_server else Runstore,
        "mlflow": MlflowOnServer if is_on_server else Mlflow,
        "aim": Aim,
    }
    tool = tools[TOOL]()
    told = {}
    if is_on_server:
        told["record a run: 10 parameters, 10 metrics"] = [median_ms(tool.record), 1]
        logged = statistics.median(tool.log() for _ in range(ROUNDS))
        told[f"log {POINTS} points, one call each"] = [logged * 1e3, POINTS]
    for name, question in tool.questions.items():
        times, found = [], 0
        for _ in range(ROUNDS):
            begin = time.perf_counter()
            found = tool.search(question)
            times.append((time.perf_counter() - begin) * 1e3)
        told[name] = [statistics.median(times), found]
    print("RESULT " + json.dumps(told))


main()
