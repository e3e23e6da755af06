"""Words that stand in databases and files of users: another word would not be read any more."""

from runstore.model.status import Status
from runstore.storage.trash import GONE_EDITS


def test_each_status_is_stored_as_its_word():
    assert {status.name: status.value for status in Status} == {
        "QUEUED": "queued",
        "RUNNING": "running",
        "LIVE": "live",
        "COMPLETE": "complete",
        "PRUNED": "pruned",
        "ERROR": "error",
        "INTERRUPTED": "interrupted",
        "LOST": "lost",
    }


def test_what_a_store_remembers_has_its_name():
    assert GONE_EDITS == "gone_edits"
