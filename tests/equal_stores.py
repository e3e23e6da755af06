"""All that a store knows, to compare stores after transfers between them."""

from runstore.model.reference import without_ending


def everything_of(store, run):
    """Return all that a store knows about a run."""
    return {
        "name": (run.reference, run.experiment_name, run.run_number),
        "former": {
            one
            for one in store.backend.moves.former_references(run.uid)
            if without_ending(one, run.uid) != without_ending(run.reference, run.uid)
        },
        "end": (run.status, run.started_at, run.ended_at, run.error, run.exit_code),
        "params": run.parameter_sets,
        "edited": (run.notes, dict(run.tags), run.deleted_at),
        "metrics": {
            key: [list(column) for column in (series.steps, series.times, series.values)]
            for key, series in ((key, run.metric(key)) for key in run.metrics)
        },
        "files": {path: run.read_bytes(path) for path in run.artifacts},
        "inputs": run.inputs,
        "output": [line.text for line in run.output],
        "texts": store.backend.database.document_names(run.uid),
        "events": store.backend.edits.events(run.uid),
    }


def everything(store):
    runs = {run.uid: run for run in (*store.list(), *store.trash())}
    known = {uid: everything_of(store, run) for uid, run in runs.items()}
    return known, store.backend.database.last_run_numbers()


def exchange(stores, *, restore=False):
    """Let all stores know what each of them knows."""
    first, *others = stores
    for other in others:
        first.pull(other, restore=restore)
    for other in others:
        first.push(other, restore=restore)


def assert_sound(store):
    assert [one for one in store.check(deep=True) if one.is_trouble] == []
    assert store.verify().problems == ()
