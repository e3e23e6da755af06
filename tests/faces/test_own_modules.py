"""Code of a program that git does not keep: a change of it is never skipped."""

import os
import py_compile
import sys
import zipfile

import pytest

from commands import git, python, runstore

pytestmark = pytest.mark.folder_only("is about the code that is captured")

FIT = """
import os, sys, runstore
PREPARE
def work():
    WORK
if __name__ == "__main__":
    try:
        with runstore.start_run("fit", params={"i": 1}, if_done="skip"):
            work()
        print("ran")
    except runstore.AlreadyRanError:
        print("skipped")
"""


def program(prepare="", work="pass"):
    return FIT.replace("PREPARE", prepare).replace("WORK", work)


class Place:
    """A repository with a program, and a folder beside it with a module of its own."""

    def __init__(self, tmp_path):
        self.repo = tmp_path / "repo"
        self.lib = tmp_path / "lib"
        self.repo.mkdir()
        self.lib.mkdir()
        (self.repo / ".gitignore").write_text("__pycache__\n.runstore\nsettings.py\n*.so\ngen/\n")
        (self.lib / "util.py").write_text("FACTOR = 1\n")
        git(self.repo, "init", "-q")

    def commit(self, prepare="", work="pass", **files):
        """Commit the program, which does something first, and something in its run."""
        (self.repo / "fit.py").write_text(program(prepare, work))
        for name, text in files.items():
            (self.repo / f"{name}.py").write_text(text)
        git(self.repo, "add", ".")
        git(self.repo, "commit", "-qm", "program")

    def said(self, *words, **variables):
        """Return whether the program ran, or what it did was skipped."""
        store = {"RUNSTORE_URL": str(self.repo / ".runstore")}
        ended = python(*(words or ("fit.py",)), cwd=self.repo, env=store | variables)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout.strip()


RARE = pytest.mark.campaign


@pytest.fixture(autouse=True)
def _chosen(request, is_full_campaign):
    """Each of these starts several processes: most variants are tried in campaigns."""
    if request.node.get_closest_marker("campaign") and not is_full_campaign:
        pytest.skip("tried in campaigns")


@pytest.fixture
def place(tmp_path):
    return Place(tmp_path)


def edit(file, text="FACTOR = 2\n"):
    file.write_text(text)


LIB = "sys.path.insert(0, os.path.join(os.path.dirname(os.getcwd()), 'lib'))\n"


@pytest.mark.parametrize(
    ("prepare", "work"),
    [pytest.param("import util", "pass", marks=RARE), ("", "import util")],
    ids=["first", "later"],
)
@pytest.mark.parametrize("entry", [pytest.param("LIB", marks=RARE), "../lib"])
def test_a_module_of_pythonpath_counts(place, prepare, work, entry):
    place.commit(prepare, work)
    path = {"PYTHONPATH": entry.replace("LIB", str(place.lib))}

    assert place.said(**path) == "ran"
    assert place.said(**path) == "skipped"
    edit(place.lib / "util.py")
    assert place.said(**path) == "ran"
    assert place.said(**path) == "skipped"


@pytest.mark.parametrize(
    ("prepare", "work"),
    [(f"{LIB}import util", "pass"), pytest.param("", f"{LIB}    import util", marks=RARE)],
    ids=["first", "later"],
)
def test_a_module_of_a_sibling_folder_counts(place, prepare, work):
    place.commit(prepare, work)

    assert [place.said(), place.said()] == ["ran", "skipped"]
    (place.lib / "data.csv").write_text("1")
    (place.lib / "unused.py").write_text("X = 1")
    os.utime(place.lib / "util.py")
    assert place.said() == "skipped", "what it loaded is the same"
    edit(place.lib / "util.py")
    assert place.said() == "ran"


def test_contents_count_and_not_places(place):
    place.commit("import util")
    moved = place.lib.with_name("moved")

    assert place.said(PYTHONPATH=str(place.lib)) == "ran"
    place.lib.rename(moved)
    assert place.said(PYTHONPATH=str(moved)) == "skipped"


@RARE
def test_another_place_with_other_contents_counts(place):
    place.commit("", "import util")
    other = place.lib.with_name("other")
    other.mkdir()
    edit(other / "util.py")

    assert place.said(PYTHONPATH=str(place.lib)) == "ran"
    assert place.said(PYTHONPATH=str(other)) == "ran"
    assert place.said(PYTHONPATH=str(place.lib)) == "skipped"


def test_a_module_that_was_not_there_counts(place):
    place.commit("try:\n    import util\nexcept ImportError:\n    pass\n")

    assert place.said() == "ran"
    assert place.said(PYTHONPATH=str(place.lib)) == "ran"


