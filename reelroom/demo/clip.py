"""Makes test clips with an exact clock: a bar code in each picture, a beep each second. Publishes nothing."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from numpy.typing import NDArray

from reelroom.demo.barcode import MAX_MS, MAX_PARTICIPANT
from reelroom.demo.clipfile import Clip, ClipSpec, EncodedFrame
from reelroom.demo.picture import Picture
from reelroom.scheduling import same_priority

SAMPLE_RATE = 48_000
OPUS_SAMPLES = 960
BEEP_MS = 30
_BEEP_LEVEL = 0.35
_TONE_LEVEL = 10 ** (-30 / 20)
_VERSION = 4
_WARM_UP = 25

_X26X = "scenecut=0:bframes=0:keyint={gop}:min-keyint={gop}:repeat-headers=1:annexb=1"
_ENCODERS: dict[str, tuple[str, dict[str, str]]] = {
    "h264": (
        "libx264",
        {
            "preset": "ultrafast",
            "profile": "baseline",
            "x264-params": _X26X + ":vbv-maxrate={kbps}:vbv-bufsize={kbps}:sliced-threads=0:threads=2:aud=0",
        },
    ),
    "h265": (
        "libx265",
        {
            "preset": "ultrafast",
            "x265-params": _X26X + ":vbv-maxrate={kbps}:vbv-bufsize={kbps}:open-gop=0:log-level=none",
        },
    ),
    "vp8": ("libvpx", {"deadline": "realtime", "cpu-used": "-8", "lag-in-frames": "0", "auto-alt-ref": "0"}),
    "vp9": (
        "libvpx-vp9",
        {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0", "auto-alt-ref": "0", "row-mt": "1"},
    ),
    # Presets above 8 paint single blocks of the bar code grey.
    "av1": ("libsvtav1", {"preset": "8", "svtav1-params": "pred-struct=1:keyint={gop}:scd=0:rc=2:lp=1"}),
}


def beep_hz(participant: int) -> int:
    """The beep's pitch of a participant 0…63: 100 Hz apart, which a 30 ms matched filter tells apart."""
    return 900 + 100 * participant


def tone_hz(participant: int) -> int:
    """The pitch of a participant's continuous tone: below every beep, 10 Hz apart (use 1 s windows)."""
    return 150 + 10 * participant


