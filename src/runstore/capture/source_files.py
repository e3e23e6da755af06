"""Which files are source code, which may hold secrets, and how their names are written down."""

from __future__ import annotations

# Files whose whole purpose is a secret are named, never read.
_SECRET_FILES = (".env", ".netrc", ".npmrc", ".pypirc", "id_rsa", "id_ed25519", "credentials")
_SECRET_SUFFIXES = (".pem", ".key", ".p12", ".pfx", ".keystore", ".jks", ".kdbx")
_CODE = frozenset({
    "py", "pyi", "pyx", "pxd", "ipynb", "r", "rmd", "qmd", "jl", "m", "c", "h", "cc", "cpp", "cxx",
    "hpp", "cu", "cuh", "f", "f90", "go", "rs", "java", "kt", "scala", "js", "mjs", "ts", "tsx",
    "sh", "bash", "zsh", "fish", "pl", "rb", "lua", "sql", "stan", "nf", "smk", "wdl",
})  # fmt: skip
_SETTINGS = frozenset({
    "toml", "yaml", "yml", "json", "cfg", "ini", "conf", "gin", "txt", "md", "rst",
})  # fmt: skip
_NAMES = frozenset({"makefile", "dockerfile", "snakefile", "justfile"})


def is_source(path: str) -> bool:
    """Whether a file is code, or settings that people write."""
    name = path.rpartition("/")[2].lower()
    return name in _NAMES or name.rpartition(".")[2] in _CODE | _SETTINGS


def is_code(path: str) -> bool:
    """Whether a file is code."""
    name = path.rpartition("/")[2].lower()
    return name in _NAMES or name.rpartition(".")[2] in _CODE


def is_secret_file(path: str) -> bool:
    """Whether the whole purpose of a file is a secret; code that reads secrets is masked."""
    name = path.rpartition("/")[2].lower()
    if name.endswith(_SECRET_SUFFIXES):
        return True
    return name.startswith(_SECRET_FILES) and not is_code(name)


def shown(path: str) -> str:
    """Return a path as text that UTF-8 can say: file names may hold any bytes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
