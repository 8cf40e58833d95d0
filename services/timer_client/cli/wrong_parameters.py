"""What the server finds wrong with a parameter, in the words of the command line: its options and arguments."""

import re
from collections.abc import Iterable

import click

from timer_protocol.plurals import counted

_FAULT = re.compile(r"(?P<fault>.+?) - at `params\.(?P<member>[a-z_]+)[^`]*`(?:: .*)? \([a-z._]+ takes .*\)", re.DOTALL)
_BOUND = re.compile(r"Expected `(?P<kind>\w+)` (?P<of_length>of length )?(?P<side>>=|<=) (?P<bound>[0-9]+)")
_SIDES = {">=": "at least", "<=": "at most"}
_PARTS = {"str": "character", "array": "item"}


def reworded(reason: str, parameters: Iterable[click.Parameter]) -> str:
    """The reason of a refusal, without the names of the protocol where those of the command say it.

    `parameters` are those of the command that has asked.
    """
    match = _FAULT.fullmatch(reason)
    if match is None:
        return reason
    name = _given_as(match["member"], parameters)
    bound = _BOUND.fullmatch(match["fault"])
    if bound is None:
        return f"{name}: {match['fault']}"
    verb, side, number = "have" if bound["of_length"] else "be", _SIDES[bound["side"]], int(bound["bound"])
    unit = "ms" if match["member"].endswith("_ms") else ""
    amount = counted(number, _PARTS.get(bound["kind"], "part")) if bound["of_length"] else f"{number} {unit}".rstrip()
    return f"{name} must {verb} {side} {amount}"


def _given_as(member: str, parameters: Iterable[click.Parameter]) -> str:
    """How a member of the params is written at the command line; by its own name where the command does not say."""
    for parameter in parameters:
        # A plan's id is `plan` in the protocol and `plan_id` here, a timer's is `id` there and `timer_id` here.
        if parameter.name in {member, f"{member}_id", f"{member}_ids", f"timer_{member}", f"timer_{member}s"}:
            return (
                max(parameter.opts, key=len)
                if isinstance(parameter, click.Option)
                else str(parameter.metavar).strip("[].")
            )
    return member
