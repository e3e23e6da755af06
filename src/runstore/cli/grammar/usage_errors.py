"""Usage errors of click, in the form of our own errors."""

from __future__ import annotations

import re
from shlex import quote

import click

from runstore.errors import UsageError, quoted
from runstore.model.display.formatting import cropped
from runstore.model.reference import LATEST, parse_reference

_EXTRA = re.compile(r"(?s)Got unexpected extra arguments? \((.*)\)\.?")
_COMMAND = re.compile(r"(?s)No such command (.*)\.")
_OF_MESSAGE = {_EXTRA: "got unexpected arguments:", _COMMAND: "has no command"}
_LONGEST = 300  # characters of arguments in an error
_VALUE = re.compile(r"(?s)'?(.*?)'? is not ")
# Options by which other programs filter; here a filter is an argument.
_FILTERING = {
    **dict.fromkeys(("--filter", "--where", "--status", "--query", "--state"), "status = error"),
    **dict.fromkeys(("--failed", "--error", "--errors", "--failures"), "status = error"),
    **dict.fromkeys(("--running", "--active"), "status = running"),
    **dict.fromkeys(("--since", "--newer", "--last"), "started > yesterday"),
    **dict.fromkeys(("--until", "--before", "--older"), "started < '7 days ago'"),
    **dict.fromkeys(("--tag", "--tags"), "tags.keep is not missing"),
    **dict.fromkeys(("--param", "--params"), "params.lr = 0.1"),
    "--experiment": "experiment = mnist",
}
# Options of other programs, by command and option.
_HABITS = {
    **dict.fromkeys([("rm", f"-{one}") for one in "frR"], "To skip the confirmation, add: -y"),
    **dict.fromkeys(
        [("ls", "--desc"), ("ls", "--descending")],
        "For the largest first, write: --sort 'metrics.loss desc'",
    ),
    **dict.fromkeys(
        [("ls", "-m"), ("ls", "--metric"), ("ls", "--metrics")],
        "Choose columns with: --columns run,params,metrics.loss",
    ),
    **dict.fromkeys(
        [("ls", one) for one in ("--order", "--order-by", "--sort-by")],
        "Sort with: --sort metrics.loss",
    ),
    **dict.fromkeys(
        [("trash", one) for one in ("--empty", "--delete", "--purge", "--clear")],
        "Permanently delete trashed runs with: runstore gc --trash",
    ),
    **dict.fromkeys(
        [("ui", one) for one in ("--logdir", "--backend-store-uri", "--dir", "--repo")],
        "Name the folder of a store with: --store",
    ),
    **dict.fromkeys(
        [("best", one) for one in ("-n", "--top", "--limit")],
        "All settings are ranked; for some runs, write: runstore ls --sort metrics.loss -n 3",
    ),
    **dict.fromkeys(
        [("best", one) for one in ("--by", "--sort", "--order-by")],
        "Name the metric with: -m test/acc",
    ),
    **dict.fromkeys(
        [("note", one) for one in ("-m", "--message", "--text", "--notes")],
        "The text is an argument: runstore note RUN TEXT",
    ),
    **dict.fromkeys(
        [("output", one) for one in ("--tail", "--last", "--limit")],
        "Print the last lines with: -n 20",
    ),
    ("exec", "-n"): "Name the experiment with: -e fit",
    ("exec", "--seed"): "Set a parameter with: --set seed=1",
    **dict.fromkeys(
        [("export", one) for one in ("-o", "--output", "--format", "--csv")],
        "Write a table with: runstore ls --all --format csv",
    ),
    **dict.fromkeys(
        [("ls", "--trash"), ("ls", "--deleted")], "List deleted runs with: runstore trash"
    ),
    ("ls", "-e"): "An experiment is an argument, without an option: runstore ls mnist",
    ("plot", "--all"): "Draw more runs with: -n 50",
    **dict.fromkeys(
        [(command, one) for command in ("record", "rerun") for one in ("-p", "--param")],
        "Set a parameter with: --set lr=0.1",
    ),
    **dict.fromkeys(
        [("record", "-m"), ("record", "--metrics")], "Record a metric with: --metric acc=0.9"
    ),
}


def as_ours(error: click.ClickException) -> UsageError:
    """Return our error for an error of click: the problem and the next step."""
    if not isinstance(error, click.UsageError):
        return UsageError(_sentence(error.format_message()))
    return UsageError(_what(error), hint=_hint(error))


