"""What the kernel says of processes: races, refusals, other machines, and no descriptor left."""

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from open_files import open_below
from runstore.capture.machine import process
from runstore.capture.machine.process import (
    current_process,
    descends_from,
    is_gone,
    marks_of_here,
    process_started_ns,
)
from runstore.model.facts import ProcessIdentity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

MACHINE, BOOT, NAMESPACE = "0123456789ab", "this-boot", "4026531836"
HERE = ProcessIdentity("host", f"{MACHINE}/{BOOT}/{NAMESPACE}", os.getpid(), "500")
# A name may hold whatever the fields after it do. Source: proc_pid_stat(5).
STAT = "77 (a) R 1 (b) {state} {parent} 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 {started} 20 21"


@pytest.fixture
def here(monkeypatch):
    """This process as that of a machine with an identity of its own, not of a container."""
    identity = HERE._replace(pid=os.getpid())
    monkeypatch.setattr(process, "_known", {os.getpid(): identity})
    return identity


@pytest.fixture
def kernel(monkeypatch):
    """What files of the kernel's hold, or the error of reading them, by path."""
    files = {}
    opened, reads = os.open, {}

    def open_kernel_file(path, *more, **options):
        if path not in files:
            return opened(path, *more, **options)
        if isinstance(files[path], OSError):
            raise files[path]
        reader, writer = os.pipe()
        os.write(writer, files[path].encode())
        os.close(writer)
        reads[reader] = path
        return reader

    monkeypatch.setattr(os, "open", open_kernel_file)
    monkeypatch.setattr(os, "kill", lambda *_: None)
    return files


def stat_of(*, state="S", parent=1, started="500"):
    return STAT.format(state=state, parent=parent, started=started)


@pytest.mark.parametrize("state", "RSDTtIWKP")
def test_a_process_in_any_other_state_lives(here, kernel, state):
    kernel["/proc/77/stat"] = stat_of(state=state)

    assert is_gone(here._replace(pid=77)) is False


@pytest.mark.parametrize("state", "ZXx")
def test_a_process_that_waits_to_be_reaped_is_gone(here, kernel, state):
    kernel["/proc/77/stat"] = stat_of(state=state)

    assert is_gone(here._replace(pid=77)) is True


def test_a_process_that_began_at_another_time_is_another(here, kernel):
    kernel["/proc/77/stat"] = stat_of(started="501")

    assert is_gone(here._replace(pid=77)) is True
    assert is_gone(here._replace(pid=77, started_ticks=None)) is None, "it may be the same"


@pytest.mark.parametrize(
    "seen",
    [
        FileNotFoundError("it ended in this moment"),
        ProcessLookupError("it ended in this moment"),
        PermissionError("/proc hides it"),
        "",
        "77 (a",
        "77 (a) S 1 2",
    ],
    ids=["no file", "no process", "hidden", "empty", "no name", "cut"],
)
def test_a_process_that_nobody_sees_is_not_judged(here, kernel, seen):
    kernel["/proc/77/stat"] = kernel[f"/proc/{os.getppid()}/stat"] = seen

    assert is_gone(here._replace(pid=77)) is None
    assert descends_from(here._replace(pid=78)) is False


@pytest.mark.parametrize(
    ("refusal", "answer"),
    [(ProcessLookupError(), True), (PermissionError(), False), (OSError(22, "no id"), None)],
    ids=["nobody", "another user's", "odd"],
)
def test_a_signal_says_who_is_there(here, kernel, monkeypatch, refusal, answer):
    def refuse(pid, signal):
        assert (pid, signal) == (77, 0)
        raise refusal

    kernel["/proc/77/stat"] = stat_of()
    monkeypatch.setattr(os, "kill", refuse)

    assert is_gone(here._replace(pid=77)) is answer


def test_a_reboot_ends_what_was_silent_since(here):
    before = here._replace(boot_id=f"{MACHINE}/another-boot/{NAMESPACE}")

    assert is_gone(before) is True
    assert is_gone(before, silent_s=120.5) is True
    assert is_gone(before, silent_s=120) is None, "a clone of this machine may live"


@pytest.mark.parametrize(
    ("hostname", "boot_id"),
    [
        ("elsewhere", f"{MACHINE}/another-boot/{NAMESPACE}"),
        ("host", f"ffffffffffff/another-boot/{NAMESPACE}"),
        ("host", f"/another-boot/{NAMESPACE}"),
        ("host", f"{MACHINE}/another-boot/1"),
        ("host", f"{MACHINE}/{BOOT}/1"),
        ("host", None),
    ],
)
def test_other_machines_and_containers_are_not_judged(here, hostname, boot_id):
    assert is_gone(here._replace(hostname=hostname, boot_id=boot_id)) is None


@pytest.mark.parametrize("mine", [f"/{BOOT}/{NAMESPACE}", f"{MACHINE}/{BOOT}/1"])
def test_a_container_does_not_judge_other_boots(here, monkeypatch, mine):
    monkeypatch.setattr(process, "_known", {os.getpid(): here._replace(boot_id=mine)})
    machine, _, namespace = mine.split("/")

    assert is_gone(here._replace(boot_id=f"{machine}/another-boot/{namespace}")) is None


