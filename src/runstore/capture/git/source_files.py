"""Recognition of source code and secret files, and the notation of their names."""

from __future__ import annotations

import functools

from runstore.capture.secrets import mask_tokens, may_hold_token

# Files that exist only to hold secrets are named, never read. They are recognized by their name,
# its prefix or suffix, or their folder.
_SECRET_NAMES = frozenset({
    "_netrc", "authinfo", "kaggle.json", "token", "token.json", "tokens.json", "master.key",
    "wallet.dat", "shadow", "logins.json", "key4.db", "oauth_creds.json", "vault_pass",
})  # fmt: skip
_SECRET_BEGINNINGS = (
    ".env", ".netrc", ".npmrc", ".yarnrc", ".pypirc", ".pgpass", ".my.cnf", ".mylogin.cnf",
    ".boto",
    ".s3cfg", ".dockercfg", ".git-credentials", ".htpasswd", ".vault-token", ".vault_pass",
    ".terraformrc", ".renviron", ".authinfo", ".rediscli", ".databrickscfg", ".condarc-token",
    ".bash_history", ".zsh_history", ".python_history", ".psql_history", ".mysql_history",
    "id_rsa", "id_dsa", "id_ecdsa", "id_ed25519", "ssh_host_", "identity.", "secring.",
    "credentials", "client_secret", "service-account", "service_account", "kubeconfig",
    "application_default_credentials", "secrets.", "secret.", "gha-creds-",
)  # fmt: skip
_SECRET_ENDINGS = (
    ".pem", ".key", ".p12", ".pfx", ".pkcs12", ".keystore", ".jks", ".kdbx", ".kdb", ".ppk", ".p8",
    ".pk8", ".keytab", ".ovpn", ".tfstate", ".env", ".agekey", ".gpg", "_cookie_secret",
    "credentials.json", "credentials.yaml", "credentials.yml", "-creds.json", "kubeconfig.yaml",
    "kubeconfig.yml",
)  # fmt: skip
_SECRET_FOLDERS = (
    ".ssh", ".gnupg", ".aws", ".azure", ".kube", ".docker", ".gcloud", ".oci", ".password-store",
)  # fmt: skip
# Templates of settings, and public files.
_NO_SECRET_ENDINGS = (".example", ".sample", ".template", ".dist", ".pub", ".md", ".rst")
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
    """Check whether a file is code, or settings written by people."""
    name = path.rpartition("/")[2].lower()
    return name in _NAMES or name.rpartition(".")[2] in _CODE | _SETTINGS


def is_code(path: str) -> bool:
    """Check whether a file is code."""
    name = path.rpartition("/")[2].lower()
    return name in _NAMES or name.rpartition(".")[2] in _CODE


def is_secret_file(path: str) -> bool:
    """Check whether a file exists only to hold secrets; code with secrets is masked instead."""
    *folders, name = path.lower().split("/")
    if name.endswith(_NO_SECRET_ENDINGS) or is_code(name):
        return False
    return (
        name in _SECRET_NAMES
        or name.startswith(_SECRET_BEGINNINGS)
        or name.endswith(_SECRET_ENDINGS)
        or any(one in _SECRET_FOLDERS for one in folders)
    )


def shown(path: str) -> str:
    """Return a path as valid UTF-8 text: file names may contain any bytes."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


@functools.lru_cache(maxsize=1 << 12)
def masked_path(path: str) -> str:
    """Return a path for storage: as text, and without tokens."""
    text = shown(path)
    return mask_tokens(text) if may_hold_token(text) else text  # the forms load slowly
