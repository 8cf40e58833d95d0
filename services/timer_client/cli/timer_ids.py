"""The argument that names a timer, completed by asking the server."""

from dataclasses import replace

import click
from click.shell_completion import CompletionItem

from timer_client.cli.options import given_settings
from timer_client.cli.printable import printable
from timer_client.client import TimerClient
from timer_client.errors import TimerError
from timer_client.settings import load_settings

_COMPLETIONS = 50
_PATIENCE_S = 0.5
"""How long a completion may take, as someone waits at the keyboard: no suggestion is better than a slow one."""


def complete_id(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids that begin as typed; none where the server does not answer at once."""
    try:
        settings = load_settings(given_settings(context), warn=lambda _sentence: None)
        settings = replace(settings, timeout_s=_PATIENCE_S, retry_deadline_s=0)
        with TimerClient(settings=settings) as client:
            timers = client.list(incomplete, limit=_COMPLETIONS).timers
    except TimerError:
        return []
    return [
        CompletionItem(printable(each.id), help=printable(f"{each.state} {each.label}").rstrip()) for each in timers
    ]


timer_id_argument = click.argument("timer_id", metavar="ID", shell_complete=complete_id)

timer_ids_argument = click.argument("timer_ids", metavar="ID...", nargs=-1, required=True, shell_complete=complete_id)
