"""Use cases: start, update, stop, query, recover. Holds no HTTP and no vendor words."""
