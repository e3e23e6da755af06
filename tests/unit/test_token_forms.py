"""Each form of token that an issuer documents, at its shortest: masked whole, and nothing else.

The forms are written as in `secret_corpus.py`: `{an36}` is 36 letters and digits, a bar cuts a
prefix in two, and `<a,b>` is one of several.
"""

import itertools
import random
import re

import pytest

import secret_corpus as corpus
from runstore.capture.git.source_files import masked_path
from runstore.capture.secrets import mask_text
from runstore.capture.secrets.issuers import FORMATS, is_token, mask_tokens

UUID = "{h8}-{h4}-{h4}-{h4}-{h12}"
FORMS = {
    "1Password": ["op|s_ey" + "J{u50}", "A|3-{au6}-{au11}-{au5}-{au5}-{au5}",
                  "A|3-{au6}-{au6}-{au5}-{au5}-{au5}-{au5}"],
    "Adafruit": ["ai|o_{an28}"],
    "age": ["AGE-SECRET-|KEY-1{x58}"],
    "Airtable": ["pa|t{an14}.{h64}"],
    "Alibaba Cloud": ["LT|AI{an12}"],
    "Anthropic": ["sk-|ant-{u20}"],
    "Artifactory": ["AK|Cp{an60}", "cmV|mdGtu{an56}"],
    "Asana": ["{d1}|/{d13}:{h32}", "{d1}|/{d13}/{d13}:{h32}"],
    "Atlassian": ["AT|<ATT,CTT>3{an20}", "ATB|B{an24}"],
    "AWS": ["A|<KIA,SIA,BIA,CCA,GPA,IDA,ROA,IPA,NPA,NVA,PKA,SCA>{au16}", "ABS|K{s100}",
            "bed|rock-api-key-{s40}"],
    "Azure": ["{s30}|<AZDO,AzFu,AzSe,AzCa,ACDb,APIM>{s4}", "{s30}|+<ACR,AEh,ASb>{s4}",
              "{s30}|+<ARm,AMC,AIoT,ASt,ABa>{s4}", "{an3}|8Q~{an31}"],
    "Baidu": ["bce|-v3/ALTAK-{an16}/{h40}"],
    "Brevo": ["x|<keysib,smtpsib>-{h64}-{an16}"],
    "Buildkite": ["bk|<ua,pt,ct>_{h40}"],
    "Cerebras": ["cs|k-{al40}"],
    "CircleCI": ["CCI|<PAT,PRJ>_{an16}_{h40}"],
    "ClickUp": ["pk|_{d5}_{au32}"],
    "Clojars": ["CLO|JARS_{al60}"],
    "Cloudflare": ["v1|.0-{h24}-{h146}", "cf|<ut,at,k>_{an36}"],
    "Contentful": ["CF|PAT-{u43}"],
    "crates.io": ["ci|o{an32}"],
    "Databricks": ["d|<api,ose,sapi,kea>{h32}", "da|pi{h32}-2"],
    "Deno": ["dd|<p,o,w>_{an36}"],
    "DigitalOcean": ["do|<o,p,r>_v1_{h64}"],
    "Discord": ["<M,N,O>{an23}|.{u6}.{u27}"],
    "Docker": ["dc|kr_<p,o>at_{u27}"],
    "Doppler": ["dp|.<pt,ct,sa,scim,audit,st>.{an40}", "dp|.st.dev.{an40}"],
    "Dropbox": ["s|l.{u60}", "s|l.u.{u60}"],
    "Duffel": ["duf|fel_<test,live>_{an43}"],
    "Dynatrace": ["dt|0c01.{b8}.{b64}"],
    "EasyPost": ["EZ|<A,T>K{an54}"],
    "ElevenLabs": ["s|k_{h48}"],
    "Facebook": ["EA|A{an80}"],
    "Figma": ["fi|gd_{u40}"],
    "Fireworks": ["f|w_{an22}"],
    "Flutterwave": ["FLW|<SEC,PUB>K_<TEST,LIVE>-{h12}-X", "FLW|SECK-{h12}"],
    "Fly.io": ["fo|1_{u43}", "fm|<1,2r>_{an80}"],
    "Frame.io": ["fi|o-u-{an64}"],
    "GitHub": ["gh|<p,o,u,s,r>_{an20}", "github|_pat_{an20}"],
    "GitLab": ["gl|<pat,ptt,rt,rtr,dt,cbt,ft,ffct,soat,agent,imt,oas,wt>-{u16}", "GR1|348941{u20}",
               "gl|pat-{u16}.01.{al7}"],
    "Google": ["AI|za{u35}", "GOC|SPX-{u28}", "ya|29.{u20}", "1/|/0{u30}", "AA|AA{u7}:{u140}"],
    "Grafana": ["gl|c_{s32}", "gl|sa_{an32}_{h8}", "ey|JrIjoi{s50}"],
    "Groq": ["gs|k_{an48}"],
    "Harness": ["<pa,sa>|t.{u22}.{h24}.{an20}"],
    "HashiCorp": ["hv|<b,s,r>.{u24}", "{an14}.atl|asv1.{an60}", "<s,b,r>|.{an24}"],
    "Heroku": ["HR|KU-{u36}"],
    "Hugging Face": ["h|f_{an20}", "api|_org_{an34}"],
    "Infracost": ["ic|o-{an32}"],
    "Jina": ["ji|na_{h32}{u28}"],
    "JSON web token": ["ey|J{an10}.ey" + "J{an8}.{an8}", "ey|J{an10}..{an10}.{an10}.{an16}"],
    "Kaggle": ["KG|AT_{an32}"],
    "LangSmith": ["lsv|2_<pt,sk>_{h32}_{h10}", "ls|__{h32}"],
    "LaunchDarkly": ["sd|k-" + UUID, "ap|i-" + UUID, "mo|b-" + UUID],
    "Linear": ["lin|_<api,oauth>_{an32}"],
    "Mailchimp": ["{h32}-|us1"],
    "Mailgun": ["ke|y-{h32}", "pub|key-{h32}"],
    "Mapbox": ["<s,p>|k.ey" + "J{u20}.{u20}"],
    "MaxMind": ["{an6}_{an29}|_mmk"],
    "Modal": ["a|<k,s>-{an22}"],
    "Neon": ["na|pi_{al64}"],
    "Netlify": ["nf|p_{u36}"],
    "New Relic": ["NR|<AK,AA,RA,JS,II,IQ,SP,AL>-{an19}", "{h32}|NRAL", "{h32}|FFNRAL"],
    "Notion": ["nt|n_{d11}{an35}", "sec|ret_{an43}"],
    "npm": ["np|m_{an20}"],
    "NuGet": ["oy|2{al43}"],
    "NVIDIA": ["nv|api-{u60}"],
    "Octopus Deploy": ["AP|I-{au25}"],
    "OpenAI": ["sk-|<proj,svcacct,admin,service,None>-{u20}", "s|k-1{an19}"],
    "OpenRouter and others": ["s|k-<or-v1,or,lf,cp,kimi,api,sc,nano>-1{an15}"],
    "OpenShift": ["sha|256~{u43}"],
    "Packagist": ["pack|agist_uut_{h40}"],
    "PayPal": ["access_|token$<production,sandbox>${al16}${h32}"],
    "Perplexity": ["pp|lx-{an40}"],
    "Pinecone": ["pc|sk_{an4}_{an50}"],
    "Plaid": ["acc|ess-<sandbox,development,production>-" + UUID],
    "PlanetScale": ["psc|ale_<tkn,pw,oauth,otkn>_{an32}"],
    "Postman": ["PM|AK-{h24}-{h34}"],
    "Prefect": ["pn|<u,b>_{an36}"],
    "Pulumi": ["pu|l-{h40}"],
    "PyPI": ["py|pi-Ag{u40}"],
    "Razorpay": ["rz|p_<test,live>_{an14}"],
    "ReadMe": ["rd|me_{al70}"],
    "Render": ["rn|d_{an28}"],
    "Replicate": ["r|8_{an37}"],
    "Resend": ["r|e_{an8}_{an20}"],
    "RubyGems": ["ruby|gems_{h48}"],
    "RunPod": ["rp|a_{au36}{an2}"],
    "Scalingo": ["tk|-us-{u48}"],
    "SendGrid": ["S|G.{u16}.{u16}"],
    "Sentry": ["snt|rys_ey" + "J{an40}", "snt|ryu_{h64}"],
    "Shippo": ["ship|po_<live,test>_{h40}"],
    "Shopify": ["shp|<at,ca,pa,ss,tka>_{h32}"],
    "Slack": ["xox|<a,b,c,d,e,o,p,r,s>-{an10}", "xox|e.xox<b,p>-1-{an20}",
              "xa|pp-1-{au8}-{d8}-{h32}"],
    "SonarQube": ["sq|<a,p,u>_{h40}"],
    "Sourcegraph": ["sg|p_{h40}", "sg|p_{h16}_{h40}", "sg|p_local_{h40}", "sl|k_{h64}"],
    "Square": ["sq0|atp-{u22}", "EA|AA{an60}"],
    "Stripe": ["<s,p,r>|k_<live,test,prod>_{an10}", "whs|ec_{an32}"],
    "Supabase": ["sb|p_{h40}", "sb|p_oauth_{h40}", "sb_|<secret,publishable>_{u20}"],
    "Tailscale": ["tsk|ey-<auth,api,client,scim,webhook>-{an8}", "tsk|ey-auth-{an8}-{an20}"],
    "Tavily": ["tv|ly-{an32}", "tv|ly-<dev,prod>-{an32}"],
    "Telegram": ["{d8}:|AA{u32}"],
    "Tencent Cloud": ["AK|ID{an32}"],
    "Together": ["tg|p_v1_{u43}"],
    "Twilio": ["S|K{h32}", "A|C{h32}"],
    "Twitter": ["AAAAAAAAAA|AAAAAAAAAAB{an4}%{an20}"],
    "Typeform": ["tf|p_{an40}"],
    "Voyage": ["pa|-{u43}"],
    "Weights & Biases": ["wan|db_v1_{an60}", "lo|cal-{h40}"],
    "xAI": ["xa|i-{an70}"],
    "Yandex": ["AQ|VN{u35}", "y|<0,1,2,3>_{u50}", "t|1.{an20}.{u86}"],
    "Zhipu": ["{h32}|.{an16}"],
}  # fmt: skip


