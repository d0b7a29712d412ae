"""MP4 of picture and sound that were recorded apart: in step, whichever began first, split, paused and transcoded."""

from __future__ import annotations

import msgspec
import pytest
from muxkit import complaints, flashes_and_beeps, jobs, opus, pcmu, pictures, probe, record, spec

from reelroom.domain.lines import File, Init, OutputOpened, Paused, Resumed, Segment
from reelroom.domain.recording import Hls
from reelroom.finish import make_files

SECOND = 10**9
TS = Hls(container="ts")


def apart(folder, late_s: float, picture, sound, **fields):
    """A journal of both; `late_s`: how much later the sound began."""
    made = spec(tracks="apart", merged=True, hls=TS, formats=("hls", "mp4"), audio_codec="aac", **fields)
    lines = list(record(folder, made, picture, "video").lines)
    (folder / "sound").mkdir()
    for line in record(folder / "sound", made, sound, "audio").lines:
        match line:
            case OutputOpened():
                moved = {"start_ns": line.start_ns + round(late_s * SECOND)}
            case Segment():
                late = round(late_s * SECOND)
                moved = {"path": f"sound/{line.path}", "start_ns": line.start_ns + late, "end_ns": line.end_ns + late}
            case Init():
                moved = {"path": f"sound/{line.path}"}
        lines.append(msgspec.structs.replace(line, output="002", **moved))
    return made, lines


def whole(folder, made, lines) -> list[File]:
    files = list(make_files(folder, made, lines))
    assert all(isinstance(item, File) for item in files), files
    for item in files:
        assert complaints(folder / item.path) == ""
        assert (item.output, item.kind, item.video_codec, item.audio_codec) == ("001", "av", "h264", "aac")
    return files


@pytest.mark.parametrize("late_s", [1.0, -1.0, 0.0])
def test_picture_and_sound_are_in_step_whichever_began_first(tmp_path, late_s):
    sound = jobs([], opus(5), segment_s=3)
    made, lines = apart(tmp_path, late_s, jobs(pictures("h264", 5), []), sound)
    (item,) = whole(tmp_path, made, lines)
    path = tmp_path / item.path
    streams = probe(path)
    assert int(streams["video"]["nb_read_frames"]) == 150
    assert streams["audio"]["codec_name"] == "aac"
    flashes, beeps = flashes_and_beeps(path)
    first_flash, first_beep = max(0.0, -late_s), max(0.0, late_s)
    assert flashes == pytest.approx([first_flash + n for n in range(5)], abs=0.01)
    assert beeps == pytest.approx([first_beep + n for n in range(5)], abs=0.03)
    assert item.start_ns == SECOND + round(min(0.0, late_s) * SECOND)


def test_a_pause_between_their_begins_is_no_silence(tmp_path):
    made, lines = apart(tmp_path, 3.0, jobs(pictures("h264", 4), []), jobs([], opus(3)))
    paused = [Paused(at_ns=SECOND + SECOND // 2), Resumed(at_ns=SECOND + 5 * SECOND // 2)]
    (item,) = whole(tmp_path, made, [*lines, *paused])
    flashes, beeps = flashes_and_beeps(tmp_path / item.path)
    assert flashes == pytest.approx([0, 1, 2, 3], abs=0.01)
    assert beeps == pytest.approx([1, 2, 3], abs=0.03)


def test_parts_begin_with_a_picture_and_say_how_many_they_are(tmp_path):
    sound = jobs([], opus(24), segment_s=3)
    made, lines = apart(tmp_path, 1.0, jobs(pictures("h264", 24), [], segment_s=4), sound, split_s=10)
    files = whole(tmp_path, made, lines)
    assert [(item.sequence, item.parts) for item in files] == [(1, 3), (2, 3), (3, 3)]
    shown = [int(probe(tmp_path / item.path)["video"]["nb_read_frames"]) for item in files]
    assert sum(shown) == 24 * 30
    heard = 0
    for item in files:
        flashes, beeps = flashes_and_beeps(tmp_path / item.path)
        heard += len(beeps)
        for beep in beeps[1:]:
            assert min(abs(beep - round(beep)), 1) < 0.04
        assert flashes[0] < 0.05
    assert 23 <= heard <= 24
    assert list(make_files(tmp_path, made, [*lines, *files])) == []


def test_sound_that_must_be_transcoded_is_heard_to_its_end(tmp_path):
    sound = jobs([], pcmu(5), audio_codec="pcmu", channels=1)
    made, lines = apart(tmp_path, 0.0, jobs(pictures("h264", 4), []), sound)
    (item,) = whole(tmp_path, made, lines)
    assert len(flashes_and_beeps(tmp_path / item.path)[1]) == 5
    assert float(probe(tmp_path / item.path)["format"]["duration"]) == pytest.approx(5, abs=0.1)


def test_somebody_who_only_speaks_has_a_file_of_sound(tmp_path):
    made, lines = apart(tmp_path, 0.0, jobs(pictures("h264", 2), []), jobs([], opus(2)))
    alone = [line for line in lines if line.output == "002"]
    (item,) = make_files(tmp_path, made, alone)
    assert (item.kind, item.video_codec) == ("audio", "")
