"""Draw the terminal pictures of the docs: python docs/pictures/draw.py [PICTURE…].

The pictures are those of `PICTURES`, `top`, and `plot-file` and `plot-diverged`, which are files
drawn by `runstore plot`.
"""

import math
import os
import pty
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import draw_top
from digits_project import RUNSTORE, digits_project
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.text import Text

from runstore import Store

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


def draw_diverged():
    """Draw runs of which one diverged with `runstore plot`."""
    with tempfile.TemporaryDirectory() as folder:
        with Store.open(Path(folder) / ".runstore") as store:
            for rate, diverges in ((1, False), (3, False), (9, True)):
                with store.start("wide", params={"lr": rate}, capture=False) as run:
                    for step in range(60):
                        growth = math.exp(step - 25) if diverges else 0
                        run.log(loss=2.3 * math.exp(-rate * step / 60) + growth)
        to = ("-o", str(HERE / "plot-diverged.png"), "--width", "900", "--height", "360")
        subprocess.run([*RUNSTORE, "plot", "wide", *to], cwd=folder, check=True)


if __name__ == "__main__":
    known = [*PICTURES, "plot-file", "plot-diverged", "top"]
    if unknown := set(sys.argv[1:]) - set(known):
        sys.exit(f"Unknown pictures: {', '.join(unknown)}. Known: {', '.join(known)}.")
    wanted = sys.argv[1:] or known
    with digits_project() as project:
        for picture, command in PICTURES.items():
            if picture in wanted:
                draw(picture, command, project)
        if "plot-file" in wanted:
            draw_file(project)
        if "plot-diverged" in wanted:
            draw_diverged()
        if "top" in wanted:
            draw_top.draw(project)
