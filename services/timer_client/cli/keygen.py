"""`timer keygen`."""

import re
from pathlib import Path

import click

from timer_client.cli.connection import Failure
from timer_client.errors import ConfigError
from timer_client.keys import make_keys


def _file_name(_context: click.Context, _parameter: click.Parameter, text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text) or text == "server":
        raise click.BadParameter(f"{text!r} is no name for a file: use A-Z a-z 0-9 . _ - (and not 'server')")
    return text


@click.command()
@click.argument("name", callback=_file_name)
@click.option("--folder", type=click.Path(path_type=Path, file_okay=False), default=".", help="Where to put the files.")
def keygen(name: str, folder: Path) -> None:
    """Make a key pair for an encrypted connection.

    NAME.key_secret is to be kept, NAME.key is for the server's operator.
    """
    try:
        secret, public = make_keys(folder, name)
    except ConfigError as error:
        raise Failure(str(error)) from None
    click.echo(f"made {secret}: keep it; TIMER_CURVE_CLIENT_SECRET names it, with the server's server.key beside it")
    click.echo(f"made {public}: for the server's folder of allowed keys")
