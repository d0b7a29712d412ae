"""Access units of NAL units, as H.264 and H.265 share them. No packet headers: those are the codecs' own."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterator

from reelroom.rtc.bitreader import BitstreamError
from reelroom.rtc.depacketize.base import FrameAssembler
from reelroom.rtc.depacketize.parameters import MAX_PARAMETER_SET_BYTES

START_CODE = b"\0\0\0\1"


def fmtp_parameter_sets(codec: str, name: str, value: str) -> Iterator[bytes]:
    """NAL units of an SDP parameter: comma-separated base64. Raises ValueError naming the parameter."""
    for item in value.split(","):
        if not item.strip():
            continue
        try:
            nal = base64.b64decode(item.strip() + "=" * (-len(item.strip()) % 4), validate=True)
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"{codec} fmtp {name} is not comma-separated base64: {item!r}") from error
        if len(nal) < 3:
            raise ValueError(f"{codec} fmtp {name} holds a parameter set of {len(nal)} bytes: {item!r}")
        yield nal


class NalAssembler(FrameAssembler):
    """An access unit in the making. `_sets` has the last parameter sets by kind and id; those of the access
    unit at hand stand in `_unit_sets` and are written in front of everything else."""

    __slots__ = (
        "_fu_at",
        "_fu_mid",
        "_in_band",
        "_key",
        "_set_id",
        "_sets",
        "_unit_kinds",
        "_unit_sets",
        "_vcl",
    )

    def __init__(self, set_kinds: tuple[int, ...], set_id: Callable[[bytes], int]) -> None:
        super().__init__()
        self._sets: dict[int, dict[int, bytes]] = {kind: {} for kind in set_kinds}
        self._set_id = set_id
        # Whether the sender repeats its parameter sets in packets: then a key frame that starts right after a
        # loss without them may have lost new ones, and must not be given the old ones.
        self._in_band = False
        self._unit_sets: list[bytes] = []
        self._unit_kinds = 0
        self._key = False
        self._vcl = False
        self._fu_mid = -1  # the FU header byte that continues the open fragmented NAL unit; -1: none is open
        self._fu_at = 0  # where in _parts that NAL unit starts

    def _forget(self) -> None:
        super()._forget()
        self._fu_mid = -1
        self._key = self._vcl = False
        self._unit_kinds = 0
        self._unit_sets = []

    def _parameter_set(self, kind: int, nal: bytes) -> None:
        """Keeps an SPS, PPS or VPS. Raises BitstreamError (or IndexError) if it cannot be read."""
        if len(nal) > MAX_PARAMETER_SET_BYTES:
            raise BitstreamError(f"parameter set of {len(nal)} bytes, more than {MAX_PARAMETER_SET_BYTES}")
        number = self._set_id(nal)
        self._read_size(kind, nal)
        self._sets[kind][number] = nal
        self._unit_sets.append(START_CODE + nal)
        self._unit_kinds |= 1 << kind
        self._in_band = True

    def _use_fmtp(self, kind: int, nal: bytes) -> None:
        """Keeps a parameter set of the SDP; BitstreamError (a ValueError) if it cannot be read."""
        if kind in self._sets:
            self._parameter_set(kind, nal)
            self._in_band = False
            self._forget()

    def _read_size(self, kind: int, nal: bytes) -> None:
        """Takes width and height out of `nal` if it is an SPS."""
        raise NotImplementedError

    def _nal(self, nal: bytes) -> bool:
        """Adds a whole NAL unit; False if it is malformed."""
        raise NotImplementedError

    def _aggregate(self, payload: bytes, at: int) -> bool:
        """Adds the NAL units of an aggregation packet: each behind its size of 16 bits (RFC 6184 §5.7.1)."""
        end = len(payload)
        if at >= end:
            return False
        while at < end:
            size = payload[at] << 8 | payload[at + 1]
            at += 2
            if not size or at + size > end or not self._nal(payload[at : at + size]):
                return False
            at += size
        return True

    def _close_fragments(self, is_picture: bool) -> bool:
        """The last fragment has come. Parameter sets and the like are then treated as if they came whole."""
        self._fu_mid = -1
        if is_picture:
            return True
        nal = b"".join(self._parts[self._fu_at :])[len(START_CODE) :]
        del self._parts[self._fu_at :]
        return self._nal(nal)

    def _finish(self, marker: bool) -> bytes | None:
        if self._fu_mid >= 0:
            return self._broken(True)
        if not self._vcl:
            # Parameter sets on their own are kept for the next key frame; they are no frame.
            self._forget()
            return None
        sets = self._unit_sets
        self.keyframe = False
        if self._key:
            self.keyframe = all(self._sets.values())
            if not all(self._unit_kinds >> kind & 1 for kind in self._sets):
                sets = [START_CODE + nal for known in self._sets.values() for nal in known.values()]
        frame = b"".join(sets + self._parts if sets else self._parts)
        self._forget()
        return frame
