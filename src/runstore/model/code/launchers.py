"""The program at the end of a command line, behind launchers, wrappers and interpreters.

`nice -n 5 torchrun --nproc_per_node=2 train.py` runs `train.py`. Launchers are known by name, with
their options that take a value; the disk is not accessed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from itertools import dropwhile
from pathlib import PurePath

from runstore.model.code.python_command import is_python, python_target
from runstore.value_classes import NamedTuple

# Interpreters of other languages that run a file.
_INTERPRETERS = frozenset({
    "bash", "sh", "zsh", "dash", "ksh", "fish", "Rscript", "julia", "node", "perl", "ruby",
    "octave", "deno", "lua", "php",
})  # fmt: skip
SHELLS = frozenset({"bash", "sh", "zsh", "dash", "ksh"})
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\+?=")
_SHELL_CODE = re.compile(r"-\w*c\w*")
_SHELL_SETTING = re.compile(r"[-+]\w*[oO]")  # takes the next word, as in `-euo pipefail`
_SOURCE = re.compile(r"\.(?:py|pyw|R|r|jl|sh|js|ts|rb|pl)$")
OF_A_SHELL = re.compile(r"[;&|<>$`(){}\n*?]")
_SPLITS = re.compile(r"-[i0v]*S|--split-string(?:=|$)")


class _Launcher(NamedTuple):
    """Rules for finding the command behind a launcher.

    Attributes:
        values: Options that take the next word; all others take none.
        flags: Options that take no value; all others take the next word. Replaces `values`.
        verbs: Words of which one must follow, such as `run`.
        words: Number of its own arguments before the command.
        splits: Whether the text of `-S` stands for its own words.
        is_python: Whether it runs a Python script, or `-m` and a module.
        has_own_environment: Whether the command has other packages than this process.
    """

    values: frozenset[str] = frozenset()
    flags: frozenset[str] | None = None
    verbs: frozenset[str] = frozenset()
    words: int = 0
    splits: bool = False
    is_python: bool = False
    has_own_environment: bool = False


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_RUN = _set("run")
_PLAIN = _Launcher()
_SRUN = _Launcher(
    flags=_set(
        "--exclusive --pty --unbuffered -u --label -l --overlap --exact --no-kill -k --verbose -v"
        " -vv --quiet -Q --overcommit -O --spread-job --contiguous --disable-status -X -s -E -H"
        " --kill-on-bad-exit -K --preserve-env --use-min-nodes --multi-prog --no-allocate -Z"
    )
)
_MPI = _Launcher(
    flags=_set(
        "--oversubscribe --allow-run-as-root -v --verbose -q --quiet --display-map --tag-output"
        " --report-bindings --nolocal --nooversubscribe -l -prepend-rank --display-allocation"
        " --timestamp-output --bynode --byslot --no-python -verbose"
    )
)
_TORCHRUN = _Launcher(
    flags=_set(
        "--standalone --no-python --run-path -m --module -h --use-env --signals-to-handle"
        " --use-agent-store"
    )
    - {"--signals-to-handle"},
    is_python=True,
)
_ACCELERATE = _Launcher(
    flags=_set(
        "-q --quiet -m --module --no-python --multi-gpu --cpu --tpu --ipex --use-xpu --debug"
        " --use-deepspeed --use-fsdp --use-megatron-lm --use-parallelism-config --use-mps-device"
        " --same-network --enable-cpu-affinity --use-cpu --standalone --tpu-use-cluster"
        " --tpu-use-sudo --no-tpu-cluster"
    ),
    verbs=_set("launch"),
    is_python=True,
)
_DEEPSPEED = _Launcher(
    flags=_set("--force-multi --no-python --module --no-local-rank --no-ssh --no-ssh-check -m"),
    is_python=True,
)
_UV = _Launcher(
    values=_set(
        "--with --with-editable --with-requirements --python -p --extra --group --only-group"
        " --no-group --no-extra --env-file --directory --project --package --index --index-url -i"
        " --default-index --extra-index-url --find-links -f --config-file --cache-dir"
        " --upgrade-package -P --reinstall-package --refresh-package --resolution --color"
        " --prerelease --link-mode --exclude-newer --python-platform"
    ),
    verbs=_RUN,
    is_python=True,
    has_own_environment=True,
)
_CONDA = _Launcher(
    values=_set("-n --name -p --prefix --cwd -r --root-prefix -a --attach -e --env"),
    verbs=_RUN,
    has_own_environment=True,
)
_PROFILER = _Launcher(
    values=_set("-o --outfile --output -s --sort -r -f --format"), is_python=True
)
_CONTAINER = _Launcher(
    values=_set("-B --bind -H --home --pwd --env --env-file -W --workdir -S --scratch --overlay"),
    verbs=_set("exec run"),
    words=1,
    has_own_environment=True,
)
_LAUNCHERS = {
    "nice": _Launcher(_set("-n --adjustment")),
    "env": _Launcher(_set("-u --unset -C --chdir"), splits=True),
    "timeout": _Launcher(_set("-k --kill-after -s --signal"), words=1),
    "stdbuf": _Launcher(_set("-i -o -e --input --output --error")),
    "time": _Launcher(_set("-f --format -o --output")),
    "ionice": _Launcher(_set("-c --class -n --classdata")),
    "taskset": _Launcher(words=1),
    "chrt": _Launcher(_set("-T -P -D"), words=1),
    "numactl": _Launcher(
        _set("-N --cpunodebind -m --membind -C --physcpubind -i --interleave -p --preferred")
    ),
    "sudo": _Launcher(_set("-u --user -g --group -h --host -p --prompt -C -T -r -t -D -R")),
    "doas": _Launcher(_set("-u -C")),
    "flock": _Launcher(_set("-w --timeout -E --conflict-exit-code"), words=1),
    "gosu": _Launcher(words=1),
    "xvfb-run": _Launcher(
        _set("-e --error-file -f --auth-file -n --server-num -p --xauth-protocol -s --server-args"
             " -w --wait")
    ),
    "strace": _Launcher(_set("-e -o -s -u -E -P -O -S -a -b -I -X")),
    "ltrace": _Launcher(_set("-e -o -s -u -l -x -a -n")),
    "perf": _Launcher(_set("-e -o -F -C -r -c -g"), verbs=_set("stat record")),
    "gdb": _Launcher(_set("-ex -x -iex -ix -cd -d")),
    "cuda-gdb": _Launcher(_set("-ex -x -iex -ix -cd -d")),
    "nsys": _Launcher(
        _set("-o --output -t --trace -y --delay -d --duration"), verbs=_set("profile")
    ),
    "ncu": _Launcher(_set("-o --export -k --kernel-name -c --launch-count --set --section")),
    "systemd-run": _Launcher(
        _set("-p --property -u --unit --slice -E --setenv --nice --uid --gid")
    ),
    "horovodrun": _MPI,
    "jsrun": _MPI,
    "aprun": _MPI,
    "srun": _SRUN,
    "torchrun": _TORCHRUN,
    "torchx": _TORCHRUN,
    "accelerate": _ACCELERATE,
    "deepspeed": _DEEPSPEED,
    "uv": _UV,
    "uvx": _PLAIN,
    "poetry": _Launcher(_set("-C --directory -P --project"), verbs=_RUN, has_own_environment=True),
    "pipenv": _Launcher(verbs=_RUN, has_own_environment=True),
    "pdm": _Launcher(_set("-p --project --venv"), verbs=_RUN, has_own_environment=True),
    "rye": _Launcher(verbs=_RUN, has_own_environment=True),
    "hatch": _Launcher(_set("-e --env -p --project"), verbs=_RUN, has_own_environment=True),
    "pixi": _Launcher(
        _set("-e --environment --manifest-path"), verbs=_RUN, has_own_environment=True
    ),
    "coverage": _Launcher(
        _set("--source --rcfile --data-file --include --omit --context --concurrency"),
        verbs=_RUN,
        is_python=True,
    ),
    "memray": _Launcher(_set("-o --output -p --live-port"), verbs=_RUN, is_python=True),
    "py-spy": _Launcher(_set("-o --output -r --rate -d --duration -f --format"),
                        verbs=_set("record top dump")),
    "kernprof": _Launcher(_set("-o --outfile -s --setup -p --prof-mod"), is_python=True),
    "scalene": _PROFILER,
    "viztracer": _PROFILER,
    "pyinstrument": _PROFILER,
    "nohup": _PLAIN,
    **dict.fromkeys(("mpirun", "mpiexec", "mpiexec.hydra", "orterun", "prterun"), _MPI),
    **dict.fromkeys(("conda", "mamba", "micromamba"), _CONDA),
    **dict.fromkeys(("singularity", "apptainer"), _CONTAINER),
    **dict.fromkeys(
        ("setsid", "chronic", "catchsegv", "unbuffer", "caffeinate", "fakeroot", "tini",
         "dumb-init", "exec", "command", "valgrind", "compute-sanitizer", "dbus-run-session"),
        _PLAIN,
    ),
}  # fmt: skip
# The same for `python -m`.
_MODULES = {
    "cProfile": _Launcher(_set("-o --outfile -s --sort"), is_python=True),
    "profile": _Launcher(_set("-o --outfile -s --sort"), is_python=True),
    "pdb": _Launcher(_set("-c --command"), is_python=True),
    "trace": _Launcher(
        _set("-f --file -C --coverdir -r --report --ignore-module --ignore-dir"), is_python=True
    ),
    "runpy": _Launcher(is_python=True),
    "debugpy": _Launcher(_set("--listen --connect --log-to --pid"), is_python=True),
    "torch.distributed.run": _TORCHRUN,
    "torch.distributed.launch": _TORCHRUN,
    "torch.distributed.elastic.multiprocessing": _TORCHRUN,
    "accelerate.commands.launch": _Launcher(flags=_ACCELERATE.flags, is_python=True),
    "accelerate.commands.accelerate_cli": _ACCELERATE,
    "deepspeed.launcher.runner": _DEEPSPEED,
    "mpi4py": _Launcher(_set("-rc"), is_python=True),
    "mpi4py.futures": _Launcher(_set("-rc"), is_python=True),
    "line_profiler": _LAUNCHERS["kernprof"],
    **dict.fromkeys(("ipdb", "pudb"), _Launcher(_set("-c"), is_python=True)),
    **dict.fromkeys(("memory_profiler", "pyinstrument", "scalene", "viztracer"), _PROFILER),
    **{name: _LAUNCHERS[name] for name in ("coverage", "memray", "kernprof")},
}
_TWO_VALUES = frozenset({"--mca", "-mca", "--gmca", "-genv", "-env"})


class Launched(NamedTuple):
    """The program at the end of a command line.

    Attributes:
        kind: `script`, `module`, `code` or `program`.
        what: The script's path, the module's name, the code, or the program.
        interpreter: The program that runs it, such as `python3`; or the program itself.
        environment: The launcher that selects its own environment, such as `conda`; empty if there
            is none.
        arguments: The arguments of the script, module or program itself.
    """

    kind: str
    what: str
    interpreter: str
    environment: str = ""
    arguments: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Its usual name: the script or program without its suffix, or the module."""
        if self.kind == "module":
            return self.what
        place = PurePath(self.interpreter if self.kind == "code" else self.what)
        return place.stem or place.name


