"""A recorded patch brings the code back, or is marked: kinds of changes, settings and names."""

import json
import os
import shutil
import subprocess

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from commands import git
from runstore.capture.git.snapshot import snapshot
from runstore.capture.git.state import run_git

MARKS = ("patch", "patch.rest", "patch.masked", "patch.submodules", "patch.filters")
SETTINGS = (
    ("diff.noprefix", "true"),
    ("diff.mnemonicPrefix", "true"),
    ("diff.context", "0"),
    ("diff.interHunkContext", "20"),
    ("diff.suppressBlankEmpty", "true"),
    ("diff.orderFile", "/nowhere/order"),
    ("diff.external", "false"),
    ("diff.trustExitCode", "true"),
    ("diff.renames", "copies"),
    ("diff.algorithm", "patience"),
    ("diff.relative", "true"),
    ("diff.wsErrorHighlight", "all"),
    ("diff.ignoreSubmodules", "all"),
    ("color.ui", "always"),
    ("color.diff", "always"),
    ("core.autocrlf", "input"),
    ("core.quotePath", "false"),
    ("core.pager", "false"),
    ("core.safecrlf", "true"),
    ("core.abbrev", "4"),
    ("status.showUntrackedFiles", "no"),
    ("status.renames", "copies"),
)
ATTRIBUTES = (
    "",
    "*.py diff\n",
    "*.py -diff\n",
    "*.py diff=odd\n",
    "*.py text eol=crlf\n",
    "*.py binary\n",
)
# Bytes that are no UTF-8, lines that do not end, letters that end lines elsewhere, marks of git.
PIECES = (
    b"x = 1\n", b"\n", b"  \n", b"caf\xe9\n", "caf\u00e9 \u2028\x85\n".encode(), b"a\rb\r",
    b"a\r\n", b"\0\1\n",
    b"\xef\xbb\xbfb\n", b"\x1b[31mred\n", b"\x0c\n", b"@@ -1 +1 @@\n", b"diff --git a/x b/x\n",
    b"--- a/x\n", b"+++ b/x\n", b"* Unmerged path x\n", b"\\ No newline at end of file\n",
    b"GIT binary patch\n", b"-----\n", b"\xed\xa0\x80\n", b"no end", b"y" * 300 + b"\n",
    b"def \xc3\xa9" + b"\xc3\xa9" * 60 + b"():\n",
)  # fmt: skip
contents = st.lists(st.sampled_from(PIECES), max_size=12).map(b"".join)
NAMES = (
    "a.py", "b c.py", 'd\tq"\\.py', os.fsdecode(b"\xe9.py"), "\u00e9/\u00fc.py", "-n.py",
    ":(top)x.py", "s*[1].py", " b/ b.py", "e\nf.py", "'.py", "up/down/x", "UP.py",
)  # fmt: skip
names = st.sampled_from(NAMES)
KINDS = (
    "write",
    "append",
    "delete",
    "chmod",
    "link",
    "rename",
    "stage",
    "intend",
    "cached delete",
    "fifo",
)
changes = st.lists(st.tuples(st.sampled_from(KINDS), names, contents), min_size=1, max_size=5)


def put(folder, name, data):
    place = folder / name
    place.parent.mkdir(parents=True, exist_ok=True)
    if os.path.lexists(place):
        place.unlink()
    place.write_bytes(data)
    return place


def change(folder, kind, name, data):
    place = folder / name
    there = place.is_file() and not place.is_symlink()
    if kind in {"write", "stage", "intend"}:
        put(folder, name, data)
        if kind != "write":
            option = ["-N"] if kind == "intend" else []
            ask(folder, "add", *option, "--", f":(top,literal){name}")
    elif kind == "append" and there:
        with place.open("ab") as file:
            file.write(data)
    elif kind == "delete" and os.path.lexists(place):
        place.unlink()
    elif kind == "chmod" and there:
        place.chmod(0o755)
    elif kind == "link":
        put(folder, name, b"").unlink()
        place.symlink_to(os.fsdecode(data.replace(b"\0", b"")[:50] or b"a.py"))
    elif kind == "fifo":
        put(folder, name, b"").unlink()
        os.mkfifo(place)
    elif kind == "rename" and there:
        place.replace(place.with_name(f"moved {place.name}"))
        ask(folder, "add", "-A")
    elif kind == "cached delete":
        ask(folder, "rm", "-q", "--cached", "--ignore-unmatch", "--", f":(top,literal){name}")


