"""The load of this machine, read cheaply at each refresh."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

_STAT, _MEMORY = Path("/proc/stat"), Path("/proc/meminfo")
_GIB = 1 << 30
_GPU_EVERY_S = 5.0
_GPU_PATIENCE_S = 2.0
_GPU_QUERY = "--query-gpu=utilization.gpu,memory.used,memory.total"
_GPU_NUMBERS = 3
_Times = tuple[float, float]  # busy and total processor time


class Machine:
    """Reads processor, memory, load and graphics cards; one thread at a time.

    Numbers come from /proc, or from psutil if it is installed; unknown ones are left out.
    """

    def __init__(self) -> None:
        self._psutil: Any = None if _STAT.exists() else _imported_psutil()
        self._times: _Times | None = None
        self._has_gpus = shutil.which("nvidia-smi") is not None
        self._gpus: tuple[str, ...] = ()
        self._gpus_at = -_GPU_EVERY_S

    def read(self) -> str:
        """Return the load of the machine in a line."""
        parts = [*self._processor()]
        with suppress(OSError, AttributeError):  # no such number on this system
            parts.append(f"load {os.getloadavg()[0]:.1f}")
        if (memory := self._memory()) is not None:
            used, total = memory
            parts.append(f"memory {used / _GIB:.1f} of {total / _GIB:.1f} GiB")
        return "  |  ".join([*parts, *self._graphics()])

    def _processor(self) -> Iterator[str]:
        """Yield the share of processor time since the last reading, once there was one."""
        before, self._times = self._times, self._read_times()
        if before is None or self._times is None:
            return
        busy, total = (now - then for now, then in zip(self._times, before, strict=True))
        if total > 0:
            cores = os.cpu_count() or 1
            yield f"CPU {min(1.0, max(0.0, busy / total)):.0%} of {cores} cores"

    def _read_times(self) -> _Times | None:
        with suppress(OSError, ValueError, IndexError):
            if self._psutil is not None:
                times = self._psutil.cpu_times()
                return sum(times) - times.idle, sum(times)
            # Source: man 5 proc. Guest time is counted within user time already.
            numbers = [float(one) for one in _STAT.read_text().split("\n", 1)[0].split()[1:9]]
            return sum(numbers) - numbers[3] - numbers[4], sum(numbers)
        return None

    def _memory(self) -> tuple[float, float] | None:
        """Return used and total memory in bytes."""
        with suppress(OSError, ValueError, KeyError):
            if self._psutil is not None:
                found = self._psutil.virtual_memory()
                return found.total - found.available, found.total
            lines = (line.split(":") for line in _MEMORY.read_text().splitlines())
            sizes = {name: float(text.split()[0]) * 1024 for name, text in lines}
            return sizes["MemTotal"] - sizes["MemAvailable"], sizes["MemTotal"]
        return None

    def _graphics(self) -> tuple[str, ...]:
        """Return the load of each graphics card; the tool is slow, so it is asked rarely."""
        if self._has_gpus and time.monotonic() - self._gpus_at >= _GPU_EVERY_S:
            self._gpus = tuple(_gpus())
            self._gpus_at = time.monotonic()
        return self._gpus


def _gpus() -> Iterator[str]:
    command = ["nvidia-smi", _GPU_QUERY, "--format=csv,noheader,nounits"]
    try:
        asked = subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=_GPU_PATIENCE_S
        )
    except (OSError, subprocess.SubprocessError):  # no driver, or a hanging one
        return
    for number, line in enumerate(asked.stdout.splitlines()):
        parts = [one.strip() for one in line.split(",")]
        if len(parts) == _GPU_NUMBERS and all(one.isdigit() for one in parts):
            used, total = (int(one) / 1024 for one in parts[1:])
            yield f"GPU {number} {parts[0]}% {used:.1f} of {total:.1f} GiB"


def _imported_psutil() -> Any:
    try:
        import psutil
    except ImportError:
        return None
    return psutil
