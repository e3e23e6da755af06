"""Private keys over several lines: PEM, OpenSSH, PGP and PuTTY; keys beside a user."""

from __future__ import annotations

import re

from runstore.capture.secrets.values import MASK

# Few texts contain a key, so the patterns are compiled when one does.
_BEGIN = (
    r"-----BEGIN (?:[A-Z0-9]+ ){0,4}PRIVATE KEY(?: BLOCK)?-----"
    r"|---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----"
)
_PUTTY = r"Private-Lines: [0-9]+|Private-MAC: "
# A line of such a key, with the sign of a patch or quotes of a program.
_SIGN = r"(?P<before>[ +\-]?[ \t]{0,80}(?:[rbuf]{0,2}[\"'`]{0,3})(?:\\t)?)"
_AFTER = r"(?P<after>(?:\\r)?(?:\\n)?[\"'`]{0,3}[ \t]{0,8}[,+\\;)]?\r?)"
_BODY = rf"{_SIGN}(?P<body>[A-Za-z0-9+/]{{2,200}}={{0,2}}|=[A-Za-z0-9+/]{{4}}){_AFTER}"
_HEADER = (
    rf"{_SIGN}(?P<body>(?:Proc-Type|DEK-Info|Comment|Version|Hash|Charset|X-[A-Za-z-]{{1,30}}): "
    rf"?[^\"'`\n]{{0,200}}?){_AFTER}"
)
_EMPTY = r"[ +\-]?[ \t]{0,80}(?:[rbuf]{0,2}[\"'`])?(?:\\n)?[\"'`]?[ \t]{0,8}[,+\\]?\r?"
_PUTTY_LINE = r"(Private-Lines: [0-9]+)((?:[A-Za-z0-9+/=]|\\{1,8}[nrt]){16,})"
_MAC = r"(Private-MAC: )[0-9a-f]{8,}"
_LONG_ENOUGH = 16
# The login of Kaggle, as in kaggle.json; as a value of `key` alone, a digest is more frequent.
_KAGGLE = (
    r"(username[\\\"']{1,4}\s{0,9}[:=]\s{0,9}[\\\"']{1,4}[\w-]{1,80}[\\\"']{1,4}\s{0,9},\s{0,9}"
    r"[\\\"']{1,4}key[\\\"']{1,4}\s{0,9}[:=]\s{0,9}[\\\"']{1,4})[0-9a-f]{32}(?![0-9a-f])"
)
# A key on one line, with \n escaped or removed.
_ONE_LINE = (
    r"(?m)(-----BEGIN (?:[A-Z0-9]{1,20} ){0,4}PRIVATE KEY(?: BLOCK)?-----)"
    r"((?:[A-Za-z0-9+/=:, \t_-]|\\{1,8}[nrt]){16,}?)(?=-----END |\\{0,8}[\"'`]|[\s<]|$)"
)


def mask_keys(text: str) -> str:
    """Mask private keys, except their header lines, signs and quotes."""
    if "username" in text:
        text = re.sub(_KAGGLE, rf"\g<1>{MASK}", text)
    if "PRIVATE KEY" in text:
        text = re.sub(_ONE_LINE, lambda found: found[1] + _masked_line(found[2]), text)
    elif "Private-Lines" in text:
        text = re.sub(_PUTTY_LINE, lambda found: found[1] + _masked_line(found[2]), text)
    else:
        return text
    lines = text.split("\n")
    is_inside = False
    for place, line in enumerate(lines):
        if is_inside:
            is_inside = _mask_line(lines, place)
        if not is_inside and (re.search(_BEGIN, line) or re.search(_PUTTY, line)):
            is_inside = "-----END " not in line
            if "Private-MAC: " in line:
                lines[place] = re.sub(_MAC, rf"\g<1>{MASK}", line)
                is_inside = False
    return "\n".join(lines)


def _masked_line(body: str) -> str:
    return MASK if any(one not in " -\t\\n" for one in body) else body


def _mask_line(lines: list[str], place: int) -> bool:
    """Mask a line of a key; False if the key has ended."""
    line = lines[place]
    if re.fullmatch(_EMPTY, line):
        return True
    found = re.fullmatch(_HEADER, line) or re.fullmatch(_BODY, line)
    if found is None:
        return False
    body = found["body"]
    nearby = lines[place + 1 : place + 4]
    is_first = place and MASK not in lines[place - 1]
    # Code may follow the header as well: only text in the form of a key is one, and text
    # with a footer nearby.
    is_key = ":" in body or _is_key_text(body) or any("-----END " in one for one in nearby)
    if is_first and not is_key:
        return False
    lines[place] = f"{found['before']}{MASK}{found['after']}"
    return True


def _is_key_text(body: str) -> bool:
    has_all = any(map(str.isdigit, body)) or "+" in body or "/" in body
    return len(body) >= _LONG_ENOUGH and has_all
