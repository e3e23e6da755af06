"""What workers of a pool do, in a module that new processes load quickly."""

import os


def log_as_worker(run, log, number):
    """Log to a run of another process in each way; return the process."""
    log(loss=float(number))
    run.save(f"{number}.txt", str(number).encode())
    run.tags[f"worker{number}"] = "yes"
    run.finish()  # the end belongs to the process that began it
    with run:
        run.log(after=float(number))
    return os.getpid()
