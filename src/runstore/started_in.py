"""The working directory of the program's start, recorded on the first import of runstore.

Programs change their working directory: Hydra and Ray Tune for every job, many scripts to reach
their data. Settings for the whole program refer to the folder in which it started.
"""

from __future__ import annotations

import os

try:
    STARTED_IN: str | None = os.getcwd()  # noqa: PTH109 - `import runstore` stays light
except OSError:  # it was deleted
    STARTED_IN = None
