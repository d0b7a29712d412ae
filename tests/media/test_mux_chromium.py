"""A browser's Media Source takes the fMP4 segments: its demuxer is stricter than FFmpeg's."""

from __future__ import annotations

import base64
import shutil
from pathlib import Path

import pytest
from muxkit import jobs, opus, pictures, record, spec

from tests.needs import need

_PLAY = """async ([mime, parts]) => {
  const out = {supported: MediaSource.isTypeSupported(mime)};
  const video = document.querySelector('video'), source = new MediaSource();
  video.src = URL.createObjectURL(source);
  await new Promise(done => source.onsourceopen = done);
  const buffer = source.addSourceBuffer(mime);
  for (const part of parts) {
    await new Promise((done, fail) => {
      buffer.onupdateend = done;
      buffer.onerror = () => fail(new Error('append failed'));
      buffer.appendBuffer(Uint8Array.from(atob(part), letter => letter.charCodeAt(0)));
    });
  }
  source.endOfStream();
  const ranges = video.buffered;
  out.buffered = Array.from({length: ranges.length}, (_, i) => [ranges.start(i), ranges.end(i)]);
  video.playbackRate = 4;
  await video.play();
  await new Promise(done => { video.onended = done; video.onerror = done; setTimeout(done, 10000); });
  out.ended = video.ended;
  out.error = video.error && video.error.message;
  out.size = [video.videoWidth, video.videoHeight];
  out.frames = video.getVideoPlaybackQuality().totalVideoFrames;
  return out;
}"""


@pytest.mark.parametrize(
    ("codec", "name", "audio_codec"),
    [("h264", "", "auto"), ("h264", "", "aac"), ("vp9", "vp09.00.11.08", "auto"), ("av1", "av01.0.00M.08", "auto")],
)
def test_media_source_plays_every_frame(tmp_path: Path, codec: str, name: str, audio_codec: str) -> None:
    need("chromium", "playwright")
    from playwright.sync_api import sync_playwright

    recorder = record(tmp_path, spec(audio_codec=audio_codec), jobs(pictures(codec, 4), opus(4), codec))
    init = recorder.muxed["hls"][0].init
    assert init is not None
    if codec == "h264":
        at = init.index(b"avcC")
        name = "avc1." + init[at + 5 : at + 8].hex()
    mime = f'video/mp4; codecs="{name},{"opus" if audio_codec == "auto" else "mp4a.40.2"}"'
    files = [init, *(path.read_bytes() for path in sorted(tmp_path.glob("segments/001/hls/*.m4s")))]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--autoplay-policy=no-user-gesture-required"],
        )
        try:
            page = browser.new_page()
            page.set_content("<video muted></video>")
            out = page.evaluate(_PLAY, [mime, [base64.b64encode(data).decode() for data in files]])
        finally:
            browser.close()
    assert out["supported"] and out["ended"] and out["error"] is None
    assert out["size"] == [320, 180]
    assert out["frames"] == 120
    assert len(out["buffered"]) == 1
    assert out["buffered"][0] == pytest.approx([0, 4], abs=0.03)
