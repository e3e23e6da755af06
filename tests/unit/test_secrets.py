"""Secrets are masked by their form; ordinary words are left alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.capture.command import command_facts
from runstore.capture.secrets import is_secret_name, mask_arguments, mask_text

TOKEN = "ghp_" + "a1B2" * 9


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("https://ada:pw1@host/x.git", "https://ada:***@host/x.git"),
        (f"https://{TOKEN}@github.com/a/b", "https://***@github.com/a/b"),
        ("postgresql://ada:p%40w@db/runs", "postgresql://ada:***@db/runs"),
        ("API_KEY=abc123456", "API_KEY=***"),
        ("password: hunter2", "password: ***"),
        ('"api_key": "zzz999"', '"api_key": "***"'),
        ("x['password'] = 'abc'", "x['password'] = '***'"),
        ("https://x/?token=abcdef&b=1", "https://x/?token=***&b=1"),
        (f"see {TOKEN}.", "see ***."),
        ("key AKIAABCDEFGHIJKLMNOP", "key ***"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----", None),
    ],
)
def test_secrets_are_masked(text, masked):
    found = mask_text(text)

    assert "***" in found
    if masked is not None:
        assert found == masked


@pytest.mark.parametrize(
    "text",
    [
        "git@github.com:a/b.git",
        "ssh://git@host/x",
        "--tokenizer=bert",
        "max_tokens=100",
        "author=ada",
        "monkey=5",
        "def f(token: str) -> None:",
        "password = getpass()",
        "token = os.environ['TOKEN']",
        "self.token = token.strip()",
        "lr=0.1 key=5",
        "mail ada@example.org: hello",
    ],
)
def test_ordinary_text_is_left_alone(text):
    assert mask_text(text) == text


def test_a_value_after_its_option_is_masked():
    arguments = ["train.py", "--token", "abc", "--api-key=zz", "--lr", "0.1", "DB_PASSWORD=x"]

    assert mask_arguments(arguments) == (
        "train.py",
        "--token",
        "***",
        "--api-key=***",
        "--lr",
        "0.1",
        "DB_PASSWORD=***",
    )


def test_names_tell_secrets():
    assert is_secret_name("--db.password")
    assert is_secret_name("WANDB_API_KEY")
    assert is_secret_name("apiKey")
    assert not is_secret_name("max_tokens")
    assert not is_secret_name("--key")


@given(st.text(), st.text())
def test_masking_twice_is_masking_once(before, after):
    once = mask_text(f"{before} {TOKEN} {after}")

    assert TOKEN not in once
    assert mask_text(once) == once


def test_arguments_of_any_bytes_are_kept_readably():
    facts = command_facts(["train.py", "caf\udce9.csv", "x" * 9000])

    argv = facts.values["command.argv"]
    assert argv[1] == "caf\\xe9.csv"
    assert len(argv[2]) == 4000
    assert facts.values["command.line"].startswith("train.py 'caf\\xe9.csv'")
