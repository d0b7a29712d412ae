"""The native HTTP API under /api/v1, and WHIP and WHEP signalling."""
