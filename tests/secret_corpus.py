"""Secrets and look-alikes, put together when they are asked for: none stands in a file.

Each template names alphabets and lengths: `{an36}` is 36 letters and digits. The forms are those
that the issuers document; the prefixes are written apart, so that no scanner takes this file for
a leak.
"""

import ast
import base64
import hashlib
import random
import re
import string
import uuid
import warnings

LOWER, UPPER, DIGITS = string.ascii_lowercase, string.ascii_uppercase, string.digits
ALPHABETS = {
    "an": LOWER + UPPER + DIGITS,
    "al": LOWER + DIGITS,
    "au": UPPER + DIGITS,
    "b": UPPER + "234567",
    "d": DIGITS,
    "h": DIGITS + "abcdef",
    "H": DIGITS + "ABCDEF",
    "u": LOWER + UPPER + DIGITS + "-_",
    "s": LOWER + UPPER + DIGITS + "+/",
    "x": DIGITS + "ACDEFGHJKLMNPQRSTUVWXYZ",
}
_FIELD = re.compile(r"\{([A-Za-z]+)(\d+)\}")
_UUID = "{h8}-{h4}-{h4}-{h4}-{h12}"

# Issuer: templates, with a bar where the prefix is cut in two.
TOKENS = {
    "1Password": ["op|s_ey" + "J{u300}", "A|3-{au6}-{au6}-{au5}-{au5}-{au5}-{au5}"],
    "Adafruit": ["ai|o_{an28}"],
    "age": ["AGE-SECRET-|KEY-1{x58}"],
    "Airtable": ["pa|t{an14}.{h64}"],
    "Alibaba Cloud": ["LT|AI{an20}"],
    "Anthropic": ["sk-|ant-api03-{u93}AA", "sk-|ant-admin01-{u93}AA", "sk-|ant-oat01-{u86}"],
    "Artifactory": ["AK|Cp{an69}"],
    "Asana": ["{d1}|/{d16}:{h32}"],
    "Atlassian": ["ATA|TT3{u180}={H8}", "ATB|B{an32}"],
    "AWS": ["AK|IA{b16}", "AS|IA{b16}", "ABS|K{s120}="],
    "Azure": ["{an3}|8Q~{an34}", "{an76}|AZDO{an4}", "{s76}|+ASt{an6}==", "{an42}|AzSeA{an5}"],
    "Brevo": ["xkey|sib-{h64}-{an16}"],
    "Buildkite": ["bk|ua_{h40}"],
    "CircleCI": ["CCI|PAT_{an22}_{h40}"],
    "ClickUp": ["pk|_{d8}_{au32}"],
    "Clojars": ["CLO|JARS_{al60}"],
    "Cloudflare": ["v1|.0-{h24}-{h146}"],
    "Contentful": ["CF|PAT-{u43}"],
    "crates.io": ["ci|o{an32}"],
    "Databricks": ["da|pi{h32}", "da|pi{h32}-2"],
    "DigitalOcean": ["do|p_v1_{h64}", "do|o_v1_{h64}", "do|r_v1_{h64}"],
    "Discord": ["M{an23}|.{u6}.{u38}"],
    "Docker": ["dc|kr_pat_{u27}"],
    "Doppler": ["dp|.pt.{an43}", "dp|.st.dev.{an43}"],
    "Dropbox": ["s|l.u.{u136}"],
    "Dynatrace": ["dt|0c01.{b24}.{b64}"],
    "EasyPost": ["EZ|AK{an54}"],
    "ElevenLabs": ["s|k_{h48}"],
    "Facebook": ["EA|A{an140}"],
    "Figma": ["fi|gd_{u40}"],
    "Flutterwave": ["FLW|SECK_TEST-{h32}-X"],
    "Fly.io": ["fo|1_{u43}"],
    "Frame.io": ["fi|o-u-{u64}"],
    "GitHub": ["gh|p_{an36}", "gh|o_{an36}", "gh|u_{an36}", "gh|s_{an36}", "gh|r_{an76}",
               "github|_pat_{an22}_{an59}"],
    "GitLab": ["gl|pat-{u20}", "gl|pat-{u27}.01.{al9}", "gl|dt-{u20}", "gl|rt-{u20}",
               "gl|ptt-{h40}",
               "gl|cbt-{h2}_{u20}", "gl|soat-{u20}", "gl|agent-{u50}", "GR1|348941{u20}"],
    "Google": ["AI|za{u35}", "GOC|SPX-{u28}", "ya|29.{u120}", "1/|/0{u80}"],
    "Grafana": ["gl|c_{s60}", "gl|sa_{an32}_{h8}"],
    "Groq": ["gs|k_{an52}"],
    "Harness": ["pa|t.{u22}.{h24}.{an20}"],
    "HashiCorp": ["hv|s.{u90}", "hv|b.{u140}", "{an14}.atl|asv1.{u67}", "s|.{an24}"],
    "Heroku": ["HR|KU-{u60}"],
    "Hugging Face": ["h|f_{an34}", "api|_org_{an34}"],
    "Jina": ["ji|na_{h32}{u28}"],
    "JSON web token": ["ey|J{u33}.ey" + "J{u120}.{u43}", "ey|J{u100}.ey" + "J{u400}.{u342}"],
    "LangSmith": ["lsv|2_pt_{h32}_{h10}", "lsv|2_sk_{h32}_{h10}"],
    "LaunchDarkly": ["sd|k-" + _UUID],
    "Linear": ["lin|_api_{an40}"],
    "Mailchimp": ["{h32}-|us12"],
    "Mailgun": ["ke|y-{h32}"],
    "Mapbox": ["s|k.ey" + "J{u60}.{u22}"],
    "MaxMind": ["{an6}_{an29}|_mmk"],
    "Modal": ["a|k-{an22}", "a|s-{an22}"],
    "Neon": ["na|pi_{al64}"],
    "Netlify": ["nf|p_{an36}"],
    "New Relic": ["NR|AK-{au27}", "NR|JS-{h19}"],
    "Notion": ["nt|n_{d11}{an35}", "sec|ret_{an43}"],
    "npm": ["np|m_{an36}"],
    "NuGet": ["oy|2{al43}"],
    "NVIDIA": ["nv|api-{u64}"],
    "Octopus Deploy": ["AP|I-{au26}"],
    "OpenAI": ["s|k-{an20}T3Blbk" + "FJ{an20}", "sk-|proj-{u120}", "sk-|svcacct-{u120}",
               "sk-|admin-{u120}"],
    "OpenRouter": ["sk-|or-v1-{h64}"],
    "DeepSeek": ["s|k-{h32}"],
    "OpenShift": ["sha|256~{u43}"],
    "Packagist": ["pack|agist_uut_{h68}"],
    "PayPal": ["access_|token$production${al16}${h32}"],
    "Perplexity": ["pp|lx-{an48}"],
    "Pinecone": ["pc|sk_{an6}_{an63}"],
    "Plaid": ["acc|ess-sandbox-" + _UUID],
    "PlanetScale": ["psc|ale_tkn_{u43}", "psc|ale_pw_{u43}"],
    "Postman": ["PM|AK-{h24}-{h34}"],
    "Prefect": ["pn|u_{an36}"],
    "Pulumi": ["pu|l-{h40}"],
    "PyPI": ["py|pi-AgEIcHlwaS5vcmc{u150}", "py|pi-AgENdGVzdC5weXBp{u150}"],
    "Razorpay": ["rz|p_live_{an14}"],
    "ReadMe": ["rd|me_{al70}"],
    "Replicate": ["r|8_{an37}"],
    "Resend": ["r|e_{an8}_{an24}"],
    "RubyGems": ["ruby|gems_{h48}"],
    "Scalingo": ["tk|-us-{u48}"],
    "SendGrid": ["S|G.{u22}.{u43}"],
    "Sentry": ["snt|rys_ey" + "J{an200}_{an43}", "snt|ryu_{h64}"],
    "Shippo": ["ship|po_live_{h40}"],
    "Shopify": ["shp|at_{h32}", "shp|ss_{h32}"],
    "Slack": ["xo|xb-{d12}-{d13}-{an24}", "xo|xp-{d12}-{d12}-{d12}-{h32}",
              "xa|pp-1-A{au10}-{d13}-{h64}",
              "https://hooks.sl|ack.com/services/T{au10}/B{au10}/{an24}"],
    "SonarQube": ["sq|p_{h40}"],
    "Sourcegraph": ["sg|p_{h16}_{h40}", "sg|p_{h40}"],
    "Square": ["sq0|atp-{u22}", "sq0|csp-{u43}"],
    "Stripe": ["sk|_live_{an24}", "sk|_test_{an99}", "rk|_live_{an24}", "whs|ec_{an32}"],
    "Supabase": ["sb|p_{h40}", "sb_|secret_{u31}"],
    "Tailscale": ["tsk|ey-auth-{an17}-{an32}"],
    "Tavily": ["tv|ly-dev-{an32}"],
    "Telegram": ["{d10}:|AA{u33}"],
    "Tencent Cloud": ["AK|ID{an32}"],
    "Together": ["tg|p_v1_{u43}"],
    "Twilio": ["S|K{h32}"],
    "Typeform": ["tf|p_{u59}"],
    "Weights & Biases": ["wan|db_v1_{an77}"],
    "xAI": ["xa|i-{an80}"],
    "Yandex": ["AQ|VN{u36}", "y|0_{u55}"],
    "Zhipu": ["{h32}|.{an16}"],
}  # fmt: skip

