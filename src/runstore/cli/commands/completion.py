"""runstore completion: print the completion script of a shell."""

from __future__ import annotations

import click

from runstore.cli.grammar.shells import SHELLS
from runstore.cli.output import say


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(sorted(SHELLS)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the script that completes commands, runs, metrics, columns and tags in a shell.

    \b
    bash, in ~/.bashrc:                   eval "$(runstore completion bash)"
    zsh, in ~/.zshrc:                     eval "$(runstore completion zsh)"
    fish, in ~/.config/fish/config.fish:  runstore completion fish | source

    Names such as mnist#7 are quoted if necessary. In zsh with the option extendedglob, write
    'mnist#7' in quotes, or mnist_7.
    """  # noqa: D301 - click keeps lines after the mark as they are
    root = context.find_root().command
    say(SHELLS[shell](root, {}, "runstore", "_RUNSTORE_COMPLETE").source(), keep_lines=True)
