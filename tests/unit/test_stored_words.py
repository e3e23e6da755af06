"""Words that stand in databases and files of users: another word would not be read any more."""

from runstore.model.status import STATUS_WORDS, Status
from runstore.storage.postgres.waiting import PARENT_NAME, STARTING, WAITING
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


def test_runs_that_wait_for_a_server_are_found_by_any_release():
    assert (WAITING, STARTING, PARENT_NAME) == ("waiting", "waiting.lock", "parent.name")


def test_words_of_other_tools_for_a_status_are_understood():
    assert {status.value: [*words] for status, words in _words().items()} == {
        "error": ["failed", "failure", "failures", "errors", "crashed"],
        "complete": ["completed", "finished", "done", "succeeded", "success"],
        "running": ["active"],
        "interrupted": ["killed", "cancelled", "canceled", "stopped"],
    }


def _words():
    found = {}
    for word, status in STATUS_WORDS.items():
        found.setdefault(status, []).append(word)
    return found
