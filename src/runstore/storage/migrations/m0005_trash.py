"""The trash: runs that were deleted, and those of which only the name is left."""

NAME = "trash"

STATEMENTS = (
    # purged_at: when all but the name was removed. The row stays, so that a number is never used
    # again, an old reference tells what became of the run, and a copy of it does not come back.
    "ALTER TABLE runs ADD COLUMN purged_at {integer}",
    "CREATE INDEX runs_in_trash ON runs (deleted_at, id) WHERE deleted_at IS NOT NULL",
    # The place that a run had under a former name: it has it again when it comes back.
    "ALTER TABLE reference_aliases ADD COLUMN experiment_id {integer}",
    "ALTER TABLE reference_aliases ADD COLUMN run_number {integer}",
    "CREATE INDEX aliases_by_run ON reference_aliases (run_id)",
)
