"""A console of `rich` that escapes control characters in texts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from runstore.errors import visible


class SafeConsole(Console):
    """Draws tables and bars; texts have neither markup nor control characters."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield segments; only control segments of `rich` itself can move the cursor."""
        for one in super().render(renderable, options):
            if one.control is None:
                yield Segment(visible(one.text, keep_lines=True), one.style)
            else:
                yield one
