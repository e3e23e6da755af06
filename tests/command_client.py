"""Run `runstore` by a server of commands, as a shell does; loads as little as possible.

A shell calls it as `python -S -E command_client.py SOCKET ARGUMENTS…`.
"""

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
        arguments=sys.argv[2:],
        cwd=os.getcwd(),  # noqa: PTH109 - pathlib takes as long as the rest
        env=dict(os.environ),
    )
    answer = b""
    while some := server.recv(100):
        answer += some
    ended = os.waitstatus_to_exitcode(int(answer.split()[1]))
    sys.exit(ended if ended >= 0 else 128 - ended)
