"""The trash: deleted runs, and permanently removed runs with only their names."""

NAME = "trash"

STATEMENTS = (
    # purged_at: when everything but the name was removed. The row is kept so that a number is
    # never reused, an old reference can be explained, and a copy of the run does not return.
    "ALTER TABLE runs ADD COLUMN purged_at {integer}",
    "CREATE INDEX runs_in_trash ON runs (deleted_at, id) WHERE deleted_at IS NOT NULL",
    # The place of a run under a former name, which it gets back when it returns.
    "ALTER TABLE reference_aliases ADD COLUMN experiment_id {integer}",
    "ALTER TABLE reference_aliases ADD COLUMN run_number {integer}",
    "CREATE INDEX aliases_by_run ON reference_aliases (run_id)",
)
