"""Reelroom: cloud recording for real-time audio and video that you run yourself. Holds the version only."""

__version__ = "0.1.0"
