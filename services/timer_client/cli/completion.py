"""The command `timer completion`."""

import click
from click.shell_completion import get_completion_class

_BASH = r"""%(complete_func)s() {
    local line=${COMP_LINE:0:COMP_POINT} type value
    local typed=${line##*[[:space:]]}
    # Bash ends words at colons too, and replaces only what stands behind the last one.
    local kept=${typed%%"${typed##*["$COMP_WORDBREAKS"]}"}
    [[ -z $typed ]] && line+="''"
    COMPREPLY=()
    while IFS=, read -r type value; do
        case $type in
            dir) compopt -o dirnames ;;
            file) compopt -o default ;;
            plain) COMPREPLY+=("${value#"$kept"}") ;;
        esac
    done < <(COMP_WORDS=$line COMP_CWORD=-1 %(complete_var)s=bash_complete "$1")
}
complete -o nosort -F %(complete_func)s %(prog_name)s
"""
"""In place of click's own, which knows no words with a colon. The line goes over as it is typed, and -1 says that its
last word is the one to complete."""


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
    template = _BASH if shell == "bash" else script.source_template
    # Not `source()`, which runs a bash to ask for its version.
    click.echo(template % script.source_vars())
