"""The tags of Tencent's own in playlists of API 3.0 (section 4.5), as patterns of the domain. Writes no playlist."""

from __future__ import annotations

from importlib.metadata import version

from reelroom.dialects.tencent import naming
from reelroom.domain.recording import PlaylistTags

_X = "#EXT-X-TRTC-"
_PICTURE = _X + "VIDEO-METADATA:WIDTH:{width} HEIGHT:{height} Codec:27"  # H.264, as FFmpeg numbers codecs
_SOUND = _X + "AUDIO-METADATA:Channel:{channels} SampleRate:{sample_rate} SampleFormat:1 Codec:86018"  # AAC
_STREAM_TYPES = {"audio": 0, "video": 1, "av": 2}
_METADATA = {"audio": (_SOUND,), "video": (_PICTURE,), "av": (_PICTURE, _SOUND)}


def tags(mixed: bool) -> PlaylistTags:
    """TRTC-DATE, the vendor's date of its recorder, has nothing here that it could be."""
    user = () if mixed else (_X + "USER-ID:{identity}",)
    head = {
        kind: (
            f"{_X}VERSION:{version('reelroom')}",
            _X + "START-REC-TIME:{start_ms}",
            _X + "MEDIA-ID:{source}",
            *user,
            f"{_X}MIX-STREAM:{int(mixed)}",
            f"{_X}STREAM-TYPE:{number}",
            *_METADATA[kind],
        )
        for kind, number in _STREAM_TYPES.items()
    }
    return PlaylistTags(head=head, each=(_X + "FILE-ATTR:{start_ms},{bytes}",), sources=dict(naming.SOURCES))
