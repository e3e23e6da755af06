"""References: building, parsing and validation of run names."""

from __future__ import annotations

import functools
import os
import re
import time
from collections.abc import Mapping
from datetime import datetime, timezone

from runstore.errors import InvalidValueError, UsageError
from runstore.value_classes import NamedTuple

TIMESTAMP_FORMAT = "%Y-%m-%d-T%H%M%S"
NAME_LIMIT_BYTES = 255
LONGEST_RUN_NAME = 10_000  # characters, as of a filter
LATEST = "latest"  # always the newest run, even if an experiment has this name

# Compiled on first use, because most processes need none. (?a): other scripts have digits too,
# which would be parsed as numbers and written back as 0 to 9.
_REFERENCE = r"(?as)(.+)_(\d{1,19})_(\d{4}-\d{2}-\d{2}-T\d{6})(?:~[0-9a-f]{4,12})?"
# The last digits of a uid, which tell runs of one name apart.
_ENDED = r"(?s)(.+)~([0-9a-f]{4,12})"
_SHORTEST_ENDING, _LONGEST_ENDING = 4, 12
_NUMBERED = r"(?as)(.*)#(-?\d{1,18})"
_BARE = r"(?a)[1-9]\d{0,17}"  # a uid may begin with 0
_SHORT = r"(?as)(.+)_(\d{1,18})"
# A uid, or a number of 16 digits, which is a time.
_PROVISIONAL = r"(?a)^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$|[#_][1-9]\d{15}(_|$)"
_LARGEST_NUMBER = 2**63 - 1  # the integer limit of both engines
# Control characters, lone surrogates, line and paragraph separators: not displayable on a line.
_UNPRINTABLE = (range(0x20), range(0x7F, 0xA0), range(0xD800, 0xE000), range(0x2028, 0x202A))
# They change the reading direction of adjacent text on a terminal or a page.
_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")

# Characters with a special meaning in paths, on any system.
_UNSAFE_IN_PATHS = frozenset('/\\:*?"<>|%')
_FOLDER_BYTES = 200  # disks allow 255; a name may get a suffix while it is written
_FOLDER_CUT = 160


