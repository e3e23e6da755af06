"""Each form in which a secret stands in a text, and what looks like one and is none."""

import shlex

import pytest

from runstore.capture.secrets import mask_arguments, mask_command, mask_message, mask_text
from runstore.capture.secrets.names import Secrecy, secrecy
from runstore.capture.secrets.values import is_mixed, is_placeholder, is_stand_in, looks_random

SECRET = "Zq81mm" + "Pl9w20xx77"
# Here {} stands for the secret.
MASKED = [
    "echo ${{PASSWORD:-{}}} x",
    "echo \"${{PASSWORD:='{}'}}\"",
    "echo ${{PASSWORD:-${{OTHER:-{}}}}} x",
    'echo ${{PASSWORD:-"${{OTHER:-${{oc:-{}}}}}"}} x',
    "echo ${{A:-${{PASSWORD:-{}}}}}",
    "Authorization: Bearer {}",
    "Authorization: token {}",
    "Proxy-Authorization: Basic {}",
    "X-Authorization: {}",
    '"Authorization": "Bearer {}"',
    "headers['Authorization'] = 'Bearer {}'",
    "Bearer {}",
    "CREATE USER bob IDENTIFIED BY '{}'",
    "ALTER USER bob PASSWORD '{}'",
    "machine x login bob password {}",
    "ENV API_KEY {}",
    "export API_TOKEN {}",
    "setx DB_PASSWORD {}",
    "git config --global github.token {}",
    '#define API_KEY "{}"',
    "requirepass {}",
    "masterauth {}",
    "- name: DB_PASSWORD\n  value: {}",
    '<add key="password" value="{}"/>',
    '{{"name": "API_KEY", "value": "{}"}}',
    "sshpass -p {} ssh host",
    "wandb login {}",
    "wandb login --relogin {}",
    "mysql -p {} runs",
    "mysql -u root -p{} runs",
    "mysqldump -p{} runs",
    "mariadb -u a -p{}",
    "redis-cli -h x -a {}",
    "curl -u bob:{} https://x",
    "curl -s --user 'bob:{}' x",
    "curl --proxy-user bob:{} x",
    "train --password {} --lr 0.1",
    "train --password '{}'",
    'train --token "{}"',
    "train --api-key {}",
    "train -token {}",
    "train --quick --password {}",
    "password={}",
    "password = '{}'",
    "password: str = '{}'",
    'let password: &str = "{}";',
    'password := "{}"',
    "password <- '{}'",
    "password => '{}'",
    "password == '{}'",
    "password != '{}'",
    "'password' != '{}'",
    "'password', '{}'",
    "<password>{}</password>",
    "<token>{}</token>",
    "password: '''{}'''",
    "password: |\n  {}\nuser: bob",
    "API_KEY={} # of ada",
    "API_KEY={};",
    "(password={})",
    "f(password={}, n=1)",
    "password={}&user=bob",
    "ssh_key={}",
    "hf_token={}",
    "SAS_TOKEN={}",
    "password2={}",
    "api_key_v2={}",
    "password_old={}",
    "dbPassword={}",
    "APIKey={}",
    "HTTPToken={}",
    "https://bob:{}@x.org/a",
    "https://{}:@x.org",
    "https://{}@x.org",
    "https://x.org/?sig={}",
    "https://x.org/?key={}",
    "https://x.org/#access_token={}",
    "https://x.org/?a=b&api_key={};c=d",
    "ftp://{}@x.org",
    "ftps://{}@x.org",
    "redis://:{}@x",
    "ldapsearch -x -w {} -b x",
    "Authorization: Basic {}",
    "Cookie: {}",
    "authorization = 'Bearer {}'",
    "password = '{}' + x",
    "x = {{'token': '{}'}}",
    "password: {}\nuser: bob",
    "- password: {}",
    "// const apiKey = '{}';",
    "export const apiKey = `{}`",
    'let token = "{}"',
    'API_KEY="{}" train',
    "a.password={}",
    "x-password={}",
    "password\t=\t{}",
    "password : {}",
    "password=={}",
    "password=>{}",
    "token: {} # x",
    "token: {}, n: 1",
    'export "PASSWORD={} x y"',
    '"password": {}',
    "x['password'] = {}",
    "x['password'] += '{}'",
    "API_KEY ?= {}",
    "API_KEY += {}",
    "**Token:** {}",
    "**Access token**: {}",
    "*Access token*: {}",
    '#define API_KEY "{}"',
    "API key: {}",
    "Secret Access Key = {}.",
    "api key: `{}`",
    "train --hf-token \\\n    {} --lr 1",
    "set -gx WANDB_API_KEY {}",
    "set -x API_KEY {}",
    "aws configure set aws_secret_access_key {} --profile x",
    "sshpass -p'{}' ssh host",
    'mysql -u root -p"{}" runs',
    "docker login -u bob -p {} x.org",
    "podman login -p '{}' x.org",
    "az login --service-principal -u bob -p {} --tenant x",
]
# Nothing here is masked: no secret, or a name that says of none.
KEPT = [
    "PASSWORD=${{PASSWORD:?{} is missing}}",
    "echo ${{PASSWORD:+{}}}",
    "Authorization: Bearer $TOKEN",
    "authorization: plain",
    "Authorization: <your-token-1234>",
    'Authorization: Digest username="a", response={}',
    "Authorization: Plain name=bob or ada",
    "Authorization: Plain the word a1b2c3d4",
    "Authorization: two words",
    "Cookie: yes please",
    "'Authorization': f'Bearer {{token}}'",
    "Authorization: ***",
    "bearer of news",
    "Bearer password1",
    "Bearer <token>",
    "Basic knowledge",
    "Basic auth",
    "print('a', 'password=' {} 'b')",
    "print('password=' {} 'b')",
    "password='blue horse over it 1x'",
    "password='user-name-1'",
    "password: swordfi",
    "Basic Ym9ib2I=",
    "Basic Ym86AQ==",
    "print('a', 'password=' + x + '&b={}')",
    "Basic Ym9i",
    "IDENTIFIED BY 'password'",
    "password 'secret'",
    "machine x login bob password foo",
    "ENV LR 0.1",
    "ENV API_KEY $KEY",
    "#define API_KEY KEY_ID",
    "password 'correct horse'",
    "token example",
    "- name: LR\n  value: {}",
    "curl -u bob:password x",
    "curl -u $USER:$PASS x",
    "https://bob:$PASS@x.org",
    "https://bob:<of ada>@x.org",
    "mysql -p runs",
    "train --password --verbose",
    "train --tokens 50",
    "see --password for more",
    "password, '{}'",
    "'token', 'abcdefgh1'",
    "arn:password::x",
    "a::password:{}",
    "<b>password>{}</password>",
    'password = "{}',
    "'password=' + x + '&b={}'",
    "api_keys:\n  - {}\n",
    "password = foo",
    "password = getpass()",
    "password = os.environ['P']",
    "password = config.password",
    "token=5",
    "token=abcdefgh",
    "pin=1234",
    "n_pass=3",
    "monkey={}",
    "public_key={}",
    "primary_key={}",
    "key={}",
    "max_tokens={}",
    "eos_token={}",
    "token_count={}",
    "password_file=/etc/pw",
    "password=/etc/pw",
    "password=a.json",
    "password=0x1234567",
    "password=1e5",
    "password=${{PW}}",
    "password=${{A:-}}",
    "echo ${{PASSWORD:-${{OTHER:-$THIRD}}}}",
    "echo ${{PASSWORD:-${{OTHER:+{}}}}}",
    "PASSWORD=${{A:-${{B:-${{C:-}}}}}} x",
    "PASSWORD=${{A:-$B}}",
    "PASSWORD: ${{A:-${{B}}${{C}}}}",
    "PASSWORD: ${{A:-${{B}}_password}}",
    "PASSWORD: ${{A}}-${{B}}",
    "PASSWORD: ${{A}}_password",
    "password=${{DB_PASSWORD}}",
    "password=${{PREFIX}}_password",
    "x, password: ${{USER}}-${{HOST}}, y",
    "PASSWORD=${{HOME}}/secrets/v1.txt",
    "echo ${{PASSWORD:-${{B}}/${{C}}}}",
    'password = "${{a}}-db-${{b}}"',
    "secret: ${{ENV}}-database-secret",
    "PASSWORD=${{A:-password}}",
    "password: ${{A:-foo}}",
    "password: ${{A:?unset}}",
    "Authorization: Bearer ${{A:-}}",
    "password=$PW",
    "password=%(pw)s",
    "password={{{{pw}}}}",
    "password=<pw>",
    "password=[pw]",
    "password=xxxx",
    "password=your_api_key",
    "password=changeme",
    "password=change-me-please",
    "password=***",
    "password=None",
    "password=...",
    'password=""',
    "password='a'",
    "password='user_password'",
    "password='enter your password'",
    "password='one two three four five 6'",
    "password='abc::def1'",
    "password='a{{b}}c1'",
    "password='some_value'",
    "token='abc-def-1'",
    "token='/a/b/c1234'",
    "https://bob:@x.org",
    "https://bob@x.org",
    "ssh://git@x.org",
    "ssh://{}@x.org",
    "https://bob:password@x",
    "http:// bob@x.org",
    "https://bob:bob@x",
    "https://bob:<pw>@x",
    "https://x:8080/a@b",
    "https://x.org:a/b@-c",
    "https://x.org:a/b@/c",
    "https://x.org/?sig=short",
    "https://x.org/?code=1234",
    "https://x.org/?cookie=abc",
    "https://x.org/?token=",
    "https://x.org/?token=$T",
    "https://first.last.name.long.enough@x.org",
    "password=$(cat x)",
    "Cookie: id=plain",
    "Cookie: theme=dark2024",
    "Basic Ym9i8nNlY3JldA==",
    "print('password is ' + x) # '{}'",
    "  password: [a, b]",
    "API key: see below",
    "access key: /home/bob/.ssh/id_rsa_2024",
    "api key = $SECRET_KEY_1",
    "account key = b64decode(x1y2z3a4)",
    "access key: AbstractKeyFactory2",
    "api key: [link](https://x.org/a1b2c3d4e5)",
    "**Token:** the unit of a text",
    "train --token \\\n  --lr 1",
    "set -x PATH /a1/b2/c3/d4e5",
    "docker run -p 8080:80 x",
    "docker login -u bob",
    "docker run x/login -p 12345:80",
    "int f = A | TOKEN | FLAG_1A2B3C | B;",
    "x: str | Token | Int32Array4x | None",
    "cat a | token | b1c2d3e4f5 | wc",
    "zip -P a1 a.zip",
    "#define API_KEY hunter22",
    "my_value: SecretToken = abcdefgh1",
    "password:\n  x7q1-z9",
    "token:\n  abcdefgh1",
    "    password:\n  hunter2",
    "echo ${{PASSWORD:-ab}} x",
    "my_value: typing.Secret = hunter2",
    "my_value: Optional[Secret] = hunter2",
    "option('--password', 'Must set --password to non-empty')",
    "mysqldump -u root -p shop-prod > a",
    "token += tokens[i]",
    "API_KEY ?= $(shell cat key)",
    '{{"username": "bob", "key": "score"}}',
    '{{"username": "bob", "digest": "0123456789abcdef0123456789abcdef"}}',
    "token = 'a",
    'token = "{}\\" and"',
]
# Where more than the secret goes, or the secret is a word of its own.
OTHERS = [
    ("password='blue horse over 1x'", "password='***'"),
    ("password: swordfis", "password: ***"),
    ("Cookie: session={}; a=b", "Cookie: ***"),
    ("Set-Cookie: id={}", "Set-Cookie: ***"),
    ("Authorization: token abcdefg1", "Authorization: token ***"),
    ("Authorization: AWS Credential={}, a=b", "Authorization: AWS ***"),
    ("\u0130\u0130 Bearer {}", "\u0130\u0130 Bearer ***"),
    (
        "\x1b[1mpassword\x1b[0m: {}\n\x1b[1mxy\x1b[0m",
        "password: ***\n\x1b[1mxy\x1b[0m",
    ),
    (
        "\x1b[1mx\x1b[0m \x1b[2mpassword={} y\x1b[0m",
        "\x1b[1mx\x1b[0m \x1b[2mpassword=*** y\x1b[0m",
    ),
    ("\x1b[1mpassword\x1b[0m: !x7q1z9w8", "password: ***"),
    ("Basic Ym9iOnNlY3JldDE=", "Basic ***"),
    ("Basic Ym9iOnNlY3JldDE", "Basic ***"),
    ("Authorization: *** Credential=abcd1234, x=y", "Authorization: ***"),
    ("export TOKEN yes\nexport PASSWORD hunter2\n", "export TOKEN yes\nexport PASSWORD ***\n"),
    ("login bob password swordfish", "login bob password ***"),
    ('#define API_KEY "hunter2"', '#define API_KEY "***"'),
    ("login bob passwd '{}'", "login bob passwd ***"),
    ("login bob password hunter2x", "login bob password ***"),
    ("<password>x</password>", "<password>***</password>"),
    ('<a name="password">tr0ub4dor&amp;3</a>', '<a name="password">***</a>'),
    ("password: >-\n    {}\n    more9more\n\nx: 1", "password: >-\n    ***\n    ***\n\nx: 1"),
    ("password = hunter2", "password = ***"),
    ("password = swordfish", "password = ***"),
    ("PASSWORD=swordfish", "PASSWORD=***"),
    ("PASSWORD=pass&a=b", "PASSWORD=***"),
    ("password={}.", "password=***"),
    ("token=abcdefgh1", "token=***"),
    ("my_token: abcdefgh1", "my_token: ***"),
    ("auth: abcdefgh1", "auth: ***"),
    ("session_id=abcdefgh1", "session_id=***"),
    ("db_pass=swordfish1", "db_pass=***"),
    ("PASS=swordfish1", "PASS=***"),
    ("pass=swordfish1", "pass=***"),
    ("MY_TOKEN=abcdefgh1", "MY_TOKEN=***"),
    ("connection_string=abc;x", "connection_string=***"),
    ("password='ab1'", "password='***'"),
    ("password='correct horse 1'", "password='***'"),
    ("password='Abcdefgh'", "password='***'"),
    ("password='foo.bar-1'", "password='***'"),
    ("token='abc/def.json1'", "token='***'"),
    ("token='Qwerty12'", "token='***'"),
    ("https://bob:p/{}@x.org", "https://bob:***@x.org"),
    ("https://x.org/?password=swordfish", "https://x.org/?password=***"),
    ("https://averyveryverylonguser@x.org", "https://***@x.org"),
    ("https://x.org/?token=abc", "https://x.org/?token=***"),
    ("Basic Ym9iOnNlY3JldD8=", "Basic ***"),
    ("PASSWORD=${{A:-{}}}", "PASSWORD=***"),
    ("PASSWORD=${{A:-swordfish}}", "PASSWORD=***"),
    ("PASSWORD=${{A:-hunter2secret}} x", "PASSWORD=*** x"),
    ("${{PASSWORD:-hunter2secret}}", "${PASSWORD:-***}"),
    ("${{PASSWORD:-${{OTHER:-hunter2secret}}}}", "${PASSWORD:-${OTHER:-***}}"),
    ('password = "${{A:-{}}}"', 'password = "***"'),
    ("PASSWORD=${{A:-${{B:-${{C:-{}}}}}}} x", "PASSWORD=*** x"),
    ('password = "${{A:-${{B:-{}}}}}"', 'password = "***"'),
    ("train --token ${{A:-${{B:-{}}}}} x", "train --token *** x"),
    ("{{token: ${{A:-${{B:-{}}}}}}}", "{token: ***}"),
    ("password: ${{oc.env:A,${{oc.env:B,{}}}}}", "password: ***"),
    ("PASSWORD=${{A:-${{B}}{}}}", "PASSWORD=***"),
    ("PASSWORD=${{A:-${{B}}hunter2}} x", "PASSWORD=*** x"),
    ("PASSWORD: ${{A:-${{B}}hunter2}}", "PASSWORD: ***"),
    ("PASSWORD: ${{A:-x${{B:-${{C}}{}}}}}", "PASSWORD: ***"),
    ('password = "${{A:-hunter2${{B}}}}"', 'password = "***"'),
    ("${{PASSWORD:-${{B}}hunter2}}", "${PASSWORD:-***}"),
    ("password: {}${{B}}", "password: ***"),
    ("password: ${{B}}{} # x", "password: *** # x"),
    ("https://bob:${{A:-${{B}}{}}}@x.org", "https://bob:***@x.org"),
    ("password=kR7#mP2$vL9q${{Y}}", "password=***"),
    ("password=Xk29fQ!z${{Y}}", "password=***"),
    ("psql password=Pa55${{X}}word", "psql password=***"),
    ("DB_PASSWORD=hunter2${{SUFFIX}}", "DB_PASSWORD=***"),
    ("PASSWORD=${{A}}Xk29fQ!z", "PASSWORD=***"),
    ("PASSWORD=${{A}}Xk29fQ!z${{B}}", "PASSWORD=***"),
    ("x, password: {}${{X:-}}, y", "x, password: ***, y"),
    ("f(password: abc${{X}}(", "f(password: ***("),
    ("{{token: ${{A:-{}}}${{B:-}}}}", "{token: ***}"),
    ("password: ${{A_PASSWORD:-$B_PASSWORD}}", "password: ${A_PASSWORD:-$B_PASSWORD}"),
    ("password: ${{oc.env:A,{}}}", "password: ***"),
    ("password: ${{A:{}}}", "password: ***"),
    ("train --token ${{A:-{}}} x", "train --token *** x"),
    ("docker run -e token=${{A:-{}}} x", "docker run -e token=*** x"),
    ("{{token: ${{A:-{}}}}}", "{token: ***}"),
    ("curl -u bob:${{A:-{}}} x", "curl -u bob:*** x"),
    ("https://bob:${{A:-{}}}@x.org", "https://bob:***@x.org"),
    ("Authorization: Bearer ${{A:-{}}}", "Authorization: Bearer ***"),
    ("PASSWORD=a,b1", "PASSWORD=***"),
    ("password:\n  hunter2", "password:\n  ***"),
    ("x = ['--password', 'hunter2']", "x = ['--password', '***']"),
    ("dsn=postgres://bob:$PW@x,api_key={}", "dsn=postgres://bob:$PW@x,api_key=***"),
    ("arn:password::x\npassword=hunter2", "arn:password::x\npassword=***"),
    ("x, password: ${{oc.env:A,${{oc.env:B,{}}}}}, y", "x, password: ***, y"),
    ("x, password: " + "abcdef" * 4 + ", y", "x, password: ***, y"),
    ("password=a,b1x", "password=***"),
]


