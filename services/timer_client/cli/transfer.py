"""Timers, plans and queues from and to files of JSON lines: `timer start --file`, `timer import` and `timer export`."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from pathlib import Path

import click

from timer_client.cli.connection import Misuse, connected, settings_of
from timer_client.cli.exit_codes import ExitCode
from timer_client.cli.job_lines import Fault, Job, line_of, plan_line, queue_line, read_jobs
from timer_client.cli.job_starts import Starts, Tally
from timer_client.cli.options import connection_options, json_option
from timer_client.cli.refusals import tell_faults
from timer_client.cli.text import show_json
from timer_client.errors import TimerError
from timer_protocol.messages import State
from timer_protocol.plurals import counted

_JOBS_AT_ONCE = 1000
"""Lines that are read before they are sent."""

_STDIN = "-"

PLAN_MARK = "~"
"""Stands in the ids of timers that a plan has started, and in no other."""

_PENDING: tuple[State, ...] = ("running", "paused")


def file_type() -> click.Path:
    """The type of an argument that is a file to read, or `-` for the standard input."""
    return click.Path(exists=True, dir_okay=False, allow_dash=True)


@click.command("import")
@click.option(
    "--file", "path", type=file_type(), default=_STDIN, metavar="FILE", help="Read this, not the standard input."
)
@click.option(
    "--atomic", is_flag=True, help="Start none where a line is not written right; its zone is for the server to check."
)
@json_option
@connection_options
@click.pass_context
def import_timers(context: click.Context, path: str, *, atomic: bool, as_json: bool) -> None:
    """Start the timers of an exported file, and put its plans and queues.

    Each timer runs for the time that it had left when it was exported, or until its moment of the wall clock; one that
    was paused is paused again. A plan of steps begins its round anew, with its first step. To import a file again
    starts and pauses nothing twice. Plans and queues that are there already are left as they are.
    """
    start_file(context, path, atomic=atomic, as_json=as_json, with_plans=True)


@click.command("export")
@click.option("--prefix", default="", metavar="TEXT", help="Only ids that begin so.")
@connection_options
@click.pass_context
def export_timers(context: click.Context, prefix: str) -> None:
    """Write queues, plans and pending timers as lines of JSON.

    The command import starts the timers anew, with the time that they have left now, or for the moment of the wall
    clock that they were started for. A plan is written in place of the timers that it has started: with the rounds
    that it has yet to go, without the time of the step that runs; of a queue its settings, not what it holds.
    """
    with connected(context) as client:
        for queue in client.queues(prefix):
            click.echo(queue_line(queue), nl=False)
        for plan in client.plans(prefix):
            if plan.state != "finished":
                click.echo(plan_line(plan), nl=False)
        counts = client.info().counts
        with _progress("Exporting", None if prefix else counts.running + counts.paused) as advance:
            for timer in client.timers(prefix, states=_PENDING):
                if PLAN_MARK not in timer.id:
                    click.echo(line_of(timer), nl=False)
                advance(1)


def start_file(context: click.Context, path: str, *, atomic: bool, as_json: bool, with_plans: bool = False) -> None:
    """Starts the timers of a file, and tells what has become of them. Plans and queues in it may be put too."""
    settings = settings_of(context)
    with _lines(path) as (lines, count), _progress("Starting", count) as advance:
        jobs: Iterable[Job | Fault] = read_jobs(lines, settings.id_prefix, with_plans=with_plans)
        if atomic:
            jobs = [*jobs]
            _check_all(jobs, path)
        with connected(context) as client:
            starts = Starts(client)
            try:
                _start_all(starts, iter(jobs), advance)
            except TimerError:
                before = f"timer: before that, {_sentence(starts.tally)}; the same file again starts no id twice"
                click.echo(before, err=True)
                raise
    tally = starts.tally
    if as_json:
        show_json(tally)
    else:
        tell_faults([f"{path}, line {fault.line}: {fault.reason}" for fault in tally.refused])
        click.echo(_sentence(tally))
    if tally.refused:
        context.exit(ExitCode.REFUSED)


def _start_all(starts: Starts, jobs: Iterator[Job | Fault], advance: Callable[[float], None]) -> None:
    while taken := list(islice(jobs, _JOBS_AT_ONCE)):
        starts.take(taken)
        advance(len(taken))


def _check_all(jobs: Iterable[Job | Fault], path: str) -> None:
    """Ends the command where a line cannot be used."""
    faults = [job for job in jobs if isinstance(job, Fault)]
    if faults:
        tell_faults([f"{path}, line {fault.line}: {fault.reason}" for fault in faults])
        raise Misuse(f"{counted(len(faults), 'line')} of {path} cannot be used, so nothing was started")


def _sentence(tally: Tally) -> str:
    parts = [f"{counted(tally.started, 'timer')} started"]
    parts += [f"{counted(tally.plans, 'plan')} put"] if tally.plans else []
    parts += [f"{counted(tally.queues, 'queue')} put"] if tally.queues else []
    parts += [f"{tally.existing} there already"] if tally.existing else []
    parts += [f"{counted(len(tally.refused), 'line')} refused"] if tally.refused else []
    return ", ".join(parts)


@contextmanager
def _lines(path: str) -> Iterator[tuple[Iterable[bytes], int | None]]:
    """The lines of a file, and how many they are where that can be told before they are read."""
    if path == _STDIN:
        yield sys.stdin.buffer, None
        return
    with Path(path).open("rb") as file:
        if not file.seekable():
            yield file, None
            return
        count = sum(1 for _ in file)
        file.seek(0)
        yield file, count


@contextmanager
def _progress(what: str, total: int | None) -> Iterator[Callable[[float], None]]:
    """A progress bar on a terminal, for the length of a block: what it gives moves the bar on."""
    if not sys.stderr.isatty():
        yield lambda _count: None
        return
    from rich.console import Console  # noqa: PLC0415 - only a terminal needs it
    from rich.progress import Progress  # noqa: PLC0415 - nor this

    with Progress(console=Console(stderr=True), transient=True) as bar:
        yield partial(bar.advance, bar.add_task(what, total=total))
