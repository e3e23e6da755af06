"""The experiments and parameter files of a project, read without running them."""

from __future__ import annotations

from collections.abc import Iterator

from runstore.runner.project import Module, Project, modules_in, outline
from runstore.value_classes import asdict, dataclass


@dataclass(frozen=True, slots=True)
class ListedModule:
    """A module that can be named on the command line.

    Attributes:
        kind: `experiment`, `params`, or `broken` for a file that is not valid Python.
        name: Dotted name.
        file: Path of the file.
        summary: First line of its docstring.
        has_params: Whether it has parameter sets of its own.
        problem: Why it cannot be read; empty when it can.
    """

    kind: str
    name: str
    file: str
    summary: str
    has_params: bool
    problem: str

    @property
    def told(self) -> str:
        """The description to show."""
        own = "(has its own parameters)" if self.kind == "experiment" and self.has_params else ""
        return self.problem or " ".join(part for part in (self.summary, own) if part)

    def as_json(self) -> dict[str, object]:
        """Return the entry for `--json`."""
        return asdict(self)


def listed(project: Project) -> Iterator[ListedModule]:
    """Yield experiments, then parameter files; helper modules of neither kind are left out."""
    for module in modules_in(project.experiments):
        yield from _entry(module, "experiment", "run")
    for module in modules_in(project.params):
        yield from _entry(module, "params", "get_params")


def _entry(module: Module, kind: str, function: str) -> Iterator[ListedModule]:
    said = outline(module.file)
    if said.problem:
        yield ListedModule("broken", module.name, str(module.file), "", False, said.problem)  # noqa: FBT003 - has_params
    elif function in said.functions:
        has_params = "get_params" in said.functions
        yield ListedModule(kind, module.name, str(module.file), said.summary, has_params, "")
