"""Output of a run: by windows of lines, searched, and as a file."""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterator
from typing import Any

from runstore.model.display.as_json import as_utc
from runstore.model.text.line_pattern import Needle
from runstore.model.text.output import OutputLine, plain_text
from runstore.reading.output.order import STREAMS
from runstore.reading.output.whole import lines_of
from runstore.reading.output.windows import Hit, NumberedLine, check_streams, hits_of, window_of
from runstore.web.downloads import attachment
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_flag, query_list, query_text, query_whole
from runstore.web.schemas import FLAG, TEXT, TIME, WHOLE, listed, mapped, optional, record

_LINES_AT_MOST = 2000
_SENT_BYTES = 1 << 16
# A request is short: a longer search continues with the next one.
_REGEX_TIME_S = 5.0
_LINE = {"number": WHOLE, "at": TIME, "stream": TEXT, "text": TEXT}
_STREAMS = query_list(
    "streams",
    "Streams to show: stdout, stderr, logging; all by default.",
    len(STREAMS),
    {"type": "string", "enum": list(STREAMS)},
)


def _streams(call: Call) -> Collection[str]:
    return call.query["streams"] or STREAMS


def _window(call: Call) -> Answer:
    run = call.store.get(call.path["name"])
    window = window_of(
        call.store.backend,
        run,
        start=call.query["start"],
        count=call.query["lines"],
        streams=_streams(call),
        width=call.query["width"],
    )
    return json_answer(
        {
            "lines": [_numbered(one) for one in window.lines],
            "start": window.start,
            "counts": window.counts,
            "size_bytes": window.size_bytes,
            "counted_bytes": window.counted_bytes,
            "is_counted": window.is_counted,
            "is_growing": window.is_growing,
        }
    )


def _line(number: int, line: OutputLine) -> dict[str, Any]:
    return {"number": number, "at": as_utc(line.at), "stream": line.stream}


def _numbered(one: NumberedLine) -> dict[str, Any]:
    return {**_line(one.number, one.line), "text": one.line.text, "length": one.length}


def _found(call: Call) -> Answer:
    needle = Needle(
        call.query["text"],
        is_regexp=call.query["regexp"],
        ignores_case=call.query["ignore_case"],
        time_s=_REGEX_TIME_S,
    )
    found = hits_of(
        call.store.backend,
        call.store.get(call.path["name"]),
        needle,
        after=call.query["after"],
        limit=call.query["limit"],
        streams=_streams(call),
    )
    return json_answer({"hits": [_hit(one) for one in found.hits], "after": found.after})


_SHOWN_AROUND = 200  # characters before and after the first hit of a line


def _hit(one: Hit) -> dict[str, Any]:
    begin = max(0, one.spans[0][0] - _SHOWN_AROUND)
    return {
        **_line(one.number, one.line),
        "place": one.place,
        "text": one.text[begin : one.spans[0][1] + _SHOWN_AROUND],
        "spans": [list(span) for span in one.spans[:100]],
    }


def _text(call: Call) -> Answer:
    run = call.store.get(call.path["name"])
    headers = attachment(f"{run.reference}.txt")
    streams = _streams(call)
    check_streams(streams)  # before the answer begins
    stream = _printed(lines_of(call.store.backend, run), streams)
    return Answer(b"", "text/plain; charset=utf-8", headers=headers, stream=stream)


def _printed(lines: Iterator[OutputLine], streams: Collection[str]) -> Generator[bytes]:
    some: list[str] = []
    size = 0
    for line in lines:
        if line.stream in streams:
            text = plain_text(line.text)
            some.append(text)
            size += len(text) + 1
        if size > _SENT_BYTES:
            yield _encoded(some)
            some, size = [], 0
    if some:
        yield _encoded(some)


def _encoded(lines: list[str]) -> bytes:
    return "".join(f"{one}\n" for one in lines).encode(errors="replace")


ENDPOINTS = (
    Endpoint(
        path="/runs/{name}/output",
        answer=_window,
        about="Return some lines of the output of a run, by position; the first request for a long"
        " output may end before all lines are counted, and the next request continues.",
        parameters=(
            query_whole(
                "start",
                "Index of the first line in the selected streams, from 0; -1 is the last one.",
                0,
                least=-(2**53),
            ),
            query_whole("lines", "Maximum number of lines.", 200, least=1, most=_LINES_AT_MOST),
            query_whole(
                "width", "Maximum number of characters per line.", 2000, least=1, most=1 << 20
            ),
            _STREAMS,
        ),
        result=record(
            lines=listed(record(**_LINE, length=WHOLE)),
            start=WHOLE,
            counts=mapped(WHOLE),
            size_bytes=WHOLE,
            counted_bytes=WHOLE,
            is_counted=FLAG,
            is_growing=FLAG,
        ),
    ),
    Endpoint(
        path="/runs/{name}/output/hits",
        answer=_found,
        about="Return the lines of the output of a run that contain a text, with its positions"
        " in the line without colours; null in `after` means that there are no more.",
        parameters=(
            query_text("text", "A part of a line, or a regular expression.", is_required=True),
            query_flag("regexp", "Whether the text is a regular expression."),
            query_flag("ignore_case", "Whether to ignore case."),
            query_whole("after", "Number of a line; only later lines are searched.", 0),
            query_whole("limit", "Maximum number of lines.", 1000, least=1, most=_LINES_AT_MOST),
            _STREAMS,
        ),
        result=record(
            hits=listed(record(**_LINE, place=WHOLE, spans=listed(listed(WHOLE)))),
            after=optional(WHOLE),
        ),
    ),
    Endpoint(
        path="/runs/{name}/output/text",
        answer=_text,
        about="Return the output of a run as a text file, without colours.",
        parameters=(_STREAMS,),
        result=TEXT,
        media_type="text/plain",
    ),
)
