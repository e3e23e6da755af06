"""The identity of this process, and proof that another one is gone."""

from __future__ import annotations

import os
import sys
import time

from runstore.errors import genuine, suppressed
from runstore.model.facts import ProcessIdentity
from runstore.model.values import sha256

# The namespace that the kernel itself starts in. Source: Linux, include/linux/proc_ns.h.
_INITIAL_NAMESPACE = "4026531836"
# A running machine writes a heartbeat every ten seconds; so would its clone.
REBOOT_SILENCE_S = 120.0
_DEAD_STATES = frozenset("ZXx")

_known: dict[int, ProcessIdentity] = {}


def current_process() -> ProcessIdentity:
    """Return the identity of this process; read once, also after a fork."""
    pid = os.getpid()
    identity = _known.get(pid)
    if identity is None:
        _known.clear()
        started = _start_and_state(pid)
        identity = _known[pid] = ProcessIdentity(
            hostname=os.uname().nodename,
            boot_id=_boot_id(),
            pid=pid,
            started_ticks=started[0] if started else None,
        )
    return identity


def is_gone(identity: ProcessIdentity, *, silent_s: float = float("inf")) -> bool | None:
    """Check whether a process has ended.

    True only if that is proved: on the same boot and in the same process namespace, if its process
    id is free, belongs to another process, or to a zombie; on the same machine, if the machine was
    rebooted. Machines are identified by host name and machine id together; in a container neither
    identifies the machine, so another boot proves nothing there. None if it is unknown.

    Args:
        identity: The process in question.
        silent_s: Seconds since its last sign of life. After a reboot it must have been silent for
            a while, because a machine cloned with its machine id may still run it.
    """
    if identity.boot_id is None or identity.pid is None:
        return None
    here = current_process()
    if here.boot_id is None:
        return None
    machine, boot, namespace = _parts(identity.boot_id)
    my_machine, my_boot, my_namespace = _parts(here.boot_id)
    if boot == my_boot:
        return _is_gone_here(identity) if namespace == my_namespace else None
    is_same_machine = (
        bool(machine)
        and (machine, identity.hostname) == (my_machine, here.hostname)
        and namespace == my_namespace == _INITIAL_NAMESPACE
    )
    return True if is_same_machine and silent_s > REBOOT_SILENCE_S else None


def marks_of_here() -> tuple[str, str, str] | None:
    """Return marks of the processes that `is_gone` can judge here; None if there are none.

    They are a host name, and two LIKE patterns for boot ids: for this boot and namespace on any
    host, and for this machine on that host.
    """
    here = current_process()
    if here.boot_id is None:
        return None
    machine, boot, namespace = _parts(here.boot_id)
    knows_machine = machine and namespace == _INITIAL_NAMESPACE
    return here.hostname, f"%/{boot}/{namespace}", f"{machine}/%" if knows_machine else ""


def _is_gone_here(identity: ProcessIdentity) -> bool | None:
    """Check a process id of this boot and namespace."""
    pid = identity.pid
    if pid is None:
        return None
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # it exists, and belongs to another user
    except genuine(OSError):
        return None
    return _is_another(identity, _start_and_state(pid))


def _is_another(identity: ProcessIdentity, seen: tuple[str, str] | None) -> bool | None:
    """Compare the process that has this id now by start time and state."""
    if seen is None:
        return None  # it exists, but /proc hides it
    started, state = seen
    if state in _DEAD_STATES:
        return True
    return None if identity.started_ticks is None else started != identity.started_ticks


def descends_from(identity: ProcessIdentity) -> bool:
    """Check whether a process of this boot is an ancestor of this process."""
    return processes_between(identity) is not None


def processes_between(identity: ProcessIdentity) -> list[int] | None:
    """Return the ids of the processes between this one and an ancestor; None if it is not one."""
    here = current_process()
    if identity.pid is None or here.boot_id is None or identity.boot_id != here.boot_id:
        return None
    pid: int | None = os.getppid()
    seen: list[int] = []
    while pid and pid not in seen:
        if pid == identity.pid:
            return seen
        seen.append(pid)
        pid = _parent_of(pid)
    return None


