"""Judges a recorded file by the clock inside its pictures and sound; makes no media and knows no server."""

from __future__ import annotations

import json
import math
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from reelroom.demo import barcode
from reelroom.demo.clip import BEEP_MS, beep_hz
from tests.onset import onsets

# A jump of the sound's times by more than _GAP_S is a gap; by more than _PIECE_S it also ends a piece in which
# beeps are looked for. (MediaRecorder's times jitter by 8 ms without a sample missing.)
_GAP_S, _PIECE_S = 0.005, 0.015
_EDGE_S, _BEEP_S = 0.010, BEEP_MS / 1000
_HLS_OPTIONS = {"allowed_extensions": "ALL", "allowed_segment_extensions": "ALL", "extension_picky": "0"}


@dataclass(frozen=True, slots=True)
class Shown:
    """One decoded picture: its time in the file, and what its bar code says (loops unrolled)."""

    file_s: float
    frame: int
    media_s: float


@dataclass(frozen=True, slots=True)
class Beep:
    """One beep: when it begins in the file, the whole second it stands for, how late it is (ms, + is late).

    One that begins at the very edge of the sound may be cut (players skip Opus's first 6.5 ms): it is there,
    but its place cannot be measured.
    """

    file_s: float
    second: int
    offset_ms: float
    cut: bool = False


@dataclass(slots=True)
class Verdict:
    """What is in a file. Frame numbers and seconds are the clip's (loops unrolled), times in s."""

    path: str
    video_codec: str | None = None
    audio_codec: str | None = None
    duration_s: float = 0.0
    sizes: list[tuple[float, int, int]] = field(default_factory=list)
    shown: list[Shown] = field(default_factory=list)
    unreadable: int = 0
    missing: list[int] = field(default_factory=list)
    duplicates: list[int] = field(default_factory=list)
    disordered: int = 0
    pts_not_rising: int = 0
    beeps: list[Beep] = field(default_factory=list)
    missing_beeps: list[int] = field(default_factory=list)
    audio_gaps: list[tuple[float, float]] = field(default_factory=list)
    first_audio_s: float | None = None
    last_audio_s: float | None = None

    @property
    def frames(self) -> int:
        """Pictures with a readable code."""
        return len(self.shown)

    @property
    def first_frame(self) -> int | None:
        return self.shown[0].frame if self.shown else None

    @property
    def last_frame(self) -> int | None:
        return max(s.frame for s in self.shown) if self.shown else None

    @property
    def av_offsets_ms(self) -> list[float]:
        return [beep.offset_ms for beep in self.beeps if not beep.cut]

    @property
    def av_p50_ms(self) -> float:
        """The median of the sound's lateness against the picture; signed, + is late."""
        return _percentile(self.av_offsets_ms, 50)

    @property
    def av_p95_ms(self) -> float:
        """95 % of the beeps are no further from their picture than this, early or late."""
        return _percentile([abs(o) for o in self.av_offsets_ms], 95)

    @property
    def clock_p95_ms(self) -> float:
        """How far pictures stand from an even clock: 95 % of |file time - media time - its median|."""
        skew = [(s.file_s - s.media_s) * 1000 for s in self.shown]
        middle = _percentile(skew, 50)
        return _percentile([abs(s - middle) for s in skew], 95)

    def problems(self, *, av_p95_ms: float = 20.0, beeps: bool = True) -> list[str]:
        """Everything a perfect recording does not have, in words; empty for a perfect one."""
        found = []
        if not self.shown:
            found.append(f"no picture with a readable bar code ({self.unreadable} unreadable)")
        for count, what in (
            (self.unreadable, "unreadable pictures"),
            (len(self.missing), f"missing frames {self.missing[:8]}"),
            (len(self.duplicates), f"duplicate frames {self.duplicates[:8]}"),
            (self.disordered, "frames out of order"),
            (self.pts_not_rising, "packets whose decoding time does not rise"),
            (len(self.audio_gaps), f"gaps in the sound {self.audio_gaps[:4]}"),
        ):
            if count:
                found.append(f"{count} {what}")
        if beeps:
            if not self.beeps:
                found.append("no beep")
            elif not self.av_p95_ms <= av_p95_ms:
                found.append(f"sound is {self.av_p50_ms:+.1f} ms off (p50), {self.av_p95_ms:.1f} ms at p95")
            if self.missing_beeps:
                found.append(f"{len(self.missing_beeps)} missing beeps {self.missing_beeps[:8]}")
        return found

    def summary(self) -> str:
        """One line for people."""
        return (
            f"{Path(self.path).name}: {self.video_codec}/{self.audio_codec} {self.duration_s:.2f} s, frames "
            f"{self.first_frame}-{self.last_frame} ({len(self.missing)} missing), {len(self.beeps)} beeps "
            f"({len(self.missing_beeps)} missing), A/V p50 {self.av_p50_ms:+.2f} p95 {self.av_p95_ms:.2f} ms"
        )


def _percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")