def new_uid() -> str:
    """Return a UUIDv7: 48 bits of Unix milliseconds, then random bits.

    Source: RFC 9562, section 5.7, May 2024.
    """
    milliseconds = max(0, time.time_ns() // 1_000_000)  # a clock may be before 1970
    raw = bytearray(milliseconds.to_bytes(6, "big") + os.urandom(10))
    raw[6] = raw[6] & 0x0F | 0x70
    raw[8] = raw[8] & 0x3F | 0x80
    text = raw.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def local_timestamp(micros: int) -> str:
    """Return the local wall time of microseconds since 1970, in the format of references."""
    return time.strftime(TIMESTAMP_FORMAT, time.localtime(micros // 1_000_000))


def parse_timestamp(text: str) -> datetime | None:
    """Parse a reference's timestamp as local wall time; return None if it is invalid.

    Returns:
        An aware UTC datetime. The text has no time zone; that of this machine is used.
    """
    try:
        return datetime.strptime(text, TIMESTAMP_FORMAT).astimezone(timezone.utc)
    except (ValueError, OverflowError, TypeError):
        return None


def build_reference(experiment_name: str, run_number: int, timestamp: str) -> str:
    """Return `<experiment>_<run number>_<timestamp>`."""
    return f"{experiment_name}_{run_number}_{timestamp}"


def parse_reference(reference: str) -> tuple[str, int, str] | None:
    """Split a reference into experiment, run number and timestamp; None if it is invalid."""
    match = re.fullmatch(_REFERENCE, reference)
    if match is None or int(match[2]) > _LARGEST_NUMBER:
        return None
    return match[1], int(match[2]), match[3]


def is_provisional(name: str) -> bool:
    """Check whether a name is that of one run that may wait for its server: by number or uid."""
    return re.search(_PROVISIONAL, name) is not None


def with_endings(names: Mapping[str, str]) -> dict[str, str]:
    """Return names of runs by uid, followed by `~` and the last digits of each uid.

    Args:
        names: The names by uid; all endings get the same length, at which they differ.
    """
    for length in range(_SHORTEST_ENDING, _LONGEST_ENDING):
        if len({uid[-length:] for uid in names}) == len(names):
            break
    else:
        length = _LONGEST_ENDING
    return {uid: f"{name}~{uid[-length:]}" for uid, name in names.items()}


def without_ending(reference: str, uid: str) -> str:
    """Return a reference without the last digits of this uid, if it ends with them."""
    base, ending = split_ending(reference) or (reference, "")
    return base if ending and uid.endswith(ending) else reference


def split_ending(name: str) -> tuple[str, str] | None:
    """Split `mnist#7~b456` into the name and the last digits of the uid; None if it has none."""
    match = re.fullmatch(_ENDED, name)
    return None if match is None else (match[1], match[2])


def has_ending(name: str) -> bool:
    """Check whether a text has the form `mnist#7~b456`, which no filter has.

    The ending may have any letters and digits: with a typing slip, it names a run that is missing.
    """
    base, sign, ending = name.rpartition("~")
    is_ending = sign and (not ending or ending.isalnum())
    if not is_ending or not base.strip() or any(sign in base for sign in " =<>~"):
        return False
    return parse_reference(base) is not None or isinstance(parse_run_name(base), (Numbered, Bare))


def has_number(name: str) -> bool:
    """Check whether a text has the form of a reference, or of `mnist#7` or `mnist_7`."""
    if parse_reference(name) is not None:
        return True
    return re.fullmatch(_NUMBERED, name) is not None or re.fullmatch(_SHORT, name) is not None


def folder_name(reference: str) -> str:
    """Return the name of a run's folder: the reference, with characters unsafe in paths escaped.

    A long name is truncated and ends with a digest of the whole reference.
    """
    shown = "".join(map(_escaped, reference))
    if shown.startswith("."):
        shown = "%2E" + shown[1:]
    if len(shown.encode()) <= _FOLDER_BYTES:
        return shown
    import hashlib

    whole = reference.encode("utf-8", "surrogatepass")
    digest = hashlib.blake2b(whole, digest_size=8).hexdigest()
    return f"{shown.encode()[:_FOLDER_CUT].decode(errors='ignore')}~{digest}"


def _escaped(character: str) -> str:
    if character.isprintable() and character not in _UNSAFE_IN_PATHS:
        return character
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "surrogatepass"))


def check_experiment_name(name: object) -> str:
    """Check an experiment name, and return it.

    Raises:
        InvalidValueError: Not text, empty, over 255 bytes of UTF-8, or with characters that cannot
            be shown on one line.
    """
    if not isinstance(name, str):
        raise InvalidValueError(
            f"Expected an experiment name as text, got {type(name).__name__}.",
            hint='Pass a name such as "mnist".',
        )
    _check_text(str(name))
    return name


@functools.lru_cache(maxsize=64)  # a program starts many runs of one experiment
def _check_text(name: str) -> None:
    if not name.strip():
        raise InvalidValueError("An experiment name cannot be empty.")
    check_is_on_one_line(name, "experiment name")
    size = len(name.encode("utf-8"))
    if size > NAME_LIMIT_BYTES:
        raise InvalidValueError(
            f"The experiment name {name[:40]!r}… has {size} bytes;"
            f" the limit is {NAME_LIMIT_BYTES}.",
            hint="Put long descriptions into notes.",
        )


def is_reference(text: str, experiment_name: str) -> bool:
    """Check whether a text can be the reference of a run: printable on one line, and no path.

    Other tools have references of their own forms. The name of an experiment may have slashes.
    """
    rest = text.removeprefix(f"{experiment_name}_")
    is_path = rest.startswith(".") or any(sign in rest for sign in "/\\")
    return is_on_one_line(text) and not is_path


def is_on_one_line(text: str) -> bool:
    """Check whether all characters of a text can be shown on one line."""
    return text.isprintable() or not any(map(_is_unprintable, text))


def _is_unprintable(character: str) -> bool:
    return character in _BIDI_CONTROLS or any(ord(character) in some for some in _UNPRINTABLE)


def check_is_on_one_line(text: str, what: str) -> None:
    """Check that all characters of a name can be shown on one line.

    Raises:
        InvalidValueError: One cannot; the error has its position.
    """
    if is_on_one_line(text):
        return
    position, character = next((n, one) for n, one in enumerate(text) if _is_unprintable(one))
    shown = text if len(text) <= 60 else text[:57] + "…"  # noqa: PLR2004 - a line's worth
    raise InvalidValueError(
        f"The {what} {shown!r} has an unprintable character"
        f" (U+{ord(character):04X}) at position {position}.",
        hint="Use printable text on one line.",
    )


class Latest(NamedTuple):
    """`latest`: the newest run of the store."""


class Numbered(NamedTuple):
    """`mnist#7` by its number, or `mnist#-1` counted from the newest."""

    experiment_name: str
    number: int


class Bare(NamedTuple):
    """`#7` or `#-1`: a number without its experiment."""

    number: int


class Identified(NamedTuple):
    """A reference, a uid, `<experiment>_<run number>`, `7`, or a prefix of a reference or uid."""

    text: str
    short: tuple[str, int] | None
    number: int | None = None


RunName = Latest | Numbered | Bare | Identified


def parse_run_name(text: str) -> RunName:
    """Parse a user's text for a run.

    Raises:
        UsageError: The text is empty or too long, or has the number zero.
    """
    if not isinstance(text, str) or not text.strip():
        raise UsageError(
            "A run name cannot be empty.", hint="Use latest or mnist#-1, for example."
        )
    if len(text) > LONGEST_RUN_NAME:
        raise UsageError(
            f"The name of a run has {len(text):,} characters; the limit is {LONGEST_RUN_NAME:,}.",
            hint="Use latest or mnist#-1, for example.",
        )
    if text == LATEST:
        return Latest()
    if match := re.fullmatch(_NUMBERED, text):
        number = int(match[2])
        if number == 0:
            raise UsageError(
                f"{text!r} is not a run: numbers begin with 1, and -1 is the newest run.",
            )
        return Numbered(match[1], number) if match[1] else Bare(number)
    short = re.fullmatch(_SHORT, text)
    bare = re.fullmatch(_BARE, text)
    return Identified(
        text, (short[1], int(short[2])) if short else None, int(text) if bare else None
    )
