"""What every video depacketizer is and shares: the protocol, the limits, the handling of loss. No codec."""

from __future__ import annotations

from typing import Final, Protocol

from reelroom.rtc.bitreader import BitstreamError

MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
MAX_FRAME_PACKETS: Final = 20_000

# What is known of the place in the stream. After a loss the next packet may lie in the middle of a frame.
CLEAN: Final = 0  # the next packet continues the frame at hand, or starts one
SKIPPING: Final = 1  # this frame is lost: nothing counts before its marker or the change of the timestamp
LOST: Final = 2  # packets are missing right here: a packet that shows by itself that it starts a frame counts


class Depacketizer(Protocol):
    """Joins the RTP payloads of one stream to whole frames. Packets come in order; `reset` tells of losses.

    After construction it waits for the clean start of a frame, as after `reset`. None of the methods raises,
    whatever the bytes. A broken frame is dropped whole and counted in `malformed`: the caller that sees the
    count rise asks for a key frame. Empty payloads (padding for bandwidth probes) are ignored.
    """

    codec: str
    keyframe: bool
    """Of the last frame returned: decodable without anything before it."""
    width: int
    """Pixels, as last seen in a key frame or sequence header; 0 if unknown. `height` likewise."""
    height: int
    malformed: int
    """Frames dropped because they were broken or larger than the limits above."""

    def begins(self, payload: bytes) -> bool:
        """Whether a stream begins with this packet as far as it shows: a key frame's first, with parameter sets."""

    def push(self, payload: bytes, marker: bool) -> bytes | None:
        """Takes the next packet's payload; returns the frame that it completes (`marker`), else None."""

    def flush(self) -> bytes | None:
        """The timestamp changed without a marker: the frame at hand if it is whole, else None."""

    def reset(self) -> None:
        """Packets were lost: forgets the frame at hand and waits until a frame starts cleanly.

        To be called before anything else is done with the packet behind the hole: a `flush` before it would
        return a frame that lacks its end.
        """


class FrameAssembler:
    """The part of a depacketizer that is the same for all codecs. Subclasses give the last four methods,
    and a `push` that handles the commonest packet itself and leaves the others to `_push`."""

    __slots__ = ("_parts", "_room", "_state", "height", "keyframe", "malformed", "width")
    codec: str = ""

    def __init__(self) -> None:
        self.keyframe = False
        self.width = 0
        self.height = 0
        self.malformed = 0
        self._parts: list[bytes] = []
        self._room = MAX_FRAME_BYTES
        self._state: int = LOST

    def begins(self, payload: bytes) -> bool:
        try:
            return bool(payload) and self._starts(payload) and self._starts_key(payload)
        except (IndexError, BitstreamError):
            return False

    def flush(self) -> bytes | None:
        if self._state == CLEAN:
            return self._finish(False)
        if self._state == SKIPPING:
            self._state = CLEAN
        # Right after a loss a new timestamp says nothing: the change lies in the hole.
        return None

    def reset(self) -> None:
        self._forget()
        self._state = LOST

    def _push(self, payload: bytes, marker: bool) -> bytes | None:
        if not payload:
            return self.flush() if marker else None
        try:
            if self._state:
                if self._state == SKIPPING or not self._starts(payload):
                    self._state = CLEAN if marker else SKIPPING
                    return None
                self._state = CLEAN
            self._room -= len(payload)
            if self._room < 0 or len(self._parts) >= MAX_FRAME_PACKETS or not self._take(payload):
                return self._broken(marker)
            return self._finish(True) if marker else None
        except (IndexError, BitstreamError):
            # Cut short: reading past the end of a payload is how the parsers below find that out.
            return self._broken(marker)

    def _broken(self, at_end: bool) -> bytes | None:
        """Counts and drops the frame at hand, and what is still to come of it unless `at_end`. Gives None."""
        self.malformed += 1
        self._forget()
        self._state = CLEAN if at_end else SKIPPING
        return None

    def _forget(self) -> None:
        """Empties the frame at hand. Subclasses add their own fields."""
        self._parts = []
        self._room = MAX_FRAME_BYTES

    def _starts(self, payload: bytes) -> bool:
        """Whether this packet alone proves that nothing of its frame's pictures came before it."""
        raise NotImplementedError

    def _starts_key(self, payload: bytes) -> bool:
        """Whether the frame that this packet starts is a key frame, with what decoders need before it."""
        raise NotImplementedError

    def _take(self, payload: bytes) -> bool:
        """Adds one packet; False (or IndexError, BitstreamError) if it is malformed."""
        raise NotImplementedError

    def _finish(self, marker: bool) -> bytes | None:
        """The frame at hand, if it is whole and there is one; leaves an empty frame behind."""
        raise NotImplementedError
