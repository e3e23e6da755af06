"""The machine: name, platform, processors, memory, GPUs."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

from runstore.model.facts import Facts, FactValue

_GPU_TIMEOUT_S = 10.0
_CPU_INFO = Path("/proc/cpuinfo")
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def host_basics(*, has_python: bool = True) -> Facts:
    """Return `host.name`, `host.system` and `python.version`, which cost nothing.

    Args:
        has_python: Whether the program runs in this Python.
    """
    values: dict[str, FactValue] = {
        "host.name": os.uname().nodename,
        "host.system": sys.platform,
    }
    if has_python:
        values["python.version"] = ".".join(map(str, sys.version_info[:3]))
    return Facts(values=values)


def host_details() -> Facts:
    """Return platform, processor model, cores, memory and GPUs."""
    import platform

    values: dict[str, FactValue] = {
        "host.platform": platform.platform(),
        "host.machine": platform.machine(),
    }
    unknown: dict[str, str] = {}
    cores = os.cpu_count()
    if cores is None:
        unknown["host.cpu_count"] = "the system does not provide it"
    else:
        values["host.cpu_count"] = cores
    if hasattr(os, "sched_getaffinity"):
        values["host.cpu_usable"] = len(os.sched_getaffinity(0))
    model = _cpu_model()
    if model:
        values["host.cpu_model"] = model
    else:
        unknown["host.cpu_model"] = "the system does not provide it"
    memory = _memory_bytes()
    if memory is None:
        unknown["host.memory_bytes"] = "the system does not provide it"
    else:
        values["host.memory_bytes"] = memory
    limit = _memory_limit_bytes()
    if limit is not None and (memory is None or limit < memory):
        values["host.memory_limit_bytes"] = limit
    return Facts(values=values, unknown=unknown).merged(_gpus())


def _cpu_model() -> str:
    import platform

    with suppress(OSError), _CPU_INFO.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip().lower() in {"model name", "hardware", "cpu model"}:
                return value.strip()
    return platform.processor()


def _memory_bytes() -> int | None:
    try:
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, ValueError, OSError):
        return None


def _memory_limit_bytes() -> int | None:
    """Return the memory limit of a container, if there is one."""
    for file in _CGROUP_LIMITS:
        with suppress(OSError, ValueError):
            return int(file.read_text(encoding="ascii"))
    return None


def _tool(name: str) -> str | None:
    """Return the path of a program; loading `shutil` for that takes long."""
    places = (os.path.join(folder, name) for folder in os.get_exec_path())  # noqa: PTH118 - texts
    return next((one for one in places if os.path.isfile(one) and os.access(one, os.X_OK)), None)  # noqa: PTH113 - the same


def _gpus() -> Facts:
    """Return `gpu.names` and `gpu.driver`, if `nvidia-smi` is installed."""
    import subprocess

    tool = _tool("nvidia-smi")
    if tool is None:
        return Facts(unknown={"gpu.names": "nvidia-smi is not installed"})
    try:
        answer = subprocess.run(
            [tool, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_GPU_TIMEOUT_S,
            stdin=subprocess.DEVNULL,
            check=True,
        ).stdout
    except subprocess.TimeoutExpired:
        return Facts(unknown={"gpu.names": f"nvidia-smi took over {_GPU_TIMEOUT_S:g} s"})
    except (OSError, subprocess.CalledProcessError) as error:
        return Facts(unknown={"gpu.names": f"nvidia-smi failed: {error}"})
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines() if line]
    values: dict[str, FactValue] = {"gpu.names": tuple(row[0] for row in rows)}
    if rows and len(rows[0]) == 3:  # noqa: PLR2004 - the columns asked for
        values["gpu.driver"] = rows[0][1]
        values["gpu.memory"] = tuple(row[2] for row in rows)
    return Facts(values=values)
