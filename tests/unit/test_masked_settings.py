"""Secrets in settings whose names stand in other lines, or around them."""

import json

import pytest

from runstore.capture.secrets import mask_arguments, mask_patch, mask_text

SECRET = "Zq81mm" + "Pl9w20xx77"
DIGEST = "0123456789abcdef" * 2 + "01234567"
# Here {} stands for a secret; bare ones are quoted in YAML.
YAML = [
    "wandb:\n  key: {}\n",
    "wandb:\n  entity: bob\n\n  # of bob\n  key: {}\nx: 1\n",
    "wandb:\n# of bob\n  key: {}\n",
    "wandb:\n  Key: {}\n",
    "WANDB:\n  KEY: {}\n",
    "wandb: {{entity: bob, key: {}}}\n",
    "logger:\n  neptune: # of ada\n    key: {}\n",
    "x: {{wandb: {{entity: bob, key: {}}}}}\n",
    "password:\n  {}\n",
    "password: # of bob\n  {}\nx: 1\n",
    "password: !!str {}\n",
    "password: &password {}\nother: *password\n",
    "password: &password\n  {}\n",
    "env:\n- name: DB_PASSWORD\n  value: {}\n",
    "env:\n  - value: {}\n    name: DB_PASSWORD\n",
    "env:\n- name: DB_PASSWORD\n  type: text\n  value: {}\n",
    "env:\n- name: DB_PASSWORD # of bob\n  # or ada\n  value: {}\n",
    "password:\n\n  {}\n",
    "password:\n  desc: of bob\n  value: {}\n",
    "Password:\n  Type: String\n  Default: {}\n",
    "args:\n- --password\n- {}\n- --lr\n- 0.1\n",
    "? password\n: {}\n",
    "x:\n  ? 'password' # of bob\n  : {}\ny: 1\n",
    "- ParameterKey: DBPassword\n  ParameterValue: {}\n",
    "- ParameterValue: {}\n  ParameterKey: DBPassword\n",
    'args:\n  - "--password"\n  - {}\n  - x\n',
    "DBPassword:\n  Fn::Sub:\n    - {}\n    - x: y\n",
]
QUOTED = [
    ("a.yaml", "password:\n  '{}'\n"),
    ("a.yaml", "x:\n  password: |\n    {}\ny: z\n"),
    ("a.yaml", "DBPassword: !Sub '{}'\n"),
    ("a.yaml", "DBPassword:\n  Fn::Sub: '{}'\n"),
    ("a.json", '{{"DBPassword": {{"Fn::Sub": "{}"}}}}\n'),
    ("a.yaml", "DBPassword:\n  Fn::Sub: |\n    {}\nx: y\n"),
    ("a.yaml", "passwords: ['', ['{}'], !Ref x]\n"),
    ("a.yaml", "DBPassword: !Join ['', ['{}', !Ref x]]\n"),
    ("a.json", '{{"DBPassword": {{"Fn::Join": ["", ["{}", {{"Ref": "x"}}]]}}}}\n'),
    ("a.yaml", "DBPassword:\n  Fn::Sub: ['{}', {{x: y}}]\n"),
    ("a.json", '{{"DBPassword": {{"Fn::Sub": ["{}", {{"x": "y"}}]}}}}\n'),
    ("a.tfvars", f"password = <<EOF\n{{}}\n{'# ' * 600}\nEOF\n"),
    ("a.json", '[{{"ParameterKey": "DBPassword", "ParameterValue": "{}"}}]\n'),
    ("", "aws x --parameters ParameterKey=DBPassword,ParameterValue={}\n"),
    ("a.toml", 'password = """\n{}\n"""\nx = 1\n'),
    ("a.tfvars", "password = <<EOF\n{}\nEOF\nx = 1\n"),
    ("a.yaml", 'env:\n- name: DB_PASSWORD\n  value: "{}"\n'),
    ("a.yaml", 'env:\n- value: "{}"\n  name: DB_PASSWORD\n'),
    ("a.yaml", "env:\n- name: DB_PASSWORD\n  value: |\n    {}\n  type: x\n"),
    ("a.yaml", "password: | # of bob\n  {}\nx: 1\n"),
    ("a.yaml", "password: |2-\n  {}\nx: 1\n"),
    ("a.yaml", "- password: |\n    {}\n  x: 1\n"),
    ("a.json", '{{"env": {{"value": "{}", "name": "DB_PASSWORD"}}}}\n'),
    ("a.json", '{{"name": "DB_PASSWORD", "type": "x", "value": "{}"}}\n'),
    ("a.ini", "[wandb]\nentity = bob\nkey = {}\n"),
    ("a.toml", '[tool.wandb] # of bob\nentity = "bob"\nkey = "{}"\n'),
    ("a.json", '{{"wandb": {{"entity": "bob", "key": "{}"}}, "key": 1}}\n'),
    ("a.json", '{{\n "wandb": {{\n  "entity": "bob",\n  "key": "{}"\n }}\n}}\n'),
    ("a.json", '{{"password": {{"type": "string", "default": "{}"}}, "value": 1}}\n'),
    ("a.yaml", 'args: ["--lr", "0.1", "--password", "{}"]\n'),
    ("a.yaml", 'args:\n- "--password"\n- "{}"\n'),
    ("a.xml", "<entry key='password'>{}</entry>\n"),
    ("", "| lr | 0.1 |\n| api_key | {} |\n"),
    ("", "see it\n| api_key | {} |\n"),
    ("", "see | it\\n| api_key | {} |\\n"),
    ("a.yaml", "args:\n- --password\n- '{}'\n"),
    ("", "# | api_key | {} |\n"),
    ("", '"| lr | 0.1 |\\n| api_key | {} |\\n"'),
    ("", '"| rate | 0.1 |\\n| api_key | {} |\\n"'),
    ("", '"| rates | 0.1 |\\n| api_key | {} |\\n"'),
    ("", "| api_key | {} |\n"),
    ("", "\u2502 lr      \u2502 0.1 \u2502\n\u2502 api_key \u2502 {} \u2502\n"),
    ("", "wandb:\n  key: {}\n"),
    ("", "password:\n  {}\n"),
    ("", "- value: {}\n  name: DB_PASSWORD\n"),
]
VARIABLES = [
    'variable "db_password"\n{{\n  default = "{}"\n}}\n',
    'variable "db_password" {{ default = "{}" }}\n',
    'variable "db_password" {{\n  default = <<-EOT\n    {}\n\n    EOT\n}}\nx = "y"\n',
    'variable "db_passwords" {{\n  type = list(string)\n  default = ["{}"]\n}}\n',
    'passwords = ["{}", "password"] # of bob\n',
    'passwords = [\n  var.a,\n  "{}",\n]\n',
    "password = <<EOF\n{}\nEOF\nx = 1\n",
    'password = <<"EOF"\n  {}\n  EOF\nx = 1\n',
    'variable "db_password" {{\n  type = string\n  default = "{}"\n}}\n',
    'variable "db_password" {{\n  description = "{{x}}"\n  x {{ y = 1 }}\n  default = "{}"\n}}\n',
]