def expanded(template):
    """Return a token of each choice of a template."""
    chance = random.Random(template)
    parts = re.split(r"<([^<>]*)>", template.replace("|", ""))
    choices = [part.split(",") if at % 2 else [part] for at, part in enumerate(parts)]
    for chosen in itertools.product(*choices):
        yield corpus.filled("".join(chosen), chance)


TOKENS = [
    (issuer, token)
    for issuer, templates in FORMS.items()
    for template in templates
    for token in expanded(template)
]


def alternatives(pattern):
    """Return the forms of one issuer: what bars outside of all brackets separate."""
    forms, depth, is_set, begin = [], 0, False, 0
    for at, letter in enumerate(pattern):
        if pattern[at - 1 : at] == "\\":
            continue
        is_set = (is_set or letter == "[") and letter != "]"
        depth += 0 if is_set else {"(": 1, ")": -1}.get(letter, 0)
        if letter == "|" and not depth and not is_set:
            forms.append(pattern[begin:at])
            begin = at + 1
    return [*forms, pattern[begin:]]


def test_each_form_has_an_example():
    for issuer, pattern in FORMATS.items():
        own = [token for name, token in TOKENS if name == issuer]
        for form in alternatives(pattern):
            assert any(re.fullmatch(form, token) for token in own), (issuer, form)


