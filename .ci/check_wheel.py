"""Build the wheel, install it into an environment of its own, and look at its page once.

python .ci/check_wheel.py: needs pip. It fails if the wheel lacks the page, or `runstore ui` does
not serve it.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.parse import urljoin
from urllib.request import HTTPCookieProcessor, build_opener

ROOT = Path(__file__).parents[1]
RECORD = "import runstore; runstore.start_run('mnist', params={'lr': 0.1}).finish()"


def installed(folder: Path) -> Path:
    """Return the folder of programs of a new environment that has the wheel."""
    pip = [sys.executable, "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "wheel", "--no-deps", "-w", folder, ROOT], check=True)
    environment = folder / "env"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    wheels = list(folder.glob("runstore-*.whl"))
    subprocess.run([*pip, "--python", environment, "install", *wheels], check=True)
    return environment / "bin"


def check(programs: Path, folder: Path) -> None:
    """Record a run, serve the store, and fetch the page, its files and the run."""
    subprocess.run([programs / "python", "-c", RECORD], cwd=folder, check=True)
    command = [programs / "runstore", "ui", "--no-browser"]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, text=True) as server:
        try:
            address = (server.stdout.readline() if server.stdout else "").strip()
            web = build_opener(HTTPCookieProcessor(CookieJar()))
            page = web.open(address, timeout=30).read().decode()
            files = re.findall(r'(?:src|href)="([^"]+\.(?:js|css))"', page)
            if not files:
                sys.exit(f"The page names no script: {page[:500]}")
            for file in files:
                web.open(urljoin(address, file), timeout=30).read()
            runs = web.open(urljoin(address, "/api/v1/runs"), timeout=30).read().decode()
            if '"mnist"' not in runs:
                sys.exit(f"The run is missing: {runs[:500]}")
        finally:
            server.terminate()


def main() -> None:
    """Check it."""
    with tempfile.TemporaryDirectory() as folder:
        check(installed(Path(folder)), Path(folder))


main()