@pytest.mark.parametrize("secret", [DIGEST, SECRET])
@pytest.mark.parametrize("text", YAML)
def test_secrets_of_names_around_them_are_masked_in_yaml(text, secret):
    yaml = pytest.importorskip("yaml")

    masked = mask_text(text.format(secret), "a.yaml")

    assert masked == text.format('"***"')
    yaml.safe_load(masked)


@pytest.mark.parametrize("secret", [DIGEST, SECRET])
@pytest.mark.parametrize(("path", "text"), QUOTED)
def test_secrets_of_names_around_them_are_masked(path, text, secret):
    assert mask_text(text.format(secret), path) == text.format("***")


@pytest.mark.parametrize("path", ["main.tf", ""])
@pytest.mark.parametrize("secret", ["hunter2", SECRET])
@pytest.mark.parametrize("text", VARIABLES)
def test_defaults_of_secret_variables_of_terraform_are_masked(text, secret, path):
    assert mask_text(text.format(secret), path) == text.format("***")


@pytest.mark.parametrize("text", [one for one in YAML if "password" in one.lower()])
def test_short_passwords_of_names_around_them_are_masked_in_yaml(text):
    assert mask_text(text.format("hunter2"), "a.yaml") == text.format('"***"')


@pytest.mark.parametrize("path", ["", "a.yaml", "a.json", "a.toml", "a.tf", "a.md"])
@pytest.mark.parametrize(
    "text",
    [
        "cache:\n  key: {}\n",
        "wandb:\n  entity: bob\ncache:\n  key: {}\n",
        "wandb:\n  x:\n    key: {}\n",
        "wandb: {{entity: bob}}\nkey: {}\n",
        "[wandb]\nx = 1\n[cache]\nkey = '{}'\n",
        '{{"wandb": {{"entity": "bob"}}, "key": "{}"}}\n',
        "wandb:\n  key: loss\n",
        "password:\n  type: string\nlr:\n  value: {}\n",
        '{{"password": {{"type": "string"}}, "value": "{}"}}\n',
        'api_key: "\n  {}"\n',
        "| key | {} |\n| api_key | string |\n",
        "token | {}\n",
    "args:\n- --password\n- --lr\n- {}\n",
        "password:\n  user: {}\n",
        "password:\n  the name: {}\n",
        "password:\n- user: {}\n",
        "password:\nuser: {}\n",
        "password:\n  # {}\n",
        "a password:\n  the word {} of a user\n",
        "env:\n- name: LR\n  value: {}\n- name: DB_PASSWORD\n  valueFrom: x\n",
        "env:\n- value: {}\n- name: DB_PASSWORD\n  valueFrom: x\n",
        '[{{"name": "DB_PASSWORD"}}, {{"value": "{}"}}]\n',
        '[{{"value": "{}"}}, {{"name": "DB_PASSWORD"}}]\n',
        'variable "region" {{ default = "{}" }}\n',
        'variable "db_password" {{\n  type = string\n}}\nvariable "x" {{ default = "{}" }}\n',
        'variable "db_password" {{ default = var.password }} # {}\n',
        "x = a\n  ? lr\n  : {}\n",
        "x: a ? password\n  : {}\n",
        "password = <<EOF\n$PASSWORD\nEOF\nx = '{}'\n",
        "passwords = []\nx = ['{}']\n",
        "DBPassword: !Sub '${{Prefix}}-x'\nx: {}\n",
        "DBPassword: !Ref Password\nx: {}\n",
        "- ParameterKey: LR\n  ParameterValue: {}\n",
    ],
)  # fmt: skip
def test_values_of_other_names_are_kept(path, text):
    assert mask_text(text.format(DIGEST), path) == text.format(DIGEST)


