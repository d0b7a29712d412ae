"""Auto-record rules: which streams of which rooms they mean, and what one recording of theirs is for. Pure."""

from __future__ import annotations

import hashlib
import re
from enum import StrEnum
from fnmatch import translate
from functools import lru_cache

from msgspec import Struct

from reelroom.domain.recording import Source

MAX_PATTERN = 256  # characters
MAX_RESUME_S = 86_400
OUTPUTS = ("camera", "screen")


class Per(StrEnum):
    """What gets a recording of its own."""

    ROOM = "room"  # begins with the first stream that matches; takes what the template subscribes to
    STREAM = "stream"  # a participant's camera with the microphone, or screen with its sound


class Stream(Struct, frozen=True, kw_only=True):
    """A participant's camera or screen in a room, for as long as any track of it is there."""

    app: str
    room: str
    identity: str
    output: str  # "camera" or "screen"; a microphone alone is a camera without picture


class Rule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Streams that match are recorded by the template with id `template`.

    Patterns are globs (`*`, `?`, `[…]`), with case. A recording ends when nothing of its match was there for
    `resume_s` seconds; who comes back earlier goes on in the same recording.
    """

    template: str
    per: Per = Per.STREAM
    room: str = "*"
    identity: str = "*"
    outputs: tuple[str, ...] = OUTPUTS
    resume_s: int = 30  # 1..86400; vendors offer 1..300, 1..1800
    enabled: bool = True

    def __post_init__(self) -> None:
        for where, pattern in (("room", self.room), ("identity", self.identity)):
            if not pattern or len(pattern) > MAX_PATTERN or "\0" in pattern:
                raise ValueError(f"{where} must be a pattern of 1 to {MAX_PATTERN} characters")
        if not self.outputs or set(self.outputs) - set(OUTPUTS) or len(set(self.outputs)) != len(self.outputs):
            raise ValueError("sources must name camera, screen or both")
        if not 1 <= self.resume_s <= MAX_RESUME_S:
            raise ValueError(f"resume_s must be 1 to {MAX_RESUME_S} seconds, not {self.resume_s}")

    def matches(self, stream: Stream) -> bool:
        return (
            self.enabled
            and stream.output in self.outputs
            and _compiled(self.room).match(stream.room) is not None
            and _compiled(self.identity).match(stream.identity) is not None
        )


class Match(Struct, frozen=True, kw_only=True):
    """What one recording of a rule is for: a room, or one stream of it (else `identity` and `output` are empty)."""

    rule: str
    app: str
    room: str
    identity: str = ""
    output: str = ""

    @property
    def key(self) -> str:
        """RULE:DIGEST, 65 characters: a recording's row has it, and the database lets one active recording have it."""
        said = "\0".join((self.app, self.room, self.identity, self.output))
        return f"{self.rule}:{hashlib.sha256(said.encode()).hexdigest()[:32]}"

    @property
    def sources(self) -> tuple[Source, ...]:
        """What a recording of this stream takes; of a room: ()."""
        return tuple(source for source in Source if source.output == self.output)


def match_of(rule_id: str, rule: Rule, stream: Stream) -> Match:
    """The match that `stream`, which `rule` matches, belongs to."""
    if rule.per is Per.ROOM:
        return Match(rule=rule_id, app=stream.app, room=stream.room)
    return Match(rule=rule_id, app=stream.app, room=stream.room, identity=stream.identity, output=stream.output)


@lru_cache(maxsize=4096)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(translate(pattern))
