"""Run `runstore` or `python` by a server of commands, for a shell; loads as little as possible.

A shell calls it with the words of `command_server.client`, and the arguments.
"""

import _signal
import _socket
import marshal
import os
import sys


def ask(connection, path, *, streams, **request):
    """Have a command run with these descriptors as its standard streams."""
    connection.connect(path)
    descriptors = b"".join(one.to_bytes(4, sys.byteorder) for one in streams)
    connection.sendmsg([b"\n"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, descriptors)])
    connection.sendall(marshal.dumps(request))
    connection.shutdown(_socket.SHUT_WR)


if __name__ == "__main__":
    server = _socket.socket(_socket.AF_UNIX)
    ask(
        server,
        sys.argv[1],
        streams=(0, 1, 2),
        arguments=sys.argv[3:],
        is_python=sys.argv[2] == "python",
        cwd=os.getcwd(),  # noqa: PTH109 - pathlib takes as long as the rest
        env=dict(os.environ),
    )
    answer = b""
    while some := server.recv(100):
        answer += some
    ended = os.waitstatus_to_exitcode(int(answer.split()[1]))
    if ended < 0:  # a shell says so
        if ended != -_signal.SIGKILL:
            _signal.signal(-ended, _signal.SIG_DFL)
        os.kill(os.getpid(), -ended)
    sys.exit(ended)