def launched(command: Sequence[str]) -> Launched:
    """Return the program that a command runs behind all launchers."""
    words, environment = list(command), ""
    program = words[0]
    while words:
        program = words[0]
        name = PurePath(program).name
        if is_python(name):
            return _of_python(words[1:], program, environment)
        if name in _INTERPRETERS:
            inner = _inner_of_shell(words) if name in SHELLS else []
            if not inner:
                return _of_interpreter(words, environment)
            words = inner
            continue
        launcher = _LAUNCHERS.get(name)
        rest = None if launcher is None else _behind(launcher, words[1:])
        if launcher is None or not rest:
            break
        environment = name if launcher.has_own_environment else environment
        if launcher.is_python and (rest[0] in {"-m", "--module"} or _SOURCE.search(rest[0])):
            return _of_python(
                ["-m" if one == "--module" else one for one in rest[:1]] + rest[1:],
                program,
                environment,
            )
        words = rest
    kind = "program" if _SOURCE.search(program) is None else "script"
    return Launched(kind, program, program, environment, tuple(words[1:]))


def _of_python(words: Sequence[str], program: str, environment: str) -> Launched:
    kind, what, rest = python_target(words)
    launcher = _MODULES.get(what) if kind == "module" else None
    inner = None if launcher is None else _behind(launcher, rest)
    if launcher is not None and inner:
        if launcher.is_python or is_python(inner[0]):
            words = inner[1:] if is_python(inner[0]) else inner
            return _of_python(words, program, environment)
        return launched(inner)
    if not what:
        return Launched("program", program, program, environment)
    return Launched(kind, what, program, environment, tuple(rest))


