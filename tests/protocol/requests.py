"""Request texts for the codec: valid ones, and every kind of broken one that is still JSON."""

import json

from hypothesis import strategies as st

from timer_protocol.codec import Codec
from timer_protocol.methods import METHODS

CODEC = Codec(METHODS)
MAX_BATCH = 50

ABSENT = object()

ids = st.sampled_from([1, 0, -7, 2.5, "one", "", "Case", "case", "line\n", None, True, [], {}, 10**30, ABSENT])
versions = st.sampled_from(["2.0", "2.0", "2.0", "2.0", "1.0", 2.0, None, ABSENT])
methods = st.sampled_from([method.name for method in METHODS]) | st.sampled_from(
    ["timer.stop", "TIMER.GET", "", "x" * 300, 1, None, ["timer.get"], ABSENT]
)
texts = st.sampled_from(["a", "order/42", "", "x" * 129, "Ünïcödé", "line\n"])
numbers = st.sampled_from([0, 1, 5, -1, 0.5, 1e308, 10**30, 1000, 1001, 2**63])
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(
    [
        "id",
        "hours",
        "minutes",
        "seconds",
        "label",
        "payload",
        "key",
        "wait_ms",
        "after",
        "prefix",
        "limit",
        "state",
        "other",
    ]
)
params = (
    st.fixed_dictionaries({"id": st.just("a")})
    | st.fixed_dictionaries({"id": texts}, optional={"wait_ms": numbers, "key": texts | st.none()})
    | st.fixed_dictionaries({"seconds": numbers}, optional={"id": texts, "payload": values, "label": texts})
    | st.dictionaries(names, values, max_size=4)
    | st.lists(values, max_size=7)
    | values
    | st.just(ABSENT)
)


@st.composite
def request_texts(draw: st.DrawFn) -> str:
    """One element of a batch, as JSON: most of them nearly requests, some of them not even objects."""
    if draw(st.integers(0, 9)) == 0:
        return json.dumps(draw(values))
    members = {
        "jsonrpc": draw(versions),
        "id": draw(ids),
        "method": draw(methods),
        "params": draw(params),
        "surprise": draw(st.just(ABSENT) | values),
    }
    order = draw(st.permutations(list(members)))
    return json.dumps({name: members[name] for name in order if members[name] is not ABSENT})


@st.composite
def valid_texts(draw: st.DrawFn) -> str:
    """A request that the codec reads as a call."""
    name, params_of_it = draw(
        st.sampled_from(
            [
                ("timer.start", {"seconds": 5, "payload": {"a": [1, None]}}),
                ("timer.start", {}),
                ("timer.get", {"id": "a"}),
                ("timer.list", {}),
                ("timer.list", {"state": None, "after": None}),
                ("timer.extend", {"id": "a", "seconds": -1.5, "key": "k"}),
                ("timer.restart", {"id": "a", "key": None}),
                ("timer.wait", {"id": "a", "wait_ms": 10}),
                ("events.read", {"after": {"log": 7}}),
                ("server.info", {}),
                ("rpc.discover", {}),
            ]
        )
    )
    request = {"jsonrpc": "2.0", "method": name, "params": params_of_it}
    if not params_of_it and draw(st.booleans()):
        del request["params"]
    if (request_id := draw(st.sampled_from([1, "one", None, 2.5, ABSENT]))) is not ABSENT:
        request["id"] = request_id
    return json.dumps(request)
