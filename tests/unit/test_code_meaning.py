"""What code means without comments, layout and messages; which files a program may use."""

import json
from types import SimpleNamespace

import pytest

from runstore.analysis.compare.file_versions import FileState
from runstore.analysis.explain.code_meaning import imports_of, meaning
from runstore.analysis.explain.reached_files import reached_files
from runstore.model.facts import Facts


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1\n", "# what it does\nx = 1  # one\n"),
        ("x = [1, 2]\n", "x = [\n    1,\n    2,\n]\n"),
        ("def f():\n    return 1\n", 'def f():\n    """Return one."""\n    return 1\n'),
        ("x = 1\n", "x = 1\nprint(x)\n"),
        ("x = 1\n", "x = 1\nlogger.info('x is %s', x)\n"),
        ("def f(x): return x\n", "def f(x: int) -> int: return x\n"),
        ("x = 'a'\n", 'x = "a"\n'),
        ("x = 1\n", "x: int = 1\n"),
        ("if x:\n    print(1)\n", "if x:\n    pass\n"),
    ],
)
def test_comments_layout_and_messages_mean_nothing(old, new):
    assert meaning("a.py", old) == meaning("a.py", new)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("x = 1\n", "x = 2\n"),
        ("1\n", "2\n"),
        ("x = '# a'\n", "x = '# b'\n"),
        ("f()\ng()\n", "g()\nf()\n"),
        ("x = 1\n", "x = 1.0\n"),
        ("class A:\n    x = 1\n", "class A:\n    x: int = 1\n"),
        ("model.train()\n", "model.eval()\n"),
        ("x = f(log(2))\n", "x = f(log(3))\n"),
        ("broken(\n", "broken( # more\n"),
    ],
)
def test_other_code_means_something_else(old, new):
    assert meaning("a.py", old) != meaning("a.py", new)


def test_outputs_of_a_notebook_mean_nothing():
    def notebook(source, output):
        cells = [{"cell_type": "code", "source": [source], "outputs": [output]}]
        return json.dumps({"cells": cells, "nbformat": 4})

    assert meaning("a.ipynb", notebook("x = 1", "1")) == meaning("a.ipynb", notebook("x = 1", "2"))
    assert meaning("a.ipynb", notebook("x = 1", "")) != meaning("a.ipynb", notebook("x = 2", ""))


def test_comments_in_settings_mean_nothing():
    assert meaning("a.yaml", "# one\nlr: 1\n") == meaning("a.yaml", "lr: 1\n\n")
    assert meaning("a.yaml", "lr: 1\n") != meaning("a.yaml", "lr: 2\n")
    assert meaning("a.json", '{"a": 1, "b": 2}') == meaning("a.json", '{"b": 2,\n "a": 1}')


class Files:
    def __init__(self, texts):
        self.texts = texts
        self.paths = set(texts)

    def read(self, paths):
        return {path: FileState.of_text(self.texts[path], None) for path in paths}


def reached(texts, *argv, params="{}"):
    facts = Facts(
        values={"command.argv": ("python", *argv), "command.cwd": "/r", "git.root": "/r"}
    )
    run = SimpleNamespace(
        facts=facts, cli=" ".join(argv), parameter_sets=(SimpleNamespace(tree=params),)
    )
    return reached_files(run, Files(texts))


TEXTS = {
    "train.py": "import pkg.model\nfrom helpers import one\n",
    "helpers.py": "",
    "pkg/__init__.py": "",
    "pkg/model.py": "from . import layers\nfrom ..lib import x\n",
    "pkg/layers.py": "open('pkg/table.csv')\n",
    "pkg/table.csv": "1\n",
    "pkg/other.py": "",
    "unused.py": "import helpers\n",
    "src/core/__init__.py": "",
    "src/core/__main__.py": "from core.run import go\n",
    "src/core/run.py": "",
    "sub/tool.py": "import near\n",
    "sub/near.py": "",
    "near.py": "",
}


def test_imports_are_followed():
    assert reached(TEXTS, "train.py") == {
        "train.py", "helpers.py", "pkg/__init__.py", "pkg/model.py", "pkg/layers.py",
        "pkg/table.csv",
    }  # fmt: skip


def test_a_module_and_its_package_are_run():
    assert reached(TEXTS, "-m", "core") == {
        "src/core/__init__.py", "src/core/__main__.py", "src/core/run.py",
    }  # fmt: skip


def test_the_folder_of_the_script_comes_first():
    found = reached(TEXTS, "sub/tool.py")

    assert found == {"sub/tool.py", "sub/near.py"}


@pytest.mark.parametrize(
    "line",
    [
        "import importlib; importlib.import_module('unused')",
        "import importlib; importlib.import_module('pkg.other')",
        "import subprocess; subprocess.run(['python', 'unused.py'])",
        "import os; os.system('python unused.py --fast')",
        "import runpy; runpy.run_path('unused.py')",
        "try:\n    import unused\nexcept ImportError:\n    pass",
        "def f():\n    from unused import x",
    ],
)
def test_names_in_texts_count_as_use(line):
    found = reached({**TEXTS, "train.py": line}, "train.py")

    assert found is None or {"unused.py", "pkg/other.py"} & found


@pytest.mark.parametrize(
    "line",
    [
        "import importlib; importlib.import_module(name)",
        "__import__(f'pkg.{name}')",
        "exec(open(name).read())",
        "broken(",
    ],
)
def test_nothing_is_told_where_imports_cannot_be_read(line):
    assert reached({**TEXTS, "train.py": line}, "train.py") is None


@pytest.mark.parametrize("argv", [(), ("-c", "import unknown"), ("gone.py",), ("-m", "pytest")])
def test_nothing_is_told_without_the_script(argv):
    assert reached(TEXTS, *argv) is None


def test_files_that_parameters_name_count():
    found = reached(TEXTS, "helpers.py", params='{"script": "unused.py", "net": "pkg.other"}')

    assert {"unused.py", "pkg/other.py"} <= found


def test_circles_and_odd_texts_are_no_trouble():
    texts = {"a.py": "import b\n", "b.py": "import a\nx = '" + "../" * 60 + "'\n"}

    assert reached(texts, "a.py") == {"a.py", "b.py"}
    assert imports_of("\0") is None


@pytest.mark.parametrize("name", ["a.json", "a.ipynb"])
def test_deeply_nested_files_are_compared_as_text(name):
    deep = "[" * 100_000

    assert meaning(name, deep) == meaning(name, deep)
    assert meaning(name, deep) != meaning(name, f"{deep} ")
