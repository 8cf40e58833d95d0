"""Starts what a file of jobs holds, and counts what becomes of its lines."""

from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct

from timer_client.calls import Call, TimerSpec, start_spec
from timer_client.cli.job_lines import Fault, Job, PlanJob, QueueJob, TimerJob
from timer_client.cli.refusals import reason_of
from timer_client.client import TimerClient
from timer_client.encoding import encoded
from timer_client.errors import PlanNotFound, QueueNotFound, ServerError
from timer_client.plan_calls import put_spec
from timer_protocol.messages import Timer
from timer_protocol.queue_messages import Queue

_PAUSE_KEY = "timer import"
"""The key of the pauses: who imports a file again pauses nothing that was resumed since."""


class Tally(Struct):
    """What has become of the lines of a file: `existing` are timers, plans and queues that were there already."""

    started: int = 0
    existing: int = 0
    plans: int = 0
    queues: int = 0
    refused: list[Fault] = []


class Starts:
    """Starts jobs, of which each has an id: what is there already stays as it is."""

    def __init__(self, client: TimerClient) -> None:
        self.tally = Tally()
        self._client = client

    def take(self, jobs: Sequence[Job | Fault]) -> None:
        """Starts some, and counts them. Raises `TimerError` where no server can be reached."""
        self.tally.refused += [job for job in jobs if isinstance(job, Fault)]
        for job in jobs:
            if isinstance(job, QueueJob | PlanJob):
                self._put(job)
        timers = [job for job in jobs if isinstance(job, TimerJob)]
        self._start_elapsed([job for job in timers if job.at is None])
        self._start_by_wall([job for job in timers if job.at is not None])
        self.tally.refused.sort(key=lambda fault: fault.line)

    def _start_elapsed(self, jobs: Sequence[TimerJob]) -> None:
        result = self._client.start_columns(
            [job.id for job in jobs],
            [job.seconds for job in jobs],
            labels=[job.label for job in jobs],
            payloads=[job.payload for job in jobs],
        )
        refused = {start.index: start.error for start in result.refused}
        self._pause([job for index, job in enumerate(jobs) if index not in refused])
        self.tally.started += result.started
        self.tally.existing += len(result.existing)
        self.tally.refused += [Fault(jobs[index].line, reason_of(error)) for index, error in refused.items()]

    def _start_by_wall(self, jobs: Sequence[TimerJob]) -> None:
        """Starts timers for moments, which no columns can hold."""
        if not jobs:
            return
        specs = [_spec(job) for job in jobs]
        began_ms = self._began_ms
        outcomes: Sequence[Timer | ServerError]
        try:
            outcomes = self._client.start_many(specs)
        except ServerError:  # it does not say which; those that have started are found again
            outcomes = [self._outcome(start_spec(spec)) for spec in specs]
        started = []
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, ServerError):
                self.tally.refused.append(Fault(job.line, str(outcome)))
                continue
            started.append(job)
            self.tally.started += outcome.started_at_ms >= began_ms
            self.tally.existing += outcome.started_at_ms < began_ms
        self._pause(started)

    def _pause(self, jobs: Sequence[TimerJob]) -> None:
        self._client.change_many("pause", ids=[job.id for job in jobs if job.is_paused], key=_PAUSE_KEY)

    def _put(self, job: PlanJob | QueueJob) -> None:
        """Puts a plan or a queue where there is none of its name."""
        try:
            if isinstance(job, PlanJob):
                if self._has_plan(job.spec.plan):
                    self.tally.existing += 1
                else:
                    self._client.call(put_spec(job.spec))
                    self.tally.plans += 1
            elif self._has_queue(job.params.queue):
                self.tally.existing += 1
            else:
                self._client.call(Call("queue.put", encoded(job.params), Queue))
                self.tally.queues += 1
        except ServerError as error:
            self.tally.refused.append(Fault(job.line, str(error)))

    def _has_plan(self, plan_id: str) -> bool:
        try:
            self._client.get_plan(plan_id)
        except PlanNotFound:
            return False
        return True

    def _has_queue(self, name: str) -> bool:
        try:
            self._client.get_queue(name)
        except QueueNotFound:
            return False
        return True

    @cached_property
    def _began_ms(self) -> int:
        """When this began, by the server's clock: a timer that has started before was there already."""
        return max(standing.now_ms for standing in self._client.info().logs.values())

    def _outcome(self, call: Call[Timer]) -> Timer | ServerError:
        try:
            return self._client.call(call)
        except ServerError as error:
            return error


def _spec(job: TimerJob) -> TimerSpec:
    return TimerSpec(id=job.id, label=job.label, payload=job.payload, at=job.at, zone=job.zone, past=job.past)
