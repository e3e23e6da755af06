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
        self._cards = _Cards()

    def read(self) -> str:
        """Return the load of the machine in a line."""
        parts = [*self._processor()]
        with suppress(OSError, AttributeError):  # no such number on this system
            parts.append(f"load {os.getloadavg()[0]:.1f}")
        if (memory := self._memory()) is not None:
            used, total = memory
            parts.append(f"memory {used / _GIB:.1f} of {total / _GIB:.1f} GiB")
        return "  |  ".join([*parts, *self._cards.read()])

    def close(self) -> None:
        """End the reading of graphics cards."""
        self._cards.close()

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


class _Cards:
    """Reads graphics cards from `nvidia-smi`, which may take seconds and is never waited for."""

    def __init__(self) -> None:
        self._tool = shutil.which("nvidia-smi")
        self._process: subprocess.Popen[str] | None = None
        self._started_at = -_GPU_EVERY_S
        self._found: tuple[str, ...] = ()

    def read(self) -> tuple[str, ...]:
        """Return the last known load of each card."""
        if self._process is not None and self._process.poll() is not None:
            self._found = tuple(_cards_in(self._process.communicate()[0]))
            self._process = None
        if self._tool and time.monotonic() - self._started_at >= _GPU_EVERY_S:
            self._started_at = time.monotonic()
            self._start(self._tool)
        return self._found

    def close(self) -> None:
        """End the tool if it is still running."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def _start(self, tool: str) -> None:
        self.close()  # a driver may hang
        try:
            self._process = subprocess.Popen(
                [tool, _GPU_QUERY, "--format=csv,noheader,nounits"],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                errors="replace",
            )
        except OSError:
            self._tool = None


def _cards_in(text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines()):
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
