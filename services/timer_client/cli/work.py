"""The command `timer work`: a worker of a queue that runs a command for each end."""

import asyncio
import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import click

from timer_client.async_client import AsyncTimerClient
from timer_client.async_work import AsyncHeldDelivery, AsyncWork
from timer_client.cli import end_command
from timer_client.cli.connection import Failure, PauseNotice, failures_told, settings_of
from timer_client.cli.end_command import Child, ThenCommand
from timer_client.cli.interrupts import Terminated
from timer_client.cli.options import connection_options
from timer_client.cli.printable import printable
from timer_client.cli.queue_arguments import delivery_options, given, queue_argument
from timer_client.errors import LeaseLost, NotPermitted, QueueNotFound, TimerError
from timer_client.holding import CONCURRENCY_MAXIMUM
from timer_client.settings import Settings
from timer_protocol.environment import OF_A_DELIVERY
from timer_protocol.plurals import counted

GIVEN_UP = 65
"""The exit code by which a command says that trying again cannot help (EX_DATAERR)."""


class WorkCommand(ThenCommand):
    """A command that runs another one for each end."""

    when = "for each end, as in timer work QUEUE -- ./send.sh"

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Reads the arguments, among which there has to be a command."""
        rest = super().parse_args(ctx, args)
        if not ctx.params["command"] and not ctx.resilient_parsing:
            raise click.UsageError(f"after -- comes the command to run {self.when}; it is missing", ctx)
        return rest


@click.command(cls=WorkCommand)
@queue_argument
@click.option("--prefix", metavar="TEXT", help="Make the queue where there is none, of the ends of ids that begin so.")
@click.option(
    "-j",
    "--jobs",
    type=click.IntRange(1, CONCURRENCY_MAXIMUM),
    default=1,
    metavar="N",
    help="How many run at once (default 1).",
)
@delivery_options
@connection_options
@click.pass_context
def work(  # noqa: PLR0913 - the options of a command
    context: click.Context,
    *,
    queue: str,
    prefix: str | None,
    jobs: int,
    lease_ms: int | None,
    max_deliveries: int | None,
    backoff_ms: list[int] | None,
    command: Sequence[str],
) -> None:
    """Run a command for each end that a queue hands out.

    COMMAND gets the payload as JSON on its standard input, and TIMER_ID, TIMER_LABEL, TIMER_STATE, TIMER_DUE_AT_MS,
    TIMER_LATE_MS, TIMER_QUEUE, TIMER_ATTEMPT and TIMER_MAX_DELIVERIES in its environment. Exit code 0 is success, 65
    gives the end up: it becomes a dead letter. After any other the end is tried again later. Several workers share
    the ends, and what one was about when it was killed goes to another.

    SIGTERM and Ctrl-C let the commands that run finish, and give back the rest; a second one ends the commands too.

    A queue that is there is not changed: --lease, --retries and --backoff are for one that is made here.
    """
    end_command.check(command)
    settings = settings_of(context)
    wanted = given(lease_ms=lease_ms, max_deliveries=max_deliveries, backoff_ms=backoff_ms)
    with failures_told():
        try:
            ended_by = asyncio.run(_work(settings, queue, prefix, jobs, wanted, command))
        except QueueNotFound:
            if prefix is not None:
                raise
            raise Failure(f'queue {queue!r} is not there; to make it give --prefix, which is "" for all ends') from None
    if ended_by is not None:
        raise ended_by


async def _work(
    settings: Settings, queue: str, prefix: str | None, jobs: int, wanted: dict[str, object], command: Sequence[str]
) -> BaseException | None:
    """Works until a signal, and returns what the process is to end by."""
    async with (
        AsyncTimerClient(settings=settings, on_pause=PauseNotice(settings)) as client,
        client.work(queue, prefix, concurrency=jobs, **wanted) as deliveries,  # type: ignore[arg-type] # given by name
    ):
        await _tell_begin(client, queue, jobs, wanted, command)
        with ThreadPoolExecutor(jobs, "timer-command") as threads:
            crew = _Crew(deliveries, command, threads)
            await crew.work()
    return crew.ended_by


async def _tell_begin(
    client: AsyncTimerClient, name: str, jobs: int, wanted: dict[str, object], command: Sequence[str]
) -> None:
    """Says on stderr what is worked on, and what of the wishes the queue does not fulfil."""
    reads, differs = "", False
    try:
        queue = await client.get_queue(name)
    except NotPermitted:
        pass
    else:
        reads = f", the ends below {queue.prefix}" if queue.prefix else ", all ends"
        differs = any(_plain(getattr(queue, member)) != wish for member, wish in wanted.items())
    click.echo(printable(f"timer: working on queue {name}{reads}, with {command[0]}, {jobs} at a time"), err=True)
    if differs:
        click.echo("timer: the queue was there already, and keeps its own lease, retries and backoff", err=True)


class _Crew:
    """The commands that run."""

    def __init__(self, deliveries: AsyncWork, command: Sequence[str], threads: ThreadPoolExecutor) -> None:
        self._deliveries = deliveries
        self._command = command
        self._threads = threads
        self._running: set[Child] = set()
        self.ended_by: BaseException | None = None
        """What the process is to end by: a signal, or a command that cannot be run."""

    async def work(self) -> None:
        """Works until a signal. What runs is waited for in any case. Raises `TimerError`."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._end, Terminated())
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            loop.add_signal_handler(signal.SIGINT, self._end, KeyboardInterrupt())
        handling: set[asyncio.Task[None]] = set()
        try:
            async for delivery in self._deliveries:
                task = asyncio.create_task(self._handle(delivery))
                handling.add(task)
                task.add_done_callback(handling.discard)
        finally:
            await asyncio.gather(*handling)

    def _end(self, by: BaseException) -> None:
        """Takes no more, and at the second time ends what runs."""
        if self.ended_by is not None:
            for child in self._running:
                child.ask_to_end()
            return
        self._stop(by)
        if self._running:
            waits = f"waiting for {counted(len(self._running), 'command')} to finish; once more ends them"
            click.echo(f"timer: {waits}", err=True)

    def _stop(self, by: BaseException) -> None:
        self.ended_by = self.ended_by or by
        self._deliveries.stop()

    async def _handle(self, delivery: AsyncHeldDelivery) -> None:
        """Runs the command for an end, and settles it. What goes wrong is told."""
        try:
            async with delivery:
                code = await self._run(delivery)
                if code:
                    await self._give_back(delivery, code)
        except LeaseLost as lost:
            _tell(delivery, f"{lost}; the command was ended")
        except TimerError as error:
            _tell(delivery, str(error))

    async def _run(self, delivery: AsyncHeldDelivery) -> int | None:
        """The exit code of the command, negative for a signal; None where it cannot be run.

        Where this task is cancelled, the command is ended.
        """
        child = Child(in_own_group=True)  # a terminal's Ctrl-C is for this process alone
        values = (delivery.queue, delivery.attempt, delivery.max_deliveries)
        of_delivery = {name: str(value).encode() for name, value in zip(OF_A_DELIVERY, values, strict=True)}
        try:
            child.start(self._command, {**end_command.told(delivery.timer), **of_delivery})
        except Failure as failure:  # no fault of the end's
            self._stop(failure)
            await delivery.nack(then="return")
            return None
        self._running.add(child)
        loop = asyncio.get_running_loop()
        ended = loop.run_in_executor(self._threads, child.end, end_command.given(delivery.timer))
        try:
            return await asyncio.shield(ended)
        except asyncio.CancelledError:
            child.ask_to_end()
            await ended
            raise
        finally:
            self._running.discard(child)

    async def _give_back(self, delivery: AsyncHeldDelivery, code: int) -> None:
        ended = end_command.how_it_ended(code)
        if self.ended_by is not None and code in (-signal.SIGINT, -signal.SIGTERM):
            await delivery.nack(then="return")
            _tell(delivery, f"the command {ended}; given back")
        elif code == GIVEN_UP:
            await delivery.nack(ended, then="dead")
            _tell(delivery, f"the command {ended}: given up")
        else:
            await delivery.nack(ended)
            most = f" of {delivery.max_deliveries}" if delivery.max_deliveries else ""
            _tell(delivery, f"the command {ended} (attempt {delivery.attempt}{most})")


def _tell(delivery: AsyncHeldDelivery, what: str) -> None:
    click.echo(printable(f"timer: {delivery.id}: {what}"), err=True)


def _plain(value: object) -> object:
    return list(value) if isinstance(value, tuple) else value
