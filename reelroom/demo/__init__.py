"""The test clip with a clock in it, and the peers that publish it; nothing of the server."""