def ask(folder, *arguments):
    """Run git; what it refuses is no change."""
    return subprocess.run(["git", *arguments], cwd=folder, check=False, capture_output=True)


def tree_of(folder, facts):
    """Return the files of a folder as git would commit them, its new ones as they were kept."""
    new = set(json.loads(facts.documents.get("untracked", "{}")))
    left = facts.unknown.get("untracked.rest", "")
    found = {}
    for line in ask(folder, "ls-files", "-s", "-z").stdout.split(b"\0")[:-1]:
        about, _, name = line.partition(b"\t")
        shown = name.decode("utf-8", "backslashreplace")
        if shown not in new and f"{shown} (" not in left:
            found[name] = about.split()[:2]
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """No settings but those of an example."""
    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(home))
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        yield home


@given(
    base=st.dictionaries(names, contents, min_size=1, max_size=4),
    changed=changes,
    chosen=st.lists(st.sampled_from(SETTINGS), max_size=4),
    attributes=st.sampled_from(ATTRIBUTES),
    has_commit=st.sampled_from((True, True, True, False)),
)
@example(
    {"a.py": b"", "b c.py": b"x"}, [("write", "b c.py", b""), ("fifo", "a.py", b"")], [], "", True
)
@example({"a.py": b"x\na\rb\r"}, [("write", "a.py", b"")], [], "*.py text eol=crlf\n", True)
@example({"a.py": b""}, [("write", "a.py", b"a\r\n")], [("core.autocrlf", "input")], "", True)
def check_recorded_patch(home, base, changed, chosen, attributes, has_commit):
    """What was recorded applies to a fresh clone and gives the same tree, or is marked."""
    (home / ".gitconfig").write_text('[diff "odd"]\n\tbinary = false\n\ttextconv = wc -c\n')
    for place in ("work", "fresh"):
        shutil.rmtree(home / place, ignore_errors=True)
    work, fresh = home / "work", home / "fresh"
    git(home, "init", "-q", "work")
    (work / ".gitattributes").write_text(attributes)
    git(work, "add", "-A")
    for name, data in base.items():
        if has_commit:
            put(work, name, data)
    if has_commit:
        git(work, "add", "-A")
        git(work, "commit", "-qm", "one")
    for kind, name, data in changed:
        change(work, kind, name, data)
    for key, value in chosen:
        git(home, "config", "--global", key, value)

    facts = snapshot(work, run_git)

    (home / ".gitconfig").unlink()
    marks = {name: why for name, why in facts.unknown.items() if name in MARKS}
    patch = facts.documents.get("patch", "").encode()
    if has_commit:
        git(home, "clone", "-q", "work", "fresh")
    else:
        git(home, "init", "-q", "fresh")
    # As in the store: what cannot be said in UTF-8 would be lost on the way.
    (home / "kept.patch").write_bytes(patch)
    if patch:
        done = ask(fresh, "apply", "--whitespace=nowarn", "--check", str(home / "kept.patch"))
        assert done.returncode == 0 or "patch.masked" in marks, (done.stderr, patch, marks)
        assert (
            ask(
                fresh, "apply", "--whitespace=nowarn", "--index", str(home / "kept.patch")
            ).returncode
            == 0
        )
    # Line ends are recorded as git would commit them: those that the user lets it change, changed.
    ends = [
        word
        for key, value in chosen
        if key == "core.autocrlf"
        for word in ("-c", f"{key}={value}")
    ]
    ask(work, *ends, "add", "-A")
    # Nothing can hash what became a pipe; it is named, and all else is in the patch.
    has_pipe = any(kind == "fifo" for kind, _, _ in changed)
    assert not marks or (has_pipe and "cannot hash" in marks["patch.rest"])
    assert marks or tree_of(work, facts) == tree_of(fresh, facts), (patch, facts.unknown)


@pytest.mark.timeout(3600)  # for a campaign
def test_recorded_patches_apply_or_are_marked(home, is_full_campaign):
    length = settings(
        max_examples=3000 if is_full_campaign else 12,
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )

    length(check_recorded_patch)(home)