@pytest.mark.parametrize(
    ("path", "text", "secret"),
    [
        ("a.yaml", "- name: DB_PASSWORD\n  value: '{}'\n", "swordfish"),
        ("", '{{"name": "DB_PASSWORD", "value": "{}"}}', "correct horse 1"),
        ("a.json", '"password": {}, "lr": 1\n', "hunter2"),
        ("a.env", "password={}\n", "x"),
        ("a.env", "x=${{PASSWORD:-{}}} y\n", "ab"),
        ("a.ini", "password = {}\n", "'x7q1z9"),
    ],
)
def test_words_beside_a_secret_name_are_masked(path, text, secret):
    assert mask_text(text.format(secret), path) == text.format("***")


@pytest.mark.parametrize(
    "text",
    [
        '{"name": "DB_PASSWORD", "value": "swordfish"}',
        "<entry key='password'>${PASSWORD}</entry>",
        "<entry key='password'></entry>",
    ],
)
def test_values_that_are_no_secrets_are_kept(text):
    assert mask_text(text) == text


def test_anchors_of_yaml_are_kept():
    text = "client_secret: &client_secret\n  field: a.b\n  group:\n    x: 1\n"

    assert mask_text(text, "a.yaml") == text


@pytest.mark.parametrize("sign", ["", "'", '"'])
@pytest.mark.parametrize("path", ["", ".env", "a.yaml", "a.py", "a.sh"])
@pytest.mark.parametrize(
    "url",
    [
        "postgres://${USER}:${PASS}@host/db",
        "postgres://$USER:$PASS@host/db",
        "postgresql+psycopg://ada:***@host:5432/db?sslmode=require",
        "mongodb://ada:<password>@host/db",
    ],
)
@pytest.mark.parametrize("name", ["connection_string", "CONNECTION_STRING", "db_conn_string"])
def test_urls_of_variables_are_kept(name, url, path, sign):
    line = f"{name}={sign}{url}{sign}"

    assert mask_text(line, path) == line
    assert mask_arguments(["train", f"{name}={url}"]) == ("train", f"{name}={url}")


