"""Segments of every rendition: see `rendition.py`. This page only names what the recorder uses."""

from reelroom.record.mux.model import Fill, Muxed, MuxError, Sample, SegmentJob, TrackConfig
from reelroom.record.mux.plan import plan
from reelroom.record.mux.rendition import Rendition

__all__ = ["Fill", "MuxError", "Muxed", "Rendition", "Sample", "SegmentJob", "TrackConfig", "plan"]
