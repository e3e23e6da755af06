"""Draw what commands look like on a terminal: python docs/pictures/draw.py FOLDER [PICTURE…].

FOLDER is where the commands run: a copy of examples/digits in a git repository of its own, after
its tour, and trainings of the network with `seed=1`, `lr=0.05` and both. The last, of number 5,
has `lr=0.01` and a changed line in `Network.fresh`.
"""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 110
PICTURES = {
    "ls": ("ls",),
    "show": ("show", "network#1"),
    "experiments": ("run", "--list"),
    "plot": ("plot", "network#1", "network#2", "-m", "test/accuracy"),
    "diff": ("diff", "network#1", "network#5"),
    "why": ("why", "network#1", "network#5"),
}
_LINES_AT_MOST = 46


def printed(folder, arguments):
    """Return what the command prints on a terminal of this width, colours included."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "runstore", *arguments],
        cwd=folder,
        stdin=side,
        stdout=side,
        stderr=side,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "PAGER": "cat"},
    )
    os.close(side)
    data = b""
    while True:
        try:
            some = os.read(main, 65536)
        except OSError:
            break
        data += some
    process.wait()
    return data.decode().replace("\r\n", "\n")


def draw(name, arguments, folder):
    """Write one picture."""
    lines = printed(folder, arguments).rstrip("\n").split("\n")
    shown = lines if len(lines) <= _LINES_AT_MOST else [*lines[:_LINES_AT_MOST], "…"]
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        command = "runstore " + " ".join(arguments)
        console.print(Text.from_ansi(f"$ {command}\n" + "\n".join(shown)))
        # The reader's own fixed font: a picture asks no other place for anything.
        style = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        svg = console.export_svg(title=command, code_format=style)
    (HERE / f"{name}.svg").write_text(svg, encoding="utf-8")


def draw_files(folder):
    """Let runstore draw its own picture."""
    loss = ("network#1", "network#2", "-m", "loss", "--log-y", "--smooth", "0.9")
    to = ("-o", HERE / "plot.png", "--width", "900", "--height", "420")
    subprocess.run([sys.executable, "-m", "runstore", "plot", *loss, *to], cwd=folder, check=True)


if __name__ == "__main__":
    place, *wanted = sys.argv[1:]
    for name, arguments in PICTURES.items():
        if not wanted or name in wanted:
            draw(name, arguments, place)
    if not wanted:
        draw_files(place)
