"""The folder that the program was started in; noted when runstore is first imported.

Programs change their working directory: Hydra and Ray Tune for every job, many scripts to reach
their data. Settings that were made for the whole program mean the folder that it started in.
"""

from __future__ import annotations

import os

try:
    STARTED_IN: str | None = os.getcwd()  # noqa: PTH109 - `import runstore` stays light
except OSError:  # it was deleted
    STARTED_IN = None
