"""Experiments: their counts, their last runs, and the best one by a metric."""

from __future__ import annotations

from runstore.reading.grid.experiments import experiment_rows, wanted_best
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint, query_choice, query_text
from runstore.web.schemas import FLAG, REAL, TEXT, TIME, WHOLE, listed, mapped, optional, record

_BY_NAME = "known"


def _experiments(call: Call) -> Answer:
    text, direction = call.query["metric"], call.query["direction"]
    wanted = None
    if text:
        chosen = None if direction == _BY_NAME else direction
        wanted = wanted_best(call.store.backend, text, chosen)
    rows = experiment_rows(call.store.backend, wanted)
    metric = wanted and {
        "key": wanted.metric.key,
        "statistic": wanted.metric.statistic,
        "direction": wanted.direction,
        "is_kept": wanted.is_kept,
    }
    return json_answer({"experiments": rows, "metric": metric})


ENDPOINTS = (
    Endpoint(
        path="/experiments",
        answer=_experiments,
        about="Return all experiments, the most recently run first, each with its best complete"
        " run if a metric is named.",
        parameters=(
            query_text(
                "metric", "A metric such as val/acc or val/acc.max; empty for no best runs."
            ),
            query_choice(
                "direction",
                "Direction of better values: min, max, or known from the store or the name.",
                (_BY_NAME, "min", "max"),
            ),
        ),
        result=record(
            experiments=listed(
                record(
                    name=TEXT,
                    runs=WHOLE,
                    last_run_number=optional(WHOLE),
                    last_started_at=optional(TIME),
                    by_status=mapped(WHOLE),
                    best=optional(record(value=REAL, uid=TEXT, reference=TEXT, name=TEXT)),
                )
            ),
            metric=optional(
                record(key=TEXT, statistic=TEXT, direction=optional(TEXT), is_kept=FLAG)
            ),
        ),
    ),
)