def _behind(launcher: _Launcher, words: Sequence[str]) -> list[str] | None:
    """Return the command behind a launcher; None if it does something else."""
    rest = list(words)
    waits_for_verb, own_words = bool(launcher.verbs), launcher.words
    while rest:
        word = rest[0]
        if launcher.is_python and word in {"-m", "--module"} and not waits_for_verb:
            return rest
        if launcher.splits and (text := split_text(rest)) is not None:
            place, begin = text
            rest = _split(rest[place][begin:]) + rest[place + 1 :]
            continue
        if word == "--":
            rest = [*dropwhile(_ASSIGNMENT.match, rest[1:])]
            break
        if word.startswith("-"):
            rest = rest[1 + _takes(launcher, word, rest[1:]) :]
        elif waits_for_verb:
            if word not in launcher.verbs:
                return None
            waits_for_verb, rest = False, rest[1:]
        elif _ASSIGNMENT.match(word):
            rest = rest[1:]
        elif own_words:
            own_words, rest = own_words - 1, rest[1:]
        else:
            break
    return rest[own_words:] if not waits_for_verb else None


def _takes(launcher: _Launcher, option: str, following: Sequence[str]) -> int:
    """Return the number of following words that belong to an option."""
    if option in _TWO_VALUES:
        return 2
    if launcher.flags is None:
        return int(option in launcher.values)
    if "=" in option or not following or following[0].startswith("-"):
        return 0
    # A source file is never a value, for any option.
    is_flag = option.replace("_", "-") in launcher.flags or _SOURCE.search(following[0])
    return 0 if is_flag else 1


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return []


