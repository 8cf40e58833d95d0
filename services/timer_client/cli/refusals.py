"""Tells on stderr what some of many timers were refused for."""

from collections.abc import Sequence

import click

from timer_client.cli.printable import printable
from timer_protocol.errors import RpcError

TOLD_MOST = 20
"""Faults that are told one by one: more would push everything else off the screen."""


def reason_of(error: RpcError) -> str:
    """What a refusal says."""
    return str(error.data.get("reason", error.message))


def tell_faults(faults: Sequence[str]) -> None:
    """Prints the first of many sentences, and how many more there are."""
    for fault in faults[:TOLD_MOST]:
        click.echo(f"timer: {printable(fault)}", err=True)
    if len(faults) > TOLD_MOST:
        click.echo(f"timer: and {len(faults) - TOLD_MOST} more", err=True)
