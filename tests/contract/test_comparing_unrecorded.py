"""What was not recorded of a run is unknown, not missing; what is on its way is waited for."""

from runstore.analysis.compare.differences import MISSING, Unknown
from runstore.model.facts import Facts


def run_with(store, **facts):
    run = store.start("m", capture=False)
    store.backend.database.attach_facts(run.uid, Facts(values=facts))
    run.finish()
    return run.reference


def test_runs_one_after_the_other_do_not_differ(store):
    names = []
    for _ in range(2):
        with store.start("m", params={"lr": 1}) as run:
            run.log(acc=1)
        names.append(run.reference)

    assert [one.name for one in store.compare(*names) if one.section != "status"] == []


def test_a_fact_that_only_one_run_has_is_unknown(store):
    a = run_with(store, **{"host.name": "a", "host.machine": "x86_64"})
    b = run_with(store, **{"host.name": "b"})

    found = {one.key: one.values for one in store.compare(a, b, everything=True)}

    assert isinstance(found["host.machine"][1], Unknown)
    assert "host.machine" not in {one.key for one in store.compare(a, b)}
    assert found["host.name"] == ("a", "b")


def test_a_run_outside_of_a_batch_job_has_no_job(store):
    a = run_with(store, **{"host.name": "a", "scheduler.queue": "long"})
    b = run_with(store, **{"host.name": "a"})

    (queue,) = (one for one in store.compare(a, b) if one.key == "scheduler.queue")

    assert queue.values == ("long", MISSING)
