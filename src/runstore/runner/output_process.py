"""The process that shows and keeps the output of an experiment; it loads as little as possible.

It starts with each experiment, which waits for it at its end.
"""

from __future__ import annotations

import os
import signal
import warnings
from pathlib import Path
from typing import NoReturn

from runstore.recording.output.keeper import OutputKeeper
from runstore.runner.streams import Carrier, CommandStream
from runstore.storage.files.spool import Spool
from runstore.user_warnings import say

# Signals that a terminal or a batch system sends to all processes of a group: the carrier ends
# when the experiment has ended, with everything that it printed.
FOR_THE_EXPERIMENT = (
    signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
)  # fmt: skip


def carry_for_parent(words: list[str]) -> NoReturn:
    """Do the carrier's work; the process that began it passes on its descriptors.

    Args:
        words: Store folder, uid, the descriptor that is closed at the end, 1 if secrets are
            masked, and for stdout and stderr `<read end>:<shown on>:<is a terminal>`.
    """
    for number in FOR_THE_EXPERIMENT:
        signal.signal(number, signal.SIG_IGN)
    warnings.showwarning = _say
    channels = []
    for name, word in zip(("stdout", "stderr"), words[4:], strict=True):
        read_end, shown_on, is_terminal = map(int, word.split(":"))
        channel = CommandStream(name, read_end, shown_on, -1, is_terminal=bool(is_terminal))
        channels.append(channel)
        for descriptor in (read_end, shown_on):
            os.set_inheritable(descriptor, False)  # noqa: FBT003 - os's own
    os.set_inheritable(int(words[2]), False)  # noqa: FBT003 - os's own
    keeper = OutputKeeper(Spool(Path(words[0])), words[1], is_masked=words[3] == "1")
    carrier = _CarrierForParent(tuple(channels), (keeper,), int(words[2]))
    signal.signal(signal.SIGWINCH, lambda *_: carrier.resized())
    carrier.carry()
    carrier.close()
    keeper.close()
    os._exit(0)  # the experiment waits, and what was loaded need not be taken apart


class _CarrierForParent(Carrier):
    def _show_no_more(self, channel: CommandStream) -> None:
        """Only keep the output: the experiment has this end too, and would wait for ever."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, channel.shown_on, inheritable=False)
        os.close(nowhere)


def _say(message: Warning | str, *_: object, **__: object) -> None:
    say(str(message))
