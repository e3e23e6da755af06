"""The command `runstore`, and `python -m runstore`: fast `--version`, everything else in `cli`."""

import atexit
import gc
import os
import sys

import runstore

# As in `runstore.cli.exit_codes`, which is not loaded yet.
_INTERRUPTED = 130


def main() -> None:
    """Print the version without loading the command line, or run the command line."""
    is_version_asked = sys.argv[1:] in (["--version"], ["-V"])
    # The command line handles a missing stdout, and requests of shells for completions.
    if is_version_asked and sys.stdout is not None and "_RUNSTORE_COMPLETE" not in os.environ:
        try:
            os.write(sys.stdout.fileno(), f"runstore, version {runstore.__version__}\n".encode())
        except BrokenPipeError:
            return  # the reader has gone
        except OSError:
            pass  # the command line reports the problem with stdout
        else:
            return
    atexit.register(_skip_last_collection)  # the first, and so called last
    gc.disable()  # there is no garbage among modules
    try:
        from runstore.cli.main import main as command_line
    except KeyboardInterrupt:
        sys.exit(_INTERRUPTED)
    finally:
        gc.enable()
    command_line()


def _skip_last_collection() -> None:
    """Leave the memory to the system: the search for garbage takes a fifth of a short command.

    `runstore run` loads modules of the user, whose objects may rely on it for their `__del__`.
    """
    if "runstore.runner.modules" not in sys.modules:
        gc.freeze()


if __name__ == "__main__":
    main()
