"""Nodes of PostgreSQL whose clocks differ, to those who read them by SQL.

A schema comes before the catalogue in the search path of the servers, and its `clock_timestamp()` is another on each
node: ahead of the machine's clock by what a table says for the node's port.
"""

from drivers.postgres import OWNER, Cluster, Node

_TABLE = "create table clocks.skew (port integer primary key, ahead interval not null)"
_CLOCK = """
    create function clocks.clock_timestamp() returns timestamptz language sql volatile as
    'select pg_catalog.clock_timestamp()
        + coalesce((select ahead from clocks.skew where port = inet_server_port()), interval ''0'')'
"""
_SET = """
    insert into clocks.skew values (%s, %s * interval '1 second')
    on conflict (port) do update set ahead = excluded.ahead
"""


class SkewedPostgres:
    """The clocks of a cluster's nodes. All begin as the machine's is."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.url = f"{cluster.url()}?options=-csearch_path%3Dclocks%2Cpg_catalog"
        """The database for servers, which go by these clocks. Their tables are in the same schema."""
        self._execute(f"create schema clocks authorization {OWNER}")
        self._execute(_TABLE)
        self._execute(_CLOCK)
        self._execute(f"grant select on clocks.skew to {OWNER}")

    def set(self, node: Node, ahead_s: float) -> None:
        """Sets the clock of a node. It has to be set before it is promoted, as the primary tells it."""
        self._execute(_SET, node.port, ahead_s)

    def _execute(self, statement: str, *parameters: object) -> None:
        self._cluster.primary.execute(statement, *parameters, database=OWNER)