@dataclass(slots=True)
class _Sound:
    """A piece of sound without a gap: its samples, and where and when in the file each chunk begins."""

    rate: int
    chunks: list[NDArray[np.float32]] = field(default_factory=list)
    starts: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    length: int = 0

    @property
    def end_s(self) -> float:
        return self.times[-1] + len(self.chunks[-1]) / self.rate

    def add(self, time_s: float, samples: NDArray[np.float32]) -> None:
        self.starts.append(self.length)
        self.times.append(time_s)
        self.chunks.append(samples)
        self.length += len(samples)

    def time_of(self, position: float) -> float:
        chunk = max(0, int(np.searchsorted(self.starts, position, side="right")) - 1)
        return self.times[chunk] + (position - self.starts[chunk]) / self.rate


def luma(frame: av.VideoFrame) -> NDArray[np.uint8]:
    """The luma plane of a decoded 8-bit planar or semi-planar picture, without a copy."""
    if not frame.format.name.startswith(("yuv420p", "yuvj420p", "yuv422p", "yuv444p", "nv12")) or (
        frame.format.components[0].bits != 8
    ):
        frame = frame.reformat(format="yuv420p")
    plane = frame.planes[0]
    return np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)[: frame.height, : frame.width]


def _mono(frame: av.AudioFrame) -> NDArray[np.float32]:
    data = frame.to_ndarray()
    if np.issubdtype(data.dtype, np.integer):
        data = data / float(np.iinfo(data.dtype).max)
    channels = frame.layout.nb_channels
    if not frame.format.is_planar:
        data = data.reshape(-1, channels).T
    return np.asarray(data.mean(axis=0), dtype=np.float32)


