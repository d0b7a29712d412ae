"""What the UDP side says of the time when more has come than it reads in one turn."""

from __future__ import annotations

import asyncio
import socket
import time

from reelroom.rooms.udp import RoomClock, UdpPort


async def test_time_goes_on_with_what_was_read_so_that_nobody_seems_silent_whose_packets_wait() -> None:
    clock, loop = RoomClock(), asyncio.get_running_loop()
    port = UdpPort(clock, lambda now: None)
    port.open(["127.0.0.1"], 0)
    port.start(loop)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            for _ in range(300):
                sender.sendto(b"\x80", ("127.0.0.1", port.port))
            sent = clock()
            sender.sendto(b"\x80", ("127.0.0.1", port.port))
        time.sleep(0.1)  # the loop stands still
        assert port.read() < sent
        assert port.datagrams < 300
        assert port.read() > sent + 90_000_000, "all is read, up to now"
        assert port.datagrams == 301
    finally:
        port.close(loop)