@pytest.mark.parametrize("path", ["", "a.json", "a.ipynb", "a.py", "a.yaml"])
@pytest.mark.parametrize(
    "text",
    [
        '{"username":"bob","key":"<>"}',
        "api = {'username': 'bob', 'key': '<>'}",
        '"{\\"username\\": \\"bob\\", \\"key\\": \\"<>\\"}"',
    ],
)
def test_the_key_beside_a_user_of_kaggle_is_masked(path, text):
    digest = "0123456789abcdef" * 2

    assert mask_text(text.replace("<>", digest), path) == text.replace("<>", "***")


def test_a_secret_goes_and_all_around_it_stays():
    assert masked(MASKED) == [text.format("***") for text in MASKED]


def test_what_is_no_secret_stays():
    assert masked(KEPT) == [text.format(SECRET) for text in KEPT]


def test_a_secret_goes_with_its_line_or_value():
    assert masked(text for text, _ in OTHERS) == [expected for _, expected in OTHERS]


@pytest.mark.parametrize("kind", ["api", "access", "secret", "account", "subscription"])
@pytest.mark.parametrize("last", ["key", "token"])
def test_names_of_two_words_mark_secrets_in_prose(kind, last):
    assert mask_text(f"The {kind} {last}: {SECRET}") == f"The {kind} {last}: ***"


