"""The database: an index of the journals plus what only control knows (apps, destinations, outbox)."""
