"""How many secrets are found, and how much else is masked: a corpus, and all installed code.

python benchmarks/secrets_corpus.py [--seeds 50]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import secret_corpus as corpus  # type: ignore[import-not-found]
from runstore.capture.secrets import mask_text


def main() -> None:
    """Print the table of docs/guides/keep-secrets-out.md."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seeds", type=int, default=50)
    seeds = range(parser.parse_args().seeds)
    found = {
        "tokens of issuers": [
            token not in mask_text(text, path)
            for seed in seeds
            for _, token, text, path in corpus.tokens(seed)
        ],
        "private keys": [
            body not in mask_text(text)
            for seed in seeds
            for body, text in corpus.private_keys(seed)
        ],
        "named values": [
            value not in mask_text(text, path)
            for seed in seeds
            for value, text, path in corpus.named(seed)
        ],
        "look-alikes, masked": [
            mask_text(text) != text for seed in seeds for text in corpus.lookalikes(seed)
        ],
    }
    for name, hits in found.items():
        print(f"| {name} | {len(hits) // len(seeds)} forms | {shown(hits)} |")
    code()


def shown(hits: Iterable[bool]) -> str:
    """Return a share in per cent."""
    listed = list(hits)
    return f"{100 * sum(listed) / len(listed):.2f} %"


def code() -> None:
    """Print how much installed Python is altered, and whether it can still be parsed."""
    count = altered = broken = size = 0
    began = time.process_time()
    for file in files():
        try:
            text = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            continue
        count, size = count + 1, size + len(text)
        masked = mask_text(text, file.name)
        if masked != text:
            altered += 1
            broken += corpus.is_code(text) and not corpus.is_code(masked)
    took = time.process_time() - began
    print(f"| installed Python files, altered | {count:,} | {100 * altered / count:.3f} % |")
    print(f"| no longer parsable | {count:,} | {broken} |")
    print(f"{took:.0f} s for {size / 1e6:.0f} million characters")


def files() -> Iterator[Path]:
    """Yield every Python file that can be imported here."""
    seen: set[Path] = set()
    for folder in sys.path[1:]:
        for file in Path(folder).rglob("*.py"):
            if file not in seen:
                seen.add(file)
                yield file


if __name__ == "__main__":
    main()