def test_only_env_splits_the_text_after_its_option():
    setting = "password=x7q1 b"

    for env in ("env", "/usr/bin/env"):
        assert mask_arguments([env, "-S", setting]) == (env, "-S", "password=*** b")
    assert mask_arguments(["sort", "-S", setting, "a.sh"])[2] == "password=***"


def masked(texts):
    return [mask_text(text.format(SECRET)) for text in texts]


SIGNED = [
    "sig", "signature", "X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token",
    "X-Goog-Signature", "X-Goog-Credential", "AWSAccessKeyId", "GoogleAccessId", "policy", "key",
    "code", "client_secret", "sas", "se_sig", "x-oss-signature", "OSSAccessKeyId", "hdnea", "jwt",
]  # fmt: skip


@pytest.mark.parametrize("name", SIGNED)
def test_the_signature_of_an_address_goes_and_a_word_stays(name):
    assert mask_text(f"https://x.org/?{name}={SECRET}&b=1") == f"https://x.org/?{name}=***&b=1"
    for word in ("short", "ordinarywords", "a1b2c3"):
        assert (
            mask_text(f"https://x.org/?{name}={word}&b=1") == f"https://x.org/?{name}={word}&b=1"
        )


# Words of a command; `x7q1` and `abc1` are secrets where they are masked.
WORDS = [
    ("train --token abc1", "train --token ***"),
    ("train --token --verbose", None),
    (f"train --token -{SECRET}", "train --token ***"),
    ("train --token $T", None),
    ("train --pat 7", None),
    ("train --pat 12345.5", None),
    ("train --pat abc", "train --pat ***"),
    ("train --password 7", "train --password ***"),
    ("train --key abc1", None),
    ("train --token abc1:x7q1", "train --token ***"),
    ("train +token abc1", "train +token ***"),
    ("train --no-token", None),
    ("train --token=abc1", "train --token=***"),
    ("train api_key=abc1", "train api_key=***"),
    ("train +api_key=5", "train +api_key=***"),
    ("train pat=7", None),
    ("train password=$P", None),
    ("train password=", None),
    ("java -DapiKey=abc1 -DlogLevel=abc1", "java -DapiKey=*** -DlogLevel=abc1"),
    ("curl -u bob:x7q1 x", "curl -u bob:*** x"),
    ("curl -u bob x", None),
    ("curl -U bob:x7q1 x", "curl -U bob:*** x"),
    ("curl --user bob:x7q1 x", "curl --user bob:*** x"),
    ("curl --proxy-user bob:x7q1 x", "curl --proxy-user bob:*** x"),
    ("curl --cert a.pem:x7q1 x", "curl --cert a.pem:*** x"),
    ("/usr/bin/curl -u bob:x7q1 x", "/usr/bin/curl -u bob:*** x"),
    ("http -a bob:x7q1 x", "http -a bob:*** x"),
    ("http --auth bob:x7q1 x", "http --auth bob:*** x"),
    ("https -a bob:x7q1 x", "https -a bob:*** x"),
    ("https --auth bob:x7q1 x", "https --auth bob:*** x"),
    *[
        (f"{program} -x -w x7q1", f"{program} -x -w ***")
        for program in (
            "ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldappasswd", "ldapwhoami",
            "ldapcompare", "ldapexop", "ldapmodrdn",
        )
    ],
    ("ldappasswd -s x7q1 -a x7q1", "ldappasswd -s *** -a ***"),
    ("openssl enc -k x7q1", "openssl enc -k ***"),
    ("openssl enc -K 0a1b", "openssl enc -K ***"),
    ("openssl -passin pass:x7q1", "openssl -passin pass:***"),
    ("openssl -passout pass:x7q1", "openssl -passout pass:***"),
    ("openssl -pass pass:x7q1", "openssl -pass pass:***"),
    ("openssl -passin env:PW", None),
    ("openssl -passin file:pw.txt", None),
    *[
        (f"{program} -px7q1 a", f"{program} -p*** a")
        for program in (
            "mysql", "mysqldump", "mysqladmin", "mysqlimport", "mariadb", "mariadb-dump",
            "sshpass", "7z", "7za", "7zz", "unrar",
        )
    ],
    *[
        (f"{program} -p x7q1 a", f"{program} -p *** a")
        for program in (
            "mysql", "mysqldump", "mysqladmin", "mariadb", "sshpass", "docker login",
            "podman login", "twine", "az login", "mongosh", "mongo", "mongodump", "mongorestore",
            "mongoexport", "mongoimport", "cqlsh", "beeline", "mysqlimport", "mariadb-dump",
        )
    ],
    *[
        (f"{program} -P{space}x7q1 a", f"{program} -P{space}*** a")
        for program in ("mosquitto_pub", "mosquitto_sub", "sqlcmd", "bcp", "zip", "unzip")
        for space in ("", " ")
    ],
    *[
        (f"{program} {option} x7q1 a", f"{program} {option} *** a")
        for program in ("keytool", "jarsigner")
        for option in ("-storepass", "-keypass", "-srcstorepass", "-deststorepass")
    ],
    ("smbclient --user bob%x7q1", "smbclient --user bob%***"),
    ("lftp -u bob,x7q1 a", "lftp -u bob,*** a"),
    ("lftp --user bob,x7q1 a", "lftp --user bob,*** a"),
    ("redis-cli -a x7q1", "redis-cli -a ***"),
    ("redis-cli -ax7q1", "redis-cli -a***"),
    ("redis-cli -h mysql -a x7q1", "redis-cli -h mysql -a ***"),
    *[
        (f"{before} redis-cli -a x7q1 ping", f"{before} redis-cli -a *** ping")
        for before in ("kubectl exec -n mysql db --", "ssh -l mysql host --", "sudo -u mysql -H")
    ],
    ("docker run --network http -it mysql -px7q1", "docker run --network http -it mysql -p***"),
    ("srun --job-name zip --pty mysql -px7q1", "srun --job-name zip --pty mysql -p***"),
    ("redis-cli -h mysql -p 6379", None),
    ("sshpass -v mysql -px7q1", "sshpass -v mysql -p***"),
    ("7z a -pabc1 a.7z", "7z a -p*** a.7z"),
    ("ssh-keygen -p -P x7q1 -N y7q1", "ssh-keygen -p -P *** -N ***"),
    ("7z a -p a.7z", None),
    ("unrar x -hpabc1 a.rar", "unrar x -hp*** a.rar"),
    ("curl -sSLu bob:x7q1 x", "curl -sSLu bob:*** x"),
    ("curl -sSLo bob:x7q1 x", None),
    ("curl -su bob:x7q1 x", "curl -su bob:*** x"),
    ("curl --user-agent=a:x7q1 x", None),
    ("podman --log-level x login -p abc1", "podman --log-level x login -p ***"),
    ("curl -ubob:x7q1 x", "curl -ubob:*** x"),
    ("curl --user=bob:x7q1 x", "curl --user=bob:*** x"),
    ("curl --user=bob:$PW x", None),
    ("curl -ubob x", None),
    ("dvc remote modify --local s3 password x7q1", "dvc remote modify --local s3 password ***"),
    ("dvc remote modify s3 secret_access_key x7q1", "dvc remote modify s3 secret_access_key ***"),
    ("dvc remote modify s3 region x7q1", None),
    ("a/dvc remote modify s3 -q password x7q1", "a/dvc remote modify s3 -q password ***"),
    ("dvc remote modify s3 url x password x7q1", None),
    ("prog --mode modify tokenizer password reset", None),
    ("prog modify password reset", None),
    ("train --password = x7q1", "train --password = ***"),
    ("train --password: x7q1", "train --password: ***"),
    ("smbclient -U bob%x7q1", "smbclient -U bob%***"),
    ("smbclient -U bob", None),
    ("docker run -p8080:80 a", None),
    ("docker run -p 8080:80 a", None),
    ("docker login -u bob -px7q1 a", "docker login -u bob -p*** a"),
    ("sshpass -p x7q1 ssh -p 2222 a", "sshpass -p *** ssh -p 2222 a"),
    ("curl -u bob@x.org:x7q1 x", "curl -u bob@x.org:*** x"),
    ("rar a -hpx7q1 a.rar", "rar a -hp*** a.rar"),
    ("rar a -px7q1 a.rar", "rar a -p*** a.rar"),
    ("mysql -p!x7q1 a", "mysql -p*** a"),
    ("mysql -p12345 a", "mysql -p*** a"),
    ("sudo -u root mysql -p 12345 a", "sudo -u root mysql -p *** a"),
    ("ssh a mysql -px7q1 a", "ssh a mysql -p*** a"),
    ("docker exec mysql mysql -px7q1 a", "docker exec mysql mysql -p*** a"),
    ("sshpass -p x7q1 mysql -py7q1", "sshpass -p *** mysql -p***"),
    ("run docker -p x7q1", None),
    ("unrar x -p- a.rar", None),
    ("mysql -p$PW a", None),
    ("wandb login --relogin abc1", "wandb login --relogin ***"),
    ("other -p x7q1 a", None),
    ("wandb login abc1", "wandb login ***"),
    ("comet login abc1", "comet login ***"),
    ("neptune login abc1", "neptune login ***"),
    ("kaggle login abc1", "kaggle login ***"),
    ("run wandb login abc1", "run wandb login ***"),
    ("wandb logout abc1", None),
    ("git login abc1", None),
    ("aws configure set aws_secret_key abc1", "aws configure set aws_secret_key ***"),
    ("aws configure set region abc1", None),
    ("sh -c password=abcd", "sh -c password=***"),
    ("/bin/sh -c password=abcd", "/bin/sh -c password=***"),
    ("/usr/bin/wandb login abc1", "/usr/bin/wandb login ***"),
    ("train --password : x7q1", "train --password : ***"),
    ("train --token --verbose abc1", None),
    ("train pat=$T", None),
    ("dvc remote modify password url a", None),
]  # fmt: skip


