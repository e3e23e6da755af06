"""runstore records every run of your experiments: numbered, described, searchable, repeatable."""

from __future__ import annotations

from runstore import started_in as _started_in  # noqa: F401 - before the program changes its folder

# As in `typing`, whose import takes ten times as long as everything here.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from typing import Any

    from runstore import errors as errors
    from runstore.curifactory.artifact_manager import ArtifactManager
    from runstore.curifactory.manager_store import ManagerStore
    from runstore.errors import AlreadyRanError, RunstoreError, StoreWarning
    from runstore.model.logged.media import Histogram
    from runstore.model.params.build import parameter_set
    from runstore.model.params.parameter_set import ParameterSet
    from runstore.model.results.events import Event
    from runstore.model.results.experiments import Experiment
    from runstore.model.run import Run
    from runstore.model.status import Status
    from runstore.reading.pages import Page
    from runstore.recording.active import ActiveRun, current_run
    from runstore.start import attach_run, recorded, start_run
    from runstore.store import Store
    from runstore.web.in_process import ui

__version__ = "0.1.0"

# The module of each public name, loaded on first use.
_HOMES = {
    "ActiveRun": "runstore.recording.active",
    "AlreadyRanError": "runstore.errors",
    "ArtifactManager": "runstore.curifactory.artifact_manager",
    "Event": "runstore.model.results.events",
    "Experiment": "runstore.model.results.experiments",
    "Histogram": "runstore.model.logged.media",
    "ManagerStore": "runstore.curifactory.manager_store",
    "Page": "runstore.reading.pages",
    "ParameterSet": "runstore.model.params.parameter_set",
    "Run": "runstore.model.run",
    "RunstoreError": "runstore.errors",
    "Status": "runstore.model.status",
    "Store": "runstore.store",
    "StoreWarning": "runstore.errors",
    "attach_run": "runstore.start",
    "current_run": "runstore.recording.active",
    "parameter_set": "runstore.model.params.build",
    "recorded": "runstore.start",
    "start_run": "runstore.start",
    "ui": "runstore.web.in_process",
}

__all__ = [
    "ActiveRun",
    "AlreadyRanError",
    "ArtifactManager",
    "Event",
    "Experiment",
    "Histogram",
    "ManagerStore",
    "Page",
    "ParameterSet",
    "Run",
    "RunstoreError",
    "Status",
    "Store",
    "StoreWarning",
    "attach_run",
    "current_run",
    "parameter_set",
    "recorded",
    "start_run",
    "ui",
]


# Modules with too many public names for this list: `except runstore.errors.NotFoundError`.
_MODULES = ("errors", "testing")
# Names that users of Weights & Biases, MLflow and TensorBoard expect here.
_HABITS = {
    # As long as the modules of these names are not loaded.
    **dict.fromkeys(("init", "set_experiment", "start"), 'runstore.start_run("mnist")'),
    "store": "runstore.Store.open()",
    **dict.fromkeys(("log", "log_metric", "log_metrics"), "run.log(loss=0.3)"),
    **dict.fromkeys(("log_param", "log_params"), 'run.params.update({"lr": 0.1})'),
    **dict.fromkeys(("log_artifact", "save"), "run.save(PATH)"),
    **dict.fromkeys(("finish", "end_run"), "run.finish()"),
    "open": "runstore.Store.open()",
    **dict.fromkeys(("runs", "list", "list_runs"), "runstore.Store.open().list()"),
    **dict.fromkeys(("get", "get_run", "load"), 'runstore.Store.open().get("mnist#1")'),
    "set_tag": 'run.tags["phase"] = "pilot"',
    "active_run": "runstore.current_run()",
    "config": "run.params",
    "summary": "run.log(accuracy=0.9)",
    **dict.fromkeys(("Api", "MlflowClient", "Client"), "runstore.Store.open()"),
    "SummaryWriter": 'runstore.start_run("mnist"), and run.log({"loss": 0.3}, step=1)',
    "set_tracking_uri": 'runstore.start_run("mnist", store=PATH)',
    "Image": 'run.log_image("sample", image)',
    "Table": 'run.save("table.csv", table)',
    "Artifact": "run.save(PATH)",
    **dict.fromkeys(("find", "search_runs"), 'runstore.Store.open().find("params.lr < 0.1")'),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None and name not in _MODULES:
        hint = f". Use {_HABITS[name]}." if name in _HABITS else ""
        raise AttributeError(f"module 'runstore' has no attribute {name!r}{hint}")
    if home is None:
        return _loaded(f"runstore.{name}")
    value = getattr(_loaded(home), name)
    globals()[name] = value
    return value


def _loaded(module: str) -> Any:
    """Load a module; a signal handler waits, as it would find one that is only partly loaded."""
    import importlib

    from runstore.storage.sqlite.signals import Uninterrupted

    with Uninterrupted():
        return importlib.import_module(module)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
