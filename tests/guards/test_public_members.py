"""The public members of what users hold in their hands; a list that only changes on purpose."""

from runstore import ActiveRun, Run, Store

STORE = """
    add artifacts_of attach check children close collect_garbage copy compare complete delete
    directions document documents edit events experiments explain export_parquet find finish
    folder_of get grep group has_experiment inputs_of last_values list metrics_of move name_of
    open output_of path pivot points previous_runs pull push queries readers_of record redo
    rename_experiment restore resume series_of settle similar start tag
    trash undo verify
"""


RUN = """
    artifacts block cli commit damaged deleted_at download duration ended_at error exit_code
    experiment_name facts full_store hostname inputs last_seen_at media metric metrics notes
    open outline output param_files parameter_sets params parent_uid process read_bytes
    reference reproduce run_number silent_for source started_at status status_text summary
    tags timestamp traceback uid workdir_dirty
"""

ACTIVE_RUN = """
    add_params attach_logging edit ends_with_process finish is_strict keep_output log
    log_histogram log_image log_points log_text notes
    of_set parameter_sets params record rewind save
    status tags use
"""


def members_of(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_the_members_of_a_store():
    assert members_of(Store) == set(STORE.split())


def test_completion_on_a_store_offers_nothing_internal(tmp_path):
    with Store.open(tmp_path) as store:
        assert members_of(store) == set(STORE.split())


def test_the_members_of_a_run():
    assert members_of(Run) == set(RUN.split())


def test_the_members_of_a_run_that_is_executed():
    assert members_of(ActiveRun) == set(ACTIVE_RUN.split())