def test_secret_words_of_a_command_go():
    found = [" ".join(mask_arguments(line.split(" "))) for line, _ in WORDS]

    assert found == [masked or line for line, masked in WORDS]


# Here {} stands for a secret after an option of a program.
PROGRAMS = [
    "docker login -p{}", "docker login -u bob -p {} x.org", "podman --log-level x login -p{}",
    "7z a -p{} a.7z b", "7za x -p'{}' a.7z", "zip -r -P {} a.zip b", "unzip -P{} a.zip",
    "unrar x -p{} a.rar", "rar a -hp{} a.rar b", "mysql -u root -p{} a", "sshpass -p{} ssh a",
    "curl -u bob:{} a", 'curl -H "a; b" --user="bob:{}" a', "redis-cli -h a -a {}",
    "curl -sSu bob:{} a", "mysql - -p{} a", "mysql \\\n  --quick \\\n  -p{} a",
    "openssl rsa -in a -passin pass:{}", "openssl rsa -passout 'pass:{}'", "openssl enc -k {}",
    "sqlcmd -S a -U bob -P {}", "bcp a in b -P{}", "lftp -u bob,{} a", "cqlsh -u bob -p {}",
    "ssh-keygen -t rsa -N '{}'", "keytool -list -storepass {}", "mosquitto_pub -u bob -P {} -t a",
    "smbclient -U bob%{} //a/b", "http -a bob:{} a", "twine upload -u bob -p {} dist/a",
    "redis-cli -h mysql -a {}", "ssh a mysql -p{} a", "gzip a | zip -P {} a.zip",
    "redis-cli -h mysql -a {0}; zip -P {0} a.zip",
    "mysqldump a && zip -P {} a.zip", "ls mysql; redis-cli -a {}",
    "docker exec -it mongo curl -u bob:{} a", "docker exec mysql mysql -p{} a",
    "mongosh -u bob -p {}", "docker login \\\n  -u bob \\\n  -p {}", "sshpass -p {} ssh -p 2222 a",
]  # fmt: skip


