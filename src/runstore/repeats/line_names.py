"""Names of lines in legends: the run, its parameter set, and the parameters that differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from runstore.model.display.formatting import cropped
from runstore.model.display.short_names import short_names
from runstore.model.run import Run
from runstore.repeats.grouping import DEFAULT_OVER, group_repeats

_SETTINGS_SHOWN = 3
_SETTINGS_AT_MOST = 5  # where fewer leave lines with the same name
_KEY_WIDTH = _SETTING_WIDTH = 20


class LineNames:
    """Names of the lines of some runs."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self._has_one = len(runs) == 1
        self._names = dict(zip((run.uid for run in runs), short_names(runs), strict=True))
        self._only_set = {
            run.uid: run.parameter_sets[0].name for run in runs if len(run.parameter_sets) == 1
        }
        groups = group_repeats(runs, over=(), or_incomplete=True).groups
        keys = _shown_keys([dict(one.settings) for one in groups])
        times = Counter(map(_last_part, keys))
        shown = {key: _last_part(key) if times[_last_part(key)] == 1 else key for key in keys}
        self._settings = {
            (member.run.uid, member.set_name): [
                (key if len(key) <= _KEY_WIDTH else shown[key], text)
                for key, text in group.settings
                if key in keys and text
            ]
            for group in groups
            for member in group.members
        }

    def of(self, run: Run, set_name: str | None) -> str:
        """Return the name of a line."""
        settings = self._settings.get((run.uid, set_name or self._only_set.get(run.uid)), ())
        parts = [] if self._has_one and set_name else [self._names[run.uid]]
        parts += [set_name] if set_name is not None else []
        parts += [
            f"{key}={cropped(text, _SETTING_WIDTH)}" for key, text in settings if text != set_name
        ]
        return " ".join(parts)


def _shown_keys(settings: Sequence[dict[str, str]]) -> set[str]:
    """Return a few of the parameters that differ, and those that lines alike in them differ in.

    Values shared by several groups come first, and a seed after the others.
    """
    keys = list(settings[0]) if settings else []

    def is_own(key: str) -> bool:
        return len({one[key] for one in settings}) > max(2, len(settings) // 2)

    shown: list[str] = []
    kinds = 1
    for key in sorted(keys, key=lambda key: (is_own(key), _last_part(key) in DEFAULT_OVER)):
        distinct = len({tuple(one[name] for name in (*shown, key)) for one in settings})
        if len(shown) < _SETTINGS_SHOWN or distinct > kinds:
            shown.append(key)
            kinds = distinct
        if len(shown) == _SETTINGS_AT_MOST:
            break
    return set(shown)


def _last_part(key: str) -> str:
    return key.rpartition(".")[2]
