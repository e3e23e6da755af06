"""A console of `rich` from which no text reaches a terminal but in a harmless form."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from runstore.errors import visible


class SafeConsole(Console):
    """Draws tables and bars; texts have no markup, and control nothing."""

    def __init__(self, **options: Any) -> None:
        super().__init__(highlight=False, markup=False, emoji=False, **options)

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield what is drawn; only what `rich` itself made may move the cursor."""
        for one in super().render(renderable, options):
            if one.control is None:
                yield Segment(visible(one.text, keep_lines=True), one.style)
            else:
                yield one
