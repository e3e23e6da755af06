"""The engines that the tests of Python, commands, the page and ManagerStore run on."""

import pytest

from places import forget_shared

# Files whose tests hold for both engines; this list only grows.
ON_BOTH_ENGINES = {
    "test_artifact_manager",
    "test_best",
    "test_comparing",
    "test_completions",
    "test_connections",
    "test_curifactory_itself",
    "test_current_run",
    "test_diff",
    "test_edits",
    "test_ends",
    "test_errors",
    "test_exec",
    "test_experiments",
    "test_export",
    "test_framed",
    "test_grep",
    "test_if_done",
    "test_kept_output",
    "test_lists",
    "test_live",
    "test_ls_and_show",
    "test_ls_filters",
    "test_ls_groups",
    "test_manager_store",
    "test_manager_store_damage",
    "test_manager_store_files",
    "test_manager_store_kill",
    "test_manager_store_reads",
    "test_manager_store_trash",
    "test_manager_store_writers",
    "test_names_of_runs",
    "test_pivot_tables",
    "test_products",
    "test_reading_runs",
    "test_record_command",
    "test_recorded_functions",
    "test_rerun",
    "test_rm",
    "test_run_attributes",
    "test_run_details",
    "test_saved_filters",
    "test_series",
    "test_series_keys",
    "test_show",
    "test_shown_commands",
    "test_start_run",
    "test_undo",
    "test_which_runs",
    "test_why",
}


def pytest_generate_tests(metafunc):
    """Run tests on each engine that they hold for, if asked to."""
    name = metafunc.module.__name__.rpartition(".")[2]
    is_on_both = name in ON_BOTH_ENGINES and metafunc.config.getoption("--both-engines")
    is_on_both &= metafunc.definition.get_closest_marker("folder_only") is None
    if is_on_both:
        metafunc.parametrize("engine", ["sqlite", "postgresql"], indirect=True, scope="module")


@pytest.fixture(scope="module")
def engine(request):
    """The engine of a test."""
    yield getattr(request, "param", "sqlite")
    forget_shared()


@pytest.fixture(autouse=True)
def _store_of_the_project(engine, monkeypatch):
    """Keep the runs of a test on a server, in a new database."""
    if engine == "sqlite":
        yield
        return
    pytest.importorskip("psycopg")
    from postgres_server import database

    url, take_back = database()
    monkeypatch.setenv("RUNSTORE_URL", url)
    yield
    take_back()