@pytest.mark.parametrize(
    "line",
    [
        "connection_string=postgres://${{USER}}:{}@host/db",
        "connection_string=postgres://ada:{}@host/db",
        "connection_string='postgres://ada:{}@host/db'",
    ],
)
def test_only_passwords_of_connection_strings_with_urls_are_masked(line):
    assert mask_text(line.format(SECRET)) == line.format("***")


def test_other_connection_strings_are_masked():
    text = f"connection_string=AccountName=x;AccountKey={SECRET};Suffix=y"

    assert mask_text(text) == "connection_string=***"
    assert SECRET not in mask_text(f"connection_string=postgres://$A:${{B:-{SECRET}}}@host")


def test_keys_of_services_are_masked_in_python():
    text = "import os\nx = {'wandb': {'entity': 'bob', 'key': '<>'}, 'key': '<>'}\n"
    code = text.replace("<>", DIGEST)

    assert mask_text(code, "a.py") == text.replace("<>", "***", 1).replace("<>", DIGEST)


def test_a_key_below_a_service_is_masked_in_a_patch():
    patch = "--- a/a.yaml\n+++ b/a.yaml\n@@ -1,2 +1,3 @@\n wandb:\n   entity: bob\n+  key: {}\n"

    assert mask_patch(patch.format(DIGEST), "a.yaml") == patch.format('"***"')


def test_masked_json_can_be_read():
    document = {"env": [{"name": "DB_PASSWORD", "value": "correct 7horse"}], "n": 1}

    masked = json.loads(mask_text(json.dumps(document), "a.json"))

    assert masked == {"env": [{"name": "DB_PASSWORD", "value": "***"}], "n": 1}


def test_masking_a_masked_list_of_settings_changes_nothing():
    masked = mask_text(f"PASSWORDS=['{SECRET}', \"{SECRET}\"]\n", "a.env")

    assert mask_text(masked, "a.env") == masked == "PASSWORDS=['***', \"***\"]\n"


@pytest.mark.parametrize("path", ["", "a.tf", "a.js"])
@pytest.mark.parametrize(
    "text",
    [
        "password = x << EOF\n{}\n",
        "password = <<EOF\n{}\n",
        "password = <<EOF\nof ada\nEOF\nx = '{}'\n",
        "passwords = [a, b]\nx = ['{}']\n",
        "passwords = [x1y2z3, 'password']\nx = ['{}']\n",
        "accesskey: ['Character', '{{}}']\n# {}\n",
    ],
)
def test_values_of_other_names_are_kept_in_code(path, text):
    assert mask_text(text.format(DIGEST), path) == text.format(DIGEST)


def test_names_in_a_list_of_a_secret_name_are_found():
    text = "credentials = ['password', 'a', 'x --password {}', f(token='{}')]"

    assert mask_text(text.format(SECRET, SECRET), "a.js") == text.format("***", "***")


TEXTS = [
    ("a.toml", 'password = """\nhunter2\n\n  x1y2z3\n"""\nx = 1\n'),
    ("a.py", "run(['mysql', '-p', \"\"\"x1y2z3\n4\"\"\"])\npassword = '{}'\n"),
    ("a.yaml", "password: |\n  a1\n\n  b2\nx: 1\n"),
    ("", "export DB_PASSWORD x1y2z3\r\nx\r\n"),
]


@pytest.mark.parametrize("head", ["", "@@ -1 +1 @@\n", "@@ -1,9 +1,9 @@\n", "@@ x\n"])
@pytest.mark.parametrize(("path", "text"), TEXTS)
def test_masked_texts_and_patches_keep_their_lines(path, text, head):
    patch = head + "".join(f"+{line}" for line in text.splitlines(keepends=True))

    for masked, original in ((mask_text(text, path), text), (mask_patch(patch, path), patch)):
        assert masked.count("\n") == original.count("\n")
        assert masked.count("\r\n") == original.count("\r\n")


def test_a_secret_of_several_lines_is_masked_in_a_patch():
    patch = '@@ -1,2 +1,4 @@\n+password = """\n+{}\n+"""\n+token = "{}"\n'

    assert mask_patch(patch.format(SECRET, SECRET), "a.toml") == patch.format("***", "***")
