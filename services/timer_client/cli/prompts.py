"""Asks the three questions: hours, minutes and seconds."""

import sys

import click

from timer_client.cli.amounts import Amounts, Number, parse_answer
from timer_client.cli.printable import printable
from timer_protocol.durations import total_ms

_NO_TIME = "That is no time at all: a timer needs more than zero."


def ask_for_amounts(*, to_stderr: bool) -> Amounts:
    """Asks until there is an answer that makes sense, or reads the answers from what is piped in.

    Raises `click.UsageError` for a piped answer that does not make sense, as nobody can be asked again.
    """
    if not sys.stdin.isatty():
        return _read_amounts(to_stderr=to_stderr)
    while True:
        amounts = Amounts(*(_ask(unit, to_stderr=to_stderr) for unit in Amounts._fields))
        if total_ms(*amounts) > 0:
            return amounts
        click.echo(_NO_TIME, err=to_stderr)


def _ask(unit: str, *, to_stderr: bool) -> Number:
    answer: Number = click.prompt(
        _question(unit), default="0", prompt_suffix=" ", value_proc=lambda text: _checked(text, unit), err=to_stderr
    )
    return answer


def _read_amounts(*, to_stderr: bool) -> Amounts:
    amounts = Amounts(*(_read(unit, to_stderr=to_stderr) for unit in Amounts._fields))
    if total_ms(*amounts) <= 0:
        raise click.UsageError(_NO_TIME)
    return amounts


def _read(unit: str, *, to_stderr: bool) -> Number:
    answer = sys.stdin.readline()
    if not answer:
        raise click.UsageError(f"The input ended where an answer was expected: {_question(unit)}")
    text = answer.strip() or "0"
    click.echo(printable(f"{_question(unit)} {text}"), err=to_stderr)
    return _checked(text, unit)


def _question(unit: str) -> str:
    return f"Enter your time in {unit}."


def _checked(text: str, unit: str) -> Number:
    try:
        return parse_answer(text, unit)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
