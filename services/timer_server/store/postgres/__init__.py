"""The store in a PostgreSQL database that several servers share: a log for each shard."""
