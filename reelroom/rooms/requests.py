"""What control can ask an ingest process: WHIP and WHEP sessions, rooms, statistics. Holds no sockets."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from aioice.ice import get_host_addresses

from reelroom.domain.names import check_name
from reelroom.domain.recording import Source
from reelroom.rooms import protocol
from reelroom.rooms.room import Room
from reelroom.rooms.session import Session, name_sources
from reelroom.rooms.viewers import ViewerSession
from reelroom.rtc.answer import Section, Transport, receive_sections, role_for, write_answer, write_fragment
from reelroom.rtc.peer import Peer
from reelroom.rtc.receive import Publisher
from reelroom.rtc.sdp import Offer, SdpError, parse_fragment, parse_offer
from reelroom.rtc.send import Forwarder, choose_sections

if TYPE_CHECKING:
    from reelroom.rooms.ingest import Ingest

MAX_SESSIONS = 500  # in one room
MAX_PEERS = 2000  # of one ingest process, publishers and viewers


class RequestError(Exception):
    """A request that cannot be done; `code` as in `protocol.Reply`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Requests:
    """One method a request; names as in the docstring of `answer`."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._methods: dict[str, Callable[[dict[str, Any]], Any]] = {
            "whip.create": self._whip_create,
            "whep.create": self._whep_create,
            "peer.patch": self._peer_patch,
            "peer.delete": self._peer_delete,
            "rooms.list": self._rooms_list,
            "rooms.get": self._rooms_get,
            "participants.remove": self._participants_remove,
            "stats": self._stats,
        }

    def answer(self, request: protocol.Request) -> protocol.Reply:
        """The reply to any request; never raises for bad input."""
        method = self._methods.get(request.method)
        if method is None:
            return protocol.Reply(id=request.id, error=f"no method {request.method!r}", code="invalid")
        try:
            return protocol.Reply(id=request.id, result=method(request.params))
        except SdpError as error:
            return protocol.Reply(id=request.id, error=str(error), code="sdp")
        except RequestError as error:
            return protocol.Reply(id=request.id, error=str(error), code=error.code)
        except KeyError as error:
            return protocol.Reply(id=request.id, error=f"{request.method} needs {error}", code="invalid")
        except ValueError as error:
            return protocol.Reply(id=request.id, error=str(error), code="invalid")

    # --- sessions -----------------------------------------------------------------------------------------------

    def _whip_create(self, params: dict[str, Any]) -> dict[str, Any]:
        ingest = self._ingest
        identity = check_name("identity", _text(params, "identity"))
        offer = parse_offer(_text(params, "sdp"))
        sections = receive_sections(offer, orientation=ingest.config.video_orientation)
        sources = name_sources(sections, params.get("session_labels") or {})
        self._check_room_for_one_more()
        room = ingest.room(_text(params, "app"), check_name("room", _text(params, "room")))
        if len(room.sessions) >= MAX_SESSIONS:
            raise RequestError("busy", f"the room has {MAX_SESSIONS} sessions already")
        session = Session(self._new_id(), identity, sources, ingest.clock(), room)
        peer = Publisher(ingest.certificate, offer, sections, role_for(offer), ingest.udp.send, session)
        peer.last_seen_ns = session.joined_ns
        session.peer = peer
        room.sessions[session.id] = session
        ingest.udp.add(peer)
        return self._created(session.id, peer, offer, sections)

    def _whep_create(self, params: dict[str, Any]) -> dict[str, Any]:
        ingest = self._ingest
        room = ingest.rooms.get((_text(params, "app"), _text(params, "room")))
        identity = _text(params, "identity")
        everything = room.tracks.values() if room else ()
        tracks = [live for live in everything if live.info.identity == identity and not live.low]
        if room is None or not tracks:
            raise RequestError("not_found", f"nobody called {identity!r} publishes in room {params['room']!r}")
        self._check_room_for_one_more()
        offer = parse_offer(_text(params, "sdp"))
        # Cameras before screens, unless only the screen is asked for.
        wanted = Source(params["source"]).output if params.get("source") else ""
        tracks = [live for live in tracks if not wanted or live.info.source.output == wanted]
        tracks.sort(key=lambda live: live.info.source in (Source.SCREEN, Source.SCREEN_AUDIO))
        sections, chosen = choose_sections(offer, [live.remote for live in tracks])
        peer = Forwarder(ingest.certificate, offer, sections, role_for(offer), ingest.udp.send, chosen)
        # By the session: the live track has another number after a change of codec.
        owners = {id(live.remote): live.info.session for live in tracks}
        peer.ask_keyframe = lambda track: ingest.request_keyframe_of(room, owners[id(track)], track)
        viewer = ViewerSession(self._new_id(), params.get("viewer", ""), room, peer, ingest.clock())
        ingest.viewers.add(viewer)
        ingest.udp.add(peer)
        return self._created(viewer.id, peer, offer, sections)

    def _check_room_for_one_more(self) -> None:
        ingest = self._ingest
        if len(ingest.viewers) + sum(len(room.sessions) for room in ingest.rooms.values()) >= MAX_PEERS:
            raise RequestError("busy", f"this ingest process has {MAX_PEERS} peers already")

    def _created(self, number: str, peer: Peer, offer: Offer, sections: list[Section]) -> dict[str, Any]:
        answer = write_answer(offer, sections, self._transport(number, peer))
        return {"session": number, "sdp": answer, "etag": peer.ice.ufrag}

    def _transport(self, number: str, peer: Peer) -> Transport:
        return Transport(
            ufrag=peer.ice.ufrag,
            password=peer.ice.password,
            fingerprint=self._ingest.certificate.fingerprint,
            role=peer.role,
            addresses=[(host, self._ingest.udp.port) for host in self._announced()],
            session_id=int(number.rpartition("-")[2][:15], 16),
        )

    def _peer_patch(self, params: dict[str, Any]) -> dict[str, Any]:
        peer = self._peer(params)
        if params.get("etag") not in (None, "*", peer.ice.ufrag):
            raise RequestError("precondition", "If-Match does not name the current ICE session")
        ufrag, pwd = parse_fragment(_text(params, "sdpfrag"))
        if ufrag is None or pwd is None or (ufrag, pwd) == peer.remote_credentials:
            if params.get("etag") == "*":
                raise RequestError("precondition", "If-Match: * is for an ICE restart, which needs new credentials")
            return {"etag": peer.ice.ufrag, "sdpfrag": ""}  # trickled candidates: a lite agent needs none
        peer.restart_ice(ufrag, pwd)
        self._ingest.udp.add(peer)
        fragment = write_fragment(peer.media, self._transport(_text(params, "session"), peer))
        return {"etag": peer.ice.ufrag, "sdpfrag": fragment}

    def _peer_delete(self, params: dict[str, Any]) -> dict[str, Any]:
        self._peer(params).close("left")
        return {}

    def _peer(self, params: dict[str, Any]) -> Peer:
        """The session of that number, if it is in that app's room and its owner's: knowing its URL is not enough."""
        number, owner = _text(params, "session"), _text(params, "identity")
        app, room_name = _text(params, "app"), _text(params, "room")
        viewer = self._ingest.viewers.get(number)
        room = self._ingest.rooms.get((app, room_name))
        session = room.sessions.get(number) if room is not None else None
        peer: Peer | None = None
        if viewer is not None and (viewer.room.app, viewer.room.name, viewer.name) == (app, room_name, owner):
            peer = viewer.peer
        elif session is not None and session.identity == owner:
            peer = session.peer
        if peer is not None and not peer.closed:
            return peer
        raise RequestError("not_found", "no such session: it has ended, or never was")

    def _new_id(self) -> str:
        return f"{self._ingest.config.index}-{secrets.token_hex(16)}"

    def _announced(self) -> list[str]:
        config = self._ingest.config
        if config.announce:
            return list(config.announce)
        hosts: list[str] = []
        for host in config.hosts:
            if host == "0.0.0.0":  # noqa: S104 - compared, not bound
                hosts += get_host_addresses(use_ipv4=True, use_ipv6=False) or ["127.0.0.1"]
            elif host == "::":
                hosts += get_host_addresses(use_ipv4=False, use_ipv6=True)
            else:
                hosts.append(host)
        return list(dict.fromkeys(hosts))

    # --- rooms --------------------------------------------------------------------------------------------------

    def _rooms_list(self, params: dict[str, Any]) -> list[dict[str, Any]]:
        app = params.get("app")
        return [
            {
                "app": room.app,
                "room": room.name,
                "participants": len({s.identity for s in room.sessions.values() if s.announced}),
                "created_ns": room.created_ns,
            }
            for room in self._ingest.rooms.values()
            if room.app == (app or room.app) and any(s.announced for s in room.sessions.values())
        ]

    def _rooms_get(self, params: dict[str, Any]) -> dict[str, Any]:
        room = self._ingest.rooms.get((_text(params, "app"), _text(params, "room")))
        sessions = [s for s in room.sessions.values() if s.announced] if room else []
        if room is None or not sessions:
            raise RequestError("not_found", f"nobody is in room {params['room']!r}")
        now = self._ingest.clock()
        return {"participants": [_describe(session, now) for session in sessions]}

    def _participants_remove(self, params: dict[str, Any]) -> dict[str, Any]:
        room = self._ingest.rooms.get((_text(params, "app"), _text(params, "room")))
        found = [s for s in room.sessions.values() if s.identity == _text(params, "identity")] if room else []
        if room is None or not found:
            raise RequestError("not_found", f"nobody called {params['identity']!r} is in room {params['room']!r}")
        for session in found:
            if session.peer is not None:
                session.peer.close("kicked")
        return {"removed": len(found)}

    def _stats(self, params: dict[str, Any]) -> dict[str, float]:
        ingest = self._ingest
        rooms: list[Room] = list(ingest.rooms.values())
        peers = [s.peer for room in rooms for s in room.sessions.values() if s.peer is not None]
        streams = [layer.stream for peer in peers for track in peer.tracks.values() for layer in track.layers.values()]
        return {
            "rooms": sum(1 for room in rooms if room.sessions),
            "participants": sum(1 for room in rooms for s in room.sessions.values() if s.announced),
            "viewers": len(ingest.viewers),
            "recorders": sum(len(room.subscribers) for room in rooms),
            "udp_port": ingest.udp.port,
            "datagrams_total": ingest.udp.datagrams,
            "datagrams_dropped_total": ingest.udp.dropped,
            "packets": sum(stream.packets for stream in streams),
            "packets_lost": sum(stream.lost for stream in streams),
            "packets_repaired": sum(stream.repaired for stream in streams),
            "packets_rejected": sum(peer.rejected + peer.malformed + peer.unknown_ssrc for peer in peers),
            "frames": sum(stream.frames for stream in streams),
            "ring_bytes": sum(live.ring.bytes for room in rooms for live in room.tracks.values()),
        }


def _text(params: dict[str, Any], name: str) -> str:
    value = params[name]
    if not isinstance(value, str):
        raise ValueError(f"{name} must be text, not {type(value).__name__}")
    return value


def _describe(session: Session, now: int) -> dict[str, Any]:
    tracks = []
    for live in session.live.values():
        if live.low:
            continue  # the same camera once more
        layer = live.remote.active
        stream = layer.stream if layer is not None else None
        depacketizer = stream.depacketizer if stream is not None else None
        seconds = max((now - session.joined_ns) / 1e9, 0.001)
        tracks.append(
            {
                "track": live.info.track,
                "source": str(live.info.source),
                "kind": live.info.kind,
                "codec": live.info.codec,
                "muted": live.muted,
                "packets": stream.packets if stream is not None else 0,
                "lost": stream.lost if stream is not None else 0,
                "bitrate": int(live.bytes * 8 / seconds),
                "width": depacketizer.width if depacketizer is not None else 0,
                "height": depacketizer.height if depacketizer is not None else 0,
            }
        )
    return {"identity": session.identity, "session": session.id, "joined_ns": session.joined_ns, "tracks": tracks}
