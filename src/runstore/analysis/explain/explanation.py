"""Explanation: ranked causes of the different results of two runs, and gaps."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runstore import background
from runstore.analysis.compare.code import code_changes
from runstore.analysis.compare.code_changes import CodeChanges
from runstore.analysis.compare.descriptions import describe
from runstore.analysis.compare.differences import Difference, Gap, Unknown, differences, gaps
from runstore.analysis.compare.texts import Change, change_between, texts_of
from runstore.analysis.explain.judging import Judgement
from runstore.analysis.explain.precedents import precedents
from runstore.analysis.explain.programs import Programs
from runstore.analysis.explain.ranking import most_changed, ranked
from runstore.analysis.explain.rules import Cause, Setting
from runstore.errors import NotFoundError, quoted, visible
from runstore.model import arguments
from runstore.model.display.html import html_table
from runstore.model.display.short_names import short_names
from runstore.model.display.suggestions import hint_of, listed
from runstore.reading.names import run_of
from runstore.storage.backend import Backend
from runstore.value_classes import dataclass, replace

if TYPE_CHECKING:
    from runstore.model.metrics import Series
    from runstore.model.run import AnyRun, Run

_RANKED = (
    "status", "params", "code", "packages", "environment", "inputs", "command", "metrics",
)  # fmt: skip
_EDITABLE = " (editable)"
_OWN_NAME = "runstore"


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """Why two runs may have different results.

    Attributes:
        runs: The two runs.
        metric: The result to explain; None if they have none in common.
        values: Its last value in each run; empty without a metric.
        causes: Differences, the likeliest cause first.
        gaps: Facts that could not be compared.
        remarks: Sentences about other facts that could not be compared.
        runs_seen: Number of runs that were evidence.
    """

    runs: tuple[Run, Run]
    metric: str | None
    values: tuple[float, ...]
    causes: tuple[Cause, ...]
    gaps: tuple[Gap, ...]
    remarks: tuple[str, ...]
    runs_seen: int

    @property
    def change(self) -> Change | None:
        """The change of the metric; None without one."""
        return change_between(*self.values) if self.values else None

    @property
    def names(self) -> tuple[str, ...]:
        """The shortest reference of each run that the other has not."""
        return short_names(self.runs)

    def __repr__(self) -> str:
        count = f"{len(self.causes)} cause{'' if len(self.causes) == 1 else 's'}"
        return f"<Explanation of {visible(self.metric or 'no metric')}: {count}>"

    def __rich_repr__(self) -> Iterator[Any]:
        """Yield the parts that `rich` prints. Source: rich 13, Repr protocol."""
        yield "metric", self.metric
        yield "values", self.values
        for one in self.causes:
            yield one.difference.name, (one.weight, one.reason)

    def _repr_html_(self) -> str:
        """Return HTML for a notebook."""
        rows = [
            (
                str(one.weight),
                one.difference.name,
                *(texts_of(one.difference) or ("", "")),
                one.reason,
            )
            for one in self.causes
        ]
        return html_table(("weight", "difference", *self.names, "reason"), rows)


def explain(
    backend: Backend,
    a: str | AnyRun,
    b: str | AnyRun,
    metric: str | None = None,
    *,
    with_code: bool = True,
    folder: Path | None = None,
) -> Explanation:
    """Return why two runs may have different results, the likeliest cause first.

    Args:
        backend: The store.
        a: Any name of a run, or a run.
        b: The same.
        metric: Key of the metric to explain; None for the metric that differs most.
        with_code: Whether git is asked for the code of both.
        folder: Where to look for a repository first; None is the working directory.

    Raises:
        NotFoundError: Neither has the metric; the error names the nearest key.
        RunNotFoundError: A run does not exist.
    """
    background.wait_until_done()  # facts about a run of this process may be on their way
    metric = arguments.text_or_none(metric, "metric", "val/loss")
    first, second = run_of(backend, a), run_of(backend, b)
    runs = (first, second)
    described = describe(backend, runs, sections=_RANKED)
    found = differences(described, sections=_RANKED)
    result = _result(runs, metric) if metric is not None else _own_choice(runs, found)
    code, programs = None, None
    if with_code:
        code, programs = _code_of(backend, runs, folder)
    change = _change_of(result)
    judgement, runs_seen = Judgement({}, None), 0
    if result is not None and change and first.uid != second.uid:
        code_of = programs.code_of if programs is not None else None
        shown = precedents(backend, first, second, result.key, code_of=code_of)
        judgement, runs_seen = shown.judgement, shown.runs
    setting = Setting(
        metric=result.key if result else None,
        change=change,
        judgement=judgement,
        code=code,
        commands=tuple(_commands(runs)),
        steps=_steps(runs, result),
        apart=_apart(runs, result, change),
        has_params=any(run.parameter_sets for run in runs),
    )
    return Explanation(
        runs=runs,
        metric=result.key if result else None,
        values=result.values if result else (),
        causes=ranked(found, setting) if first.uid != second.uid else (),
        gaps=tuple(_telling_gaps(described)),
        remarks=tuple(_remarks(runs, described, code)),
        runs_seen=runs_seen,
    )


def _code_of(
    backend: Backend, runs: tuple[Run, Run], folder: Path | None
) -> tuple[CodeChanges, Programs]:
    """Return the changes of code between two runs, and the programs that may reach them."""
    code = code_changes(backend, *runs, folder=folder)
    programs = Programs(backend, runs, folder=folder)
    if code.files and code.is_known:
        code = replace(code, reached=programs.reached)
    return code, programs


def _result(runs: tuple[Run, Run], metric: str) -> Difference | None:
    """Return the requested metric; refuse a metric of a single run."""
    known = [run.metrics for run in runs]
    if all(metric in one for one in known):
        return Difference("metrics", metric, tuple(one[metric].last for one in known))
    for run, one in zip(runs, known, strict=True):
        if metric in one:
            common = sorted(known[0].keys() & known[1].keys())
            raise NotFoundError(
                f"Only {run.reference} has a metric {quoted(metric)}.",
                hint=listed(common, who="Both have"),
            )
    keys = sorted({key for one in known for key in one})
    raise NotFoundError(
        f"Neither of these runs has a metric {quoted(metric)}.",
        hint=hint_of(metric, keys, who="They have"),
    )


def _own_choice(runs: tuple[Run, Run], found: tuple[Difference, ...]) -> Difference | None:
    """Return the metric that differs most, or else the first that both have."""
    chosen = most_changed(found)
    if chosen is not None:
        return chosen
    known = [run.metrics for run in runs]
    common = sorted(known[0].keys() & known[1].keys(), key=lambda key: ("/" in key, key))
    keys = [key for key in common if not key.startswith("system/")]
    return _result(runs, keys[0]) if keys else None


def _change_of(result: Difference | None) -> float | None:
    """Return the change of a metric; NaN is a change, unless both are NaN."""
    if result is None:
        return None
    old, new = result.values
    if (math.isnan(old) and math.isnan(new)) or old == new:
        return 0.0
    return change_between(old, new).absolute


def _commands(runs: tuple[Run, Run]) -> Iterator[str]:
    for run in runs:
        yield from (str(line) for line in (run.cli, run.facts.values.get("command.line")) if line)


def _steps(runs: tuple[Run, Run], result: Difference | None) -> tuple[int, int] | None:
    if result is None:
        return None
    first, second = (run.metrics[result.key].last_step for run in runs)
    return first, second


def _apart(runs: tuple[Run, Run], result: Difference | None, change: float | None) -> float | None:
    """Return how far apart the metric was at the last step of both, as a share of the change."""
    steps = _steps(runs, result)
    if result is None or steps is None or steps[0] == steps[1] or not change:
        return None
    old, new = (_value_at(run.metric(result.key), min(steps)) for run in runs)
    if old is None or new is None or not math.isfinite(change):
        return None
    share = abs(new - old) / abs(change)
    return share if math.isfinite(share) else None


def _value_at(series: Series, step: int) -> float | None:
    """Return the value at a step, or the last one before it."""
    value = None
    best = None
    for at, one in zip(series.steps, series.values, strict=True):
        if at <= step and (best is None or at >= best):
            best, value = at, float(one)
    return value


def _telling_gaps(described: tuple[Mapping[str, Any], ...]) -> Iterator[Gap]:
    """Yield facts that could not be compared, without facts that neither machine has."""
    found = gaps(described, sections=_RANKED)
    times = Counter(gap.name for gap in found)
    for gap in found:
        if times[gap.name] < len(described) or not gap.name.startswith("environment."):
            yield gap


def _remarks(
    runs: tuple[Run, Run], described: tuple[Mapping[str, Any], ...], code: CodeChanges | None
) -> Iterator[str]:
    """Yield sentences about parts that were not compared."""
    for run in dict.fromkeys(run.reference for run in runs if not run.status.is_final):
        yield f"{run} is still running."
    if code is not None and not any(isinstance(one["code"], Unknown) for one in described):
        yield from code.remarks
    for key in _editable(runs, described):
        yield f"The package {key} is installed from a folder; its code is not recorded."
    if runs[0].uid == runs[1].uid:
        yield "Both names refer to the same run."


def _editable(runs: tuple[Run, Run], described: tuple[Mapping[str, Any], ...]) -> dict[str, None]:
    """Return packages that are folders, apart from the one whose commit the run knows."""
    found: dict[str, None] = {}
    for run, one in zip(runs, described, strict=True):
        packages, root = one["packages"], run.facts.values.get("git.root")
        if isinstance(packages, Unknown):
            continue
        for key, version in packages.items():
            if key == _OWN_NAME:
                continue  # it records results, and computes none
            place = version.partition(" @ file://")[2].removesuffix(_EDITABLE)
            is_own = isinstance(root, str) and f"{place}/".startswith(f"{root}/")
            if version.endswith(_EDITABLE) and not is_own:
                found[key] = None
    return found