@pytest.mark.parametrize(
    "around",
    ["{}", "set -e\n{} && ls\n", "RUN {}\n", "import os\nos.system({!r})\n", "x:\n  - {}\n"],
    ids=["command", "script", "Dockerfile", "Python", "list"],
)
@pytest.mark.parametrize("secret", ["hunter2", SECRET])
def test_secrets_after_options_of_programs_are_masked_in_texts(around, secret):
    texts = [around.format(line.format(secret)) for line in PROGRAMS]

    found = [mask_text(text) for text in texts]

    assert found == [around.format(line.format("***")) for line in PROGRAMS]


@pytest.mark.parametrize("line", PROGRAMS)
def test_secrets_after_options_of_programs_are_masked_in_commands(line):
    masked = mask_command(line.format("hunter2"))

    assert shlex.split(masked) == shlex.split(line.format("***"))


@pytest.mark.parametrize(
    "text",
    [
        "docker run -p 8080:80 a", "docker run -p8080:80 a", "smbclient -U bob //a",
        "unrar x -p- a", "sshpass -p $PW ssh -p 2222 a", "curl -u bob a", "curl -u $A:$B a",
        "openssl rsa -passin env:PW", "openssl s_client -key a.pem -connect a:443",
        "docker login -u bob --password-stdin", "az vm create -p hunter2", "zip -r a.zip b -x c",
        "gzip -P hunter2", "wandb login --relogin --cloud",
        "docker run --name mongo -p 27017:27017 a", "docker run --name mysql -p3306:3306/tcp a",
        "sshpass -e ssh -p 2222 a", "sshpass -f a ssh -p 2222 a", "sshpass -d3 ssh -p 2222 a",
    ],
)  # fmt: skip
def test_other_options_of_programs_stay(text):
    assert mask_text(text) == text
    assert mask_command(text) == text