def _what(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        return f"{_command(error)} has no option {quoted(error.option_name)}."
    if isinstance(error, click.MissingParameter):
        kind = "option" if isinstance(error.param, click.Option) else "argument"
        name = _name(error)
        # The usage, which follows, shows a choice of arguments.
        needed = "an argument" if "[" in name else f"the {kind} {name}"
        return f"{_command(error)} needs {needed}."
    if isinstance(error, click.BadParameter):
        return _bad_value(error)
    if isinstance(error, click.BadOptionUsage):
        return f"The option {error.option_name} needs a value."
    for pattern, problem in _OF_MESSAGE.items():
        if found := pattern.fullmatch(error.message):
            return f"{_command(error)} {problem} {cropped(found[1], _LONGEST)}."
    return _sentence(error.format_message())


def _bad_value(error: click.BadParameter) -> str:
    found = _VALUE.match(error.message)
    expected = None if error.param is None else _expected(error.param.type)
    if found is None or expected is None:
        return f"{_name(error)}: {_sentence(error.message)}"
    return f"{_name(error)}: expected {expected}, got {found[1]!r:.60}."


def _expected(kind: object) -> str | None:
    """Return the values that a type of click accepts; None if its message has them."""
    number = "a whole number" if isinstance(kind, click.types.IntParamType) else "a number"
    if isinstance(kind, (click.IntRange, click.FloatRange)):
        if kind.max is None:
            return f"{number} of at least {kind.min:,}"
        return f"{number} from {kind.min:,} to {kind.max:,}"
    if isinstance(kind, (click.types.IntParamType, click.types.FloatParamType)):
        return number
    if isinstance(kind, click.Choice):
        return f"one of {', '.join(map(str, kind.choices))}"
    return None


def _hint(error: click.UsageError) -> str:
    if isinstance(error, click.NoSuchOption):
        if _is_for_filters(error):
            example = _FILTERING[error.option_name]
            quote = '"' if "'" in example else "'"
            return f"A filter is an argument, without an option: {quote}{example}{quote}"
        if hint := _hint_for_habit(error):
            return hint
        near = next(iter(error.possibilities or ()), "")  # the nearest comes first
        if near and (near != "--help" or error.option_name.startswith("--h")):
            return f"Did you mean {near}?"
    if error.ctx is None:
        return ""
    if _COMMAND.fullmatch(error.message) and isinstance(error.ctx.command, click.Group):
        return f"Available: {', '.join(error.ctx.command.list_commands(error.ctx))}."
    return _hint_of_command(error, error.ctx)


def _hint_of_command(error: click.UsageError, ctx: click.Context) -> str:
    if isinstance(error, (click.NoSuchOption, click.BadParameter)) and not isinstance(
        error, click.MissingParameter
    ):
        return _hint_for_all(error) or f"Show its options with: {ctx.command_path} --help"
    extra = _EXTRA.fullmatch(error.message)
    if extra is not None and (hint := _hint_for_extra(extra[1], ctx)):
        return hint
    # The usage shows which arguments there are, and in which order.
    is_run = isinstance(error, click.MissingParameter) and ctx.info_name == "run"
    known = "\nList the experiments with: runstore run --list" if is_run else ""
    return f"{ctx.get_usage()}{known}"


def _hint_for_all(error: click.UsageError) -> str:
    """Return the option for all runs, instead of the number `all`."""
    found = _VALUE.match(error.message)
    option = error.param if isinstance(error, click.BadParameter) else None
    options = () if error.ctx is None else error.ctx.command.params
    is_meant = found is not None and found[1].lower() == "all"
    is_number = is_meant and option is not None and "-n" in option.opts
    is_there = is_number and any("--all" in one.opts for one in options)
    return "For all of them, write: --all" if is_there else ""


def _hint_for_extra(extra: str, ctx: click.Context) -> str:
    """Return a hint for arguments that a command does not take, if their purpose is clear."""
    if ctx.info_name == "run":
        return "Record a command with: runstore exec -- python train.py"
    if extra.isdecimal():
        return f"Name a run by its experiment and its number, such as mnist#{extra}."
    if ctx.info_name == "output" and "=" in extra:
        run = quote(ctx.params["run"])
        return f"Log a metric with: runstore metric {quote(extra)} --run {run}"
    if _is_before_run(ctx, extra):
        return f"RUN is the only argument: {ctx.command_path} {quote(extra)}"
    if ctx.info_name == "show" and _has_form_of_run(extra):
        runs = " ".join(map(quote, [ctx.params["run"], *extra.split()]))
        return f"Show the differences between runs with: runstore compare {runs}"
    return ""


def _is_before_run(ctx: click.Context, extra: str) -> bool:
    """Return whether the only run, by its form, comes after the argument that names a run."""
    first = ctx.params.get("run")
    return isinstance(first, str) and _has_form_of_run(extra) and not _has_form_of_run(first)


def _has_form_of_run(word: str) -> bool:
    return "#" in word or word == LATEST or parse_reference(word) is not None


def _is_for_filters(error: click.NoSuchOption) -> bool:
    """Return whether the option names a filter, which the command takes as an argument."""
    return (
        error.option_name in _FILTERING
        and error.ctx is not None
        and any("[FILTER]" in one for one in error.ctx.command.collect_usage_pieces(error.ctx))
    )


def _hint_for_habit(error: click.NoSuchOption) -> str:
    """Return the option that does what an option of other programs, or a parameter, would do."""
    wanted = error.option_name
    command = "" if error.ctx is None else error.ctx.info_name
    if hint := _HABITS.get((command or "", wanted)):
        return hint
    near = [one for one in error.possibilities or () if one[:3] == wanted[:3]]
    options = () if error.ctx is None else error.ctx.command.params
    is_name = wanted.startswith("--")
    if near or not is_name or not any("--set" in one.opts for one in options):
        return ""
    return f"Set a parameter with: --set {wanted.lstrip('-')}=VALUE"


def _command(error: click.UsageError) -> str:
    return "runstore" if error.ctx is None else f"`{error.ctx.command_path}`"


def _name(error: click.BadParameter) -> str:
    """Return the name of an option or argument as a person types it."""
    parameter = error.param
    if isinstance(parameter, click.Option):
        return max(parameter.opts, key=len)
    if parameter is None:
        return "A value"
    return parameter.metavar or (parameter.name or "").upper()


def _sentence(text: str) -> str:
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '?', '!')) else '.'}"