@pytest.mark.parametrize(
    "is_linked", [False, pytest.param(True, marks=RARE)], ids=["path file", "link"]
)
def test_a_package_installed_for_editing_counts(place, is_linked):
    site = place.lib.with_name("site-packages")
    site.mkdir()
    if is_linked:
        (site / "util.py").symlink_to(place.lib / "util.py")
    else:
        (site / "util.pth").write_text(f"{place.lib}\n")
    place.commit(f"import site\nsite.addsitedir({str(site)!r})\nimport util")

    assert [place.said(), place.said()] == ["ran", "skipped"]
    edit(place.lib / "util.py")
    assert place.said() == "ran"


@pytest.mark.parametrize(
    ("prepare", "work"),
    [pytest.param("import settings", "pass", marks=RARE), ("", "import settings")],
    ids=["first", "later"],
)
def test_a_module_that_git_ignores_counts(place, prepare, work):
    (place.repo / "settings.py").write_text("LR = 1\n")
    place.commit(prepare, work)

    assert [place.said(), place.said()] == ["ran", "skipped"]
    edit(place.repo / "settings.py", "LR = 1\n")
    assert place.said() == "skipped"
    edit(place.repo / "settings.py", "LR = 2\n")
    assert place.said() == "ran"


def test_an_ignored_module_that_appears_counts(place):
    place.commit("", "try:\n        import settings\n    except ImportError:\n        pass\n")

    assert [place.said(), place.said()] == ["ran", "skipped"]
    edit(place.repo / "settings.py", "LR = 2\n")
    assert place.said() == "ran"
    (place.repo / "settings.py").unlink()
    assert place.said() == "skipped"


@RARE
@pytest.mark.parametrize(
    "work",
    ["import gen.code", pytest.param("pass", marks=RARE)],
    ids=["used", "not used"],
)
def test_an_ignored_folder_counts_as_far_as_it_is_used(place, work):
    (place.repo / "gen").mkdir()
    (place.repo / "gen" / "code.py").write_text("LR = 1\n")
    place.commit("", work)

    assert [place.said(), place.said()] == ["ran", "skipped"]
    edit(place.repo / "gen" / "code.py")
    assert place.said() == ("skipped" if work == "pass" else "ran")


@RARE
def test_a_compiled_module_counts(place):
    (place.repo / "fast.so").write_bytes(b"\x7fELF 1")
    place.commit("try:\n    import fast\nexcept ImportError:\n    pass\n")

    assert [place.said(), place.said()] == ["ran", "skipped"]
    (place.repo / "fast.so").write_bytes(b"\x7fELF 2")
    assert place.said() == "ran"


def archive(lib):
    with zipfile.ZipFile(lib / "all.zip", "w") as packed:
        packed.write(lib / "util.py", "pkg/util.py")
        packed.writestr("pkg/__init__.py", "")


def compiled(lib):
    py_compile.compile(str(lib / "util.py"), cfile=str(lib / "bare" / "util.pyc"))


def nothing(lib):
    """The folder is a package as it is."""


@pytest.mark.parametrize(
    "is_late", [pytest.param(False, marks=RARE), True], ids=["first", "later"]
)
@pytest.mark.parametrize(
    ("make", "where", "imported"),
    [
        pytest.param(archive, "all.zip", "import pkg.util", marks=RARE),
        pytest.param(compiled, "bare", "import util", marks=RARE),
        (nothing, "", "import lib.util"),
    ],
    ids=["archive", "compiled", "namespace"],
)
def test_other_kinds_of_modules_count(place, make, where, imported, is_late):
    place.commit("", imported) if is_late else place.commit(imported)
    make(place.lib)
    path = place.lib / where if where else place.lib.parent

    assert place.said(PYTHONPATH=str(path)) == "ran"
    assert place.said(PYTHONPATH=str(path)) == "skipped"
    edit(place.lib / "util.py", "FACTOR = 22\n")
    make(place.lib)
    assert place.said(PYTHONPATH=str(path)) == "ran"


@pytest.mark.parametrize(
    "is_folder", [pytest.param(False, marks=RARE), True], ids=["file", "folder"]
)
def test_what_a_link_in_the_repository_leads_to_counts(place, is_folder):
    if is_folder:
        (place.repo / "linked").symlink_to(place.lib)
    else:
        (place.repo / "util.py").symlink_to(place.lib / "util.py")
    place.commit("import linked.util" if is_folder else "import util")

    assert [place.said(), place.said()] == ["ran", "skipped"]
    edit(place.lib / "util.py")
    assert place.said() == "ran"


