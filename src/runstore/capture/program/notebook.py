"""The code of an interactive session: the cells of a notebook, and its name."""

from __future__ import annotations

import os
import sys
from typing import Any

from runstore.capture.secrets import mask_text
from runstore.model.facts import Facts, FactValue

_CELLS_AT_MOST_BYTES = 1 << 20


def notebook_facts() -> Facts:
    """Return `notebook.path`, and the document `cells`: the code executed so far, masked.

    Source: IPython 9, HistoryManager; Jupyter Server 2, JPY_SESSION_NAME; Visual Studio Code's
    Jupyter extension, __vsc_ipynb_file__.
    """
    shell = _shell()
    if shell is None:
        return Facts()
    values: dict[str, FactValue] = {}
    unknown: dict[str, str] = {}
    path = shell.user_ns.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    if isinstance(path, str) and path.endswith(".ipynb"):
        values["notebook.path"] = path
    elif getattr(shell, "kernel", None) is not None:
        unknown["notebook.path"] = "the kernel does not know its notebook"
    cells = list(shell.history_manager.input_hist_raw)
    text = "\n".join(
        f"# In [{number}]\n{cell.rstrip()}\n" for number, cell in enumerate(cells) if cell
    )
    if len(text) > _CELLS_AT_MOST_BYTES:
        unknown["cells"] = f"over {_CELLS_AT_MOST_BYTES:,} characters"
        return Facts(values=values, unknown=unknown)
    documents = {"cells": mask_text(text)} if text else {}
    return Facts(values=values, documents=documents, unknown=unknown)


def _shell() -> Any:
    """Return IPython's shell; None if the program does not run in it."""
    found = getattr(sys.modules.get("IPython"), "get_ipython", None)
    return None if found is None else found()
