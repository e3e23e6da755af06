"""Draw the terminal pictures of the docs: python docs/pictures/draw.py [PICTURE…].

The pictures are those of `PICTURES`, `top` and `plot-file`, a file drawn by `runstore plot`.
"""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import draw_top
from digits_project import RUNSTORE, digits_project
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COLUMNS = 110
PICTURES = {
    "ls": ("ls",),
    "show": ("show", "network#1"),
    "experiments": ("run", "--list"),
    "plot": ("plot", "network#1", "network#3", "-m", "test/accuracy"),
    "diff": ("diff", "network#1", "network#5"),
    "why": ("why", "network#1", "network#5"),
}
_LINES_AT_MOST = 46


def printed(folder, arguments):
    """Return the output of the command on a terminal of this width, with its colours."""
    main, side = pty.openpty()
    process = subprocess.Popen(
        [*RUNSTORE, *arguments],
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
    return data.decode().replace("\r\n", "\n").replace(str(folder), "/home/ada/digits")


def draw(name, arguments, folder):
    """Write one picture."""
    lines = printed(folder, arguments).rstrip("\n").split("\n")
    shown = lines if len(lines) <= _LINES_AT_MOST else [*lines[:_LINES_AT_MOST], "…"]
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere)
        command = "runstore " + " ".join(arguments)
        console.print(Text.from_ansi(f"$ {command}\n" + "\n".join(shown)))
        # The reader's own fixed font, so that nothing is downloaded.
        style = re.sub(r"@font-face \{\{.*?\}\}\n", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        # A fixed id, so that a picture only changes with its text.
        svg = console.export_svg(title=command, code_format=style, unique_id=f"terminal-{name}")
    lines = (line.rstrip() for line in svg.splitlines())
    (HERE / f"{name}.svg").write_text("\n".join(lines) + "\n", encoding="utf-8")


def draw_file(folder):
    """Draw a file with `runstore plot`."""
    loss = ("network#1", "network#3", "-m", "loss", "--log-y", "--smooth", "0.9")
    to = ("-o", str(HERE / "plot.png"), "--width", "900", "--height", "420")
    subprocess.run([*RUNSTORE, "plot", *loss, *to], cwd=folder, check=True)


if __name__ == "__main__":
    known = [*PICTURES, "plot-file", "top"]
    if unknown := set(sys.argv[1:]) - set(known):
        sys.exit(f"Unknown pictures: {', '.join(unknown)}. Known: {', '.join(known)}.")
    wanted = sys.argv[1:] or known
    with digits_project() as project:
        for picture, command in PICTURES.items():
            if picture in wanted:
                draw(picture, command, project)
        if "plot-file" in wanted:
            draw_file(project)
        if "top" in wanted:
            draw_top.draw(project)
