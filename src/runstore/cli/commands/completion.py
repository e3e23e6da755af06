"""runstore completion: print the completion script of a shell."""

from __future__ import annotations

import click

from runstore.cli.grammar.shells import SHELLS
from runstore.cli.output import say


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(sorted(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script by which SHELL completes commands, runs, metrics, columns and tags.

    \b
    bash, in ~/.bashrc:                   eval "$(runstore completion bash)"
    zsh, in ~/.zshrc:                     eval "$(runstore completion zsh)"
    fish, in ~/.config/fish/config.fish:  runstore completion fish | source

    A name such as mnist#7 is quoted as the shell needs it. zsh needs it in quotes with the option
    extendedglob: 'mnist#7', or write mnist_7.
    """  # noqa: D301 - click keeps lines after the mark as they are
    root = context.find_root().command
    say(SHELLS[shell](root, {}, "runstore", "_RUNSTORE_COMPLETE").source(), keep_lines=True)