# How a token comes to stand in a text; and in which kind of file.
PLACES = [
    ("{}", ""),
    ("client = Client({!r})\n", "train.py"),
    ("# was {} until May\n", "train.py"),
    ("url: https://x.org/?t={}&b=1\n", "conf.yaml"),
    ('{{"value": "{}"}}\n', "conf.json"),
    ("see {}, please", "notes.md"),
]

# A secret that only its name tells; what stands around it, by kind of file.
VALUES = ["{an16}", "{an12}", "{an24}", "{h32}", "{al20}", "{u22}", "{al6}{d2}", "{an8}!{an4}"]
NAMED = [
    ("password = '{}'\n", "train.py"),
    ("password: str = '{}'\n", "train.py"),
    ("login(user, password={!r})\n", "train.py"),
    ("config['db']['password'] = '{}'\n", "train.py"),
    ("os.environ['OPENAI_API_KEY'] = '{}'\n", "train.py"),
    ("KEYS = {{'secret_key': '{}', 'n': 3}}\n", "train.py"),
    ("parser.add_argument('--api-key', default='{}')\n", "train.py"),
    ("self.auth_token = b'{}'\n", "train.py"),
    ("dbPassword = (\n    '{}'\n)\n", "train.py"),
    ("api_key = os.getenv('OTHER') or '{}'\n", "train.py"),
    ("DB_PASSWORD={}\n", "run.sh"),
    ("export API_TOKEN={}\n", "run.sh"),
    ("train --password {} --lr 0.1\n", "run.sh"),
    ("mysql://root:{}@db.org/runs\n", "notes.md"),
    ("password: {}\n", "conf.yaml"),
    ("db: {{user: bob, password: {}}}\n", "conf.yaml"),
    ("client_secret: |\n  {}\nuser: bob\n", "conf.yaml"),
    ("api_key: '{}'\n", "conf.yaml"),
    ('{{"access_token": "{}", "n": 1}}\n', "conf.json"),
    ("[db]\npassword = {}\n", "conf.ini"),
    ('secret_access_key = "{}"\n', "conf.toml"),
    ("Authorization: Bearer {}\n", "notes.md"),
    ("X-Api-Key: {}\n", "notes.md"),
    ("const apiKey = '{}';\n", "app.js"),
    ('Sys.setenv(WANDB_API_KEY = "{}")\n', "fit.R"),
    ("<password>{}</password>\n", "conf.xml"),
    ("Server=x;User Id=sa;Password={};Database=y\n", "notes.txt"),
    ("https://x.org/data?access_token={}\n", "notes.md"),
    ("curl -H 'PRIVATE-TOKEN: {}' https://x.org\n", "run.sh"),
    ("ENV WANDB_API_KEY {}\n", "Dockerfile"),
]  # fmt: skip

