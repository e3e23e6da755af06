"""Attributes that users of other tools expect of a run, and what they are called here."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

from runstore.model.display.suggestions import nearest

# By the words of Weights & Biases, MLflow, Aim, Sacred and TensorBoard.
_READ = {
    "id": "run.uid",
    "run_id": "run.uid",
    "name": 'run.reference, or run.tags["name"]',
    "run_name": 'run.reference, or run.tags["name"]',
    "config": "run.params",
    "summary": "run.log(accuracy=0.9) to log, and run.record.metrics to read",
    "history": 'run.record.metric("loss")',
    "metrics": "run.log(loss=0.3) to log, and run.record.metrics to read",
    "metric": 'run.record.metric("loss")',
    "artifacts": "run.record.artifacts",
    "output": "run.record.output",
    "project": "run.experiment_name",
    "experiment": "run.experiment_name",
    "number": "run.run_number",
    "info": "run.record",
    "data": "run.record",
    "dir": "run.save(PATH), which keeps a file with the run",
    "log_metric": "run.log(loss=0.3)",
    "log_metrics": 'run.log({"loss": 0.3}, step=1)',
    "log_scalar": "run.log(loss=0.3)",
    "add_scalar": 'run.log({"loss": 0.3}, step=1)',
    "add_scalars": 'run.log({"train/loss": 0.3, "val/loss": 0.4}, step=1)',
    "add_text": 'run.log_text("answer", text)',
    "add_image": 'run.log_image("sample", image)',
    "add_figure": 'run.save("figure.png", figure)',
    "add_hparams": 'run.params.update({"lr": 0.1})',
    "track": "run.log(loss=0.3)",
    "log_param": 'run.params["lr"] = 0.1',
    "log_params": 'run.params.update({"lr": 0.1})',
    "set_tag": 'run.tags["phase"] = "pilot"',
    "tag": 'run.tags["phase"] = "pilot"',
    "add_note": 'run.notes = "first try"',
    "note": 'run.notes = "first try"',
    "set_tags": 'run.tags.update({"phase": "pilot"})',
    "add_tag": 'run.tags.add("keep")',
    "log_artifact": "run.save(PATH)",
    "log_artifacts": "run.save(FOLDER)",
    "log_figure": 'run.save("figure.png", figure)',
    "log_table": 'run.save("table.csv", table)',
    "log_dict": 'run.save("values.json", values)',
    "log_model": 'run.save("model.pt", model)',
    "add_artifact": "run.save(PATH)",
    "add_resource": "run.use(PATH)",
    "use_artifact": "run.use(PATH)",
    "log_input": "run.use(PATH)",
    "end": "run.finish()",
    "end_run": "run.finish()",
    "stop": "run.finish()",
    "close": "run.finish()",
    "url": "runstore.ui(), or `runstore ui` in a terminal",
    "path": 'run.save("model.pt", model), which keeps a file with the run',
    "plot": 'run.record.metric("loss").plot()',
}
_WRITTEN = {
    "name": 'run.tags["name"] = "baseline"',
    "run_name": 'run.tags["name"] = "baseline"',
    "config": 'run.params.update({"lr": 0.1})',
    "params": 'run.params.update({"lr": 0.1})',
    "summary": "run.log(accuracy=0.9)",
    "metrics": "run.log(accuracy=0.9)",
    "status": 'run.finish("error")',
    "description": 'run.notes = "first try"',
    "note": 'run.notes = "first try"',
    "tag": 'run.tags["phase"] = "pilot"',
}


# Keyword arguments that other tools have for the same purpose.
KEYWORDS = {
    **dict.fromkeys(("config", "hparams", "parameters"), "params"),
    **dict.fromkeys(("project", "experiment"), "experiment_name"),
    "run_name": "name",
    **dict.fromkeys(("description", "message"), "notes"),
    **dict.fromkeys(("group", "job_type", "labels"), "tags"),
    **dict.fromkeys(("dir", "path", "tracking_uri"), "store"),
    **dict.fromkeys(("nested", "parent_run_id"), "parent"),
    **dict.fromkeys(("id", "run_id"), "resume"),
}

# What users of other tools, and of our own commands, expect of a store.
_OF_STORE = {
    "best": 'store.find(experiment="mnist").best("loss")',
    "runs": "store.list()",
    "latest": 'store.get("latest")',
    "ls": "store.list()",
    "show": 'store.get("mnist#1")',
    "diff": "store.compare(runs)",
    "why": 'store.explain("mnist#1", "mnist#2")',
    "search_runs": 'store.find("params.lr < 0.1")',
    "filter": 'store.find("params.lr < 0.1")',
    "query": 'store.find("params.lr < 0.1")',
    "search": 'store.grep("text")',
    "start_run": 'store.start("mnist")',
    "note": 'store.edit("mnist#1", notes="first try")',
    "rm": 'store.delete("mnist#1")',
    "rename": 'store.rename_experiment("mnist", "digits")',
    "metrics": 'store.get("mnist#1").metrics',
}

# What users of data frames, and of lists of one run, expect of a page of runs.
_OF_PAGE = {
    **dict.fromkeys(("df", "dataframe", "to_df", "to_dataframe"), "page.to_pandas()"),
    **{f"to_{one}": f"page.to_pandas().to_{one}(PATH)" for one in ("csv", "parquet", "excel")},
    **{
        name: f"[run.{name} for run in page]"
        for name in ("params", "metrics", "tags", "notes", "status", "artifacts")
    },
    "first": "page[0]",
    "plot": '[run.metric("loss").plot() for run in page]',
    "runs": "list(page)",
}


def no_such_part(name: str, known: Collection[str]) -> AttributeError:
    """Return the error for an attribute that a page does not have."""
    return _missing("page", name, known, _OF_PAGE)


def no_such_method(name: str, known: Collection[str]) -> AttributeError:
    """Return the error for an attribute that a store does not have."""
    return _missing("store", name, known, _OF_STORE)


def no_such_attribute(
    name: str, known: Collection[str], params: Callable[[], Collection[str]]
) -> AttributeError:
    """Return the error for reading an attribute that a run does not have."""
    return _missing("run", name, known, _READ, params)


def no_such_assignment(name: str, known: Collection[str]) -> AttributeError:
    """Return the error for setting an attribute that cannot be set on a run."""
    near = nearest(name, {*known} - {name})
    hint = f"Did you mean {near!r}?" if near else 'For a value of your own: run.tags["key"] = "…".'
    hint = f"Write: {_WRITTEN[name]}" if name in _WRITTEN else hint
    return AttributeError(f"The attribute {name!r} of a run cannot be set. {hint}")


# What a run that was read from a store has instead of the attributes of an active run.
_OF_STORED = {
    **{name: _READ[name] for name in ("id", "run_id", "name", "run_name", "config", "project")},
    **{name: _READ[name] for name in ("experiment", "number")},
    "summary": "run.metrics",
    "history": 'run.metric("loss")',
    "series": 'run.metric("loss")',
    "points": 'run.metric("loss")',
    "plot": 'run.metric("loss").plot()',
    "files": "run.artifacts",
    "load": 'run.open("model.pt")',
    "note": "run.notes",
    "tag": 'store.tag(run, {"phase": "pilot"})',
    "set_tag": 'store.tag(run, {"phase": "pilot"})',
    "add_tag": 'store.tag(run, {"keep": ""})',
    "edit": 'store.edit(run, notes="first try")',
    "log": 'store.add(run, metrics={"loss": 0.3})',
    "log_metric": 'store.add(run, metrics={"loss": 0.3})',
    "log_metrics": 'store.add(run, metrics={"loss": 0.3})',
    "save": 'store.add(run, artifacts={"model.pt": "model.pt"})',
    "log_artifact": 'store.add(run, artifacts={"model.pt": "model.pt"})',
    "finish": "store.finish(run)",
    "delete": "store.delete(run)",
    "children": "store.children(run)",
    "events": "store.events(run)",
    "record": "run, which is the record itself",
    "store": "store.get(run.uid), with the store that you opened",
}
_EDITED = {
    "notes": 'store.edit(run, notes="first try")',
    "note": 'store.edit(run, notes="first try")',
    "description": 'store.edit(run, notes="first try")',
    "experiment_name": 'store.edit(run, experiment_name="mnist")',
    "tags": 'store.tag(run, {"phase": "pilot"})',
    "name": 'store.tag(run, {"name": "baseline"})',
    "metrics": 'store.add(run, metrics={"loss": 0.3})',
    "artifacts": 'store.add(run, artifacts={"model.pt": "model.pt"})',
}


def no_such_field(
    name: str, known: Collection[str], params: Callable[[], Collection[str]]
) -> AttributeError:
    """Return the error for reading an attribute that a run from a store does not have."""
    return _missing("run", name, known, _OF_STORED, params)


def _missing(
    kind: str,
    name: str,
    known: Collection[str],
    uses: Mapping[str, str],
    params: Callable[[], Collection[str]] = tuple,
) -> AttributeError:
    """Return the error for a missing attribute, with what to use instead, or a similar name."""
    if name.startswith("_") or name in known:  # of a copy that is being made
        return AttributeError(f"A {kind} has no attribute {name!r}.")
    near = nearest(name, [one for one in known if not one.startswith("_")])
    use = uses.get(name) or (f"run.params[{name!r}]" if name in params() else "")
    hint = f" Use {use}." if use else f" Did you mean {near!r}?" if near else ""
    return AttributeError(f"A {kind} has no attribute {name!r}.{hint}")


def not_assigned(name: str) -> AttributeError:
    """Return the error for setting an attribute of a run that was read from a store."""
    use = _EDITED.get(name, 'store.tag(run, {"key": "value"}), for a value of your own')
    return AttributeError(
        f"The attribute {name!r} cannot be set on a run that was read from a store. Use {use}."
    )
