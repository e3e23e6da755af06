"""How many secrets are found, and how much else is masked; docs/concepts/secrets.md has it."""

import ast
import sys
import sysconfig
from pathlib import Path

import pytest

import secret_corpus as corpus
from runstore.capture.secrets import mask_text

SEEDS = range(3)


def test_the_corpus_is_large_enough():
    issuers = {issuer for issuer, *_ in corpus.tokens()}

    assert len(list(corpus.tokens())) >= 150
    assert len(issuers) >= 60
    assert len(list(corpus.lookalikes())) >= 150


@pytest.mark.parametrize("seed", SEEDS)
def test_tokens_of_issuers_are_masked(seed):
    missed = [
        (issuer, text)
        for issuer, token, text, path in corpus.tokens(seed)
        if token in mask_text(text, path)
    ]

    assert len(missed) <= 0.01 * len(list(corpus.tokens(seed))), missed


@pytest.mark.parametrize("seed", SEEDS)
def test_named_values_are_masked(seed):
    missed = [text for value, text, path in corpus.named(seed) if value in mask_text(text, path)]

    assert len(missed) <= 0.05 * len(list(corpus.named(seed))), missed


@pytest.mark.parametrize("seed", SEEDS)
def test_private_keys_are_masked(seed):
    assert [text for body, text in corpus.private_keys(seed) if body in mask_text(text)] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("path", ["", "train.py", "notes.md"])
def test_lookalikes_stay(seed, path):
    masked = [text for text in corpus.lookalikes(seed) if mask_text(text, path) != text]

    assert masked == []


@pytest.mark.parametrize("seed", SEEDS)
def test_masked_code_is_code(seed):
    """Only what stands in a literal is replaced, so the code can be restored and read."""
    for text, path in [
        *((text, path) for _, _, text, path in corpus.tokens(seed)),
        *((text, path) for _, text, path in corpus.named(seed)),
    ]:
        if path.endswith(".py"):
            ast.parse(mask_text(text, path))


def test_code_of_installed_packages_stays(is_full_campaign):
    """At most one file in a thousand is altered, and what is altered is still Python."""
    files = sorted(
        file
        for folder in {sysconfig.get_path("stdlib"), sysconfig.get_path("purelib"), *sys.path}
        if folder
        for file in Path(folder).glob("**/*.py" if is_full_campaign else "*/*.py")
    )
    chosen = files if is_full_campaign else files[:: max(1, len(files) // 75)]
    altered = broken = looked_at = 0
    for file in chosen:
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        looked_at += 1
        masked = mask_text(text)
        if masked != text:
            altered += 1
            broken += corpus.is_code(text) and not corpus.is_code(masked)

    print(f"{looked_at:,} files, {altered} altered, {broken} broken")
    assert broken == 0
    assert altered <= max(3, 0.001 * looked_at)
