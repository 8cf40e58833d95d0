"""The command `timer keygen`."""

from pathlib import Path

import click

from timer_client.cli.connection import Misuse
from timer_client.cli.printable import printable
from timer_protocol.key_files import PUBLIC_SUFFIX, SECRET_SUFFIX, check_name, rights_from_text
from timer_protocol.key_pairs import KeyFileError, is_there, make_pair
from timer_protocol.sender import DEFAULT_RIGHTS, Right


def _file_name(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    try:
        check_name(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None
    return text


def _rights(_context: click.Context, _parameter: click.Parameter, text: str | None) -> frozenset[Right]:
    try:
        return DEFAULT_RIGHTS if text is None else rights_from_text(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.argument("name", callback=_file_name)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=".", help="Where to put the files.")
@click.option(
    "--rights",
    callback=_rights,
    metavar="RIGHTS",
    help="What the key is to be good for, such as read,take: of read, start, change, take and admin. It stands in"
    " NAME.key, where the operator decides about it. All but admin where it is left out.",
)
def keygen(name: str, folder: Path, rights: frozenset[Right]) -> None:
    """Make a key pair for an encrypted connection.

    NAME.key_secret is to be kept, NAME.key is for the server's operator.
    """
    secret, public = folder / f"{name}{SECRET_SUFFIX}", folder / f"{name}{PUBLIC_SUFFIX}"
    try:
        for path in filter(is_there, (secret, public)):
            raise Misuse(f"{path} is there already; keys are never overwritten")
        make_pair(secret, public, rights=rights)
    except KeyFileError as error:
        raise Misuse(str(error)) from None
    made, handed_over = printable(str(secret)), printable(str(public))
    click.echo(f"made {made}: keep it; TIMER_CURVE_CLIENT_SECRET names it, with the server's server.key beside it")
    click.echo(f"made {handed_over}: for the server's folder of allowed keys")
