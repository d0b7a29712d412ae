"""Agora's own tags in playlists (section 5.4), by which its clients and merge scripts place streams in time.

Times are the 17 digits of UTC that file names have. Pictures are upright: senders turn them before they send.
"""

from __future__ import annotations

from reelroom.domain.recording import PlaylistTags

_START = "#EXT-X-AGORA-TRACK-EVENT:EVENT=START,TRACK_TYPE={},TIME={{start_digits}}"
_AUDIO, _VIDEO = _START.format("AUDIO"), _START.format("VIDEO")
_ROTATE = "#EXT-X-AGORA-ROTATE:WIDTH={width},HEIGHT={height},ROTATE=0,TIME={start_digits}"

TAGS = PlaylistTags(
    starts={"audio": (_AUDIO,), "video": (_VIDEO,), "av": (_AUDIO, _VIDEO)},
    sizes={"video": (_ROTATE,), "av": (_ROTATE,)},
)
