"""Experiments: their counts and last runs."""

from __future__ import annotations

from runstore.reading.grid.experiments import experiment_rows
from runstore.web.encoding import Answer, json_answer
from runstore.web.endpoints import Call, Endpoint
from runstore.web.schemas import TEXT, TIME, WHOLE, listed, mapped, optional, record


def _experiments(call: Call) -> Answer:
    return json_answer({"experiments": experiment_rows(call.store.backend)})


ENDPOINTS = (
    Endpoint(
        path="/experiments",
        answer=_experiments,
        about="Return all experiments, the most recently run first.",
        result=record(
            {
                "experiments": listed(
                    record(
                        {
                            "name": TEXT,
                            "runs": WHOLE,
                            "last_run_number": WHOLE,
                            "last_started_at": optional(TIME),
                            "by_status": mapped(WHOLE),
                        }
                    )
                )
            }
        ),
    ),
)
