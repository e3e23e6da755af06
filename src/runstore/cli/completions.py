"""Completions for a shell: runs, experiments and names of the store; nothing else is printed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import TYPE_CHECKING

import click

from runstore.cli.context import STORE
from runstore.errors import RunstoreError
from runstore.model.reference import is_on_one_line

if TYPE_CHECKING:
    from pathlib import Path

    from click.shell_completion import CompletionItem

    from runstore.runner.project import Project
    from runstore.store import Store

Completion = Callable[[click.Context, click.Parameter, str], list[str]]

_RECENT = 50  # runs that are offered by number
_NEWEST = 3  # runs of an experiment whose metrics are offered


def complete_runs(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return matching experiments and numbered runs, newest first, or else references."""
    return _asked(context, "", lambda store: _runs(store, begun))


def complete_words(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return matching runs and experiments, or kept filters for `@`."""
    if begun.startswith("@"):
        return _asked(context, begun, lambda store: [f"@{name}" for name in store.queries])
    return complete_runs(context, _parameter, begun)


def complete_words_or_folders(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[CompletionItem]:
    """Return matching runs and experiments, or folders for a path."""
    from click.shell_completion import CompletionItem

    found = [] if "/" in begun else complete_words(context, parameter, begun)
    return [*map(CompletionItem, found), CompletionItem(begun, type="dir")]


def complete_tag_words(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[str]:
    """Return matching changes of tags, such as `+keep`, or runs and experiments."""
    if begun.startswith("+"):
        return _asked(context, begun, lambda store: [f"+{one}" for one in _keys(store, "tags")])
    return complete_words(context, parameter, begun)


def complete_columns(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return matching columns, after the earlier columns of a comma-separated list."""
    return listed_after(begun, _asked(context, "", _columns))


def listed_after(begun: str, names: Iterable[str]) -> list[str]:
    """Return a comma-separated list with each name that its last one can become."""
    from runstore.model.query.spelling import begun_name

    before, last = begun_name(begun)
    return [f"{before}{name}" for name in names if name.startswith(last)]


def _runs(store: Store, begun: str) -> list[str]:
    from runstore.model.display.short_names import short_names

    experiment, sign, _ = begun.rpartition("#")
    if sign:
        known = store.has_experiment(experiment)
        recent = store.list(experiment, limit=_RECENT).items if known else ()
        return [name for name in short_names(recent) if name.startswith(begun)]
    names = ["latest", *(one.name for one in store.experiments())]
    found = [name for name in names if name.startswith(begun)]
    recent = store.list(limit=_RECENT).items if found else ()
    numbered = [name for name in short_names(recent) if name.startswith(begun)]
    return [*found, *numbered] or list(store.complete(begun))


def _columns(store: Store) -> list[str]:
    from runstore.reading.filters.unknown_names import known_columns

    return known_columns(store.backend)


def _keys(store: Store, namespace: str) -> list[str]:
    from runstore.model.query.tree import Namespace
    from runstore.reading.filters.unknown_names import known_keys

    return known_keys(store.backend, Namespace(namespace))


def complete_experiments(
    context: click.Context, parameter: click.Parameter, begun: str
) -> list[str]:
    """Return matching experiments, the most recently run first, or filters for `@`."""
    if begun.startswith("@"):
        return complete_words(context, parameter, begun)
    return complete_experiment_names(context, parameter, begun)


def complete_artifacts(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    """Return matching artifacts of the run named earlier."""
    run = context.params.get("run")
    if run is None:
        return []
    return _asked(context, begun, lambda store: [*store.get(run).artifacts])


def complete_documents(
    context: click.Context, _parameter: click.Parameter, begun: str
) -> list[str]:
    """Return matching captured texts of the run named earlier."""
    # click has not assigned the words to parameters if the line ends with an option.
    run = next(iter(context.args), context.params["run"])
    return _asked(context, begun, lambda store: store.documents(store.get(run).uid))


def complete_metrics(context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
    """Return matching metrics of the runs named earlier, or of the store if there are none."""
    given = (context.params.get(name) for name in ("runs", "words", "run", "a", "b"))
    words = [
        word for one in given if one for word in ((one,) if isinstance(one, str) else tuple(one))
    ]
    # click has not assigned the words to parameters if the line ends with an option.
    words += context.args

    def ask(store: Store) -> list[str]:
        found: dict[str, None] = {}
        for word in words:
            with suppress(RunstoreError):
                is_experiment = store.has_experiment(word)
                runs = store.list(word, limit=_NEWEST) if is_experiment else (store.get(word),)
                found.update(dict.fromkeys(key for run in runs for key in run.metrics))
        return list(found) or _keys(store, "metrics")

    return _asked(context, begun, ask)


def _asked(context: click.Context, begun: str, ask: Callable[[Store], Iterable[str]]) -> list[str]:
    from runstore.store import Store

    location = context.find_root().meta.get(STORE)
    with warnings.catch_warnings(), suppress(RunstoreError):
        warnings.simplefilter("ignore")
        with Store.open(location, create=False) as store:
            names = ask(store)
            return [name for name in names if name.startswith(begun) and is_on_one_line(name)]
    return []


def _names(names_in: Callable[[Store], Iterable[str]]) -> Completion:
    """Return a completion of names in the store."""
    return lambda context, _parameter, begun: _asked(context, begun, names_in)


def _modules(folder_of: Callable[[Project], Path]) -> Completion:
    """Return a completion of modules of the project."""

    def complete(_context: click.Context, _parameter: click.Parameter, begun: str) -> list[str]:
        from runstore.runner.project import Project, modules_in

        with suppress(RunstoreError):
            found = modules_in(folder_of(Project.find()))
            return [one.name for one in found if one.name.startswith(begun)]
        return []

    return complete


complete_trash = _names(lambda store: [run.reference for run in store.trash()])
complete_experiment_names = _names(lambda store: [one.name for one in store.experiments()])
complete_filters = _names(lambda store: [*store.queries])
complete_directed = _names(lambda store: [*store.directions])
complete_experiment_modules = _modules(lambda project: project.experiments)
complete_parameter_modules = _modules(lambda project: project.params)
