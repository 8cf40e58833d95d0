"""Asks the three questions: hours, minutes and seconds."""

import sys

import click

from timer_client.cli.amounts import Amounts, Number, parse_amount
from timer_protocol.durations import total_ms

_QUESTIONS = ("Enter your time in hours.", "Enter your time in minutes.", "Enter your time in seconds.")
_NO_TIME = "That is no time at all: a timer needs more than zero."


def ask_for_amounts(*, to_stderr: bool) -> Amounts:
    """Asks until there is an answer that makes sense, or reads the answers from what is piped in.

    Raises `click.UsageError` for a piped answer that does not make sense, as nobody can be asked again.
    """
    if not sys.stdin.isatty():
        return _read_amounts(to_stderr=to_stderr)
    while True:
        amounts = Amounts(*(_ask(question, to_stderr=to_stderr) for question in _QUESTIONS))
        if total_ms(*amounts) > 0:
            return amounts
        click.echo(_NO_TIME, err=to_stderr)


def _ask(question: str, *, to_stderr: bool) -> Number:
    answer: Number = click.prompt(question, default="0", prompt_suffix=" ", value_proc=_checked, err=to_stderr)
    return answer


def _read_amounts(*, to_stderr: bool) -> Amounts:
    amounts = Amounts(*(_read(question, to_stderr=to_stderr) for question in _QUESTIONS))
    if total_ms(*amounts) <= 0:
        raise click.UsageError(_NO_TIME)
    return amounts


def _read(question: str, *, to_stderr: bool) -> Number:
    answer = sys.stdin.readline()
    if not answer:
        raise click.UsageError(f"The input ended where an answer was expected: {question}")
    text = answer.strip() or "0"
    click.echo(f"{question} {text}", err=to_stderr)
    return _checked(text)


def _checked(text: str) -> Number:
    try:
        return parse_amount(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
