"""A run as the subject of a query: the values of each field."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Any

from runstore.model.query.evaluate import Value, tag_number
from runstore.model.query.fields import keys_of, parts_of
from runstore.model.query.tree import Field, Namespace
from runstore.storage.indexes.facts import cells
from runstore.storage.query.packages import package_version
from runstore.storage.rows import to_micros

if TYPE_CHECKING:
    from runstore.model.run import Run


class RunSubject:
    """A run as the subject of a query, for `query_match.matches`.

    Args:
        run: A run from a store.
        set_name: Only this parameter set; None for all.
    """

    def __init__(self, run: Run, set_name: str | None = None) -> None:
        self.run = run
        self.set_name = set_name

    def values(self, field: Field) -> Iterable[Value]:
        """Return the values of a field."""
        return _IN_NAMESPACE[field.namespace](self, field)

    def of_run(self, field: Field) -> Iterator[Value]:
        """Yield a field of the run itself."""
        value: Any = getattr(self.run, field.key)
        if field.key == "status":
            value = value.value
        elif field.key == "duration" and value is not None:
            value = value.total_seconds()
        elif isinstance(value, datetime):
            value = to_micros(value)
        elif isinstance(value, bool):
            value = int(value)
        if value is not None:
            yield value

    def of_sets(self, field: Field) -> Iterator[Value]:
        """Yield the names of parameter sets."""
        for one in self._sets(field):
            value = getattr(one, field.key)
            if value is not None:
                yield value

    def params(self, field: Field) -> Iterator[Value]:
        """Yield the cells of a parameter."""
        keys = keys_of(field)
        within = tuple(low for key in keys if field.part for low, _ in parts_of(key))
        for one in self._sets(field):
            for key, number, text in one.flat():
                if key in keys or key.startswith(within):
                    yield number, text

    def _sets(self, field: Field) -> Iterator[Any]:
        for one in self.run.parameter_sets:
            if field.set_name in {None, one.name} and self.set_name in {None, one.name}:
                yield one

    def metrics(self, field: Field) -> Iterator[Value]:
        """Yield a metric of the run, and of its sets."""
        for one in self.run.metrics.values():
            is_asked = field.set_name is None or one.set_name == field.set_name
            is_shown = self.set_name is None or one.set_name in {None, self.set_name}
            if one.key == field.key and is_asked and is_shown:
                value = float(getattr(one, field.part))
                yield None if value != value else value  # noqa: PLR0124 - NaN

    def tags(self, field: Field) -> Iterator[Value]:
        """Yield the cell of a tag: also a number, if its text is one or a truth value."""
        text = self.run.tags.get(field.key)
        if text is not None:
            yield tag_number(text), text

    def facts(self, field: Field) -> Iterator[Value]:
        """Yield the cells of a fact."""
        yield from cells(self.run.facts.values.get(field.key))

    def output(self, _field: Field) -> Iterator[Value]:
        """Yield the output of the run."""
        source: Any = self.run.source
        text = source.text_of_output(self.run) if source else None
        if text is not None:
            yield text

    def packages(self, field: Field) -> Iterator[Value]:
        """Yield the version of a package."""
        source: Any = self.run.source
        body = source.document(self.run, "packages") if source else None
        version = package_version(body or "", field.key)
        if version is not None:
            yield version

    def artifacts(self, field: Field) -> Iterator[Value]:
        """Yield the cells of artifacts."""
        words = {"path": "path", "size": "size_bytes", "type": "media_type", "digest": "digest"}
        yield from _told(self.run.artifacts.values(), "path", words[field.part], field)

    def inputs(self, field: Field) -> Iterator[Value]:
        """Yield the cells of inputs."""
        words = {"path": "name", "size": "size_bytes", "source": "source_uid"}
        word = words.get(field.part, field.part)
        yield from _told(self.run.inputs, "name", word, field)


def _told(items: Iterable[Any], name: str, word: str, field: Field) -> Iterator[Value]:
    for one in items:
        value = getattr(one, word)
        if value is not None and field.key in {"", getattr(one, name)}:
            yield value


_IN_NAMESPACE: dict[Namespace, Callable[[RunSubject, Field], Iterable[Value]]] = {
    Namespace.RUN: RunSubject.of_run,
    Namespace.SET: RunSubject.of_sets,
    Namespace.PARAM: RunSubject.params,
    Namespace.METRIC: RunSubject.metrics,
    Namespace.TAG: RunSubject.tags,
    Namespace.FACT: RunSubject.facts,
    Namespace.OUTPUT: RunSubject.output,
    Namespace.PACKAGE: RunSubject.packages,
    Namespace.ARTIFACT: RunSubject.artifacts,
    Namespace.INPUT: RunSubject.inputs,
}
