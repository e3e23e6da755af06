"""Detection of network disks."""

from __future__ import annotations

import io
import os
import sys

from runstore.errors import genuine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from runstore.storage.sqlite.paths import AnyPath

# Write-ahead logging requires memory shared between processes, which these do not provide across
# machines. Names as reported by the kernel in mountinfo.
NETWORK_FILE_SYSTEMS = frozenset(
    {
        "9p", "acfs", "afs", "afpfs", "beegfs", "ceph", "cifs", "coda", "davfs", "davfs2",
        "fhgfs", "fuse.ceph", "fuse.gcsfuse", "fuse.glusterfs", "fuse.goofys",
        "fuse.juicefs", "fuse.lizardfs", "fuse.moosefs", "fuse.rclone", "fuse.s3fs",
        "fuse.sshfs", "gfs", "gfs2", "glusterfs", "gpfs", "lustre", "ncpfs", "nfs", "nfs4",
        "ocfs2", "orangefs", "panfs", "pvfs2", "smb3", "smbfs", "vboxsf", "virtiofs",
        "vmhgfs", "wekafs", "webdav",
    }
)  # fmt: skip


def is_network_disk(folder: AnyPath, mountinfo: str = "/proc/self/mountinfo") -> bool:
    """Check whether a folder is on a disk that other machines may write to as well.

    This looks up the device number in the kernel's mount table, equivalent to `statfs` but without
    calling into C. If there is no such table (macOS), the result is False.
    """
    if sys.platform != "linux":
        return False
    device = os.stat(folder).st_dev
    # Local disks have a driver's number; network disks are anonymous devices.
    if os.major(device) != 0:
        return False
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        # The built-in `open` is gone when the interpreter shuts down.
        with io.open(mountinfo, encoding="utf-8", errors="replace") as file:  # noqa: UP020
            lines = file.read().splitlines()
    except genuine(OSError):
        return False
    return any(
        _type_of(line, wanted) in NETWORK_FILE_SYSTEMS for line in lines if f" {wanted} " in line
    )


def _type_of(line: str, device: str) -> str:
    """Return the file system type of a mountinfo line for this device, else an empty string.

    Source: proc(5), /proc/pid/mountinfo: the third field is the device, the type follows ` - `.
    """
    before, separator, after = line.partition(" - ")
    fields = before.split()
    if not separator or len(fields) < 3 or fields[2] != device:  # noqa: PLR2004 - third field
        return ""
    return after.split(maxsplit=1)[0]
