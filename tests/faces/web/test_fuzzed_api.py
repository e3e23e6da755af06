"""The API, asked whatever its own description allows, and more: it never breaks."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from places import shared_at
from runstore.web.api.all_endpoints import ENDPOINTS
from runstore.web.app import Application
from web_client import TOKEN, served_at

schemathesis = pytest.importorskip("schemathesis")

HEADERS = {"Authorization": f"Bearer {TOKEN}", "Host": "localhost"}
# What grammars accept cannot be said in a schema: filters, columns, names of runs and of tags.
schemathesis.checks.load_all_checks()
ACCEPTANCE = schemathesis.checks.CHECKS.get_one("positive_data_acceptance")
EXAMPLES, MANY_EXAMPLES = 2, 100
# Live events have no end.
ASKED = [one for one in ENDPOINTS if one.answer is not None]
OPERATIONS = [(one.method, "/api/v1" + one.path.replace(":path", "")) for one in ASKED]
# Where nothing is asked for, nothing can be asked wrongly.
MODES = [
    (*operation, mode)
    for one, operation in zip(ASKED, OPERATIONS, strict=True)
    for mode in schemathesis.GenerationMode
    if mode is schemathesis.GenerationMode.POSITIVE or one.parameters or one.body
]
# Values that are there, so that more than the refusal of others is tried.
THERE = {
    "name": ["latest", "mnist_1", "cifar_2"],
    "filter": ["", "params.lr > 0.1", "status = complete order by metrics.loss.min desc"],
    "columns": ["params.lr, metrics.loss@10, tags.phase", "metrics.loss, duration"],
    "by": ["params.lr", "status, tags.phase"],
    "keys": [["loss"], ["loss", "none"]],
    "runs": [["latest"], ["mnist#1", "mnist#2"]],
    "ids": [[1], [5, 4, 3]],
}


@pytest.fixture(scope="module")
def app(engine, fill, tmp_path_factory):
    with shared_at(tmp_path_factory.mktemp("fuzzed") / "store", engine) as store:
        fill(store)
        served = served_at(store)
        yield Application(served)
        served.threads.shutdown()


@pytest.fixture(scope="module")
def api(app):
    loaded = schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=HEADERS)
    # All requests here have the token; those without it are tried elsewhere.
    loaded.raw_schema["security"] = []
    return loaded


@some.composite
def cases(draw, operation, mode):
    """Draw a request; some of its values are replaced by those that are there."""
    case = draw(operation.as_strategy(generation_mode=mode))
    if mode is schemathesis.GenerationMode.POSITIVE:
        for values in (case.path_parameters, case.query, case.body):
            for name in sorted(THERE):
                if isinstance(values, dict) and name in values and draw(some.booleans()):
                    values[name] = draw(some.sampled_from(THERE[name]))
    return case


@pytest.mark.parametrize(("method", "path", "mode"), MODES)
@pytest.mark.filterwarnings("ignore::runstore.errors.StoreWarning")
def test_every_answer_is_one_that_is_described(api, is_full_campaign, method, path, mode):
    """No 500, no undescribed status, media type or body, nothing wrong accepted."""

    @settings(
        max_examples=MANY_EXAMPLES if is_full_campaign else EXAMPLES,
        derandomize=not is_full_campaign,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=cases(api[path][method], mode))
    def ask(case):
        case.call_and_validate(headers=HEADERS, excluded_checks=[ACCEPTANCE])

    ask()


def test_the_description_has_every_endpoint(api):
    described = {
        (method.upper(), path)
        for path, operations in api.raw_schema["paths"].items()
        for method in operations
    }

    assert {*OPERATIONS, ("GET", "/api/v1/live")} == described
