"""Recorders of others that the server is compared with; no part of it."""
