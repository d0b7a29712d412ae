"""Agora's file names in modes individual and mix (section 5.1) as the domain's patterns, and its rules for names in
requests. Makes no names itself: `domain/naming.py` does, from these patterns.
"""

from __future__ import annotations

import re

from reelroom.dialects.agora import errors
from reelroom.domain.recording import Naming

_CNAME = re.compile(r"[a-zA-Z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]{1,64}")
_UID = re.compile(r"[1-9][0-9]{0,9}")
MAX_UID = 2**32 - 1


def check_cname(cname: str) -> str:
    """1 to 64 bytes of Agora's 89 characters (section 1.10); ServiceError 401 otherwise."""
    if not _CNAME.fullmatch(cname):
        raise errors.invalid_channel_name()
    return cname


def check_uid(uid: str) -> str:
    """A decimal integer 1 to 4294967295 in a string; ServiceError 2 otherwise."""
    if not _UID.fullmatch(uid) or int(uid) > MAX_UID:
        raise errors.invalid(f"uid must be a string holding an integer from 1 to {MAX_UID}")
    return uid


def naming(prefix: str) -> Naming:
    """`<sid>_<cname>__uid_s_<uid>__uid_e_<type>` with, for slices, the UTC start to the millisecond, and for postponed
    MP4 the index from 0 in the place of the type; of a mix `<sid>_<cname>`, for slices with the start, for MP4 and
    postponed sound with the index.

    `prefix` is `fileNamePrefix` joined ("" or "a/b/"). A participant's screen, which in Agora would be another uid,
    gets its output's number at the end because the plain name is taken.
    """
    person = "{recording}_{room}__uid_s_{identity}__uid_e_"
    stem = person + "{kind}"
    mixed = "{recording}_{room}"
    return Naming(
        prefix=prefix,
        file=stem,
        segment=stem + "_{start:digits}",
        mixed=mixed,
        mixed_segment=mixed + "_{start:digits}",
        mixed_file=mixed + "_{index}",
        finished=person + "{index}",
    )