def test_each_form_is_masked_whole():
    for issuer, token in TOKENS:
        assert is_token(token), (issuer, token)
        assert mask_tokens(f"see {token}, please") == "see ***, please", issuer
        assert token not in mask_text(f"client = Client({token!r})\n", "train.py"), issuer


def test_there_is_a_form_for_each_issuer_and_no_other():
    assert set(FORMS) == set(FORMATS)
    assert len(TOKENS) > 200


def test_a_token_that_is_cut_is_none_of_its_issuer():
    """Else an ordinary word of code or prose could be taken for one."""
    for issuer, token in TOKENS:
        # A token of OpenRouter begins as one of others does.
        if "-or-v1-" not in token:
            assert re.fullmatch(FORMATS[issuer], token[:-1]) is None, (issuer, token)


@pytest.mark.parametrize(
    ("address", "secret"),
    [
        ("https://hooks.sl|ack.com/services/", "T{au10}/B{au10}/{an24}"),
        ("https://hooks.sl|ack-gov.com/workflows/", "T{au10}/{an24}"),
        ("https://hooks.sl|ack.com/triggers/", "T{au10}/{an24}"),
        ("https://disc|ord.com/api/webhooks/{d18}/", "{u68}"),
        ("https://ptb.disc|ordapp.com/api/webhooks/{d18}/", "{u68}"),
        ("https://x.webh|ook.office.com/webhookb2/", "{h32}@{h32}/IncomingWebhook/{h32}"),
        ("https://outl|ook.office365.com/webhook/", "{h32}@{h32}/IncomingWebhook/{h32}"),
        ("https://api.tele|gram.org/bot", "{d9}:{u35}"),
        ("https://api.tele|gram.org/file/bot", "{d9}:{u35}"),
    ],
)
def test_the_secret_path_of_a_webhook_goes_and_its_host_stays(address, secret):
    chance = random.Random(address)
    address, secret = corpus.filled(address, chance), corpus.filled(secret, chance)

    assert mask_tokens(f"see {address}{secret} now") == f"see {address}*** now"


