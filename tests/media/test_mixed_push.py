"""Live pushes to real servers: what arrives is what was sent; a server that goes, comes back, or hangs harms nobody."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from muxkit import probe

from reelroom.domain.mix import Mix
from reelroom.domain.mix import Push as Where
from reelroom.record.mixed.encoder import PictureEncoder
from reelroom.record.mixed.push import FAILING, RECOVERED, STARTED, Push
from reelroom.record.mixed.srt import parse
from reelroom.record.mixed.voice import SoundEncoder
from tests.needs import need

START = 1_700_000_000_000_000_000
SECOND = 1_000_000_000
PATIENCE_S = 120


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe_:
        probe_.bind(("127.0.0.1", 0))
        return int(probe_.getsockname()[1])


def wait(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


class Source:
    """A mix in small, encoded once: one second, over and over, with a picture of the second's number."""

    def __init__(self, mix: Mix) -> None:
        self.mix = mix
        self.pictures, self.sounds = PictureEncoder(mix), SoundEncoder(mix)
        self.tick = self.heard = 0

    def second(self, push: Push) -> None:
        mix, size = self.mix, self.sounds.frame_samples
        for _ in range(mix.fps):
            picture = np.full((mix.height * 3 // 2, mix.width), 128, np.uint8)
            picture[: mix.height] = 30 + self.tick % 200
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
            for made in self.pictures.encode(frame, self.tick, False):
                push.put(True, made.key, START + made.tick * SECOND // mix.fps, made.payload)
            self.tick += 1
            while self.heard * mix.fps < self.tick * mix.sample_rate:
                for payload in self.sounds.encode(np.zeros((mix.channels, size), np.float32)):
                    push.put(False, True, START + self.heard * SECOND // mix.sample_rate, payload)
                self.heard += size


def server(url: str, form: str, into: Path) -> subprocess.Popen[bytes]:
    """FFmpeg's command as the server of one connection."""
    need("ffmpeg", "ffprobe")
    listen = ["-listen", "1", "-f", "flv"] if url.startswith("rtmp") else ["-f", "mpegts"]
    command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *listen, "-i", url, "-c", "copy", "-f", form, str(into)]
    return subprocess.Popen(command, stderr=subprocess.PIPE)


def listening(port: int, kind: str) -> bool:
    table = Path(f"/proc/net/{kind}").read_text().splitlines()[1:]
    wanted = f":{port:04X}"
    return any(row.split()[1].endswith(wanted) and (kind == "udp" or row.split()[3] == "0A") for row in table)


def codes(push: Push) -> list[str]:
    return [notice.code for notice in push.notices]


def small(**fields) -> Mix:
    return Mix(width=320, height=180, fps=15, gop_s=1, video_bitrate=200_000, **fields)


@pytest.mark.parametrize(("codec", "rate", "channels"), [("h264", 48_000, 2), ("h264", 44_100, 1)])
def test_rtmp_gets_every_frame_from_a_key_frame_on(tmp_path, codec, rate, channels):
    mix = small(video_codec=codec, sample_rate=rate, channels=channels)
    port = free_port()
    receiver = server(f"rtmp://127.0.0.1:{port}/live/secret", "flv", tmp_path / "got.flv")
    push = Push(Where(id="one", url=f"rtmp://127.0.0.1:{port}/live/secret"), mix, video=True, audio=True)
    try:
        wait(lambda: listening(port, "tcp"), "the server listens")
        push.start()
        source = Source(mix)
        source.second(push)
        wait(lambda: push.connected, f"connected: {push.notices}")
        for _ in range(4):
            source.second(push)
        push.close()
        receiver.wait(PATIENCE_S)
    finally:
        push.close()
        receiver.kill()
        receiver.communicate()
    got = probe(tmp_path / "got.flv")
    assert int(got["video"]["nb_read_frames"]) >= 5 * mix.fps - 1  # one picture is still in the encoder
    assert (got["video"]["codec_name"], got["video"]["width"]) == (codec, 320)
    assert (got["audio"]["codec_name"], int(got["audio"]["sample_rate"])) == ("aac", rate)
    assert float(got["format"]["duration"]) == pytest.approx(5, abs=0.2)
    assert codes(push) == [STARTED]
    assert push.dropped == 0
    assert not any("secret" in notice.message for notice in push.notices)


@pytest.mark.parametrize(("codec", "sound", "extra"), [
    ("h264", "aac", "&streamid=publish:room"), ("h265", "mp3", "&passphrase=a%20long%20secret&pbkeylen=32"),
])  # fmt: skip
def test_srt_gets_every_frame_from_a_key_frame_on(tmp_path, codec, sound, extra):
    need("libsrt")
    mix = small(video_codec=codec, audio_codec=sound, sample_rate=44_100)
    port = free_port(socket.SOCK_DGRAM)
    secret = "&passphrase=a long secret" if "passphrase" in extra else ""
    receiver = server(f"srt://127.0.0.1:{port}?mode=listener{secret}", "mpegts", tmp_path / "got.ts")
    push = Push(Where(id="one", url=f"srt://127.0.0.1:{port}?mode=caller{extra}"), mix, video=True, audio=True)
    try:
        wait(lambda: listening(port, "udp"), "the server listens")
        push.start()
        source = Source(mix)
        source.second(push)
        wait(lambda: push.connected, f"connected: {push.notices}")
        for _ in range(4):
            source.second(push)
        push.close()
        receiver.wait(PATIENCE_S)
    finally:
        push.close()
        receiver.kill()
        receiver.communicate()
    got = probe(tmp_path / "got.ts")
    assert int(got["video"]["nb_read_frames"]) >= 5 * mix.fps - 4  # what is in the encoder
    assert got["video"]["codec_name"] == {"h264": "h264", "h265": "hevc"}[codec]
    assert (got["audio"]["codec_name"], int(got["audio"]["sample_rate"])) == (sound, 44_100)
    assert codes(push) == [STARTED]
    assert not any("secret" in notice.message or "publish" in notice.message for notice in push.notices)


def test_srt_to_nobody_says_why():
    need("libsrt")
    port = free_port(socket.SOCK_DGRAM)
    push = Push(Where(id="one", url=f"srt://127.0.0.1:{port}"), small(), video=True, audio=True)
    try:
        push.start()
        Source(small()).second(push)
        wait(lambda: push.notices, "a notice")
    finally:
        push.close()
    assert push.notices[0].code == FAILING
    assert "onnection" in push.notices[0].message


def test_an_srt_url_with_what_is_not_done_is_refused():
    assert parse("srt://[::1]:9000?streamid=a%3Db&latency=200000").texts == {"streamid": "a=b"}
    for wrong in ("srt://host", "srt://host:1?mode=listener", "srt://host:1?passphrase=short", "srt://host:1?foo=1"):
        with pytest.raises(ValueError, match="SRT"):
            parse(wrong)


def test_a_new_encoder_is_announced(tmp_path):
    mix = small()
    port = free_port()
    receiver = server(f"rtmp://127.0.0.1:{port}/live/x", "flv", tmp_path / "got.flv")
    push = Push(Where(id="one", url=f"rtmp://127.0.0.1:{port}/live/x"), mix, video=True, audio=True)
    try:
        wait(lambda: listening(port, "tcp"), "the server listens")
        push.start()
        source = Source(mix)
        source.second(push)
        wait(lambda: push.connected, f"connected: {push.notices}")
        source.pictures.faster()
        source.pictures.faster()  # ultrafast has other parameter sets
        for _ in range(3):
            source.second(push)
        push.close()
        receiver.wait(PATIENCE_S)
    finally:
        push.close()
        receiver.kill()
        receiver.communicate()
    with av.open(str(tmp_path / "got.flv")) as flv:
        lights = [int(frame.to_ndarray()[90, 160]) for frame in flv.decode(flv.streams.video[0])]
    assert len(lights) >= 4 * mix.fps - 1
    assert all(abs(light - 30 - index) <= 3 for index, light in enumerate(lights)), lights


def test_a_server_that_comes_late_and_goes_is_pushed_to_again(tmp_path):
    mix = small()
    port = free_port()
    url = f"rtmp://127.0.0.1:{port}/live/x"
    push = Push(Where(id="one", url=url), mix, video=True, audio=True)
    source = Source(mix)
    receivers: list[subprocess.Popen[bytes]] = []

    def feed_until(condition: Callable[[], object], what: str) -> None:
        def step() -> object:
            source.second(push)
            return condition()

        wait(step, f"{what}: {list(push.notices)}")

    try:
        push.start()
        feed_until(lambda: FAILING in codes(push), "nobody is there")
        assert not push.connected
        receivers.append(server(url, "flv", tmp_path / "first.flv"))
        feed_until(lambda: push.connected, "connected at last")
        receivers[0].kill()
        feed_until(lambda: not push.connected, "the server has gone")
        receivers.append(server(url, "flv", tmp_path / "second.flv"))
        feed_until(lambda: push.connected, "connected again")
        source.second(push)
        push.close()
        receivers[1].wait(PATIENCE_S)
    finally:
        push.close()
        for receiver in receivers:
            receiver.kill()
            receiver.communicate()
    assert codes(push) == [FAILING, RECOVERED, FAILING, RECOVERED]
    assert int(probe(tmp_path / "second.flv")["video"]["nb_read_frames"]) >= mix.fps - 1


def test_a_server_that_never_answers_makes_nobody_wait():
    mix = small()
    with socket.create_server(("127.0.0.1", 0)) as mute:
        port = mute.getsockname()[1]
        push = Push(Where(id="one", url=f"rtmp://127.0.0.1:{port}/live/x"), mix, video=True, audio=True)
        push.start()
        source = Source(mix)
        slowest = 0.0
        key = bytes(1000)
        source.second(push)
        for index in range(20_000):
            began = time.thread_time()
            push.put(True, index % 15 == 0, START + (15 + index) * SECOND // 15, key)
            slowest = max(slowest, time.thread_time() - began)
        assert slowest < 0.05
        assert not push.connected
        assert push.dropped > 10_000  # what nobody takes is let go
        push.close()
        assert not push._thread.is_alive()
