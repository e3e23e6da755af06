"""Files of a run, their previews and contents, and media logged over steps."""

from __future__ import annotations

from http import HTTPStatus

from runstore.model.artifacts import Artifact, is_text_type
from runstore.model.display.as_json import artifact_as_json, input_as_json
from runstore.reading.details.looks import (
    HTML,
    SVG,
    artifact_named,
    look_at,
    type_by_contents,
)
from runstore.web.downloads import contents
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_flag
from runstore.web.schemas import (
    ANYTHING,
    FLAG,
    TEXT,
    TIME,
    WHOLE,
    listed,
    optional,
    record,
)

_ARTIFACT = record(
    run_uid=TEXT, path=TEXT, digest=TEXT, size_bytes=WHOLE, media_type=TEXT, saved_at=TIME
)
_INPUT = record(
    name=TEXT,
    digest=optional(TEXT),
    size_bytes=optional(WHOLE),
    modified_at=optional(TIME),
    location=optional(TEXT),
    source_uid=optional(TEXT),
    used_at=TIME,
)


def _listed(call: Call) -> Answer:
    run = call.store.get(call.path["name"])
    return json_answer(
        {
            "artifacts": [artifact_as_json(one) for one in run.artifacts.values()],
            "inputs": [input_as_json(one) for one in run.inputs],
        }
    )


def _artifact(call: Call) -> Artifact:
    return artifact_named(call.store.get(call.path["name"]), call.path["path"])


def _look(call: Call) -> Answer:
    look = look_at(call.store.backend, _artifact(call))
    return json_answer({name: getattr(look, name) for name in look.__slots__})


def _contents(call: Call) -> Answer:
    artifact = _artifact(call)
    file = call.store.backend.objects.opened(artifact.digest, artifact.size_bytes)
    media_type = type_by_contents(file, artifact)
    if is_text_type(media_type) and media_type not in {SVG, HTML}:
        media_type = "text/plain"
    return contents(
        file,
        artifact.size_bytes,
        digest=artifact.digest,
        media_type=media_type,
        name=artifact.path.rpartition("/")[2],
        is_saved=call.query["save"],
        is_executed=media_type == HTML and call.query["figure"],
        asked=call.headers,
    )


def _media(call: Call) -> Answer:
    series = call.store.get(call.path["name"]).media.values()
    return json_answer(
        {
            "media": [
                {
                    "kind": one.kind,
                    "key": one.key,
                    "steps": [
                        {"step": step, "paths": [artifact.path for artifact in there]}
                        for step, there in one.artifacts.items()
                    ],
                }
                for one in series
            ]
        }
    )


ENDPOINTS = (
    Endpoint(
        path="/runs/{name}/artifacts",
        answer=_listed,
        about="Return the files saved by a run, and its input data.",
        result=record(artifacts=listed(_ARTIFACT), inputs=listed(_INPUT)),
    ),
    Endpoint(
        path="/runs/{name}/artifacts/{path:path}",
        answer=_contents,
        about="Return the contents of an artifact, or a range of them. Scripts in it are"
        " sandboxed, and files that browsers cannot show are attachments.",
        parameters=(
            query_flag("save", "Save it as a file instead of showing it."),
            query_flag(
                "figure", "In a frame of the page: execute the scripts within an HTML file."
            ),
        ),
        media_type="*/*",
        statuses=(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,),
    ),
    Endpoint(
        path="/runs/{name}/looks/{path:path}",
        answer=_look,
        about="Return the beginning of an artifact according to its contents: a text, the first"
        " rows of a table, or the kind of a picture.",
        result=record(
            kind=TEXT,
            media_type=TEXT,
            text=TEXT,
            columns=listed(TEXT),
            rows=listed(listed(ANYTHING)),
            row_count=optional(WHOLE),
            column_count=WHOLE,
            is_cut=FLAG,
            why=TEXT,
        ),
    ),
    Endpoint(
        path="/runs/{name}/media",
        answer=_media,
        about="Return the texts, images and histograms logged by a run over steps, each as the"
        " paths of its artifacts.",
        result=record(
            media=listed(
                record(kind=TEXT, key=TEXT, steps=listed(record(step=WHOLE, paths=listed(TEXT))))
            )
        ),
    ),
)