def command_of(pid: int) -> list[str]:
    """Return the arguments of a process; empty if they cannot be read.

    Source: proc_pid_cmdline(5); ps(1) of macOS, which does not quote.
    """
    if sys.platform != "linux":
        return _output("ps", "-o", "args=", "-p", str(pid)).split()
    try:
        return _small_text(f"/proc/{pid}/cmdline").split("\0")[:-1]
    except genuine(OSError):
        return []


def _parent_of(pid: int) -> int | None:
    """Return the parent of a process; None if unseen. Source: proc_pid_stat(5), field 4."""
    try:
        if sys.platform != "linux":
            return int(_output("ps", "-o", "ppid=", "-p", str(pid)))
        text = _small_text(f"/proc/{pid}/stat")
        return int(text[text.rindex(")") + 2 :].split()[1])
    except genuine(OSError, ValueError, IndexError):
        return None


def _parts(boot_id: str) -> tuple[str, str, str]:
    """Split a boot id into machine, boot and process namespace."""
    machine, _, rest = boot_id.partition("/")
    boot, _, namespace = rest.partition("/")
    return machine, boot, namespace


def _boot_id() -> str | None:
    """Return `<machine>/<boot>/<process namespace>`; None if the system has none.

    Source: random(4), namespaces(7), machine-id(5); sysctl(3) of macOS.
    """
    if sys.platform == "linux":
        with suppressed(OSError):
            boot = _small_text("/proc/sys/kernel/random/boot_id").strip()
            namespace = os.readlink("/proc/self/ns/pid").strip("pid:[]")  # noqa: PTH115 - not a path
            return f"{_machine()}/{boot}/{namespace}"
    if sys.platform == "darwin":
        boot = _output("sysctl", "-n", "kern.bootsessionuuid")
        return (
            f"{_output('sysctl', '-n', 'kern.uuid')}/{boot}/{_INITIAL_NAMESPACE}" if boot else None
        )
    return None


def _machine() -> str:
    """Return a digest of the machine id, which should not leave the machine itself."""
    with suppressed(OSError):
        text = _small_text("/etc/machine-id").strip()
        return sha256(text.encode()).hexdigest()[:12] if text else ""
    return ""


def _start_and_state(pid: int) -> tuple[str, str] | None:
    """Return the start time of a process in the system's unit, and its state; None if unseen.

    Source: proc_pid_stat(5), fields 22 and 3; the name in field 2 may contain spaces and brackets.
    """
    if sys.platform == "darwin":
        text = _output("ps", "-o", "lstart=,state=", "-p", str(pid))
        started, _, state = text.rpartition(" ") if text else ("", "", "")
        return (started.strip(), state[:1]) if started else None
    try:
        text = _small_text(f"/proc/{pid}/stat")
        fields = text[text.rindex(")") + 2 :].split()
        return fields[19], fields[0]
    except genuine(OSError, ValueError, IndexError):
        return None


def _small_text(path: str) -> str:
    """Return the contents of a file of the kernel, without the cost of a file object."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        return os.read(descriptor, 4096).decode("utf-8", "replace")
    finally:
        os.close(descriptor)


def _output(*command: str) -> str:
    """Return the output of a small system tool; empty if it does not answer."""
    import subprocess

    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=2, check=False)
    except genuine(OSError, subprocess.SubprocessError):
        return ""
    return result.stdout.strip()


def process_started_ns() -> int | None:
    """Return the latest possible start of this process in nanoseconds since 1970; None if unknown.

    Source: proc_pid_stat(5), field 22, in ticks since the boot.
    """
    ticks = current_process().started_ticks
    if sys.platform != "linux" or ticks is None:
        return None
    per_second = os.sysconf("SC_CLK_TCK")
    age_ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) - (int(ticks) + 1) * 10**9 // per_second
    return time.clock_gettime_ns(time.CLOCK_REALTIME) - age_ns
