"""The arguments that name a timer or a plan, completed by asking the server."""

from collections.abc import Callable
from dataclasses import replace

import click
from click.shell_completion import CompletionItem

from timer_client.cli.options import given_settings
from timer_client.cli.printable import printable
from timer_client.client import TimerClient
from timer_client.errors import TimerError
from timer_client.plan_calls import plans_page
from timer_client.settings import load_settings

_COMPLETIONS = 50
_PATIENCE_S = 0.5
"""How long a completion may take, as someone waits at the keyboard: no suggestion is better than a slow one."""


def complete_id(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of timers that begin as typed."""
    return _completions(
        context,
        lambda client: [
            (each.id, f"{each.state} {each.label}") for each in client.list(incomplete, limit=_COMPLETIONS).timers
        ],
    )


def complete_plan_id(context: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The ids of plans that begin as typed."""
    return _completions(
        context,
        lambda client: [
            (each.plan, f"{each.state} {each.label}")
            for each in client.call(plans_page(incomplete, None, _COMPLETIONS)).plans
        ],
    )


def _completions(context: click.Context, ask: Callable[[TimerClient], list[tuple[str, str]]]) -> list[CompletionItem]:
    """What is asked for, with what helps to choose; nothing where the server does not answer at once."""
    try:
        settings = load_settings(given_settings(context), warn=lambda _sentence: None)
        settings = replace(settings, timeout_s=_PATIENCE_S, retry_deadline_s=0)
        with TimerClient(settings=settings) as client:
            found = ask(client)
    except TimerError:
        return []
    return [CompletionItem(printable(each), help=printable(about).rstrip()) for each, about in found]


timer_id_argument = click.argument("timer_id", metavar="ID", shell_complete=complete_id)

timer_ids_argument = click.argument("timer_ids", metavar="ID...", nargs=-1, required=True, shell_complete=complete_id)

plan_id_argument = click.argument("plan_id", metavar="ID", shell_complete=complete_plan_id)

plan_ids_argument = click.argument(
    "plan_ids", metavar="ID...", nargs=-1, required=True, shell_complete=complete_plan_id
)
