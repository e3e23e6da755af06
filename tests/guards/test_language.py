"""Docs, help, errors and docstrings are written in the English of well-kept projects."""

import ast
import inspect
import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

import runstore
from source_trees import nodes_of

PACKAGE = Path(runstore.__file__).parent
REPOSITORY = Path(__file__).parents[2]
SQL = re.compile(
    r"\b(SELECT|INSERT|UPDATE|DELETE|CREATE|DROP|ALTER|FROM|WHERE|JOIN|AND|ORDER BY|PRAGMA)\b"
)
CODE = re.compile(
    r"```.*?```|`[^`]*`|(?<=\])\([^)]*\)|^Source:.*?(?:\n\n|\Z)", re.DOTALL | re.MULTILINE
)
SENTENCE = re.compile(r"(?<=[.:!?])\s+|\n\n|\|")
# Turns of phrase that a native reader stops at.
RARE = re.compile(
    r"\b(tells?|told|telling|stands?|stood|standing|g(?:ive|ives|iven|iving|ave) (?:\w+ )?back"
    r"|go(?:es|ing)? on|went on|put away|t(?:ake|akes|aken|ook) (?:\w+ )?for|those (?:that|of|who)"
    r"|ones? that|(?<!there )(?:is|are|was) no(?! longer)|behind it|for good|nobody|whatever"
    r"|wherever|whoever)\b"
)


@dataclass(frozen=True)
class Limits:
    """Words per 1,000: at most for the first three, at least for conditions."""

    what: float = 2.0
    where: float = 3.0
    rare: float = 2.0
    conditions: float = 5.0


# For every room and page.
AIM = Limits()
# A handful of words in a short text is no habit.
FEW = 2


def english_of(text):
    """Return a text in lower case, without its code, its links' targets and its questions."""
    sentences = SENTENCE.split(CODE.sub(" x ", text))
    return "\n".join(each for each in sentences if not each.endswith("?")).lower()


def strings_of(nodes):
    """Yield the strings of a module, f-strings as one."""
    inside = set()
    for node in nodes:
        if isinstance(node, ast.JoinedStr):
            inside.update(map(id, node.values))
            yield "".join(p.value if isinstance(p, ast.Constant) else "x" for p in node.values)
        elif isinstance(node, ast.Constant) and id(node) not in inside:
            yield str(node.value)


def sources():
    """Return pages by folder, and modules by room, once for docstrings and once for the rest."""
    found = defaultdict(list)
    for name in ("README.md", "SECURITY.md", "CONTRIBUTING.md", "CHANGELOG.md"):
        found[name].append(REPOSITORY / name)
    found["changelog.d"].extend(sorted((REPOSITORY / "changelog.d").glob("*.md")))
    for page in sorted((REPOSITORY / "docs").rglob("*.md")):
        found["/".join(page.relative_to(REPOSITORY).parts[:2])].append(page)
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).parts
        room = parts[0] if len(parts) > 1 else "root"
        found[f"{room}, docstrings"].append(path)
        found[f"{room}, strings"].append(path)
    return dict(sorted(found.items()))


SOURCES = sources()


def text_of(name):
    """Return the English of these pages or modules."""
    if ", " not in name:
        texts = (page.read_text(encoding="utf-8") for page in SOURCES[name])
    else:
        of_docstrings = name.endswith(", docstrings")
        texts = (text for path in SOURCES[name] for text in texts_of(path)[not of_docstrings])
    return "\n".join(map(english_of, texts))


@cache
def texts_of(path):
    """Return the docstrings of a module, and its other strings that are sentences."""
    nodes = nodes_of(path)
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    docstrings = {
        text for node in nodes if isinstance(node, kinds) and (text := ast.get_docstring(node))
    }
    others = [
        text
        for text in strings_of(nodes)
        if " " in text and inspect.cleandoc(text) not in docstrings and not SQL.search(text)
    ]
    return sorted(docstrings), others


def counted(text):
    """Return the number of words, and how many of them are of each kind."""
    words = re.findall(r"[a-z']+", text)
    each = Counter(words)
    return len(words), {
        "what": each["what"],
        "where": each["where"],
        "rare": len(RARE.findall(text)),
        "conditions": each["if"] + each["when"],
    }


@pytest.mark.parametrize("name", SOURCES)
def test_a_text_reads_like_english(name):
    """Limits are in STYLE's section on language; rewrite the sentence, not the word alone."""
    words, found = counted(text_of(name))

    for kind in ("what", "where", "rare"):
        allowed = max(FEW, getattr(AIM, kind) * words / 1000)
        assert found[kind] <= allowed, f"{name}: {found[kind]} times {kind!r} in {words} words"
    if words > 500 and not name.endswith("strings"):
        needed = AIM.conditions * words / 1000
        assert found["conditions"] >= needed, f"{name}: if and when {found['conditions']} times"


def test_docs_and_hints_install_runstore_from_a_clone():
    """The package is not on an index yet, so its name installs nothing, or another package."""
    pages = [REPOSITORY / "README.md", *sorted((REPOSITORY / "docs").rglob("*.md"))]
    modules = sorted(PACKAGE.rglob("*.py"))

    wrong = [
        f"{page.relative_to(REPOSITORY)}: {found}"
        for page in [*pages, *modules]
        for found in re.findall(r"pip install [^`\n]*\brunstore\b[^`\n]*", page.read_text("utf-8"))
    ]

    assert wrong == []