@pytest.mark.parametrize("before", ["", "x:\n  - ", "RUN ", "A=1 ", "set -e; nohup ", "$("])
def test_a_number_is_a_password_after_an_option_of_the_program_itself(before):
    assert mask_text(f"{before}mysql -p12345 a") == f"{before}mysql -p*** a"


def test_a_password_with_the_sign_of_a_tag_of_yaml_is_masked():
    assert (
        mask_text("mysql -p!x1y2 a; mysql -u a -p '!x1y2'") == "mysql -p*** a; mysql -u a -p '***'"
    )


def test_a_secret_in_colors_is_masked():
    token = "ghp_" + "a1B2" * 9
    line = f"\x1b[1msee\x1b[0m {token[:20]}\x1b[31m{token[20:]}\x1b[0m\n"

    assert mask_message(line) == "see ***\n"
    for escape in ("\\u001b", "\\u001B"):
        assert mask_text(line.replace("\x1b", escape), "a.ipynb") == "see ***\n"


@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("\x1b[01;31m\x1b[K", "\x1b[m\x1b[K"),  # grep
        ("\x1b[1m", "\x1b(B\x1b[m"),  # tput
        ("\x1b[1;38;2;255;255;255;48;2;10;10;10m", "\x1b[0m"),
    ],
)
def test_a_name_in_colors_is_one(begin, end):
    assert mask_text(f"{begin}password{end}={SECRET}\n") == "password=***\n"


