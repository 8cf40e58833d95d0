"""The commands `timer-gateway token`, which makes a token, and `timer-gateway tokens`, which lists those there are."""

from pathlib import Path

import click

from timer_gateway.token_file import check_name
from timer_gateway.tokens import TokenFileError, make_token, read_tokens
from timer_protocol.environment import read_environment
from timer_protocol.key_files import check_prefix, rights_from_text, rights_to_text
from timer_protocol.plurals import counted
from timer_protocol.sender import DEFAULT_RIGHTS, Right
from timer_protocol.settings import GATEWAY_VARIABLES, SettingError

_EXIT_MISUSED = 2


class Fault(click.ClickException):
    """Ends the command with a sentence on stderr."""

    exit_code = _EXIT_MISUSED

    def show(self, _file: object = None) -> None:
        """Prints the sentence."""
        click.echo(f"timer-gateway: {self.message}", err=True)


def _name(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        if text:
            check_name(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text


def _prefix(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        check_prefix(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text


def _rights(_context: click.Context, _parameter: click.Parameter, text: str | None) -> frozenset[Right]:
    try:
        return DEFAULT_RIGHTS if text is None else rights_from_text(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


def _tokens_path() -> Path:
    (variable,) = (variable for variable in GATEWAY_VARIABLES if variable.name == "TIMER_GATEWAY_TOKENS")
    try:
        return Path(variable.read(read_environment()))
    except SettingError as error:
        raise Fault(str(error)) from None


@click.command()
@click.option("--prefix", callback=_prefix, default="", help="What ids begin with that it may touch; all without this.")
@click.option(
    "--rights",
    callback=_rights,
    metavar="RIGHTS",
    help="What it may do, such as read,start: of read, start, change, take and admin. All but admin without this.",
)
@click.option("--name", callback=_name, default="", help="What it is called in the file and in logs.")
def token(prefix: str, rights: frozenset[Right], name: str) -> None:
    """Make a token for a program or a person, and print it once.

    Only its hash is kept, in the file that TIMER_GATEWAY_TOKENS names. A gateway that runs takes it after SIGHUP.
    """
    path = _tokens_path()
    try:
        made, caller = make_token(path, rights, prefix, name)
    except TokenFileError as error:
        raise Fault(str(error)) from None
    click.echo(made)
    bound = f", below {caller.prefix}" if caller.prefix else ""
    told = f"{caller.name} ({rights_to_text(caller.rights)}{bound}): its hash is in {path}"
    click.echo(f"{told}. Nothing tells the token again; a gateway that runs takes it after SIGHUP.", err=True)


@click.command()
def tokens() -> None:
    """List the tokens by name: what each may do, and what ids begin with that it may touch.

    To revoke one, take its line out of the file that TIMER_GATEWAY_TOKENS names, and send the gateway SIGHUP.
    """
    path = _tokens_path()
    try:
        callers = read_tokens(path)
    except TokenFileError as error:
        raise Fault(str(error)) from None
    for caller in callers or ():
        click.echo("\t".join([caller.name, rights_to_text(caller.rights), *([caller.prefix] if caller.prefix else [])]))
    click.echo(f"{counted(len(callers or ()), 'token')} in {path}" if callers is not None else f"no {path}", err=True)
