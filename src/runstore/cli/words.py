"""The runs that arguments refer to: RUN, EXPERIMENT and FILTER, the same in every command."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from runstore.cli.output import say
from runstore.errors import FilterError, NotFoundError, RunNotFoundError, UsageError, quoted
from runstore.model.display.short_names import short_name
from runstore.model.reference import LATEST, has_ending, has_number, parse_reference

if TYPE_CHECKING:
    from runstore.model.run import Run
    from runstore.reading.pages import Page
    from runstore.store import Store


# Signs of the filter language that can be a word of their own.
_AND = re.compile(r"\Aand\s+(?![=<>!~])", re.IGNORECASE)
_COMPARISONS = frozenset({"=", "==", "!=", "<", "<=", ">", ">=", "~", "!~"})


def is_filter(store: Store, word: str) -> bool:
    """Return whether an argument is a filter or the name of one, not an experiment or a run.

    Names can contain spaces and operators, so names in the store take precedence.
    """
    if word.startswith("@") or not any(sign in word for sign in " =<>~"):
        return word.startswith("@") and not _is_experiment(store, word)
    return not (has_ending(word) or is_name(store, word) or _is_missing_run(word))


def _is_missing_run(word: str) -> bool:
    """Return whether a word with spaces is the name of a run, and no filter that ends like one."""
    from runstore.model.query.parse import parse_query

    if any(sign in word for sign in "=<>~") or not ("#" in word or parse_reference(word)):
        return False
    try:
        parse_query(word)
    except FilterError:
        return has_number(word)
    return False


def _is_experiment(store: Store, word: str) -> bool:
    """Return whether an argument names an experiment; `latest` is always the newest run."""
    return word != LATEST and store.has_experiment(word)


def _is_run(store: Store, word: str) -> bool:
    """Return whether a word names a run, or a deleted one."""
    from runstore.reading.names import runs_named, what_became_of

    if runs_named(store.backend.database, word):
        return True
    return has_number(word) and what_became_of(store.backend, word) is not None


def tell_hints(page: Page[Any]) -> None:
    """Print the hints of a page about unknown names."""
    for hint in page.hints:
        say(f"runstore: {hint}", err=True)


def filter_text(store: Store, word: str) -> str:
    """Return a filter; for `@name`, the saved filter of that name.

    Raises:
        NotFoundError: There is no saved filter of that name.
    """
    return store.queries[word[1:]] if word.startswith("@") else word


def one_run(store: Store, word: str) -> Run:
    """Return the run that an argument names; for an experiment or a filter, its newest.

    A choice among several runs is reported on stderr.

    Raises:
        FilterError: The filter cannot be read.
        NotFoundError: There is no such run, or the experiment or the filter has none.
    """
    from runstore.reading.names import runs_called

    if _is_experiment(store, word) and not runs_called(store.backend.database, word):
        found = tuple(store.list(word, limit=1))
        chosen = f"the newest run of {quoted(word)}"
    elif is_filter(store, word):
        name, text = _split(store, word)
        text = filter_text(store, text)
        found = tuple(_found(store, text, name, 1))
        is_sorted = "order by" in text.lower()
        chosen = f"the {'first' if is_sorted else 'newest'} run that matches {quoted(word)}"
    else:
        return store.get(word)
    if not found:
        raise RunNotFoundError(
            f"There is no run of {quoted(word)}."
            if _is_experiment(store, word)
            else f"No run matches {quoted(word)}.",
            hint="List the runs with: runstore ls",
        )
    run = found[0]
    say(f"runstore: {short_name(run)} is {chosen}.", err=True)
    return run


def run_before(store: Store, word: str, others: Sequence[str]) -> Run:
    """Return the run that the first argument names; see `one_run`.

    Args:
        store: The store of the run.
        word: The first argument.
        others: The arguments after it, one of which may be the run by mistake.

    Raises:
        NotFoundError: There is no such run; the hint shows the arguments in their order.
    """
    try:
        return one_run(store, word)
    except (FilterError, RunNotFoundError) as error:  # a text with spaces is read as a filter
        meant = next((one for one in others if is_name(store, one)), None)
        if meant is None and (others or has_number(word) or "Did you mean" in error.hint):
            raise
        right = in_order(meant or LATEST, [word, *others])
        raise RunNotFoundError(
            f"There is no run {quoted(word)}.",
            kept="Nothing was changed.",
            hint=f"The run comes first{'' if meant else ', such as'}: {right}",
        ) from error


def in_order(run: str, words: Sequence[str], sign: str = "") -> str:
    """Return this command with the run before the other words, the first of them with a sign."""
    from shlex import join

    from click import get_current_context

    first, *rest = (word for word in words if word != run)
    return f"{get_current_context().command_path} {join([run, f'{sign}{first}', *rest])}"


def experiment_and_filter(store: Store, words: Sequence[str]) -> tuple[str | None, str]:
    """Return the experiment, and the filter; a word without any sign of a filter is the former."""
    words = _apart(store, words)
    if len(words) > 1 and _is_one_filter(store, words):
        return None, " ".join(words)
    name = words[0] if words and not is_filter(store, words[0]) else None
    return name, " ".join(filter_text(store, word) for word in words[name is not None :])


def _apart(store: Store, words: Sequence[str]) -> list[str]:
    """Return words with an experiment and its filter apart, if they are one word."""
    parts = (part for word in words for part in _split(store, word) if part is not None)
    return [*parts]


def _split(store: Store, word: str) -> tuple[str | None, str]:
    """Return the experiment and the filter of `mnist status = error`; None without the former.

    The name can contain spaces. A word that is a filter, or a name, as a whole has no experiment.
    """
    if " " not in word or not is_filter(store, word):
        return None, word
    blanks = [place for place, sign in enumerate(word) if sign == " "]
    names = (place for place in reversed(blanks) if _is_experiment(store, word[:place]))
    place = next(names, None)
    if place is None:
        return None, word
    from runstore.model.query.parse import parse_query

    try:
        parse_query(word)
    except FilterError:
        return word[:place], _AND.sub("", word[place + 1 :].strip(), count=1)
    return None, word


def place_meant(store: Store, words: Sequence[str]) -> tuple[str | None, str]:
    """Return the experiment and filter of `[EXPERIMENT] [FILTER]`; for a run, a filter for it.

    Raises:
        FilterError: A filter cannot be read.
        NotFoundError: There is no such experiment, run or saved filter.
        UsageError: There is a filter as well as the name of a run.
    """
    name, where = experiment_and_filter(store, words)
    if name is None:
        return None, where
    if _is_experiment(store, name):
        return name, where
    try:
        uid = store.get(name).uid
    except NotFoundError as error:
        # Deleted runs, and runs that wait for their server, are no experiments either.
        if error.kept or name == LATEST or "#" in name or parse_reference(name):
            raise
        store.find(experiment=name, limit=1)  # raises: there is no such experiment
        raise
    if where:
        raise _filter_beside_run(name)
    return None, f"uid = '{uid}'"


def _is_one_filter(store: Store, words: Sequence[str]) -> bool:
    """Return whether the words are one filter without its quotes: `params.lr = 0.1`."""
    whole = " ".join(words)
    return words[1] in _COMPARISONS and not is_name(store, words[0]) and is_filter(store, whole)


def is_name(store: Store, word: str) -> bool:
    """Return whether a word names an experiment, or a run."""
    return _is_experiment(store, word) or _is_run(store, word)


def runs_meant(store: Store, words: Sequence[str], *, limit: int | None = None) -> list[Run]:
    """Return the runs of experiments and names, filtered if there is a filter.

    Args:
        store: The store of the runs.
        words: `EXPERIMENT`, `RUN`, and at most one filter; none for all runs.
        limit: Maximum number of runs of each experiment, the newest; None for all.

    Raises:
        FilterError: A filter cannot be read.
        NotFoundError: There is no such experiment or run.
        UsageError: There are several filters, or a filter as well as names of runs.
    """
    words = _apart(store, words)
    of_filters = [word for word in words if is_filter(store, word)]
    filters = [filter_text(store, word) for word in of_filters]
    if len(filters) > 1:
        raise UsageError("There are two filters.", hint="Join them: '(…) and (…)'.")
    where = "".join(filters)
    names = [word for word in words if word not in of_filters]
    known = {name for name in names if _is_experiment(store, name)}
    if where and (named := [name for name in names if name not in known]):
        raise _filter_beside_run(named[0])
    every = chain.from_iterable(
        _of_name(store, name, where, limit, is_experiment=name in known) for name in names
    )
    found = every if names else _found(store, where, None, limit)
    return list({run.uid: run for run in found}.values())


def trashed_meant(store: Store, words: Sequence[str]) -> list[Run | str]:
    """Return the deleted runs of experiments, and the other words, which name runs."""
    trash = [] if all(map(has_number, words)) else store.trash(limit=None)
    found: list[Run | str] = []
    for word in words:
        is_run = word == LATEST or has_number(word)
        found += [run for run in trash if run.experiment_name == word and not is_run] or [word]
    return found


def other_meanings(store: Store, words: Sequence[str]) -> list[str]:
    """Return a line for each experiment among the words whose name is that of a run elsewhere."""
    from runstore.reading.names import runs_called

    lines = []
    for word in (one for one in words if _is_experiment(store, one)):
        runs = runs_called(store.backend.database, word)
        if others := [run.reference for run in runs if run.experiment_name != word]:
            lines.append(f"{quoted(word)} is the experiment here, and not the run {others[0]}.")
    return lines


def _filter_beside_run(name: str) -> UsageError:
    return UsageError(
        f"A filter searches experiments, and {quoted(name)} is not an experiment.",
        hint="Leave out the filter, or the name of the run.",
    )


def _found(store: Store, where: str, experiment: str | None, limit: int | None) -> Page[Run]:
    page = store.find(where, experiment=experiment, limit=limit)
    tell_hints(page)
    return page


def _of_name(
    store: Store, name: str, where: str, limit: int | None, *, is_experiment: bool
) -> Iterator[Run]:
    if is_experiment:
        yield from _found(store, where, name, limit)
    else:
        yield store.get(name)


def metrics_meant(wanted: Sequence[str], runs: Sequence[Run]) -> tuple[str, ...]:
    """Return names of metrics; patterns such as `val/*` are replaced by matching names.

    The name of a metric is not a pattern, even if it has wildcards.

    Raises:
        NotFoundError: A pattern matches no metric of these runs.
    """
    if not wanted:
        return ()
    from fnmatch import fnmatchcase

    from runstore.model.display.suggestions import listed

    known = list(dict.fromkeys(key for run in runs for key in run.metrics))
    found: dict[str, None] = {}
    for name in wanted:
        if name in known or not any(sign in name for sign in "*?["):
            found[name] = None
            continue
        matching = [key for key in known if fnmatchcase(key, name)]
        if not matching:
            raise NotFoundError(f"No metric matches {quoted(name)}.", hint=listed(known))
        found.update(dict.fromkeys(matching))
    return tuple(found)