@pytest.mark.parametrize(
    "text",
    [
        "password${'api_key: x1y2z3", "password: {}${", 'password: {}"""',
        "set 'password={} Zq81' x1y2z3",
        "AKIAABCDEFGHIJKLMNOP" + "ghp_" + "a1B2" * 9, "password := ${{A:-{}}}> x",
        "set API_KEY={} x1y2z3",
        "sh -c 'token={} keytool' x", "train --password" + "ghp_" + "a1B2" * 9 + " x1y2z3",
    ],
)  # fmt: skip
def test_masking_a_masked_text_changes_nothing(text):
    given = text.replace("{}", SECRET)

    for mask in (mask_text, mask_command):
        assert mask(mask(given)) == mask(given)
    words = mask_arguments(given.split(" "))
    assert mask_arguments(words) == words


def test_options_of_another_program_of_a_line_stay():
    assert mask_text("curl -s a | tail -u bob:hunter2") == "curl -s a | tail -u bob:hunter2"


@pytest.mark.parametrize(
    "name", ["foo: 1, password: ", "cmd PASSWORD=", "password: ", "PASSWORD="]
)
@pytest.mark.parametrize(
    "value",
    ["x$" + SECRET * 40, "a1$" * 45 + SECRET, "a1${B}" * 45 + SECRET, "x$" + SECRET * 400],
    ids=lambda value: value[:6] + str(len(value)),
)
def test_no_end_of_a_long_password_stays(name, value):
    assert mask_text(f"{name}{value} z") == f"{name}*** z"
    assert mask_command(f"{name}{value} z") == f"{name}*** z"


@pytest.mark.parametrize(
    "line",
    [
        "password=kR7#mP2$vL9q${Y}", "psql password=Pa55${X}word", "DB_PASSWORD=hunter2${SUFFIX}",
        "train --password hunter2${SUFFIX}",
    ],
)  # fmt: skip
def test_a_password_beside_a_variable_goes_from_commands(line):
    name = line[: max(line.find("="), line.rfind(" ")) + 1]

    assert mask_command(line).replace("'", "") == name + "***"
    assert mask_message(line) == name + "***"
    assert " ".join(mask_arguments(line.split(" "))) == name + "***"


@pytest.mark.parametrize(
    ("line", "masked"),
    [
        ("train --token abc1 --lr 1", "train --token '***' --lr 1"),
        ("train --token 'abc1'", "train --token '***'"),
        ('train --token "a b1"', 'train --token "***"'),
        ("train --token a\\ b1 x", "train --token '***' x"),
        ("train --token abc1; rm x", "train --token '***'; rm x"),
        ('echo "unclosed --token abc1', "echo \"unclosed --token '***'"),
        ("A_TOKEN=abcdefg1 train", "A_TOKEN=*** train"),
        ("train --token \"a\"'b1'", "train --token '***'"),
        ("one", "one"),
        ("", ""),
    ],
)
def test_a_command_line_stays_one(line, masked):
    assert mask_command(line) == masked


@pytest.mark.parametrize(
    ("command", "masked"),
    [
        ("train --token abc1", "train --token '***'"),
        ("export A_TOKEN=abcdefg1; echo hi", "export 'A_TOKEN=***'; echo hi"),
        ("export A_TOKEN=abcdefg1;echo hi", "export 'A_TOKEN=***';echo hi"),
    ],
)
def test_a_command_within_a_word_is_masked(command, masked):
    assert mask_arguments(["sh", "-c", command])[2] == masked


# Names


BEFORE_KEY = [
    "api", "access", "private", "secret", "account", "auth", "encryption", "signing", "storage",
    "subscription", "master", "admin", "shared", "ssh", "hmac", "jwt", "deploy", "webhook",
    "app", "application", "client", "license", "wandb", "openai", "anthropic", "gemini",
    "mistral", "comet", "cohere", "neptune", "aws", "azure", "gcp", "google", "github",
    "gitlab", "stripe", "twilio", "sendgrid", "kaggle", "huggingface", "fernet", "aes",
    "datadog", "dd", "newrelic",
]  # fmt: skip
BEFORE_TOKEN = [
    "auth", "access", "api", "bearer", "refresh", "session", "private", "personal", "secret",
    "id", "bot", "app", "oauth", "csrf", "xsrf", "hf", "huggingface", "hub", "github", "gh",
    "gitlab", "wandb", "slack", "discord", "telegram", "npm", "pypi", "deploy", "service",
    "admin", "user", "login", "security", "device", "jwt", "registry", "vault", "runner", "ci",
    "job", "upload", "sentry", "databricks", "neptune", "do", "digitalocean", "cloudflare",
    "azure", "aws", "cf",
]  # fmt: skip
OF_A_LANGUAGE = [
    "pad", "eos", "bos", "sep", "cls", "mask", "unk", "stop", "start", "end", "begin",
    "special", "image", "audio", "video", "first", "last", "next", "prev", "previous", "per",
    "max", "min", "new", "num", "n", "extra", "added", "current", "cur", "any", "each", "sub",
    "word", "text", "input", "output", "prompt", "completion", "decoder", "encoder", "target",
    "source", "lang", "language", "is", "of", "no", "the", "by", "s", "class", "keyword",
    "open", "close", "left", "right", "string", "name", "op", "operator", "comment", "newline",
    "blank", "single", "multi", "continue", "continuation", "cancel", "cancellation", "page",
    "sync", "match", "delim",
]  # fmt: skip
NO_PASS = [
    "first", "second", "forward", "backward", "n", "num", "by", "band", "low", "high", "single",
    "multi", "two", "one", "per", "test", "final", "render", "max", "min", "is", "did", "do",
    "all", "next", "last", "opt", "optimization", "fusion", "graph", "compiler", "function",
    "module",
]  # fmt: skip
SURE = [
    "password", "passwd", "passphrase", "passwort", "passcode", "pwd", "secret", "apikey",
    "accesskey", "secretkey", "privatekey", "apisecret", "authtoken", "accesstoken", "apitoken",
    "clientsecret", "requirepass", "masterauth", "credential", "credentials", "passwords",
    "passphrases", "apikeys", "my_password", "dbPassword", "DB_PASSWORD", "userpassword",
    "connection_string", "conn_string", "account_key", "sas_token", "authorization",
    "Proxy-Authorization", "X-Authorization", "password2", "password_old", "password_v2",
    "my api key", "api_key_new", "secret_value", "secret_b64", "secret_str", "secret_text",
    "secret_env",
    "secret_raw", "secret_plain", "secret_base64", "secretB64", "SECRET_BASE64", "MY_TOKEN",
    "PASS", "TOK_PW", "db_pass", "smtp_pass", "mail_pass", "email_pass", "user_pass",
    "mysql_pass", "redis_pass", "admin_pass", "db_pw", "SSHPASS", "dbpass", "userpass",
    "adminpass", "rootpass",
]  # fmt: skip
PERHAPS = [
    "token", "my_token", "tok", "pass", "pw", "auth", "cookie", "sas", "pat", "bearer",
    "sessionid", "otp", "pin", "dsn", "hftoken", "session_id", "db_auth", "mytoken",
    "api_keys", "API_KEYS", "access_tokens", "HF_TOKENS", "secrets", "client_secrets",
]  # fmt: skip
NONE = [
    "key", "my_key", "public_key", "api_public_token", "public_pass", "s3_key",
    "public_api_key", "public_keys", "primary_keys", "keys", "tokens", "new_tokens",
    "detoken", "max_tokens", "id", "user_id", "lr", "sort_key", "other_authorization", "monkey",
    "passenger", "string", "token_count", "a::password", "tokenizer", "secrets_file",
]  # fmt: skip


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (SURE, Secrecy.SURE),
        (PERHAPS, Secrecy.PERHAPS),
        (NONE, Secrecy.NONE),
        ([f"{one}_key" for one in BEFORE_KEY], Secrecy.SURE),
        ([f"{one}_token" for one in BEFORE_TOKEN], Secrecy.SURE),
        ([f"{one}_token" for one in OF_A_LANGUAGE], Secrecy.NONE),
        ([f"{one.upper()}_TOKEN" for one in OF_A_LANGUAGE], Secrecy.NONE),
        ([f"{one}_pass" for one in NO_PASS], Secrecy.NONE),
        (["one two three four password", "", "1", "_"], Secrecy.NONE),
    ],
)
def test_a_name_says_how_secret_its_value_is(names, expected):
    assert {name: secrecy(name) for name in names} == dict.fromkeys(names, expected)


