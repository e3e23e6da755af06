"""Samples of the machine: real processes, whatever is installed."""

import os
import subprocess
import sys
import time

import pytest

from runstore import Store
from runstore.capture.machine.system import SystemProbe
from runstore.config import is_on
from runstore.recording import live_runs

BUSY = "import time\nend = time.time() + 60\nwhile time.time() < end: sum(range(1000))"
# Plays NVIDIA's library where there is no card: three cards, of which the third tells no power.
NVML = """
class NVMLError(Exception): pass
class _Rates: gpu = 42
class _Memory: used = 1000
def nvmlInit(): pass
def nvmlDeviceGetCount(): return 3
def nvmlDeviceGetHandleByIndex(n): return n
def nvmlDeviceGetUUID(n): return f"GPU-{n}aaaa"
def nvmlDeviceGetUtilizationRates(n): return _Rates
def nvmlDeviceGetMemoryInfo(n): return _Memory
def nvmlDeviceGetPowerUsage(n):
    if n == 2: raise NVMLError("not supported")
    return 150_000 + n
def nvmlDeviceGetTemperature(n, kind): return 50 + n
"""


@pytest.fixture
def eager():
    """A probe that may be asked at once, whatever it costs."""
    pytest.importorskip("psutil")
    probe = SystemProbe()

    def sample():
        probe._due_at = 0.0
        return probe.sample()

    return sample


def test_children_are_counted(eager):
    first = eager()
    child = subprocess.Popen([sys.executable, "-c", BUSY])
    deadline = time.monotonic() + 60
    while (second := eager())["system/cpu_percent"] <= 10 and time.monotonic() < deadline:
        time.sleep(0.05)
    child.kill()
    child.wait()
    third = eager()

    assert "system/cpu_percent" not in first
    assert second["system/cpu_percent"] > 10
    assert second["system/memory_bytes"] > third["system/memory_bytes"] > 1_000_000
    assert third["system/cpu_percent"] >= 0
    assert 0 < first["system/host_memory_percent"] <= 100
    assert all(value >= 0 for sample in (first, second, third) for value in sample.values())


def test_asked_too_often_it_gives_nothing():
    pytest.importorskip("psutil")
    probe = SystemProbe()

    assert probe.sample()
    assert probe.sample() == {}


def sampled_in_a_child(folder, code, **environment):
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
    )
    return ended.stdout.split()


CARDS = (
    "from runstore.capture.machine.system import SystemProbe\n"
    "for key, value in sorted(SystemProbe().sample().items()):\n"
    "    if 'gpu' in key: print(f'{key}={value:g}')"
)


def test_cards_that_are_visible_are_sampled(tmp_path):
    (tmp_path / "pynvml.py").write_text(NVML)

    told = sampled_in_a_child(tmp_path, CARDS, CUDA_VISIBLE_DEVICES="2,GPU-1")

    assert told == [
        "system/gpu0/memory_bytes=1000",
        "system/gpu0/temperature_c=52",
        "system/gpu0/utilization_percent=42",
        "system/gpu1/memory_bytes=1000",
        "system/gpu1/power_w=150.001",
        "system/gpu1/temperature_c=51",
        "system/gpu1/utilization_percent=42",
    ]
    assert sampled_in_a_child(tmp_path, CARDS, CUDA_VISIBLE_DEVICES="-1") == []


def test_without_libraries_there_is_nothing_and_no_error(tmp_path):
    for name in ("psutil", "pynvml"):
        (tmp_path / f"{name}.py").write_text("raise RuntimeError('broken')")

    code = "from runstore.capture.machine.system import SystemProbe; print(SystemProbe().sample())"

    assert sampled_in_a_child(tmp_path, code) == ["{}"]


def test_a_run_logs_what_its_machine_does(tmp_path, monkeypatch):
    pytest.importorskip("psutil")
    monkeypatch.setenv("RUNSTORE_SYSTEM_SAMPLES", "1")
    # A probe that was slow before, in another test, would leave this sample out.
    monkeypatch.setattr(live_runs._current(), "_probe", None)
    with Store.open(tmp_path) as store, store.start("long", capture=False) as run:
        live_runs._current()._sample()
        assert run.record.metrics["system/memory_bytes"].count == 1


@pytest.mark.parametrize(
    ("variable", "setting", "wanted"),
    [("", "", True), ("0", "", False), ("", "false", False), ("1", "false", True)],
)
def test_samples_can_be_turned_off(tmp_path, monkeypatch, variable, setting, wanted):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNSTORE_SYSTEM_SAMPLES", variable)
    if setting:
        (tmp_path / "pyproject.toml").write_text(f"[tool.runstore]\nsystem-samples = {setting}\n")

    assert is_on("system-samples") is wanted


def test_a_short_run_loads_nothing_for_it(tmp_path):
    code = (
        "import sys, runstore\n"
        f"runstore.start_run('short', store={str(tmp_path / 'store')!r}).finish()\n"
        "print('psutil' in sys.modules)"
    )

    assert sampled_in_a_child(tmp_path, code) == ["False"]
