"""How long a G.711 packet lasts, and what silence looks like. A packet is a frame: nothing to join."""

from __future__ import annotations

from typing import Final

CLOCK_RATE: Final = 8_000

PCMU_SILENCE_20MS: Final = b"\xff" * 160
"""20 ms of the µ-law code for 0."""
PCMA_SILENCE_20MS: Final = b"\xd5" * 160
"""20 ms of the A-law code nearest to 0."""


def packet_duration_ticks(payload: bytes) -> int:
    """Ticks of 1/8000 s that a mono packet lasts: one byte is one sample (RFC 3551 §4.5.14)."""
    return len(payload)