def split_text(words: Sequence[str]) -> tuple[int, int] | None:
    """Return the place of the text of `env -S`, and where it begins in its word.

    Args:
        words: The words that begin with the option: `-S TEXT`, `-STEXT`, `--split-string=TEXT`.

    Returns:
        None if they begin with another word, or if no text follows.
    """
    option = _SPLITS.match(words[0])
    if option is None:
        return None
    if option.end() < len(words[0]) or option[0].endswith("="):
        return 0, option.end()
    return (1, 0) if words[1:] else None


def text_of_shell(words: Sequence[str]) -> int | None:
    """Return the place of the text of `sh -c`; None if the shell runs no text."""
    place = 1
    while words[place : place + 1] and words[place][:1] in {"-", "+"}:
        option = words[place]
        place += 1
        if _SHELL_CODE.fullmatch(option):
            return place if place < len(words) else None
        if _SHELL_SETTING.fullmatch(option):
            place += 1
    return None


def _inner_of_shell(words: Sequence[str]) -> list[str]:
    """Return the command of `sh -c` if it is a single one; empty if the shell does more."""
    place = text_of_shell(words)
    if place is None or OF_A_SHELL.search(words[place]):
        return []
    return _without_assignments(words[place])


def _without_assignments(text: str) -> list[str]:
    """Return the words of a command that a shell runs, without `NAME=value` before it."""
    words = [*dropwhile(_ASSIGNMENT.match, _split(text))]
    return [] if words and words[0].startswith("-") else words


def _of_interpreter(words: Sequence[str], environment: str) -> Launched:
    program = words[0]
    is_shell = PurePath(program).name in SHELLS
    for place, word in enumerate(words[1:], 2):
        if _is_code_option(word, is_shell=is_shell):
            return Launched("code", "", program, environment)
        is_setting = is_shell and (word[:1] == "+" or _SHELL_SETTING.fullmatch(words[place - 2]))
        if not (word.startswith("-") or word.isdigit() or is_setting):
            return Launched("script", word, program, environment, tuple(words[place:]))
    return Launched("program", program, program, environment)


def _is_code_option(word: str, *, is_shell: bool) -> bool:
    if is_shell:  # -e ends a shell at the first error
        return _SHELL_CODE.fullmatch(word) is not None
    return word in {"-c", "-e", "-E", "--eval"} or (word[:1] == "-" and word.endswith("c"))
