"""What is on its way to PostgreSQL: commits that are too large for it, and answers that come too late."""

from collections.abc import Sequence

from store.stores import changes, event
from timer_server.store.postgres.commit import ShardCommit, Write, compose
from timer_server.store.postgres.pipeline import Commit, Give, Pipeline, Raise
from timer_server.store.state import LogState


class InMemory:
    """The log of a shard."""

    def __init__(self) -> None:
        self.number, self.epoch, self.state = 0, 1, LogState("log")

    def compose(self, writes: Sequence[Write]) -> ShardCommit:
        return compose(self.number, self.epoch, self.state, writes, lambda _: [])

    def landed(self, commit: ShardCommit) -> None:
        self.state = commit.state


def test_a_commit_that_fails_is_sent_again_in_parts() -> None:
    log = InMemory()
    pipeline = Pipeline([log], lambda: "another log")
    for place in range(1, 11):
        pipeline.gather(place, {0: (changes(event(place)), None)})
    ends: list[int] = []

    for _ in range(6):
        action = pipeline.next()
        if isinstance(action, Raise):
            pipeline.raised({0: (action.shards[0][1], log.state)})
            continue
        assert isinstance(action, Commit)
        (commit,) = action.commits
        ends.append(commit.state.ends.last_place)
        if commit.state.ends.last_place - commit.last_place > 5:  # too large for one
            pipeline.doubt()
        else:
            pipeline.committed([0])
            assert pipeline.settled == commit.state.ends.last_place

    assert ends == [10, 1, 3, 7, 10]
    assert pipeline.settled == 10


def test_what_is_told_late_of_a_shard_that_was_taken_again_is_not_about_its_new_log() -> None:
    """Nothing that is written to that counts as durable before it is."""
    before, again, other = InMemory(), InMemory(), InMemory()
    other.number = 1

    for is_given in (True, False):
        pipeline = Pipeline([before, other], lambda: "another log")
        if is_given:
            pipeline.give(0, "receiver", lambda: 0)
            assert isinstance(pipeline.next(), Give)
        else:
            pipeline.doubt()
            assert isinstance(pipeline.next(), Raise)
        pipeline.remove(0)  # the server was declared dead, begins anew, and is the quickest to take it
        pipeline.add(again)
        pipeline.gather(1, {0: (changes(event(1)), None)})
        if is_given:
            pipeline.handed([0])
        else:
            pipeline.raised({1: (2, other.state)})
        pipeline.gather(2, {})

        assert pipeline.settled == 0
        assert (pipeline.given, pipeline.lost) == ([], [])
        action = pipeline.next()
        assert isinstance(action, Commit)
        assert [commit.state.ends.last_place for commit in action.commits] == [1]
