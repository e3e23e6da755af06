"""Resources of a running program: processor, memory, disk, network, graphics cards.

Needs psutil, and nvidia-ml-py for graphics cards; without them there are no samples.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from runstore.errors import attempt

# The share of one core that sampling may take.
_COST_SHARE = 0.005


class SystemProbe:
    """Samples the resources of this process and its descendants.

    Rates are over the time since the previous sample, so the first sample has none.
    """

    def __init__(self) -> None:
        self._psutil = _imported("psutil")
        self._nvml = _started_nvml()
        self._root = None if self._psutil is None else self._psutil.Process(os.getpid())
        self._at = 0.0
        self._due_at = 0.0
        # Last known use by process.
        self._used: dict[tuple[int, float], tuple[float, int, int]] = {}
        self._network: tuple[int, int] | None = None

    def sample(self) -> dict[str, float]:
        """Return values by metric key; unknown ones are left out.

        If sampling would use more than half a percent of a core, the result is empty.
        """
        now = time.monotonic()
        if now < self._due_at or (self._psutil is None and self._nvml is None):
            return {}
        began = time.thread_time()
        values: dict[str, float] = {}
        elapsed = now - self._at if self._at else 0.0
        self._at = now
        # Libraries and drivers may raise anything: the others are read all the same.
        for read in (partial(self._processes, elapsed), partial(self._host, elapsed), self._cards):
            values.update(attempt(read, _nothing))
        self._due_at = now + (time.thread_time() - began) / _COST_SHARE
        return values

    def _processes(self, elapsed: float) -> dict[str, float]:
        if self._psutil is None or self._root is None:
            return {}
        used: dict[tuple[int, float], tuple[float, int, int]] = {}
        memory = 0
        for process in [self._root, *self._root.children(recursive=True)]:
            with suppress(self._psutil.Error), process.oneshot():
                times = process.cpu_times()
                read, written = _disk_use(process)
                name = process.pid, process.create_time()
                used[name] = times.user + times.system, read, written
                memory += process.memory_info().rss
        before, self._used = self._used, used
        values = {"system/memory_bytes": float(memory)}
        if elapsed and before:
            # A new process has used all of it since; one that ended is not counted.
            spent = [0.0, 0.0, 0.0]
            for name, now in used.items():
                for place, value in enumerate(now):
                    spent[place] += max(0.0, value - before.get(name, (0.0, 0, 0))[place])
            values["system/cpu_percent"] = 100 * spent[0] / elapsed
            if hasattr(self._root, "io_counters"):
                values["system/disk_read_bytes_per_s"] = spent[1] / elapsed
                values["system/disk_written_bytes_per_s"] = spent[2] / elapsed
        return values

    def _host(self, elapsed: float) -> dict[str, float]:
        if self._psutil is None:
            return {}
        values = {"system/host_memory_percent": float(self._psutil.virtual_memory().percent)}
        counted = self._psutil.net_io_counters()
        if counted is not None:
            before, self._network = self._network, (counted.bytes_recv, counted.bytes_sent)
            if before and elapsed:
                names = ("received", "sent")
                for name, now, then in zip(names, self._network, before, strict=True):
                    key = f"system/network_{name}_bytes_per_s"
                    values[key] = max(0, now - then) / elapsed
        return values

    def _cards(self) -> dict[str, float]:
        """Return the state of the visible cards."""
        values: dict[str, float] = {}
        if self._nvml is None:
            return values
        nvml = self._nvml
        asked: dict[str, Callable[[Any], float]] = {
            "utilization_percent": lambda card: nvml.nvmlDeviceGetUtilizationRates(card).gpu,
            "memory_bytes": lambda card: nvml.nvmlDeviceGetMemoryInfo(card).used,
            "power_w": lambda card: nvml.nvmlDeviceGetPowerUsage(card) / 1000,
            "temperature_c": lambda card: nvml.nvmlDeviceGetTemperature(card, 0),
        }
        for number, card in enumerate(_visible_cards(nvml)):
            place = f"system/gpu{number}"
            for key, ask in asked.items():
                with suppress(nvml.NVMLError):  # not every card supports everything
                    values[f"{place}/{key}"] = float(ask(card))
        return values


def _nothing(_error: Exception) -> dict[str, float]:
    return {}


def _imported(name: str) -> Any:
    """Return a module; None if it is missing, or broken on this machine."""
    import importlib

    return attempt(lambda: importlib.import_module(name), lambda _: None)


def _started_nvml() -> Any:
    """Return NVIDIA's library, initialized; None without it or without a driver."""
    found = _imported("pynvml")
    if found is None:
        return None
    return attempt(lambda: (found.nvmlInit(), found)[1], lambda _: None)


def _visible_cards(nvml: Any) -> list[Any]:
    """Return the cards of CUDA_VISIBLE_DEVICES, in its order: by number or by UUID.

    Source: CUDA C++ Programming Guide, environment variables: names after an invalid one are
    ignored.
    """
    cards = [nvml.nvmlDeviceGetHandleByIndex(n) for n in range(nvml.nvmlDeviceGetCount())]
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is None:
        return cards
    found: list[Any] = []
    uuids = [_text(nvml.nvmlDeviceGetUUID(card)) for card in cards]
    for word in (one.strip() for one in chosen.split(",")):
        matching = [card for card, uuid in zip(cards, uuids, strict=True) if uuid.startswith(word)]
        if word.isdigit() and int(word) < len(cards):
            found.append(cards[int(word)])
        elif word and len(matching) == 1:
            found.append(matching[0])
        else:
            break
    return found


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _disk_use(process: Any) -> tuple[int, int]:
    """Return bytes read from and written to disks; zeros if unknown."""

    def counted() -> tuple[int, int]:
        found = process.io_counters()
        return found.read_bytes, found.write_bytes

    return attempt(counted, lambda _: (0, 0))  # the errors differ between systems
