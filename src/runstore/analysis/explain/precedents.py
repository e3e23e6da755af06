"""Other runs of the experiments as evidence: features and a result of each, for `judging`."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runstore.analysis.compare.descriptions import describe_packages, environment, parameters
from runstore.analysis.compare.differences import FileContents, identity
from runstore.analysis.explain.environment import is_minor
from runstore.analysis.explain.judging import Judgement, judge
from runstore.analysis.explain.known_names import NAME, is_seed
from runstore.analysis.explain.observed import Feature, Observed
from runstore.model.status import Status
from runstore.reading.details.recorded_code import RecordedCode
from runstore.reading.newest import newest_page
from runstore.reading.shown.facts import command_text
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    from collections.abc import Callable

    from runstore.model.run import Run
    from runstore.storage.backend import Backend

RUNS_AT_MOST = 200
CODE: Feature = ("code", "code")
_NAME: Feature = ("params", NAME)
_LARGEST = 1e300


@dataclass(frozen=True, slots=True)
class Precedents:
    """The evidence of other runs."""

    runs: int
    judgement: Judgement


def precedents(
    backend: Backend,
    a: Run,
    b: Run,
    metric: str,
    *,
    code_of: Callable[[Run, Mapping[str, str]], Hashable] | None = None,
) -> Precedents:
    """Return the evidence of the newest runs of the experiments of two runs.

    Only runs that are complete and have the metric count, and the two themselves.

    Args:
        backend: The store.
        a: The first run.
        b: The second run.
        metric: Key of the metric.
        code_of: Function from a run and the hashes of its captured texts to an identity of its
            code; None for its commit and the texts beyond it.
    """
    look = _EvidenceReader(backend, (a, b), metric, code_of or RecordedCode(backend, (a, b)).of)
    others = [run for run in look.candidates() if run.uid not in {a.uid, b.uid}]
    seen = [look.observed(run) for run in (a, b, *others)]
    known = [one for one in seen[2:] if one is not None]
    if seen[0] is None or seen[1] is None:
        return Precedents(len(known), Judgement({}, None))
    observed = [seen[0], seen[1], *known]
    features = {feature for one in observed for feature in one.features}
    minor = {one for one in features if is_minor(*one)}
    seeds = {one for one in features if one[0] == "params" and is_seed(one[1])}
    if _is_label(_NAME, observed, minor | seeds):
        minor.add(_NAME)
    return Precedents(len(known), judge(observed, minor=minor, seeds=seeds))


def _is_label(about: Feature, runs: Sequence[Observed], aside: Collection[Feature]) -> bool:
    """Check whether a feature labels runs or their other features.

    It does if no two runs have the same value, or if it never differs alone.
    """
    if len({one.features.get(about) for one in runs}) == len(runs):
        return True
    values: dict[Hashable, Hashable] = {}
    for one in runs:
        rest = frozenset(
            item for item in one.features.items() if item[0] != about and item[0] not in aside
        )
        value = one.features.get(about)
        if values.setdefault(rest, value) != value:
            return False
    return True


class _EvidenceReader:
    """Reads runs as evidence."""

    def __init__(
        self,
        backend: Backend,
        runs: tuple[Run, Run],
        metric: str,
        code_of: Callable[[Run, Mapping[str, str]], Hashable],
    ) -> None:
        self._backend = backend
        self._runs = runs
        self._metric = metric
        self._code_of = code_of
        self._has_labels = any(len(run.parameter_sets) > 1 for run in runs)
        self._has_params = any(run.parameter_sets for run in runs)
        self._packages: dict[str, Mapping[str, Any]] = {}
        self._texts: dict[str, dict[str, str]] = {}

    def candidates(self) -> Sequence[Run]:
        """Return the runs that may be evidence, newest first."""
        names = dict.fromkeys(run.experiment_name for run in self._runs)
        found = [
            run
            for name in names
            for run in newest_page(self._backend, name, RUNS_AT_MOST // len(names), None)
            if run.status is Status.COMPLETE
            and (self._has_labels or len(run.parameter_sets) <= 1)
            and all(one.tree is not None for one in run.parameter_sets)
        ]
        uids = [run.uid for run in (*self._runs, *found)]
        self._texts = self._backend.database.document_hashes(uids)
        return found

    def observed(self, run: Run) -> Observed | None:
        """Return a run as evidence; None without the metric."""
        summary = run.metrics.get(self._metric)
        if summary is None:
            return None
        features: dict[Feature, Hashable] = {}
        numbers: dict[Feature, float] = {}
        for section, values in self._sections(run):
            for key, value in values.items():
                features[section, key] = identity(value)
                if type(value) in {int, float} and abs(value) < _LARGEST:
                    numbers[section, key] = float(value)
        features[CODE] = self._code_of(run, self._texts.get(run.uid, {}))
        features["metrics", f"{self._metric}.last_step"] = summary.last_step
        return Observed(features, numbers, summary.last)

    def _sections(self, run: Run) -> Iterator[tuple[str, Mapping[str, Any]]]:
        yield "status", {"experiment": run.experiment_name}
        yield "params", parameters(run, has_labels=self._has_labels)
        yield "packages", self._packages_of(run)
        yield "environment", environment(run)
        yield (
            "inputs",
            {one.name: FileContents(one.digest, one.size_bytes) for one in run.inputs},
        )
        if not self._has_params and run.cli:
            yield "command", {"command": command_text(run)}

    def _packages_of(self, run: Run) -> Mapping[str, Any]:
        digest = self._texts.get(run.uid, {}).get("packages")
        if digest is None:
            return {}
        if digest not in self._packages:
            self._packages[digest] = describe_packages(
                self._backend.database.document(run.uid, "packages") or ""
            )
        return self._packages[digest]
