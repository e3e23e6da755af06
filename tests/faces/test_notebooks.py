"""Runs of a notebook keep its cells and its name."""

import pytest

from places import place, store_at

pytest.importorskip("IPython")


@pytest.fixture
def shell():
    """A shell of IPython, as a kernel has it."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    yield shell
    InteractiveShell.clear_instance()


def test_the_cells_and_the_name_of_a_notebook_are_kept(shell, tmp_path, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "/home/ada/fit.ipynb")
    cells = [
        "lr = 0.1",
        f"import runstore; run = runstore.start_run('fit', store={str(place(tmp_path))!r})",
        "api_key = 'abcdef12345'",
        "%time run.log(loss=lr)",
        "run.finish()",
        "later = 1",
    ]

    for cell in cells:
        shell.run_cell(cell, store_history=True).raise_error()

    with store_at(tmp_path) as store:
        kept = store.document("fit#1", "cells")
        assert kept.startswith("# In [1]\nlr = 0.1\n")
        assert kept.endswith("# In [5]\nrun.finish()\n")
        assert "%time run.log(loss=lr)" in kept
        assert "abcdef12345" not in kept
        found = store.find("notebook.path ~ 'fit' and metrics.loss = 0.1")
        assert [run.reference for run in found] == [store.get("fit#1").reference]


def test_scripts_have_no_cells(tmp_path):
    with store_at(tmp_path) as store:
        store.start("fit").finish()
        store.close()
    with store_at(tmp_path) as store:
        assert "cells" not in store.documents("fit#1")
        assert "notebook.path" not in store.get("fit#1").facts.unknown