KEYS = [
    "RSA PRIVATE KEY", "PRIVATE KEY", "EC PRIVATE KEY", "DSA PRIVATE KEY", "OPENSSH PRIVATE KEY",
    "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK",
]  # fmt: skip

LOOKALIKES = [
    ("commit {h40}", 8), ("sha256:{h64}", 8), ("md5 = {h32}", 8), ("etag: {h32}-4", 4),
    (_UUID, 10), ("run_id = '" + _UUID + "'", 6), ("digest = '{h64}'", 6), ("seed = {d9}", 4),
    ("key = '{an12}'", 4), ("'{s80}'", 6), ("data:image/png;base64,{s120}==", 4),
    ("x-request-id: " + _UUID, 4), ("model-{d4}-{h7}.ckpt", 4), ("v1.{d2}.{d2}+g{h8}", 4),
    ("{au26}", 4), ("artifact/{h2}/{h62}", 6), ("primary_key={d6}", 2), ("sort_key = '{al12}'", 2),
    ("public_key = '{s60}'", 2), ("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{s43} bob@host", 4),
    ("cache_key = '{h16}'", 2), ("max_tokens = {d4}", 2), ("eos_token_id={d5}", 2),
]  # fmt: skip
WORDS = [
    "token = tokens[i]", "tokens = tokenizer(text, return_tensors='pt')", "pad_token = '[PAD]'",
    "def f(token: str | None = None) -> None:", "password = getpass.getpass()", "--tokenizer=bert",
    "self.token = token.strip()", "secret = os.environ['SECRET']", "mask_token: '[MASK]'",
    "api_key=config.api_key", "for key, value in pairs.items():", "x = {'pass': bandpass}",
    "username, password = pair", "assert token == expected", "sk-learn-pipeline-version-2",
    "https://github.com/a/b@v1.2.3", "git@github.com:a/b.git", "ssh://git@host/x", "n_pass=3",
    "https://user:password@host/db", "first_pass = not hasattr(self, 'c')", "--key", "sk-spruce",
    "stop_token = 50256", "cost_per_token = 0.0021", "# the basic algorithm of the paper",
    "Bearer of the news", "author=ada", "monkey=5", "password: <your password>",
    "token=${{ secrets.TOKEN }}", "API_KEY=$API_KEY", "export TOKEN=$(cat token.txt)",
    "kwargs.pop('token', None)",
    "class Token(NamedTuple):", "raise ValueError('wrong password')", "secret_name = 'db/prod'",
    "password_file=/run/secrets/db", "key_file: ~/.ssh/id_rsa", "import secrets", "auth='basic'",
    "meta-llama/Llama-3.1-8B-Instruct", "hf_hub_download(repo_id='a/b')", "gh_pages_deploy",
    "wandb.login()", "client = OpenAI()", "npm_config_registry", "pypi-publish-to-the-index-now",
    "dapi_reference_documentation", "glpat_is_not_a_prefix", "the secret of success is work",
    "pass", "passed = 3", "compass: north", "token_count: 8192", "tokens_per_second=1234.5",
    "special_tokens_map.json", "authority = 'https://login.org'", "credentials=None",
]  # fmt: skip


