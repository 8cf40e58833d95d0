"""What a game with the engine chooses from: ids, payloads and times that meet and differ often."""

from hypothesis import strategies as st

from core.naive import LARGE_PAYLOAD_BYTES
from timer_protocol.limits import Limits
from timer_protocol.messages import CancelParams, PauseParams, RestartParams, ResumeParams

NS_PER_MS = 1_000_000
NS_PER_S = 1_000_000_000
LIMITS = Limits(max_timers=3, max_payload_bytes=LARGE_PAYLOAD_BYTES + 20, max_duration_s=600, retention_s=20)

ids = st.sampled_from(["a", "a", "a", "a/1", "a/1", "b", "B"])
prefixes = st.sampled_from(["", "a", "a/", "b", "c"])
shares = st.dictionaries(st.sampled_from(["a", "a/", "b", "ma", "c"]), st.integers(1, 2), max_size=3)
keys = st.none() | st.sampled_from(["k", "l"])
LARGE = '"' + LARGE_PAYLOAD_BYTES * "x" + '"'
TOO_LARGE = '"' + LIMITS.max_payload_bytes * "x" + '"'
payloads = st.sampled_from(["null", '{"a":1}', '{ "a" : 1 }', '{"a":2}', LARGE, LARGE, " " + LARGE, TOO_LARGE])
amounts = {
    "hours": st.sampled_from([0, 0, 0, 1]),
    "minutes": st.sampled_from([0, 0, 0, 1, 0.5]),
    "seconds": st.sampled_from([0, 1, 2.5, 0.001, 20, 600]),
}
changes_of_time = {
    "hours": st.just(0),
    "minutes": st.sampled_from([0, 0, 1, -1]),
    "seconds": st.sampled_from([0, 1, -1, 0.001, -0.001, -2.5, 540, 600, 1e9, -1e9]),
}
steps_ns = (
    st.integers(0, NS_PER_MS)
    | st.integers(0, 3000).map(lambda ms: ms * NS_PER_MS)
    | st.sampled_from([NS_PER_S, 20 * NS_PER_S, 21 * NS_PER_S, 4000 * NS_PER_S])
)
CHANGES: dict[str, type[PauseParams | ResumeParams | CancelParams | RestartParams]] = {
    "pause": PauseParams,
    "resume": ResumeParams,
    "cancel": CancelParams,
    "restart": RestartParams,
}
queues = st.sampled_from(["p", "q"])
BACK = {"pause": "resume", "cancel": "restart"}