class _Reader:
    """Decodes one file's streams into a verdict and the pieces of its sound."""

    def __init__(
        self,
        verdict: Verdict,
        rect: barcode.Rect | None,
        participant: int | None,
        fps: int | None,
        loop_frames: int | None,
        changes: bool,
    ) -> None:
        self.verdict, self.rect, self.participant = verdict, rect, participant
        self.changes = changes
        self.fps, self.loop_frames = fps, loop_frames
        self.sound: list[_Sound] = []
        self._loops = 0
        self._last = -1
        self._before: barcode.Code | None = None
        self._loop_ms = 0

    def read(self, path: str, kinds: tuple[str, ...]) -> None:
        options = _HLS_OPTIONS if path.endswith(".m3u8") else {}
        with av.open(path, options=options) as container:
            both = (*container.streams.video[:1], *container.streams.audio[:1])
            streams = [s for s in both if s.type in kinds]
            last_dts: dict[int, int] = {}
            for stream in streams:
                if stream.type == "video":
                    self.verdict.video_codec = stream.codec_context.codec.canonical_name
                    stream.thread_type = "AUTO"
                else:
                    self.verdict.audio_codec = stream.codec_context.codec.canonical_name
            if container.duration:
                self.verdict.duration_s = max(self.verdict.duration_s, container.duration / av.time_base)
            first_s, last_s = math.inf, 0.0
            for packet in container.demux(streams):
                dts = packet.dts
                if packet.pts is not None and packet.time_base is not None:
                    first_s = min(first_s, float(packet.pts * packet.time_base))
                    last_s = max(last_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                if dts is not None and packet.size:
                    if dts <= last_dts.get(packet.stream_index, dts - 1):
                        self.verdict.pts_not_rising += 1
                    last_dts[packet.stream_index] = dts
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        self._picture(frame)
                    elif isinstance(frame, av.AudioFrame):
                        self._samples(frame)
            if not container.duration and last_s:
                # A stream that was cut off, or MediaRecorder's: its header knows no end.
                self.verdict.duration_s = max(self.verdict.duration_s, last_s - first_s)

    def _picture(self, frame: av.VideoFrame) -> None:
        verdict = self.verdict
        time_s = float(frame.pts * frame.time_base)
        if not verdict.sizes or verdict.sizes[-1][1:] != (frame.width, frame.height):
            verdict.sizes.append((time_s, frame.width, frame.height))
        code = barcode.read(luma(frame), self.rect)
        if code is None or self.participant not in (None, code.participant):
            verdict.unreadable += 1
            return
        number, ms = code.frame, code.ms
        if self.changes and code == self._before:
            return
        self._before = code
        if self.loop_frames:
            if number < self._last - self.loop_frames // 2:
                self._loops += 1
                self._loop_ms += round(self.loop_frames * 1000 / (self.fps or 30))
            self._last = number
            number += self._loops * self.loop_frames
            ms += self._loop_ms
        verdict.shown.append(Shown(time_s, number, number / self.fps if self.fps else ms / 1000))

    def _samples(self, frame: av.AudioFrame) -> None:
        time_s = float(frame.pts * frame.time_base)
        if self.verdict.first_audio_s is None:
            self.verdict.first_audio_s = time_s
        jump = abs(time_s - self.sound[-1].end_s) if self.sound else 0.0
        if jump > _GAP_S:
            self.verdict.audio_gaps.append((self.sound[-1].end_s, time_s))
        if not self.sound or jump > _PIECE_S:
            self.sound.append(_Sound(frame.sample_rate))
        self.sound[-1].add(time_s, _mono(frame))
        self.verdict.last_audio_s = self.sound[-1].end_s


def judge(
    path: str | Path,
    *,
    audio_path: str | Path | None = None,
    participant: int | None = None,
    pitch_hz: float | None = None,
    fps: int | None = 30,
    loop_frames: int | None = None,
    rect: barcode.Rect | None = None,
    changes: bool = False,
) -> Verdict:
    """Decode a file (mp4, webm, ts, m3u8, …) and say what is in it.

    `audio_path` when the sound is in a file of its own on the same timeline. `participant` picks whose code
    and whose pitch count (else the first picture's code says); `rect` is where the whole picture of a
    participant lies in a composition. `fps` makes media times exact, None takes the code's ms (± 0.5 ms).
    `changes`: of a picture that a composition shows again and again, only the first time counts.
    `loop_frames`: the clip's length where a looping publisher sent it. Beeps are missing between the first
    and the last picture only. Without pictures, beeps are compared with the first one's whole seconds.
    """
    verdict = Verdict(str(path))
    reader = _Reader(verdict, rect, participant, fps, loop_frames, changes)
    reader.read(str(path), ("video",) if audio_path else ("video", "audio"))
    if audio_path:
        reader.read(str(audio_path), ("audio",))
    _judge_frames(verdict)
    if reader.sound:
        if pitch_hz is None:
            pitch_hz = beep_hz(_participant(str(path), rect) if participant is None else participant)
        _judge_beeps(verdict, reader.sound, pitch_hz)
    return verdict


def _participant(path: str, rect: barcode.Rect | None) -> int:
    with av.open(path, options=_HLS_OPTIONS if path.endswith(".m3u8") else {}) as container:
        for frame in container.decode(video=0) if container.streams.video else ():
            if code := barcode.read(luma(frame), rect):
                return code.participant
    raise ValueError(f"{path}: no readable picture says whose beeps to find; give participant or pitch_hz")


def _judge_frames(verdict: Verdict) -> None:
    if not verdict.shown:
        return
    counts = Counter(s.frame for s in verdict.shown)
    verdict.duplicates = sorted(number for number, count in counts.items() if count > 1)
    verdict.missing = [n for n in range(verdict.shown[0].frame, max(counts) + 1) if n not in counts]
    verdict.disordered = sum(b.frame < a.frame for a, b in pairwise(verdict.shown))


def _judge_beeps(verdict: Verdict, sound: list[_Sound], pitch_hz: float) -> None:
    found = sorted(
        (piece.time_of(at), not _EDGE_S < at / piece.rate < piece.length / piece.rate - _BEEP_S - _EDGE_S)
        for piece in sound
        for at in onsets(np.concatenate(piece.chunks), piece.rate, pitch_hz)
    )
    if not verdict.shown:
        reference = next((time_s for time_s, cut in found if not cut), 0.0)
        for time_s, cut in found:
            since = time_s - reference
            verdict.beeps.append(Beep(time_s, round(since), (since - round(since)) * 1000, cut))
        return
    file_s = np.array([s.file_s for s in verdict.shown])
    media_s = np.array([s.media_s for s in verdict.shown])
    first, last = media_s.min(), media_s.max()
    for time_s, cut in found:
        nearest = int(np.abs(file_s - time_s).argmin())
        media = time_s - file_s[nearest] + media_s[nearest]
        verdict.beeps.append(Beep(time_s, round(float(media)), float(media - round(media)) * 1000, cut))
    heard = {beep.second for beep in verdict.beeps}
    # A beep that the first or last picture cuts off may be there or not.
    expected = range(int(np.ceil(first + 0.04)), int(np.floor(last - 0.04)) + 1)
    verdict.missing_beeps = [second for second in expected if second not in heard]


def ffmpeg_says(path: str | Path, *, uneven: bool = False) -> str:
    """What the `ffmpeg` command complains about when it decodes the whole file: nothing, for a good one.

    `uneven`: frames are not on one grid (after a pause or a gap). FFmpeg 5 rounds times to the frame rate that it
    guesses and then complains of its own rounding, so it is told to keep them.
    """
    command = ["ffmpeg", "-v", "error", "-nostdin"]
    times = ["-vsync", "passthrough", "-enc_time_base", "-1"] if uneven else []
    if str(path).endswith(".m3u8"):
        command += ["-allowed_extensions", "ALL"]
    done = subprocess.run(
        [*command, "-i", str(path), *times, "-f", "null", "-"],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return done.stderr.strip() or ("" if done.returncode == 0 else f"ffmpeg ended with {done.returncode}")


def ffprobe_json(path: str | Path, *entries: str) -> dict[str, object]:
    """`ffprobe`'s view of a file: format and streams, or what `entries` (its options) ask for instead."""
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", *(entries or ("-show_format", "-show_streams")), str(path)],
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    parsed: dict[str, object] = json.loads(done.stdout)
    return parsed