def test_a_system_without_boot_ids_judges_nobody(here, monkeypatch):
    monkeypatch.setattr(process, "_known", {os.getpid(): here._replace(boot_id=None)})

    assert is_gone(here) is None
    assert marks_of_here() is None
    assert descends_from(here._replace(pid=os.getppid(), boot_id=None)) is False


@pytest.mark.parametrize(
    ("boot_id", "of_machine"),
    [
        (f"{MACHINE}/{BOOT}/{NAMESPACE}", f"{MACHINE}/%"),
        (f"{MACHINE}/{BOOT}/1", ""),
        (f"/{BOOT}/{NAMESPACE}", ""),
    ],
    ids=["machine", "container", "no machine id"],
)
def test_the_marks_of_here_are_those_that_can_be_judged(here, monkeypatch, boot_id, of_machine):
    monkeypatch.setattr(process, "_known", {os.getpid(): here._replace(boot_id=boot_id)})
    _, boot, namespace = boot_id.split("/")

    assert marks_of_here() == ("host", f"%/{boot}/{namespace}", of_machine)


def test_ancestors_are_found_at_any_remove(here, kernel):
    parent = os.getppid()
    kernel[f"/proc/{parent}/stat"] = stat_of(parent=701)
    kernel["/proc/701/stat"] = stat_of(parent=702)
    kernel["/proc/702/stat"] = stat_of(parent=0)

    assert [descends_from(here._replace(pid=pid)) for pid in (parent, 701, 702)] == [True] * 3
    assert descends_from(here._replace(pid=703)) is False
    assert descends_from(here._replace(pid=0)) is False
    assert descends_from(here._replace(pid=None)) is False
    assert descends_from(here._replace(pid=701, boot_id="another/boot/1")) is False


def test_ids_that_are_given_anew_meanwhile_lead_in_no_circle(here, kernel):
    parent = os.getppid()
    kernel[f"/proc/{parent}/stat"] = stat_of(parent=701)
    kernel["/proc/701/stat"] = stat_of(parent=parent)

    assert descends_from(here._replace(pid=702)) is False


def test_the_real_parent_is_an_ancestor_and_a_child_is_none():
    me = current_process()
    with subprocess.Popen(["sleep", "60"]) as child:
        found = [descends_from(me._replace(pid=pid)) for pid in (os.getppid(), child.pid)]
        child.kill()

    assert found == [True, False]


def test_looking_at_processes_leaves_no_descriptor_open(monkeypatch):
    me = current_process()

    for _ in range(3):
        assert is_gone(me) is False
        descends_from(me._replace(pid=2**22 + 1))
    monkeypatch.setattr(os, "read", lambda *_: os.fstat(-1))
    with contextlib.suppress(OSError):
        assert is_gone(me) is None

    assert [one for one in open_below("/proc") if one.endswith("/stat")] == []


def test_an_identity_is_what_the_kernel_says(kernel, monkeypatch):
    monkeypatch.setattr(process, "_known", {})
    kernel["/etc/machine-id"] = "8f9d0c5f\n"
    kernel["/proc/sys/kernel/random/boot_id"] = "this-boot\n"
    kernel[f"/proc/{os.getpid()}/stat"] = stat_of(started="123456")
    namespace = Path("/proc/self/ns/pid").stat().st_ino

    found = current_process()

    assert found == ProcessIdentity(
        os.uname().nodename, f"10b2e7d616f0/this-boot/{namespace}", os.getpid(), "123456"
    )


@pytest.mark.parametrize("text", ["\n", PermissionError("hidden"), FileNotFoundError()])
def test_a_machine_without_an_id_has_none(kernel, monkeypatch, text):
    monkeypatch.setattr(process, "_known", {})
    kernel["/etc/machine-id"] = text

    assert current_process().boot_id.startswith("/")


def test_a_kernel_that_hides_its_boot_is_none(kernel, monkeypatch):
    monkeypatch.setattr(process, "_known", {})
    kernel["/proc/sys/kernel/random/boot_id"] = PermissionError("hidden")
    kernel[f"/proc/{os.getpid()}/stat"] = PermissionError("hidden")

    found = current_process()

    assert (found.boot_id, found.started_ticks) == (None, None)
    assert process_started_ns() is None


def test_one_process_is_remembered(monkeypatch):
    """A program that forks time and again keeps nothing of its ancestors."""
    current_process()
    monkeypatch.setattr(os, "getpid", lambda: 2**22 + 1)

    current_process()

    assert list(process._known) == [2**22 + 1]
    process._known.clear()


def test_a_process_began_so_many_ticks_after_the_boot(here, monkeypatch):
    clocks = {time.CLOCK_BOOTTIME: 90 * 10**9, time.CLOCK_REALTIME: 1_000_000 * 10**9}
    monkeypatch.setattr(time, "clock_gettime_ns", clocks.get)
    monkeypatch.setattr(os, "sysconf", {"SC_CLK_TCK": 100}.get)

    # 500 ticks are cut off: it began 5 to 5.01 seconds after the boot, 90 seconds ago.
    assert process_started_ns() == (1_000_000 - 90) * 10**9 + 5_010_000_000