# Values


@pytest.mark.parametrize(
    ("texts", "judge", "expected"),
    [
        (["a1b2cc44", "ab12cd34ef", "0123456789abcdef0123"], looks_random, True),
        (["a" * 20 + "1" * 3 + "b" * 3], looks_random, True),
        (["abcd1efghijklmnop2", "abcdefghijk1lmnopqrstu", "abcdef" * 4], looks_random, True),
        (["abcdefgh", "abcdefg1", "hello-world", "abc1de", "abcdefg1hij", "0123456789"],
         looks_random, False),
        (["0123456789abcdef012", "x" * 301 + "a1b2c3d4"], looks_random, False),
        (["abcdefg1", "1abcdefg", "a-b-c-d-1"], is_mixed, True),
        (["abcdef1", "abcdefgh", "12345678", "0x123456", "1e123456"], is_mixed, False),
        (["***", "...", "xxxx", "XXX", "0", "000", "", "abc...", "abc…", "%s", "%r", "%(a)s"],
         is_placeholder, True),
        (["None", "null", "nil", "true", "False", "yes", "no", "on", "off", "undefined", "nan",
          "required", "optional", "default", "auto"], is_placeholder, True),
        (["$A", "${A}", "$A.b", "$(cat x)", "`cat x`", "%A%", "{{ a }}", "${{ a }}", "<a b>",
          "[a]", "(a)", "@a/b", "!vault x", "!vault a1b2c3d4", "|", ">-", "|2",
          "a ${B} c", "a {{b}} c", "$"],
         is_placeholder, True),
        (["${A:-}", "${A:-$B}", "${A:-none}", "${A:-your_key}", "${A:?is missing}", "${A:-${B:-}}",
          "${oc.env:A}", "${env:A}", "${A:0:4}", "${A:none}", "${oc.env:A,null}",
          "{{ a | default('') }}", "${{ a || '...' }}", "${A}-${B}", "${A}_b1", "a-${B}-1",
          "$A${B}"],
         is_placeholder, True),
        (["hunter2${A}", "${A}Xk29fQ!z", "${A}Xk29fQ!z${B}", "kR7#mP2$vL9q${A}"],
         is_placeholder, False),
        (["${A:-abc}", "${A-abc}", "${A:=abc}", "${A:+abc}", "a ${A:-abc}", "${A:-${B:-abc}}",
          "${oc.env:A,abc}", "${A:abc}", "{{ a | default('abc') }}", '${{ a || "abc" }}'],
         is_placeholder, False),
        (["your_api_key", "my-token", "changeme", "change-me", "insert your key here",
          "example", "dummy_password", "the-secret", "fake_token"], is_placeholder, True),
        (["abc", "hunter2", "Xx1", "$a1b2c3d4e5", "yourself", "a*b", "exampled"],
         is_placeholder, False),
        (["password", "pass1", "user_password", "secret", "my-token", "key123456", "test", "foo",
          "bar", "baz", "p", "pw", "pwd", "credentials", "passphrase\\n"], is_stand_in, True),
        (["hunter2", "password!", "key1234567", "secretary"], is_stand_in, False),
        (["${A:-password}"], is_stand_in, True),
    ],
)  # fmt: skip
def test_a_value_is_judged_by_its_look(texts, judge, expected):
    assert {text: judge(text) for text in texts} == dict.fromkeys(texts, expected)


class Words(list):
    """Counts the words that are copied by slices."""

    copied = 0

    def __getitem__(self, place):
        found = super().__getitem__(place)
        self.copied += len(found) if isinstance(place, slice) else 0
        return found


def test_a_long_command_of_env_is_masked_in_linear_time():
    words = Words(["env", "A=1", "train", "--token", "abc1", *["a.csv"] * 1_000])

    assert mask_arguments(words)[:5] == ("env", "A=1", "train", "--token", "***")
    assert words.copied < 10 * len(words)
