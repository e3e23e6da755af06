"""runstore completion: let a shell complete commands, runs and experiments."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from runstore.cli.output import say
from runstore.errors import UsageError

_HOW = {
    "bash": 'eval "$(runstore completion bash)"',
    "zsh": 'eval "$(runstore completion zsh)"',
    "fish": "runstore completion fish | source",
}


@click.command(short_help="Print the completion script of a shell.")
@click.argument("shell", type=click.Choice(sorted(_HOW)))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print what makes SHELL complete commands, experiments and run references.

    \b
    bash, in ~/.bashrc:                   eval "$(runstore completion bash)"
    zsh, in ~/.zshrc:                     eval "$(runstore completion zsh)"
    fish, in ~/.config/fish/config.fish:  runstore completion fish | source
    """  # noqa: D301 - click keeps lines after the mark as they are
    completion = get_completion_class(shell)
    if completion is None:
        raise UsageError(f"There is no completion for {shell}.")
    root = context.find_root().command
    say(completion(root, {}, "runstore", "_RUNSTORE_COMPLETE").source(), keep_lines=True)
