"""Measurements of speed and cost; no tests, and nothing that the server imports."""
