"""Boxes, sample entries, NAL units, clocks and plans of the muxer: bytes in, bytes out."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reelroom.domain.recording import Hls, RecordingSpec
from reelroom.record.mux import MuxError, Sample, annexb, plan
from reelroom.record.mux.boxes import BoxError, TrackHeader, box, find, full, init_segment, walk
from reelroom.record.mux.entries import audio_config, audio_specific_config, video_config
from reelroom.record.mux.model import audio_ticks, video_ticks
from reelroom.record.mux.timing import AudioClock, VideoClock, opus_ticks
from reelroom.record.mux.ts import adts
from reelroom.record.mux.video import ticks_ns

SPS = bytes.fromhex("6742c01fd9005005bb011000000300100000030 3c0f1832640".replace(" ", ""))
PPS = bytes.fromhex("68cb83cb20")


def test_boxes_nest_and_are_found_again():
    data = box(b"moov", box(b"trak", full(b"tkhd", 1, 3, b"abcd")), box(b"mvex"))
    found = find(data, (b"moov", b"trak", b"tkhd"))
    assert data[found.begin : found.end] == b"\1\0\0\3abcd"
    assert [item.kind for item in walk(data, 8)] == [b"trak", b"mvex"]
    with pytest.raises(BoxError, match="no moov/mdia box"):
        find(data, (b"moov", b"mdia"))


def test_long_and_endless_boxes_are_walked():
    data = b"\0\0\0\1mdat\0\0\0\0\0\0\0\x12ab" + b"\0\0\0\0freexyz"
    assert [(item.kind, item.begin, item.end) for item in walk(data)] == [(b"mdat", 16, 18), (b"free", 26, 29)]


@given(st.binary(max_size=64))
def test_a_walk_over_anything_ends(data):
    try:
        boxes = list(walk(data))
    except BoxError:
        return
    assert sum(item.end - item.start for item in boxes) == len(data)


@given(st.lists(st.binary(min_size=1, max_size=40), min_size=1, max_size=6), st.booleans())
def test_annex_b_and_lengths_are_each_others_reverse(raw, short):
    # What a real NAL unit cannot hold: three-byte zero runs, and a zero at the end.
    units = [b"\x65" + item.replace(b"\0", b"\1") for item in raw]
    data = b"".join((b"\0\0\1" if short else b"\0\0\0\1") + unit for unit in units)
    assert list(annexb.nals(data)) == units
    lengths = annexb.to_lengths(data)
    assert lengths == b"".join(len(unit).to_bytes(4, "big") + unit for unit in units)
    assert annexb.from_lengths(lengths) == b"".join(b"\0\0\0\1" + unit for unit in units)


def test_avcc_names_profile_and_sets():
    config = video_config("h264", b"\0\0\0\1" + SPS + b"\0\0\0\1" + PPS + b"\0\0\0\1\x65\x88")
    at = config.entry.index(b"avcC") + 4
    assert config.entry[at : at + 8] == b"\1\x42\xc0\x1f\xff\xe1" + len(SPS).to_bytes(2, "big")
    assert (config.width, config.height) == (1280, 720)
    assert PPS in config.entry[at:]


def test_key_frames_without_headers_are_refused():
    for codec in ("h264", "h265", "vp8", "vp9", "av1"):
        with pytest.raises(MuxError):
            video_config(codec, b"\0\0\0\1\x65\x88\x84")
    with pytest.raises(MuxError, match="video codec must be one of"):
        video_config("mpeg2", b"")


@given(st.sampled_from(["h264", "h265", "vp8", "vp9", "av1"]), st.binary(max_size=80))
def test_hostile_key_frames_raise_nothing_else(codec, data):
    try:
        video_config(codec, data)
    except MuxError:
        pass


def test_vp8_config_has_its_size():
    config = video_config("vp8", b"\x10\x02\x00\x9d\x01\x2a\x80\x02\x68\x01" + b"\0" * 10)
    assert (config.width, config.height, config.entry[4:8]) == (640, 360, b"vp08")


def test_audio_entries():
    assert b"dOps\0\2" in audio_config("opus", 2).entry
    assert audio_specific_config(1) == bytes.fromhex("1188")
    assert audio_specific_config(2) == bytes.fromhex("1190")
    assert bytes.fromhex("1190") in audio_config("aac", 2).entry
    with pytest.raises(MuxError, match="1 or 2 channels"):
        audio_config("opus", 6)
    with pytest.raises(MuxError, match="opus, aac or mp3"):
        audio_config("pcmu", 1)


def test_adts_header():
    data = adts(b"x" * 100, 2)
    assert data[:2] == b"\xff\xf1"
    assert (data[2] >> 6, data[2] >> 2 & 15, data[2] & 1, data[3] >> 6) == (1, 3, 0, 2)
    assert ((data[3] & 3) << 11 | data[4] << 3 | data[5] >> 5) == 107 == len(data)


def test_an_init_names_its_tracks():
    entry = audio_config("opus", 2).entry
    data = init_segment([TrackHeader(2, "audio", 48_000, (entry,))])
    assert entry in data
    assert [item.kind for item in walk(data)] == [b"ftyp", b"moov"]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50), st.integers(0, 10**12))
def test_video_times_strictly_increase_whatever_comes(times, end):
    clock = VideoClock()
    first, durations = clock.ticks([Sample(t, False, b"") for t in times], end)
    again, _ = clock.ticks([Sample(t, False, b"") for t in times], end)
    ticks = first + again
    assert all(b > a for a, b in pairwise(ticks))
    assert min(durations) >= 1
    assert first[0] == video_ticks(times[0])


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=50))
def test_sound_times_strictly_increase_whatever_comes(times):
    clock = AudioClock()
    ticks, durations = clock.ticks([Sample(t, True, b"") for t in times], [960] * len(times))
    assert all(b - a == d > 0 for a, b, d in zip(ticks, ticks[1:], durations, strict=False))


def test_drift_is_followed_within_the_tolerance():
    clock = AudioClock()
    times = [i * 20_002_000 for i in range(5000)]  # 100 ppm slow
    ticks, _ = clock.ticks([Sample(t, True, b"") for t in times], [960] * 5000)
    assert max(abs(tick - audio_ticks(t)) for tick, t in zip(ticks, times, strict=True)) <= 96


@given(st.integers(0, 2**40))
def test_ticks_survive_the_way_to_nanoseconds_and_back(ticks):
    assert video_ticks(ticks_ns(ticks)) == ticks


@pytest.mark.parametrize(
    ("packet", "ticks"),
    [(b"\xf8\xff\xfe", 960), (b"\x78", 960), (b"\x08", 960), (b"\x18", 2880), (b"\x79", 1920), (b"\x7b\x03", 2880),
     (b"", 960), (b"\x80", 120)],
)  # fmt: skip
def test_opus_packets_tell_their_length(packet, ticks):
    assert opus_ticks(packet) == ticks


def _spec(*formats: str, **fields: object) -> RecordingSpec:
    return RecordingSpec(id="a", app="a", room="r", formats=formats, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("spec", "kind", "video", "audio", "expected"),
    [
        (_spec("hls"), "av", "h264", "opus", ["hls"]),
        (_spec("hls", "mp4"), "av", "h264", "opus", ["hls"]),
        (_spec("hls", "mp4", hls=Hls(container="ts")), "av", "h264", "opus", ["hls", "copy"]),
        (_spec("mp4"), "av", "h264", "opus", ["copy"]),
        (_spec("mp4", "webm"), "av", "vp8", "opus", ["copy", "h264"]),
        (_spec("hls", "mp4"), "av", "vp8", "opus", ["hls"]),
        (_spec("flv"), "av", "h264", "opus", ["copy", "aac"]),
        (_spec("hls", "mp4", audio_codec="aac"), "av", "h264", "opus", ["hls"]),
        (_spec("aac"), "av", "h264", "opus", ["aac"]),
        (_spec("opus"), "audio", "", "pcmu", ["opus"]),
        (_spec("mp4"), "av", "h264", "pcma", ["copy"]),
        (_spec("aac", "mp3"), "video", "h264", "", []),
        (_spec("mp4"), "av", "", "", []),
    ],
)
def test_plans(spec, kind, video, audio, expected):
    assert [name for name, _ in plan(spec, kind, video, audio)] == expected


def test_a_plan_for_an_unknown_kind_is_refused():
    with pytest.raises(MuxError, match="kind must be"):
        plan(_spec("hls"), "picture", "h264", "opus")
