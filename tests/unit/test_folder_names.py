"""Names of runs' folders: any reference fits a disk, no two share one, none hides or leaves."""

import pytest

from runstore.model.reference import folder_name

STAMP = "2026-11-23-T101500"


@pytest.mark.parametrize(
    ("reference", "folder"),
    [
        (f"mnist_7_{STAMP}", f"mnist_7_{STAMP}"),
        (f"Größe 1_7_{STAMP}", f"Größe 1_7_{STAMP}"),
        (f".hidden_7_{STAMP}", f"%2Ehidden_7_{STAMP}"),
        ("..", "%2E."),
        (".", "%2E"),
        ("a.b", "a.b"),
        ("a/b\\c", "a%2Fb%5Cc"),
        (':*?"<>|%', "%3A%2A%3F%22%3C%3E%7C%25"),
        ("a\nb\x00", "a%0Ab%00"),
        ("a\u2028b", "a%E2%80%A8b"),
        ("a\ud800", "a%ED%A0%80"),
    ],
)
def test_what_a_path_cannot_hold_is_escaped(reference, folder):
    assert folder_name(reference) == folder


def test_a_name_of_200_bytes_is_kept_whole():
    assert folder_name("a" * 200) == "a" * 200


@pytest.mark.parametrize(
    ("reference", "folder"),
    [
        ("a" * 201, "a" * 160 + "~a616db75c1aa75b4"),
        ("a" + "é" * 120, "a" + "é" * 79 + "~1215d6475a953ddb"),
        ("." + "a" * 199, "%2E" + "a" * 157 + "~1b61f61d6f155e27"),
    ],
)
def test_a_long_name_is_cut_and_told_apart_by_a_digest(reference, folder):
    """Folders of earlier releases are found by these names."""
    assert folder_name(reference) == folder


def test_long_names_that_begin_alike_are_two():
    assert folder_name("a" * 300 + "1") != folder_name("a" * 300 + "2")


def test_a_long_name_of_any_characters_has_a_folder():
    assert folder_name("\ud800" * 100).startswith("%ED%A0%80")
