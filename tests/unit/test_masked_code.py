"""Literals and comments of Python code that are secrets go; code, and what is none, stays."""

import pytest

from runstore.capture.secrets import mask_text
from runstore.capture.secrets.python_code import mask_python

SECRET = "Zq81mm" + "Pl9w20xx77"
# Here {} stands for a secret that goes, and <> for the same word where nothing says it is one.
CODE = [
    "a, password = 'x1y2z3w4', '{}'",
    "password, a = '{}', 'x1y2z3w4'",
    "a, password, b = '<>', f('{}'), '<>'",
    "a, password = pair\nb = '<>'",
    "password = a; b = '<>'",
    "password = a\nb = '<>'",
    "password = get()\nlog('<>')",
    "password = (\n'{}'\n)",
    "f(password, '<>')",
    "f('password', '{}')",
    "f('a', '<>')",
    "f['password', '{}']",
    "login('bob', '{}')",
    "x.authenticate('{}')",
    "signin('{}')",
    "sign_in('{}')",
    "log_in('{}')",
    "HTTPBasicAuth('bob', '{}')",
    "logins('<>')",
    "login('ordinary')",
    "login[0]('<>')",
    "login, ('<>')",
    "add('--password', default='{}')",
    "add('--lr', default='<>')",
    "add(default='<>')",
    "run(['x', '--token', '{}'])",
    "run(['x', '--lr', '<>'])",
    "{'password': '{}', 'a': '<>'}",
    "{'a': {'password': '{}'}, 'b': '<>'}",
    "password = {'a': '<>'}",
    "password = ['{}']",
    "password = f('{}')",
    "password = f('ordinaryword')",
    "password = x['{}']",
    "password = 'a' + '{}'",
    "password = 'ab' '{}'",
    "x['password'] = '{}'",
    "x['a']['password'] = '{}'",
    "x['password']['a'] = '<>'",
    "def f(password='{}', a='<>'): pass",
    "def f(password: str = '{}', a: str = '<>'): pass",
    "password: Optional[str] = '{}'",
    "lambda password='{}': 1",
    "if (password := '{}'): pass",
    "if password != '{}': pass",
    "x[password:'<>']",
    "x = 'unclosed\npassword = '{}'",
    "x = 'un\\'closed\npassword = '{}'",
    "x = '''unclosed\npassword = \"{}\"",
    'x = "a\\"b"; password = \'{}\'',
    "# password = '{}'\n",
    "x = 1  # token <>\n",
    "password = r'{}'",
    "password = b'{}'",
    "password = f'{x}<>'",
    "password = f'{}'",
    "f(a='<>', password='{}', b='<>')",
    "f(password='{}')(a='<>')",
    "password = '''{}'''",
    "password = '<>a\\\nb'",
    "x = password, '<>'",
    "password = a if b else '{}'",
    "print('a', password='{}')",
    "x['wandb']['key'] = '{}'",
    "x['cache']['key'] = '<>'",
    "run(['mysql', '-u', 'root', '-p{}', '<>'])",
    "run(['sudo', 'docker', 'login', '-u', 'bob', '-p', '{}', '<>'])",
    "run(['curl', '-u', 'bob:{}', '<>'])",
    "run(['curl', '--user=bob:{}', '<>'])",
    "run(['other', '-u', 'bob:<>', '-p', '<>'])",
    "password: str = field(default='{}')",
    "a: str = field(default='<>')",
    "x = {'name': 'API_KEY', 'value': '{}', 'a': '<>'}",
    "x = [{'name': 'API_KEY'}, {'value': '<>'}]",
    "x = {'name': 'LR', 'value': '<>'}",
    "EnvVar(name='API_KEY', value='{}')",
    "EnvVar(name='LR', value='<>')",
    "run(['curl', '-sSu', 'bob:{}', '<>'])",
    "f('token' '<>')",
    "password = {'<>': 1}",
    "y = {x['password']: '{}'}",
]


def filled(code, masked):
    return code.replace("{}", masked).replace("<>", SECRET)


def test_a_literal_goes_where_its_name_says_that_it_is_secret():
    found = [mask_python(filled(code, SECRET)) for code in CODE]

    assert found == [filled(code, "***") for code in CODE]


