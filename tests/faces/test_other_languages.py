"""The programs in other languages that the docs show log to their run."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from commands import runstore
from places import store_at

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "run-any-command.md"
# What runs a block: the name of its file, what builds it, and the command.
LANGUAGES = {
    "cpp": ("log.cpp", ["g++", "-o", "log", "log.cpp"], ["./log"]),
    "r": ("log.R", [], ["Rscript", "log.R"]),
    "julia": ("log.jl", [], ["julia", "log.jl"]),
}

pytestmark = pytest.mark.usefixtures("named_store")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_program_on_the_page_logs(tmp_path, language):
    name, build, command = LANGUAGES[language]
    if shutil.which((build or command)[0]) is None:
        pytest.skip(f"{(build or command)[0]} is not installed")
    code = re.search(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    (tmp_path / name).write_text(code[1])
    if build:
        subprocess.run(build, cwd=tmp_path, check=True)

    ended = runstore("exec", "--", *command, cwd=tmp_path)

    assert ended.returncode == 0, ended.stderr
    with store_at(tmp_path / "store") as store:
        points = store.get("latest").metric("loss")
        assert list(points.steps) == [0, 1, 2]
        assert list(points.values) == pytest.approx([1, 1 / 2, 1 / 3], abs=1e-5)
    subprocess.run(command, cwd=tmp_path, check=True)  # without runstore, it runs as well