@RARE
def test_a_repository_within_the_repository_counts(place):
    inner = place.repo / "gen" / "inner"
    inner.mkdir(parents=True)
    git(inner, "init", "-q")
    (inner / "util.py").write_text("FACTOR = 1\n")
    place.commit("sys.path.insert(0, 'gen/inner')\nimport util")

    assert [place.said(), place.said()] == ["ran", "skipped"]
    edit(inner / "util.py")
    assert place.said() == "ran"


EDITED = "file = os.environ.get('EDIT')\n    if file: open(file, 'w').write('FACTOR = 2')\n    "


@pytest.mark.parametrize(
    ("prepare", "work"),
    [
        ("", f"{EDITED}import util"),
        ("import util", f"import importlib\n    {EDITED}importlib.reload(util)"),
        pytest.param(
            "import util\nfile = os.environ.get('EDIT')\nif file: open(file, 'w').write('F = 2')",
            "pass",
            marks=RARE,
        ),
    ],
    ids=["later", "again", "before"],
)
@pytest.mark.parametrize(
    "is_kept", [pytest.param(False, marks=RARE), True], ids=["outside", "in the commit"]
)
def test_a_module_that_is_edited_before_it_is_loaded_is_in_doubt(place, prepare, work, is_kept):
    """The run used another version than the one that is there afterwards."""
    util = (place.repo if is_kept else place.lib) / "util.py"
    util.write_text("FACTOR = 1\n")
    place.commit(prepare, work)
    path = {"PYTHONPATH": str(place.lib)}

    assert place.said(EDIT=str(util), **path) == "ran"
    edit(util, "FACTOR = 1\n")
    assert place.said(**path) == "ran"
    assert place.said(**path) == "skipped"


def test_a_script_may_be_edited_while_it_runs(place):
    """What is loaded already stays as it was."""
    place.commit("import util", EDITED.strip(), util="FACTOR = 1\n")
    util = place.repo / "util.py"

    assert place.said(EDIT=str(util)) == "ran"
    edit(util, "FACTOR = 1\n")
    assert place.said() == "skipped"


SPAWNED = """import multiprocessing
def task(_):
    import util
    return util.FACTOR
"""


@pytest.mark.parametrize(
    "method", ["spawn", pytest.param("fork", marks=RARE), pytest.param("forkserver", marks=RARE)]
)
def test_a_module_that_only_workers_load_counts(place, method):
    place.commit(SPAWNED, f"multiprocessing.get_context({method!r}).Pool(1).map(task, [1])")
    path = {"PYTHONPATH": str(place.lib)}

    assert [place.said(**path) for _ in range(2)] == ["ran", "skipped"]
    edit(place.lib / "util.py")
    assert place.said(**path) == "ran"


RESUMED = f"""{LIB}
if len(sys.argv) > 1:
    if sys.argv[1] == "killed":
        from runstore import background
        run = runstore.start_run("fit", params={{"i": 1}})
        background.wait_until_done(60)
        os._exit(0)
    with runstore.start_run(resume="fit#1"):
        import util
    sys.exit(print("resumed"))
"""


@pytest.mark.parametrize("is_edited", [False, pytest.param(True, marks=RARE)])
def test_a_resumed_run_has_the_modules_of_all_its_parts(place, is_edited):
    place.commit(RESUMED)

    assert place.said("fit.py", "killed") == ""
    if is_edited:
        edit(place.lib / "util.py")
    assert place.said("fit.py", "resumed") == "resumed"
    assert place.said() == ("ran" if is_edited else "skipped")
    edit(place.lib / "util.py", "FACTOR = 3\n")
    assert place.said() == "ran"


SWEEP = f"""{LIB}
if __name__ == "__main__":
    for i in map(int, sys.argv[1:]):
        try:
            with runstore.start_run("sweep", params={{"i": i}}, if_done="skip"):
                import util
            print("ran", i)
        except runstore.AlreadyRanError:
            print("skipped", i)
    sys.exit()
"""


def test_a_sweep_goes_on_in_any_order(place):
    place.commit(SWEEP)

    assert place.said("fit.py", "1", "2").split("\n") == ["ran 1", "ran 2"]
    assert place.said("fit.py", "3", "2", "1").split("\n") == ["ran 3", "skipped 2", "skipped 1"]


