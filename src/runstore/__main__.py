"""The command `runstore`, and `python -m runstore`: its version at once, all else in `cli`."""

import os
import sys

import runstore


def main() -> None:
    """Print the version, which needs no command line to be loaded, or run the command line."""
    is_version_asked = sys.argv[1:] in (["--version"], ["-V"])
    # The command line knows what to do without a stdout, and where a shell asks for completions.
    if is_version_asked and sys.stdout is not None and "_RUNSTORE_COMPLETE" not in os.environ:
        try:
            os.write(sys.stdout.fileno(), f"runstore, version {runstore.__version__}\n".encode())
        except BrokenPipeError:
            return  # nobody reads on
        except OSError:
            pass  # the command line says what is wrong with stdout
        else:
            return
    from runstore.cli.main import main as command_line

    command_line()


if __name__ == "__main__":
    main()
