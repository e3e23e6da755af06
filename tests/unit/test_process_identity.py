"""Life and death of processes, from evidence alone."""

import os
import subprocess
import sys

import pytest

from runstore.capture.machine.process import command_of, current_process, is_gone
from runstore.model.facts import ProcessIdentity

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

TELLER = (
    "import time, json, dataclasses; from runstore.capture.machine.process import current_process;"
    "print(json.dumps(current_process()._asdict()), flush=True); time.sleep(60)"
)


@pytest.fixture
def child():
    """A living process, and its identity as it tells it itself."""
    import json

    process = subprocess.Popen([sys.executable, "-c", TELLER], stdout=subprocess.PIPE, text=True)
    identity = ProcessIdentity(**json.loads(process.stdout.readline()))
    yield process, identity
    process.kill()
    process.communicate()


def test_this_process_lives():
    assert is_gone(current_process()) is False


def test_a_living_child_lives(child):
    _, identity = child

    assert is_gone(identity) is False


def test_a_killed_child_is_gone_before_and_after_it_is_reaped(child):
    process, identity = child
    process.kill()
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert is_gone(identity) is True, "a zombie"
    process.wait()
    assert is_gone(identity) is True, "nobody has its id"


def test_a_stopped_child_lives(child):
    import signal

    process, identity = child
    process.send_signal(signal.SIGSTOP)

    assert is_gone(identity) is False
    process.send_signal(signal.SIGCONT)


def test_a_reused_process_id_is_told_apart(child):
    _, identity = child

    assert is_gone(identity._replace(started_ticks="1")) is True


def test_a_process_of_another_user_exists():
    """Process 1 refuses signals of ordinary users, and lives."""
    here = current_process()
    first = here._replace(pid=1, started_ticks=None)

    assert is_gone(first) is None


def test_another_boot_of_this_machine_ends_what_was_silent():
    here = current_process()
    machine, _, namespace = here.boot_id.split("/")
    if not machine or namespace != "4026531836":
        pytest.skip("this machine has no identity of its own, as in a container")
    before = here._replace(boot_id=f"{machine}/another-boot/{namespace}")

    assert is_gone(before) is True
    assert is_gone(before, silent_s=10) is None, "a clone of this machine may live"


@pytest.mark.parametrize(
    "change",
    [
        {"boot_id": "other/other/4026531836"},
        {"hostname": "elsewhere", "boot_id": "other/other/4026531836"},
        {"boot_id": None},
        {"pid": None},
        {"boot_id": "nonsense"},
    ],
)
def test_what_cannot_be_seen_from_here_is_not_judged(change):
    assert is_gone(current_process()._replace(**change)) is None


def test_another_namespace_of_this_boot_is_not_judged():
    here = current_process()
    machine, boot, _ = here.boot_id.split("/")

    assert is_gone(here._replace(boot_id=f"{machine}/{boot}/1")) is None


def test_a_forked_child_has_an_identity_of_its_own():
    reader, writer = os.pipe()
    parent = current_process()
    pid = os.fork()
    if pid == 0:
        os.write(writer, str(current_process().pid).encode())
        os._exit(0)
    os.waitpid(pid, 0)

    assert int(os.read(reader, 20)) == pid != parent.pid
    os.close(reader)
    os.close(writer)


def test_the_arguments_of_a_process_are_read_as_they_were_passed(child):
    process, _ = child

    assert command_of(process.pid) == [sys.executable, "-c", TELLER]
    process.kill()
    process.wait()
    assert command_of(process.pid) == []