@RARE
def test_a_package_outside_is_a_program(place):
    place.commit()
    package = place.lib / "tool"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "helper.py").write_text("FACTOR = 1\n")
    (package / "__main__.py").write_text(program("import tool.helper"))
    command, path = ("-m", "tool"), {"PYTHONPATH": str(place.lib)}

    assert [place.said(*command, **path) for _ in range(2)] == ["ran", "skipped"]
    edit(package / "helper.py")
    assert [place.said(*command, **path) for _ in range(2)] == ["ran", "skipped"]
    edit(package / "__main__.py", program("import tool.helper # other"))
    assert place.said(*command, **path) == "ran"


def test_what_is_loaded_when_it_is_looked_up_changes_nothing(place):
    """New files are read in another order, and the same is kept of them."""
    place.commit(
        "if len(sys.argv) > 1:\n    import zeta, alpha, large\n", "import alpha, zeta, large"
    )
    for name in ("zeta", "alpha"):
        (place.repo / f"{name}.py").write_text(f"NAME = {name!r}\n")
    (place.repo / "large.py").write_text(f"X = 1\n{'# a comment' * 40_000}\n")

    assert place.said() == "ran"
    assert place.said("fit.py", "more") == "skipped"
    edit(place.repo / "large.py", f"X = 2\n{'# a comment' * 40_000}\n")
    assert place.said("fit.py", "more") == "ran"
    assert place.said() == "skipped"


# Commands of other processes


class Commands(Place):
    """A repository whose program knows nothing of runstore."""

    def commit_text(self, text):
        """Commit the program."""
        (self.repo / "fit.py").write_text(text)
        git(self.repo, "add", ".")
        git(self.repo, "commit", "-qm", "program")

    def said(self, *words, **variables):
        """Return whether the command ran, or what it did was skipped."""
        command = words or (sys.executable, "fit.py")
        ended = runstore(
            "exec", "--if-done", "skip", "--", *command,
            cwd=self.repo,
            env={"RUNSTORE_URL": str(self.repo / ".runstore"), **variables},
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        return "skipped" if "is an identical run" in ended.stdout + ended.stderr else "ran"


@pytest.fixture
def commands(tmp_path):
    return Commands(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "def later():\n    import util\n",
        pytest.param("import importlib\nimportlib.import_module('util')\n", marks=RARE),
        pytest.param("import importlib\nimportlib.import_module('ut' + 'il')\n", marks=RARE),
    ],
    ids=["imported", "by name", "by a computed name"],
)
def test_what_a_command_imports_counts(commands, text):
    commands.commit_text(text)
    path = {"PYTHONPATH": "../lib"}

    assert [commands.said(**path) for _ in range(2)] == ["ran", "skipped"]
    edit(commands.lib / "util.py")
    assert commands.said(**path) == "ran"


@RARE
def test_a_command_that_looks_elsewhere_for_its_modules_is_in_doubt(commands):
    commands.commit_text("import sys\nsys.path.insert(0, '../lib')\nimport util\n")

    assert [commands.said() for _ in range(2)] == ["ran", "ran"]


@RARE
def test_a_module_that_is_edited_while_a_command_runs_is_in_doubt(commands):
    util = commands.lib / "util.py"
    commands.commit_text(
        "import os, time\ntime.sleep(2)\nfile = os.environ.get('EDIT')\n"
        "if file: open(file, 'w').write('FACTOR = 2\\n')\nimport util\n"
    )
    path = {"PYTHONPATH": str(commands.lib)}

    assert commands.said(EDIT=str(util), **path) == "ran"
    edit(util, "FACTOR = 1\n")
    assert [commands.said(**path) for _ in range(2)] == ["ran", "skipped"]


@RARE
def test_modules_of_pythonpath_count_for_any_program(commands):
    commands.commit_text("import util\n")
    words, path = ("sh", "-c", "python fit.py"), {"PYTHONPATH": str(commands.lib)}

    assert [commands.said(*words, **path) for _ in range(2)] == ["ran", "skipped"]
    edit(commands.lib / "util.py")
    assert commands.said(*words, **path) == "ran"


@RARE
def test_a_module_as_a_command_counts(commands):
    (commands.lib / "tool").mkdir()
    (commands.lib / "tool" / "__init__.py").write_text("")
    (commands.lib / "tool" / "train.py").write_text("from . import helper\n")
    (commands.lib / "tool" / "helper.py").write_text("")
    commands.commit_text("")
    words, path = (sys.executable, "-m", "tool.train"), {"PYTHONPATH": str(commands.lib)}

    assert [commands.said(*words, **path) for _ in range(2)] == ["ran", "skipped"]
    edit(commands.lib / "tool" / "helper.py")
    assert commands.said(*words, **path) == "ran"
