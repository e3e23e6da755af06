"""Runs that are compared with earlier ones, and the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from runstore.analysis.compare.differences import Difference
from runstore.errors import visible
from runstore.model.code.documents import entries_of
from runstore.value_classes import dataclass

if TYPE_CHECKING:
    from runstore.model.run import Run


@dataclass(frozen=True, slots=True)
class ComparedRun:
    """A run that is compared, kept or about to start.

    Attributes:
        run: The run; before its start, the known part of it.
        documents: Hash of each captured text, by name.
        text_of: Returns a captured text, by name.
    """

    run: Run
    documents: Mapping[str, str]
    text_of: Callable[[str], str | None]

    def entries(self, document: str) -> dict[str, Any]:
        """Return the entries of a captured text, such as `untracked`; none without the text.

        Raises:
            StoreCorruptError: The text is damaged.
        """
        text = self.text_of(document) if document in self.documents else None
        return entries_of(document, text, self.run.reference)


@dataclass(frozen=True, slots=True)
class Similar:
    """An earlier run, and the differences from it.

    Attributes:
        run: The earlier run.
        differences: Differences, its own value first: parameters, code, the command, inputs.
        unknown: Parts that cannot be compared, with the reason; such a run is not the same.
        unchecked: Inputs elsewhere, such as URLs, that cannot be checked; they do not count.
    """

    run: Run
    differences: tuple[Difference, ...]
    unknown: tuple[str, ...] = ()
    unchecked: tuple[str, ...] = ()

    @property
    def is_same(self) -> bool:
        """Whether nothing that counts differs, or is unknown."""
        return not self.differences and not self.unknown

    def __str__(self) -> str:
        from runstore.analysis.reruns.texts import near_text

        return visible(near_text(self.run, self.differences, self.unknown))
