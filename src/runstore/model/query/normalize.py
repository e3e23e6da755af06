"""Normal form of a query's tree, used to choose a search strategy."""

from __future__ import annotations

from collections.abc import Iterator

from runstore.model.query.tree import All, Any, Compare, Missing, Namespace, Node, Not


def pushed_down(node: Node, *, is_negated: bool = False) -> Node:
    """Return an equivalent tree with `not` only at its leaves, and no `and` inside an `and`."""
    if isinstance(node, Not):
        return pushed_down(node.inner, is_negated=not is_negated)
    if isinstance(node, (Compare, Missing)):
        return Not(node) if is_negated else node
    kind = All if isinstance(node, All) is not is_negated else Any
    parts = [pushed_down(part, is_negated=is_negated) for part in node.parts]
    return kind(tuple(one for part in parts for one in parts_of(part, kind)))


def parts_of(node: Node, kind: type[All | Any] = All) -> tuple[Node, ...]:
    """Return the parts that a tree joins by this word; any other tree is its only part."""
    return node.parts if isinstance(node, kind) else (node,)


def leaves(node: Node) -> Iterator[Compare | Missing]:
    """Yield the comparisons of a tree."""
    nodes = [node]
    while nodes:
        one = nodes.pop()
        if isinstance(one, (All, Any)):
            nodes.extend(reversed(one.parts))
        elif isinstance(one, Not):
            nodes.append(one.inner)
        else:
            yield one


def is_of_run(node: Node) -> bool:
    """Check whether a tree depends only on fields of the run itself."""
    return all(leaf.field.namespace is Namespace.RUN for leaf in leaves(node))
