"""Documented token formats of issuers: prefix, alphabet and length.

Each format is a regular expression with bounded repetitions, or with a certain end, so a search
reads each character only a few times.
"""

from __future__ import annotations

import re

from runstore.capture.secrets.values import MASK, compiled

_B64 = "[A-Za-z0-9+/]"
_URL64 = "[A-Za-z0-9_-]"
# Each mark with its first letters outside of the alternatives, which is quicker to search for.
_AZURE_MARKS = (r"A(?:ZDO|zFu|zSe|zCa|CDb|PIM)", r"\+A(?:CR|Eh|Sb|Rm|MC|IoT|St|Ba)")

# By issuer; several kinds of token of an issuer are alternatives of one entry.
FORMATS: dict[str, str] = {
    "1Password": r"ops_eyJ[A-Za-z0-9+/_-]{50,}={0,2}"
    r"|A3-[A-Z0-9]{6}-(?:[A-Z0-9]{11}|[A-Z0-9]{6}-[A-Z0-9]{5})(?:-[A-Z0-9]{5}){3}",
    "Adafruit": r"aio_[A-Za-z0-9]{28}",
    "age": r"AGE-SECRET-KEY-1[0-9A-Z]{58}",
    "Airtable": r"pat[A-Za-z0-9]{14}\.[a-f0-9]{64}",
    "Alibaba Cloud": r"LTAI[A-Za-z0-9]{12,20}",
    "Anthropic": rf"sk-ant-{_URL64}{{20,}}",
    "Artifactory": r"AKC[a-z][A-Za-z0-9]{60,80}|cmVmdGtu[A-Za-z0-9]{56}",
    "Asana": r"[0-9]/[0-9]{13,20}(?:/[0-9]{13,20})?:[a-f0-9]{32}",
    "Atlassian": r"AT(?:ATT|CTT)3[A-Za-z0-9_=.-]{20,}|ATBB[A-Za-z0-9]{24,64}",
    "AWS": r"(?:AKIA|ASIA|ABIA|ACCA|AGPA|AIDA|AROA|AIPA|ANPA|ANVA|APKA|ASCA)[A-Z0-9]{16}"
    rf"|ABSK{_B64}{{100,}}={{0,2}}|bedrock-api-key-{_B64}{{40,}}={{0,2}}",
    "Azure": rf"{_B64}{{30,80}}{_AZURE_MARKS[0]}{_B64}{{4,10}}={{0,2}}"
    rf"|{_B64}{{30,80}}{_AZURE_MARKS[1]}{_B64}{{4,10}}={{0,2}}"
    r"|[A-Za-z0-9_~.]{3}[0-9]Q~[A-Za-z0-9_~.-]{31,34}",
    "Baidu": r"bce-v3/ALTAK-[A-Za-z0-9]{16,32}/[a-f0-9]{40}",
    "Brevo": r"x(?:keysib|smtpsib)-[a-f0-9]{64}-[A-Za-z0-9]{16}",
    "Buildkite": r"bk(?:ua|pt|ct)_[a-f0-9]{40}",
    "Cerebras": r"csk-[a-z0-9]{40,64}",
    "CircleCI": r"CCI(?:PAT|PRJ)_[A-Za-z0-9]{16,32}_[a-f0-9]{40}",
    "ClickUp": r"pk_[0-9]{5,12}_[A-Z0-9]{32}",
    "Clojars": r"CLOJARS_[a-z0-9]{60}",
    "Cloudflare": r"v1\.0-[a-f0-9]{24}-[a-f0-9]{146}|cf(?:ut|at|k)_[A-Za-z0-9]{36,60}",
    "Contentful": rf"CFPAT-{_URL64}{{43}}",
    "crates.io": r"cio[A-Za-z0-9]{32}",
    "Databricks": r"(?:dapi|dose|dsapi|dkea)[a-h0-9]{32}(?:-[0-9])?",
    "Deno": r"dd[pow]_[A-Za-z0-9]{36}",
    "DigitalOcean": r"do[opr]_v1_[a-f0-9]{64}",
    "Discord": rf"[MNO][A-Za-z0-9]{{23,27}}\.{_URL64}{{6}}\.{_URL64}{{27,40}}",
    "Docker": rf"dckr_[po]at_{_URL64}{{27,40}}",
    "Doppler": r"dp\.(?:pt|ct|sa|scim|audit|st\.[a-z0-9_-]{2,35}|st)\.[A-Za-z0-9]{40,44}",
    "Dropbox": rf"sl\.(?:u\.)?{_URL64}{{60,}}",
    "Duffel": r"duffel_(?:test|live)_[A-Za-z0-9_=-]{43}",
    "Dynatrace": r"dt0[a-z][0-9]{2}\.[A-Z0-9]{8,24}\.[A-Z0-9]{64}",
    "EasyPost": r"EZ[AT]K[A-Za-z0-9]{54}",
    "Facebook": r"EAA[A-Za-z0-9]{80,}",
    "Figma": rf"fig[a-z]_{_URL64}{{40,200}}",
    "Fireworks": r"fw_[A-Za-z0-9]{22,24}",
    "Flutterwave": r"FLW(?:SEC|PUB)K(?:_TEST|_LIVE)?-[a-h0-9]{12,40}(?:-X)?",
    "Fly.io": rf"fo1_{_URL64}{{43}}|fm[12][ar]?_[A-Za-z0-9+/_=-]{{80,}}",
    "Frame.io": r"fio-u-[A-Za-z0-9_=-]{64}",
    "GitHub": r"gh[pousr]_[A-Za-z0-9]{20,}|github_pat_[A-Za-z0-9_]{20,}",
    "GitLab": r"gl(?:pat|ptt|rt|rtr|dt|cbt|ft|ffct|soat|agent|imt|oas|wt)-"
    rf"{_URL64}{{16,}}(?:\.[a-z0-9]{{2}}\.[a-z0-9]{{7,9}})?"
    rf"|GR1348941{_URL64}{{20}}",
    "Google": rf"AIza{_URL64}{{35}}|GOCSPX-{_URL64}{{28}}|ya29\.{_URL64}{{20,}}"
    rf"|1//0{_URL64}{{30,200}}|AAAA{_URL64}{{7}}:{_URL64}{{140}}",
    "Grafana": rf"glc_{_B64}{{32,}}={{0,3}}|glsa_[A-Za-z0-9]{{32}}_[A-Fa-f0-9]{{8}}"
    rf"|eyJrIjoi{_B64}{{50,}}={{0,3}}",
    "Groq": r"gsk_[A-Za-z0-9]{48,56}",
    "Harness": rf"(?:pat|sat)\.{_URL64}{{22}}\.[a-f0-9]{{24}}\.[A-Za-z0-9]{{20}}",
    "HashiCorp": rf"hv[bsr]\.{_URL64}{{24,}}"
    rf"|[A-Za-z0-9]{{14}}\.atlasv1\.[A-Za-z0-9_=-]{{60,70}}|[sbr]\.[A-Za-z0-9]{{24}}",
    "Heroku": rf"HRKU-{_URL64}{{36,70}}",
    "Hugging Face": r"hf_[A-Za-z0-9]{20,}|api_org_[A-Za-z0-9]{34}",
    "Infracost": r"ico-[A-Za-z0-9]{32}",
    "Jina": rf"jina_[a-f0-9]{{32}}{_URL64}{{28}}",
    "JSON web token": rf"(?<![_-])eyJ{_URL64}{{10,}}\.eyJ{_URL64}{{8,}}\.{_URL64}{{8,}}"
    rf"|(?<![_-])eyJ{_URL64}{{10,}}\.{_URL64}{{0,}}\.{_URL64}{{10,100}}\.{_URL64}{{10,}}"
    rf"\.{_URL64}{{16,100}}",
    "Kaggle": r"KGAT_[A-Za-z0-9]{32}",
    "LangSmith": r"lsv2_(?:pt|sk)_[a-f0-9]{32}_[a-f0-9]{10}|ls__[a-f0-9]{32}",
    "LaunchDarkly": r"(?:sdk|api|mob)-[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}",
    "Linear": r"lin_(?:api|oauth)_[A-Za-z0-9]{32,64}",
    "Mailchimp": r"[a-f0-9]{32}-us[0-9]{1,2}",
    "Mailgun": r"(?:pub)?key-[a-f0-9]{32}",
    "Mapbox": rf"[sp]k\.eyJ{_URL64}{{20,200}}\.{_URL64}{{20,40}}",
    "MaxMind": r"[A-Za-z0-9]{6}_[A-Za-z0-9]{29}_mmk",
    "Modal": r"a[ks]-[A-Za-z0-9]{22}",
    "Neon": r"napi_[a-z0-9]{64}",
    "Netlify": rf"nf[a-z]_{_URL64}{{36,40}}",
    "New Relic": r"NR(?:AK|AA|RA|JS|II|IQ|SP|AL)-[A-Za-z0-9_-]{19,44}|[a-f0-9]{32,36}(?:FF)?NRAL",
    "Notion": r"ntn_[0-9]{11}[A-Za-z0-9]{35}|secret_[A-Za-z0-9]{43}",
    "npm": r"npm_[A-Za-z0-9]{20,}",
    "NuGet": r"oy2[a-z0-9]{43}",
    "NVIDIA": rf"nvapi-{_URL64}{{60,80}}",
    "Octopus Deploy": r"API-[A-Z0-9]{25,32}",
    "OpenAI": rf"sk-(?:proj|svcacct|admin|service|None)-{_URL64}{{20,}}"
    r"|sk-(?=[A-Za-z]{0,60}[0-9])[A-Za-z0-9]{20,}",
    "OpenRouter and others": r"sk-(?:or-v1|or|lf|cp|kimi|api|sc|nano)-"
    r"(?=[A-Za-z_-]{0,60}[0-9])[A-Za-z0-9_-]{16,}",
    "OpenShift": rf"sha256~{_URL64}{{43}}",
    "Packagist": r"packagist_[a-z]{2,3}_[a-f0-9]{40,80}",
    "PayPal": r"access_token\$(?:production|sandbox)\$[a-z0-9]{16}\$[a-f0-9]{32}",
    "Perplexity": r"pplx-[A-Za-z0-9]{40,64}",
    "Pinecone": r"pcsk_[A-Za-z0-9]{4,8}_[A-Za-z0-9]{50,70}",
    "Plaid": r"access-(?:sandbox|development|production)-"
    r"[a-f0-9]{8}(?:-[a-f0-9]{4}){3}-[a-f0-9]{12}",
    "PlanetScale": r"pscale_(?:tkn|pw|oauth|otkn)_[A-Za-z0-9_=.-]{32,64}",
    "Postman": r"PMAK-[a-f0-9]{24}-[a-f0-9]{34}",
    "Prefect": r"pn[ub]_[A-Za-z0-9]{36}",
    "Pulumi": r"pul-[a-f0-9]{40}",
    "PyPI": rf"pypi-Ag{_URL64}{{40,}}",
    "Razorpay": r"rzp_(?:test|live)_[A-Za-z0-9]{14,24}",
    "ReadMe": r"rdme_[a-z0-9]{70}",
    "Render": r"rnd_[A-Za-z0-9]{28,36}",
    "Replicate": r"r8_[A-Za-z0-9]{37,40}",
    "Resend": r"re_[A-Za-z0-9]{8}_[A-Za-z0-9]{20,30}",
    "RubyGems": r"rubygems_[a-f0-9]{48}",
    "RunPod": r"rpa_[A-Z0-9]{36}[A-Za-z0-9]{2,12}",
    "Scalingo": rf"tk-[a-z]{{2}}-{_URL64}{{48}}",
    "SendGrid": rf"SG\.{_URL64}{{16,32}}\.{_URL64}{{16,64}}",
    "Sentry": r"sntrys_eyJ[A-Za-z0-9+/_=-]{40,}|sntryu_[a-f0-9]{64}",
    "Shippo": r"shippo_(?:live|test)_[a-f0-9]{40}",
    "Shopify": r"shp(?:at|ca|pa|ss|tka)_[A-Fa-f0-9]{32}",
    "Slack": r"xox[abcdeoprs]-[A-Za-z0-9.-]{10,}|xoxe\.xox[bp]-[0-9]-[A-Za-z0-9]{20,}"
    r"|xapp-[0-9]-[A-Z0-9]{8,16}-[0-9]{8,20}-[a-f0-9]{32,80}",
    "SonarQube": r"sq[apu]_[a-f0-9]{40}",
    "Sourcegraph": r"sgp_(?:(?:[a-f0-9]{16}|local)_)?[a-f0-9]{40}|slk_[a-f0-9]{64}",
    "Square": rf"sq0[a-z]{{3}}-{_URL64}{{22,43}}|EAAA[A-Za-z0-9+=_-]{{60}}",
    "Stripe": r"[spr]k_(?:live|test|prod)_[A-Za-z0-9]{10,}|whsec_[A-Za-z0-9+/=]{32,80}",
    "ElevenLabs": r"sk_[a-f0-9]{48}",
    "Supabase": rf"sbp_(?:oauth_)?[a-f0-9]{{40}}|sb_(?:secret|publishable)_{_URL64}{{20,40}}",
    "Tailscale": r"tskey-(?:auth|api|client|scim|webhook)-"
    r"[A-Za-z0-9]{8,24}(?:-[A-Za-z0-9]{20,40})?",
    "Tavily": r"tvly-(?:dev-|prod-)?[A-Za-z0-9]{32,48}",
    "Telegram": rf"[0-9]{{8,10}}:AA{_URL64}{{32,34}}",
    "Tencent Cloud": r"AKID[A-Za-z0-9]{32}",
    "Together": rf"tgp_v1_{_URL64}{{43}}",
    "Twilio": r"(?:SK|AC)[a-f0-9]{32}",
    "Twitter": r"A{20,25}[B-Za-z0-9][A-Za-z0-9]{0,40}%[A-Za-z0-9%]{20,120}",
    "Typeform": r"tfp_[A-Za-z0-9_.=-]{40,64}",
    "Voyage": rf"pa-{_URL64}{{43}}",
    "Weights & Biases": r"wandb_v1_[A-Za-z0-9_]{60,100}|local-[a-f0-9]{40}",
    "xAI": r"xai-[A-Za-z0-9]{70,90}",
    "Yandex": rf"AQVN{_URL64}{{35,38}}|y[0-3]_{_URL64}{{50,64}}"
    rf"|t1\.[A-Z0-9a-z_-]{{20,}}={{0,2}}\.{_URL64}{{86}}={{0,2}}",
    "Zhipu": r"[a-f0-9]{32}\.[A-Za-z0-9]{16}",
}
# Secrets in the path of a URL, after the name of the service.
WEBHOOKS = (
    r"(https://hooks\.slack(?:-gov)?\.com/(?:services|workflows|triggers)/)[A-Za-z0-9/_+-]{16,200}"
    r"|(https://(?:\w{1,10}\.)?discord(?:app)?\.com/api/webhooks/[0-9]{5,25}/)[A-Za-z0-9_-]{40,100}"
    r"|(https://[a-z0-9.-]{0,80}(?:webhook\.office\.com|outlook\.office(?:365)?\.com)"
    r"/webhook(?:b2)?/)[^\s\"'<>]{20,400}"
    r"|(https://api\.telegram\.org/(?:file/)?bot)[0-9]{5,12}:[A-Za-z0-9_-]{30,40}"
)
# Tokens are separate words, surrounded by other characters.
_TOKEN = rf"(?<![A-Za-z0-9])(?:{'|'.join(FORMATS.values())})(?![A-Za-z0-9])"
# These are so long and distinctive that they are recognized after a letter: `tokenghp_...`.
_ATTACHED = (
    r"(?:gh[pousr]_|npm_)(?=[A-Za-z]{0,80}[0-9])[A-Za-z0-9]{36,}"
    r"|hf_(?=[A-Za-z]{0,80}[0-9])[A-Za-z0-9]{34,}"
    r"|github_pat_[A-Za-z0-9]{22}_[A-Za-z0-9]{59}"
)
_IN_ATTACHED = ("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "hf_", "npm_")
# Escapes that end with a letter or a digit, by the character before the word: \\n and \\u0026 in
# JSON, colors of a terminal, and %3D in URLs.
_ESCAPES = {
    "\\": r"(\A(?:[nrtbfv]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2})|%[0-9A-Fa-f]{2})",
    "[": r"(\A[0-9]{0,3}m|%[0-9A-Fa-f]{2})",
    ";": r"(\A[0-9]{0,3}m|%[0-9A-Fa-f]{2})",
}
_ESCAPE = r"(%[0-9A-Fa-f]{2})"
# No format is shorter, and few words are as long.
_SHORTEST = 15
_LONG_WORD = re.compile(rf"[A-Za-z0-9_.\-+/=:~$%]{{{_SHORTEST},}}")


def is_token(word: str) -> bool:
    """Check whether a word contains a token of an issuer."""
    return compiled(_TOKEN).search(word) is not None


def mask_tokens(text: str) -> str:
    """Return a text without tokens of issuers, and without secret URLs."""
    if "https://" in text:
        text = compiled(WEBHOOKS).sub(lambda found: f"{found[found.lastindex or 0]}{MASK}", text)
    if not _LONG_WORD.search(text):
        return text
    text = _without_words(text)
    if any(map(text.__contains__, _IN_ATTACHED)):
        # Another token may end where such a one begins.
        text = _without_words(compiled(_ATTACHED).sub(MASK, text))
    return text


def _without_words(text: str) -> str:
    """Return a text without tokens that are separate words."""
    tokens = compiled(_TOKEN)

    def masked(word: re.Match[str]) -> str:
        shown = tokens.sub(MASK, word[0]) if tokens.search(word[0]) else word[0]
        before = text[word.start() - 1 : word.start()]
        if before not in _ESCAPES and "%" not in shown:
            return shown
        pieces = re.split(_ESCAPES.get(before, _ESCAPE), shown)
        return "".join(
            piece if len(piece) < _SHORTEST else tokens.sub(MASK, piece) for piece in pieces
        )

    return _LONG_WORD.sub(masked, text)
