"""H.264 from RTP (RFC 6184, packetization modes 0 and 1) to Annex B access units. Decodes no pictures."""

from __future__ import annotations

from collections.abc import Mapping

from reelroom.rtc.depacketize.base import MAX_FRAME_PACKETS
from reelroom.rtc.depacketize.nal import START_CODE, NalAssembler, fmtp_parameter_sets
from reelroom.rtc.depacketize.parameters import h264_set_id, h264_sps

_IDR, _SPS, _PPS, _AUD = 5, 7, 8, 9
_STAP_A, _FU_A = 24, 28


class H264Depacketizer(NalAssembler):
    """Access units with 4-byte start codes, parameter sets first, without access unit delimiters.

    A key frame is an access unit with an IDR slice; parameter sets that it lacks are put in front from what
    came before or from `sprop-parameter-sets`. With none known it is returned with `keyframe` False.
    Raises ValueError for packetization-mode 2 and for unreadable `sprop-parameter-sets`.
    """

    __slots__ = ("_fu_indicator",)
    codec = "h264"

    def __init__(self, fmtp: Mapping[str, str]) -> None:
        super().__init__((_SPS, _PPS), h264_set_id)
        self._fu_indicator = -1
        mode = fmtp.get("packetization-mode", "0")
        if mode not in ("0", "1"):
            raise ValueError(f"H.264 packetization-mode {mode!r} is not supported, only 0 and 1 are")
        for nal in fmtp_parameter_sets("H.264", "sprop-parameter-sets", fmtp.get("sprop-parameter-sets", "")):
            self._use_fmtp(nal[0] & 31, nal)

    def push(self, payload: bytes, marker: bool) -> bytes | None:
        try:
            if payload[1] == self._fu_mid and payload[0] == self._fu_indicator and not marker:
                parts = self._parts
                parts.append(payload[2:])
                self._room -= len(payload)
                if self._room >= 0 and len(parts) <= MAX_FRAME_PACKETS:
                    return None
                return self._broken(False)
        except IndexError:
            pass  # a payload of 0 or 1 bytes is judged below
        return self._push(payload, marker)

    def _starts(self, payload: bytes) -> bool:
        kind = payload[0] & 31
        if kind == _STAP_A:
            payload = payload[3:]
            kind = payload[0] & 31
        elif kind == _FU_A:
            if not payload[1] & 0x80:
                return False
            kind = payload[1] & 31
            payload = payload[1:]
        if kind in (_AUD, _SPS):
            return True
        # first_mb_in_slice is the first field of a slice; 0 is coded as a single 1 bit.
        return kind in (1, 2, _IDR) and payload[1] >= 0x80 and not (kind == _IDR and self._in_band)

    def _starts_key(self, payload: bytes) -> bool:
        kind = payload[0] & 31
        if kind == _STAP_A:
            kind = payload[3] & 31
        elif kind == _FU_A:
            kind = payload[1] & 31
        return kind in (_AUD, _SPS) or (kind == _IDR and bool(self._sets[_SPS]))

    def _take(self, payload: bytes) -> bool:
        indicator = payload[0]
        kind = indicator & 31
        if kind == _FU_A:
            return self._fragment(payload, indicator, payload[1])
        if self._fu_mid >= 0:
            return False  # the fragmented NAL unit before has no end
        if kind == _STAP_A:
            return self._aggregate(payload, 1)
        return self._nal(payload)

    def _fragment(self, payload: bytes, indicator: int, header: int) -> bool:
        kind = header & 31
        if header & 0x80:
            if self._fu_mid >= 0 or indicator & 0x80 or not 1 <= kind <= 23:
                return False
            self._fu_at = len(self._parts)
            self._fu_mid, self._fu_indicator = kind, indicator
            self._parts.append(START_CODE + bytes((indicator & 0x60 | kind,)))
            if kind <= _IDR:
                self._vcl = True
                self._key |= kind == _IDR
        elif header & 0xBF != self._fu_mid or indicator != self._fu_indicator:
            return False
        self._parts.append(payload[2:])
        return self._close_fragments(kind <= _IDR) if header & 0x40 else True

    def _nal(self, nal: bytes) -> bool:
        kind = nal[0] & 31
        if nal[0] & 0x80 or not 1 <= kind <= 23:
            return False
        if kind <= _IDR:
            if len(nal) < 2:
                return False
            self._vcl = True
            self._key |= kind == _IDR
        elif kind in (_SPS, _PPS):
            self._parameter_set(kind, nal)
            return True
        elif kind == _AUD:
            return True
        self._parts.append(START_CODE + nal)
        return True

    def _read_size(self, kind: int, nal: bytes) -> None:
        if kind == _SPS:
            sps = h264_sps(nal)
            self.width, self.height = sps.width, sps.height
