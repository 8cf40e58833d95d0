"""The command `timer completion`."""

import click
from click.shell_completion import get_completion_class


@click.command
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the completion script of a shell.

    \b
    bash   eval "$(timer completion bash)"     in ~/.bashrc
    zsh    eval "$(timer completion zsh)"      in ~/.zshrc
    fish   timer completion fish | source      in ~/.config/fish/config.fish
    """
    kind = get_completion_class(shell)
    assert kind is not None
    script = kind(context.find_root().command, {}, "timer", "_TIMER_COMPLETE")
    # Not `source()`, which runs a bash to ask for its version.
    click.echo(script.source_template % script.source_vars())
