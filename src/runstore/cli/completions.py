"""What a shell offers: runs, experiments, modules of the project. It has no place for messages."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import suppress

import click

from runstore.errors import RunstoreError
from runstore.store import Store

_OBEYED_BY_BASH = frozenset("$`\"'\\;&|<>(){}[]*?!#~")


def complete_runs(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return references that begin so, recent ones first."""
    return _asked(context, lambda store: list(store.complete(begun)))


def complete_experiments(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    """Return experiments that begin so, the most recently run first."""
    return _asked(
        context,
        lambda store: [one.name for one in store.experiments() if one.name.startswith(begun)],
    )


def complete_artifacts(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    """Return artifacts of the run named before that begin so."""
    run = context.params.get("run")
    if run is None:
        return []
    return _asked(
        context,
        lambda store: [path for path in store.get(run).artifacts if path.startswith(begun)],
    )


def complete_metrics(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return metrics of the runs named before that begin so."""
    runs = context.params.get("runs") or ("latest",)

    def ask(store: Store) -> list[str]:
        found = dict.fromkeys(key for run in runs for key in store.get(run).metrics)
        return [key for key in found if key.startswith(begun)]

    return _asked(context, ask)


def _asked(context: click.Context, ask: Callable[[Store], list[str]]) -> list[str]:
    location = context.find_root().params.get("store")
    with warnings.catch_warnings(), suppress(RunstoreError):
        warnings.simplefilter("ignore")
        with Store.open(location, create=False) as store:
            return [name for name in ask(store) if _can_be_offered(name)]
    return []


def _can_be_offered(name: str) -> bool:
    """Return whether a shell may put a name into the line that is being typed."""
    # bash does not quote it: $(…) of a name would be executed with the command.
    is_bash = os.environ.get("_RUNSTORE_COMPLETE", "").startswith("bash")
    return name.isprintable() and not (is_bash and set(name) & _OBEYED_BY_BASH)


def complete_experiment_modules(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    """Return experiment modules that begin so."""
    from runstore.runner.project import Project, modules_in

    with suppress(RunstoreError):
        folder = Project.find().experiments
        return [one.name for one in modules_in(folder) if one.name.startswith(begun)]
    return []


def complete_parameter_modules(
    _context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    """Return parameter modules that begin so."""
    from runstore.runner.project import Project, modules_in

    with suppress(RunstoreError):
        folder = Project.find().params
        return [one.name for one in modules_in(folder) if one.name.startswith(begun)]
    return []
