"""What one tool does in `peers.py`: log points one call each, or count what is kept.

peer_worker.py TOOL time|log|count POINTS FOLDER
"""

import os
import struct
import sys
import time

TOOL, WORK, POINTS, FOLDER = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]


class BareAppend:
    """A line of JSON a point, unbuffered."""

    def __init__(self):
        self.path = f"{FOLDER}/points.jsonl"
        self.file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def log(self, step):
        os.write(self.file, b'{"key":"loss","step":%d,"value":0.5}\n' % step)

    def finish(self):
        os.fsync(self.file)

    @staticmethod
    def count():
        with open(f"{FOLDER}/points.jsonl", "rb") as file:
            return sum(1 for _ in file)


class Runstore:
    def __init__(self):
        import runstore

        self.run = runstore.Store.open(f"{FOLDER}/store").start("bench", capture=False)
        record = self.run.log
        self.log = lambda step: record(loss=0.5)

    def finish(self):
        self.run.finish()

    @staticmethod
    def count():
        import runstore

        return runstore.Store.open(f"{FOLDER}/store").get("bench#1").metrics["loss"].count


class Trackio:
    def __init__(self):
        import trackio

        self.trackio = trackio
        trackio.init(project="bench", name="run", embed=False)

    def log(self, step):
        self.trackio.log({"loss": 0.5})

    def finish(self):
        self.trackio.finish()

    @staticmethod
    def count():
        from trackio.sqlite_storage import SQLiteStorage

        return len(SQLiteStorage.get_logs("bench", "run"))


class Wandb:
    def __init__(self):
        import wandb

        self.run = wandb.init(project="bench", dir=FOLDER, mode="offline")

    def log(self, step):
        self.run.log({"loss": 0.5})

    def finish(self):
        self.run.finish()

    @staticmethod
    def count():
        from pathlib import Path

        from wandb.proto.wandb_internal_pb2 import Record

        (path,) = Path(FOLDER).rglob("*.wandb")
        return sum(
            Record.FromString(data).WhichOneof("record_type") == "history"
            for data in log_records(path.read_bytes())
        )


class Aim:
    def __init__(self):
        from aim import Run

        self.run = Run(repo=FOLDER, experiment="bench", system_tracking_interval=None)

    def log(self, step):
        self.run.track(0.5, name="loss", step=step)

    def finish(self):
        self.run.close()

    @staticmethod
    def count():
        return -1  # its own readers gave nothing back, not even after a proper end


class Mlflow:
    def __init__(self):
        from mlflow import MlflowClient

        self.client = MlflowClient(f"sqlite:///{FOLDER}/mlflow.db")
        experiment = self.client.create_experiment("bench", f"{FOLDER}/artifacts")
        self.run_id = self.client.create_run(experiment).info.run_id

    def log(self, step):
        self.client.log_metric(self.run_id, "loss", 0.5, step=step)

    def finish(self):
        self.client.set_terminated(self.run_id)

    @staticmethod
    def count():
        from mlflow import MlflowClient

        client = MlflowClient(f"sqlite:///{FOLDER}/mlflow.db")
        (run,) = client.search_runs([client.get_experiment_by_name("bench").experiment_id])
        return len(client.get_metric_history(run.info.run_id, "loss"))


def log_records(data):
    """Yield the whole records of a log as LevelDB writes it: blocks of 32 KiB."""
    at, parts = 7, []  # the file's own head is a part of the first block
    while at + 7 <= len(data):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        _, size, kind = struct.unpack_from("<IHB", data, at)
        parts.append(data[at + 7 : at + 7 + size])
        at += 7 + size
        if at > len(data):
            return
        if kind in (1, 4):  # a whole record, or the last part of one
            yield b"".join(parts)
            parts = []


KINDS = {
    "bare append": BareAppend,
    "runstore": Runstore,
    "trackio": Trackio,
    "wandb": Wandb,
    "aim": Aim,
    "mlflow": Mlflow,
}


def main():
    """Do the work, and print `RESULT` with what came out."""
    kind = KINDS[TOOL]
    if WORK == "count":
        print("RESULT", kind.count(), flush=True)
        return
    run = kind()
    log = run.log
    log(0)  # what a tool makes at its first point is not counted
    begin = time.perf_counter()
    for step in range(1, POINTS):
        log(step)
    calls = time.perf_counter() - begin
    if WORK == "log":
        print("LOGGED", flush=True)
        time.sleep(60)
    run.finish()
    print("RESULT", calls, time.perf_counter() - begin, flush=True)


if __name__ == "__main__":
    main()