@pytest.mark.parametrize(
    "token", ["AK" + "IA" + "ABCDEFGH" * 2, "glp" + "at-" + "abcdefghijklmnopqrst"]
)
@pytest.mark.parametrize(
    "name", ["{}", "a/{}.py", "train-{}.py", "train_{}/x.py", "a.{}", "a#{}", "a~{}", "é{}"]
)
def test_a_token_without_digits_is_masked_within_a_name(token, name):
    assert masked_path(name.format(token)) == name.format("***")


@pytest.mark.parametrize(
    "text",
    [
        r'"key\n{}"', r'"key\t{}\n"', r"\n{}\r\n", "?to=%2Fx%3Ft%3D{}", "a%20{}%20b",
        "a={}&b%3D{}", "\x1b[32m{}\x1b[0m", "\x1b[1;32m{}",
        r'"x?a=b\u0026c\u003d{}"', r"a\x3d{}\x26b",
    ],
)  # fmt: skip
def test_a_token_is_masked_after_an_escape(text):
    for token in ("ghp_" + "a1B2" * 9, "AK" + "IA" + "ABCDEFGH" * 2, "sk-" + "ant-" + "aB3_" * 8):
        assert mask_text(text.replace("{}", token)) == text.replace("{}", "***")


ATTACHED = ["gh|p_{an36}", "gh|r_{an76}", "github|_pat_{an22}_{an59}", "h|f_{an34}", "np|m_{an36}"]


@pytest.mark.parametrize("template", ATTACHED)
def test_distinctive_tokens_are_masked_after_a_letter(template):
    token = corpus.filled(template, random.Random(template))

    assert mask_text(f"my token{token}, please") == "my token***, please"
    assert mask_text(f"x1{token}") == "x1***"


@pytest.mark.parametrize(
    "word",
    [
        "task-ant-colony-optimization-2-of-run-17", "graphs_of_all_kinds_that_we_know_2024",
        "C:\\new\\tables\\run_2024_11_29_of_bert", "half_abcdefghijklmnopqrstuvwxyzabcdefghij",
        "data%20set%20of%202024%2F11%2F29", "\x1b[32mlong_name_of_a_table_in_color\x1b[0m",
        "dchf_" + "{an20}", "pnpm_config_registry_of_packages_of_2024",
    ],
)  # fmt: skip
def test_words_with_a_prefix_inside_stay(word):
    word = corpus.filled(word, random.Random(word))

    assert mask_text(f"see {word}, please") == f"see {word}, please"
