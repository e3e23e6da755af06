"""Mutations that matter here and that cosmic-ray does not have: a call or a word left out."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

import parso
from cosmic_ray.operators.operator import Example, Operator
from parso.python.tree import String
from parso.tree import NodeOrLeaf

_Position = tuple[tuple[int, int], tuple[int, int]]
# A status, a suffix, a key, a mode: a text with spaces is for people.
_WORD = re.compile(r"""b?["'][\w.#%/*:+-]+["']""", re.ASCII)


class DropCall(Operator):
    """Leave out a statement that is a call: a sync, a close, a check."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[_Position]:
        """Yield the place of the call."""
        if node.type == "simple_stmt" and node.children[0].type in {"atom_expr", "power"}:
            call = node.children[0]
            if call.children[-1].type == "trailer" and call.children[-1].children[0].value == "(":
                yield call.start_pos, call.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """Return the statement without its call."""
        call = node.children[0]
        prefix = call.get_first_leaf().prefix
        (passing,) = parso.parse("pass\n").children[:1]
        word = passing.children[0] if hasattr(passing, "children") else passing
        word.prefix = prefix
        node.children[0] = word
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        """Return what it makes of what."""
        return (Example("os.fsync(file)\n", "pass\n"),)


class OtherWord(Operator):
    """Write another word in the place of one that programs read."""

    def mutation_positions(self, node: NodeOrLeaf) -> Iterator[_Position]:
        """Yield the place of the word."""
        if isinstance(node, String) and _WORD.fullmatch(node.value):
            yield node.start_pos, node.end_pos

    def mutate(self, node: NodeOrLeaf, index: int) -> NodeOrLeaf:
        """Return another word."""
        node.value = node.value[:-1] + "x" + node.value[-1]
        return node

    @classmethod
    def examples(cls) -> Sequence[Example]:
        """Return what it makes of what."""
        return (Example('x = "queued"', 'x = "queuedx"'),)


class Provider:
    """The operators of this file, as cosmic-ray asks for them."""

    _all: ClassVar = {one.__name__: one for one in (DropCall, OtherWord)}

    def __iter__(self) -> Iterator[str]:
        return iter(self._all)

    def __getitem__(self, name: str) -> type[Operator]:
        return self._all[name]