@pytest.mark.parametrize(
    ("code", "masked"),
    [
        ("user, password = 'me', 'hunter2'", "user, password = 'me', '***'"),
        ("passwords = ['hunter22', 'correct-horse']", "passwords = ['***', 'correct-horse']"),
        ("f('password', 'hunter2')", "f('password', 'hunter2')"),
        ("password = 'x'['hunter22']", "password = 'x'['hunter22']"),
        ("password = get()\nlog('hunter22')", "password = get()\nlog('hunter22')"),
        ("'password=hunter2'", "'password=***'"),
        ("password = 'x7q1b'", "password = 'x7q1b'"),
        ("password = 'redis://bob:hunter2@x'", "password = '***'"),
        (
            "x = {'name': 'DB_PASSWORD', 'value': 'hunter2'}",
            "x = {'name': 'DB_PASSWORD', 'value': '***'}",
        ),
        ("run(['mysql', '-phunter2'])", "run(['mysql', '-p***'])"),
        ("run(['mysql', f'-p{password}'])", "run(['mysql', f'-p{password}'])"),
        ("run(['zip', '-P', 'hunter2', 'a.zip'])", "run(['zip', '-P', '***', 'a.zip'])"),
        ("run(['mysql', '-p', '12345'])", "run(['mysql', '-p', '***'])"),
        ("run(['mysql', '-p', '''x1y2z3\n4'''])", "run(['mysql', '-p', '''***\n***'''])"),
        ("run(['sudo', 'mysql', '-p', '12345'])", "run(['sudo', 'mysql', '-p', '***'])"),
        ("run(['zip', '-P', '-r', 'a.zip'])", "run(['zip', '-P', '-r', 'a.zip'])"),
        ("run(['zip', '-P', 'password'])", "run(['zip', '-P', 'password'])"),
        ("run(['curl', '-u', 'bob:password'])", "run(['curl', '-u', 'bob:password'])"),
        ("run(['curl', '-u', 'password:hunter2'])", "run(['curl', '-u', 'password:***'])"),
        ("run(['cp', '-p', 'mongo', 'a1'])", "run(['cp', '-p', 'mongo', 'a1'])"),
        (
            "run(['sshpass', '-p', 'hunter2', 'ssh', '-p', '2222'])",
            "run(['sshpass', '-p', '***', 'ssh', '-p', '2222'])",
        ),
        (
            "run(['sshpass', '-e', 'ssh', '-p', '2222'])",
            "run(['sshpass', '-e', 'ssh', '-p', '2222'])",
        ),
        (
            "run(['redis-cli', '-h', 'mysql', '-a', 'x1'])",
            "run(['redis-cli', '-h', 'mysql', '-a', '***'])",
        ),
        ("password: str = field(default='hunter2')", "password: str = field(default='***')"),
    ],
)
def test_a_word_goes_where_it_is_the_value_itself(code, masked):
    assert mask_python(code) == masked


@pytest.mark.parametrize("depth", [199, 200, 205])
def test_what_follows_brackets_of_any_depth_is_read_as_ever(depth):
    deep = "(" * depth + ")" * depth + "\n"

    assert mask_python(f"{deep}a, password = 'me', 'hunter2'").endswith("'me', '***'")
    assert mask_python(f"{deep}password = 1\n'hunter22'").endswith("= 1\n'hunter22'")


def test_code_of_any_depth_is_read():
    deep = "password = " + "(" * 250 + "'{}'" + ")" * 250 + "\na = '<>'\npassword = '{}'"

    assert mask_python(filled(deep, SECRET)) == filled(deep, "***")


@pytest.mark.parametrize("suffix", [".py", ".pyi", ".pyx", ".pxd", ".pyw", ".PY"])
def test_a_file_is_code_by_its_name(suffix):
    code = "f('token', f({}))\nx.token = swordfish1\n".replace("{}", repr(SECRET))

    assert mask_text(code, f"a{suffix}") == mask_python(code)
    assert mask_text(code, "a.txt") != mask_python(code)


SETTINGS = ["toml", "ini", "cfg", "conf", "env", "properties", "tfvars", "json", "xml"]


@pytest.mark.parametrize("suffix", [*SETTINGS, "yaml", "yml", "CONF"])
def test_in_a_file_of_settings_any_value_of_such_a_name_goes(suffix):
    """`foo` may be a password there; elsewhere it is a word of code or prose."""
    masked = '"***"' if suffix in {"yaml", "yml"} else "***"

    assert mask_text("password: foo\n", f"a.{suffix}") == f"password: {masked}\n"
    assert mask_text("password: foo\n", "a.txt") == "password: foo\n"


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("a.yaml", "passwords:\n  - {}\n  - {}\nuser: bob\n"),
        ("a.yaml", "passwords: [{}, {}]\nusers: [bob, ada]\n"),
        ("a.yaml", "api_keys:\n- {}\nclient_keys:\n- name\n"),
        ("a.json", '{"passwords": ["<>", "<>"], "users": ["bob"]}'),
        ("a.toml", "api_keys = [\n  '<>', # of ada\n  # of bob\n  '<>',\n]\nx = ['bob']\n"),
        ("a.toml", "passwords = []\nx = ['bob']\n"),
    ],
)
def test_the_items_of_a_list_go_in_a_file_of_settings(path, text):
    given = text.replace("{}", SECRET).replace("<>", SECRET)

    assert mask_text(given, path) == text.replace("{}", '"***"').replace("<>", "***")


def test_a_text_without_a_name_is_code_if_it_looks_so():
    code = "import os\nf('token', f({}))\nx.token = swordfish1\n".replace("{}", repr(SECRET))

    assert mask_text(code) == mask_python(code)
    assert mask_text(code, "a.txt") != mask_python(code)
