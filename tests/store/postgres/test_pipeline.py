"""What is on its way to PostgreSQL, where a commit is too large for it."""

from collections.abc import Sequence

from store.stores import changes, event
from timer_server.store.postgres.commit import ShardCommit, Write, compose
from timer_server.store.postgres.pipeline import Commit, Pipeline, Raise
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
