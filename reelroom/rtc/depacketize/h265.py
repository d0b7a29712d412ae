"""H.265 from RTP (RFC 7798, without DON) to Annex B access units. Decodes no pictures."""

from __future__ import annotations

from collections.abc import Mapping

from reelroom.rtc.depacketize.base import MAX_FRAME_PACKETS
from reelroom.rtc.depacketize.nal import START_CODE, NalAssembler, fmtp_parameter_sets
from reelroom.rtc.depacketize.parameters import h265_set_id, h265_sps

_VPS, _SPS, _PPS, _AUD = 32, 33, 34, 35
_AP, _FU = 48, 49
_LAST_VCL = 31
_IRAP = range(16, 22)


class H265Depacketizer(NalAssembler):
    """Access units with 4-byte start codes, parameter sets first, without access unit delimiters.

    A key frame is an access unit with an IRAP slice (NAL unit types 16–21); parameter sets that it lacks are
    put in front from what came before or from `sprop-vps`, `sprop-sps`, `sprop-pps`. With one kind unknown it
    is returned with `keyframe` False. Raises ValueError for `sprop-max-don-diff` above 0.
    """

    __slots__ = ("_fu_header",)
    codec = "h265"

    def __init__(self, fmtp: Mapping[str, str]) -> None:
        super().__init__((_VPS, _SPS, _PPS), h265_set_id)
        self._fu_header = -1  # both bytes of the payload header
        don = fmtp.get("sprop-max-don-diff", "0")
        if don.strip() != "0":
            raise ValueError(f"H.265 sprop-max-don-diff {don!r} is not supported, only 0 is")
        for name in ("sprop-vps", "sprop-sps", "sprop-pps"):
            for nal in fmtp_parameter_sets("H.265", name, fmtp.get(name, "")):
                self._use_fmtp(nal[0] >> 1 & 63, nal)

    def push(self, payload: bytes, marker: bool) -> bytes | None:
        try:
            if payload[2] == self._fu_mid and payload[0] << 8 | payload[1] == self._fu_header and not marker:
                parts = self._parts
                parts.append(payload[3:])
                self._room -= len(payload)
                if self._room >= 0 and len(parts) <= MAX_FRAME_PACKETS:
                    return None
                return self._broken(False)
        except IndexError:
            pass  # a payload of at most 2 bytes is judged below
        return self._push(payload, marker)

    def _starts(self, payload: bytes) -> bool:
        kind = payload[0] >> 1 & 63
        if kind == _AP:
            payload = payload[4:]
            kind = payload[0] >> 1 & 63
        elif kind == _FU:
            if not payload[2] & 0x80:
                return False
            kind = payload[2] & 63
            payload = payload[1:]
        if kind in (_AUD, _VPS):
            return True
        # first_slice_segment_in_pic_flag is the first bit of a slice.
        return kind <= _LAST_VCL and payload[2] >= 0x80 and not (kind in _IRAP and self._in_band)

    def _starts_key(self, payload: bytes) -> bool:
        kind = payload[0] >> 1 & 63
        if kind == _AP:
            kind = payload[4] >> 1 & 63
        elif kind == _FU:
            kind = payload[2] & 63
        return kind in (_AUD, _VPS) or (kind in _IRAP and bool(self._sets[_SPS]))

    def _take(self, payload: bytes) -> bool:
        kind = payload[0] >> 1 & 63
        if kind == _FU:
            return self._fragment(payload, payload[0] << 8 | payload[1], payload[2])
        if self._fu_mid >= 0:
            return False  # the fragmented NAL unit before has no end
        if kind == _AP:
            return self._aggregate(payload, 2)
        return self._nal(payload)

    def _fragment(self, payload: bytes, header: int, fu: int) -> bool:
        kind = fu & 63
        if fu & 0x80:
            if self._fu_mid >= 0 or header & 0x8000 or kind >= _AP:
                return False
            self._fu_at = len(self._parts)
            self._fu_mid, self._fu_header = kind, header
            self._parts.append(START_CODE + (header & 0x81FF | kind << 9).to_bytes(2, "big"))
            if kind <= _LAST_VCL:
                self._vcl = True
                self._key |= kind in _IRAP
        elif fu & 0xBF != self._fu_mid or header != self._fu_header:
            return False
        self._parts.append(payload[3:])
        return self._close_fragments(kind <= _LAST_VCL) if fu & 0x40 else True

    def _nal(self, nal: bytes) -> bool:
        kind = nal[0] >> 1 & 63
        if nal[0] & 0x80 or kind >= _AP or len(nal) < 2:
            return False
        if kind <= _LAST_VCL:
            if len(nal) < 3:
                return False
            self._vcl = True
            self._key |= kind in _IRAP
        elif kind in (_VPS, _SPS, _PPS):
            self._parameter_set(kind, nal)
            return True
        elif kind == _AUD:
            return True
        self._parts.append(START_CODE + nal)
        return True

    def _read_size(self, kind: int, nal: bytes) -> None:
        if kind == _SPS:
            sps = h265_sps(nal)
            self.width, self.height = sps.width, sps.height
