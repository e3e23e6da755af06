"""Secrets are masked by their form; ordinary words are left alone."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runstore.capture.git.source_files import is_secret_file
from runstore.capture.program.command import command_facts, command_line
from runstore.capture.secrets import is_secret_name, mask_arguments, mask_patch, mask_text

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


def test_of_a_long_command_the_same_part_is_shown_and_kept():
    given = ["train.py", "x" * 10_000_000, *map(str, range(100_000))]

    shown = command_line(None, given).split(" ")

    assert shown == list(command_facts(given).values["command.argv"])
    assert [len(shown), len(shown[1]), shown[-1]] == [1000, 4000, "997"]


SECRET = "Zq81mm" + "Pl9w20xx77"


@pytest.mark.parametrize(
    "code",
    [
        "token = tokens[i]",
        "token = token[1:]",
        "last_token: Optional[Token] = None",
        "cfg = dict(token=TOKEN, n=2)",
        "x = {'pass': bandpass}",
        "username, password = pair",
        "def login(password: SecretStr = field(default=None)): pass",
        "api_key = config['api_key']",
        "password = prompt('Password: ')",
        "headers = {'Authorization': f'Bearer {token}'}",
        "'password=' + quote(password) + '&user=' + user",
        "if '-----BEGIN PRIVATE KEY-----' in text:\n    raise_that_it_is_no_certificate()",
        "pattern = r'token=(\\w+)'",
        "AUTH_HEADER = 'X-Auth-Token'",
        "secret = base64.b64decode(os.environ['SECRET'])",
        "assert response.json()['access_token'] == expected",
    ],
)
def test_code_stays_as_it_is(code):
    assert mask_text(code) == code
    assert mask_text(f"import os\n\n{code}\n", "train.py") == f"import os\n\n{code}\n"


@pytest.mark.parametrize(
    "code",
    [
        "password = {!r}",
        "password: str = {!r}",
        "user, password = 'bob', {!r}",
        "f(1, password={!r}, user='bob')",
        "def f(user='bob', password={!r}): pass",
        "password = (\n    {!r}\n)",
        "password = os.environ.get('DB') or {!r}",
        "password = os.environ.get('DB', {!r})",
        "x['db']['password'] = {!r}",
        "x = {{'user': 'bob', 'password': {!r}}}",
        "if password == {!r}: pass",
        "password = SecretStr({!r})",
        "parser.add_argument('--password', type=str, default={!r})",
        "self.dbPassword = b{!r}",
        "run(['train', '--password', {!r}])",
        "text = '''\npassword={}\n'''",
        "'''Use https://bob:{}@db.org to log in.'''",
        "x = 1  # password: {}",
        '\'{{"password": "{}"}}\'',
        "headers = {{'Authorization': 'Bearer ' + {!r}, 'X-Api-Key': {!r}}}",
    ],
)
def test_literals_and_comments_of_code_are_masked(code):
    text = f"import os\n\n{code.replace('{!r}', repr(SECRET)).format(SECRET)}\n"

    masked = mask_text(text, "train.py")

    assert SECRET not in masked.replace("'Bearer ' + ", "") or "'Bearer ' + " in masked
    compile(masked, "train.py", "exec")


@pytest.mark.parametrize(
    "literal",
    [
        '"-----BEGIN PRIVATE KEY-----\\n{}\\n-----END PRIVATE KEY-----\\n"',
        '"{{\\"key\\": \\"-----BEGIN PRIVATE KEY-----\\\\n{}\\"}}"',
        "'Private-Lines: 1\\n{}\\nPrivate-MAC: 0123456789abcdef', 'x'",
        '"""\n-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----\n"""',
        "(\n    '-----BEGIN PRIVATE KEY-----\\n'\n    '{}\\n'\n    '-----END PRIVATE KEY-----'\n)",
    ],
)
def test_keys_in_literals_are_masked(literal):
    masked = mask_text(f"import os\nx = [{literal.format(SECRET * 3)}, 1]\n", "train.py")

    assert SECRET not in masked
    compile(masked, "train.py", "exec")


@pytest.mark.parametrize("line", ["password: {}", "token: {}  # of ada", "a: {{password: {}}}"])
def test_settings_stay_readable(line):
    yaml = pytest.importorskip("yaml")

    masked = mask_text(f"lr: 0.1\n{line.format(SECRET)}\n", "conf.yaml")

    assert SECRET not in masked
    assert yaml.safe_load(masked)["lr"] == 0.1


@pytest.mark.parametrize(
    ("words", "masked"),
    [
        (["sh", "-c", f"train --password {SECRET} --lr 1"], None),
        (["env", f"PGPASSWORD={SECRET}", "train"], "env PGPASSWORD=*** train"),
        (["sh", "-c", f"DB_TOKEN={SECRET} psql -l"], "sh -c DB_TOKEN=*** psql -l"),
        (["nice", "/bin/bash", "-euo", "pipefail", "-lc", f"A=1 PASSWORD='{SECRET} x' y"], None),
        (["sh", "-c", f"PASSWORD='{SECRET} psql"], "sh -c PASSWORD=***"),
        (["sh", "-c", f'PASSWORD="$(echo {SECRET} | cat)" psql'], "sh -c PASSWORD=***"),
        (["sh", "-c", f"PASSWORDS=(a {SECRET}); psql"], "sh -c PASSWORDS=***"),
        (["sh", "-c", f"./password={SECRET}.sh"], "sh -c ./password=***"),
        (
            ["bash", "-euo", "pipefail", "-c", f"DB_TOKEN={SECRET} x"],
            "bash -euo pipefail -c DB_TOKEN=*** x",
        ),
        (["sh", "x.sh", "-c", f"PASSWORD={SECRET} psql"], "sh x.sh -c PASSWORD=***"),
        (["env", f"PASSWORD={SECRET} psql", "x"], "env PASSWORD=*** x"),
        (["env", "-S", f"A_TOKEN='{SECRET} x' psql -l"], "env -S A_TOKEN=*** psql -l"),
        (["nice", "env", f"-iSA_TOKEN={SECRET} x"], "nice env -iSA_TOKEN=*** x"),
        (["env", f"--split-string=API_KEY={SECRET} x"], "env --split-string=API_KEY=*** x"),
        (["env", "-S", f"API_KEY='{SECRET} psql"], "env -S API_KEY=***"),
        (["env", f"-SAPI_KEY={SECRET}"], "env -SAPI_KEY=***"),
        (["train", f"+api.key={SECRET}"], "train +api.key=***"),
        (["train", "--token", f"--{SECRET}"], "train --token ***"),
        (["curl", "-u", f"bob:{SECRET}", "x"], "curl -u bob:*** x"),
        (["curl", "-H", f"Authorization: Bearer {SECRET}"], None),
        (["mysql", f"-p{SECRET}", "runs"], "mysql -p*** runs"),
        (["sshpass", "-p", "swordfish", "ssh", "host"], "sshpass -p *** ssh host"),
        (["wandb", "login", "0123456789abcdef" * 2 + "01234567"], "wandb login ***"),
        (["docker", "run", "-e", f"API_KEY={SECRET}", "image"], None),
        (["train", f'{{"password": "{SECRET}"}}'], None),
        (["java", f"-DapiKey={SECRET}"], "java -DapiKey=***"),
        (["aws", "configure", "set", "aws_secret_access_key", SECRET], None),
        (["train", f"db={{password: {SECRET}}}"], None),
        (["train", "--pad-token=[PAD]", "--token", "$TOKEN", "--n-pass", "3"], "same"),
        (["train", "--eos-token", "</s>", "--key", "loss", "--tokens=50256"], "same"),
    ],
)
def test_words_of_commands_are_masked(words, masked):
    kept = mask_arguments(words)

    if masked == "same":
        assert list(kept) == words
    else:
        assert SECRET not in "\0".join(kept)
    if masked not in {None, "same"}:
        assert shlex.join(kept).replace("'***'", "***").replace("'", "") == masked.replace("'", "")


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("postgresql://bob:a/{}@db/x", "postgresql://bob:***@db/x"),
        ("postgresql://bob:a#{}@db/x", "postgresql://bob:***@db/x"),
        ("mongodb+srv://bob:a@{}@db/x", "mongodb+srv://bob:***@db/x"),
        ("https://{}@git.org/x.git", "https://***@git.org/x.git"),
        ("https://oauth2:{}@git.org/x.git", "https://oauth2:***@git.org/x.git"),
        ("https://s3/x?X-Amz-Signature={}&b=1", "https://s3/x?X-Amz-Signature=***&b=1"),
        ("https://x.blob.core.windows.net/a?sv=2&sig={}", None),
        ("https://medium.com/@ada/text", "https://medium.com/@ada/text"),
        ("https://host:8080/path@v1.2", "https://host:8080/path@v1.2"),
        ("git+https://github.com/a/b.git@main#egg=b", "git+https://github.com/a/b.git@main#egg=b"),
        ("https://user:password@host/db", "https://user:password@host/db"),
        ("https://x/?page_token=2&n=1", "https://x/?page_token=2&n=1"),
    ],
)
def test_addresses_are_masked(url, masked):
    found = mask_text(url.format(SECRET))

    assert SECRET not in found
    assert masked is None or found == masked


@pytest.mark.parametrize(
    "unit",
    [
        "-eyJ", "/sk-", "a_", "-----BEGIN PRIVATE KEY-----\n", "://a", "a://b:", "token_",
        'token="x ', "Bearer ", "password: ", "0123456789abcdef", "api_key ", "a.b-c_", '"""\\',
        "-eyJaaaaaaaaaaaa.eyJaaaaaaaaaaaaa", "'", '"', "[", "password='", "\\\\\\'", "x = (", "@",
        "1//0-", "?token=", "Authorization: ", "glpat-", "password: |\n ", "--token ",
        "<password>", "ghp_", "%20", "PASSWORD=${a", "password=a$", "token=a${b}", "username: ",
        "api key: ", "**token**: ", "docker login -p ", "token+=", "x: SecretStr ",
        "curl -u a:", "curl \\\n -u ", "zip -P '", "{key: 0123456789abcdef0123, ",
        "  key: 0123456789abcdef0123\n", "- value: x\n  name: API_KEY\n", "value: abcd ",
        "name: API_KEY value: ", "password:\n  ", 'variable "a_password" {', "password: !!str ",
        "connection_string=a://$A:", "password: | #", "value: abcd1e2f3g\n",
    ],
)  # fmt: skip
def test_hostile_text_is_read_a_few_times(unit, is_full_campaign):
    """Each letter is looked at a few times; if all were each time, a campaign would take hours."""
    size = 1 << (20 if is_full_campaign else 14)

    for path in ("", "x.py", "x.yaml"):
        mask_text(("token " + unit * (size // len(unit)))[:size], path)


LONG_VALUES = [
    "password: " + "_" * 64 + "1",
    "password = '" + "a_" * 64 + "1 2'",
    "export PASSWORD x" + " " * (1 << 18) + "y",
    "export PASSWORD " + "y" * (1 << 18) + "0_",
    ("password:" + " " * 3900 + "x\n") * 300,
]


@pytest.mark.parametrize("text", LONG_VALUES, ids=lambda text: text[:20])
def test_long_values_are_read_a_few_times(text):
    """If a pattern tried all ways to split such a value, this would take from minutes to years."""
    for path in ("", "x.py", "x.yaml"):
        mask_text(text, path)


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("x.py", ' some text\n+log in with password: {}\n """\n x = 1'),
        ("x.py", " password = (\n+    '{}'\n )"),
        ("x.py", "+wandb.login(key='{}')"),
        ("conf.yaml", " password: |\n+  {}"),
        ("k8s.yaml", "+  - name: DB_PASSWORD\n+    value: {}"),
        ("conf.xml", '+<add key="password" value="{}"/>'),
        ("conf.xml", '+<property name="password">{}</property>'),
        ("conf.json", '+  "password": "{}",'),
        ("fit.ipynb", '+    "api_key = \\"{}\\"\\n",'),
        ("redis.conf", "+requirepass {}"),
        ("a.h", '+#define API_KEY "{}"'),
        ("a.rs", '+let password: &str = "{}";'),
        ("a.go", '+password := "{}"'),
        ("run.sh", "+mysql -u root -p{} runs"),
        ("run.sh", "+curl -s -u bob:{} https://x.org"),
        ("run.sh", "+sshpass -p {} ssh host"),
        ("a.sql", "+CREATE USER bob IDENTIFIED BY '{}';"),
        ("README.md", "+Use `export API_KEY={}` first."),
    ],
)
def test_parts_of_files_of_any_kind_are_masked(path, line):
    patch = f"--- a/{path}\n+++ b/{path}\n@@ -1,2 +1,3 @@ def f():\n{line.format(SECRET)}\n"

    masked = mask_patch(patch, path)

    assert SECRET not in masked
    assert [one[:1] for one in masked.split("\n")] == [one[:1] for one in patch.split("\n")]


def test_lines_of_a_patch_stay_in_place():
    patch = (
        "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,3 +1,4 @@\n"
        f" import os\n-password = 'old{SECRET}'\n+password = 'new{SECRET}'\n+key = '''\n"
        " token = tokens[i]\n"
    )

    masked = mask_patch(patch, "x.py")

    assert SECRET not in masked
    assert masked.splitlines()[:6] == [*patch.splitlines()[:5], "-password = '***'"]
    assert masked.splitlines()[6:] == ["+password = '***'", *patch.splitlines()[7:]]


SECRET_FILES = [
    ".env", "conf/prod.env", ".env.local", "id_rsa", "a/.ssh/config", "server.pem", "x.key",
    "credentials.json", "gcp-credentials.json", ".netrc", ".pypirc", "kubeconfig",
    ".kube/config",
    "kubeconfig-prod.yaml", ".npmrc", ".git-credentials", ".aws/credentials", "secrets.toml",
    ".streamlit/secrets.toml", "service-account-prod.json", "kaggle.json", ".pgpass", "a.p12",
    "terraform.tfstate", ".huggingface/token", "client_secret_1.json",
]  # fmt: skip


def test_files_of_secrets_are_known_by_name():
    for path in SECRET_FILES:
        assert is_secret_file(path), path
        assert is_secret_file(path.upper()), path


OTHER_FILES = [
    "train.py", "secrets.py", "credentials.py", "id_rsa.pub", ".env.example", "tokenizer.json",
    "tokens.py", "environment.yml", "keys.csv", "README.md", "conf/db.yaml", "envs/gym.py",
]  # fmt: skip


def test_other_files_are_read():
    assert [path for path in OTHER_FILES if is_secret_file(path)] == []