def default_cache() -> Path:
    """Where clips are kept: `$XDG_CACHE_HOME/reelroom/clips`, else `~/.cache/reelroom/clips`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "reelroom" / "clips"


def make_clip(
    seconds: int,
    *,
    fps: int = 30,
    size: tuple[int, int] = (1280, 720),
    codec: str = "h264",
    video_kbps: int = 1500,
    participant: int = 1,
    pitch_hz: int | None = None,
    gop: int | None = None,
    cache: Path | None = None,
) -> Clip:
    """A clip of whole `seconds` (1…4194), from the cache if it is there, else encoded now and put there.

    `codec` is h264 (constrained baseline, SPS/PPS before every IDR), h265, vp8, vp9 or av1; no frame is
    reordered. `gop` is frames from key frame to key frame, 2 s unless told: stored frames cannot answer a
    PLI, so this is the longest wait for a key frame. `pitch_hz` is the beep's, by default the participant's.

    The clock: video frame n shows n and its media time, n/fps s. Decoding the Opus packets one after the
    other and placing the samples of the packet with pts t at t (as RTP receivers do, no pre-skip) puts every
    beep's onset exactly at a whole second; the encoder's look-ahead is compensated in what is encoded.
    """
    if codec not in _ENCODERS:
        raise ValueError(f"clip codec {codec!r} is not one of {', '.join(_ENCODERS)}")
    if not 1 <= seconds * 1000 <= MAX_MS or not 0 <= participant <= MAX_PARTICIPANT:
        raise ValueError(f"clip of {seconds} s for participant {participant}: not in 1…4194 and 0…{MAX_PARTICIPANT}")
    if 90_000 % fps:
        raise ValueError(f"clip frame rate {fps} does not divide 90000, so its RTP times would not be exact")
    spec = ClipSpec(
        seconds=seconds,
        fps=fps,
        width=size[0],
        height=size[1],
        codec=codec,
        video_kbps=video_kbps,
        pitch_hz=pitch_hz or beep_hz(participant),
        tone_hz=tone_hz(participant),
        gop=gop or 2 * fps,
        participant=participant,
        beep_ms=BEEP_MS,
    )
    key = hashlib.sha256(f"{_VERSION} {json.dumps(asdict(spec))}".encode()).hexdigest()[:16]
    path = (cache or default_cache()) / f"{codec}-{size[1]}p-{seconds}s-{key}.clip"
    if path.exists():
        return Clip.load(path)
    clip = Clip(spec, list(_encode_video(spec)), list(_encode_audio(spec)))
    clip.save(path)
    return clip


def _encode_video(spec: ClipSpec) -> Iterator[EncodedFrame]:
    name, options = _ENCODERS[spec.codec]
    os.environ.setdefault("SVT_LOG", "1")  # libsvtav1 prints its settings to stderr unless told this
    encoder = cast(av.VideoCodecContext, av.CodecContext.create(name, "w"))
    encoder.width, encoder.height, encoder.pix_fmt = spec.width, spec.height, "yuv420p"
    encoder.time_base, encoder.framerate = Fraction(1, spec.fps), Fraction(spec.fps)
    encoder.bit_rate, encoder.gop_size = spec.video_kbps * 1000, spec.gop
    # libvpx's threads for VP8 spin while they wait for each other: two take 20 times the time of one.
    encoder.thread_count = 1 if spec.codec == "vp8" else 2
    encoder.options = {k: v.format(gop=spec.gop, kbps=spec.video_kbps) for k, v in options.items()} | (
        {
            "minrate": str(encoder.bit_rate),
            "maxrate": str(encoder.bit_rate),
            "bufsize": str(encoder.bit_rate),
            "keyint_min": str(spec.gop),
        }
        if spec.codec.startswith("vp")
        else {}
    )
    with same_priority():
        encoder.open()
    picture = Picture(spec.width, spec.height, spec.participant)
    count = spec.seconds * spec.fps
    done = 0
    for number in range(count + 1):
        if number < count:
            raw = picture.draw(number, (number * 1000 + spec.fps // 2) // spec.fps)
            frame = av.VideoFrame.from_ndarray(raw, format="yuv420p")
            frame.pts, frame.time_base = number, encoder.time_base
            packets = encoder.encode(frame)
        else:
            packets = encoder.encode(None)
        for packet in packets:
            if packet.pts != done:
                raise RuntimeError(f"{name} gave the frame with pts {packet.pts} where {done} was due")
            yield EncodedFrame(done * 1_000_000_000 // spec.fps, bytes(packet), packet.is_keyframe)
            done += 1
    if done != count:
        raise RuntimeError(f"{name} gave {done} frames of {count}")


def sound(spec: ClipSpec, start: int, count: int) -> NDArray[np.float32]:
    """Samples start … start+count of a clip's sound, before coding; it goes on before 0 and after the end."""
    at = np.arange(start, start + count)
    within = at % SAMPLE_RATE
    seconds = at / SAMPLE_RATE
    length = spec.beep_ms * SAMPLE_RATE // 1000
    ramp = SAMPLE_RATE // 1000
    # Ramps of 1 ms keep the beep from clicking in other participants' bands.
    envelope = np.clip(np.minimum(within, length - within) / ramp, 0, 1)
    beep = _BEEP_LEVEL * envelope * np.sin(2 * np.pi * spec.pitch_hz * within / SAMPLE_RATE)
    return (beep + _TONE_LEVEL * np.sin(2 * np.pi * spec.tone_hz * seconds)).astype(np.float32)


def _encode_audio(spec: ClipSpec) -> Iterator[EncodedFrame]:
    encoder = av.CodecContext.create("libopus", "w")
    encoder.sample_rate, encoder.layout, encoder.format = SAMPLE_RATE, "mono", "flt"
    encoder.bit_rate = 48_000
    encoder.time_base = Fraction(1, SAMPLE_RATE)
    # Expecting loss makes Opus lean little on earlier packets, so a start in the middle is right at once.
    encoder.options = {
        "application": "audio",
        "frame_duration": "20",
        "vbr": "constrained",
        "packet_loss": "50",
    }
    encoder.open()
    # Decoded sound comes out late by the encoder's look-ahead: put it in early by as much. It is the pre-skip
    # of the OpusHead (RFC 7845 section 5.1) that the encoder makes.
    lookahead = int.from_bytes((encoder.extradata or b"")[10:12], "little")
    if not 0 < lookahead < OPUS_SAMPLES:
        raise RuntimeError(f"libopus says its look-ahead is {lookahead} samples, not 1…{OPUS_SAMPLES - 1}")
    count = spec.seconds * SAMPLE_RATE // OPUS_SAMPLES
    done = 0
    # The first packets leave out what comes before the clip; they bring the encoder into the state that it
    # has at the end of the clip, so that a loop has no seam.
    for number in range(-_WARM_UP, count + 2):
        samples = sound(spec, number * OPUS_SAMPLES + lookahead, OPUS_SAMPLES)
        frame = av.AudioFrame.from_ndarray(samples.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE, number * OPUS_SAMPLES, encoder.time_base
        for packet in encoder.encode(frame):
            if packet.pts is None or packet.pts < -lookahead or done == count:
                continue
            yield EncodedFrame(done * 20_000_000, bytes(packet), True)
            done += 1
    if done != count:
        raise RuntimeError(f"libopus gave {done} packets of {count}")