def filled(template, source):
    """Return a template with random letters in its fields."""

    def letters(found):
        alphabet = ALPHABETS[found[1]]
        return "".join(source.choice(alphabet) for _ in range(int(found[2])))

    return _FIELD.sub(letters, template.replace("|", ""))


def tokens(seed=0):
    """Yield issuer, token, text and file name."""
    source = random.Random(seed)
    for issuer, templates in TOKENS.items():
        for template in templates:
            token = filled(template, source)
            place, path = source.choice(PLACES)
            yield issuer, token, place.format(token), path


def named(seed=0):
    """Yield value, text and file name."""
    source = random.Random(seed)
    for place, path in NAMED:
        for value in source.sample(VALUES, 3):
            secret = filled(value, source)
            # A value without any digit is a word.
            secret = secret if any(map(str.isdigit, secret)) else secret + "7"
            yield secret, place.format(secret), path


def private_keys(seed=0):
    """Yield the middle of a private key, and a text that holds the key."""
    source = random.Random(seed)
    for kind in KEYS:
        lines = [filled("{s64}", source) for _ in range(5)]
        yield (
            lines[2],
            "\n".join([f"-----BEGIN {kind}-----", *lines, f"-----END {kind}-----", "x"]),
        )
    lines = [filled("{s64}", source) for _ in range(3)]
    yield lines[1], "\n".join(["PuTTY-User-Key-File-3: ssh-rsa", "Private-Lines: 3", *lines])
    joined = "\\n".join(lines)
    yield (
        lines[1],
        f'{{"private_key": "-----BEGIN PRIVATE KEY-----\\n{joined}\\n-----END PRIVATE KEY-----"}}',
    )


def lookalikes(seed=0):
    """Yield texts that no secret is in."""
    source = random.Random(seed)
    for template, count in LOOKALIKES:
        yield from (filled(template, source) for _ in range(count))
    yield from WORDS
    for number in range(10):
        data = f"row {number}".encode() * 9
        yield base64.b64encode(data).decode()
        yield hashlib.sha512(data).hexdigest()
        yield str(uuid.UUID(int=source.getrandbits(128)))


def is_code(text):
    """Return whether a text is Python."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ast.parse(text)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
    return True
