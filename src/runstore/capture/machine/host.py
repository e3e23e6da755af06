"""The machine: name, platform, processors, memory, GPUs."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

from runstore.capture.child_process import environment, output_of
from runstore.errors import genuine, suppressed
from runstore.model.facts import Facts, FactValue

_GPU_TIMEOUT_S = 10.0
_UNAME_TIMEOUT_S = 2.0
_LINE_BYTES = 1 << 12
# Characters that `platform.platform` keeps.
_PLAIN = frozenset("-+._~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CPU_INFO = Path("/proc/cpuinfo")
_CGROUP_LIMITS = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


def host_basics(*, has_python: bool = True) -> Facts:
    """Return `host.name`, `host.system` and `python.version`, which cost nothing.

    Python is left out if another process runs the program.
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
    values: dict[str, FactValue] = {
        "host.platform": _platform(),
        "host.machine": os.uname().machine,
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


@functools.lru_cache(maxsize=1)
def _platform() -> str:
    """Return `platform.platform()`, usually without that module, which takes long to load."""
    about, libc = os.uname(), _libc()
    text = f"{about.sysname}-{about.release}-{about.machine}-with-{libc}"
    is_plain = "--" not in text and "unknown" not in text and not set(text) - _PLAIN
    if libc and is_plain and _processor() in {"", about.machine}:
        return text
    import platform

    return platform.platform()


def _libc() -> str:
    """Return name and version of the C library of Linux; empty if it does not tell."""
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").replace(" ", "", 1)
    except genuine(AttributeError, ValueError, OSError):
        return ""


@functools.lru_cache(maxsize=1)
def _processor() -> str:
    """Return `platform.processor()`. Source: Python 3.13, its class `_Processor`."""
    if sys.platform != "linux":
        import platform

        return platform.processor()
    try:
        answer = output_of(
            ["uname", "-p"], environment(), limit_bytes=_LINE_BYTES, timeout_s=_UNAME_TIMEOUT_S
        )
    except genuine(OSError):
        return ""
    text = "" if answer is None else answer.output.decode("utf-8", "replace").strip()
    return "" if text == "unknown" else text


def _cpu_model() -> str:
    with suppressed(OSError), _CPU_INFO.open(encoding="utf-8", errors="replace") as lines:
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip().lower() in {"model name", "hardware", "cpu model"}:
                return value.strip()
    return _processor()


def _memory_bytes() -> int | None:
    try:
        return int(os.sysconf("SC_PHYS_PAGES")) * int(os.sysconf("SC_PAGE_SIZE"))
    except genuine(AttributeError, ValueError, OSError):
        return None


def _memory_limit_bytes() -> int | None:
    """Return the memory limit of a container, if there is one."""
    for file in _CGROUP_LIMITS:
        with suppressed(OSError, ValueError):
            return int(file.read_bytes())
    return None


def _tool(name: str) -> str | None:
    """Return the path of a program; loading `shutil` for that takes long."""
    places = (os.path.join(folder, name) for folder in os.get_exec_path())  # noqa: PTH118 - texts
    return next((one for one in places if os.path.isfile(one) and os.access(one, os.X_OK)), None)  # noqa: PTH113 - the same


def _gpus() -> Facts:
    """Return `gpu.names` and `gpu.driver`, if `nvidia-smi` is installed."""
    tool = _tool("nvidia-smi")
    if tool is None:
        return Facts(unknown={"gpu.names": "nvidia-smi is not installed"})
    import subprocess

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
    except genuine(OSError, subprocess.CalledProcessError) as error:
        return Facts(unknown={"gpu.names": f"nvidia-smi failed: {error}"})
    rows = [[cell.strip() for cell in line.split(",")] for line in answer.splitlines() if line]
    values: dict[str, FactValue] = {"gpu.names": tuple(row[0] for row in rows)}
    if rows and len(rows[0]) == 3:  # noqa: PLR2004 - the columns asked for
        values["gpu.driver"] = rows[0][1]
        values["gpu.memory"] = tuple(row[2] for row in rows)
    return Facts(values=values)
